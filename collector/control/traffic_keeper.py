"""Tells the other collectors of a store, once a second, what the clients of this one see, and hears it from them.

Lives in the loop thread, beside the service. Without budgets there is nothing to tell.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Executor
from typing import Protocol

from collector.control.store_work import Failures, outside
from collector.core.sampling.fleet import NO_TRAFFIC, Fleet, Traffic

log = logging.getLogger(__name__)

TELL_S = 1.0


class Log(Protocol):
    """What collectors tell each other by; `collector.store.sampling_traffic.TrafficLog` is the real one."""

    def say(self, writer: str, traffic: Traffic) -> None: ...

    def others(self, writer: str) -> Sequence[Traffic]: ...


class TrafficKeeper:
    """From `begin` to `end`."""

    def __init__(
        self, fleet: Fleet, budgets: Callable[[], Collection[str]], traffic_log: Log, workers: Executor
    ) -> None:
        """Args:
        budgets: ids of the policies whose traffic counts.
        workers: threads for what the store is asked.
        """
        self._fleet = fleet
        self._budgets = budgets
        self._log = traffic_log
        self._workers = workers
        self._writer = secrets.token_hex(8)
        self._said = NO_TRAFFIC
        self._sharing = Failures(log, "cannot share budgets with other collectors, trying again")
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Start to tell and to hear. In the loop thread."""
        self._task = asyncio.get_running_loop().create_task(self._go_on())

    async def end(self) -> None:
        """Stop; others forget this collector within seconds."""
        if self._task is not None:
            self._task.cancel()

    async def exchange(self) -> None:
        """Tell and hear once. While the store is away, others count as they were heard of last."""
        budgets = self._budgets()
        if not budgets:
            return
        traffic = self._fleet.traffic(budgets)
        try:
            if traffic != NO_TRAFFIC or self._said != NO_TRAFFIC:
                await outside(self._workers, lambda: self._log.say(self._writer, traffic))
                self._said = traffic
            self._fleet.hear(await outside(self._workers, lambda: self._log.others(self._writer)))
            self._sharing.succeeded()
        except Exception as error:
            self._sharing.failed(error)

    async def _go_on(self) -> None:
        while True:
            await asyncio.sleep(TELL_S)
            await self.exchange()
