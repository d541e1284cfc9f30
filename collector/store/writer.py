"""Group commit: many senders' batches, one insert; a sender is answered when its spans are durable.

    submit -> queue (bounded in bytes) -> a lane takes a group -> otel_traces, look-up table, arrivals -> futures

A group goes into three tables, `span_arrivals` last: what the analyzer finds there can be read already. A crash
between two of the inserts leaves spans that nobody was told about: their sender was not answered, so it sends them
again, all three tables get them, and readers drop the copies. What was acknowledged has its arrivals, and these stay
until the analyzer's cursor is past them (`derived.forget_arrivals`), so it reaches the analyzer, restarts included.
"""

import atexit
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError
from clickhouse_connect.driver.exceptions import Error as EngineError

from collector.store import native
from collector.store.engine import Store
from collector.store.fresh import Fresh, Group
from collector.store.lanes import claim_lanes, next_sequences
from collector.store.recent_places import RecentPlaces
from collector.store.shelves import Shelves
from collector.store.trouble import explain
from cpdd.errors import CpddError

log = logging.getLogger(__name__)

RETRY_DELAYS_S = (0.1, 0.5)
MAX_GROUP_BYTES = 64 << 20
MAX_GROUP_ROWS = 100_000
"""Spans of one group at most. While every lane is in an insert, more wait than `max_rows`; taking them all at once
makes groups grow with the load, and a group of 100,000 costs half as much a span as five of 20,000."""

_LANE_SETTINGS = {
    "max_partitions_per_insert_block": "100",  # a part each: more would be many slow files for one request
    "input_format_skip_unknown_fields": "0",  # else a misnamed column is dropped without a word
}
_DATA_ERRORS = {6, 16, 20, 25, 26, 27, 32, 33, 38, 41, 50, 53, 69, 70, 72, 117, 128, 131, 321}
"""Codes of ClickHouse by which the block itself is at fault; another try cannot help."""
_MACHINE_ERRORS = {74, 75, 76, 210, 243, 481}
"""Codes by which a disk cannot be read or written, or a network is away: a smaller group would fare no better."""
_TOO_MANY_PARTS = 252
"""Also the code for a block that touches too many days, which only its text tells from a store that is behind."""


class NotStored(CpddError):
    """A batch was not stored. `retry_after_s` says when to send it again, None: never."""

    retry_after_s: float | None = None


class Overloaded(NotStored):
    """More bytes wait than memory is set aside for."""

    def __init__(self, pending_bytes: int, max_pending_bytes: int, retry_after_s: float) -> None:
        self.pending_bytes = pending_bytes
        self.max_pending_bytes = max_pending_bytes
        self.retry_after_s = retry_after_s
        super().__init__(
            f"store overloaded: {pending_bytes} bytes wait to be stored, {max_pending_bytes} may\n"
            f"hint: send again in {retry_after_s:.0f} s"
        )


class StoreUnavailable(NotStored):
    """The store did not take the batch, through no fault of the batch."""

    def __init__(self, reason: str, retry_after_s: float = 5.0) -> None:
        self.reason = reason
        self.retry_after_s = retry_after_s
        super().__init__(f"{reason}\nhint: send again in {retry_after_s:.0f} s")


class BatchRefused(NotStored):
    """The engine cannot read or place this batch; it would refuse it again."""

    def __init__(self, rows: int, reason: str) -> None:
        self.rows = rows
        self.reason = reason
        super().__init__(f"batch of {rows} spans refused by the store: {reason}")


class CommitterClosed(NotStored):
    """The collector is shutting down."""

    def __init__(self) -> None:
        self.retry_after_s = 5.0
        super().__init__("store closing: this collector is shutting down\nhint: send again, to another one or in 5 s")


@dataclass(frozen=True, slots=True)
class CommitterStats:
    """What a committer has done and has before it."""

    groups: int
    rows: int
    refused_batches: int
    failed_groups: int
    pending_bytes: int
    pending_batches: int


@dataclass(frozen=True, slots=True)
class _Pending:
    batch: native.EncodedBatch
    stored: "Future[None]"
    size: int
    queued_at_s: float


