"""A journey's edges as boxes and wires: services with their operations inside, what they call to the right."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from collector.core.mandatory import reached
from collector.store.values import CallPath, Edge, Node, PathShare
from ui.draw.graph import GraphBox, GraphRow, GraphWire, dependency_graph
from ui.draw.svg import Shape
from ui.draw.text import count_of, shown
from ui.draw.units import count, duration, percent
from ui.views.address import journey_address
from ui.views.requirement import EdgeRequirement

WITHOUT_SPANS = ("database", "queue", "external")
"""Kinds of callee that send no spans; each is a box of its own."""
ROWS_THAT_FIT = 32
"""A graph with at most so many operations shows them all unless it is told otherwise."""


@dataclass(frozen=True, slots=True)
class EdgeRow:
    """An edge with what is known of whether its caller needs it."""

    edge: Edge
    requirement: EdgeRequirement
    address: str
    """Traces in which the callee was called."""
    boost: str
    """Of the page that asks whether to keep more of these calls' traces."""
    need: str = "undetermined"
    """What the call is for the journey, however much its own caller needs it."""
    way_share: float = 0.0
    """Of the critical path, on the way to the callee and back, where the edge does not have it."""

    @property
    def path_share(self) -> float:
        """Of the critical path, on the way and below the call."""
        return min(1.0, self.edge.critical_share + self.way_share)

    @property
    def failed_share(self) -> float:
        """Of the calls; 0 where no span says how it ended."""
        return self.edge.failed / self.edge.calls if self.edge.status_known and self.edge.calls else 0.0


@dataclass(slots=True)
class _Box:
    """A box in the making."""

    id: str
    name: str
    kind: str
    operations: dict[str, float]
    """Each with its own share of the path."""
    share: float = 0.0
    incoming: dict[str, float] = field(default_factory=dict)
    """Share of the path in the calls that reach each operation: on their way and below them."""

    @property
    def through(self) -> float:
        return min(1.0, max(self.share, sum(self.incoming.values())))


def about(edges: Sequence[EdgeRow], name: str) -> list[EdgeRow]:
    """Return the calls on the ways to a service (or what a box is called) and on from it; all for "" or a stranger."""
    ways = [(row.edge.caller, row.edge.callee) for row in edges]
    there = {node for way in ways for node in way if box_name(node) == name}
    if not there:
        return list(edges)
    on, back = reached(there, ways), reached(there, [(callee, caller) for caller, callee in ways])
    return [row for row, (caller, callee) in zip(edges, ways, strict=True) if caller in on or callee in back]


def box_name(node: Node) -> str:
    """Return what the box of a node is called."""
    return node.service or node.operation or node.kind


def callee_name(edge: Edge) -> str:
    """Return what the callee is called in a sentence."""
    return shown(" ".join(part for part in (edge.callee.service, edge.callee.operation) if part) or edge.callee.kind)


def graph_of(
    journey: str,
    edges: Sequence[EdgeRow],
    operations: Sequence[PathShare],
    call_paths: Sequence[CallPath],
    opened: Sequence[str],
    parameters: Mapping[str, str],
) -> Shape:
    """Return the picture; `opened` names the services that show their operations (`*`: all; `none`: none)."""
    boxes = _boxes(edges, operations, call_paths)
    shows = _opened(boxes.values(), opened)
    rows = {key: _rows(box) if key in shows else {} for key, box in boxes.items()}
    wires = _wires(edges, rows)
    drawn = [
        GraphBox(
            id=box.id,
            name=shown(box.name),
            kind=box.kind,
            share=box.share if box.kind == "service" else box.through,
            words=_box_words(box),
            through=box.through,
            href=_toggle(journey, box, shows, boxes, parameters) if box.kind == "service" and box.operations else "",
            rows=tuple(_graph_row(box, name, share) for name, share in _sorted_rows(box) if key in shows),
        )
        for key, box in boxes.items()
    ]
    return dependency_graph(drawn, wires, f"Dependency graph of {shown(journey)}")


def _box_id(node: Node) -> str:
    return f"{node.kind}:{node.service or node.operation}" if node.kind in WITHOUT_SPANS else f"service:{node.service}"


def _boxes(edges: Sequence[EdgeRow], operations: Sequence[PathShare], calls: Sequence[CallPath]) -> dict[str, _Box]:
    boxes: dict[str, _Box] = {}

    def box_of(node: Node) -> _Box:
        kind = node.kind if node.kind in WITHOUT_SPANS else "service"
        key = _box_id(node)
        return boxes.setdefault(key, _Box(key, box_name(node), kind, {}))

    for call in sorted(calls, key=lambda call: -call.mean_ns):
        if not call.parent:
            box_of(Node(call.service, call.operation, call.kind))
    for row in edges:
        for node in (row.edge.caller, row.edge.callee):
            if node.operation and node.kind not in WITHOUT_SPANS:
                box_of(node).operations.setdefault(node.operation, 0.0)
            box_of(node)
        callee = box_of(row.edge.callee)
        reached = row.edge.callee.operation
        callee.incoming[reached] = callee.incoming.get(reached, 0.0) + row.path_share
    for operation in operations:
        key = f"service:{operation.service}"
        if key in boxes:
            boxes[key].share += operation.share
    for service, name, share in _folded(calls, boxes):
        boxes[f"service:{service}"].operations[name] += share
    return boxes


