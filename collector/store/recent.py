"""What the judge looks at: journeys with their edges, when edges were seen, traces that begin in the middle.

Minute rows wherever they will do; nothing here reads spans but for a few examples.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from clickhouse_connect.driver.client import Client

from collector.core.assemble import assemble
from collector.core.kernels import bits
from collector.core.said import NOTHING_SAID, Mark, Said, read_said
from collector.store.dictionaries import EdgeEnds, Edges
from collector.store.lookup import read_spans
from collector.store.which_minutes import WHICH_MINUTES

_HOUR_S = 3600
_TAKEN_S = 900
"""Messages that were taken, and analyzed, so lately say how a queue does now."""
_TAKEN_WITHIN_S = _HOUR_S
_MOST_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class JourneyTotals:
    """A journey's traces in a stretch of time; weighted but for `traces`."""

    traces: int
    weight: float
    squares: float
    failed: float
    sum_ns: float
    status_known: bool


def journey_totals(client: Client, first_s: int, last_s: int) -> dict[str, JourneyTotals]:
    rows = client.query(
        f"""
        SELECT Journey, sum(Traces), sum(Weight), sum(Squares), sum(Failed), sum(SumNs), max(StatusKnown)
        FROM journey_minutes WHERE {WHICH_MINUTES} GROUP BY Journey
        """,
        {"first": first_s, "last": last_s},
    ).result_rows
    return {
        str(name): JourneyTotals(int(traces), float(weight), float(squares), float(failed), float(sum_ns), bool(known))
        for name, traces, weight, squares, failed, sum_ns, known in rows
    }


def calls_of_edges(client: Client, first_s: int, last_s: int) -> dict[int, float]:
    """Return the weighted calls of every edge, over all journeys."""
    rows = client.query(
        f"SELECT EdgeId, sum(Calls) FROM edge_minutes WHERE {WHICH_MINUTES} GROUP BY EdgeId",
        {"first": first_s, "last": last_s},
    ).result_rows
    return {int(edge): float(calls) for edge, calls in rows}


@dataclass(frozen=True, slots=True)
class EdgeSpell:
    """When an edge of a journey was seen."""

    journey: str
    edge_id: int
    ends: EdgeEnds
    first_s: int
    last_s: int
    traces: int


def edge_spells(client: Client, edges: Edges, first_s: int, last_s: int) -> list[EdgeSpell]:
    """Return the first and the last minute of every edge in [first, last)."""
    rows = client.query(
        f"""
        SELECT Journey, EdgeId, toUnixTimestamp(min(Minute)), toUnixTimestamp(max(Minute)), sum(Traces)
        FROM edge_minutes WHERE {WHICH_MINUTES} GROUP BY Journey, EdgeId
        """,
        {"first": first_s, "last": last_s},
    ).result_rows
    ends = edges.known(client, {int(row[1]) for row in rows})
    return [
        EdgeSpell(str(journey), int(edge), ends[int(edge)], int(first), int(last), int(traces))
        for journey, edge, first, last, traces in rows
        if int(edge) in ends
    ]


def traces_by_hour(client: Client, first_s: int, last_s: int) -> dict[str, dict[int, int]]:
    """Return how many traces each journey had in each hour; by journey and the hour's start in s."""
    rows = client.query(
        f"""
        SELECT Journey, toUnixTimestamp(toStartOfHour(Minute)) AS hour, sum(Traces)
        FROM journey_minutes WHERE {WHICH_MINUTES} GROUP BY Journey, hour
        """,
        {"first": first_s, "last": last_s},
    ).result_rows
    found: dict[str, dict[int, int]] = defaultdict(dict)
    for journey, hour, traces in rows:
        found[str(journey)][int(hour)] = int(traces)
    return found


def journey_names(client: Client, first_s: int, last_s: int) -> list[str]:
    """Return the journeys that had traces, those seen last first."""
    rows = client.query(
        f"""
        SELECT Journey FROM journey_minutes WHERE {WHICH_MINUTES}
        GROUP BY Journey ORDER BY max(Minute) DESC, Journey
        """,
        {"first": first_s, "last": last_s},
    ).result_rows
    return [str(row[0]) for row in rows]


