"""Trees of nodes to calls: who called whom, whether it failed, whether anybody waited.

The caller of a call is the entry above it: the nearest SERVER, CONSUMER or top span, the first span of its service
(where kinds are missing), or an INTERNAL span that carries `cpdd.call.*`.
"""

import numpy as np

from collector.core.kernels import inlined, kernel
from collector.core.kernels.bits import BLOCKING, CLIENT, CONSUMER, PRODUCER, SERVER
from collector.core.kernels.group import mix
from collector.core.kernels.walk import comes_first

NO_CALL = -1
OUTSIDE = -2

_ERROR = 2
_NO_ID = np.uint64(0)


@inlined
def answers_rather(a, b, relation, start, end, ids):
    """Tell whether of two children on the other side of a call a is the callee: it blocks, else it ends later."""
    if (relation[a] == BLOCKING) != (relation[b] == BLOCKING):
        return relation[a] == BLOCKING
    return comes_first(a, b, start, end, ids)


@kernel
def find_calls(
    topo, parent, start, end, ids, relation, children, child_first, row, kind_of, time,
    service, requirement, outcome, db_system, messaging, operation_hash, seed,
):  # fmt: skip
    """Return entry, call path id, inclusive time on the path, waited, callee and queue of every node.

    callee[i]: the node that the call beginning at node i reaches (itself where the caller left no span of its own),
    OUTSIDE for a callee without spans, NO_CALL where no call begins. queue[i]: the PRODUCER whose queue calls node i,
    else -1. waited[i]: nobody between node i and its entry went on without it.
    """
    nodes = len(parent)
    entry = np.empty(nodes, np.int32)
    path_id = np.empty(nodes, np.uint64)
    inclusive = time.copy()
    waited = np.ones(nodes, np.uint8)
    callee = np.full(nodes, NO_CALL, np.int32)
    queue = np.full(nodes, -1, np.int32)
    claimed = np.zeros(nodes, np.uint8)
    for position in range(nodes):
        node = topo[position]
        above = parent[node]
        at = row[node]
        kind = kind_of[node]
        path_id[node] = mix(_NO_ID if above < 0 else path_id[above], operation_hash[node], seed)
        foreign = above >= 0 and service[row[above]] != service[at]
        marked = requirement[at] != 0 or outcome[at] != 0
        calls_out = kind == CLIENT or kind == PRODUCER
        if above < 0 or kind == SERVER or kind == CONSUMER or foreign or (marked and not calls_out):
            entry[node] = node
        else:
            entry[node] = entry[above]
        if above >= 0:
            through = waited[above] == 1 or entry[above] == above
            waited[node] = 1 if relation[node] == BLOCKING and through else 0

        if above >= 0 and entry[node] == node and not claimed[node]:
            # Also a CLIENT of another service than its parent's: the SERVER between them is missing.
            callee[node] = node
            continue
        if not calls_out and not (db_system[at] >= 0 and entry[node] != node):
            continue
        # A call that leaves the service: its callee is the span of the other side, where there is one.
        found = np.int64(-1)
        for link in range(child_first[node], child_first[node + 1]):
            child = children[link]
            child_kind = kind_of[child]
            other_side = child_kind == SERVER or child_kind == CONSUMER
            if not other_side and service[row[child]] != service[at]:
                other_side = child_kind != CLIENT and child_kind != PRODUCER
            if other_side:
                if kind == PRODUCER and messaging[at]:
                    queue[child] = node
                elif found < 0 or answers_rather(child, found, relation, start, end, ids):
                    found = np.int64(child)
        if found >= 0:
            claimed[found] = 1
        if kind == PRODUCER and messaging[at]:
            callee[node] = OUTSIDE
        else:
            callee[node] = found if found >= 0 else OUTSIDE
    for position in range(nodes - 1, -1, -1):
        node = topo[position]
        if parent[node] >= 0:
            inclusive[parent[node]] += inclusive[node]
    return entry, path_id, inclusive, waited, callee, queue


@kernel
def count_failures(topo, parent, failed_call):
    """Return the failed calls that begin above each node, and those that begin at it or below it."""
    nodes = len(parent)
    above = np.zeros(nodes, np.int64)
    below = failed_call.astype(np.int64)
    for position in range(nodes):
        node = topo[position]
        if parent[node] >= 0:
            above[node] = above[parent[node]] + failed_call[parent[node]]
    for position in range(nodes - 1, -1, -1):
        node = topo[position]
        if parent[node] >= 0:
            below[parent[node]] += below[node]
    return above, below


@kernel
def count_related(parent, failed_call, below, node, group, groups):
    """Return for each group of failed calls how many failed calls are among them, above or below one of them.

    node[i], group[i]: where a failed call begins, and its group; ordered by group.
    """
    related = np.zeros(groups, np.int64)
    member = np.full(len(parent), -1, np.int32)
    passed = np.full(len(parent), -1, np.int32)
    first = 0
    while first < len(node):
        this = group[first]
        behind = first
        while behind < len(node) and group[behind] == this:
            member[node[behind]] = this
            behind += 1
        for place in range(first, behind):
            above = parent[node[place]]
            while above >= 0 and member[above] != this:
                if passed[above] != this:
                    passed[above] = this
                    related[this] += failed_call[above]
                above = parent[above]
            if above < 0:
                related[this] += below[node[place]]
        first = behind
    return related
