"""Stamps of a clock that somebody may set."""

SET_BACK_NS = 60_000_000_000
"""Stamps of several threads and machines differ by less; by more, the clock was set back."""


def newer_stamp(newest_unix_nano: int, stamp_unix_nano: int) -> int:
    """Return the newer one; the stamp itself where the clock was set back since the newest.

    >>> newer_stamp(5, 3), newer_stamp(3_600 * 10**9, 5)
    (5, 5)
    """
    if stamp_unix_nano < newest_unix_nano - SET_BACK_NS:
        return stamp_unix_nano
    return max(newest_unix_nano, stamp_unix_nano)