def _folded(calls: Sequence[CallPath], boxes: Mapping[str, _Box]) -> list[tuple[str, str, float]]:
    """Give each call path's own time to the nearest operation at or above it that the graph shows for its service."""
    by_id = {call.id: call for call in calls}
    whole = sum(call.mean_ns for call in calls)
    folded = []
    for call in calls:
        at: CallPath | None = call
        for _ in range(len(calls)):
            if at is None or at.service != call.service:
                break
            box = boxes.get(f"service:{at.service}")
            if box is not None and at.operation in box.operations:
                folded.append((at.service, at.operation, call.mean_ns / whole if whole else 0.0))
                break
            at = by_id.get(at.parent)
    return folded


def _opened(boxes: Iterable[_Box], asked: Sequence[str]) -> set[str]:
    services = [box for box in boxes if box.kind == "service" and box.operations]
    if not asked:
        fits = sum(len(box.operations) for box in services) <= ROWS_THAT_FIT
        return {box.id for box in services} if fits else set()
    return {box.id for box in services if "*" in asked or box.name in asked}


def _sorted_rows(box: _Box) -> list[tuple[str, float]]:
    return sorted(box.operations.items(), key=lambda item: (-item[1], item[0]))


def _graph_row(box: _Box, name: str, share: float) -> GraphRow:
    return GraphRow(shown(name), share, max(share, box.incoming.get(name, 0.0)))


def _rows(box: _Box) -> dict[str, int]:
    return {name: i for i, (name, _) in enumerate(_sorted_rows(box))}


def _toggle(journey: str, box: _Box, shows: set[str], boxes: Mapping[str, _Box], parameters: Mapping[str, str]) -> str:
    """Return the address of the same graph with one box opened or closed."""
    after = shows ^ {box.id}
    names = [other.name for key, other in boxes.items() if key in after] or ["none"]
    return journey_address(journey, parameters, open=names) + "#graph"


def _wires(edges: Sequence[EdgeRow], rows: Mapping[str, Mapping[str, int]]) -> list[GraphWire]:
    """One wire between two ends, whatever the number of edges; between closed boxes they are added up."""
    bundles: dict[tuple[str, int, str, int], list[EdgeRow]] = {}
    for row in edges:
        caller, callee = row.edge.caller, row.edge.callee
        source, target = _box_id(caller), _box_id(callee)
        ends = (source, rows[source].get(caller.operation, -1), target, rows[target].get(callee.operation, -1))
        if source != target or ends[1] != ends[3]:
            bundles.setdefault(ends, []).append(row)
    return [
        GraphWire(
            source=source,
            target=target,
            source_row=source_row,
            target_row=target_row,
            share=min(1.0, sum(row.path_share for row in bundle)),
            failed_share=max(row.failed_share for row in bundle),
            requirement=_together(row.requirement.drawn for row in bundle),
            words="; ".join(_wire_words(row) for row in bundle[:8]),
            badge=next((row.requirement.badge for row in bundle if row.requirement.badge), ""),
        )
        for (source, source_row, target, target_row), bundle in bundles.items()
    ]


def _together(requirements: Iterable[str]) -> str:
    """What a bundle of edges is: mandatory if any is, since the caller needs that one."""
    found = set(requirements)
    if len(found) == 1:
        return found.pop()
    return next(word for word in ("mandatory", "mixed", "undetermined", "optional") if word in found)


def _wire_words(row: EdgeRow) -> str:
    edge, requirement = row.edge, row.requirement
    declared = f", declared {requirement.declared}" if requirement.declared else ""
    return (
        f"{shown(edge.caller.service)} {shown(edge.caller.operation)} → {callee_name(edge)}: "
        f"{percent(row.path_share)} of the path in it{_on_the_way(row)}; {count(edge.calls)} calls{_failed(row)}, "
        f"mean {duration(edge.mean_ns)}; {requirement.observed}{declared} ({requirement.words})"
    )


def _on_the_way(row: EdgeRow) -> str:
    return f", {percent(row.way_share)} on the way to it" if row.way_share else ""


def _failed(row: EdgeRow) -> str:
    return f", {percent(row.failed_share)} of them failed" if row.failed_share else ""


def _box_words(box: _Box) -> str:
    if box.kind != "service":
        return f"{shown(box.name)}, {box.kind} without spans of its own: {percent(box.through)} of the path"
    held = f", {count_of(len(box.operations), 'operation')}" if box.operations else ""
    return f"{shown(box.name)}: {percent(box.share)} of the path is its own{held}"
