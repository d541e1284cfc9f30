"""Durations as logarithmic histograms: every quantile within 1 % of the true one."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.store.histogram import ACCURACY, GROWTH, bucket_values, merge, quantiles

durations = st.lists(st.tuples(st.integers(1, 2**63 - 1), st.floats(0.5, 1000.0)), min_size=1, max_size=50)
LEVELS = (0.0, 0.25, 0.5, 0.9, 0.99, 1.0)


def bucket(duration_ns: int) -> int:
    """What BUCKET_SQL says, in Python."""
    return 1 + math.ceil(math.log(duration_ns) / math.log(GROWTH)) if duration_ns > 0 else 0


def histogram(weighted: list[tuple[int, float]]) -> tuple[np.ndarray, np.ndarray]:
    sums: dict[int, float] = {}
    for duration_ns, weight in weighted:
        sums[bucket(duration_ns)] = sums.get(bucket(duration_ns), 0.0) + weight
    return np.array(sorted(sums)), np.array([sums[number] for number in sorted(sums)])


def true_quantile(weighted: list[tuple[int, float]], level: float) -> int:
    ordered = sorted(weighted)
    reached = np.cumsum([weight for _, weight in ordered])
    return ordered[min(int(np.searchsorted(reached, level * reached[-1] * (1 - 1e-9))), len(ordered) - 1)][0]


@given(durations)
def test_quantiles_are_within_the_accuracy(weighted: list[tuple[int, float]]) -> None:
    buckets, weights = histogram(weighted)

    found = quantiles(np.array([0, len(buckets)]), buckets, weights * (1 + 1e-9), LEVELS)

    for value, level in zip(found[0], LEVELS, strict=True):
        candidates = [true_quantile(weighted, level + shift) for shift in (-1e-6, 0, 1e-6)]
        assert any(value == pytest.approx(true, rel=ACCURACY * 1.001) for true in candidates)


@given(st.lists(durations, min_size=1, max_size=5), st.data())
def test_merging_histograms_is_the_histogram_of_all(lists: list[list[tuple[int, float]]], data: st.DataObject) -> None:
    groups = np.array(data.draw(st.lists(st.integers(0, 2), min_size=len(lists), max_size=len(lists))))
    parts = [histogram(weighted) for weighted in lists]
    offsets = np.cumsum([0, *(len(buckets) for buckets, _ in parts)])

    found_offsets, found_buckets, found_weights = merge(
        groups, offsets, np.concatenate([b for b, _ in parts]), np.concatenate([w for _, w in parts]), 3
    )

    for group in range(3):
        together = [pair for weighted, at in zip(lists, groups, strict=True) if at == group for pair in weighted]
        expected, weights = histogram(together) if together else (np.empty(0), np.empty(0))
        rows = slice(found_offsets[group], found_offsets[group + 1])
        assert found_buckets[rows].tolist() == expected.tolist()
        assert found_weights[rows] == pytest.approx(weights)


def test_a_duration_of_zero_is_zero() -> None:
    assert quantiles(np.array([0, 1]), np.array([0]), np.array([1.0]), (0.5,)).tolist() == [[0.0]]


def test_an_empty_histogram_has_quantiles_of_zero_and_leaves_its_neighbours_alone() -> None:
    offsets = np.array([0, 1, 1, 2])

    found = quantiles(offsets, np.array([100, 200]), np.array([1.0, 1.0]), (0.5,))

    assert found[:, 0].tolist() == [*bucket_values(np.array([100])), 0.0, *bucket_values(np.array([200]))]


def test_the_longest_duration_has_a_bucket_that_fits_two_bytes() -> None:
    assert bucket(2**63 - 1) < 2**16
