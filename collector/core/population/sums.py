"""Weighted sums of many traces, from which every measure is made. Pure; the store keeps the same sums by the minute.

For groups of traces (a band of latency, a kind of request, a bucket of a minute) and features (a part, a service, a
call path): w, w^2, w T, w T^2 by group, and w s, w s^2, w s T by group and feature. Sums add up, so that groups can
be merged in any order.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from collector.core.population.columns import FloatColumn, Population
from collector.core.spans import IntColumn


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums by group, shape (g,), and by group and feature, shape (g, f)."""

    traces: IntColumn
    weight: FloatColumn
    squares: FloatColumn
    """Squared weights: a trace kept at 1 % is one witness, not a hundred."""
    t: FloatColumn
    tt: FloatColumn

    there: FloatColumn
    """Weight of the traces in which the feature has time on the path."""
    there_traces: IntColumn
    s: FloatColumn
    ss: FloatColumn
    st: FloatColumn

    def merged(self, groups: IntColumn | None = None, count: int = 1) -> Self:
        """Return the sums of `count` groups of groups; `groups` says which of them each is in, by default one."""
        into = np.zeros(len(self.weight), np.int64) if groups is None else groups

        def add(column: np.ndarray) -> np.ndarray:
            total = np.zeros((count, *column.shape[1:]), column.dtype)
            np.add.at(total, into, column)
            return total

        return type(self)(**{name: add(getattr(self, name)) for name in self.__slots__})

    # What follows has shape (g,) or (g, f) as its operands have.

    def effective(self) -> FloatColumn:
        """(sum w)^2 / sum w^2: on how many traces the sums rest when some weigh more than others."""
        return _over(self.weight**2, self.squares)

    def mean_t(self) -> FloatColumn:
        return _over(self.t, self.weight)

    def mean(self) -> FloatColumn:
        """E[s]; over the features of a partition they sum to E[T]."""
        return _over(self.s, self.weight[:, None])

    def mean_there(self) -> FloatColumn:
        """E[s given s > 0]."""
        return _over(self.s, self.there)

    def share(self) -> FloatColumn:
        """E[s] / E[T], a ratio of means."""
        return _over(self.s, self.t[:, None])

    def participation(self) -> FloatColumn:
        """P(s > 0)."""
        return _over(self.there, self.weight[:, None])

    def variance(self) -> FloatColumn:
        """Of s, unbiased; infinite where there is one trace or none."""
        return _unbiased(_over(self.ss, self.weight[:, None]) - self.mean() ** 2, self.effective()[:, None])

    def variance_there(self) -> FloatColumn:
        """Of s among the traces that have it."""
        effective = self.effective()[:, None] * self.participation()
        return _unbiased(_over(self.ss, self.there) - self.mean_there() ** 2, effective)

    def variance_share(self) -> FloatColumn:
        """Of the share as an estimate, by the delta method."""
        share, mean_t = self.share(), self.mean_t()[:, None]
        rest = _over(self.ss - 2 * share * self.st + share**2 * self.tt[:, None], self.weight[:, None])
        effective = self.effective()[:, None]
        return _over(_unbiased(rest, effective), effective * mean_t**2)

    def contribution_to_variance(self) -> FloatColumn:
        """Cov(s, T) / Var(T); over the features of a partition they sum to 1."""
        covariance = _over(self.st, self.weight[:, None]) - self.mean() * self.mean_t()[:, None]
        return _over(covariance, (_over(self.tt, self.weight) - self.mean_t() ** 2)[:, None])


def sum_up(
    population: Population, feature: IntColumn, features: int, group: IntColumn | None = None, groups: int = 1
) -> Sums:
    """Return the sums of a population.

    Args:
        feature: by cell; cells of one trace and feature count as one value of s.
        group: by trace; by default all are in one.
    """
    group = np.zeros(len(population), np.int64) if group is None else group
    trace, feature, s = by_feature(population, feature, features)
    w, t = population.weight, population.duration_ns.astype(np.float64)

    def of_groups(values: FloatColumn) -> FloatColumn:
        return np.bincount(group, values, groups).astype(np.float64)

    key = group[trace] * features + feature
    shape = (groups, features)

    def of_features(values: FloatColumn) -> FloatColumn:
        return np.bincount(key, values, groups * features).astype(np.float64).reshape(shape)

    return Sums(
        traces=np.bincount(group, minlength=groups),
        weight=of_groups(w),
        squares=of_groups(w**2),
        t=of_groups(w * t),
        tt=of_groups(w * t**2),
        there=of_features(w[trace]),
        there_traces=np.bincount(key, minlength=groups * features).reshape(shape),
        s=of_features(w[trace] * s),
        ss=of_features(w[trace] * s**2),
        st=of_features(w[trace] * s * t[trace]),
    )


def by_feature(population: Population, feature: IntColumn, features: int) -> tuple[IntColumn, IntColumn, FloatColumn]:
    """Return trace, feature and time of each (trace, feature) with time."""
    keys, place = np.unique(population.cell_trace * max(features, 1) + feature, return_inverse=True)
    time = np.bincount(place.reshape(-1), population.cell_ns, len(keys)).astype(np.float64)
    return keys // max(features, 1), keys % max(features, 1), time


def _over(numerator: np.ndarray, denominator: np.ndarray) -> FloatColumn:
    """Divide; 0 where there is nothing to divide by."""
    numerator, denominator = np.broadcast_arrays(numerator, denominator)
    result: FloatColumn = np.divide(
        numerator, denominator, out=np.zeros(numerator.shape, np.float64), where=denominator != 0
    )
    return result


def _unbiased(variance: FloatColumn, effective: FloatColumn) -> FloatColumn:
    variance, effective = np.broadcast_arrays(np.maximum(variance, 0.0), effective)
    enough = effective > 1 + 1e-9
    spread: FloatColumn = np.where(enough, variance * _over(effective, effective - 1), np.inf)
    return spread
