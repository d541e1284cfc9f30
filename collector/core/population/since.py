"""Since when is it slow? The moment in a series from which on latency stands above what it was before. Pure.

    ms  80 |                 x x x x       of all cuts, the one that parts the steps best:
        60 |                x              nearly every step after it is slower than nearly every one before
        40 |  x x   x x x |                (rank-sum statistic), and the middle is a good deal slower
           |-----x---------|--------
                           since

Says what the series did, not why: a change of what people ask for moves it, too.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from collector.core.kernels import load

LEAST_STEPS = 2
"""Steps on either side."""
LEAST_TRACES = 30
"""Traces on either side."""
PARTED = 0.85
"""Of all pairs of a step before and one after, the share in which the one after is slower."""
LEAST_TIMES = {"p50": 1.3, "p95": 1.5}
"""By how much it has to be slower: p95 moves more by chance."""


@dataclass(frozen=True, slots=True)
class Slowed:
    """Latency that rose and stayed."""

    since_unix_nano: int
    """Begin of the first slow step."""
    quantile: str
    """`p50`, or `p95` where only the slow traces became slower."""
    before_ns: float
    """Mean over the steps before, weighted by their traces."""
    after_ns: float

    @property
    def times(self) -> float:
        return self.after_ns / self.before_ns


@dataclass(frozen=True, slots=True)
class Steps:
    """A series as columns, shape (n,) each, without the steps that had no trace."""

    start_unix_nano: Sequence[int]
    traces: Sequence[float]
    p50_ns: Sequence[float]
    p95_ns: Sequence[float]


def slowed(steps: Steps) -> Slowed | None:
    """Return since when latency is higher than before, None where it is not or where too little tells."""
    traces = np.asarray(steps.traces, np.float64)
    if len(traces) < 2 * LEAST_STEPS:
        return None
    for quantile, series in (("p50", steps.p50_ns), ("p95", steps.p95_ns)):
        found = _cut(np.asarray(series, np.float64), traces, LEAST_TIMES[quantile])
        if found:
            at, before_ns, after_ns = found
            return Slowed(int(steps.start_unix_nano[at]), quantile, before_ns, after_ns)
    return None


def _cut(
    latency: NDArray[np.float64], traces: NDArray[np.float64], least_times: float
) -> tuple[int, float, float] | None:
    """Return the first step after the best cut, and the means on either side. Work: O(n^2)."""
    if latency.max() < least_times * max(latency.min(), 1.0):
        return None
    at, before_ns, after_ns = load("cut", len(latency)).best_cut(
        latency, traces, least_times, PARTED, LEAST_STEPS, float(LEAST_TRACES)
    )
    return (int(at), float(before_ns), float(after_ns)) if at >= 0 else None
