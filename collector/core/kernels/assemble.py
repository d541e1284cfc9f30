"""Rows grouped by trace to trees of nodes: rules 1 to 6 of the critical path, many traces in one call.

A node is a span after copies were dropped and shared ids split. The nodes of a trace stand together; within it
their order is that of their first rows, server halves last.
"""

import numpy as np

from collector.core.kernels import kernel, step
from collector.core.kernels.bits import (
    BLOCKING,
    CALLEE_MISSING,
    CLIENT,
    CLIENT_GAVE_UP,
    CONFLICTING_DUPLICATE,
    CONSUMER,
    CYCLE_CUT,
    CYCLE_ROOT,
    DETACHED,
    END_INFERRED,
    HAS_PARENT,
    LEFT_OUT,
    NEGATIVE_DURATION,
    NOT_AWAITED,
    ORPHAN,
    ORPHAN_ROOT,
    OTHER_ROOT,
    PRODUCER,
    ROOT,
    SERVER,
    SKEW_SHIFTED,
    SKEW_TOO_LARGE,
)
from collector.core.kernels.group import mix

_ZERO = np.uint64(0)
_MILLISECOND = 1_000_000
_MICROSECOND = 1_000


@step
def sent_duration(start, end):
    """Return the length as sent: 0 where the end is missing or before the start."""
    return end - start if end > start else np.int64(0)


@step
def wins(row, other, start, end, keys):
    """Tell whether copy `row` of a span wins over `other`: the longest, the earliest, then any fixed order."""
    a = sent_duration(start[row], end[row])
    b = sent_duration(start[other], end[other])
    if a != b:
        return a > b
    if start[row] != start[other]:
        return start[row] < start[other]
    if (end[row] == 0) != (end[other] == 0):
        return end[row] != 0
    for key in range(keys.shape[1]):
        if keys[row, key] != keys[other, key]:
            return keys[row, key] < keys[other, key]
    return False


@step
def differs(row, other, keys):
    """Tell whether two rows of one span id say different things."""
    for key in range(keys.shape[1]):
        if keys[row, key] != keys[other, key]:
            return True
    return False


@step
def same_host(row, other, resource, host, service):
    """Tell whether two spans ran on one host: by the first key that both carry, else by their service (rule 5)."""
    a = resource[row]
    b = resource[other]
    if a == b:
        return True
    for key in range(host.shape[1]):
        if host[a, key] >= 0 and host[b, key] >= 0:
            return host[a, key] == host[b, key]
    return service[row] == service[other]


@step
def relate(parent_start, parent_end, start, end, gives_up, detached, tick, clip):
    """Return how a parent relates to a child by rule 6: BLOCKING, LEFT_OUT or DETACHED."""
    if detached or start >= parent_end or end < parent_start:
        return DETACHED
    if clip or gives_up:
        return BLOCKING
    tolerated = (end - start) // 100
    if tolerated > _MILLISECOND:
        tolerated = np.int64(_MILLISECOND)
    if tolerated < tick:
        tolerated = tick
    return LEFT_OUT if end - parent_end > tolerated else BLOCKING


