"""What if an operation took another time? How the durations of a population would answer. Pure.

Each trace is replayed with other work under three graphs of who waits for whom. The learned one answers: a child waits
for a sibling that ended before it began, unless some trace shows the two the other way round or at once. The cautious
and the bold graph of one trace (docs/decisions/002) stand beside it: where they differ from it, much depends on who
really waits for whom. The interval is for the chance of which traces were seen.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain, pairwise

import numpy as np

from collector.core.assemble import Forest, assemble
from collector.core.critical_path import critical_paths
from collector.core.dependencies import find_dependencies
from collector.core.kernels import load
from collector.core.policy import PathPolicy
from collector.core.population.certainty import student_quantile
from collector.core.population.columns import FloatColumn
from collector.core.population.levels import levels_of
from collector.core.population.parts import Part, parts_of_nodes
from collector.core.population.wishes import UnknownTarget, Wish
from collector.core.spans import IdColumn, IntColumn, SpanBatch

CAUTIOUS, BOLD, LEARNED = range(3)
"""Columns of a replay."""
LEVELS = (0.5, 0.95, 0.99)
STEPS = 8
"""Into how many steps the way to no work at all is cut, to see where another path takes over."""
SATURATED_BELOW = 0.5
"""Another path has taken over where a step saves less than this share of what the first one saved."""
MOST_RANKED = 20
DRAWS = 500
CERTAINTY = 0.99
"""How often the interval of a prediction holds what really happens."""

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of the population before and after."""

    name: str
    """`mean`, `p50`, `p95` or `p99`."""
    before_ns: float
    after_ns: float
    """Under the learned graph."""
    interval_ns: Interval
    """Of the change; see `CERTAINTY`."""
    after_cautious_ns: float
    after_bold_ns: float

    @property
    def change_ns(self) -> float:
        return self.after_ns - self.before_ns

    def to_json(self) -> dict[str, object]:
        return {
            "name": self.name,
            "before_ns": self.before_ns,
            "after_ns": self.after_ns,
            "change_ns": self.change_ns,
            "interval_ns": list(self.interval_ns),
            "after_cautious_ns": self.after_cautious_ns,
            "after_bold_ns": self.after_bold_ns,
        }


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a wish would do."""

    traces: int
    weighted_traces: float
    touched: float
    """Share of the traces that have such a span, on the path or off it."""
    figures: tuple[Figure, ...]

    @property
    def mean(self) -> Figure:
        return self.figures[0]

    def to_json(self) -> dict[str, object]:
        return {
            "traces": self.traces,
            "weighted_traces": self.weighted_traces,
            "touched": self.touched,
            "figures": [figure.to_json() for figure in self.figures],
        }


@dataclass(frozen=True, slots=True)
class Candidate:
    """One part, and what making it faster is worth."""

    part: Part
    mean_ns: float
    """Its time on the path per trace."""
    halved_ns: float
    """What the mean loses when it takes half the time; likewise under the other two graphs."""
    halved_cautious_ns: float
    halved_bold_ns: float
    gone_ns: float
    """What the mean loses when it takes no time."""
    halved_p95_ns: float
    """What p95 loses when it takes half the time."""
    saturates_at: float
    """The share of its time (0 to 1) by which it can shrink before another path takes over."""

    def to_json(self) -> dict[str, object]:
        return self.part.to_json() | {
            "mean_ns": self.mean_ns,
            "halved_ns": self.halved_ns,
            "halved_cautious_ns": self.halved_cautious_ns,
            "halved_bold_ns": self.halved_bold_ns,
            "gone_ns": self.gone_ns,
            "halved_p95_ns": self.halved_p95_ns,
            "saturates_at": self.saturates_at,
        }


class WhatIf:
    """A population that can be replayed with other work."""

    def __init__(self, batch: SpanBatch, policy: PathPolicy = PathPolicy(), weight: FloatColumn | None = None) -> None:
        """Args:
        weight: by row of the batch, how many traces one stands for; by default 1.
        """
        self.forest: Forest = assemble(batch, policy)
        self._paths = critical_paths(self.forest)
        found = find_dependencies(self.forest, self._paths)
        self.parts, self._part_of = parts_of_nodes(self.forest, found)
        rows = self.forest.row[self.forest.target]
        self.weight = np.ones(self.forest.traces) if weight is None else weight[rows].astype(np.float64)
        self.duration_ns = (self.forest.end - self.forest.start)[self.forest.target].astype(np.float64)
        self._jobs = _Jobs.of(self.forest, found.path_id)

    def __len__(self) -> int:
        return self.forest.traces

    @property
    def mean_ns(self) -> float:
        return self._mean(self.duration_ns)

    def predict(self, wishes: Sequence[Wish]) -> Prediction:
        """Return what all wishes together do.

        Raises:
            UnknownTarget: a wish names what no trace has.
        """
        scale, shift = np.ones(len(self.forest)), np.zeros(len(self.forest))
        touched = np.zeros(len(self.forest), bool)
        for wish in wishes:
            wanted = np.array([wish.matches(part) for part in self.parts], bool)
            if not wanted.any():
                raise UnknownTarget(wish, self.parts)
            nodes = wanted[self._part_of]
            scale[nodes] *= wish.scale
            shift[nodes] += wish.shift_ns
            touched |= nodes
        after = self._replay(scale, shift, 1)
        any_touched = np.add.reduceat(touched, self.forest.first[:-1]) > 0
        return Prediction(
            traces=self.forest.traces,
            weighted_traces=float(self.weight.sum()),
            touched=float(self.weight[any_touched].sum() / self.weight.sum()),
            figures=self._figures(after),
        )

    def rank(self, most: int = MOST_RANKED) -> tuple[Candidate, ...]:
        """Return the parts whose time on the path is worth most, the one to make faster first at the front."""
        sums = np.bincount(self._part_of, self._paths.time_ns * self._node_weights(), len(self.parts))
        chosen = [part for part in np.argsort(-sums, kind="stable")[:most].tolist() if sums[part] > 0]
        ranked = [self._candidate(part, float(sums[part] / self.weight.sum()), len(chosen)) for part in chosen]
        return tuple(sorted(ranked, key=lambda candidate: (-candidate.halved_ns, candidate.part)))

    def saturation(self, wish: Wish) -> float:
        """Return the share of its time by which what a wish names can shrink before another path takes over."""
        nodes = np.array([wish.matches(part) for part in self.parts], bool)[self._part_of]
        return _saturation(map(self._saved, map(self._shrunk(nodes, STEPS), range(1, STEPS + 1))))

    def _node_weights(self) -> FloatColumn:
        return np.repeat(self.weight, np.diff(self.forest.first))

    def _candidate(self, part: int, mean_ns: float, of: int) -> Candidate:
        shrunk = self._shrunk(self._part_of == part, of * STEPS)
        half = shrunk(STEPS // 2)
        (before,), (after,) = (levels_of(each, self.weight, (0.95,)) for each in (self.duration_ns, half[:, LEARNED]))
        saved = [self._mean(self.duration_ns - half[:, graph]) for graph in range(3)]
        return Candidate(
            part=self.parts[part],
            mean_ns=mean_ns,
            halved_ns=saved[LEARNED],
            halved_cautious_ns=saved[CAUTIOUS],
            halved_bold_ns=saved[BOLD],
            gone_ns=self._saved(shrunk(STEPS)),
            halved_p95_ns=before - after,
            saturates_at=_saturation(map(self._saved, map(shrunk, range(1, STEPS + 1)))),
        )

    def _shrunk(self, nodes: np.ndarray, times: int) -> Callable[[int], FloatColumn]:
        """Durations by how many of `STEPS` steps the nodes' work has shrunk to nothing; each is replayed once."""

        @cache
        def shrunk(step: int) -> FloatColumn:
            return self._replay(np.where(nodes, 1 - step / STEPS, 1.0), np.zeros(len(nodes)), times)

        return shrunk

    def _saved(self, after: FloatColumn) -> float:
        """What the mean loses."""
        return self._mean(self.duration_ns - after[:, LEARNED])

    def _mean(self, values: FloatColumn) -> float:
        return float(self.weight @ values / self.weight.sum())

    def _replay(self, scale: FloatColumn, shift: FloatColumn, times: int) -> FloatColumn:
        """Durations by graph, shape (t, 3); `times`: how often this is asked for."""
        jobs = self._jobs
        lengths: FloatColumn = load("whatif", len(self.forest) * times).change_targets(
            jobs.nodes, jobs.kids, jobs.first, jobs.low, jobs.high, self.forest.tick, self.forest.span_id,
            jobs.wait_first, jobs.waits, scale, shift,
        )  # fmt: skip
        return lengths

    def _figures(self, after: FloatColumn) -> tuple[Figure, ...]:
        before = [self._mean(self.duration_ns), *levels_of(self.duration_ns, self.weight, LEVELS)]
        later = [[self._mean(each), *levels_of(each, self.weight, LEVELS)] for each in after.T]
        learned = after[:, LEARNED]
        intervals = [self._mean_interval(learned), *_quantile_changes(self.duration_ns, learned, self.weight)]
        return tuple(
            Figure(name, before[i], later[LEARNED][i], intervals[i], later[CAUTIOUS][i], later[BOLD][i])
            for i, name in enumerate(("mean", "p50", "p95", "p99"))
        )

    def _mean_interval(self, after: FloatColumn) -> Interval:
        effective = float(self.weight.sum() ** 2 / (self.weight**2).sum())
        change = after - self.duration_ns
        mean = self._mean(change)
        if effective <= 1:
            return mean, mean
        error = np.sqrt(self._mean((change - mean) ** 2) / (effective - 1))
        half = float(student_quantile(np.array([effective - 1]), CERTAINTY)[0] * error)
        return mean - half, mean + half


