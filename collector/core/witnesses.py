"""What the failures of calls say about their callers: who is a witness, and of what. Called by `dependencies`; pure.

A witness is a caller, not a call: who asks the price of five things one by one, and gets none, has seen one failure.
Other calls that failed in the trace make it no evidence, unless they lie above (they failed because of it) or below
(it failed because of them) this edge's failed calls. Failures of the same edge elsewhere in the trace are the same
dependency failing again, as when a caller higher up retries.
"""

from dataclasses import dataclass

import numpy as np

from collector.core.assemble import Forest
from collector.core.attempts import Attempts
from collector.core.kernels import load
from collector.core.spans import FlagColumn, IdColumn, IntColumn


@dataclass(frozen=True, slots=True)
class Witnesses:
    """Columns by call."""

    confounded: FlagColumn
    """It failed, and so did a call that is neither of this edge nor above or below one of its failed calls."""
    alone: FlagColumn
    """1 at one call of each caller that saw this edge fail and nothing beside it."""
    quiet: FlagColumn
    """1 at one call of each caller in whose trace no call failed, but those that failed with the caller itself."""


def find_witnesses(
    forest: Forest,
    trace: IntColumn,
    node: IntColumn,
    attempts: Attempts,
    caller: IntColumn,
    edge: IdColumn,
    failed: FlagColumn,
) -> Witnesses:
    """Return who is a witness of each edge.

    Args:
        trace, node, caller, edge, failed: by call; `caller` is a node in the same trace.
        attempts: of these calls; what failed below an earlier one lies below the call.
    """
    failed_call = np.zeros(len(forest), np.uint8)
    failed_call[node] = failed
    kernels = load("calls", len(forest))
    above, below = kernels.count_failures(forest.topo, forest.parent, failed_call)
    totals = np.concatenate([[0], np.cumsum(failed_call, dtype=np.int64)])
    in_trace = (totals[forest.first[1:]] - totals[forest.first[:-1]])[trace]

    of_edge = _numbered(trace, edge)
    groups = int(of_edge.max(initial=-1)) + 1
    tries = attempts._take(failed[attempts.call] == 1)
    tries = tries._take(np.argsort(of_edge[tries.call], kind="stable"))
    related = kernels.count_related(
        forest.parent, failed_call, below, tries.node.astype(np.int64), of_edge[tries.call], groups
    )
    elsewhere = in_trace > related[of_edge]

    of_caller = _numbered(of_edge, caller)
    saw_failure = np.zeros(int(of_caller.max(initial=-1)) + 1, bool)
    saw_failure[of_caller[failed == 1]] = True
    first_of_caller = np.zeros(len(node), bool)
    first_of_caller[np.unique(of_caller, return_index=True)[1]] = True
    alone = first_of_caller & saw_failure[of_caller] & ~elsewhere
    quiet = first_of_caller & (in_trace == above[caller] + failed_call[caller])
    return Witnesses(
        confounded=((failed == 1) & elsewhere).astype(np.uint8),
        alone=alone.astype(np.uint8),
        quiet=quiet.astype(np.uint8),
    )


def _numbered(one: IntColumn, other: IntColumn | IdColumn) -> IntColumn:
    """Number the distinct pairs."""
    order = np.lexsort((other, one))
    new = np.ones(len(order), bool)
    new[1:] = (one[order][1:] != one[order][:-1]) | (other[order][1:] != other[order][:-1])
    numbers = np.empty(len(order), np.int64)
    numbers[order] = np.cumsum(new) - 1
    return numbers
