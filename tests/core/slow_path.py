"""The rules of the critical path, slowly: a judge for `collector.core.explain`, never a replacement.

Written from the rules alone, in their order, one function a rule, recursive and quadratic where that is plainer.
It shares nothing with the fast implementation but the values both return.

Where the rules leave a choice, this is how they are read here:

Identity
 1. Copies are exact when all columns agree (text by text, resource and scope by value); `body` is not compared.
 2. Conflicting copies: the longest as sent (a missing or negative length is 0), the earliest, one that has an end,
    and last the smallest in the order of its columns' values.
 3. An id with CLIENT and SERVER copies: SERVER copies compete for the server node, all others for the other one.
 4. The server half's parent is the client half, whatever its own parent says; that edge is never FOLLOWS_FROM.
Parents
 5. A span whose parent is its own id is cut at itself, shared ids or not.
 6. "Earliest-starting" means as sent. Only the member at which a cycle is cut is flagged, and becomes a head.
 7. "Smallest id": as an unsigned number; of two halves the client is smaller.
 7a. A SERVER without a parent that an `adopted` link of its trace leads to is the child of whoever links to it.
Target
 8. Fragments are all nodes without parent and all children that nobody waited for, except the target itself;
    also when the target is one span or the whole trace.
Time
 9. "Asynchronous" edges are FOLLOWS_FROM and PRODUCER to CONSUMER, not `not_awaited`.
10. A missing end is inferred from descendants at every depth, as sent, and is never before the own start.
11. Rule 4 comes before rule 5: an inferred end is not inferred again after clocks were corrected.
Skew
12. Top-down, against the client where it is by then; also over asynchronous and `not_awaited` edges.
13. "Its subtree on the same host": descendants reached from the server from parent to child, each on one host
    with its parent. A span may move more than once; `skew-shifted` where the sum is not 0.
14. A shift of exactly `max_skew` is made. "Without any of them": without any key that both carry.
Blocking
15. "Its own duration" in the tolerance is the child's. No tolerance for starting at the parent's end.
16. `client-gave-up` flags the server, only where it outlives by more than the tolerance, also under `clip`.
17. `clip` lifts the limit on outliving alone: asynchronous, `not_awaited` and outside children stay out.
The walk
18. The clock tick is read from the times as sent of the spans that remain after rule 1 (missing ends left out).
19. "Clipped to it": to the span as far as it is itself on the path, so clips and cuts reach down the tree.
    Latest end and earliest start compare clipped times. What has no length after clipping is no candidate.
20. Own time is `self-in-flight` from the earliest start (or the predecessor's end) of blocking children running
    at t; the rest of the stretch keeps its ordinary reason.
Reasons
21. `leaf`: no blocking child with time. `network`: a CLIENT that has a blocking SERVER child with time.
22. `clipped`: the section touches the place where its owner was clipped to its parent (or with it, to its
    parent's parent); not where a tolerated overlap was cut.
23. Precedence: self-in-flight, clipped, network, then leaf and self-*. A section's flags are its owner's.
Honesty
24. An ambiguous stretch reaches from the earliest start of any other candidate to t, within one own stretch;
    candidates are blocking children running at t and children left out only because they outlived.
25. It goes to the candidate with the latest (unclipped) end, then earliest start, then smallest id: the part of
    the stretch in which that child ran, as divided by the path that the child has as a target of its own. The rest
    stays with the parent. Doubts inside that path are not followed.
26. Completeness: a section counts once, when its owner is flagged `skew-shifted` or `end-inferred`, or is a CLIENT
    with a `peer_service` that reports and is not its own, and has neither a SERVER child nor a child of that service.
27. With T = 0 completeness is 1 and ambiguity 0.
The whole trace
28. From the smallest start to the largest end of all nodes. The path begins at the end of the node that ends last
    (then starts first, then has the smallest id), and walks as rule 7 does; at the node's start it continues with
    the cause: of parent and linked spans that started before, the one with the latest end (cut at that moment),
    then the earliest start, then the smallest id; where there is none, of all nodes by the same order. Time
    between the cause's end and the start is the cause's: `queue`, or `idle` after a span that is no cause but
    merely came before. The cause is walked back from that moment (its children clipped to itself, not to that
    moment), then its own cause follows.
29. Slack and drag are not defined for it (None).

Slack and drag are in slow_replay.py.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from collector.core.detail import Link
from collector.core.explain import Explanation, Fragment, PathNode, PathPolicy, Section
from collector.core.spans import (
    HOST_KEYS,
    KIND_CLIENT,
    KIND_CONSUMER,
    KIND_PRODUCER,
    KIND_SERVER,
    LINKS,
    OUTCOME_NOT_AWAITED,
    STRING_COLUMNS,
    SpanBatch,
)
from tests.core import slow_replay

MILLISECOND_NS = 1_000_000
MICROSECOND_NS = 1_000
DEFAULT_POLICY = PathPolicy()
LinksOf = Callable[[int], Iterable[Link]]
RULE_FLAGS = {
    "conflicting-duplicate",
    "cycle-cut",
    "negative-duration",
    "end-inferred",
    "skew-too-large",
    "skew-shifted",
    "client-gave-up",
}
"""The flags of spans that the rules name."""


@dataclass(eq=False, slots=True)
class Node:
    """A span while the rules work on it."""

    row: int
    span_id: int
    is_server_half: bool
    parent_id: int
    follows_from: bool
    service: str
    operation: str
    kind: int
    not_awaited: bool
    peer_service: str
    hosts: tuple[str, ...]
    sent_start: int
    sent_end: int
    linked: frozenset[int]
    adopts: int
    """The root that it called by an `adopted` link, 0 for none."""
    start: int
    end: int
    shift: int = 0
    parent: "Node | None" = None
    children: list["Node"] = field(default_factory=list)
    head: str = ""
    """Why it has no parent: `root`, `orphan`, `cycle`."""
    blocking: bool = True
    only_outlived: bool = False
    """Left out only because it outlived its parent (rule 12)."""
    flags: set[str] = field(default_factory=set)
    time: int = 0
    lost: int = 0
    gained: int = 0

    @property
    def order(self) -> tuple[int, bool]:
        return self.span_id, self.is_server_half

    @property
    def id(self) -> str:
        return f"{self.span_id:016x}" + ("/server" if self.is_server_half else "")

    @property
    def duration(self) -> int:
        return self.end - self.start

    @property
    def asynchronous(self) -> bool:
        """Whether the edge to the parent is FOLLOWS_FROM or PRODUCER to CONSUMER."""
        if self.parent is None:
            return False
        follows = self.follows_from and not self.is_server_half
        return follows or (self.parent.kind == KIND_PRODUCER and self.kind == KIND_CONSUMER)

    @property
    def is_server_of_client(self) -> bool:
        return self.kind == KIND_SERVER and self.parent is not None and self.parent.kind == KIND_CLIENT


def slow_explain(
    batch: SpanBatch,
    policy: PathPolicy = DEFAULT_POLICY,
    target: str = "root",
    reporting_services: frozenset[str] | None = None,
    links: LinksOf | None = None,
) -> list[Explanation]:
    """Explain every trace of `batch`; arguments and result are those of `collector.core.explain.explain`."""
    services = reporting_services
    if services is None:
        services = frozenset(batch.text(service) for service in batch.service)
    rows_of: dict[str, list[int]] = {}
    for row in range(len(batch)):
        rows_of.setdefault(batch.trace_id(row), []).append(row)
    explained = [
        _explain_trace(trace_id, rule_1_identity(batch, rows, links), policy, target, services)
        for trace_id, rows in rows_of.items()
    ]
    return [explanation for explanation in explained if explanation is not None]


def _explain_trace(
    trace_id: str, nodes: list[Node], policy: PathPolicy, target: str, services: frozenset[str]
) -> Explanation | None:
    tick = clock_tick(nodes)
    rule_2_parents(nodes)
    rule_4_time(nodes)
    rule_5_skew(nodes, policy.max_skew_ns)
    rule_6_blocking(nodes, policy, tick)

    chosen = rule_3_target(nodes, target)
    if chosen is None and target != "trace":
        return None
    if chosen is None:
        walk = Walk(tick).whole_trace(nodes)
        start, duration = min(n.start for n in nodes), max(n.end for n in nodes) - min(n.start for n in nodes)
    else:
        walk = Walk(tick).span(chosen)
        start, duration = chosen.start, chosen.duration
    rule_12_intervals(walk)
    return _result(trace_id, nodes, policy, chosen, start, duration, walk, services)


# Rule 1. Identity. A span is (trace id, span id).


def rule_1_identity(batch: SpanBatch, rows: Sequence[int], links: LinksOf | None) -> list[Node]:
    """Drop exact copies, split ids that a client and a server share, let one of conflicting copies win."""
    copies: dict[tuple[int, bool], dict[tuple[object, ...], list[int]]] = {}
    clients = {int(batch.span_id[row]) for row in rows if batch.kind[row] == KIND_CLIENT}
    for row in rows:
        span_id = int(batch.span_id[row])
        is_server_half = bool(batch.kind[row] == KIND_SERVER) and span_id in clients
        copies.setdefault((span_id, is_server_half), {}).setdefault(_content(batch, row), []).append(row)

    nodes = []
    for (_, is_server_half), contents in copies.items():
        winner = min(contents, key=lambda content: (_merit(batch, contents[content][0]), content))
        node = _node(batch, contents[winner], is_server_half, links)
        if len(contents) > 1:
            node.flags.add("conflicting-duplicate")
        nodes.append(node)
    return nodes


def _content(batch: SpanBatch, row: int) -> tuple[object, ...]:
    """All that the columns say of the row, in values that do not depend on the batch."""
    values: list[object] = []
    for name, column in batch.columns().items():
        if name in STRING_COLUMNS:
            values.append(batch.text(int(column[row])))
        elif name not in ("at", "size", "resource", "scope"):
            values.append(int(column[row]))
    resource, scope = int(batch.resource[row]), int(batch.scope[row])
    values.append(batch.text(int(batch.resources.service[resource])))
    values += [batch.text(int(value)) for value in batch.resources.host[resource]]
    values.append(batch.text(int(batch.resources.schema_url[resource])))
    values += [batch.text(int(batch.scopes.columns()[name][scope])) for name in ("name", "version", "schema_url")]
    return tuple(values)


def _merit(batch: SpanBatch, row: int) -> tuple[int, int, bool]:
    """Smaller is better: the longest wins, then the earliest."""
    start, end = int(batch.start_time_unix_nano[row]), int(batch.end_time_unix_nano[row])
    return -max(0, end - start), start, end == 0


def _node(batch: SpanBatch, rows: list[int], is_server_half: bool, links: LinksOf | None) -> Node:
    row = rows[0]
    start, end = int(batch.start_time_unix_nano[row]), int(batch.end_time_unix_nano[row])
    trace_id = batch.trace_id(row)
    linked = [link for copy in rows for link in (links(copy) if links else ())]
    return Node(
        row=row,
        span_id=int(batch.span_id[row]),
        is_server_half=is_server_half,
        parent_id=int(batch.parent_span_id[row]),
        follows_from=bool(batch.follows_from[row]),
        service=batch.text(int(batch.service[row])),
        operation=batch.text(int(batch.name[row])),
        kind=int(batch.kind[row]),
        not_awaited=bool(batch.outcome[row] == OUTCOME_NOT_AWAITED),
        peer_service=batch.text(int(batch.peer_service[row])),
        hosts=tuple(batch.text(int(value)) for value in batch.resources.host[int(batch.resource[row])]),
        sent_start=start,
        sent_end=end,
        linked=frozenset(int(link.span_id, 16) for link in linked if link.trace_id == trace_id),
        adopts=_adopts(batch, row),
        start=start,
        end=end,
    )


def _adopts(batch: SpanBatch, row: int) -> int:
    link = int(batch.link_trace_id_high[row]), int(batch.link_trace_id_low[row])
    own = int(batch.trace_id_high[row]), int(batch.trace_id_low[row])
    return int(batch.link_span_id[row]) if LINKS[batch.link_type[row]] == "adopted" and link == own else 0


# Rule 2. Parent.


def rule_2_parents(nodes: list[Node]) -> None:
    """Tie each node to its parent; say of those without one why."""
    by_id = {node.order: node for node in nodes}
    adopters = {node.adopts: node.span_id for node in sorted(nodes, key=lambda node: -node.row)}
    for node in nodes:
        if node.parent_id == 0 and node.kind == KIND_SERVER:
            node.parent_id = adopters.get(node.span_id, 0)
    for node in nodes:
        node.parent = _parent(node, by_id)
        if node.parent is None:
            node.head = "root" if node.parent_id == 0 else "orphan"
        if node.parent_id == node.span_id and not node.is_server_half:
            _cut(node)
    for node in nodes:
        cycle = _cycle_through(node)
        if cycle:
            _cut(min(cycle, key=lambda member: (member.sent_start, member.order)))
    for node in nodes:
        if node.parent is not None:
            node.parent.children.append(node)


def _parent(node: Node, by_id: dict[tuple[int, bool], Node]) -> Node | None:
    """The server is a child of the client; the id's children on the server's service belong to the server."""
    if node.is_server_half:
        return by_id[node.span_id, False]
    server = by_id.get((node.parent_id, True))
    if server is not None and server.service == node.service:
        return server
    return by_id.get((node.parent_id, False))


def _cycle_through(node: Node) -> list[Node]:
    members = [node]
    while (parent := members[-1].parent) is not None and parent not in members:
        members.append(parent)
    return members if members[-1].parent is node else []


def _cut(node: Node) -> None:
    node.parent = None
    node.head = "cycle"
    node.flags.add("cycle-cut")


# Rule 3. Target.


def rule_3_target(nodes: list[Node], target: str) -> Node | None:
    """The primary root, or the span that was asked for; None for the whole trace or a span that is not here."""
    if target == "root":
        heads = [node for node in nodes if node.head]
        ranks = {"root": 0, "orphan": 1, "cycle": 2}
        return min(heads, key=lambda node: (ranks[node.head], -node.duration, node.start, node.order))
    return next((node for node in nodes if node.id == target), None)


def rule_3_fragments(nodes: list[Node], target: Node | None) -> list[tuple[Node, str]]:
    """Every other root or orphan, and (rule 6) every child that does not block."""
    heads = [node for node in nodes if node is not target and (node.head or not node.blocking)]
    return [(node, node.head or "not-blocking") for node in heads]


# Rule 4. Time.


def rule_4_time(nodes: list[Node]) -> None:
    """Make every node end, and none before its start."""
    for node in nodes:
        if node.sent_end == 0:
            latest = _latest_end_below(node)
            node.end = node.start if latest is None else max(node.start, latest)
            node.flags.add("end-inferred")
        elif node.sent_end < node.start:
            node.end = node.start
            node.flags.add("negative-duration")


def _latest_end_below(node: Node) -> int | None:
    """The latest end among its descendants over edges that are not asynchronous."""
    ends = []
    for child in node.children:
        if child.asynchronous:
            continue
        below = _latest_end_below(child)
        ends += [below] if below is not None else []
        if child.sent_end != 0:
            ends.append(max(child.start, child.sent_end))
        else:
            ends.append(child.start if below is None else max(child.start, below))
    return max(ends, default=None)


# Rule 5. Clock skew.


def rule_5_skew(nodes: list[Node], max_skew_ns: int) -> None:
    """Move servers that do not fit in their clients, from the heads down."""
    for node in nodes:
        if node.head:
            _correct_below(node, max_skew_ns)
    for node in nodes:
        if node.shift != 0:
            node.flags.add("skew-shifted")


def _correct_below(client: Node, max_skew_ns: int) -> None:
    for server in client.children:
        if server.is_server_of_client and not on_one_host(client, server):
            shift = _shift_into(client, server)
            if abs(shift) > max_skew_ns:
                server.flags.add("skew-too-large")
            elif shift != 0:
                _move(server, shift)
        _correct_below(server, max_skew_ns)


def _shift_into(client: Node, server: Node) -> int:
    if client.start <= server.start and server.end <= client.end:
        return 0
    if server.duration <= client.duration:
        return client.start + (client.duration - server.duration) // 2 - server.start
    return max(0, client.start - server.start)


def _move(node: Node, shift: int) -> None:
    """Move the node, with its subtree on the same host."""
    node.start += shift
    node.end += shift
    node.shift += shift
    for child in node.children:
        if on_one_host(node, child):
            _move(child, shift)


def on_one_host(one: Node, other: Node) -> bool:
    """Whether they agree on the first key that both carry, or without any are of one service."""
    for position in range(len(HOST_KEYS)):
        if one.hosts[position] and other.hosts[position]:
            return one.hosts[position] == other.hosts[position]
    return one.service == other.service


# Rule 6. Blocking.


def rule_6_blocking(nodes: list[Node], policy: PathPolicy, tick: int) -> None:
    """Say for which children their parents wait."""
    for node in nodes:
        if node.parent is None:
            continue
        parent = node.parent
        outside = node.start >= parent.end or node.end < parent.start
        if node.asynchronous or outside or node.not_awaited:
            node.blocking = False
        elif node.end - parent.end > max(tick, min(MILLISECOND_NS, node.duration // 100)):
            if node.is_server_of_client:
                node.flags.add("client-gave-up")
            elif policy.overflow != "clip":
                node.blocking = False
                node.only_outlived = True


# Rule 7. The walk.


def clock_tick(nodes: list[Node]) -> int:
    """1 ms or 1 us when all of the trace's timestamps are multiples of it, else 1 ns."""
    times = [time for node in nodes for time in (node.sent_start, node.sent_end)]
    for tick in (MILLISECOND_NS, MICROSECOND_NS):
        if all(time % tick == 0 for time in times):
            return tick
    return 1


