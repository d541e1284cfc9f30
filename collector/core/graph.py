"""A dependency graph: operations (or services) and what they call, by journey, with evidence. Plain values.

`graph_build` makes one of traces, `graph_levels` one of services from one of operations, `graph_export` text of it.
"""

from dataclasses import dataclass

import networkx as nx

from collector.core.queue_promises import QueuePromise
from collector.core.requirement import Verdict, as_known
from collector.core.said import NOTHING_SAID, Said


@dataclass(frozen=True, slots=True)
class GraphNode:
    """An operation, a service, or a callee without spans of its own."""

    service: str
    operation: str
    """Empty for a service."""
    kind: str
    """One of `NODE_KINDS`, or `service`."""
    calls: int = 0
    """How often it was called, or began a trace."""

    @property
    def id(self) -> str:
        """Unique in a graph and readable in an export: "shop / GET /cart"."""
        name = f"{self.service or '?'} / {self.operation}" if self.operation else self.service or "?"
        return name if self.kind in ("server", "unspecified", "service") else f"{name} ({self.kind})"


@dataclass(frozen=True, slots=True)
class GraphEdge:
    """A caller that reaches a callee in one journey."""

    journey: str
    caller: GraphNode
    callee: GraphNode
    kind: str
    """One of `EDGE_KINDS`."""
    traces: int
    calls: int
    attempts: int
    """At least `calls`: retries and hedges of one call are attempts of it."""
    failed: int
    survived: int
    """Failed calls after which the caller ended well."""
    confounded: int
    """Failed calls beside which another call failed; they are no evidence."""
    blocking: bool
    """Whether any of the calls was waited for."""
    declared: str | None
    verdict: Verdict
    journey_verdict: Verdict
    """Whether the journey survives the call's failure, as far as that was seen."""
    critical_share: float
    """Time on the critical path in the calls and below them, relative to the duration of the journey."""
    p50_ns: int | None
    """Duration of a call; None where only means are known."""
    p95_ns: int | None
    p99_ns: int | None
    fallbacks: tuple[tuple[GraphNode, int], ...] = ()
    """What was called in a failed call's place, and how often."""
    wait_p50_ns: int | None = None
    """How long messages waited in the queue; None where that is not known."""
    wait_p95_ns: int | None = None
    injected: int = 0
    """Of the failed calls, those that somebody made fail, by an injected fault or delay; they are evidence, too."""
    waited: int = 0
    """Calls that the caller waited for."""
    mean_ns: float = 0.0
    """Duration of a call, from its first attempt."""
    promise: QueuePromise | None = None
    """What the queue promises, by its name or cpdd.toml."""
    delivered: int = 0
    """Messages of which it is known how long they waited."""
    in_time: int = 0
    """Of these, received within what is promised."""
    own_failed: int = 0
    """Of the failed calls, those that neither a failed call below nor an injected fault took down."""
    blamed: int = 0
    """Failed traces that this call has the blame for."""
    blamed_injected: int = 0
    """Of these, those in which somebody made it fail."""
    first_unix_nano: int = 0
    """Start of the first trace with it; 0 where only sums are known."""
    last_unix_nano: int = 0
    said: Said = NOTHING_SAID
    """Of a span around a call: how long its caller waits at most, and what it has instead."""
    examples: tuple[str, ...] = ()
    """Ids of traces: with a failed call, else those that are longest blocked on it."""
    around: str | None = None
    """What the span around the call declares, where the call itself is not declared."""

    @property
    def as_declared(self) -> str | None:
        """What is declared of the call, or of the span around it."""
        return self.declared or self.around

    @property
    def requirement(self) -> str:
        """What the call is taken for: as seen, else as declared."""
        return as_known(self.verdict.verdict, self.as_declared)

    def to_json(self) -> dict[str, object]:
        return {
            "journey": self.journey,
            "caller": self.caller.id,
            "callee": self.callee.id,
            "kind": self.kind,
            "traces": self.traces,
            "calls": self.calls,
            "attempts": self.attempts,
            "failed": self.failed,
            "survived": self.survived,
            "requirement": {
                "verdict": self.verdict.verdict,
                "survival": self.verdict.survival,
                "interval": list(self.verdict.interval),
                "witnesses": self.verdict.witnesses,
                "declared": self.declared,
                "declared_around": self.around,
                "declared_fallback": self.said.fallback or None,
                "deadline_ns": self.said.deadline_ns or None,
                "declared_group": self.said.group or None,
                "declared_quorum": self.said.quorum or None,
                "blocking": self.blocking,
                "confounded": self.confounded,
                "needed": self.verdict.needed,
                "why": self.verdict.why,
                "fallbacks": [{"callee": node.id, "calls": calls} for node, calls in self.fallbacks],
                "journey": {
                    "verdict": self.journey_verdict.verdict,
                    "survival": self.journey_verdict.survival,
                    "interval": list(self.journey_verdict.interval),
                },
            },
            "critical_share": self.critical_share,
            "p50_ns": self.p50_ns,
            "p95_ns": self.p95_ns,
            "p99_ns": self.p99_ns,
            "wait_p50_ns": self.wait_p50_ns,
            "wait_p95_ns": self.wait_p95_ns,
            "injected": self.injected,
            "own_failed": self.own_failed,
            "blamed": self.blamed,
            "waited": self.waited,
            "mean_ns": self.mean_ns,
            "promise": self._promise_json(),
            "examples": list(self.examples),
        }

    def _promise_json(self) -> dict[str, object] | None:
        if self.promise is None:
            return None
        return {
            "share": self.promise.share,
            "within_ns": self.promise.within_ns,
            "delivered": self.delivered,
            "in_time": self.in_time,
        }


