"""The waterfall of a trace: a bar a span, and the critical path as one line through them. Pure.

    shop     ━━┓              ┏━━     along a span's bar while the time is its own,
     cart      ┗━━━┓      ┏━━━┛       down into the call that it waited for, and back up
      redis        ┗━━━━━━┛

Widths are shares of the page's, heights are pixels: the picture fits any screen without a script.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ui.draw.svg import Shape, picture, points, shape, share_of_width, stretched, title
from ui.draw.units import duration, nice_ticks

ROW = 24
BAR = 6
"""Height of a span's bar; where the span owns the time it is OWN high."""
OWN = 12
AXIS = 24
_UNITS = 100_000
"""Units of the stretched part's width: enough for a pixel of any screen, few enough for SVG's 32-bit floats."""
_FINEST = _UNITS / 4_000
"""Steps shorter than this are drawn as one vertical stroke; no screen shows them apart."""


_APART = _UNITS / 160
"""Strokes that lead out of the picture are at least so far apart: a row may have tens of thousands of them."""


_Point = tuple[float, int]
"""Where on the stretched part's width, and in which row."""


@dataclass(frozen=True, slots=True)
class Axis:
    """The stretch of time that the width of the picture stands for; offsets from the start of the trace."""

    start_ns: int
    end_ns: int

    def part(self, offset_ns: int) -> float:
        """Return how far along the width an offset lies: 0 to 1, held at the edges."""
        length = self.end_ns - self.start_ns
        return min(max((offset_ns - self.start_ns) / length, 0.0), 1.0) if length else 0.0

    def shows(self, start_ns: int, end_ns: int) -> bool:
        """Tell whether a stretch is long enough to be seen as one."""
        return _UNITS * (self.part(end_ns) - self.part(start_ns)) >= _FINEST

    def ticks(self) -> list[int]:
        """Return round moments; where their words would be the same, round distances from the start."""
        if self._tells_apart():
            return nice_ticks(self.start_ns, self.end_ns)
        return [self.start_ns + tick for tick in nice_ticks(0, self.end_ns - self.start_ns)]

    def words(self, offset_ns: int) -> str:
        """Return what a moment on the axis is called; far from 0 it is `12.5 s` at the start and `+2 ms` behind."""
        if self._tells_apart() or offset_ns == self.start_ns:
            return duration(offset_ns) if offset_ns else "0"
        return f"+{duration(offset_ns - self.start_ns)}"

    def _tells_apart(self) -> bool:
        ticks = nice_ticks(self.start_ns, self.end_ns)
        return len({duration(tick) for tick in ticks}) == len(ticks)


@dataclass(frozen=True, slots=True)
class Bar:
    """A row of the waterfall. Times are offsets from the start of the trace."""

    words: str
    """What a pointer over it reads."""
    start_ns: int
    end_ns: int
    href: str = ""
    """Where a click leads."""
    on_path: bool = False
    failed: bool = False
    optional: bool = False
    """Declared optional: dashed."""
    events_ns: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """A section of the path: which row had the time. Row -1 is above the picture, row len(bars) below it."""

    row: int
    start_ns: int
    end_ns: int
    words: str = ""
    ambiguous: bool = False
    owns: bool = True
    """False: the row only stands for a span that is not shown; the line passes, the bar stays as it is."""