class Committer:
    """Stores batches in groups; `submit` from any thread."""

    def __init__(
        self,
        store: Store,
        *,
        lanes: int = 2,
        linger_ms: int = 100,
        max_rows: int = 50_000,
        max_pending_bytes: int = 256 << 20,
        retry_delays_s: Sequence[float] = RETRY_DELAYS_S,
        now_unix_milli: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        fresh: Fresh | None = None,
        places: RecentPlaces | None = None,
        give_way: Callable[[], None] = lambda: None,
    ) -> None:
        """Start the lanes.

        Args:
            lanes: Inserters side by side; two keep two cores busy, more only help a server.
            linger_ms: How long the first batch of a group waits for company.
            max_rows: Spans that a group need not wait any longer for. Small groups are dear: 5,000 spans cost
                three times as much a span as 50,000.
            max_pending_bytes: Encoded bytes that may wait or be under way.
            fresh: Is given what was stored, for the analyzer of this process.
            places: Is told where that lies, for its pages.
            give_way: Waits a moment where others want the processor; called before each group is stored.
        """
        self._queue = _Queue(linger_ms / 1000, max_rows, max_pending_bytes)
        self._clients = ExitStack()
        clients = [self._clients.enter_context(store.client()) for _ in range(lanes)]
        numbers = claim_lanes(store, clients[0], lanes)
        sequences = next_sequences(clients[0], numbers)
        self._lanes = [
            _Lane(
                store,
                self._queue,
                client,
                number,
                sequences[number],
                retry_delays_s,
                now_unix_milli,
                fresh,
                places,
                give_way,
            )
            for client, number in zip(clients, numbers, strict=True)
        ]
        self._threads = [
            threading.Thread(target=lane.run, name=f"commit-{lane.number}", daemon=True) for lane in self._lanes
        ]
        for thread in self._threads:
            thread.start()
        atexit.register(self.close)

    def submit(self, batch: native.EncodedBatch) -> "Future[None]":
        """Return a future that resolves when the batch is durable, or fails with `NotStored`.

        Cancelling it before its group is formed leaves the batch out.
        Raises:
            Overloaded: too many bytes wait.
            CommitterClosed
        """
        return self._queue.put(batch)

    def hurry(self) -> None:
        """Let no batch wait for company any more: the process is about to stop, and senders wait for their answers."""
        self._queue.hurry()

    def close(self) -> None:
        """Store what is queued, then stop. Every future is resolved when this returns."""
        self._queue.close()
        for thread in self._threads:
            thread.join()
        self._clients.close()
        atexit.unregister(self.close)

    @property
    def alive(self) -> bool:
        """False when a lane has ended, by `close` or by a fault: what is submitted might wait for ever."""
        return all(thread.is_alive() for thread in self._threads)

    def stats(self) -> CommitterStats:
        pending_bytes, pending_batches = self._queue.pending()
        return CommitterStats(
            groups=sum(lane.groups for lane in self._lanes),
            rows=sum(lane.rows for lane in self._lanes),
            refused_batches=sum(lane.refused for lane in self._lanes),
            failed_groups=sum(lane.failed for lane in self._lanes),
            pending_bytes=pending_bytes,
            pending_batches=pending_batches,
        )


