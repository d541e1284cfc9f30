"""How an analyzer remembers what is settled: how far it is, and which minutes have to be made anew.

    alone            cursor by lane               makes minutes itself, forgets arrivals
    one of several   cursor by lane and share     announces minutes; who has the turn makes them, and forgets

Whoever is alone finds what several have left, and they what it has.
"""

from collections.abc import Iterable, Mapping
from typing import Protocol

from collector.core.shares import Shares
from collector.store.derived import Derived
from collector.store.journal import Journal


class Settling(Protocol):
    """What differs between the two. One thread at a time; raises the engine's errors."""

    def load_cursor(self, shares: Shares) -> dict[int, int]:
        """Return the sequence by lane up to which everything of these shares was settled."""

    def save_cursor(self, cursor: Mapping[int, int], shares: Shares) -> None: ...

    def left_over(self) -> set[int]:
        """Return the minutes (since 1970) that this analyzer has to see to at its start."""

    def settle(self, minutes: Iterable[int]) -> None:
        """See to it that these minutes are made anew, from what is written of traces by now."""

    def forget_arrivals(self, cursor: Mapping[int, int], kept_s: int) -> None:
        """Drop the arrivals that nobody needs any more, where that is this analyzer's to do."""


class Alone:
    """Of the one analyzer of a store."""

    def __init__(self, derived: Derived, journal: Journal) -> None:
        self._derived = derived
        self._journal = journal

    def load_cursor(self, shares: Shares) -> dict[int, int]:
        return self._derived.load_cursor()

    def save_cursor(self, cursor: Mapping[int, int], shares: Shares) -> None:
        self._derived.save_cursor(cursor)

    def left_over(self) -> set[int]:
        return {one.minute for one in self._journal.outstanding()}

    def settle(self, minutes: Iterable[int]) -> None:
        announced = self._journal.outstanding()
        self._derived.recompute_minutes(minutes)
        self._journal.done(announced)

    def forget_arrivals(self, cursor: Mapping[int, int], kept_s: int) -> None:
        self._derived.forget_arrivals(cursor, kept_s)


class OneOfSeveral:
    """Of an analyzer that has shares of the traces."""

    def __init__(self, derived: Derived, journal: Journal) -> None:
        self._derived = derived
        self._journal = journal

    def load_cursor(self, shares: Shares) -> dict[int, int]:
        return self._journal.load_cursor(shares)

    def save_cursor(self, cursor: Mapping[int, int], shares: Shares) -> None:
        self._journal.save_cursor(cursor, shares, self._derived.next_version())

    def left_over(self) -> set[int]:
        return set()

    def settle(self, minutes: Iterable[int]) -> None:
        self._journal.announce(minutes, self._derived.next_version())

    def forget_arrivals(self, cursor: Mapping[int, int], kept_s: int) -> None:
        """Leave it to who makes the minutes: arrivals of other shares may not be read yet."""