@kernel
def assemble_traces(
    order,
    first,
    span_id,
    parent_span_id,
    start_in,
    end_in,
    kind,
    outcome,
    follows_from,
    service,
    peer,
    resource,
    host,
    keys,
    reporting,
    max_skew,
    clip,
    seed,
):
    """Build the nodes of every trace.

    Args beside columns of the batch:
        keys: shape (n, k), all that a row says as numbers whose order is that of the values; needed where an id
            stands twice. With shape (0, 0) the kernel gives up at the first such id: no traces are returned.
        reporting: 1 for each string that is the name of a service that sends spans.

    Returns node columns (row, parent, start, end, shift, flags, relation, root kind, server half), the children of
    each node (`child_first[i]:child_first[i + 1]` of `children`), nodes top-down (`topo`), and a trace's first node,
    target and tick.
    """
    n = len(order)
    traces = len(first) - 1
    longest = 0
    for trace in range(traces):
        longest = max(longest, first[trace + 1] - first[trace])
    size = 16
    while size < 2 * longest:
        size *= 2

    node_row = np.empty(n, np.int64)
    parent = np.empty(n, np.int32)
    start = np.empty(n, np.int64)
    end = np.empty(n, np.int64)
    shift = np.zeros(n, np.int64)
    flags = np.zeros(n, np.int64)
    relation = np.full(n, BLOCKING, np.uint8)
    root_kind = np.zeros(n, np.uint8)
    server_half = np.zeros(n, np.uint8)
    twin = np.full(n, -1, np.int32)
    children = np.empty(n, np.int32)
    child_first = np.zeros(n + 1, np.int64)
    topo = np.empty(n, np.int32)
    mark = np.full(n, -1, np.int32)
    node_first = np.zeros(traces + 1, np.int64)
    target = np.full(traces, -1, np.int32)
    tick_of = np.ones(traces, np.int64)

    slots = np.empty(size, np.int32)
    stamp = np.full(size, -1, np.int32)
    next_copy = np.full(n, -1, np.int32)  # by position in `order`
    head_copy = np.full(n, -1, np.int32)  # by node
    nodes = 0
    linked = 0

    for trace in range(traces):
        begin = nodes
        rows = first[trace + 1] - first[trace]
        width = 16
        while width < 2 * rows:
            width *= 2
        mask = np.uint64(width - 1)

        # Rule 1: one node an id.
        copies = False
        for position in range(first[trace], first[trace + 1]):
            row = order[position]
            slot = np.int64(mix(span_id[row], span_id[row], seed) & mask)
            while stamp[slot] == trace and span_id[node_row[slots[slot]]] != span_id[row]:
                slot = (slot + 1) & (width - 1)
            if stamp[slot] == trace:
                node = slots[slot]
                next_copy[position] = head_copy[node]
                head_copy[node] = position
                copies = True
            else:
                stamp[slot] = trace
                slots[slot] = nodes
                node_row[nodes] = row
                nodes += 1
        if copies and len(keys) == 0:
            node_first = node_first[:1]
            break
        if copies:
            single = nodes
            for node in range(begin, single):
                if head_copy[node] < 0:
                    continue
                # Rows of this id: node_row[node] and the chain of head_copy[node].
                clients = 1 if kind[node_row[node]] == CLIENT else 0
                servers = 1 if kind[node_row[node]] == SERVER else 0
                position = head_copy[node]
                while position >= 0:
                    k = kind[order[position]]
                    if k == CLIENT:
                        clients += 1
                    elif k == SERVER:
                        servers += 1
                    position = next_copy[position]
                shared = clients > 0 and servers > 0
                own = np.int64(-1)
                other = np.int64(-1)
                own_conflict = False
                other_conflict = False
                row = node_row[node]
                position = head_copy[node]
                while True:
                    if shared and kind[row] == SERVER:
                        if other < 0:
                            other = row
                        elif differs(row, other, keys):
                            other_conflict = True
                            if wins(row, other, start_in, end_in, keys):
                                other = row
                    elif own < 0:
                        own = row
                    elif differs(row, own, keys):
                        own_conflict = True
                        if wins(row, own, start_in, end_in, keys):
                            own = row
                    if position < 0:
                        break
                    row = order[position]
                    position = next_copy[position]
                node_row[node] = own
                if own_conflict:
                    flags[node] |= CONFLICTING_DUPLICATE
                if shared:
                    twin[node] = nodes
                    node_row[nodes] = other
                    server_half[nodes] = 1
                    parent[nodes] = node
                    if other_conflict:
                        flags[nodes] |= CONFLICTING_DUPLICATE
                    nodes += 1

        # Rule 2: parents; cycles are cut.
        for node in range(begin, nodes):
            if server_half[node]:
                continue
            row = node_row[node]
            wanted = parent_span_id[row]
            if wanted == _ZERO:
                parent[node] = -1
                root_kind[node] = ROOT
                continue
            if wanted == span_id[row]:
                parent[node] = node  # cut below
                continue
            slot = np.int64(mix(wanted, wanted, seed) & mask)
            while stamp[slot] == trace and span_id[node_row[slots[slot]]] != wanted:
                slot = (slot + 1) & (width - 1)
            if stamp[slot] != trace:
                parent[node] = -1
                root_kind[node] = ORPHAN_ROOT
                flags[node] |= ORPHAN
                continue
            found = slots[slot]
            half = twin[found]
            if half >= 0 and service[node_row[half]] == service[row]:
                found = half
            parent[node] = found
        for node in range(begin, nodes):
            walker = node
            while walker >= 0 and mark[walker] < 0:
                mark[walker] = node
                walker = parent[walker]
            if walker >= 0 and mark[walker] == node:
                # A new cycle, and walker is on it: cut at the earliest start, then the smallest id.
                cut = walker
                member = parent[walker]
                while member != walker:
                    a = start_in[node_row[member]]
                    b = start_in[node_row[cut]]
                    if a < b or (a == b and span_id[node_row[member]] < span_id[node_row[cut]]):
                        cut = member
                    elif a == b and span_id[node_row[member]] == span_id[node_row[cut]] and server_half[cut]:
                        cut = member
                    member = parent[member]
                parent[cut] = -1
                root_kind[cut] = CYCLE_ROOT
                flags[cut] |= CYCLE_CUT

        # Children, and nodes top-down.
        for node in range(begin, nodes):
            child_first[node + 1] = 0
        roots = 0
        for node in range(begin, nodes):
            if parent[node] >= 0:
                child_first[parent[node] + 1] += 1
            else:
                topo[begin + roots] = node
                roots += 1
        child_first[begin] = linked
        for node in range(begin, nodes):
            child_first[node + 1] += child_first[node]
            mark[node] = 0
        for node in range(begin, nodes):
            above = parent[node]
            if above >= 0:
                children[child_first[above] + mark[above]] = node
                mark[above] += 1
        linked = child_first[nodes]
        done = begin + roots
        for position in range(begin, nodes):
            node = topo[position]
            for link in range(child_first[node], child_first[node + 1]):
                topo[done] = children[link]
                done += 1

        # Rule 4: times; rule 7: the clock tick.
        whole_ms = True
        whole_us = True
        missing = False
        for node in range(begin, nodes):
            row = node_row[node]
            a = start_in[row]
            b = end_in[row]
            start[node] = a
            if whole_us and (a % _MICROSECOND != 0 or b % _MICROSECOND != 0):
                whole_us = False
                whole_ms = False
            if whole_ms and (a % _MILLISECOND != 0 or b % _MILLISECOND != 0):
                whole_ms = False
            if b == 0:
                missing = True
                end[node] = a
                flags[node] |= END_INFERRED
            elif b < a:
                end[node] = a
                flags[node] |= NEGATIVE_DURATION
            else:
                end[node] = b
        tick = np.int64(_MILLISECOND if whole_ms else _MICROSECOND if whole_us else 1)
        tick_of[trace] = tick
        if missing:
            # shift serves as the latest end below each node until rule 5 uses it.
            for position in range(nodes - 1, begin - 1, -1):
                node = topo[position]
                row = node_row[node]
                if flags[node] & END_INFERRED and shift[node] > end[node]:
                    end[node] = shift[node]
                latest = max(shift[node], end[node])
                above = parent[node]
                if above >= 0:
                    queued = kind[row] == CONSUMER and kind[node_row[above]] == PRODUCER
                    followed = follows_from[row] and not server_half[node]
                    if not followed and not queued and latest > shift[above]:
                        shift[above] = latest
            for node in range(begin, nodes):
                shift[node] = 0

        # Rule 5: clocks; then rule 6: whom the parent waited for.
        for position in range(begin, nodes):
            node = topo[position]
            above = parent[node]
            if above < 0:
                continue
            row = node_row[node]
            above_row = node_row[above]
            is_call = kind[row] == SERVER and kind[above_row] == CLIENT
            if is_call and (start[node] < start[above] or end[node] > end[above] or shift[above] != 0):
                if same_host(row, above_row, resource, host, service):
                    shift[node] = shift[above]
                else:
                    length = end[node] - start[node]
                    client_length = end[above] - start[above]
                    delta = np.int64(0)
                    if length <= client_length:
                        if start[node] < start[above] or end[node] > end[above]:
                            delta = start[above] + (client_length - length) // 2 - start[node]
                    elif start[node] < start[above]:
                        delta = start[above] - start[node]
                    if delta > max_skew or -delta > max_skew:
                        flags[node] |= SKEW_TOO_LARGE
                        delta = np.int64(0)
                    shift[node] = delta
            elif shift[above] != 0 and same_host(row, above_row, resource, host, service):
                shift[node] = shift[above]
            if shift[node] != 0:
                start[node] += shift[node]
                end[node] += shift[node]
                flags[node] |= SKEW_SHIFTED
            queued = kind[row] == CONSUMER and kind[above_row] == PRODUCER
            followed = follows_from[row] != 0 and not server_half[node]
            detached = followed or queued or outcome[row] == NOT_AWAITED
            relation[node] = relate(start[above], end[above], start[node], end[node], is_call, detached, tick, clip)
            if is_call and relation[node] == BLOCKING:
                if relate(start[above], end[above], start[node], end[node], False, detached, tick, False) == LEFT_OUT:
                    flags[node] |= CLIENT_GAVE_UP

        # Rule 3: the target; rule 12: callees that report elsewhere.
        best = np.int64(-1)
        for node in range(begin, nodes):
            row = node_row[node]
            if kind[row] == CLIENT and peer[row] >= 0 and peer[row] != service[row] and reporting[peer[row]]:
                served = False
                for link in range(child_first[node], child_first[node + 1]):
                    child_row = node_row[children[link]]
                    if kind[child_row] == SERVER or service[child_row] == peer[row]:
                        served = True
                if not served:
                    flags[node] |= CALLEE_MISSING
            if root_kind[node] == HAS_PARENT:
                continue
            if best < 0:
                best = node
                continue
            better = False
            a = end[node] - start[node]
            b = end[best] - start[best]
            if root_kind[node] != root_kind[best]:
                better = root_kind[node] < root_kind[best]
            elif a != b:
                better = a > b
            elif start[node] != start[best]:
                better = start[node] < start[best]
            else:
                better = span_id[row] < span_id[node_row[best]]
            if better:
                best = node
        target[trace] = best
        for node in range(begin, nodes):
            if root_kind[node] == ROOT and node != best:
                flags[node] |= OTHER_ROOT
        node_first[trace + 1] = nodes

    return (
        node_row[:nodes],
        parent[:nodes],
        start[:nodes],
        end[:nodes],
        shift[:nodes],
        flags[:nodes],
        relation[:nodes],
        root_kind[:nodes],
        server_half[:nodes],
        children[:linked],
        child_first[: nodes + 1],
        topo[:nodes],
        node_first,
        target,
        tick_of,
    )
