"""Path signatures: which operations a path leads through, in which order. Pure.

    checkout 0-100, stock 10-40 in it, payment 50-90 in it      checkout -> stock -> payment

The signature names each operation once, where the path first reaches it, and leaves out what has less than
`SIGNATURE_FROM` of the trace: a loop that runs three times or five is the same way, and so is a microsecond more.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import log2

import numpy as np

from collector.core.assemble import Forest
from collector.core.critical_path import CriticalPaths
from collector.core.dependencies import string_hashes
from collector.core.spans import IdColumn, IntColumn

SIGNATURE_FROM = 0.01
"""Operations with less than this share of their trace are not part of its signature."""

Steps = tuple[tuple[str, str], ...]
"""Service and operation, in the order in which the path reaches them."""


@dataclass(frozen=True, slots=True)
class Signature:
    """One way that the path takes, and how often."""

    steps: Steps
    share: float
    """Of the traces, weighted."""
    traces: int
    mean_ns: float
    """Mean duration of the traces that go this way."""
    example: str
    """Id of the trace nearest to that mean."""


@dataclass(frozen=True, slots=True)
class Signatures:
    """The ways of a population, most frequent first."""

    ways: tuple[Signature, ...]
    entropy_bits: float
    """0: all take one way; n: as varied as 2^n ways that are equally frequent."""

    def coverage(self, first: int) -> float:
        """Return the share of the traces that go one of the `first` most frequent ways."""
        return sum(way.share for way in self.ways[:first])


def signatures_of(forest: Forest, paths: CriticalPaths, least_share: float) -> tuple[IdColumn, dict[int, Steps]]:
    """Return a number for the signature of each trace, the same in every process, and what the numbers stand for."""
    batch = forest.batch
    duration = (forest.end - forest.start)[forest.target]
    trace_of = np.repeat(np.arange(forest.traces), np.diff(forest.first))
    nodes = np.flatnonzero(paths.time_ns > 0)
    trace, rows = trace_of[nodes], forest.row[nodes]
    strings = len(batch.strings) + 1
    keys = (trace * strings + batch.service[rows] + 1) * strings + batch.name[rows] + 1
    order = np.lexsort((nodes, -forest.end[nodes], forest.start[nodes], keys))
    begins = np.flatnonzero(np.concatenate([[True], keys[order][1:] != keys[order][:-1]])[: len(order)])
    if not len(begins):
        return np.zeros(forest.traces, np.uint64), {0: ()}
    time = np.add.reduceat(paths.time_ns[nodes][order], begins)
    first = nodes[order[begins]]
    first = first[time >= least_share * duration[trace_of[first]]]

    first = first[np.lexsort((first, -forest.end[first], forest.start[first], trace_of[first]))]
    offsets = np.searchsorted(trace_of[first], np.arange(forest.traces + 1))
    numbers = _numbers(forest, first, offsets)
    _, at = np.unique(numbers, return_index=True)
    return numbers, {int(numbers[t]): _steps(forest, first[offsets[t] : offsets[t + 1]]) for t in at.tolist()}


def _numbers(forest: Forest, nodes: IntColumn, offsets: IntColumn) -> IdColumn:
    """Hash the operations of each trace's nodes, in order."""
    hashes = string_hashes(forest.batch.strings)
    rows = forest.row[nodes]
    with np.errstate(over="ignore"):
        own = hashes[forest.batch.service[rows]] * np.uint64(31) ^ hashes[forest.batch.name[rows]]
        rank = (np.arange(len(nodes)) - np.repeat(offsets[:-1], np.diff(offsets))).astype(np.uint64)
        mixed = (own ^ (rank * np.uint64(0x9E3779B97F4A7C15))) * np.uint64(0xC2B2AE3D27D4EB4F)
        mixed ^= mixed >> np.uint64(29)
        sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(mixed * (rank * np.uint64(2) + np.uint64(1)))])
        numbers: IdColumn = sums[offsets[1:]] - sums[offsets[:-1]]
    return numbers


def _steps(forest: Forest, nodes: IntColumn) -> Steps:
    batch = forest.batch
    rows = forest.row[nodes].tolist()
    return tuple((batch.text(int(batch.service[row])), batch.text(int(batch.name[row]))) for row in rows)


def count_signatures(
    signature: IdColumn,
    explained: Mapping[int, Steps],
    weight: np.ndarray,
    duration_ns: IntColumn,
    trace_id: tuple[str, ...],
) -> Signatures:
    """Return how often each signature occurs; all arguments but `explained` are by trace."""
    numbers, number = np.unique(signature, return_inverse=True)
    number = number.reshape(-1)
    weights = np.bincount(number, weight, len(numbers))
    means = np.bincount(number, weight * duration_ns, len(numbers)) / weights
    counts = np.bincount(number, minlength=len(numbers))
    away = np.abs(duration_ns - means[number])
    order = np.lexsort((away, number))
    nearest = order[np.searchsorted(number[order], np.arange(len(numbers)))]
    shares = weights / weights.sum() if len(weights) else weights
    ways = [
        Signature(explained[int(numbers[i])], float(shares[i]), int(counts[i]), float(means[i]), trace_id[nearest[i]])
        for i in np.argsort(-shares, kind="stable").tolist()
    ]
    return Signatures(tuple(ways), -sum(way.share * log2(way.share) for way in ways if way.share > 0) + 0.0)
