"""Says in the log when somebody sets the clock of the machine: figures by minute then have a gap, or too much.

Nothing here waits by that clock (docs/decisions/081); a person who looks at a gap at night should not search for long.
"""

import logging
import time
from collections.abc import Callable

from collector.background import Background
from collector.metrics import Metrics

log = logging.getLogger(__name__)

LOOK_EVERY_S = 5.0
JUMP_S = 2.0
"""A clock that is steered moves by far less between two looks."""
DOUBT_S = 0.5
"""Clocks that were read further apart, on a busy machine, tell nothing of each other."""


class Jumps:
    """Compares the time of day with a clock that nobody sets."""

    def __init__(self, wall_clock: Callable[[], float], clock: Callable[[], float]) -> None:
        """Args: both in s; `clock` is monotonic."""
        self._wall_clock = wall_clock
        self._clock = clock
        self._apart_s = wall_clock() - clock()

    def look(self) -> float:
        """Return by how much the time of day was set since the last look, in s; 0 where it was not."""
        before_s = self._clock()
        now_s = self._wall_clock()
        if self._clock() - before_s > DOUBT_S:
            return 0.0
        jump_s, self._apart_s = now_s - before_s - self._apart_s, now_s - before_s
        return jump_s if abs(jump_s) >= JUMP_S else 0.0


class ClockWatch(Background):
    """Looks every few seconds."""

    def __init__(
        self,
        metrics: Metrics,
        wall_clock: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        every_s: float = LOOK_EVERY_S,
    ) -> None:
        super().__init__("cpdd-clock")
        self._jumps = Jumps(wall_clock, clock)
        self._every_s = every_s
        self._found = 0
        metrics.counter("cpdd_clock_jumps", "Times that the clock of the machine was set", lambda: float(self._found))

    def _run(self) -> None:
        while not self._stopping.wait(self._every_s):
            jump_s = self._jumps.look()
            if jump_s:
                self._found += 1
                how = "was set back" if jump_s < 0 else "was set ahead, or the machine slept"
                log.warning(f"the clock of this machine {how}", extra={"by_s": round(abs(jump_s), 1)})
