"""The critical path of many traces at once: rules 7 to 12.

Called by `explain` for one reader of one trace and by the analyzer for populations; knows no store and no clock.
"""

from dataclasses import dataclass

import numpy as np

from collector.core.assemble import Forest
from collector.core.kernels import load
from collector.core.spans import Columns, IntColumn


@dataclass(frozen=True, slots=True)
class CriticalPaths(Columns):
    """Time on the path of each node of a forest, shape (m,), in ns; and the sections, when asked for.

    The times of the nodes of a trace add up to the duration of its target, to the nanosecond.
    """

    time_ns: IntColumn
    time_min_ns: IntColumn
    time_max_ns: IntColumn
    ambiguous_ns: IntColumn
    """Shape (t,): time of the target whose owner is ambiguous (rule 12)."""
    uncertain_ns: IntColumn
    """Shape (t,): time in spans that were shifted or inferred, or whose callee reports elsewhere."""
    section_first: IntColumn
    """Shape (t + 1,): a trace's first section."""
    section_node: IntColumn
    section_reason: IntColumn
    """Positions in `collector.core.flags.REASONS`."""
    section_start: IntColumn
    section_end: IntColumn


def critical_paths(forest: Forest, want_sections: bool = False, target: IntColumn | None = None) -> CriticalPaths:
    """Return the stretches of time that the length of each trace's target depended on.

        checkout |--------------------------|   checkout 0-10, stock 10-40,
        stock       |-------|                   checkout 40-50, payment 50-90,
        payment                |---------|      checkout 90-100

    Args:
        target: a node for each trace, by default the primary root.
    Returns:
        Times of nodes; with `want_sections` also the sections, in time order. They touch and never overlap, so that
        their lengths add up to the target's. Work: O(n log n) in spans.
    Source: Zhang et al., CRISP, USENIX ATC 2022; docs/explanation/critical-path.md.
    """
    with np.errstate(over="ignore"):
        kernels = load("walk", len(forest))
        sizes = np.diff(forest.first)
        times = kernels.make_times(len(forest))
        ambiguous, uncertain, first, sections = kernels.walk_targets(
            (forest.target if target is None else target).astype(np.int64),
            forest.first,
            sizes,
            forest.tick,
            forest.start,
            forest.end,
            forest.span_id,
            forest.kind,
            forest.flags,
            forest.relation,
            forest.children,
            forest.child_first,
            want_sections,
            kernels.make_trace(int(sizes.max(initial=0))),
            times,
        )
    return CriticalPaths(
        time_ns=times.time,
        time_min_ns=times.time_min,
        time_max_ns=times.time_max,
        ambiguous_ns=ambiguous,
        uncertain_ns=uncertain,
        section_first=first,
        section_node=sections[:, 0],
        section_reason=sections[:, 1],
        section_start=sections[:, 2],
        section_end=sections[:, 3],
    )