@dataclass(frozen=True, slots=True)
class Window:
    """How much of a span is on the path: from `start` to `end`; `bound` is where its ancestors' ends clip it."""

    start: int
    end: int
    bound: int


@dataclass(frozen=True, slots=True)
class Child:
    """A blocking child as clipped to its parent's window."""

    node: Node
    start: int
    end: int


def clipped_children(parent: Node, start: int, end: int) -> list[Child]:
    """The blocking children as far as they lie in [start, end]; those without time there are left out."""
    clipped = [Child(c, max(c.start, start), min(c.end, end)) for c in parent.children if c.blocking]
    return [child for child in clipped if child.start < child.end]


def predecessor(children: Iterable[Child], t: int, tick: int) -> Child | None:
    """The latest end, then the earliest start, then the smallest id, of what had ended by t (or a tick later)."""
    ended = [child for child in children if child.start < t and child.end <= t + tick]
    return min(ended, key=lambda child: (-child.end, child.start, child.node.order), default=None)


@dataclass(frozen=True, slots=True)
class Piece:
    """A section to be."""

    owner: Node
    start: int
    end: int
    reason: str

    @property
    def length(self) -> int:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Doubt:
    """Own time during which another child could be argued for: `start` to `end`, and from `moved` on it was `other`."""

    owner: Node
    start: int
    end: int
    moved: int
    other: Node


