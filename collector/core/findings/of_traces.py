"""What the traces of files say to the rules beside their graph: promises, services, changes, lost context. Pure.

Files have no present: now is when their newest trace began, and their past is what lies before it in them.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from collector.core.attributes import detail
from collector.core.availability import Dependency, Nine, Operation, extra_nines
from collector.core.facts import facts_of
from collector.core.findings.context import INNER_CALLS, INNER_TIMES, LEAST_BEGINS, ORPHAN_SHARE
from collector.core.findings.model import ContextBreak, EdgeHistory, ServiceFacts
from collector.core.graph import GraphEdge, GraphNode
from collector.core.journeys import Journey
from collector.core.mandatory import beginnings, reached
from collector.core.objectives import MINUTE_S, Counts, Standing, stand
from collector.core.population.columns import Population
from collector.core.requirement import MANDATORY, OPTIONAL
from collector.core.spans import IdColumn, SpanBatch

_NS = 1_000_000_000
_MOST_EXAMPLES = 3


def operation_of(node: GraphNode) -> Operation:
    return (node.service, node.operation, node.kind)


# Promises


def standings_of(said: Journey, population: Population, number: int) -> tuple[Standing, ...]:
    """Return how the promises of a journey stood when the newest trace of all began.

    Args:
        number: of the journey in `population.journeys`.
    """
    here = population.journey == number
    if not here.any():
        return ()
    now_s = float(population.start_unix_nano.max() // _NS)
    standings = []
    if said.availability is not None and population.status_known[here].any():
        counts = _counts(population, here, population.failed[here])
        standings.append(stand("availability", said.availability, counts, now_s))
    if said.latency is not None:
        counts = _counts(population, here, population.duration_ns[here] > said.latency.under_ns)
        standings.append(stand("latency", said.latency.share, counts, now_s, said.latency.under_ns))
    return tuple(standings)


def _counts(population: Population, here: NDArray[np.bool_], bad: NDArray[np.bool_]) -> Counts:
    minutes, at = np.unique(population.start_unix_nano[here] // (MINUTE_S * _NS), return_inverse=True)
    weight = population.weight[here].astype(np.float64)

    def sums(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(at, weights=values, minlength=len(minutes)).astype(np.float64)

    return Counts(
        minutes.astype(np.int64) * MINUTE_S, sums(weight), sums(weight * bad), sums(weight**2), sums(bad.astype(float))
    )


def nines_of(promise: float, edges: Sequence[GraphEdge]) -> tuple[Nine, ...]:
    """Return how the mandatory dependencies of a journey stand against one nine more than it promises."""
    mandatory = [edge for edge in edges if edge.requirement == MANDATORY]
    inside = reached(beginnings([_way(edge) for edge in edges]), map(_way, mandatory))
    return extra_nines(promise, [_dependency(edge) for edge in mandatory if operation_of(edge.caller) in inside])


def _way(edge: GraphEdge) -> tuple[Operation, Operation]:
    return operation_of(edge.caller), operation_of(edge.callee)


def _dependency(edge: GraphEdge) -> Dependency:
    survival = edge.survived / edge.failed if edge.failed else 1.0 if edge.declared == OPTIONAL else 0.0
    return Dependency(
        *_way(edge),
        traces=edge.traces,
        calls=edge.calls - edge.injected,
        failed=edge.failed - edge.injected,
        own_failed=edge.own_failed,
        survival=survival,
    )


# Services


def services_in(batch: SpanBatch) -> dict[str, ServiceFacts]:
    """Return what services say of themselves; of several resources of one service the last counts."""
    found: dict[str, ServiceFacts] = {}
    if not batch.body:
        return found
    for row in np.unique(batch.resource, return_index=True)[1].tolist():
        facts = facts_of(detail(batch, row).resource.attributes)
        contact = facts.owner_contact or facts.owner_url
        found[facts.service] = ServiceFacts(facts.owner, contact, facts.criticality, facts.version)
    return found


# Changes


def histories_of(edges: Sequence[tuple[int, GraphEdge]], population: Population) -> Iterator[EdgeHistory]:
    """Yield when each edge was seen among the traces of its journey.

    Args:
        edges: with their numbers.
    """
    starts = {
        name: np.sort(population.start_unix_nano[population.journey == number])
        for number, name in enumerate(population.journeys)
    }
    for number, edge in edges:
        all_starts = starts.get(edge.journey)
        if all_starts is None or not len(all_starts):
            continue
        before = int(np.searchsorted(all_starts, edge.first_unix_nano, side="left"))
        until = int(np.searchsorted(all_starts, edge.last_unix_nano, side="right"))
        yield EdgeHistory(
            id=number,
            journey=edge.journey,
            caller=operation_of(edge.caller),
            callee=operation_of(edge.callee),
            first_s=edge.first_unix_nano // _NS,
            last_s=edge.last_unix_nano // _NS,
            traces=edge.traces,
            before=before,
            meanwhile=until - before,
            after=len(all_starts) - until,
        )


# Lost context


def breaks_in(
    traces: Mapping[str, int], edges: Sequence[GraphEdge], population: Population, batch: SpanBatch
) -> Iterator[ContextBreak]:
    """Yield the operations in the middle at which traces begin, and those whose parent never came.

    Args:
        traces: how many each journey has.
    """
    callers: dict[tuple[str, str], Counter[Operation]] = defaultdict(Counter)
    for edge in edges:
        if edge.callee.kind == "server" and edge.caller.service not in ("", edge.callee.service):
            callers[edge.callee.service, edge.callee.operation][operation_of(edge.caller)] += edge.calls
    for (service, operation), into in callers.items():
        name = f"{service}: {operation}"
        begins, called = traces.get(name, 0), sum(into.values())
        if begins >= LEAST_BEGINS and called >= max(INNER_CALLS, INNER_TIMES * begins):
            of_name = np.flatnonzero(population.journey == population.journeys.index(name))[:_MOST_EXAMPLES]
            examples = tuple(population.trace_id[row] for row in of_name.tolist())
            yield _break(service, operation, begins, into, False, examples)
    for (service, operation), ids in sorted(_orphans(batch).items()):
        if len(ids) >= max(LEAST_BEGINS, ORPHAN_SHARE * len(population.trace_id)):
            into = callers.get((service, operation), Counter())
            yield _break(service, operation, len(ids), into, True, tuple(sorted(ids)[:_MOST_EXAMPLES]))


def _break(
    service: str, operation: str, begins: int, into: Counter[Operation], orphans: bool, examples: tuple[str, ...]
) -> ContextBreak:
    hop = max(into, key=lambda caller: (into[caller], caller), default=None)
    return ContextBreak(service, operation, begins, float(sum(into.values())), hop, orphans, examples)


def _orphans(batch: SpanBatch) -> dict[tuple[str, str], set[str]]:
    """Ids of the traces with spans whose parent is not there, by service and operation of the span."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    known = _keys(batch, batch.span_id)
    rows = np.flatnonzero((batch.parent_span_id != 0) & ~np.isin(_keys(batch, batch.parent_span_id), known))
    for row in rows.tolist():
        found[batch.text(int(batch.service[row])), batch.text(int(batch.name[row]))].add(batch.trace_id(row))
    return found


def _keys(batch: SpanBatch, span_id: IdColumn) -> IdColumn:
    """64 bits that tell spans of all traces from each other."""
    with np.errstate(over="ignore"):
        mixed = (batch.trace_id_high * np.uint64(31) ^ batch.trace_id_low) * np.uint64(0x9E3779B97F4A7C15)
        keys: IdColumn = (mixed ^ span_id) * np.uint64(0xC2B2AE3D27D4EB4F)
    return keys
