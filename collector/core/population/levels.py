"""Quantiles of weighted durations, and the bands of latency between them. Pure."""

import numpy as np

from collector.core.population.columns import FloatColumn
from collector.core.spans import IntColumn

BANDS = ("p0-50", "p50-90", "p90-99", "p99+")
BAND_LEVELS = (0.5, 0.9, 0.99)
"""Between one band and the next."""


def levels_of(duration_ns: np.ndarray, weight: FloatColumn, levels: tuple[float, ...]) -> list[float]:
    """Return the durations that `level` of the weight does not exceed.

    >>> levels_of(np.array([30, 10, 20]), np.ones(3), (0.5, 0.99))
    [20.0, 30.0]
    """
    order = np.argsort(duration_ns, kind="stable")
    reached = np.cumsum(weight[order])
    wanted = np.array(levels) * reached[-1]
    places = np.minimum(np.searchsorted(reached, wanted * (1 - 1e-12)), len(order) - 1)
    return [float(duration_ns[order[place]]) for place in places.tolist()]


def bands_of(duration_ns: IntColumn, weight: FloatColumn) -> IntColumn:
    """Return the band of each trace, a position in `BANDS`; traces of one duration are in one band.

    >>> bands_of(np.arange(1, 11), np.ones(10)).tolist()
    [0, 0, 0, 0, 0, 1, 1, 1, 1, 2]
    """
    bounds = levels_of(duration_ns, weight, BAND_LEVELS)
    return np.searchsorted(np.array(bounds), duration_ns.astype(np.float64), side="left").astype(np.int64)
