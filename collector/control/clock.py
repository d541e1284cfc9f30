"""Unix time that never goes back: what ends by it ends on time, though somebody sets the clock of the machine."""

from collections.abc import Callable


class SteadyClock:
    """The wall clock as long as it goes on; while it is behind what it said before, the monotonic one."""

    def __init__(self, wall_clock: Callable[[], float], clock: Callable[[], float]) -> None:
        """Args: both in s; `clock` is monotonic."""
        self._wall_clock = wall_clock
        self._clock = clock
        self._said_s, self._at_s = wall_clock(), clock()

    def now_s(self) -> float:
        at_s = self._clock()
        self._said_s = max(self._said_s + (at_s - self._at_s), self._wall_clock())
        self._at_s = at_s
        return self._said_s
