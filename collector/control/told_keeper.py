"""Lets what Jaeger clients were told outlive the process: written down within a second, read at the start.

Lives in the loop thread, beside the service that does the telling. Where several collectors share a store, the one that
analyzes learns here what clients of the others were told.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Protocol

from collector.control.store_work import Failures, outside
from collector.core.sampling.told import KEPT_NS, Answer, Told

log = logging.getLogger(__name__)

WRITE_EVERY_S = 1.0
READ_EVERY_S = 10.0
LATE_NS = 30_000_000_000
"""How late a row of another collector may appear, and how far its clock may be behind."""


class Log(Protocol):
    """Where answers are kept; `collector.store.sampling_told.ToldLog` is the real one."""

    def append(self, answers: Sequence[Answer]) -> None: ...

    def since(self, at_ns: int) -> list[Answer]: ...


class ToldKeeper:
    """From `begin` to `end`."""

    def __init__(
        self,
        told: Told,
        told_log: Log,
        workers: Executor,
        is_shared: bool = False,
        wall_clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """Args:
        workers: threads for what the store is asked.
        is_shared: whether other collectors may write into the same store.
        """
        self._told = told
        self._log = told_log
        self._workers = workers
        self._is_shared = is_shared
        self._wall_clock_ns = wall_clock_ns
        self._writing = Failures(log, "cannot note what clients were told, trying again")
        self._reading = Failures(log, "cannot read what clients of other collectors were told, trying again")
        self._task: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Take up what was told before, and start to write."""
        await self.read(KEPT_NS)
        self._task = asyncio.get_running_loop().create_task(self._go_on())

    async def end(self) -> None:
        """Write the last answers."""
        if self._task is not None:
            self._task.cancel()
        await self.write()

    async def read(self, back_ns: int) -> None:
        """Take note of what was written down since so long ago."""
        self._told.restore(await outside(self._workers, lambda: self._log.since(self._wall_clock_ns() - back_ns)))

    async def write(self) -> None:
        """Write down what is new. What cannot be written now is tried again."""
        answers = self._told.take_unsaved()
        if not answers:
            return
        try:
            await outside(self._workers, lambda: self._log.append(answers))
            self._writing.succeeded()
        except Exception as error:
            self._told.put_back(answers)
            self._writing.failed(error)

    async def _go_on(self) -> None:
        read_s = 0.0
        while True:
            await asyncio.sleep(WRITE_EVERY_S)
            await self.write()
            read_s += WRITE_EVERY_S
            if self._is_shared and read_s >= READ_EVERY_S:
                read_s = 0.0
                try:
                    await self.read(LATE_NS + round(READ_EVERY_S * 1e9))
                    self._reading.succeeded()
                except Exception as error:
                    self._reading.failed(error)
