"""Time on the path that bought nothing: attempts that another attempt followed, and calls that failed for good. Pure.

client  |------------------------------|
call       |xxxxxx| |xxxxxx| |------|          two attempts superseded by a third
"""

import numpy as np
from numpy.typing import NDArray

from collector.core.assemble import Forest
from collector.core.critical_path import CriticalPaths
from collector.core.dependencies import Dependencies
from collector.core.spans import IntColumn


def wasted_ns(forest: Forest, paths: CriticalPaths, found: Dependencies) -> tuple[IntColumn, IntColumn]:
    """Return by trace the time on the path in superseded attempts, and in failed calls; no time counts twice.

    An attempt within a failed call is the failed call's, and a failed call within a superseded attempt is the
    attempt's.
    """
    calls = found.calls
    superseded = np.zeros(len(forest), bool)
    superseded[_earlier_attempts(forest, found)] = True
    failed = np.zeros(len(forest), bool)
    failed[calls.node[calls.failed == 1]] = True
    below_superseded, below_failed = spread_down(forest, superseded), spread_down(forest, failed)
    # Whose is time below both? The outer one's: below_failed at the attempt itself says that it lies in a failed call.
    inner = spread_down(forest, superseded & _above(forest, below_failed))
    first = below_superseded & ~(below_failed & inner)
    second = below_failed & ~first
    return _by_trace(forest, paths.time_ns, first), _by_trace(forest, paths.time_ns, second)


def _earlier_attempts(forest: Forest, found: Dependencies) -> IntColumn:
    """The nodes of attempts before the last one: siblings of the same name that ended before it began."""
    calls = found.calls
    batch = forest.batch
    nodes: list[int] = []
    for row in np.flatnonzero(calls.attempts > 1).tolist():
        last = int(calls.node[row])
        siblings = forest.children_of(int(forest.parent[last])).astype(np.int64)
        own = forest.row[siblings]
        alike = batch.name[own] == batch.name[forest.row[last]]
        alike &= batch.service[own] == batch.service[forest.row[last]]
        alike &= forest.end[siblings] <= forest.start[last]
        before = siblings[alike & (siblings != last)]
        in_order = np.lexsort((forest.span_id[before], forest.start[before], forest.end[before]))
        nodes += before[in_order][-int(calls.attempts[row]) + 1 :].tolist()
    return np.array(nodes, np.int64)


def _above(forest: Forest, marks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mark of each node's parent."""
    above: NDArray[np.bool_] = (forest.parent >= 0) & marks[np.maximum(forest.parent, 0)]
    return above


def spread_down(forest: Forest, marks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the nodes that are marked or lie below a marked one, in O(n log depth)."""
    if not marks.any():
        return marks
    spread = np.append(marks, False)
    jump = np.append(forest.parent.astype(np.int64), -1)
    while (jump >= 0).any():
        spread = spread | spread[jump]
        jump = jump[jump]
    return spread[:-1]


def _by_trace(forest: Forest, time_ns: IntColumn, counts: NDArray[np.bool_]) -> IntColumn:
    if not forest.traces:
        return np.empty(0, np.int64)
    return np.add.reduceat(np.where(counts, time_ns, 0), forest.first[:-1])
