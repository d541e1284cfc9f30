"""Work on the store for those who live in the loop thread: a worker thread does it, and its trouble is said once."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

from collector.store.trouble import is_trouble, reason

_T = TypeVar("_T")


async def outside(workers: Executor, work: Callable[[], _T]) -> _T:
    """Do in a worker thread what waits for the store."""
    return await asyncio.get_running_loop().run_in_executor(workers, work)


class Failures:
    """Says in a log that work fails, the first time in a row, and that it goes on again."""

    def __init__(self, log: logging.Logger, event: str, over: str = "") -> None:
        """Args:
        event: what cannot be done.
        over: what to say when it can be done again; nothing where it is empty.
        """
        self._log = log
        self._event = event
        self._over = over
        self._is_failing = False

    def failed(self, error: Exception) -> None:
        """Say it in a line where the store is at fault, with a traceback where we are."""
        if not self._is_failing:
            self._log.warning(self._event, extra={"reason": reason(error, "the store")}, exc_info=not is_trouble(error))
        self._is_failing = True

    def succeeded(self) -> None:
        if self._is_failing and self._over:
            self._log.warning(self._over)
        self._is_failing = False
