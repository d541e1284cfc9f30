"""The rows of a trace's waterfall, prepared once and shown window by window.

A page shows 500 of them; a script asks for more as somebody scrolls (`trace_window`). What all windows share is kept
for a minute, so that rows do not shift under who scrolls and a trace of 100,000 spans is read once.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import NamedTuple

import numpy as np

from collector.core.detail import OutlinedSpans, SpanOutline
from collector.core.explain import Explanation, PathNode, Section
from collector.core.spans import (
    KIND_CLIENT,
    KIND_CONSUMER,
    KIND_PRODUCER,
    KIND_SERVER,
    REQUIREMENTS,
    STATUS_ERROR,
    SpanBatch,
)
from ui.draw.svg import Shape
from ui.draw.text import shown
from ui.draw.units import exact_duration
from ui.draw.waterfall import Axis, Bar, Step, time_axis, waterfall
from ui.views.trace_overview import Overview, Timeline, overview_of
from ui.views.trace_rows import ROWS, RowWindow, depths, list_rows, on_path
from ui.views.words import KINDS, reason_words

EVENTS_ON_A_BAR = 20
MOST_OF = 0.6
"""A target that is shorter than this part of its trace gets the width for itself where only its path is shown."""
HELD_S = 60
HELD_NODES = 250_000


@dataclass(frozen=True, slots=True)
class TraceRow:
    """A span as a row of the waterfall. Offsets count from the start of the trace, in ns."""

    id: str
    depth: int
    service: str
    operation: str
    callee: str
    """Whom a CLIENT or PRODUCER without a callee in the trace called; empty otherwise."""
    kind: str
    offset_ns: int
    duration_ns: int
    time_ns: int
    on_path: bool
    failed: bool
    requirement: str
    """Declared; empty where it is not."""
    blocking: bool
    flags: tuple[str, ...]
    events_ns: tuple[int, ...]
    selected: bool


@dataclass(frozen=True, slots=True)
class LineStep:
    """A section as a step of the line through the rows."""

    row: int
    """The row that stands for the span: -1 above the page's rows, their number below them."""
    shown: bool
    """The span itself is that row."""
    offset_ns: int
    duration_ns: int
    reason: str


class SheetKey(NamedTuple):
    """What a sheet is of: everything in the address but the window."""

    trace_id: str
    of: str
    show: str
    find: str