def waterfall(bars: Sequence[Bar], steps: Sequence[Step], side: Sequence[Step], axis: Axis, name: str) -> Shape:
    """Return the picture of the rows, without labels.

    Args:
        steps: the critical path, in order of time.
        side: paths of their own, off the target's: drawn quietly.
    """
    height = max(len(bars), 1) * ROW
    grid = [
        shape("line", x1=x, x2=x, y1=0, y2=height, class_="grid")
        for x in (share_of_width(axis.part(tick), 1) for tick in axis.ticks())
    ]
    owned = _by_row([(side, "side"), (steps, "own")], axis)
    rows = [_row(bar, row, owned.get(row, []), axis) for row, bar in enumerate(bars)]
    inside, away = path_line(steps, axis, len(bars))
    lines = [
        shape("path", d=d, class_=look, vector_effect="non-scaling-stroke")
        for d, look in ((away, "path-away"), (inside, "path-line"))
        if d
    ]
    return picture(
        *grid,
        *rows,
        stretched(*lines, width=_UNITS, height=height),
        *(mark for row, bar in enumerate(bars) for mark in _marks(bar, row, axis)),
        view=(100, height),
        name=name,
        description=f"{len(bars)} spans over {duration(axis.end_ns - axis.start_ns)}; the tables say the same",
        class_="waterfall",
        fluid=True,
        role="group",
    )


def _by_row(lines: Sequence[tuple[Sequence[Step], str]], axis: Axis) -> dict[int, list[Shape]]:
    """Return what of each row is owned; steps too short to be seen are left to the line."""
    owned: dict[int, list[Shape]] = {}
    for steps, look in lines:
        for step, (start, end) in zip(steps, _places(steps, axis), strict=True):
            if step.owns and _is_seen(start, end):
                owned.setdefault(step.row, []).append(_owned(step, axis, look))
    return owned


def _row(bar: Bar, row: int, owned: Sequence[Shape], axis: Axis) -> Shape:
    """A bar with what it owns of the path: one link. Keys reach it by the label of its row, not by the picture."""
    drawn = (_bar(bar, row, axis), *owned)
    return shape("a", *drawn, href=bar.href, tabindex=-1) if bar.href else shape("g", *drawn)


def _bar(bar: Bar, row: int, axis: Axis) -> Shape:
    looks = ["bar"] + ["bar-on"] * bar.on_path + ["bar-optional"] * bar.optional
    return shape(
        "rect",
        title(bar.words),
        x=share_of_width(axis.part(bar.start_ns), 1),
        y=row * ROW + (ROW - BAR) // 2,
        width=share_of_width(axis.part(bar.end_ns) - axis.part(bar.start_ns), 1),
        height=BAR,
        rx=1.5,
        class_=" ".join(looks),
    )


def _places(steps: Sequence[Step], axis: Axis) -> list[tuple[float, float]]:
    """Return where on the stretched part's width each step begins and ends; all at once, since a path may have
    thousands.
    """
    at = np.array([(step.start_ns, step.end_ns) for step in steps], np.float64).reshape(-1, 2)
    length = axis.end_ns - axis.start_ns
    part = np.clip((at - axis.start_ns) / length, 0, 1) if length else np.zeros_like(at)
    return [(start, end) for start, end in np.round(_UNITS * part, 1).tolist()]


def _is_seen(start: float, end: float) -> bool:
    return end - start >= _FINEST


def _owned(step: Step, axis: Axis, look: str) -> Shape:
    return shape(
        "rect",
        title(step.words),
        x=share_of_width(axis.part(step.start_ns), 1),
        y=step.row * ROW + (ROW - OWN) // 2,
        width=share_of_width(axis.part(step.end_ns) - axis.part(step.start_ns), 1),
        height=OWN,
        class_=f"{look} {look}-ambiguous" if step.ambiguous else look,
    )


