"""The measures of one population: shares, participation, contributions, for parts, services and call paths. Pure.

Definitions: CRITICAL_PATH, "Measures"; docs/explanation/population.md. Each column of a partition sums to its whole:
means to the mean duration, shares and contributions to 1.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from collector.core.population.certainty import student_quantile
from collector.core.population.columns import FloatColumn, Population
from collector.core.population.levels import levels_of
from collector.core.population.parts import Part
from collector.core.population.sums import Sums, sum_up
from collector.core.spans import IntColumn

TAIL_FROM, TAIL_AGAINST = 0.99, 0.5
"""The tail contribution holds the slowest 1 % against the faster half."""
_Thing = TypeVar("_Thing")


@dataclass(frozen=True, slots=True)
class Measures:
    """What one thing (a part, a service) has of the critical path of a population."""

    mean_ns: float
    """Per trace, those without it included."""
    share: float
    """E[s] / E[T]."""
    share_interval: tuple[float, float]
    """95 %."""
    participation: float
    """P(s > 0)."""
    there_ns: float
    """E[s given s > 0]."""
    traces: int
    """That have it on their path."""
    variance_contribution: float
    """Cov(s, T) / Var(T): how much of the unsteadiness goes back to it."""
    tail_contribution: float
    """What it has more of in the slowest 1 % than in the faster half, relative to what these take longer."""

    def to_json(self) -> dict[str, object]:
        return {
            "mean_ns": self.mean_ns,
            "share": self.share,
            "share_interval": list(self.share_interval),
            "participation": self.participation,
            "there_ns": self.there_ns,
            "traces": self.traces,
            "variance_contribution": self.variance_contribution,
            "tail_contribution": self.tail_contribution,
        }


@dataclass(frozen=True, slots=True)
class PlaceTime:
    """Time on the path at one position of the call tree."""

    self_ns: float
    """Per trace."""
    inclusive_ns: float
    """Its own and that of all below it."""
    participation: float


@dataclass(frozen=True, slots=True)
class HiddenWork:
    """What an operation does while the journey waits for somebody else."""

    work_ns: float
    """Per trace: its spans without what they wait for."""
    hidden_ns: float
    """What of that is off the path."""
    traces: int
    """With any hidden work of it."""

    def to_json(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in self.__slots__}


def measure_parts(population: Population) -> dict[Part, Measures]:
    """Return the measures of each part, the largest mean first."""
    return _measured(population, lambda part: part)


def measure_services(population: Population) -> dict[str, Measures]:
    """Return the measures of each service: how much of the time is waited for its spans, the ways out included."""
    return _measured(population, lambda part: part.caller_service if part.is_gap else part.service)


def measure_operations(population: Population) -> dict[tuple[str, str], float]:
    """Return the inclusive mean of each (service, operation) in ns: it and all below it, recursion counted once."""
    times = measure_places(population)
    found: dict[tuple[str, str], float] = {}
    above: list[frozenset[tuple[str, str]]] = []
    for place, time in zip(population.places, times, strict=True):
        name = (place.service, place.operation)
        passed = above[place.parent] if place.parent >= 0 else frozenset[tuple[str, str]]()
        above.append(passed if name in passed else passed | {name})
        if name not in passed:
            found[name] = found.get(name, 0.0) + time.inclusive_ns
    return found


def measure_hidden_work(population: Population) -> dict[tuple[str, str], HiddenWork]:
    """Return the hidden work of each (service, operation) that has any, the most first."""
    count, weight = len(population.operations), population.weight
    own = weight[population.work_trace]

    def mean(column: IntColumn) -> list[float]:
        sums: list[float] = (np.bincount(population.work_operation, own * column, count) / weight.sum()).tolist()
        return sums

    traces = np.bincount(population.work_operation[population.hidden_ns > 0], minlength=count).tolist()
    columns = zip(mean(population.work_ns), mean(population.hidden_ns), traces, strict=True)
    found = {name: HiddenWork(*row) for name, row in zip(population.operations, columns, strict=True) if row[2]}
    return dict(sorted(found.items(), key=lambda each: (-each[1].hidden_ns, each[0])))


def measure_places(population: Population) -> list[PlaceTime]:
    """Return the time at each of the population's places."""
    sums = sum_up(population, population.cell_place, len(population.places))
    own = sums.mean()[0]
    inclusive = own.copy()
    for i in range(len(population.places) - 1, -1, -1):
        if population.places[i].parent >= 0:
            inclusive[population.places[i].parent] += inclusive[i]
    columns = (own.tolist(), inclusive.tolist(), sums.participation()[0].tolist())
    return [PlaceTime(*row) for row in zip(*columns, strict=True)]


def tail_groups(population: Population) -> np.ndarray:
    """Return by trace whether it is of the slowest 1 % (2), of the faster half (0), or between (1)."""
    half, tail = levels_of(population.duration_ns, population.weight, (TAIL_AGAINST, TAIL_FROM))
    duration = population.duration_ns
    # Where durations are alike there may be nothing above p99: then the slowest are the tail.
    return np.where(duration <= half, 0, np.where(duration >= tail, 2, 1)).astype(np.int64)


def tail_contribution(sums: Sums) -> FloatColumn:
    """Return it by feature; `sums` by the groups of `tail_groups`. 0 where the tail is no slower."""
    longer = float(sums.mean_t()[2] - sums.mean_t()[0]) if sums.weight[2] and sums.weight[0] else 0.0
    if longer <= 0:
        return np.zeros(sums.s.shape[1])
    shares: FloatColumn = (sums.mean()[2] - sums.mean()[0]) / longer
    return shares


def _measured(population: Population, key: Callable[[Part], _Thing]) -> dict[_Thing, Measures]:
    things = list(dict.fromkeys(key(part) for part in population.parts))
    number = {thing: i for i, thing in enumerate(things)}
    feature = np.array([number[key(part)] for part in population.parts], np.int64)[population.cell_part]
    by_tail = sum_up(population, feature, len(things), tail_groups(population), 3)
    sums = by_tail.merged()
    half = student_quantile(sums.effective() - 1)[0] * np.sqrt(sums.variance_share()[0])
    share = sums.share()[0]
    columns = (
        sums.mean()[0].tolist(),
        share.tolist(),
        zip(np.maximum(share - half, 0.0).tolist(), np.minimum(share + half, 1.0).tolist(), strict=True),
        sums.participation()[0].tolist(),
        sums.mean_there()[0].tolist(),
        sums.there_traces[0].tolist(),
        sums.contribution_to_variance()[0].tolist(),
        tail_contribution(by_tail).tolist(),
    )
    rows = [Measures(*row) for row in zip(*columns, strict=True)]
    order = sorted(range(len(things)), key=lambda i: -rows[i].mean_ns)
    return {things[i]: rows[i] for i in order if rows[i].traces}
