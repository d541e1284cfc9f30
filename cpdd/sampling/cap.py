"""The hard cap: so many traces in a second, and no more."""

from collections.abc import Callable


class Cap:
    """Counts down within each second. Called by decisions: no lock; two threads may share the last place."""

    def __init__(self, per_second: int, clock: Callable[[], float]) -> None:
        self.per_second = per_second
        self._clock = clock
        self._second = int(clock())
        self._left = per_second
        self._has_bitten = False
        self.is_biting = False
        """Whether it dropped something in the second before: what is kept then has no known probability."""

    def admits(self) -> bool:
        second = int(self._clock())
        if second != self._second:
            self.is_biting = self._has_bitten and second == self._second + 1
            self._has_bitten = False
            self._second, self._left = second, self.per_second
        if self._left <= 0:
            self._has_bitten = True
            return False
        self._left -= 1
        return True