class Walk:
    """Collects the pieces of one path, from its end to its start."""

    def __init__(self, tick: int) -> None:
        self.tick = tick
        self.pieces: list[Piece] = []
        self.doubts: list[Doubt] = []

    def span(self, node: Node) -> "Walk":
        """Walk one span as a target."""
        self._walk(node, Window(node.start, node.end, node.end), node.end)
        self.pieces.reverse()
        return self

    def whole_trace(self, nodes: list[Node]) -> "Walk":
        """Walk from the last end to the first start, from effect to cause."""
        first_start, t = min(node.start for node in nodes), max(node.end for node in nodes)
        effect: Node | None = None
        while t > first_start:
            causes = _causes(effect, t, nodes)
            before = causes or [node for node in nodes if node.start < t]
            cause = min(before, key=lambda node: (-min(node.end, t), node.start, node.order))
            self._add(cause, cause.end, t, "queue" if causes else "idle")
            self._walk(cause, Window(cause.start, cause.end, cause.end), min(cause.end, t))
            effect, t = cause, cause.start
        self.pieces.reverse()
        return self

    def _walk(self, node: Node, window: Window, t: int) -> None:
        children = clipped_children(node, window.start, window.end)
        while True:
            before = predecessor(children, t, self.tick)
            own_from = window.start if before is None else before.end
            if own_from < t:
                reason = rule_11_reason(node, children, before is None, t == window.end)
                self._own_stretch(node, window, children, own_from, t, reason)
            if before is None:
                return
            end, bound = min(before.end, t), min(before.node.end, window.bound)
            self._walk(before.node, Window(before.start, end, bound), end)
            t = before.start

    def _own_stretch(
        self, node: Node, window: Window, children: list[Child], start: int, end: int, reason: str
    ) -> None:
        """Give [start, end] to the node; what passes while a blocking child runs is in flight."""
        running = [child for child in children if child.start < end < child.end]
        in_flight_from = max(start, min((child.start for child in running), default=end))
        self._add(node, in_flight_from, end, "self-in-flight")
        if is_clipped(node, window, start, in_flight_from):
            reason = "clipped"
        self._add(node, start, in_flight_from, reason)

        others = [child.node for child in running] + [c for c in node.children if c.only_outlived and c.start < end]
        if others:
            other = min(others, key=lambda child: (-child.end, child.start, child.order))
            doubtful_from = max(start, min(child.start for child in others))
            self.doubts.append(Doubt(node, doubtful_from, end, max(start, other.start), other))

    def _add(self, owner: Node, start: int, end: int, reason: str) -> None:
        """Rule 8: pieces touch, because the walk never skips; zero-length spans carry no time."""
        if start < end:
            self.pieces.append(Piece(owner, start, end, reason))