class _Queue:
    """Batches in order of arrival; gives them out in groups and knows how many bytes are not stored yet."""

    def __init__(self, linger_s: float, max_rows: int, max_bytes: int) -> None:
        self._linger_s = linger_s
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._changed = threading.Condition()
        self._waiting: deque[_Pending] = deque()
        self._rows = 0
        self._bytes = 0
        self._batches = 0
        self._bytes_per_s = 0.0
        self._closed = False

    def put(self, batch: native.EncodedBatch) -> "Future[None]":
        size = len(batch.spans) + len(batch.times) + len(batch.arrivals)
        pending = _Pending(batch, Future(), size, time.monotonic())
        with self._changed:
            if self._closed:
                raise CommitterClosed
            if self._bytes and self._bytes + size > self._max_bytes:
                raise Overloaded(self._bytes + size, self._max_bytes, self._retry_after_s())
            self._waiting.append(pending)
            self._rows += batch.rows
            self._bytes += size
            self._batches += 1
            self._changed.notify()
        return pending.stored

    def take(self) -> list[_Pending]:
        """Wait for a group; empty when the queue is closed and drained."""
        with self._changed:
            while True:
                if self._waiting:
                    wait_s = self._waiting[0].queued_at_s + self._linger_s - time.monotonic()
                    if self._closed or self._rows >= self._max_rows or wait_s <= 0:
                        return self._group()
                    self._changed.wait(wait_s)
                elif self._closed:
                    return []
                else:
                    self._changed.wait()

    def done(self, group: Sequence[_Pending], took_s: float) -> None:
        size = sum(pending.size for pending in group)
        with self._changed:
            self._bytes -= size
            self._batches -= len(group)
            rate = size / max(took_s, 1e-3)
            self._bytes_per_s += (rate - self._bytes_per_s) * (0.2 if self._bytes_per_s else 1.0)

    def hurry(self) -> None:
        with self._changed:
            self._linger_s = 0.0
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def pending(self) -> tuple[int, int]:
        with self._changed:
            return self._bytes, self._batches

    def _group(self) -> list[_Pending]:
        group: list[_Pending] = []
        rows = size = 0
        while self._waiting and (not group or (rows < MAX_GROUP_ROWS and size < MAX_GROUP_BYTES)):
            pending = self._waiting.popleft()
            rows += pending.batch.rows
            size += pending.size
            group.append(pending)
        self._rows -= rows
        if self._waiting:
            self._changed.notify()
        return group

    def _retry_after_s(self) -> float:
        """Until half of what waits is stored, at the pace of late."""
        if not self._bytes_per_s:
            return 1.0
        return min(max(self._bytes / 2 / self._bytes_per_s, 1.0), 30.0)