class Sheet:
    """All rows of one state of a trace's page."""

    def __init__(self, spans: OutlinedSpans, explained: Explanation, show: str, find: str) -> None:
        self.spans = spans
        self.explained = explained
        self.nodes = explained.nodes
        self.show = show or ("all" if len(self.nodes) <= ROWS else "path")
        self.find = find
        self.begin = min(node.start_unix_nano for node in self.nodes)
        self.end = max(node.end_unix_nano for node in self.nodes)
        self.on_path = on_path(explained)
        failed = spans.batch.status_code == STATUS_ERROR
        self.failed = [bool(failed[node.row]) for node in self.nodes]
        self.callees = callees(spans.batch, self.nodes)
        self.listing = list_rows(explained, self._wanted())
        self._depth = depths(self.nodes)
        self._timeline = Timeline(explained, self.begin)

    def _wanted(self) -> Callable[[int], bool]:
        if self.find:
            return self._finds(self.find.casefold())
        match self.show:
            case "path":
                return self.on_path.__contains__
            case "errors":
                return lambda i: self.failed[i] or i in self.on_path
            case _:
                return lambda _: True

    def _finds(self, text: str) -> Callable[[int], bool]:
        saying = self.spans.rows_saying(text)
        return lambda i: (
            text in self.nodes[i].service.casefold()
            or text in self.nodes[i].operation.casefold()
            or self.nodes[i].id.startswith(text)
            or self.nodes[i].row in saying
        )

    def axis(self) -> Axis:
        """Return the whole trace's, or the target's where the rest would squeeze its path."""
        start = self.explained.target_start_unix_nano - self.begin
        end = start + self.explained.target_duration_ns
        whole = self.end - self.begin
        squeezed = self.show == "path" and not self.find and end - start < MOST_OF * whole
        return Axis(start, end) if squeezed else Axis(0, whole)

    def axis_of(self, window: RowWindow) -> Axis:
        """Return the axis of the rows of a page: on a large trace's whole length their bars would be slivers.

        Spans that go on in rows beyond the window, as the root of all does, are cut off by it rather than stretch it.
        """
        if self.listing.pages == 1 or not window.nodes:
            return self.axis()
        going_on = self._going_on(window)
        whole = [position for position in window.nodes if position not in going_on]
        rows = [self.nodes[position] for position in whole or window.nodes]
        starts, ends = (node.start_unix_nano for node in rows), (node.end_unix_nano for node in rows)
        return Axis(min(starts) - self.begin, max(ends) - self.begin)

    def _going_on(self, window: RowWindow) -> set[int]:
        """Return what is above the first row after the window."""
        behind = window.first + len(window.nodes)
        after = self.listing.nodes[behind : behind + 1]
        found: set[int] = set()
        at = self.nodes[after[0]].parent if after else -1
        while at >= 0:
            found.add(at)
            at = self.nodes[at].parent
        return found

    def overview(self) -> Overview | None:
        """Return the whole of the path; None where the rows of one page show it."""
        if self.listing.pages == 1:
            return None
        failed = [node.start_unix_nano for node in compress(self.nodes, self.failed)]
        return overview_of(self._timeline, self.axis(), self.nodes, np.array(failed, np.int64) - self.begin)

    def rows(self, window: RowWindow, selected: int = -1) -> tuple[TraceRow, ...]:
        outlines = self.spans.outlines([self.nodes[position].row for position in window.nodes])
        return tuple(
            self._row(position, outline, position == selected)
            for position, outline in zip(window.nodes, outlines, strict=True)
        )

    def _row(self, position: int, outline: SpanOutline, is_selected: bool) -> TraceRow:
        node = self.nodes[position]
        events = outline.events_unix_nano[:EVENTS_ON_A_BAR]
        return TraceRow(
            id=node.id,
            depth=self._depth[position],
            service=shown(node.service),
            operation=shown(node.operation),
            callee=shown(self.callees[position]),
            kind=KINDS[node.kind],
            offset_ns=node.start_unix_nano - self.begin,
            duration_ns=node.end_unix_nano - node.start_unix_nano,
            time_ns=node.time_ns,
            on_path=position in self.on_path,
            failed=self.failed[position],
            requirement=REQUIREMENTS[int(self.spans.batch.requirement[node.row])],
            blocking=node.blocking,
            flags=node.flags,
            events_ns=tuple(time + node.shift_ns - self.begin for time in events),
            selected=is_selected,
        )

    def line(self, window: RowWindow, axis: Axis) -> tuple[LineStep, ...]:
        """Return the sections of the path that draw anything among these rows on this axis, in order of time."""
        sections, within = self.explained.sections, self._timeline.among(axis)
        touched = window.touched(self._timeline.owners[within]) + within.start
        return tuple(self._step(sections[i], window) for i in touched.tolist())

    def side_line(self, window: RowWindow) -> tuple[LineStep, ...]:
        """Return the sections of the fragments whose spans are among these rows."""
        return tuple(
            self._step(section, window)
            for fragment in self.explained.fragments
            for section in fragment.sections
            if window.shows(section.node)
        )

    def _step(self, section: Section, window: RowWindow) -> LineStep:
        return LineStep(
            row=window.row(section.node),
            shown=window.shows(section.node),
            offset_ns=section.start_unix_nano - self.begin,
            duration_ns=section.duration_ns,
            reason=section.reason,
        )


class Sheets:
    """Remembers the sheets that somebody scrolls through, for a minute. Thread-safe."""

    def __init__(self, held_nodes: int = HELD_NODES, held_s: float = HELD_S) -> None:
        self._held_nodes = held_nodes
        self._held_ns = held_s * 1e9
        self._held: OrderedDict[SheetKey, tuple[int, Sheet]] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, key: SheetKey, sheet: Sheet, now_unix_nano: int) -> None:
        with self._lock:
            self._held[key] = (now_unix_nano, sheet)
            self._held.move_to_end(key)
            while len(self._held) > 1 and sum(len(held.nodes) for _, held in self._held.values()) > self._held_nodes:
                self._held.popitem(last=False)

    def get(self, key: SheetKey, now_unix_nano: int) -> Sheet | None:
        """Return a sheet that was put lately, None where it is too old or was never there; its minute begins anew."""
        with self._lock:
            made, sheet = self._held.pop(key, (0, None))
            if sheet is None or now_unix_nano - made > self._held_ns:
                return None
            self._held[key] = (now_unix_nano, sheet)
            return sheet