def _causes(effect: Node | None, t: int, nodes: list[Node]) -> list[Node]:
    """What the start of `effect` at t waited for, as far as it started before."""
    if effect is None:
        return []
    causes = [node for node in nodes if node is effect.parent or node.span_id in effect.linked]
    return [node for node in causes if node.start < t]


# Rule 11. Reasons.


def rule_11_reason(node: Node, children: list[Child], is_first: bool, is_last: bool) -> str:
    """Why a stretch is the node's own, clips and running children aside."""
    if not children:
        return "leaf"
    if node.kind == KIND_CLIENT and any(child.node.kind == KIND_SERVER for child in children):
        return "network"
    if is_first:
        return "self-first"
    return "self-last" if is_last else "self-between"


def is_clipped(node: Node, window: Window, start: int, end: int) -> bool:
    """Whether [start, end] touches the place where the node was clipped to its parent."""
    at_the_end = end == window.end == window.bound < node.end
    at_the_start = start == window.start > node.start
    return at_the_end or at_the_start


# Rule 12. Honesty.


def rule_12_intervals(walk: Walk) -> None:
    """Sum up each span's time, and what it would lose and gain if doubtful stretches went to the other candidate."""
    for piece in walk.pieces:
        piece.owner.time += piece.length
    for doubt in walk.doubts:
        doubt.owner.lost += doubt.end - doubt.moved
        for piece in Walk(walk.tick).span(doubt.other).pieces:
            piece.owner.gained += max(0, min(piece.end, doubt.end) - max(piece.start, doubt.moved))