def path_line(steps: Sequence[Step], axis: Axis, rows: int) -> tuple[str, str]:
    """Return the path as the `d` of a line: what runs through the picture's rows, and what leads out of it and back.

    The first is one unbroken line where all of the path's rows are shown. Steps too short to be seen share a stroke,
    and so do those that leave the picture side by side.
    """
    inside: list[list[_Point]] = []
    away: list[list[_Point]] = []
    drawn_away: set[int] = set()
    at = _corners(steps, axis)
    for i, (start, end) in enumerate(pairwise(at)):
        ends = _is_row(start[1], rows), _is_row(end[1], rows)
        if not any(ends):
            continue  # runs on other pages, or passes by on its way from one to another
        if not all(ends):
            column = int(start[0] // _APART)
            if column in drawn_away:
                continue
            drawn_away.add(column)
        lines = inside if all(ends) else away
        if not lines or i == 0 or lines[-1][-1] != start:
            lines.append([start])
        lines[-1].append(end)
    return _d(inside), _d(away)


def _corners(steps: Sequence[Step], axis: Axis) -> list[_Point]:
    """Return the points that the line passes: x, and the row."""
    at: list[_Point] = []
    fine: list[tuple[float, float, int]] = []

    def stroke() -> None:
        if fine:
            x, rows = fine[0][0], [row for _, _, row in fine]
            at.extend([(x, rows[0]), (x, min(rows)), (x, max(rows)), (x, rows[-1]), (fine[-1][1], rows[-1])])
            fine.clear()

    for step, (start, end) in zip(steps, _places(steps, axis), strict=True):
        if fine and _is_seen(fine[0][0], end):
            stroke()
        if _is_seen(start, end):
            at += [(start, step.row), (end, step.row)]
        else:
            fine.append((start, end, step.row))
    stroke()
    return at


def _is_row(row: int, rows: int) -> bool:
    return 0 <= row < rows


def _d(lines: Sequence[Sequence[_Point]]) -> str:
    return "".join(points([(x, row * ROW + ROW // 2) for x, row in line]) for line in lines)


def _marks(bar: Bar, row: int, axis: Axis) -> list[Shape]:
    """Events as ticks on the bar; a cross behind the bar of a span that failed; an arrow where it goes on outside."""
    middle = row * ROW + ROW // 2
    within = [event for event in bar.events_ns[:50] if axis.start_ns <= event <= axis.end_ns]
    marks = [
        shape("line", x1=x, x2=x, y1=middle - OWN / 2 - 2, y2=middle + OWN / 2 + 2, class_="event")
        for x in dict.fromkeys(share_of_width(axis.part(event), 1) for event in within)
    ]
    if bar.failed:
        cross = shape("path", d="M6 -4L14 4M14 -4L6 4", class_="cross")
        at = share_of_width(axis.part(bar.end_ns), 1)
        marks.append(shape("svg", cross, x=at, y=middle, width=1, height=1, overflow="visible"))
    elif bar.end_ns > axis.end_ns > axis.start_ns:
        marks.append(_goes_on("100%", "M5 -4L9 0L5 4", middle))
    if bar.start_ns < axis.start_ns < axis.end_ns:
        marks.append(_goes_on("0", "M-5 -4L-9 0L-5 4", middle))
    return marks


def _goes_on(x: str, d: str, middle: int) -> Shape:
    return shape("svg", shape("path", d=d, class_="goes-on"), x=x, y=middle, width=1, height=1, overflow="visible")


def time_axis(axis: Axis) -> Shape:
    """Return the ruler above the rows; its right end is named exactly where the picture ends."""
    drawn = []
    for position, tick in enumerate(axis.ticks()):
        part = axis.part(tick)
        x = share_of_width(part, 1)
        drawn.append(shape("line", x1=x, x2=x, y1=AXIS - 5, y2=AXIS, class_="grid"))
        if part <= 0.9:
            words = axis.words(tick)
            anchor = "middle" if part > 0.02 else "start"
            look = "axis axis-more" if position % 2 or part > 0.7 else "axis"  # no room for these on a phone
            drawn.append(shape("text", words, x=x, y=AXIS - 8, class_=look, text_anchor=anchor))
    drawn.append(
        shape("text", axis.words(axis.end_ns), x="100%", y=AXIS - 8, class_="axis axis-end", text_anchor="end")
    )
    name = f"Time axis, {duration(axis.start_ns)} to {duration(axis.end_ns)}"
    return picture(*drawn, view=(100, AXIS), name=name, class_="time-axis", fluid=True)
