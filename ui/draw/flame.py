"""The flame graph of a critical path: width is time on the path, a row is a step down the calls. Pure.

shop                                        1.93 s
payment                  | cart             |       a frame is as wide as the path's time in it and below it;
bank           |         | redis  |         |       what no callee covers is its own, and is the darker the more
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from collector.store.values import CallPath
from ui.draw.svg import Shape, link, picture, shape, share_of_width, title
from ui.draw.text import shown
from ui.draw.units import duration, percent

ROW = 22
SHOWN_FROM = 0.001
"""Frames narrower than this share of the whole are left out; the table has them."""


@dataclass(frozen=True, slots=True)
class Frame:
    call: CallPath
    depth: int
    start_ns: float
    """From the left end of the whole picture."""
    total_ns: float
    """Its own time on the path and that of all below it."""

    @property
    def own_ns(self) -> float:
        return self.call.mean_ns


def frames(calls: Sequence[CallPath]) -> list[Frame]:
    """Return the frames, callers before callees, the largest of siblings first.

    A call whose caller is not among `calls` stands at the top.
    """
    known = {call.id for call in calls}
    children: dict[int, list[CallPath]] = {}
    for call in calls:
        children.setdefault(call.parent if call.parent in known and call.parent != call.id else 0, []).append(call)
    order, depth = _depth_first(children)
    total = {call.id: call.mean_ns for call in order}
    for call in reversed(order):
        if depth[call.id]:
            total[call.parent] += total[call.id]
    for siblings in children.values():
        siblings.sort(key=lambda call: (-total.get(call.id, 0.0), call.service, call.operation))
    order, depth = _depth_first(children)
    free: dict[int, float] = {0: 0.0}
    made: list[Frame] = []
    for call in order:
        above = call.parent if depth[call.id] else 0
        start = free[above]
        free[above] = start + total[call.id]
        free[call.id] = start
        made.append(Frame(call, depth[call.id], start, total[call.id]))
    return made


def _depth_first(children: dict[int, list[CallPath]]) -> tuple[list[CallPath], dict[int, int]]:
    order: list[CallPath] = []
    depth: dict[int, int] = {}
    stack = [(call, 0) for call in reversed(children.get(0, []))]
    while stack:
        call, level = stack.pop()
        if call.id in depth:
            continue
        order.append(call)
        depth[call.id] = level
        stack += [(child, level + 1) for child in reversed(children.get(call.id, []))]
    return order, depth


def flame_graph(calls: Sequence[CallPath], name: str, hrefs: Mapping[int, str] | None = None) -> Shape:
    """Return the picture, as wide as the page lets it be.

    Args:
        hrefs: where a frame leads, by the id of its call; one that is not there leads nowhere.
    """
    hrefs = hrefs or {}
    made = frames(calls)
    whole = sum(frame.total_ns for frame in made if frame.depth == 0)
    kept = [frame for frame in made if whole and frame.total_ns >= SHOWN_FROM * whole]
    rows = max((frame.depth for frame in kept), default=0) + 1
    largest = max((frame.own_ns for frame in kept), default=0.0)
    drawn = [_frame(frame, whole, largest, hrefs.get(frame.call.id, "")) for frame in kept]
    return picture(
        *drawn,
        view=(100, rows * ROW),
        name=name,
        description=_words(kept, whole),
        class_="flame",
        fluid=True,
        role="group" if hrefs else "img",
    )


def _frame(frame: Frame, whole: float, largest: float, href: str) -> Shape:
    """An inner <svg> cuts its text off at its own edge, so that no width of text need be known."""
    label = f"{shown(frame.call.service)} {shown(frame.call.operation)}"
    words = (
        f"{label}: {duration(frame.total_ns)} on the path ({percent(frame.total_ns / whole)}), "
        f"of which its own {duration(frame.own_ns)}; in {percent(frame.call.participation)} of the traces"
    )
    strength = _strength(frame.own_ns, largest)
    drawn = (
        title(words),
        shape("rect", x=0, y=0, width="100%", height=ROW - 1, class_=f"frame frame-{strength}"),
        shape("text", shown(label), x=6, y=15, class_=f"frame-text frame-text-{strength}"),
    )
    return shape(
        "svg",
        *((link(href, *drawn),) if href else drawn),
        x=share_of_width(frame.start_ns, whole),
        y=frame.depth * ROW,
        width=share_of_width(frame.total_ns, whole),
        height=ROW,
    )


def _strength(own_ns: float, largest: float) -> int:
    """0 (hands on all of its time) to 4 (owns the most of it)."""
    return 0 if not largest else min(4, round(4 * own_ns / largest + 0.35)) if own_ns > 0.01 * largest else 0


def _words(kept: Sequence[Frame], whole: float) -> str:
    by_own = sorted(kept, key=lambda frame: -frame.own_ns)[:5]
    return "; ".join(
        f"{shown(frame.call.service)} {shown(frame.call.operation)} {percent(frame.own_ns / whole)}" for frame in by_own
    )