def rule_12_ambiguity(walk: Walk, duration: int) -> float:
    return sum(doubt.end - doubt.start for doubt in walk.doubts) / duration if duration else 0.0


def rule_12_completeness(walk: Walk, duration: int, services: frozenset[str]) -> float:
    """1 minus the share of T in sections that are shifted, inferred, or a CLIENT whose callee reports elsewhere."""
    incomplete = sum(piece.length for piece in walk.pieces if _is_incomplete(piece.owner, services))
    return 1 - incomplete / duration if duration else 1.0


def _is_incomplete(node: Node, services: frozenset[str]) -> bool:
    if node.flags & {"skew-shifted", "end-inferred"}:
        return True
    is_here = any(c.kind == KIND_SERVER or c.service == node.peer_service for c in node.children)
    is_other = node.peer_service in services and node.peer_service != node.service
    return node.kind == KIND_CLIENT and is_other and not is_here


# The answer


def _result(
    trace_id: str,
    nodes: list[Node],
    policy: PathPolicy,
    target: Node | None,
    start: int,
    duration: int,
    walk: Walk,
    services: frozenset[str],
) -> Explanation:
    ordered = _depth_first(nodes)
    position = {node: index for index, node in enumerate(ordered)}

    def sections(pieces: list[Piece]) -> tuple[Section, ...]:
        return tuple(
            Section(position[piece.owner], piece.start, piece.end, piece.reason, tuple(sorted(piece.owner.flags)))
            for piece in pieces
        )

    measures = {} if target is None else slow_replay.measure(_graph(target), walk.tick)
    return Explanation(
        trace_id=trace_id,
        policy=policy,
        target=-1 if target is None else position[target],
        target_start_unix_nano=start,
        target_duration_ns=duration,
        sections=sections(walk.pieces),
        nodes=tuple(_path_node(node, position, target, measures) for node in ordered),
        fragments=tuple(
            Fragment(position[node], kind, sections(Walk(walk.tick).span(node).pieces))
            for node, kind in sorted(rule_3_fragments(nodes, target), key=lambda fragment: position[fragment[0]])
        ),
        completeness=rule_12_completeness(walk, duration, services),
        ambiguity=rule_12_ambiguity(walk, duration),
        flags=tuple(sorted({flag for node in nodes for flag in node.flags} | (set() if duration else {"no-length"}))),
    )


