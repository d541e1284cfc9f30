"""How many traces each span's trace stands for, read from files: `ot=th` in its tracestate."""

import numpy as np
from numpy.typing import NDArray

from collector.core.assemble import assemble
from collector.core.attributes import detail
from collector.core.critical_path import critical_paths
from collector.core.dependencies import find_dependencies
from collector.core.policy import PathPolicy
from collector.core.sampling.counting import Deciders
from collector.core.spans import SpanBatch
from cpdd.sampling.thresholds import member_text

_MEMBER = b"ot="
"""Without these bytes in the body no tracestate can have a threshold, and none is read."""


def counted(batch: SpanBatch, policy: PathPolicy) -> tuple[SpanBatch, NDArray[np.float64]]:
    """Return the spans of the traces that count, and the weight of each row's trace; 1 where nothing is said.

    Left out are traces in which services may be missing because they decided against them, unless there is no other.
    """
    if _MEMBER not in batch.body:
        return batch, np.ones(len(batch))
    forest = assemble(batch, policy)
    ot = [member_text(detail(batch, row).trace_state) for row in range(len(batch))]
    weights = Deciders().weigh(forest, find_dependencies(forest, critical_paths(forest)).journey, ot)
    if not weights.any():
        return batch, np.ones(len(batch))
    by_row = np.ones(len(batch))
    by_row[forest.row] = np.repeat(weights, np.diff(forest.first))
    keys = np.stack([batch.trace_id_high, batch.trace_id_low], axis=1)
    partial = keys[forest.row[forest.target[weights == 0]]]
    rows = np.flatnonzero(~_is_in(keys, partial))
    return batch.take(rows), by_row[rows]


def _is_in(keys: NDArray[np.uint64], chosen: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Whether each key, a pair of numbers, is one of the chosen."""
    if not len(chosen):
        return np.zeros(len(keys), bool)
    wanted = set(map(tuple, chosen.tolist()))
    return np.fromiter((tuple(key) in wanted for key in keys.tolist()), bool, len(keys))
