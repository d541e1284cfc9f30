"""Traces as points: when they began, and how long they took, on a logarithmic scale. Pure.

 1 s  |          x            a cross for one that failed; each point leads to its trace;
      |  .   . .    .         a script lets an area be chosen, which the corners' values are for
10 ms | .  .   .  .   .
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

from collector.store.values import Window
from ui.draw.histogram import round_durations
from ui.draw.svg import Shape, picture, shape, share_of_width
from ui.draw.units import duration

HEIGHT = 160
SCALE = 8
"""Room above and below the points."""
SQUEEZED = 1 / 3
"""Traces that fill less of the window get the width for themselves."""
LEAST_NS = 10_000_000_000
"""Of time on the axis, where the window has so much."""


@dataclass(frozen=True, slots=True)
class Dot:
    words: str
    at_unix_nano: int
    duration_ns: int
    failed: bool
    href: str


@dataclass(frozen=True, slots=True)
class Area:
    """What the picture shows: the time from left to right, durations from bottom to top."""

    start_unix_nano: int
    end_unix_nano: int
    low_ns: float
    high_ns: float

    def x(self, unix_nano: int) -> float:
        """Return how far to the right a moment lies, 0 to 1."""
        return min(max((unix_nano - self.start_unix_nano) / (self.end_unix_nano - self.start_unix_nano), 0.0), 1.0)

    def y(self, duration_ns: float) -> float:
        """Return how many pixels from the top a duration lies."""
        part = log(max(duration_ns, self.low_ns) / self.low_ns) / log(self.high_ns / self.low_ns)
        return SCALE + (HEIGHT - 2 * SCALE) * (1 - min(part, 1.0))


def area_of(starts_unix_nano: Sequence[int], durations_ns: Sequence[int], window: Window) -> Area:
    """Return an area with room for all traces; where they fill little of the window, the part that they fill."""
    known = [max(each, 1) for each in durations_ns] or [1]
    start, end = _fitted(starts_unix_nano, window)
    return Area(start, end, min(known) / 1.2, max(known) * 1.2)


def _fitted(starts: Sequence[int], window: Window) -> tuple[int, int]:
    whole = window.end_unix_nano - window.start_unix_nano
    if not starts or max(starts) - min(starts) > SQUEEZED * whole:
        return window.start_unix_nano, window.end_unix_nano
    room = max((max(starts) - min(starts)) // 20, min(LEAST_NS, whole) // 20)
    start = max(min(starts) - room, window.start_unix_nano)
    return start, max(min(max(starts) + room, window.end_unix_nano), start + 1)


def scatter(dots: Sequence[Dot], area: Area, name: str) -> Shape:
    """Return the picture, as wide as the page lets it be. Keys reach the traces by the list, not by the picture."""
    lines: list[Shape] = []
    for value in round_durations(area.low_ns, area.high_ns):
        y = area.y(value)
        lines.append(shape("line", x1=0, x2="100%", y1=y, y2=y, class_="grid"))
        lines.append(shape("text", duration(value), x=0, y=y - 3, class_="axis-text"))
    drawn = [_dot(dot, area) for dot in sorted(dots, key=lambda dot: dot.failed)]
    return picture(
        *lines,
        *drawn,
        view=(100, HEIGHT),
        name=name,
        description=_words(dots),
        class_="scatter",
        fluid=True,
        role="group",
    )


def _dot(dot: Dot, area: Area) -> Shape:
    if dot.failed:
        mark = shape("path", d="M-4 -4L4 4M4 -4L-4 4", class_="cross")
    else:
        mark = shape("circle", r=3.5, class_="dot")
    place = shape(
        "svg", mark, x=share_of_width(area.x(dot.at_unix_nano), 1), y=area.y(dot.duration_ns), overflow="visible"
    )
    return shape("a", shape("title", dot.words), place, href=dot.href, tabindex=-1)


def _words(dots: Sequence[Dot]) -> str:
    if not dots:
        return "no traces"
    failed = sum(dot.failed for dot in dots)
    return (
        f"{len(dots)} traces, from {duration(min(d.duration_ns for d in dots))} "
        f"to {duration(max(d.duration_ns for d in dots))}; {failed} failed"
    )
