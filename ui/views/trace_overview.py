"""A large trace at a glance: whose the path's time was, moment by moment, over all of it. Pure.

Its rows are read window by window; this stands above them, and says where in the whole each window lies.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from collector.core.explain import Explanation, PathNode, Section
from collector.core.spans import IntColumn
from ui.draw.bars import BarPart, shaded
from ui.draw.overview import Slice, overview
from ui.draw.svg import Shape
from ui.draw.text import shown
from ui.draw.units import duration, whole_percent
from ui.draw.waterfall import Axis, time_axis

SLICES = 120
"""Of the whole trace: fine enough to see a change, wide enough to be clicked on."""


@dataclass(frozen=True, slots=True)
class OverviewSlice:
    """A stretch of the trace, of the same length as all others."""

    times_ns: tuple[int, ...]
    """Time on the path by service, in the order of the overview's services; what is missing is of others."""
    rest_ns: int
    """Time on the path of all other services."""
    span: str
    """Id of the span with the longest stretch of the path in it; empty where there is none."""
    section: int
    """Which section of the path that is, from 0; -1 likewise."""
    failed: int
    """How many spans that failed began in it."""


@dataclass(frozen=True, slots=True)
class Overview:
    """The path of a whole trace, cut into slices. Offsets count from the start of the trace, in ns."""

    start_ns: int
    end_ns: int
    services: tuple[str, ...]
    """Those with most time on the path, most first."""
    parts: tuple[BarPart, ...]
    """The path by service, the others as one."""
    slices: tuple[OverviewSlice, ...]


class Timeline:
    """The sections of a path as columns, made once for all windows of a trace."""

    def __init__(self, explained: Explanation, begin_unix_nano: int) -> None:
        sections: Sequence[Section] = explained.sections
        nodes, starts, *_ = zip(*sections, strict=True) if sections else ((), ())
        self.owners = np.array(nodes, np.int64)
        self.starts = np.array(starts, np.int64) - begin_unix_nano
        last = sections[-1].end_unix_nano - begin_unix_nano if sections else 0
        self.ends = np.append(self.starts[1:], last) if sections else self.starts  # they touch

    def lengths_within(self, axis: Axis) -> IntColumn:
        """Return how much of each section lies within the axis, in ns."""
        within: IntColumn = np.minimum(self.ends, axis.end_ns) - np.maximum(self.starts, axis.start_ns)
        return np.maximum(within, 0)

    def times_between(self, edges: IntColumn, wanted: NDArray[np.bool_]) -> IntColumn:
        """Return the time of the sections that are wanted between each edge and the next, in ns."""
        if not len(self.starts):
            return np.zeros(len(edges) - 1, np.int64)
        at = np.clip(np.searchsorted(self.starts, edges, "right") - 1, 0, None)
        within = np.clip(np.minimum(edges, self.ends[at]) - self.starts[at], 0, None)
        before = np.concatenate(([0], np.cumsum(np.where(wanted, self.ends - self.starts, 0))))
        return np.diff(before[at] + np.where(wanted[at], within, 0))

    def longest_within(self, axis: Axis) -> int:
        """Return the section with most time within the axis, -1 where none has any."""
        there = self.among(axis)
        if there.start == there.stop:
            return -1
        length = np.minimum(self.ends[there], axis.end_ns) - np.maximum(self.starts[there], axis.start_ns)
        return int(there.start) + int(np.argmax(length))

    def among(self, axis: Axis) -> slice:
        """Return which sections have time within the axis."""
        first = int(np.searchsorted(self.ends, axis.start_ns, "right"))
        return slice(first, max(int(np.searchsorted(self.starts, axis.end_ns, "left")), first))


def overview_of(timeline: Timeline, axis: Axis, nodes: Sequence[PathNode], failed_ns: IntColumn) -> Overview:
    """Return the path within the axis, in SLICES.

    Args:
        nodes: those of the explanation.
        failed_ns: when spans that failed began; offsets from the start of the trace.
    """
    edges = np.linspace(axis.start_ns, axis.end_ns, SLICES + 1).astype(np.int64)
    services = [node.service for node in nodes]
    number = {name: i for i, name in enumerate(dict.fromkeys(services))}
    service = np.fromiter(map(number.__getitem__, services), np.int64, len(services))
    owner = service[timeline.owners]
    parts = _parts(timeline.lengths_within(axis), owner, tuple(number))
    named = tuple(part.name for part in parts if part.shade != "path-rest")
    times = [timeline.times_between(edges, owner == number[name]) for name in named]
    rest = timeline.times_between(edges, owner >= 0) - sum(times)
    failed, _ = np.histogram(failed_ns, edges)
    slices = []
    for i in range(SLICES):
        section = timeline.longest_within(Axis(int(edges[i]), int(edges[i + 1])))
        slices.append(
            OverviewSlice(
                times_ns=tuple(int(time_ns[i]) for time_ns in times),
                rest_ns=int(rest[i]),
                span=nodes[int(timeline.owners[section])].id if section >= 0 else "",
                section=section,
                failed=int(failed[i]),
            )
        )
    return Overview(axis.start_ns, axis.end_ns, tuple(map(shown, named)), parts, tuple(slices))


def _parts(lengths_ns: IntColumn, owner: IntColumn, names: Sequence[str]) -> tuple[BarPart, ...]:
    """Return the services by their time on the path, the largest with a shade each.

    Args:
        lengths_ns, owner: of each section; `owner` points into `names`.
    """
    sums = np.bincount(owner, lengths_ns, len(names))
    whole = float(sums.sum())
    largest = [int(i) for i in np.argsort(-sums, kind="stable") if sums[i]]
    shares = {names[i]: float(sums[i]) / whole for i in largest}
    return shaded(shares, whole, list(shares))


def draw_overview(page: Overview, address: str, window: Axis) -> dict[str, Shape]:
    """Draw the strip and its ruler.

    Args:
        address: of the page's state, up to `span=ID`.
        window: what the rows below it show.
    """
    axis = Axis(page.start_ns, page.end_ns)
    length = (page.end_ns - page.start_ns) / len(page.slices)
    slices = [
        Slice(
            times_ns=(*each.times_ns, each.rest_ns),
            words=_words(page, each, page.start_ns + round(i * length)),
            href=f"{address}span={each.span}&section={each.section}#span" if each.span else "",
            failed=each.failed,
        )
        for i, each in enumerate(page.slices)
    ]
    shades = [part.shade for part in page.parts[: len(page.services)]] + ["path-rest"]
    drawn = overview(slices, shades, axis, window, "The critical path over the whole trace, by service")
    return {"overview": drawn, "overview_axis": time_axis(axis)}


def _words(page: Overview, each: OverviewSlice, start_ns: int) -> str:
    whole = sum(each.times_ns) + each.rest_ns
    largest = sorted(zip(each.times_ns, page.services, strict=True), reverse=True)[:3]
    said = [f"{name} {whole_percent(time_ns / whole)}" for time_ns, name in largest if time_ns]
    failed = [f"{each.failed} failed"] if each.failed else []
    return f"from {duration(start_ns)}: {', '.join([*said, *failed]) or 'not on the path'}"
