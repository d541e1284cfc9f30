"""Findings of a dependency graph: what the traces of files say without a store. Pure; behind `cpdd report`.

Rules that need time (budgets, nines, changes of the graph, lost context) see nothing here and say nothing.
"""

from collections.abc import Mapping
from dataclasses import replace
from hashlib import blake2b

from collector.core.availability import Operation, proportion
from collector.core.findings import KINDS, find
from collector.core.findings.model import EdgeSeen, Finding, JourneySeen, Look, QueueSeen
from collector.core.graph import DependencyGraph, GraphEdge, GraphNode
from collector.core.journeys import JourneyBook


def findings_of(graph: DependencyGraph, traces: Mapping[str, int], book: JourneyBook) -> tuple[Finding, ...]:
    """Return what a graph of operations says, what matters most first.

    Args:
        traces: how many each journey has.
        book: journeys that somebody named: who owns them, and what they promise.
    """
    edges = {_id(edge): edge for edge in graph.edges}
    look = Look(
        now_unix_nano=0,
        journeys=tuple(_journey(name, traces[name], graph, book) for name in sorted(traces)),
        queues=tuple(_queue(edge) for edge in graph.edges if edge.promise and edge.delivered),
    )
    found = []
    for finding in find(look):
        if isinstance(finding, Finding):
            journey, edge = book.by_name.get(finding.journey), edges.get(finding.edge_id)
            owner = journey.owner if journey else ""
            found.append(replace(finding, owner=owner, examples=edge.examples if edge else ()))
    return tuple(sorted(found, key=lambda one: (KINDS.index(one.kind), one.journey, one.title)))


def _journey(name: str, traces: int, graph: DependencyGraph, book: JourneyBook) -> JourneySeen:
    edges = tuple(_edge(edge) for edge in graph.edges if edge.journey == name)
    return JourneySeen(name, traces, edges, book.by_name.get(name))


def _edge(edge: GraphEdge) -> EdgeSeen:
    return EdgeSeen(
        id=_id(edge),
        caller=_operation(edge.caller),
        callee=_operation(edge.callee),
        kind=edge.kind,
        calls=edge.calls,
        failed=edge.failed,
        waited=edge.waited,
        critical_share=edge.critical_share,
        declared=edge.declared or "",
        verdict=edge.verdict.verdict,
        survival=edge.verdict.survival,
        interval=edge.verdict.interval,
        journey_verdict=edge.journey_verdict.verdict,
        injected=edge.injected,
        attempts=edge.attempts,
        mean_ns=edge.mean_ns,
        said=edge.said,
    )


def _queue(edge: GraphEdge) -> QueueSeen:
    assert edge.promise is not None
    return QueueSeen(
        edge_id=_id(edge),
        journey=edge.journey,
        queue=_operation(edge.caller),
        consumer=_operation(edge.callee),
        promised=edge.promise,
        kept=proportion(edge.in_time, edge.delivered, edge.delivered),
        late=edge.delivered - edge.in_time,
        messages=edge.delivered,
        typical_wait_ns=float(edge.wait_p50_ns or 0),
        waited_for=edge.blocking,
    )


def _operation(node: GraphNode) -> Operation:
    return (node.service, node.operation, node.kind)


def _id(edge: GraphEdge) -> int:
    """A number for an edge of a journey."""
    names = "\0".join((edge.journey, edge.caller.id, edge.callee.id, edge.kind))
    return int.from_bytes(blake2b(names.encode(errors="surrogatepass"), digest_size=8).digest(), "big")
