"""Evidence about edges, read from the minutes: that of the caller's current version, else of 30 days, the newer more.

A new version may have learned to do without a call, so what the old one did proves little. But its first failures
prove little either: until they decide, the past counts, unless they contradict it.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

from clickhouse_connect.driver.client import Client

from collector.core.requirement import NO_EVIDENCE, Baseline, Evidence, Share, prefer_current
from collector.store.journeys import WHICH_MINUTES, alone, only

HISTORY_S = 30 * 86_400
HALF_LIFE_S = 7 * 86_400

_SUMS = {
    "Alone": 1,
    "AloneWell": 1,
    "AloneSquares": 2,
    "AloneWellSquares": 2,
    "Quiet": 1,
    "QuietWell": 1,
    "QuietSquares": 2,
    "QuietWellSquares": 2,
    "compared": 1,
    "a_quiet_one * QuietWell": 1,
    "compared_squares": 2,
}
"""What `_evidence` needs, in its order; the last three are a `Baseline`. The number is the power of a weight in it."""
_OF_JOURNEY = (
    *("Alone", "AloneJourneyWell", "AloneSquares", "Quiet", "QuietJourneyWell", "QuietSquares"),
    *("compared", "a_quiet_one * QuietJourneyWell", "compared_squares"),
)
"""What became of the journey; all of it counts, and the same. The last three are a `Baseline`."""
_WITH = """
    exp2(-(toFloat64({last:UInt32}) - toUnixTimestamp(Minute)) / {half_life:UInt32}) AS fading,
    fading * fading AS fading_squared,
    if(Quiet > 0, Alone / Quiet, 0) AS a_quiet_one,
    if(Quiet > 0, Alone, 0) AS compared,
    a_quiet_one * a_quiet_one * QuietSquares AS compared_squares
"""
"""Failures for each quiet caller of their minute: what weighs the baseline as the failures are weighed."""
_FADED = {1: "fading", 2: "fading_squared"}
_COLUMNS = [f"sum({name})" for name in (*_OF_JOURNEY, *_SUMS)] + [f"sum({k} * {_FADED[n]})" for k, n in _SUMS.items()]


OF_FAILED = """EdgeId IN (
    SELECT EdgeId FROM edge_minutes WHERE Minute >= {first:DateTime} AND Minute < {last:DateTime} AND Alone > 0
)"""
"""A condition for `read_evidence`: edges of which there can be a verdict. Most calls never fail. Rows that were
replaced count, too: what is too much among the edges has nothing to say."""


EvidenceRows = Mapping[str, Sequence[Sequence[Any]]]
"""By journey, a row for each edge and version of its caller."""


@dataclass(frozen=True, slots=True)
class EdgeEvidence:
    evidence: Evidence
    basis: str
    """`version 1.4.2`, or `30 days`."""
    journey: Evidence
    """Of what became of the journey, from the same traces."""


NOTHING_SEEN = EdgeEvidence(NO_EVIDENCE, "", NO_EVIDENCE)
"""Of an edge that is older than evidence is."""


@dataclass(frozen=True, slots=True)
class _Version:
    name: str
    last_s: int
    first_s: int
    journey: Evidence
    plain: Evidence
    fading: Evidence


def read_evidence(client: Client, last_s: int, journey: str | None = None, condition: str = "1") -> EvidenceRows:
    """Read what is known about the edges of all journeys (or of the one) from the 30 days before `last_s`.

    Whoever judges an edge asks here, so that pages, findings and metrics never differ about it (decision 014).
    """
    rows = client.query(
        f"""
        WITH {_WITH}
        SELECT
            Journey, EdgeId, CallerVersion, toUnixTimestamp(max(Minute)), toUnixTimestamp(min(Minute)),
            max(StatusKnown), {", ".join(_COLUMNS)}
        FROM edge_minutes WHERE {WHICH_MINUTES} {only(journey)} AND {condition}
        GROUP BY Journey, EdgeId, CallerVersion {alone(journey)}
        """,
        {"first": max(last_s - HISTORY_S, 0), "last": last_s, "half_life": HALF_LIFE_S, "journey": journey or ""},
    ).result_rows
    by_journey: dict[str, list[Sequence[Any]]] = defaultdict(list)
    for name, *row in rows:
        by_journey[str(name)].append(row)
    return by_journey


def evidence_of(found: EvidenceRows, edges: Collection[int] | None = None) -> dict[str, dict[int, EdgeEvidence]]:
    """Return the evidence about each edge, or about these, by journey."""
    return {name: _by_edge(rows, edges) for name, rows in found.items()}


def _by_edge(rows: Sequence[Sequence[Any]], edges: Collection[int] | None) -> dict[int, EdgeEvidence]:
    survivor = _weight_of_survivors(rows)  # over all edges of the journey, whichever are wanted
    versions: dict[int, list[_Version]] = {}
    for row in rows:
        if edges is None or int(row[0]) in edges:
            versions.setdefault(int(row[0]), []).append(_version(row, survivor))
    return {edge: _chosen(found) for edge, found in versions.items()}


def _version(row: Sequence[Any], survivor: float) -> _Version:
    known = bool(row[4])
    values = [float(value) for value in row[5:]]
    of_journey, sums = values[: len(_OF_JOURNEY)], values[len(_OF_JOURNEY) :]
    half = len(_SUMS)
    # From weights that do not fade: those of quiet callers are of today, those of failures may be old.
    failed, quiet = Share(*sums[:4]), Share(*sums[4:8])
    ratio = (survivor or quiet.weight_of_well) / failed.weight_of_ill if failed.weight_of_ill else 0.0
    return _Version(
        name=str(row[1]),
        last_s=int(row[2]),
        first_s=int(row[3]),
        journey=Evidence(Share(*of_journey[:3]), Share(*of_journey[3:6]), known, baseline=Baseline(*of_journey[6:])),
        plain=_evidence(sums[:half], known, ratio),
        fading=_evidence(sums[half:], known, ratio),
    )


def _evidence(sums: Sequence[float], known: bool, survivor_ratio: float) -> Evidence:
    return Evidence(
        Share(*sums[:4]), Share(*sums[4:8]), known, baseline=Baseline(*sums[8:]), survivor_ratio=survivor_ratio
    )


def _weight_of_survivors(rows: Sequence[Sequence[Any]]) -> float:
    """What a caller of this journey weighs that survived some failed call; 0 where nobody was seen to."""
    first = 5 + len(_OF_JOURNEY)
    well, squares = first + list(_SUMS).index("AloneWell"), first + list(_SUMS).index("AloneWellSquares")
    weight = sum(float(row[well]) for row in rows)
    return sum(float(row[squares]) for row in rows) / weight if weight else 0.0


def _chosen(versions: Sequence[_Version]) -> EdgeEvidence:
    history = reduce(add, (version.fading for version in versions))
    newest = max(versions, key=lambda version: (version.last_s, version.first_s))
    if newest.name and prefer_current(newest.plain, history):
        return EdgeEvidence(newest.plain, f"version {newest.name}", newest.journey)
    return EdgeEvidence(history, "30 days", reduce(add, (version.journey for version in versions)))
