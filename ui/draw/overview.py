"""The strip above the rows of a large trace: all of its path, cut by service, and which part the rows show. Pure.

▓▓▓▓▓▓▓▒▒▒▒▓▓▓▓▓▓▓▓▓▓▓▓
██▓▓███████▓▓██▓▓██████    a slice is full where the path has time in it; the shades are those of the key
  ┃▏                       the rows' window, and how it widens to the rows below
━━┛ ┗━━━━━━━━━━━━━━━━━━
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ui.draw.svg import Shape, picture, points, shape, share_of_width, stretched, title
from ui.draw.waterfall import Axis

HEIGHT = 40
FUNNEL = 14
_UNITS = 1_000
"""Units of the stretched part's width."""


@dataclass(frozen=True, slots=True)
class Slice:
    times_ns: tuple[int, ...]
    """By shade, from the bottom."""
    words: str
    """What a pointer over it reads."""
    href: str = ""
    failed: int = 0


def overview(slices: Sequence[Slice], shades: Sequence[str], axis: Axis, window: Axis, name: str) -> Shape:
    """Return the strip.

    Args:
        shades: classes of theme.css, one for each time of a slice.
        window: what the rows show; a script moves it while somebody scrolls.
    """
    highest = max((sum(each.times_ns) for each in slices), default=0)
    layers = [_layer(slices, i, shade, highest) for i, shade in enumerate(shades)] if highest else []
    step = _UNITS / max(len(slices), 1)
    start, end = axis.part(window.start_ns), axis.part(window.end_ns)
    return picture(
        stretched(*layers, *(_target(each, i, step) for i, each in enumerate(slices)), width=_UNITS, height=HEIGHT),
        *(_cross((i + 0.5) / len(slices)) for i, each in enumerate(slices) if each.failed),
        shape(
            "rect",
            x=share_of_width(start, 1),
            y=0,
            width=share_of_width(end - start, 1),
            height=HEIGHT,
            class_="lens",
        ),
        shape(
            "svg",
            shape("path", d=funnel(start, end), class_="funnel", vector_effect="non-scaling-stroke"),
            y=HEIGHT,
            viewBox=f"0 0 {_UNITS} {FUNNEL}",
            width="100%",
            height=FUNNEL,
            preserveAspectRatio="none",
        ),
        view=(100, HEIGHT + FUNNEL),
        name=name,
        description="; ".join(each.words for each in slices[:: max(len(slices) // 6, 1)]),
        class_="overview",
        fluid=True,
        role="group",
    )


def funnel(start: float, end: float) -> str:
    """Return the `d` of the two lines from a window's ends, 0 to 1, to the ends of the rows."""
    left, right = round(_UNITS * start, 1), round(_UNITS * end, 1)
    return points([(0, FUNNEL), (left, 0)]) + points([(right, 0), (_UNITS, FUNNEL)])


def _layer(slices: Sequence[Slice], layer: int, shade: str, highest: int) -> Shape:
    """One service's times as an area on top of those before it."""
    step = _UNITS / len(slices)
    upper: list[tuple[float, float]] = []
    lower: list[tuple[float, float]] = []
    for i, each in enumerate(slices):
        above = sum(each.times_ns[: layer + 1])
        below = above - each.times_ns[layer]
        for line, time_ns in ((upper, above), (lower, below)):
            y = HEIGHT * (1 - time_ns / highest)
            line += [(i * step, y), ((i + 1) * step, y)]
    return shape("path", d=f"{points([*upper, *reversed(lower)])}Z", class_=shade)


def _target(each: Slice, i: int, step: float) -> Shape:
    """What a pointer finds: the words of a slice, and where it leads. Keys walk the path by [ and ]."""
    area = shape("rect", title(each.words), x=i * step, y=0, width=step, height=HEIGHT, class_="slice")
    return shape("a", area, href=each.href, tabindex=-1) if each.href else area


def _cross(at: float) -> Shape:
    mark = shape("path", d="M-3.5 4L3.5 11M3.5 4L-3.5 11", class_="cross")
    return shape("svg", mark, x=share_of_width(at, 1), y=0, width=1, height=1, overflow="visible")
