"""Whose is the time on the path: an operation's own, or the gap of an edge? Pure; called by `columns`.

    frontend  GET /cart   |------------------------|     the CLIENT's 10-20 and 50-60 are neither work of frontend nor
    CLIENT                     |--------------|          of cart: they are the way between them, the gap of the edge
    cart  SERVER                   |------|              frontend -> cart (network, queue, connection)
              0           5    10  20    50   60   70

With kinds the gap is what a CLIENT around its callee has. Without kinds it is what the last span of the caller has
above the first span of the callee, where the service changes and that span has no other child; with another child
nobody can tell the way from work, and the time stays the caller's own.
"""

import numpy as np

from collector.core.assemble import Forest
from collector.core.dependencies import Dependencies
from collector.core.spans import KIND_CLIENT, KIND_INTERNAL, IntColumn


def gaps_before(forest: Forest, found: Dependencies, callees: IntColumn) -> IntColumn:
    """Return for each call the node above it whose time is the way to it, -1 where there is none.

    A CLIENT is part of the call itself; without kinds the way lies above the callee.
    """
    above = forest.parent[found.calls.node]
    is_way = (above >= 0) & (callees[np.maximum(above, 0)] == found.calls.node)
    return np.where(is_way, above, -1)


def gap_callees(forest: Forest, found: Dependencies) -> IntColumn:
    """Return for each node the callee to which its own time is the gap, -1 where its time is its operation's own."""
    service = forest.batch.service[forest.row]
    kind = forest.kind
    callees = np.full(len(forest), -1, np.int64)

    clients = np.flatnonzero((kind == KIND_CLIENT) & (found.callee >= 0) & (found.callee != np.arange(len(forest))))
    callees[clients] = found.callee[clients]

    entered = np.flatnonzero((found.callee == np.arange(len(forest))) & (forest.parent >= 0))
    above = forest.parent[entered]
    without_kinds = (kind[entered] <= KIND_INTERNAL) & (kind[above] <= KIND_INTERNAL)
    alone = np.diff(forest.child_first)[above] == 1
    changes = without_kinds & alone & (service[entered] != service[above])
    callees[above[changes]] = entered[changes]
    return callees