@dataclass(frozen=True, slots=True)
class _Jobs:
    """What the kernels of `whatif` prepare once for many replays."""

    nodes: IntColumn
    kids: IntColumn
    first: IntColumn
    low: IntColumn
    high: IntColumn
    wait_first: IntColumn
    waits: IntColumn

    @classmethod
    def of(cls, forest: Forest, path_id: IdColumn) -> "_Jobs":
        kernels = load("whatif", 4 * len(forest))
        nothing, no_ids = np.empty(0, np.int64), np.empty(0, np.uint64)
        with np.errstate(over="ignore"):
            nodes, kids, low, high, first = kernels.find_jobs(
                forest.target.astype(np.int64), forest.start, forest.end, forest.relation, forest.children,
                forest.child_first,
            )  # fmt: skip
            keys = kernels.number_jobs(nodes, kids, first, path_id)
            pairs = (nodes, kids, first, keys, low, high, forest.tick)
            found = np.empty(kernels.refuted_pairs(*pairs, no_ids), np.uint64)
            kernels.refuted_pairs(*pairs, found)
            orders = (nodes, kids, first, keys, np.unique(found), low, high, forest.tick)
            wait_first = kernels.learned_waits(*orders, nothing)
            waits = np.empty(int(wait_first[-1]), np.int64)
            kernels.learned_waits(*orders, waits)
        return cls(nodes, kids, first, low, high, wait_first, waits)


