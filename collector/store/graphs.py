"""A journey as the store has it to a dependency graph: the value behind exports and the checks of whole graphs."""

from collector.core.graph import DependencyGraph, GraphEdge, GraphNode
from collector.core.requirement import judge
from collector.store.values import Edge, JourneyDetail, Node


def graph_of(detail: JourneyDetail) -> DependencyGraph:
    """Return the graph of one journey. Of durations the store keeps no quantiles by edge, so those are None."""
    edges = sorted(map(_edge, detail.edges), key=lambda edge: (-edge.critical_share, edge.caller.id, edge.callee.id))
    called = {edge.callee.id for edge in edges}
    roots = [GraphNode(path.service, path.operation, path.kind) for path in detail.call_paths if not path.parent]
    nodes = {node.id: node for node in roots} | {node.id: node for e in edges for node in (e.caller, e.callee)}
    # What nobody calls is a beginning, too: its caller was lost. A queue only hands over.
    tops = [node for key, node in nodes.items() if key not in called and node.kind != "queue"]
    tops += [node for node in dict.fromkeys(roots) if node.id in called]
    return DependencyGraph(
        nodes=tuple(nodes[key] for key in sorted(nodes)),
        edges=tuple(edges),
        roots=tuple((detail.summary.journey, node) for node in tops),
    )


def _edge(edge: Edge) -> GraphEdge:
    wait_ns = round(edge.wait_ns) if edge.delivered else None
    return GraphEdge(
        journey=edge.journey,
        caller=_node(edge.caller),
        callee=_node(edge.callee),
        kind=edge.kind,
        traces=edge.traces,
        calls=round(edge.calls),
        attempts=round(edge.attempts),
        failed=round(edge.failed),
        survived=round(edge.survived),
        confounded=round(edge.confounded),
        blocking=edge.waited > 0,
        declared=edge.declared or None,
        verdict=judge(edge.evidence),
        journey_verdict=judge(edge.journey_evidence),
        critical_share=edge.critical_share,
        p50_ns=None,
        p95_ns=None,
        p99_ns=None,
        fallbacks=tuple((_node(node), round(times)) for node, times in edge.fallbacks),
        wait_p50_ns=wait_ns,
        wait_p95_ns=None,
        injected=round(edge.injected),
        own_failed=round(edge.own_failed),
        blamed=round(edge.blamed),
        blamed_injected=round(edge.blamed_injected),
        said=edge.said,
        waited=round(edge.waited),
        mean_ns=edge.mean_ns,
        around=edge.around or None,
    )


def _node(node: Node) -> GraphNode:
    return GraphNode(node.service, node.operation, node.kind)