class _Lane:
    """One inserter: a thread, a client, a number of its own and the sequence that goes with it."""

    def __init__(
        self,
        store: Store,
        queue: _Queue,
        client: Client,
        number: int,
        first_sequence: int,
        retry_delays_s: Sequence[float],
        now_unix_milli: Callable[[], int],
        fresh: Fresh | None,
        places: RecentPlaces | None,
        give_way: Callable[[], None],
    ) -> None:
        self.number = number
        self.groups = self.rows = self.refused = self.failed = 0
        self._store = store
        self._queue = queue
        self._client = client
        self._sequence = first_sequence
        self._retry_delays_s = retry_delays_s
        self._now_unix_milli = now_unix_milli
        self._fresh = fresh
        self._places = places
        self._give_way = give_way
        if fresh:
            fresh.begin(number, first_sequence)
        self._shelves = Shelves()
        self._shelf = 0
        """Of the group that is being stored."""
        self._trouble = ""
        """Why the last group was not stored."""

    def run(self) -> None:
        """Commit groups until the queue is closed and drained."""
        while taken := self._queue.take():
            self._give_way()
            started_s = time.monotonic()
            group = [pending for pending in taken if pending.stored.set_running_or_notify_cancel()]
            try:
                self._commit(group)
            except Exception as error:  # the top of a thread: nobody above could answer the senders
                log.exception("group not stored", extra={"lane": self.number, "batches": len(group)})
                _fail(group, StoreUnavailable(f"{type(error).__name__}: {error}"))
            self._queue.done(taken, time.monotonic() - started_s)

    def _commit(self, group: list[_Pending]) -> None:
        """Insert into the three tables and answer every sender of the group."""
        self._shelf = self._shelves.place(sum(pending.batch.rows for pending in group), self._now_unix_milli())
        for insert in (self._insert_spans, self._insert_times, self._insert_arrivals):
            group = self._keep(insert, group, self._retry_delays_s)
        for pending in group:
            self.rows += pending.batch.rows
            pending.stored.set_result(None)
        self.groups += bool(group)
        if group and self._trouble:
            log.warning("spans are stored again", extra={"lane": self.number})
            self._trouble = ""

    def _keep(self, insert: "_Insert", group: list[_Pending], delays_s: Sequence[float]) -> list[_Pending]:
        """Insert the group, return those that went in; the others' futures have their exception.

        A group that the engine does not take is halved until the batch at fault stands alone, so that its
        neighbours are stored. An engine that does not answer, or whose disk is full, fails the group whole.
        """
        if not group:
            return []
        error = _tried(insert, group, delays_s)
        if error is None:
            return group
        if not isinstance(error, DatabaseError) or error.code is None or error.code in _MACHINE_ERRORS:
            self.failed += 1
            reason = explain(error, self._store.address.shown)
            if reason != self._trouble:  # once for each kind of trouble, however long it lasts
                log.warning("nothing is stored", extra={"lane": self.number, "reason": reason})
            self._trouble = reason
            return _fail(group, StoreUnavailable(reason))
        if len(group) > 1:
            middle = len(group) // 2
            return self._keep(insert, group[:middle], ()) + self._keep(insert, group[middle:], ())
        self.refused += 1
        log.warning("batch not stored", extra={"lane": self.number, "code": error.code, "reason": str(error)})
        rows = group[0].batch.rows
        return _fail(group, BatchRefused(rows, str(error)) if _is_data_error(error) else StoreUnavailable(str(error)))

    def _insert_spans(self, group: list[_Pending]) -> None:
        batches = [pending.batch for pending in group]
        blocks = [part for batch in batches for part in native.shelved_spans(batch.spans, batch.rows, self._shelf)]
        self._insert("otel_traces", native.SHELVED_SPAN_COLUMNS, blocks)

    def _insert_times(self, group: list[_Pending]) -> None:
        """Insert where the traces lie, stamped by the clock that stamps their arrivals: a server's may differ.

        Pages know it before the senders are answered.
        """
        now = self._now_unix_milli() // 1_000
        blocks = [native.stamped_times(pending.batch.times, now, self._shelf) for pending in group]
        self._insert("otel_traces_trace_id_ts", native.STAMPED_TIMES_COLUMNS, blocks)
        if self._places is not None:
            self._places.add_commit((pending.batch.times for pending in group), self._shelf, now)

    def _insert_arrivals(self, group: list[_Pending]) -> None:
        """Number the spans and insert them.

        A number is never used twice, not even by a second try: the first may have gone in without an answer, and
        what a reader has passed already it never reads again.
        """
        now = self._now_unix_milli()
        first = self._sequence
        blocks: list[native.Buffer] = []
        for pending in group:
            batch = pending.batch
            blocks.append(native.arrivals_block(batch.arrivals, batch.rows, self.number, self._sequence, now))
            self._sequence += batch.rows
        self._insert("span_arrivals", native.ARRIVAL_COLUMNS, blocks)
        if self._fresh:
            batches = [pending.batch for pending in group if pending.batch.rows]
            rows, arrivals = (tuple(batch.rows for batch in batches), tuple(batch.arrivals for batch in batches))
            self._fresh.put(Group(self.number, first, rows, arrivals, now))

    def _insert(self, table: str, columns: Sequence[tuple[str, str]], blocks: Sequence[native.Buffer]) -> None:
        names = [name for name, _ in columns]
        self._store.insert(self._client, table, names, blocks, "Native", _LANE_SETTINGS)


_Insert = Callable[[list[_Pending]], None]


def _tried(insert: _Insert, group: list[_Pending], delays_s: Sequence[float]) -> Exception | None:
    """Insert, after each delay once more; return the last error."""
    for delay_s in (*delays_s, None):
        try:
            insert(group)
            return None
        except (EngineError, OSError) as error:
            if delay_s is None or _is_data_error(error):
                return error
            time.sleep(delay_s)
    return None


def _fail(group: list[_Pending], error: NotStored) -> list[_Pending]:
    for pending in group:
        if not pending.stored.done():
            pending.stored.set_exception(error)
    return []


def _is_data_error(error: Exception) -> bool:
    if not isinstance(error, DatabaseError):
        return False
    return error.code in _DATA_ERRORS or (error.code == _TOO_MANY_PARTS and "single INSERT block" in str(error))