def _depth_first(nodes: list[Node]) -> list[Node]:
    """Each node behind its parent, siblings by start."""
    ordered: list[Node] = []

    def visit(siblings: list[Node]) -> None:
        for node in sorted(siblings, key=lambda node: (node.start, node.order)):
            ordered.append(node)
            visit(node.children)

    visit([node for node in nodes if node.head])
    return ordered


def _graph(target: Node) -> slow_replay.Job:
    """The target and all that it waits for, each clipped to its parent, as jobs to replay."""

    def job(node: Node, start: int, end: int) -> slow_replay.Job:
        children = [job(child.node, child.start, child.end) for child in clipped_children(node, start, end)]
        return slow_replay.Job(node.order, start, end, node.time, tuple(children))

    return job(target, target.start, target.end)


def _path_node(
    node: Node,
    position: dict[Node, int],
    target: Node | None,
    measures: dict[tuple[int, bool], slow_replay.Measures],
) -> PathNode:
    measured = measures.get(node.order)
    no_drag = None if target is None else 0
    return PathNode(
        id=node.id,
        row=node.row,
        parent=-1 if node.parent is None else position[node.parent],
        service=node.service,
        operation=node.operation,
        kind=node.kind,
        start_unix_nano=node.start,
        end_unix_nano=node.end,
        shift_ns=node.shift,
        blocking=node.blocking,
        flags=tuple(sorted(node.flags)),
        time_ns=node.time,
        time_min_ns=node.time - node.lost,
        time_max_ns=node.time + node.gained,
        slack_ns=measured.slack if measured else None,
        slack_max_ns=measured.slack_max if measured else None,
        drag_ns=measured.drag if measured else no_drag,
        drag_min_ns=min(measured.drag, measured.drag_max) if measured else no_drag,
        drag_max_ns=measured.drag_max if measured else no_drag,
    )