def _quantile_changes(before: FloatColumn, after: FloatColumn, weight: FloatColumn) -> list[Interval]:
    """The intervals of the changes of `LEVELS`, by the bootstrap: traces drawn anew, before and after together."""
    random = np.random.default_rng(20180613)
    orders = [np.argsort(each, kind="stable") for each in (before, after)]
    ordered = [each[order] for each, order in zip((before, after), orders, strict=True)]
    changes = np.empty((DRAWS, len(LEVELS)))
    for draw in range(DRAWS):
        drawn = weight * random.poisson(1.0, len(weight))
        found = []
        for order, values in zip(orders, ordered, strict=True):
            reached = np.cumsum(drawn[order])
            places = np.searchsorted(reached, np.array(LEVELS) * reached[-1])
            found.append(values[np.minimum(places, len(values) - 1)])
        changes[draw] = found[1] - found[0]
    low, high = np.quantile(changes, (0.5 - CERTAINTY / 2, 0.5 + CERTAINTY / 2), axis=0)
    return list(zip(low.tolist(), high.tolist(), strict=True))


def _saturation(saved: Iterable[float]) -> float:
    """How far along a curve of savings a step still saves at least half of what the first one did.

    Asks for no more of the curve than it takes to know.

    >>> _saturation([10, 20, 30, 31, 31, 31, 31, 31])
    0.375
    """
    least = None
    for step, (before, after) in enumerate(pairwise(chain([0.0], saved))):
        if least is None:
            if after <= 0:
                return 0.0
            least = SATURATED_BELOW * after
        elif after - before < least:
            return step / STEPS
    return 1.0
