"""How many came in during the last minute, and when the last did: a counter since the start does not say. Pure."""

_MINUTE_S = 60


class LastMinute:
    """Counts by second, for as long as a minute remembers. The caller owns the clock, which does not go back."""

    def __init__(self) -> None:
        self._counts = [0] * _MINUTE_S
        self._seconds = [-_MINUTE_S] * _MINUTE_S
        """Of which second each count is."""
        self._last_s: float | None = None

    def add(self, number: int, now_s: float) -> None:
        """Count so many that came now."""
        second = int(now_s)
        at = second % _MINUTE_S
        if self._seconds[at] != second:
            self._seconds[at], self._counts[at] = second, 0
        self._counts[at] += number
        self._last_s = now_s

    def count(self, now_s: float) -> int:
        """Return how many came in this second and the 59 before.

        >>> seen = LastMinute()
        >>> seen.add(5, 100.0); seen.add(2, 159.9); (seen.count(159.9), seen.count(160.0), seen.count(220.0))
        (7, 2, 0)
        """
        oldest = int(now_s) - _MINUTE_S
        return sum(n for n, second in zip(self._counts, self._seconds, strict=True) if second > oldest)

    def idle_s(self, now_s: float) -> float | None:
        """Return how long ago the last came, None where none ever did."""
        return None if self._last_s is None else max(now_s - self._last_s, 0.0)