@dataclass(frozen=True, slots=True)
class DependencyGraph:
    """Nodes and what they call. Edges by journey, most critical first."""

    nodes: tuple[GraphNode, ...]
    edges: tuple[GraphEdge, ...]
    roots: tuple[tuple[str, GraphNode], ...] = ()
    """Where journeys begin."""

    def to_json(self) -> dict[str, object]:
        """Return the JSON of `cpdd graph --json`; docs/reference/cli.md describes it."""
        return {
            "nodes": [
                {
                    "id": node.id,
                    "service": node.service,
                    "operation": node.operation,
                    "kind": node.kind,
                    "calls": node.calls,
                }
                for node in self.nodes
            ],
            "edges": [edge.to_json() for edge in self.edges],
        }

    def to_networkx(self) -> "nx.MultiDiGraph[str]":
        """Return the graph as networkx has it; edges are keyed by journey and kind.

        Attributes are strings, integers, floats or booleans, as GraphML wants; docs/reference/graph.md describes them.
        """
        graph: nx.MultiDiGraph[str] = nx.MultiDiGraph()
        for node in self.nodes:
            graph.add_node(node.id, service=node.service, operation=node.operation, kind=node.kind, calls=node.calls)
        for edge in self.edges:
            graph.add_edge(edge.caller.id, edge.callee.id, key=f"{edge.journey} {edge.kind}", **_attributes(edge))
        return graph


_TIMES = ("p50_ns", "p95_ns", "p99_ns", "wait_p50_ns", "wait_p95_ns")


def _attributes(edge: GraphEdge) -> dict[str, str | int | float | bool]:
    verdict = edge.verdict
    return {
        "journey": edge.journey,
        "kind": edge.kind,
        "traces": edge.traces,
        "calls": edge.calls,
        "attempts": edge.attempts,
        "failed": edge.failed,
        "survived": edge.survived,
        "confounded": edge.confounded,
        "verdict": verdict.verdict,
        "survival": -1.0 if verdict.survival is None else verdict.survival,
        "survival_low": verdict.interval[0],
        "survival_high": verdict.interval[1],
        "needed": verdict.needed,
        "journey_verdict": edge.journey_verdict.verdict,
        "declared": edge.declared or "",
        "declared_around": edge.around or "",
        "declared_fallback": edge.said.fallback,
        "deadline_ns": edge.said.deadline_ns,
        "declared_group": edge.said.group,
        "declared_quorum": edge.said.quorum,
        "blocking": edge.blocking,
        "fallbacks": ", ".join(node.id for node, _ in edge.fallbacks),
        "critical_share": edge.critical_share,
        **{name: -1 if (value := getattr(edge, name)) is None else value for name in _TIMES},
    }
