"""Spans that were not taken: one with its facts, many as a count. Called by everything that reads spans."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

MAX_KEPT = 100
"""Rejections that are told one by one; the others are counted."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """A span that was not taken: the problem with its value, the place, and the next step where it is known."""

    problem: str
    place: str
    name: str = ""
    """The span's, where it can be read; likewise the service."""
    service: str = ""
    hint: str = ""
    value: int | None = None
    """What is wrong, as a number, where there is one: a size, a time, a byte, an offset."""

    def __str__(self) -> str:
        owner = f' ("{self.name}" in service "{self.service}")' if self.name or self.service else ""
        return f"span rejected: {self.problem}\n  at {self.place}{owner}" + (
            f"\nhint: {self.hint}" if self.hint else ""
        )


@dataclass(slots=True)
class Rejections:
    """Counts rejected spans and keeps the first, so that a million of them cost no more than a hundred."""

    count: int = 0
    kept: list[Rejection] = field(default_factory=list)

    def __bool__(self) -> bool:
        return self.count > 0

    def __iter__(self) -> Iterator[Rejection]:
        return iter(self.kept)

    def add(self, rejection: Rejection) -> None:
        self.extend(1, (rejection,))

    def extend(self, count: int, rejections: Iterable[Rejection]) -> None:
        """Count `count` spans, of which the first are told."""
        self.count += count
        self.kept.extend(islice(rejections, MAX_KEPT - len(self.kept)))
