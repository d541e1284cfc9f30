"""Traces to a dependency graph of their operations. Pure; behind `cpdd graph`."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from collector.core.assemble import Forest, assemble
from collector.core.blame import Blame, assign_blame
from collector.core.critical_path import critical_paths
from collector.core.dependencies import EDGE_KINDS, NODE_KINDS, Calls, Dependencies, find_dependencies
from collector.core.fallbacks import Use, fallbacks
from collector.core.graph import DependencyGraph, GraphEdge, GraphNode
from collector.core.journeys import JourneyBook
from collector.core.mandatory import declared_by_marks
from collector.core.naming import name_by_book
from collector.core.policy import PathPolicy
from collector.core.queue_promises import Queue, QueuePromise, promise_of
from collector.core.requirement import Baseline, Evidence, Share, judge
from collector.core.said import NOTHING_SAID, Mark, Said, said_in
from collector.core.spans import REQUIREMENTS, IntColumn, SpanBatch

_MINUTE_NS = 60_000_000_000
_LEVELS = (50, 95, 99)
EXAMPLES = 3
"""Traces that show an edge."""


def dependency_graph(
    batch: SpanBatch,
    policy: PathPolicy = PathPolicy(),
    weight: NDArray[np.float64] | None = None,
    book: JourneyBook = JourneyBook(),
) -> DependencyGraph:
    """Return the graph of all traces in `batch`. Verdicts are weighted, counts are those of the traces that are there.

    Args:
        weight: by row of the batch, how many traces one stands for; a trace weighs what its target's row says.
        book: journeys that somebody named, and what queues promise.
    Work: O(n log n) in spans; verdicts are one small simulation for each distinct evidence.
    """
    forest = assemble(batch, policy)
    found = name_by_book(forest, find_dependencies(forest, critical_paths(forest)), book)
    weights = np.ones(forest.traces) if weight is None else weight[forest.row[forest.target]]
    journeys = sorted(set(found.journey))
    number = {journey: i for i, journey in enumerate(journeys)}
    journey_of = np.array([number[journey] for journey in found.journey], np.int64)
    spent = np.zeros(len(journeys), np.int64)
    np.add.at(spent, journey_of, forest.end[forest.target] - forest.start[forest.target])

    blame = assign_blame(forest, found)
    edges = {
        key: _with_blame(
            _edge(forest, found, found.calls._take(rows), weights, journeys[key[0]], int(spent[key[0]]), book.queues),
            blame,
            rows,
        )
        for key, rows in _grouped(journey_of[found.calls.trace], found.edge).items()
    }
    edges = _with_marks(_with_said(_with_fallbacks(edges, found, journey_of), said_in(batch)))
    ordered = sorted(
        edges.values(), key=lambda edge: (edge.journey, -edge.critical_share, edge.caller.id, edge.callee.id)
    )
    nodes, roots = _nodes(forest, found.journey, ordered)
    return DependencyGraph(nodes, tuple(ordered), roots)


_Key = tuple[int, int]
"""Number of the journey, id of the edge."""


def _grouped(journey: IntColumn, edge: NDArray[np.uint64]) -> dict[_Key, IntColumn]:
    """Calls by journey and edge."""
    order = np.lexsort((edge, journey))
    new = np.ones(len(order), bool)
    new[1:] = (journey[order][1:] != journey[order][:-1]) | (edge[order][1:] != edge[order][:-1])
    rows = np.split(order, np.flatnonzero(new)[1:]) if len(order) else []
    return {(int(journey[group[0]]), int(edge[group[0]])): group for group in rows}


def _edge(
    forest: Forest,
    found: Dependencies,
    calls: Calls,
    weights: NDArray[np.float64],
    journey: str,
    spent_ns: int,
    queues: Sequence[Queue],
) -> GraphEdge:
    """Sum up the calls of one edge in one journey."""
    text = forest.batch.text
    failed = calls.failed == 1
    p50, p95, p99 = _percentiles(calls.duration_ns)
    waits = calls.wait_ns[calls.wait_ns >= 0]
    wait_p50, wait_p95 = _percentiles(waits)[:2] if len(waits) else (None, None)
    promise = _promise(calls, text, queues)
    starts = forest.start[forest.target[calls.trace]]
    return GraphEdge(
        journey=journey,
        caller=GraphNode(
            text(int(calls.caller_service[0])),
            text(int(calls.caller_operation[0])),
            NODE_KINDS[calls.caller_kind[0]],
        ),
        callee=GraphNode(
            text(int(calls.callee_service[0])),
            text(int(calls.callee_operation[0])),
            NODE_KINDS[calls.callee_kind[0]],
        ),
        kind=EDGE_KINDS[calls.kind[0]],
        traces=len(np.unique(calls.trace)),
        calls=len(calls),
        attempts=int(calls.attempts.sum()),
        failed=int(failed.sum()),
        survived=int((failed & (calls.caller_well == 1)).sum()),
        confounded=int(calls.confounded.sum()),
        blocking=bool(calls.waited.any()),
        declared=_declared(calls.declared),
        verdict=judge(evidence_of(forest, found, calls, calls.caller_well, weights)),
        journey_verdict=judge(evidence_of(forest, found, calls, calls.journey_well, weights)),
        critical_share=float(calls.path_ns.sum() / spent_ns) if spent_ns else 0.0,
        p50_ns=p50,
        p95_ns=p95,
        p99_ns=p99,
        wait_p50_ns=wait_p50,
        wait_p95_ns=wait_p95,
        injected=int((failed & (calls.injected == 1)).sum()),
        first_unix_nano=int(starts.min()),
        last_unix_nano=int(starts.max()),
        waited=int(calls.waited.sum()),
        mean_ns=float(calls.duration_ns.mean()),
        promise=promise,
        delivered=len(waits),
        in_time=int((waits <= promise.within_ns).sum()) if promise else 0,
        examples=_examples(forest, calls),
    )


def _with_blame(edge: GraphEdge, blame: Blame, calls: IntColumn) -> GraphEdge:
    return replace(
        edge,
        own_failed=int(blame.own[calls].sum()),
        blamed=int(blame.blamed[calls].sum()),
        blamed_injected=int(blame.injected[calls].sum()),
    )


def _promise(calls: Calls, text: Callable[[int], str], queues: Sequence[Queue]) -> QueuePromise | None:
    """What the queue promises that hands over these calls."""
    if not calls.from_queue[0]:
        return None
    system, destination, consumer = (
        text(int(column[0])) for column in (calls.caller_service, calls.caller_operation, calls.callee_operation)
    )
    return promise_of(queues, *((system, destination) if destination else ("", system)), consumer)


def _examples(forest: Forest, calls: Calls) -> tuple[str, ...]:
    """Traces with a failed call, and then those that are longest blocked on a call."""
    order = np.lexsort((calls.node, -calls.path_ns, -calls.failed.astype(np.int64)))
    traces = dict.fromkeys(calls.trace[order[: 8 * EXAMPLES]].tolist())
    return tuple(forest.batch.trace_id(int(forest.row[forest.first[trace]])) for trace in list(traces)[:EXAMPLES])


def _percentiles(values_ns: IntColumn) -> list[int]:
    return [int(value) for value in np.percentile(values_ns, _LEVELS, method="inverted_cdf")]


def _declared(declared: NDArray[np.int8]) -> str | None:
    """What callers declared; the word for callers that disagree is `mixed`."""
    said = {REQUIREMENTS[value] for value in np.unique(declared).tolist() if value}
    return (said.pop() if len(said) == 1 else "mixed") if said else None


def evidence_of(
    forest: Forest,
    found: Dependencies,
    calls: Calls,
    well: NDArray[np.uint8],
    weights: NDArray[np.float64] | None = None,
) -> Evidence:
    """Return what the calls of one edge say; `well` tells by call what became of whom it is asked about.

    Args:
        weights: by trace of the forest, how many it stands for; by default 1.
    """
    weight = np.ones(len(calls)) if weights is None else weights[calls.trace]
    alone, quiet = calls.alone == 1, calls.quiet == 1
    minutes, at = np.unique(forest.start[forest.target[calls.trace]] // _MINUTE_NS, return_inverse=True)

    def by_minute(which: NDArray[np.bool_], counted: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(at[which], weights=counted[which], minlength=len(minutes)).astype(np.float64)

    alone_m, quiet_m, well_m = by_minute(alone, weight), by_minute(quiet, weight), by_minute(quiet, weight * well)
    squares_m = by_minute(quiet, weight**2)
    both = (alone_m > 0) & (quiet_m > 0)
    f, q, w, qq = alone_m[both], quiet_m[both], well_m[both], squares_m[both]
    return Evidence(
        failed=_share(well[alone], weight[alone]),
        quiet=_share(well[quiet], weight[quiet]),
        status_known=bool(found.status_known[calls.trace].any()),
        delivered=bool((calls.from_queue == 1).all() and not calls.waited.any()),
        baseline=Baseline(float(f.sum()), float((f * w / q).sum()), float((f**2 * qq / q**2).sum())),
    )


def _share(well: NDArray[np.uint8], weight: NDArray[np.float64]) -> Share:
    squares = weight**2
    return Share(float(weight.sum()), float(weight @ well), float(squares.sum()), float(squares @ well))


def _with_fallbacks(
    edges: Mapping[_Key, GraphEdge], found: Dependencies, journey_of: IntColumn
) -> dict[_Key, GraphEdge]:
    replaced = found.replacements
    times = Counter(
        zip(journey_of[replaced.trace].tolist(), replaced.edge.tolist(), replaced.called.tolist(), strict=True)
    )
    candidates: dict[_Key, list[tuple[_Key, float]]] = {}
    for (journey, edge, called), count in times.items():
        candidates.setdefault((journey, edge), []).append(((journey, called), float(count)))
    uses = {key: Use(edge.calls, edge.failed) for key, edge in edges.items()}
    named = {key: fallbacks(of_edge, uses[key], uses) for key, of_edge in candidates.items()}
    return {
        key: replace(edge, fallbacks=tuple((edges[called].callee, int(count)) for called, count in named.get(key, ())))
        for key, edge in edges.items()
    }


def _with_said(edges: Mapping[_Key, GraphEdge], said: Mapping[Mark, Said]) -> dict[_Key, GraphEdge]:
    """Say of spans around calls what they say of deadlines, fallbacks and groups."""
    return {
        key: replace(edge, said=said.get((edge.callee.service, edge.callee.operation), NOTHING_SAID))
        if edge.kind == "internal"
        else edge
        for key, edge in edges.items()
    }


def _with_marks(edges: Mapping[_Key, GraphEdge]) -> dict[_Key, GraphEdge]:
    """Say of calls inside spans around them what those declare."""
    marks = declared_by_marks(((e.journey, e.callee), e.declared or "") for e in edges.values() if e.kind == "internal")
    return {
        key: replace(edge, around=marks[edge.journey, edge.caller])
        if not edge.declared and (edge.journey, edge.caller) in marks
        else edge
        for key, edge in edges.items()
    }


def _nodes(
    forest: Forest, journeys: Sequence[str], edges: Sequence[GraphEdge]
) -> tuple[tuple[GraphNode, ...], tuple[tuple[str, GraphNode], ...]]:
    """The nodes of the edges and the roots of the traces, each with how often it was called; where journeys begin."""
    batch = forest.batch
    nodes: dict[str, GraphNode] = {}
    counts: Counter[str] = Counter()
    roots: dict[tuple[str, str], None] = {}
    for journey, node in zip(journeys, forest.target.tolist(), strict=True):
        row = int(forest.row[node])
        root = GraphNode(
            batch.text(int(batch.service[row])), batch.text(int(batch.name[row])), NODE_KINDS[forest.kind[node]]
        )
        nodes.setdefault(root.id, root)
        counts[root.id] += 1
        roots[journey, root.id] = None
    for edge in edges:
        nodes.setdefault(edge.caller.id, edge.caller)
        nodes.setdefault(edge.callee.id, edge.callee)
        counts[edge.callee.id] += edge.calls
    counted = {key: replace(node, calls=counts[key]) for key, node in nodes.items()}
    return tuple(counted[key] for key in sorted(counted)), tuple((journey, counted[key]) for journey, key in roots)