def callees(batch: SpanBatch, nodes: Sequence[PathNode]) -> list[str]:
    """Return for each CLIENT and PRODUCER whose callee has no span in the trace what it called, else ""."""
    reached = {node.parent for node in nodes if node.kind in (KIND_SERVER, KIND_CONSUMER)}
    named = (batch.messaging_destination, batch.peer_service, batch.server_address, batch.db_namespace, batch.db_system)
    return [
        next((batch.text(int(column[node.row])) for column in named if column[node.row] >= 0), "")
        if node.kind in (KIND_CLIENT, KIND_PRODUCER) and position not in reached
        else ""
        for position, node in enumerate(nodes)
    ]


def ways(nodes: Sequence[PathNode]) -> list[str]:
    """Return for each span that does nothing but make one call of another service, that service, else "".

    What is left of such a span when its callee is taken out is the way: network, queue or connection. One that does not
    say that it is a client is one where it has a caller itself, and one span below it.
    """
    below: list[list[str]] = [[] for _ in nodes]
    for node in nodes:
        if node.parent >= 0:
            below[node.parent].append(node.service)
    return [called[0] if _is_way(node, called) else "" for node, called in zip(nodes, below, strict=True)]


def _is_way(node: PathNode, called: Sequence[str]) -> bool:
    if not called or len(set(called)) > 1 or called[0] == node.service or node.kind in (KIND_SERVER, KIND_CONSUMER):
        return False
    return node.kind in (KIND_CLIENT, KIND_PRODUCER) or (len(called) == 1 and node.parent >= 0)


def name_of(service: str, operation: str, callee: str) -> str:
    """What a span is called in a sentence."""
    return " ".join(shown(word) for word in (service, operation, callee and f"→ {callee}") if word)


def draw_rows(
    trace_id: str,
    address: str,
    rows: Sequence[TraceRow],
    line: Sequence[LineStep],
    side_line: Sequence[LineStep],
    axis: Axis,
) -> Mapping[str, Shape]:
    """Draw the rows, the path through them, and the ruler above.

    Args:
        address: of the page's state, up to `span=ID`.
    """
    bars = [
        Bar(
            words=_bar_words(row),
            start_ns=row.offset_ns,
            end_ns=row.offset_ns + row.duration_ns,
            href=f"{address}span={row.id}#span",
            on_path=row.on_path,
            failed=row.failed,
            optional=row.requirement == "optional",
            events_ns=row.events_ns,
        )
        for row in rows
    ]
    steps = [_step(rows, step, axis) for step in line]
    side = [_step(rows, step, axis) for step in side_line]
    name = f"Spans of trace {trace_id}, the critical path as one line through them"
    return {"waterfall": waterfall(bars, steps, side, axis, name), "axis": time_axis(axis)}


def _bar_words(row: TraceRow) -> str:
    failed = ", failed" if row.failed else ""
    on_path = f", {exact_duration(row.time_ns)} on the path" if row.on_path else ""
    return f"{name_of(row.service, row.operation, row.callee)}: {exact_duration(row.duration_ns)}{on_path}{failed}"


def _step(rows: Sequence[TraceRow], step: LineStep, axis: Axis) -> Step:
    end_ns = step.offset_ns + step.duration_ns
    words = ""
    if step.shown and axis.shows(step.offset_ns, end_ns):  # a pointer finds no others
        row = rows[step.row]
        whose = name_of(row.service, row.operation, row.callee)
        words = f"{whose}, {exact_duration(step.duration_ns)}: {reason_words(step.reason)}"
    return Step(
        row=step.row,
        start_ns=step.offset_ns,
        end_ns=end_ns,
        words=words,
        ambiguous=step.reason == "self-in-flight",
        owns=step.shown,
    )
