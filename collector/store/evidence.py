"""Evidence about edges, read from the minutes: that of the caller's current version, else of 30 days, the newer more.

A new version may have learned to do without a call, so what the old one did proves little. But its first failures
prove little either: until they decide, the past counts, unless they contradict it.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

from collector.core.requirement import NO_EVIDENCE, Baseline, Evidence, Share, prefer_current
from collector.store.evidence_rows import FIRST_SUM, OF_JOURNEY, SUMS, EvidenceRows


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
    values = [float(value) for value in row[FIRST_SUM:]]
    of_journey, sums = values[: len(OF_JOURNEY)], values[len(OF_JOURNEY) :]
    half = len(SUMS)
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
    first = FIRST_SUM + len(OF_JOURNEY)
    well, squares = first + list(SUMS).index("AloneWell"), first + list(SUMS).index("AloneWellSquares")
    weight = sum(float(row[well]) for row in rows)
    return sum(float(row[squares]) for row in rows) / weight if weight else 0.0


def _chosen(versions: Sequence[_Version]) -> EdgeEvidence:
    history = reduce(add, (version.fading for version in versions))
    newest = max(versions, key=lambda version: (version.last_s, version.first_s))
    if newest.name and prefer_current(newest.plain, history):
        return EdgeEvidence(newest.plain, f"version {newest.name}", newest.journey)
    return EdgeEvidence(history, "30 days", reduce(add, (version.journey for version in versions)))
