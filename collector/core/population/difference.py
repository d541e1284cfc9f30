"""What changed between two populations, part by part: the value behind `cpdd diff`. Pure.

Requests of the same kind are compared with each other (a gateway's one operation is many kinds), at b's mix of kinds:

    E_B[s] - E_A[s]  =  sum over kinds of  share_B (E_B[s | kind] - E_A[s | kind])    delta: it takes another time
                      + what is left                                                mix: other requests came

Both sums over the parts are those of T. Each change has an interval (Welch), `significant` survives a correction for
all of them (Holm), and services are ordered by how far they stand out: the logarithm of how many times longer they
take where they are called, times the deviate of that difference.
Source of the order: Xiao et al., A novel significance score for gene selection and ranking, Bioinformatics 2014.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from collector.core.population.certainty import holm, normal_deviate, student_quantile, two_sided
from collector.core.population.columns import FloatColumn, Population
from collector.core.population.levels import levels_of
from collector.core.population.parts import Part
from collector.core.population.sums import Sums, sum_up
from collector.core.spans import IntColumn

ERROR = 0.01
"""How often a diff of two alike populations may call anything significant."""
RELEVANT_FROM = 0.01
"""A change of less than this share of the mean duration is never significant: nobody waits for it."""
FEWEST = 5
"""Traces of a kind on each side from which it is compared, where there are kinds with so many."""
FEWEST_THERE = 3
"""Traces with a part on each side from which its cost there is compared."""
FAINT = 0.001
"""This share of the mean duration is added to both sides of a ratio: from 1 to 3 µs is not three times as long."""
LEVELS = (0.5, 0.95, 0.99)

Interval = tuple[float, float]
_Thing = TypeVar("_Thing")


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two populations."""

    traces: int
    weighted_traces: float
    mean_ns: float
    p50_ns: float
    p95_ns: float
    p99_ns: float

    def to_json(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Compared:
    """Figures of one thing in both populations."""

    delta_ns: float
    """Per trace, at the same mix of requests."""
    share_of_change: float
    """Of the change of the mean duration at the same mix."""
    interval_ns: Interval
    """95 %, of this change alone."""
    significant: bool
    """It remains when all comparisons are taken together, and it is long enough to matter."""
    there_ns: tuple[float, float]
    """Mean in a and in b, where it has time on the path at all."""
    traces: tuple[int, int]
    """In a and in b, that have it on their path."""
    stands_out: float
    """What the order goes by."""

    @property
    def factor(self) -> float:
        """How many times as long it takes where it is there; 0 where it is new or gone."""
        before, after = self.there_ns
        return after / before if before and after else 0.0

    def to_json(self) -> dict[str, object]:
        low, high = self.interval_ns
        return {
            "delta_ns": self.delta_ns,
            "share_of_change": self.share_of_change,
            "interval_ns": [low, high] if np.isfinite(low) else None,
            "significant": self.significant,
            "factor": self.factor or None,
            "there_ns": list(self.there_ns),
            "traces": list(self.traces),
        }


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one part: the gap of an edge, or the own time of an operation."""

    part: Part
    figures: Compared

    def to_json(self) -> dict[str, object]:
        return self.part.to_json() | self.figures.to_json()


@dataclass(frozen=True, slots=True)
class ServiceChange:
    """What became of a service: of its own time, or of the way into it."""

    service: str
    what: str
    """`self` or `gap`."""
    figures: Compared
    changes: tuple[Change, ...]
    """Of its parts, the largest first."""

    def to_json(self) -> dict[str, object]:
        return {"service": self.service, "what": self.what} | self.figures.to_json()


@dataclass(frozen=True, slots=True)
class Difference:
    """What changed from a to b."""

    a: Side
    b: Side
    delta_ns: float
    """Of the mean duration, at the same mix of requests."""
    interval_ns: Interval
    significant: bool
    mix_ns: float
    """What other requests account for; with `delta_ns` it adds up to the difference of the means."""
    compared: tuple[int, int]
    """Traces of a and b whose kind of request is on both sides."""
    services: tuple[ServiceChange, ...]
    """Those that stand out most first."""

    @property
    def changes(self) -> tuple[Change, ...]:
        """The parts of all services, in their order."""
        return tuple(change for service in self.services for change in service.changes)

    @property
    def is_quiet(self) -> bool:
        """Nothing changed that could not be chance."""
        figures = [*(s.figures for s in self.services), *(change.figures for change in self.changes)]
        return not self.significant and not any(each.significant for each in figures)

    def to_json(self) -> dict[str, object]:
        """Return the JSON of `cpdd diff --json`; docs/reference/cli.md describes it."""
        return {
            "a": self.a.to_json(),
            "b": self.b.to_json(),
            "delta_ns": self.delta_ns,
            "interval_ns": list(self.interval_ns) if np.isfinite(self.interval_ns[0]) else None,
            "significant": self.significant,
            "mix_ns": self.mix_ns,
            "compared_traces": list(self.compared),
            "changes": [change.to_json() for change in self.changes],
            "services": [service.to_json() for service in self.services],
        }


def compare(a: Population, b: Population) -> Difference:
    """Return what changed from a to b. Work: O(n log n) in cells.

    Raises:
        ValueError: one of them is empty.
    """
    if not len(a) or not len(b):
        raise ValueError("a population without traces cannot be compared")
    parts, of_part = _aligned(a, b, lambda part: part)
    groups, of_group = _aligned(a, b, lambda part: (part.service, part.what))
    kinds = _comparable_kinds(a, b)
    by_part = _compare(a, b, kinds, of_part, len(parts))
    by_group = _compare(a, b, kinds, of_group, len(groups))
    whole = _compare(a, b, kinds, (np.zeros(len(a.parts), np.int64), np.zeros(len(b.parts), np.int64)), 1)

    mean_b = float(b.weight @ b.duration_ns / b.weight.sum())
    total = float(whole.delta[0])
    # The duration as a whole is one question; which part it was is another, with a correction for their number.
    significant = holm(two_sided(np.concatenate([by_part.z, by_group.z])), ERROR)
    relevant = RELEVANT_FROM * mean_b
    part_figures = by_part.figures(total, significant[: len(parts)], relevant, mean_b)
    group_figures = by_group.figures(total, significant[len(parts) :], relevant, mean_b)

    changes: dict[tuple[str, str], list[Change]] = {group: [] for group in groups}
    for part, figures in zip(parts, part_figures, strict=True):
        changes[part.service, part.what].append(Change(part, figures))
    services = [
        ServiceChange(*group, figures, tuple(sorted(changes[group], key=lambda c: (-abs(c.figures.delta_ns), c.part))))
        for group, figures in zip(groups, group_figures, strict=True)
    ]
    services.sort(key=lambda s: (-s.figures.stands_out, -abs(s.figures.delta_ns), s.service, s.what))
    mean_a = float(a.weight @ a.duration_ns / a.weight.sum())
    return Difference(
        a=_side(a),
        b=_side(b),
        delta_ns=total,
        interval_ns=(float(whole.low[0]), float(whole.high[0])),
        significant=bool(two_sided(whole.z)[0] <= ERROR) and abs(total) >= relevant,
        mix_ns=mean_b - mean_a - total,
        compared=(int(kinds.traces_a.sum()), int(kinds.traces_b.sum())),
        services=tuple(services),
    )


def _side(population: Population) -> Side:
    p50, p95, p99 = levels_of(population.duration_ns, population.weight, LEVELS)
    weight = float(population.weight.sum())
    mean = float(population.weight @ population.duration_ns / weight)
    return Side(len(population), weight, mean, p50, p95, p99)


def _aligned(
    a: Population, b: Population, key: Callable[[Part], _Thing]
) -> tuple[list[_Thing], tuple[IntColumn, IntColumn]]:
    """What the parts of both populations have in common, and which of it each part of a and of b is."""
    things = sorted({key(part) for part in (*a.parts, *b.parts)})  # type: ignore[type-var]
    number = {thing: i for i, thing in enumerate(things)}

    def numbers(parts: Sequence[Part]) -> IntColumn:
        return np.array([number[key(part)] for part in parts], np.int64)

    return things, (numbers(a.parts), numbers(b.parts))


# Kinds of request


@dataclass(frozen=True, slots=True)
class _Kinds:
    """Kinds of request that are on both sides; by trace, which kind it is, -1: none of them."""

    of_a: IntColumn
    of_b: IntColumn
    traces_a: IntColumn
    traces_b: IntColumn

    def __len__(self) -> int:
        return len(self.traces_a)


def _comparable_kinds(a: Population, b: Population) -> _Kinds:
    """Kinds as fine as both sides can be compared in: by what the root calls, else by journey, else all in one."""
    for of_a, of_b in (
        (a.request, b.request),
        (np.array(a.journeys)[a.journey], np.array(b.journeys)[b.journey]),
    ):
        for fewest in (FEWEST, 1):
            kinds = _common(of_a, of_b, fewest)
            if 2 * kinds.traces_a.sum() >= len(a) and 2 * kinds.traces_b.sum() >= len(b):
                return kinds
    return _common(np.zeros(len(a), np.int64), np.zeros(len(b), np.int64), 1)


def _common(of_a: np.ndarray, of_b: np.ndarray, fewest: int) -> _Kinds:
    names, number = np.unique(np.concatenate([of_a, of_b]), return_inverse=True)
    in_a, in_b = number.reshape(-1)[: len(of_a)], number.reshape(-1)[len(of_a) :]
    count_a, count_b = np.bincount(in_a, minlength=len(names)), np.bincount(in_b, minlength=len(names))
    kept = np.flatnonzero((count_a >= fewest) & (count_b >= fewest))
    place = np.full(len(names), -1, np.int64)
    place[kept] = np.arange(len(kept))
    return _Kinds(place[in_a], place[in_b], count_a[kept], count_b[kept])


# Features


@dataclass(frozen=True, slots=True)
class _Features:
    """Differences of many features, shape (f,)."""

    delta: FloatColumn
    low: FloatColumn
    high: FloatColumn
    z: FloatColumn
    """Deviate of delta; 0 where nothing can be said."""
    there_a: FloatColumn
    there_b: FloatColumn
    impact: FloatColumn
    """Per trace of b: what its costs there are above those of a, where both have it."""
    traces_a: IntColumn
    traces_b: IntColumn
    z_there: FloatColumn
    """Deviate of the difference of the costs there, of delta where there are too few."""

    def figures(self, total: float, significant: np.ndarray, relevant_ns: float, mean_ns: float) -> list[Compared]:
        faint = max(FAINT * mean_ns, 1.0)
        ratio = np.abs(np.log((self.there_b + faint) / (self.there_a + faint)))
        matters = np.maximum(np.abs(self.delta), np.abs(self.impact)) >= relevant_ns
        return [
            Compared(
                delta_ns=float(self.delta[i]),
                share_of_change=float(self.delta[i] / total) if total else 0.0,
                interval_ns=(float(self.low[i]), float(self.high[i])),
                significant=bool(significant[i]) and abs(float(self.delta[i])) >= relevant_ns,
                there_ns=(float(self.there_a[i]), float(self.there_b[i])),
                traces=(int(self.traces_a[i]), int(self.traces_b[i])),
                stands_out=float(ratio[i] * abs(self.z_there[i])) if matters[i] else 0.0,
            )
            for i in range(len(self.delta))
        ]


def _compare(
    a: Population, b: Population, kinds: _Kinds, of_part: tuple[IntColumn, IntColumn], features: int
) -> _Features:
    count = len(kinds)
    # The last group holds the traces that cannot be compared.
    sums_a = sum_up(a, of_part[0][a.cell_part], features, np.where(kinds.of_a < 0, count, kinds.of_a), count + 1)
    sums_b = sum_up(b, of_part[1][b.cell_part], features, np.where(kinds.of_b < 0, count, kinds.of_b), count + 1)
    return _features(sums_a, sums_b, count)


def compare_sums(a: Sums, b: Sums) -> tuple[Compared, list[Compared]]:
    """Return what became of the duration, and of each feature, between two populations of one kind of request.

    Args:
        a: sums of one group, shape (1, f); features in the same order as those of b.
    """
    whole, each = (_features(*sides, 1) for sides in ((_of_duration(a), _of_duration(b)), (a, b)))
    total, mean_b = float(whole.delta[0]), float(b.mean_t()[0])
    relevant = RELEVANT_FROM * mean_b
    (figures,) = whole.figures(total, two_sided(whole.z) <= ERROR, relevant, mean_b)
    return figures, each.figures(total, holm(two_sided(each.z), ERROR), relevant, mean_b)


def _of_duration(sums: Sums) -> Sums:
    """The duration itself as the only feature."""
    return replace(
        sums,
        there=sums.weight[:, None],
        there_traces=sums.traces[:, None],
        s=sums.t[:, None],
        ss=sums.tt[:, None],
        st=sums.tt[:, None],
    )


def _features(sums_a: Sums, sums_b: Sums, count: int) -> _Features:
    """Compare the first `count` groups, kind by kind, at b's mix of them."""
    features = sums_a.s.shape[1]
    share = (sums_b.weight / sums_b.weight.sum())[:count, None]
    delta = (share * (sums_b.mean() - sums_a.mean())[:count]).sum(axis=0)

    # Kinds with one trace tell nothing of the spread: where others do, theirs counts; where none does, nothing is sure.
    known = (np.minimum(sums_a.effective(), sums_b.effective()) > 1 + 1e-9)[:count, None]
    error, freedom = np.zeros(features), np.zeros(features)
    for sums in (sums_a, sums_b):
        effective = sums.effective()[:count, None]
        part = np.where(known, share**2 * sums.variance()[:count] / np.maximum(effective, 1e-9), 0.0)
        error += part.sum(axis=0)
        freedom += np.where(known & (effective > 1), part**2 / np.maximum(effective - 1, 1e-9), 0.0).sum(axis=0)
    freedom = np.divide(error**2, freedom, out=np.full(features, 1e9), where=freedom > 0)
    if not known.any():
        error = np.full(features, np.inf)
    half = student_quantile(freedom) * np.sqrt(error)
    z = _deviate(delta, error, freedom)
    all_a, all_b = sums_a.merged(), sums_b.merged()
    there_a, there_b = all_a.mean_there()[0], all_b.mean_there()[0]
    return _Features(
        delta=delta,
        low=delta - half,
        high=delta + half,
        z=z,
        there_a=there_a,
        there_b=there_b,
        impact=np.where(there_a > 0, all_b.participation()[0] * (there_b - there_a), 0.0),
        z_there=_deviate_there(all_a, all_b, z),
        traces_a=sums_a.there_traces.sum(axis=0),
        traces_b=sums_b.there_traces.sum(axis=0),
    )


def _deviate(delta: FloatColumn, error: FloatColumn, freedom: FloatColumn) -> FloatColumn:
    t = np.divide(delta, np.sqrt(error), out=np.zeros(len(delta)), where=(error > 0) & np.isfinite(error))
    return normal_deviate(t, np.maximum(freedom, 1.0))


def _deviate_there(a: Sums, b: Sums, otherwise: FloatColumn) -> FloatColumn:
    """Of E[s given s > 0], all kinds in one."""
    enough = (a.there_traces[0] >= FEWEST_THERE) & (b.there_traces[0] >= FEWEST_THERE)
    count_a, count_b = (np.maximum(each.effective() * each.participation()[0], 2.0) for each in (a, b))
    error_a = np.where(enough & np.isfinite(a.variance_there()[0]), a.variance_there()[0], 0.0) / count_a
    error_b = np.where(enough & np.isfinite(b.variance_there()[0]), b.variance_there()[0], 0.0) / count_b
    apart = error_a**2 / (count_a - 1) + error_b**2 / (count_b - 1)
    freedom = np.divide((error_a + error_b) ** 2, apart, out=np.full(len(apart), 1e9), where=apart > 0)
    z = _deviate(b.mean_there()[0] - a.mean_there()[0], error_a + error_b, freedom)
    return np.where(enough, z, otherwise)
