"""Services that call each other in a loop inside one journey."""

from collections.abc import Iterator

import networkx as nx

from collector.core.findings.model import CYCLE, Disproved, EdgeSeen, Fact, Finding, JourneySeen, Look

LEAST_TRACES = 100
"""A journey with so many traces that shows no loop has none."""
_WITHOUT_SPANS = ("database", "queue", "external")


def cycles(look: Look) -> Iterator[Finding | Disproved]:
    """A set of services each of which reaches each other one; messages are no calls here: nobody waits for them.

    One finding a journey, about its busiest loop.
    """
    for journey in look.journeys:
        loops = _loops(journey)
        if loops:
            yield _finding(journey, loops)
        elif journey.traces >= LEAST_TRACES:
            yield Disproved(CYCLE, journey.name, "", "the journey has no loop any more")


def _finding(journey: JourneySeen, loops: dict[tuple[str, ...], list[EdgeSeen]]) -> Finding:
    services, edges = max(loops.items(), key=lambda loop: (min(edge.calls for edge in loop[1]), loop[0]))
    closing = min(edges, key=lambda edge: (edge.calls, edge.id))
    return Finding(
        kind=CYCLE,
        journey=journey.name,
        subject="",
        title=f"services call each other in a loop: {' → '.join((*services, services[0]))}",
        advice=(
            "Break the loop at the call that matters least: when one of them is slow, all of them wait for each other "
            "with every worker that they have."
        ),
        service=closing.caller[0],
        caller=closing.caller,
        callee=closing.callee,
        edge_id=closing.id,
        facts=(Fact("calls that close it", closing.calls, "count"),),
    )


def _loops(journey: JourneySeen) -> dict[tuple[str, ...], list[EdgeSeen]]:
    """Edges between the services of each loop."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    between = [edge for edge in journey.edges if _is_call(edge)]
    graph.add_edges_from((edge.caller[0], edge.callee[0]) for edge in between)
    found = {}
    for members in nx.strongly_connected_components(graph):
        if len(members) > 1:
            way = _way(graph.subgraph(members))
            found[way] = [edge for edge in between if edge.caller[0] in members and edge.callee[0] in members]
    return found


def _way(loop: "nx.DiGraph[str]") -> tuple[str, ...]:
    """The services in an order in which they call each other, the first by name first."""
    first = min(loop)
    back = min(loop.predecessors(first), key=lambda last: (nx.shortest_path_length(loop, first, last), last))
    return tuple(nx.shortest_path(loop, first, back))


def _is_call(edge: EdgeSeen) -> bool:
    return (
        edge.kind == "rpc"
        and edge.callee[2] not in _WITHOUT_SPANS
        and bool(edge.caller[0] and edge.callee[0])
        and edge.caller[0] != edge.callee[0]
    )