def failing_examples(client: Client, journey: str, edge_id: int, since_s: int) -> tuple[str, ...]:
    """Return the newest traces of a journey in which a call of the edge failed."""
    failed = "arrayExists((i, f) -> i = {edge:UInt64} AND f > 0, Edge.Id, Edge.Failed)"
    return _examples(client, journey, edge_id, since_s, failed, "Start DESC")


def waiting_examples(client: Client, journey: str, edge_id: int, since_s: int) -> tuple[str, ...]:
    """Return the traces of a journey that waited longest below the edge."""
    waited = "arraySum((i, t) -> if(i = {edge:UInt64}, t, 0), Edge.Id, Edge.PathNs)"
    return _examples(client, journey, edge_id, since_s, "has(Edge.Id, {edge:UInt64})", f"{waited} DESC")


def late_examples(client: Client, journey: str, edge_id: int, since_s: int) -> tuple[str, ...]:
    """Return the traces of a journey whose messages waited longest in the queue of the edge."""
    waited = "arraySum((i, t) -> if(i = {edge:UInt64}, t, 0), Edge.Id, Edge.WaitNs)"
    return _examples(client, journey, edge_id, since_s, "has(Edge.Id, {edge:UInt64})", f"{waited} DESC")


def failed_examples(client: Client, journey: str, edge_id: int, since_s: int) -> tuple[str, ...]:
    """Return the newest failed traces of a journey, those first in which the edge has the blame."""
    blamed = "arrayExists((i, b) -> i = {edge:UInt64} AND b > 0, Edge.Id, Edge.Blamed)"
    return _examples(client, journey, edge_id, since_s, "Failed", f"{blamed} DESC, Start DESC")


def slow_examples(client: Client, journey: str, edge_id: int, since_s: int) -> tuple[str, ...]:
    """Return the slowest traces of a journey."""
    return _examples(client, journey, edge_id, since_s, "1", "DurationNs DESC")


def calling_examples(client: Client, journey: str, edge_id: int, since_s: int) -> tuple[str, ...]:
    """Return the newest traces of a journey with the edge; where none is named (0), its newest traces."""
    has = "has(Edge.Id, {edge:UInt64})" if edge_id else "1"
    return _examples(client, journey, edge_id, since_s, has, "Start DESC")


def _examples(client: Client, journey: str, edge_id: int, since_s: int, condition: str, order: str) -> tuple[str, ...]:
    rows = client.query(
        f"""
        SELECT TraceId FROM traces FINAL
        WHERE {"Journey = {journey:String} AND" if journey else ""} Start >= toDateTime({{since:UInt32}})
            AND {condition}
        ORDER BY {order}, TraceId LIMIT {_MOST_EXAMPLES}
        """,
        {"journey": journey, "edge": edge_id, "since": since_s},
    ).result_rows
    return tuple(str(row[0]) for row in rows)


@dataclass(frozen=True, slots=True)
class QueueWaits:
    """How long the messages of an edge waited; weighted but for `late`."""

    messages: float
    kept: float
    """Received in time."""
    squares: float
    late: int
    wait_ns: float
    """Summed up."""


