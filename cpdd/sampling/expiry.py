"""An alarm on a monotonic clock: boosts end by it, with every server dead and the wall clock set back."""

import threading
from collections.abc import Callable

from cpdd.failures import tell


class Alarm:
    """Calls back once, when its time has come. Its thread lives while a time is set."""

    def __init__(self, ring: Callable[[], None], clock: Callable[[], float]) -> None:
        self._ring = ring
        self._clock = clock
        self._changed = threading.Condition(threading.RLock())
        self._at: float | None = None
        self._thread: threading.Thread | None = None

    def set(self, at: float | None) -> None:
        """Ring at this time and no other; None: not at all."""
        with self._changed:
            is_sooner = at is None or self._at is None or at < self._at
            self._at = at
            if at is not None and self._thread is None:
                self._thread = threading.Thread(target=self._run, name="cpdd-sampling-alarm", daemon=True)
                self._thread.start()
            if is_sooner:  # for a later time it wakes too early, and waits on
                self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while self._at is not None and (left_s := self._at - self._clock()) > 0:
                    self._changed.wait(min(left_s, threading.TIMEOUT_MAX))
                if self._at is None:
                    self._thread = None
                    return
                self._at = None
            try:
                self._ring()
            except Exception as error:
                tell("ending a boost", error)
