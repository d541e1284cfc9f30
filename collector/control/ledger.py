"""What is in force, and what boosts may hand out: as the log in the store has it, where other collectors write as well.

change ----> record, in force at once ----> a row of the log ----> a look at the rows of others ----> leases
every second, of a shared store ----------------------------------> likewise

Lives in the loop thread; storing is done elsewhere. Nothing is added under a boost that counts before what may be
added is written down, and what others wrote meanwhile was looked at (`core.sampling.leases`).
"""

import asyncio
import logging
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from functools import reduce
from typing import Any, Protocol

from collector.control.store_work import Failures, outside
from collector.core.sampling.leases import Lease
from collector.core.sampling.lives import Lives
from collector.core.sampling.policies import Book
from collector.core.sampling.record import Record, read_record, record_json, totals
from collector.store.sampling_log import RESERVED, Change
from cpdd.sampling.fields import PolicyError

log = logging.getLogger(__name__)

LOOK_S = 1.0
"""Between two looks at what other collectors have changed."""


class Log(Protocol):
    """Where changes are kept; `collector.store.sampling_log.SamplingLog` is the real one."""

    def written(self) -> Mapping[str, int]: ...

    def states(self, writers: Collection[str]) -> Sequence[Mapping[str, Any]]: ...

    def append(self, writer: str, change: Change, state: Mapping[str, Any]) -> None: ...

    def changes(self, limit: int = 100) -> Sequence[Change]: ...


class Ledger:
    """From `begin` to `end`; it is read before, and may be changed without others being followed."""

    def __init__(
        self,
        sampling_log: Log,
        workers: Executor,
        now_ms: Callable[[], int],
        changed: Callable[[], None],
        granted: Callable[[], None],
        is_shared: bool = False,
    ) -> None:
        """Args:
        workers: threads for what the store is asked.
        changed: is called when the book is another one.
        granted: is called when leases may hand out more.
        is_shared: whether other collectors may write into the same store.
        """
        self.leases: dict[str, Lease] = {}
        """By name, of the boosts that count their traces; none of one that is not yet written down."""
        self._log = sampling_log
        self._workers = workers
        self._now_ms = now_ms
        self._changed = changed
        self._granted = granted
        self._is_shared = is_shared
        self._writer = secrets.token_hex(8)
        self._left_out: set[str] = set()
        self._written: Mapping[str, int] = {}
        self._writing = asyncio.Lock()
        self._reserving: set[str] = set()
        self._looking = Failures(
            log, "cannot read what other collectors sample, trying again", "what other collectors sample is read again"
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._following: asyncio.Task[None] | None = None
        self._record = Record()
        self._record = self._read() or self._record
        self.lives = Lives(self.book)
        self._settle()

    @property
    def book(self) -> Book:
        return self._record.book

    async def begin(self) -> None:
        """Follow what others change."""
        if self._is_shared:
            self._following = asyncio.get_running_loop().create_task(self._follow())

    def end(self) -> None:
        """Follow nobody any more."""
        if self._following is not None:
            self._following.cancel()

    async def change(self, change: Change, edit: Callable[[Book], Book]) -> int:
        """Change the newest book there is: in force at once, and durable when this returns its version.

        What cannot be written is taken back. Raises what `edit` does, and the engine's errors.
        """
        async with self._writing:
            await self._look()
            before = self._record
            record = before.changed(edit(before.book), self._writer)
            self._take(record)
            try:
                await self._append(replace(change, version=record.book.version), record)
            except BaseException:
                self._take(before)
                raise
            log.info("sampling policies changed", extra={"version": record.book.version, "change": change.change})
            await self._look_and_settle()
            return record.book.version

    async def look(self) -> None:
        """Take what other collectors have changed. A store that is away leaves things as they are."""
        if self._is_shared:
            async with self._writing:
                await self._look_and_settle()

    def reserve(self) -> None:
        """Set more aside for leases that run low, ahead of what they hand out: a server after us starts behind it."""
        short = {name for name, lease in self.leases.items() if lease.is_short} - self._reserving
        if short:
            self._reserving |= short
            task = asyncio.get_running_loop().create_task(self._reserve(short))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def changes(self, limit: int) -> Sequence[Change]:
        """Return the changes that people made, the newest first."""
        return await outside(self._workers, lambda: self._log.changes(limit))

    async def _reserve(self, names: set[str]) -> None:
        try:
            async with self._writing:
                await self._look_and_settle()
                claims = {name: lease.next_claim for name, lease in self.leases.items() if name in names}
                record = self._record.claiming(self._writer, claims)
                await self._append(Change(record.book.version, self._now_ms(), RESERVED, "", "", "", ""), record)
                self._record = record
                await self._look_and_settle()
        except Exception:
            log.exception("cannot note what boosts hand out; they add nothing more")
        finally:
            self._reserving -= names

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            await self.look()

    async def _look_and_settle(self) -> None:
        """Look, and let boosts hand out what is theirs by that; after a look that fails, no more than before."""
        try:
            await self._look()
        except Exception as error:
            self._looking.failed(error)
            return
        self._looking.succeeded()
        if self._settle():
            self._granted()

    async def _look(self) -> None:
        if self._is_shared and (record := await outside(self._workers, self._read)) is not None:
            self._take(record)

    def _read(self) -> Record | None:
        """Return what is known together with what was written since the last time, None where nothing was."""
        written = self._log.written()
        news = [writer for writer, number in written.items() if number != self._written.get(writer)]
        if not news:
            return None
        known = [read_record(state, self._leave_out) for state in self._log.states(news)]
        self._written = written
        return reduce(Record.merged, known, self._record)

    def _leave_out(self, error: PolicyError) -> None:
        if str(error) not in self._left_out:
            self._left_out.add(str(error))
            log.warning("a stored policy is left out: %s", error)

    def _take(self, record: Record) -> None:
        is_another = record.book != self._record.book
        self._record = record
        if is_another:
            self.lives.note(self.book, self._now_ms())
            self._changed()

    def _settle(self) -> bool:
        """Account by what is written down, and was looked at; returns whether leases have more."""
        before = {name: lease.allowed for name, lease in self.leases.items()}
        self.leases = {name: self._settled(name, total) for name, total in totals(self.book).items()}
        return any(lease.allowed > before.get(name, 0) for name, lease in self.leases.items())

    def _settled(self, name: str, total: int) -> Lease:
        lease = self.leases.get(name) or Lease(total)
        claims = self._record.claims.get(name, {})
        own = claims.get(self._writer, 0)
        lease.settle(total, own, sum(claims.values()) - own)
        return lease

    async def _append(self, change: Change, record: Record) -> None:
        await outside(self._workers, lambda: self._log.append(self._writer, change, record_json(record)))
