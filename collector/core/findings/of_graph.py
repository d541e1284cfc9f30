"""Findings of files: what their traces say without a store. Pure; behind `cpdd report`.

Rules that need a past beyond the files (changed requirements, slower than its past), or every name that ever began a
trace (unbounded names), see nothing here and say nothing.
"""

from collections import Counter
from dataclasses import replace
from hashlib import blake2b

from collector.core.availability import proportion
from collector.core.findings import KINDS, find
from collector.core.findings.model import EdgeSeen, Finding, JourneySeen, Look, QueueSeen
from collector.core.findings.of_traces import (
    breaks_in,
    histories_of,
    nines_of,
    operation_of,
    services_in,
    standings_of,
)
from collector.core.graph import DependencyGraph, GraphEdge
from collector.core.journeys import JourneyBook
from collector.core.population.columns import Population
from collector.core.spans import SpanBatch


def findings_of(
    graph: DependencyGraph, population: Population, batch: SpanBatch, book: JourneyBook
) -> tuple[Finding, ...]:
    """Return what the traces of files say, what matters most first.

    Args:
        graph: of operations, of the same traces as `population` and `batch`.
        book: journeys that somebody named: who owns them, and what they promise.
    """
    traces = Counter(population.journeys[number] for number in population.journey.tolist())
    edges = {_id(edge): edge for edge in graph.edges}
    services = services_in(batch)
    look = Look(
        now_unix_nano=int(population.start_unix_nano.max(initial=0)),
        journeys=tuple(_journey(name, traces[name], graph, population, book) for name in sorted(traces)),
        services=services,
        histories=tuple(histories_of(tuple(edges.items()), population)),
        breaks=tuple(breaks_in(traces, graph.edges, population, batch)),
        queues=tuple(_queue(edge) for edge in graph.edges if edge.promise and edge.delivered),
    )
    found = []
    for finding in find(look):
        if isinstance(finding, Finding):
            journey, edge = book.by_name.get(finding.journey), edges.get(finding.edge_id)
            owner = look.facts_of(finding.service).spoken_owner or (journey.owner if journey else "")
            examples = finding.examples or (edge.examples if edge else ())
            found.append(replace(finding, owner=owner, examples=examples))
    return tuple(sorted(found, key=lambda one: (KINDS.index(one.kind), one.journey, one.title)))


def _journey(name: str, traces: int, graph: DependencyGraph, population: Population, book: JourneyBook) -> JourneySeen:
    edges = tuple(edge for edge in graph.edges if edge.journey == name)
    said = book.by_name.get(name)
    number = population.journeys.index(name)
    here = population.journey == number
    known = bool(population.status_known[here].any())
    return JourneySeen(
        name=name,
        traces=traces,
        edges=tuple(map(_edge, edges)),
        said=said,
        standings=standings_of(said, population, number) if said else (),
        nines=nines_of(said.availability, edges) if said and said.availability is not None and known else (),
        root_failed=float(population.failed[here].sum() - sum(edge.blamed for edge in edges)),
    )


def _edge(edge: GraphEdge) -> EdgeSeen:
    return EdgeSeen(
        id=_id(edge),
        caller=operation_of(edge.caller),
        callee=operation_of(edge.callee),
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
        blamed=edge.blamed,
        blamed_injected=edge.blamed_injected,
        attempts=edge.attempts,
        mean_ns=edge.mean_ns,
        said=edge.said,
        around=edge.around or "",
    )


def _queue(edge: GraphEdge) -> QueueSeen:
    assert edge.promise is not None
    return QueueSeen(
        edge_id=_id(edge),
        journey=edge.journey,
        queue=operation_of(edge.caller),
        consumer=operation_of(edge.callee),
        promised=edge.promise,
        kept=proportion(edge.in_time, edge.delivered, edge.delivered),
        late=edge.delivered - edge.in_time,
        messages=edge.delivered,
        typical_wait_ns=float(edge.wait_p50_ns or 0),
        waited_for=edge.blocking,
    )


def _id(edge: GraphEdge) -> int:
    """A number for an edge of a journey."""
    names = "\0".join((edge.journey, edge.caller.id, edge.callee.id, edge.kind))
    return int.from_bytes(blake2b(names.encode(errors="surrogatepass"), digest_size=8).digest(), "big")