def queue_waits(
    client: Client, journeys: Collection[str], within_ns: Mapping[int, int], now_s: int
) -> dict[tuple[str, int], QueueWaits]:
    """Return how long messages waited that were taken in the last quarter of an hour, by journey and edge.

    Args:
        within_ns: what is promised, by edge; no others are looked at.
    Several messages of one edge in one trace count by their mean: the rows of traces hold sums. A message that is taken
    in the trace of its sender is seen for an hour after that began.
    """
    if not within_ns:
        return {}
    rows = client.query(
        """
        SELECT
            Journey, id, sum(Weight * delivered), sumIf(Weight * delivered, wait <= within * delivered),
            sum(Weight * Weight * delivered), sumIf(delivered, wait > within * delivered), sum(Weight * wait)
        FROM (
            SELECT
                Journey, Weight, id, delivered, wait,
                transform(id, {ids:Array(UInt64)}, {within:Array(Int64)}, toInt64(0)) AS within
            FROM traces FINAL
            ARRAY JOIN Edge.Id AS id, Edge.Delivered AS delivered, Edge.WaitNs AS wait
            WHERE Journey IN {journeys:Array(String)} AND Start >= toDateTime({first:UInt32})
                AND Version >= {analyzed:UInt64}
        )
        WHERE within > 0 AND delivered > 0 GROUP BY Journey, id
        """,
        {
            "ids": list(within_ns),
            "within": list(within_ns.values()),
            "journeys": sorted(journeys),
            "first": max(now_s - _TAKEN_WITHIN_S, 0),
            "analyzed": max(now_s - _TAKEN_S, 0) * 1_000_000_000,
        },
    ).result_rows
    return {
        (str(journey), int(edge)): QueueWaits(float(messages), float(kept), float(squares), int(late), float(wait))
        for journey, edge, messages, kept, squares, late, wait in rows
    }


def said_of_marks(client: Client, marks: Collection[Mark], first_s: int, last_s: int) -> dict[Mark, Said]:
    """Return what the spans of these marks said in [first, last): how long callers wait, what else they have."""
    if not marks:
        return {}
    rows = client.query(
        """
        SELECT
            ServiceName, SpanName,
            groupUniqArray(20)((
                toInt64OrZero(SpanAttributes['cpdd.call.deadline_ms']), SpanAttributes['cpdd.call.fallback'],
                SpanAttributes['cpdd.call.group'], toInt64OrZero(SpanAttributes['cpdd.call.quorum'])
            )) AS all_said
        FROM otel_traces
        WHERE ServiceName IN {services:Array(String)} AND SpanName IN {names:Array(String)}
            AND Timestamp >= toDateTime({first:UInt32}) AND Timestamp < toDateTime({last:UInt32})
        GROUP BY ServiceName, SpanName
        """,
        {
            "services": sorted({service for service, _ in marks}),
            "names": sorted({name for _, name in marks}),
            "first": max(first_s, 0),
            "last": max(last_s, 0),
        },
    ).result_rows
    found = {
        (str(service), str(name)): reduce(Said.joined, (read_said(*said) for said in sorted(all_said)), NOTHING_SAID)
        for service, name, all_said in rows
    }
    return {mark: found[mark] for mark in marks if found.get(mark, NOTHING_SAID) != NOTHING_SAID}


@dataclass(frozen=True, slots=True)
class OrphanTraces:
    """Settled traces of a journey that have spans whose parent never came."""

    journey: str
    traces: int
    with_orphans: int
    examples: tuple[str, ...]


def orphan_traces(client: Client, first_s: int, now_ns: int) -> list[OrphanTraces]:
    rows = client.query(
        f"""
        SELECT Journey, count(), countIf(orphan), groupArrayIf(5)(TraceId, orphan)
        FROM (
            SELECT Journey, TraceId, bitAnd(Flags, {int(bits.ORPHAN)}) != 0 AS orphan FROM traces FINAL
            WHERE Start >= toDateTime({{first:UInt32}}) AND SettlesAt <= {{now:Int64}} AND Weight > 0
        )
        GROUP BY Journey HAVING countIf(orphan) > 0
        """,
        {"first": first_s, "now": now_ns},
    ).result_rows
    return [OrphanTraces(str(name), int(n), int(orphans), tuple(map(str, ids))) for name, n, orphans, ids in rows]


def orphan_spans(client: Client, trace_ids: Sequence[str]) -> list[tuple[str, str, str]]:
    """Return (trace id, service, operation) of the spans of these traces whose parent is not there."""
    stored = read_spans(client, trace_ids)
    if stored is None:
        return []
    forest = assemble(stored.batch)
    batch = forest.batch
    nodes = np.flatnonzero(forest.root_kind == bits.ORPHAN_ROOT)
    rows = forest.row[nodes].tolist()
    return [
        (batch.trace_id(row), batch.text(int(batch.service[row])), batch.text(int(batch.name[row]))) for row in rows
    ]
