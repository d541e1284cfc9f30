"""A graph of operations to one of services. Pure.

A span around a call (`cpdd.call.*`) is a node of its own in the graph of operations; here the service calls what is
behind it, and needs it if it needs the span and the span needs the call.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import reduce

from collector.core.graph import DependencyGraph, GraphEdge, GraphNode
from collector.core.requirement import BY_NEED, UNDETERMINED, Verdict, inner_decides


def service_graph(graph: DependencyGraph) -> DependencyGraph:
    """Return who calls whom, service by service; calls inside a service are left out."""
    found: dict[tuple[str, str, str, str], list[GraphEdge]] = {}
    for edge in _seen_through(graph.edges):
        caller, callee = _service(edge.caller), _service(edge.callee)
        if caller != callee:
            key = (edge.journey, caller.id, callee.id, edge.kind)
            found.setdefault(key, []).append(replace(edge, caller=caller, callee=callee))
    edges = [reduce(_join, sorted(group, key=_weight)) for group in found.values()]
    edges.sort(key=lambda edge: (edge.journey, -edge.critical_share, edge.caller.id, edge.callee.id))
    counts: Counter[GraphNode] = Counter()
    for node in graph.nodes:
        counts[_service(node)] += 0
    for edge in edges:
        counts[edge.callee] += edge.calls
    roots = tuple(dict.fromkeys((journey, _service(node)) for journey, node in graph.roots))
    nodes = tuple(replace(node, calls=counts[node]) for node in sorted(counts, key=lambda node: node.id))
    return DependencyGraph(nodes, tuple(edges), roots)


def _service(node: GraphNode) -> GraphNode:
    """The service of an operation; what sends no spans stays what it is."""
    if node.kind in ("database", "queue", "external"):
        return replace(node, calls=0)
    return GraphNode(node.service, "", "service")


def _seen_through(edges: Sequence[GraphEdge]) -> Iterator[GraphEdge]:
    """Yield the edges, each that begins at a span around a call as if the service had made it itself."""
    around: dict[tuple[str, str], list[GraphEdge]] = {}
    for edge in edges:
        if edge.kind == "internal":
            around.setdefault((edge.journey, edge.callee.id), []).append(edge)
    for edge in edges:
        yield _through(edge, around, frozenset()) if edge.kind != "internal" else edge


def _through(edge: GraphEdge, around: dict[tuple[str, str], list[GraphEdge]], passed: frozenset[str]) -> GraphEdge:
    outer = around.get((edge.journey, edge.caller.id))
    if not outer or edge.caller.id in passed:
        return edge
    decisive = min(outer, key=_weight)
    nearer = replace(
        edge,
        caller=decisive.caller,
        declared=decisive.declared or edge.declared,
        around=decisive.around,
        said=decisive.said,
        blocking=edge.blocking and any(each.blocking for each in outer),
        survived=max(edge.survived, min(edge.failed, sum(each.survived for each in outer))),
        verdict=_behind(decisive.verdict, edge.verdict),
    )
    return _through(nearer, around, passed | {edge.caller.id})


def _behind(outer: Verdict, inner: Verdict) -> Verdict:
    """Whether the caller of `outer` survives a failure of what `inner` calls: if either of the two is survived."""
    return inner if inner_decides(outer.verdict, inner.verdict) else outer


def _weight(edge: GraphEdge) -> tuple[int, float, int, int]:
    survival = edge.verdict.survival
    declared = BY_NEED.index(edge.declared or UNDETERMINED)
    return BY_NEED.index(edge.verdict.verdict), 1.0 if survival is None else survival, -edge.failed, declared


def _join(first: GraphEdge, other: GraphEdge) -> GraphEdge:
    """Two edges between the same services; verdict and declaration of the first count: they are of one call."""
    calls = first.calls + other.calls

    return replace(
        first,
        traces=max(first.traces, other.traces),
        calls=calls,
        attempts=first.attempts + other.attempts,
        failed=first.failed + other.failed,
        survived=first.survived + other.survived,
        confounded=first.confounded + other.confounded,
        blocking=first.blocking or other.blocking,
        journey_verdict=min(first.journey_verdict, other.journey_verdict, key=lambda v: BY_NEED.index(v.verdict)),
        critical_share=first.critical_share + other.critical_share,
        p50_ns=_larger(first.p50_ns, other.p50_ns),
        p95_ns=_larger(first.p95_ns, other.p95_ns),
        p99_ns=_larger(first.p99_ns, other.p99_ns),
        fallbacks=(*first.fallbacks, *other.fallbacks),
        wait_p50_ns=_larger(first.wait_p50_ns, other.wait_p50_ns),
        wait_p95_ns=_larger(first.wait_p95_ns, other.wait_p95_ns),
        injected=first.injected + other.injected,
        own_failed=first.own_failed + other.own_failed,
        blamed=first.blamed + other.blamed,
        blamed_injected=first.blamed_injected + other.blamed_injected,
        first_unix_nano=min(first.first_unix_nano, other.first_unix_nano),
        last_unix_nano=max(first.last_unix_nano, other.last_unix_nano),
        waited=first.waited + other.waited,
        mean_ns=(first.mean_ns * first.calls + other.mean_ns * other.calls) / calls if calls else 0.0,
        promise=first.promise or other.promise,
        delivered=first.delivered + other.delivered,
        in_time=first.in_time + other.in_time,
        said=first.said.joined(other.said),
        examples=first.examples or other.examples,
    )


def _larger(one: int | None, other: int | None) -> int | None:
    known = [value for value in (one, other) if value is not None]
    return max(known) if known else None
