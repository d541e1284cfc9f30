"""Work in a thread of its own, from `start` to `stop`."""

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol

from collector.core.shares import ALL, Shares
from collector.store.engine import Store
from collector.store.trouble import explain, is_trouble
from collector.store.waiting import nobody_waits

log = logging.getLogger(__name__)


class Background(ABC):
    """Runs `_run` in a thread; `_run` looks at `_stopping`, and waits on nothing else for long."""

    def __init__(self, name: str) -> None:
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=nobody_waits(self._run), name=name)

    def start(self) -> None:
        self._thread.start()

    @property
    def alive(self) -> bool:
        """False before `start`, and when the thread has ended."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """End the round that is in work, and return when nothing runs any more."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    @abstractmethod
    def _run(self) -> None: ...


class Turn(Protocol):
    """Whether this process is to work, of several that could."""

    @property
    def mine(self) -> bool: ...


class Share(Turn, Protocol):
    """The part of the traces that is this process's, of several that analyze."""

    @property
    def shares(self) -> Shares: ...

    def take(self) -> Shares:
        """Return the shares to work on from now on, having stopped work on any others."""


class Always:
    """Nobody else could."""

    mine = True
    shares = ALL

    def take(self) -> Shares:
        return ALL


ALWAYS = Always()
MAX_RETRY_S = 30.0
OVER_S = 10.0
"""Trouble is over when none came for so long."""
STANDBY_S = 0.25
"""Between two looks whether it is our turn."""


class Worker(Background):
    """Works on a store, round by round, when it is its turn; what it remembers is void when the turn comes anew."""

    def __init__(self, name: str, work: str, store: Store, turn: Turn = ALWAYS) -> None:
        """Args:
        work: what it does, for the log.
        """
        super().__init__(name)
        self._rounds = Rounds(work, store)
        self._turn = turn
        self._stands_by = False

    @abstractmethod
    def _round(self) -> float:
        """Work once; returns in how many s to work again."""

    @abstractmethod
    def _failed(self, error: Exception) -> float:
        """Say that a round failed, from inside the `except`; returns in how many s to try again."""

    def _run(self) -> None:
        while not self._stopping.is_set():
            if not self._has_turn():
                continue
            try:
                wait_s = self._round()
                self._rounds.succeeded()
            except Exception as error:
                wait_s = self._failed(error)
            self._stopping.wait(wait_s)

    def _has_turn(self) -> bool:
        """Tell whether to work now; else wait a little."""
        if not self._turn.mine:
            self._stands_by = True
            self._stopping.wait(STANDBY_S)
            return False
        if self._stands_by:
            self._begin_anew()
            self._stands_by = False
        return True

    @abstractmethod
    def _begin_anew(self) -> None:
        """Forget what another process may have changed meanwhile."""


class Retry:
    """How long to wait after a failure: twice as long after each in a row, up to MAX_RETRY_S."""

    def __init__(self, first_s: float) -> None:
        self._first_s = first_s
        self._next_s = first_s

    def failed(self) -> float:
        """Return how long to wait now, in s."""
        wait_s, self._next_s = self._next_s, min(2 * self._next_s, MAX_RETRY_S)
        return wait_s

    def succeeded(self) -> None:
        self._next_s = self._first_s


class Rounds:
    """Says in the log how rounds of work on a store fare: trouble of the store once, in a line, and its end; a fault
    of ours each time, with its traceback.

    A round that has nothing to write succeeds on a full disk, too: that is no end yet.
    """

    def __init__(self, work: str, store: Store, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._work = work
        self._store = store
        self._clock_s = clock_s
        self._trouble = ""
        self._failed_s = 0.0

    def failed(self, error: Exception, retry_s: float) -> str:
        """Say that a round failed, from inside the `except`; returns why, on one line."""
        if not is_trouble(error):
            log.exception(f"{self._work} failed, trying again", extra={"retry_s": retry_s})
            return str(error).partition("\n")[0]
        reason = explain(error, self._store.address.shown)
        if not self._trouble:
            log.warning(f"{self._work} waits for the store", extra={"reason": reason})
        self._trouble = reason
        self._failed_s = self._clock_s()
        return reason

    def left(self, event: str, error: Exception) -> None:
        """Say that the end of the process leaves something undone, from inside the `except`."""
        reason = explain(error, self._store.address.shown)
        log.warning(event, extra={"reason": reason}, exc_info=not is_trouble(error))

    def succeeded(self) -> None:
        """Say that the trouble is over, where there was any and it is."""
        if self._trouble and self._clock_s() - self._failed_s >= OVER_S:
            log.warning(f"{self._work} goes on")
            self._trouble = ""
