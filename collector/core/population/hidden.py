"""Hidden work: what an operation does while the journey waits for somebody else. Pure.

    shop   |--|==================|-----|    self 0-3, 22-28
    price     |--------------|              work 12-15 of 27: nobody waits for it, since stock runs longer
    stock     |==================|

A span works while it runs and waits for no child: its duration without the time of its blocking children. What of
that is not on the path is hidden: making it faster gains nothing, until the path moves there.
"""

from dataclasses import dataclass

import numpy as np

from collector.core.assemble import Forest
from collector.core.critical_path import CriticalPaths
from collector.core.kernels.bits import BLOCKING, SELF_IN_FLIGHT
from collector.core.spans import IntColumn


@dataclass(frozen=True, slots=True)
class Work:
    """Of each node, shape (m,), in ns."""

    work_ns: IntColumn
    """Duration without the time of blocking children."""
    hidden_ns: IntColumn
    """What of that is off the path."""


def work_of(forest: Forest, paths: CriticalPaths) -> Work:
    """Return how long each node works, and how long of that off the path.

    Time on the path is work, except that of `self-in-flight` sections, in which the path passes over a child that
    runs; so what is hidden is the difference.

    Args:
        paths: with sections.
    Work: O(n log n) in spans.
    """
    work_ns = forest.end - forest.start - _waiting_ns(forest)
    in_flight = np.flatnonzero(paths.section_reason == SELF_IN_FLIGHT)
    on_path_ns = paths.time_ns.copy()
    np.subtract.at(on_path_ns, paths.section_node[in_flight], (paths.section_end - paths.section_start)[in_flight])
    return Work(work_ns, work_ns - on_path_ns)


def _waiting_ns(forest: Forest) -> IntColumn:
    """How long one or more blocking children of each node run, clipped to it."""
    called = np.flatnonzero((forest.relation == BLOCKING) & (forest.parent >= 0))
    caller = forest.parent[called].astype(np.int64)
    start = np.maximum(forest.start[called], forest.start[caller])
    end = np.minimum(forest.end[called], forest.end[caller])
    real = np.flatnonzero(end > start)
    owner, time = np.tile(caller[real], 2), np.concatenate([start[real], end[real]])
    order = np.lexsort((time, owner))
    running = np.cumsum(np.where(order < len(real), 1, -1))[:-1]  # 0 between one owner and the next
    owner, time = owner[order], time[order]
    waits = np.flatnonzero(running > 0)
    total = np.zeros(len(forest), np.int64)
    np.add.at(total, owner[waits], np.diff(time)[waits])
    return total
