"""Durations as histograms on a logarithmic scale: mergeable by addition, weighted, the same whatever the order.

A bucket holds the durations in (GROWTH^(i-1), GROWTH^i] ns and stands for the value that is at most 1 % away from
each of them, so that every quantile is within 1 % of the true one. (A t-digest takes whole weights only, depends on
the order of merging, and stops counting in float32 at 16 million.)
Source: Masson, Rim, Lee, DDSketch, VLDB 2019.
"""

import math

import numpy as np
from numpy.typing import NDArray

from collector.core.spans import IntColumn

ACCURACY = 0.01
GROWTH = (1 + ACCURACY) / (1 - ACCURACY)

BUCKET_SQL = f"if(DurationNs > 0, toUInt16(1 + ceil(log(DurationNs) / {float(np.log(GROWTH))!r})), 0)"
"""The bucket of a row of `traces`; 0 for no duration, 1 for 1 ns, 2185 for the longest that there can be."""

WIDE = 10
"""Buckets that are one wide bucket: those of paths are 1.22 times as long as the ones before, 11 to the tenfold."""
WIDE_SQL = f"toUInt8(intDiv({BUCKET_SQL} + {WIDE - 1}, {WIDE}))"


def wide_buckets(buckets: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return the wide bucket that holds each bucket.

    >>> wide_buckets(np.array([0, 1, 10, 11])).tolist()
    [0, 1, 1, 2]
    """
    return (np.asarray(buckets, np.int64) + WIDE - 1) // WIDE


def wide_bounds(wide: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return the longest duration in ns that each wide bucket holds."""
    longest = np.power(GROWTH, np.asarray(wide, np.float64) * WIDE - 1)
    return np.where(np.asarray(wide) > 0, longest, 0.0)


def bucket_of(duration_ns: int) -> int:
    """Return the bucket of a duration, as `BUCKET_SQL` has it.

    >>> bucket_of(0), bucket_of(1), bucket_of(2**63 - 1)
    (0, 1, 2185)
    """
    return 1 + math.ceil(math.log(duration_ns) / math.log(GROWTH)) if duration_ns > 0 else 0


def bucket_values(buckets: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return the duration in ns that stands for each bucket."""
    middle = 2.0 / (1.0 + GROWTH) * np.power(GROWTH, np.asarray(buckets, np.float64) - 1)
    return np.where(np.asarray(buckets) > 0, middle, 0.0)


def quantiles(
    offsets: IntColumn, buckets: NDArray[np.integer], weights: NDArray[np.float64], levels: tuple[float, ...]
) -> NDArray[np.float64]:
    """Return quantiles of many histograms at once, shape (histograms, levels), in ns; 0 for an empty one.

    Args:
        offsets: Histogram i is buckets[offsets[i]:offsets[i + 1]], ascending, with as many weights, all positive.

    >>> quantiles(np.array([0, 2]), np.array([1, 2]), np.array([3.0, 1.0]), (0.5, 0.9)).round(2).tolist()
    [[0.99, 1.01]]
    """
    begins, ends = offsets[:-1], offsets[1:]
    result = np.zeros((len(begins), len(levels)))
    filled = np.flatnonzero(ends > begins)
    if not len(filled):
        return result
    total = np.concatenate([[0.0], np.cumsum(weights)])
    before, after = total[begins[filled]], total[ends[filled]]
    values = bucket_values(buckets)
    for column, level in enumerate(levels):
        wanted = before + level * (after - before)
        place = np.searchsorted(total[1:], wanted, side="left")
        result[filled, column] = values[np.clip(place, begins[filled], ends[filled] - 1)]
    return result


def merge(
    groups: IntColumn, offsets: IntColumn, buckets: NDArray[np.integer], weights: NDArray[np.float64], count: int
) -> tuple[IntColumn, NDArray[np.integer], NDArray[np.float64]]:
    """Return offsets, buckets and weights of the `count` histograms that are the sums of each group.

    Args:
        groups: By histogram, which sum it belongs to.
    """
    group_of = np.repeat(groups, np.diff(offsets))
    keys, place = np.unique(group_of << 16 | buckets.astype(np.int64), return_inverse=True)
    sums = np.zeros(len(keys))
    np.add.at(sums, place.reshape(-1), weights)
    return np.searchsorted(keys >> 16, np.arange(count + 1)).astype(np.int64), keys & 0xFFFF, sums
