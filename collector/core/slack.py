"""Slack and drag of the spans of many traces at once: how each target's length answers to a change of one span.

Called by `explain` and by whoever measures populations; knows no store and no clock.
"""

from dataclasses import dataclass

import numpy as np

from collector.core.assemble import Forest
from collector.core.critical_path import CriticalPaths
from collector.core.kernels import load
from collector.core.spans import Columns, IntColumn


@dataclass(frozen=True, slots=True)
class SlackAndDrag(Columns):
    """Of each node of a forest, shape (m,), in ns; docs/decisions/002 has the two graphs."""

    slack_ns: IntColumn
    """How much later it may end with its target as long as it is, under the cautious graph. -1 where the target does
    not depend on it."""
    slack_max_ns: IntColumn
    """The same under the bold graph."""
    drag_ns: IntColumn
    """How much shorter its target gets when its own work takes no time, under the cautious graph; 0 off the path."""
    drag_max_ns: IntColumn


def slack_and_drag(forest: Forest, paths: CriticalPaths, target: IntColumn | None = None) -> SlackAndDrag:
    """Return slack and drag of all nodes below the target of each trace.

    Args:
        target: a node for each trace, by default the primary root; `paths` are those of the same targets.
    Work: O(n log n) in spans, one call for all traces.
    """
    return SlackAndDrag(
        *load("replay", len(forest)).replay_targets(
            (forest.target if target is None else target).astype(np.int64),
            forest.first,
            forest.tick,
            forest.start,
            forest.end,
            forest.span_id,
            forest.relation,
            forest.children,
            forest.child_first,
            paths.time_ns,
        )
    )
