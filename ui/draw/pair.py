"""Two traces on one ruler: above each row's middle what this one did, below it the other. Pure.

shop    ▇▇                ▇▇      this one: dark where the time on its path is the row's own
        ▪▪     ▪▪                 the other, pale
cart      ▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇
          ▪▪▪▪▪
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ui.draw.svg import Shape, picture, shape, share_of_width, title
from ui.draw.units import duration
from ui.draw.waterfall import ROW, Axis

THIS, OTHER = (3, 9), (15, 6)
"""Top within the row, and height."""
FINEST = 1 / 4_000
"""Of the width; what is shorter is drawn together with its neighbour."""


@dataclass(frozen=True, slots=True)
class Extent:
    """What one trace has in a row. Offsets from the start of its target, in ns."""

    words: str
    """What a pointer over it reads."""
    start_ns: int
    end_ns: int
    owned: Sequence[tuple[int, int]]
    """Its stretches of the path, in order of time."""


@dataclass(frozen=True, slots=True)
class PairBars:
    this: Extent | None
    other: Extent | None


def pair_picture(rows: Sequence[PairBars], axis: Axis, name: str) -> Shape:
    """Return the picture of the rows, without labels."""
    height = max(len(rows), 1) * ROW
    grid = [
        shape("line", x1=x, x2=x, y1=0, y2=height, class_="grid")
        for x in (share_of_width(axis.part(tick), 1) for tick in axis.ticks())
    ]
    drawn = [bar for at, row in enumerate(rows) for bar in _row(row, at * ROW, axis)]
    words = f"{len(rows)} calls over {duration(axis.end_ns - axis.start_ns)}; the table below says the same"
    return picture(*grid, *drawn, view=(100, height), name=name, description=words, class_="waterfall", fluid=True)


def _row(row: PairBars, top: int, axis: Axis) -> Iterator[Shape]:
    if row.this:
        yield from _extent(row.this, top, THIS, axis, "bar bar-on", "own")
    if row.other:
        yield from _extent(row.other, top, OTHER, axis, "bar", "own-other")


def _extent(extent: Extent, top: int, place: tuple[int, int], axis: Axis, look: str, own: str) -> Iterator[Shape]:
    y, height = top + place[0], place[1]
    whole = _bar(extent.start_ns, extent.end_ns, y + height / 2 - 2, 4, axis, look, extent.words)
    yield shape("g", whole, *(_bar(*each, y, height, axis, own, extent.words) for each in _seen(extent.owned, axis)))


def _bar(start_ns: int, end_ns: int, y: float, height: int, axis: Axis, look: str, words: str) -> Shape:
    start, end = axis.part(start_ns), axis.part(end_ns)
    x, width = share_of_width(start, 1), share_of_width(end - start, 1)
    return shape("rect", title(words), x=x, y=y, width=width, height=height, class_=look)


def _seen(owned: Sequence[tuple[int, int]], axis: Axis) -> list[tuple[int, int]]:
    """Return the stretches as a screen can show them: those that no eye tells apart are one."""
    seen: list[tuple[int, int]] = []
    for start, end in owned:
        if seen and axis.part(start) - axis.part(seen[-1][1]) < FINEST:
            seen[-1] = (seen[-1][0], end)
        else:
            seen.append((start, end))
    return seen
