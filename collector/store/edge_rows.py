"""Edges of journeys, summed over the minutes: how often they were called, what came of it, and what is known of it."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from clickhouse_connect.driver.client import Client

from collector.core.mandatory import declared_by_marks
from collector.core.said import NOTHING_SAID, Mark, Said
from collector.store.dictionaries import EdgeEnds, Edges
from collector.store.evidence import NOTHING_SEEN, EdgeEvidence, evidence_of
from collector.store.evidence_rows import EvidenceRows
from collector.store.minute_rows import numeric, read_few, summed
from collector.store.minutes import EDGE_COUNTS
from collector.store.recent import said_of_marks
from collector.store.replacements import Replaced, replacements, with_fallbacks
from collector.store.values import Edge, Node, ServiceCalls, declared_word, mark_of
from collector.store.which_minutes import WHICH_MINUTES, Minutes, alone, only

SAID_S = 300
"""What marks say stands in the code: the last minutes of a window say it all."""
DECIDING = ("Calls", "Failed", "Waited", "DeclaredMandatory", "DeclaredOptional")
"""The counts that decide, beside the evidence, whether a call is needed."""
_BECAME = {"failed": "Failed", "on-path": "PathNs"}
"""What became of calls, and the column that says how often."""

_OF_EDGE = ("Traces", "Weight", *EDGE_COUNTS)
"""What is summed of each edge."""

_Row = Sequence[Any]
_FIRST_COUNT = 5
"""In a row, of EDGE_COUNTS."""
_Place = tuple[str, Node]
"""A journey, and an operation in it."""


class JourneyEdges(NamedTuple):
    """What was read about the edges of one journey; `edges_of` makes them of it."""

    journey: str
    rows: Sequence[_Row]
    ends: Mapping[int, EdgeEnds]
    replaced: Replaced
    said: Mapping[Mark, Said]


def read_edges(
    client: Client,
    known: Edges,
    minutes: Minutes,
    evidence: Callable[[], EvidenceRows],
    durations_ns: Mapping[str, float],
    journey: str | None = None,
    became: str = "",
) -> dict[str, tuple[Edge, ...]]:
    """Return the edges of all journeys, or of the one, with their evidence; not what was called in their place.

    Args:
        evidence: returns what is known about the edges, of the same journeys; called when all else was read.
        durations_ns: of each journey, the durations of its traces, weighted and summed.
        became: only those that failed, or had time on the path: `failed`, `on-path`; of their counts only those of
            `DECIDING` are read, the others are 0. Empty for all edges with all counts.
    """
    column = _BECAME.get(became)
    # What a mark declares counts for the calls inside it, whatever became of the mark itself.
    condition = f"(sum({column}) > 0 OR sum(DeclaredMandatory + DeclaredOptional) > 0)" if column else "1"
    rows = _read_rows(client, minutes, journey, condition, (*DECIDING, column) if column else EDGE_COUNTS)
    ends = known.known(client, {int(row[1]) for row in rows})
    marks = _marks(rows, ends)
    rows = [row for row in rows if row[_FIRST_COUNT + EDGE_COUNTS.index(column)]] if column else rows
    ids = {int(row[1]) for row in rows}
    found = _by_journey(rows, ends, marks, evidence_of(evidence(), ids), durations_ns)
    return {name: tuple(edges) for name, edges in found.items()}


def read_journey_edges(client: Client, known: Edges, minutes: Minutes, journey: str) -> JourneyEdges:
    """Return all that is known of the edges of one journey but the evidence."""
    few = read_few(client, minutes, "edge_minutes", ("EdgeId", "StatusKnown", *_OF_EDGE), journey)
    rows = _read_rows(client, minutes, journey) if few is None else _summed(few, journey)
    replaced = replacements(client, journey, minutes)
    ends = known.known(client, {int(row[1]) for row in rows} | {called for _, called in replaced})
    marks = {mark for each in ends.values() if (mark := mark_of(each))}
    said = said_of_marks(client, marks, minutes.last_s - SAID_S, minutes.last_s)
    return JourneyEdges(journey, rows, ends, replaced, said)


def edges_of(seen: JourneyEdges, evidence: Mapping[int, EdgeEvidence], duration_ns: float) -> tuple[Edge, ...]:
    """Return the edges of a journey whose traces took so long together, weighted; largest share of the path first."""
    marks = _marks(seen.rows, seen.ends)
    found = _by_journey(seen.rows, seen.ends, marks, {seen.journey: evidence}, {seen.journey: duration_ns})
    edges = [
        replace(edge, said=seen.said.get(mark, NOTHING_SAID)) if (mark := mark_of(edge)) else edge
        for edge in with_fallbacks(found.get(seen.journey, []), seen.replaced, seen.ends)
    ]
    return tuple(sorted(edges, key=lambda edge: (-edge.critical_share, -edge.calls, edge.id)))


def read_service_calls(client: Client, minutes: Minutes) -> list[ServiceCalls]:
    """Return how often services called each other."""
    rows = client.query(
        f"""
        SELECT caller, callee, sum(calls)
        FROM (
            SELECT EdgeId, sum(Calls) AS calls FROM edge_minutes WHERE {WHICH_MINUTES} GROUP BY EdgeId
        ) AS counts
        INNER JOIN (
            SELECT Id, any(CallerService) AS caller, any(CalleeService) AS callee FROM edges GROUP BY Id
        ) AS names ON names.Id = counts.EdgeId
        WHERE caller != callee
        GROUP BY caller, callee ORDER BY caller, callee
        """,
        minutes.parameters(),
    ).result_rows
    return [ServiceCalls(str(caller), str(callee), max(round(calls), 1)) for caller, callee, calls in rows]


def _read_rows(
    client: Client,
    minutes: Minutes,
    journey: str | None = None,
    condition: str = "1",
    counts: Sequence[str] = EDGE_COUNTS,
) -> Sequence[_Row]:
    """Sums over the minutes, for each edge of all journeys or of the one that fulfils it; `_edge` reads a row. What is
    not among the counts is 0."""
    sums = [f"sum({name})" if name in counts else "0" for name in EDGE_COUNTS]
    return client.query(
        f"""
        SELECT Journey, EdgeId, sum(Traces), max(StatusKnown), sum(Weight), {", ".join(sums)}
        FROM {minutes.rows("edge_minutes")} WHERE {minutes.which} {only(journey)}
        GROUP BY Journey, EdgeId HAVING {condition} {alone(journey)}
        """,
        {**minutes.parameters(), "journey": journey or ""},
    ).result_rows


def _summed(rows: pa.Table, journey: str) -> Sequence[_Row]:
    """What `_read_rows` returns, of rows of one journey that are summed here."""
    edges, edge = np.unique(numeric(rows, "EdgeId"), return_inverse=True)
    known = summed(edge, numeric(rows, "StatusKnown"), len(edges)) > 0
    traces, weight, *counts = (summed(edge, numeric(rows, name), len(edges)).tolist() for name in _OF_EDGE)
    return list(zip([journey] * len(edges), edges.tolist(), traces, known.tolist(), weight, *counts, strict=True))


def _marks(rows: Iterable[_Row], ends: Mapping[int, EdgeEnds]) -> dict[_Place, str]:
    """What spans around calls declare, by journey and span."""
    mandatory, optional = (_FIRST_COUNT + EDGE_COUNTS.index(name) for name in ("DeclaredMandatory", "DeclaredOptional"))
    return declared_by_marks(
        ((str(row[0]), edge.callee), declared_word(row[mandatory], row[optional]))
        for row in rows
        if (edge := ends.get(int(row[1]))) is not None and edge.kind == "internal"
    )


def _by_journey(
    rows: Sequence[_Row],
    ends: Mapping[int, EdgeEnds],
    marks: Mapping[_Place, str],
    evidence: Mapping[str, Mapping[int, EdgeEvidence]],
    durations_ns: Mapping[str, float],
) -> dict[str, list[Edge]]:
    """The edges of these rows; one whose ends nobody knows is left out."""
    found: dict[str, list[Edge]] = defaultdict(list)
    for row in rows:
        journey, number = str(row[0]), int(row[1])
        if number in ends:
            seen = evidence.get(journey, {}).get(number, NOTHING_SEEN)
            around = marks.get((journey, ends[number].caller), "")
            found[journey].append(_edge(row, ends[number], around, durations_ns.get(journey, 0.0), seen))
    return found


def _edge(row: _Row, ends: EdgeEnds, around: str, duration_ns: float, found: EdgeEvidence) -> Edge:
    sums = dict(zip(EDGE_COUNTS, map(float, row[_FIRST_COUNT:]), strict=True))
    is_delivered = ends.caller.kind == "queue" and not sums["Waited"]
    return Edge(
        id=int(row[1]),
        journey=str(row[0]),
        caller=ends.caller,
        callee=ends.callee,
        kind=ends.kind,
        traces=int(row[2]),
        calls=sums["Calls"],
        failed=sums["Failed"],
        survived=sums["Survived"],
        waited=sums["Waited"],
        declared_mandatory=sums["DeclaredMandatory"],
        declared_optional=sums["DeclaredOptional"],
        status_known=bool(row[3]),
        critical_share=sums["PathNs"] / duration_ns if duration_ns else 0.0,
        mean_ns=sums["DurationNs"] / sums["Calls"] if sums["Calls"] else 0.0,
        attempts=sums["Attempts"],
        journey_survived=sums["JourneySurvived"],
        confounded=sums["Confounded"],
        confounded_survived=sums["ConfoundedSurvived"],
        delivered=sums["Delivered"],
        wait_ns=sums["WaitNs"] / sums["Delivered"] if sums["Delivered"] else 0.0,
        evidence=replace(found.evidence, delivered=True) if is_delivered else found.evidence,
        journey_evidence=found.journey,
        basis=found.basis,
        weighted_traces=float(row[4]),
        own_failed=sums["OwnFailed"],
        blamed=sums["Blamed"],
        injected=sums["Injected"],
        blamed_injected=sums["BlamedInjected"],
        around="" if sums["DeclaredMandatory"] or sums["DeclaredOptional"] else around,
    )
