"""Who took a journey down: the deepest failed call that nobody above it survived.

    shop POST /checkout  ✕
      payment POST /pay  ✕      failed with the bank
        bank authorize   ✕      <- the blame: it failed by itself, and payment and the shop with it
      recommend GET      ✕      survived: no blame

Called by `analysis`; pure.
"""

from dataclasses import dataclass

import numpy as np

from collector.core.assemble import Forest
from collector.core.dependencies import Calls, Dependencies
from collector.core.kernels import load
from collector.core.spans import FlagColumn


@dataclass(frozen=True, slots=True)
class Blame:
    """Shape (c,) each: one row a call."""

    own: FlagColumn
    """It failed by itself: no failed call below it took its callee down, and nobody made it fail."""
    blamed: FlagColumn
    """It has the blame for its trace; one call of a failed trace at most, none where the root failed by itself."""
    injected: FlagColumn
    """It has the blame, and somebody made it fail."""


def assign_blame(forest: Forest, found: Dependencies) -> Blame:
    """Return which calls failed on their own account, and which took their journey down.

    Of several calls as deep, the one that ended first has the blame. Work: O(n).
    """
    calls = found.calls
    if not len(calls):
        return Blame(*(np.empty(0, np.uint8) for _ in range(3)))
    call_at = np.full(len(forest), -1, np.int64)
    call_at[calls.node] = np.arange(len(calls))
    _, depth, deadly, own = load("blame", len(forest)).find_deadly(
        forest.topo,
        forest.parent,
        call_at,
        forest.target.astype(np.int64),
        calls.trace,
        calls.caller,
        calls.failed,
        calls.caller_well,
    )
    suspects = np.flatnonzero((deadly == 1) & found.journey_failed[calls.trace])
    blamed = _first_of_deepest(forest, calls, suspects, depth)
    return Blame(own & (1 - calls.injected), blamed, blamed & calls.injected)


def _first_of_deepest(forest: Forest, calls: Calls, suspects: np.ndarray, depth: np.ndarray) -> FlagColumn:
    blamed = np.zeros(len(calls), np.uint8)
    ends = forest.end[calls.node[suspects]]
    order = suspects[np.lexsort((suspects, ends, -depth[suspects], calls.trace[suspects]))]
    traces = calls.trace[order]
    first = np.ones(len(order), bool)
    first[1:] = traces[1:] != traces[:-1]
    blamed[order[first]] = 1
    return blamed
