"""Which failed calls took their journey with them, and which of them failed by themselves."""

import numpy as np

from collector.core.kernels import kernel


@kernel
def find_deadly(topo, parent, call_at, target_of, trace_of, caller, failed, caller_well):
    """Return, by call: the call that it was made for (-1: none), its depth, deadly, own.

    A failed call is deadly when its caller ended badly, and so did every caller above it, up to the target of its
    trace; own when no failed call below it took its callee down. Depth counts the calls above it.

    Args:
        call_at: by node, the call that begins there, else -1.
        target_of: by trace, its target's node.
        trace_of, caller, failed, caller_well: by call.
    """
    nodes, calls = len(parent), len(caller)
    call_above = np.full(nodes, -1, np.int64)
    top = np.full(nodes, -1, np.int64)
    above = np.full(calls, -1, np.int64)
    depth = np.zeros(calls, np.int64)
    deadly = np.zeros(calls, np.uint8)
    own = np.zeros(calls, np.uint8)
    for position in range(nodes):
        node = topo[position]
        over = parent[node]
        top[node] = node if over < 0 else top[over]
        if over >= 0:
            call_above[node] = call_above[over]
        if call_at[node] < 0:
            continue
        call = call_at[node]
        by = caller[call]
        # A call that begins at its own caller (a CLIENT at the top of a tree) is made for the call above both.
        above[call] = (call_above[over] if over >= 0 else -1) if by == node else call_above[by]
        call_above[node] = call
        own[call] = failed[call]
        if above[call] >= 0:
            depth[call] = depth[above[call]] + 1
        if failed[call] and not caller_well[call]:
            if above[call] >= 0:
                deadly[call] = deadly[above[call]]
                own[above[call]] = 0
            elif top[by] == target_of[trace_of[call]]:
                deadly[call] = 1
    return above, depth, deadly, own
