"""Rows grouped by trace to trees of nodes: rules 1 to 6 of the critical path, many traces in one call.

A node is a span after copies were dropped and shared ids split. The nodes of a trace stand together; within it
their order is that of their first rows, server halves last.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

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
    over = end - parent_end
    if over <= tick or clip or gives_up:
        return BLOCKING
    return LEFT_OUT if over > min((end - start) // 100, np.int64(_MILLISECOND)) else BLOCKING


@step
def separate_copies(
    begin, made, rows, kind, start_in, end_in, keys, next_copy, head_copy, twin, node_row, parent, flags, server_half
):  # fmt: skip
    """Choose among the rows of each id of a trace (rule 1); one that a CLIENT and a SERVER share becomes two nodes.

    Args:
        rows: of the trace, in the order of the chains: the other rows of node `begin + i` are head_copy[i] and what
            follows it in next_copy, -1 at the end.
        twin: becomes the server half of each id, -1 where there is none.
    Returns the node behind the last.
    """
    single = made
    for node in range(begin, single):
        twin[node - begin] = -1
        if head_copy[node - begin] < 0:
            continue
        clients = 1 if kind[node_row[node]] == CLIENT else 0
        servers = 1 if kind[node_row[node]] == SERVER else 0
        position = head_copy[node - begin]
        while position >= 0:
            k = kind[rows[position]]
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
        position = head_copy[node - begin]
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
            row = rows[position]
            position = next_copy[position]
        node_row[node] = own
        if own_conflict:
            flags[node] |= CONFLICTING_DUPLICATE
        if shared:
            twin[node - begin] = made
            node_row[made] = other
            server_half[made] = 1
            if other_conflict:
                flags[made] |= CONFLICTING_DUPLICATE
            parent[made] = node
            made += 1
    return made


@step
def cut_cycles(begin, made, mark, span_id, start_in, node_row, parent, root_kind, flags, server_half):
    """Cut each cycle of parents at the member that starts first, then has the smallest id (rule 2).

    Args:
        mark: room for a number a node of the trace.
    """
    for node in range(begin, made):
        mark[node - begin] = -1
    for node in range(begin, made):
        walker = np.int64(node)
        while walker >= 0 and mark[walker - begin] < 0:
            mark[walker - begin] = node
            walker = np.int64(parent[walker])
        if walker < 0 or mark[walker - begin] != node:
            continue
        cut = walker  # the cycle is new, and walker is on it
        member = np.int64(parent[walker])
        while member != walker:
            a = start_in[node_row[member]]
            b = start_in[node_row[cut]]
            if a < b or (a == b and span_id[node_row[member]] < span_id[node_row[cut]]):
                cut = member
            elif a == b and span_id[node_row[member]] == span_id[node_row[cut]] and server_half[cut]:
                cut = member
            member = np.int64(parent[member])
        parent[cut] = -1
        root_kind[cut] = CYCLE_ROOT
        flags[cut] |= CYCLE_CUT


@step
def arrange(begin, made, parent, children, child_first, topo):
    """Fill children, child_first and topo of a trace from the parents.

    Returns how many nodes are at the top, and the position in `topo` behind the last: below `made` where a cycle of
    parents keeps nodes from the rest.
    """
    done = begin
    for node in range(begin, made):
        child_first[node + 2] = 0
    for node in range(begin, made):
        above = parent[node]
        if above >= 0:
            child_first[above + 2] += 1
        else:
            topo[done] = node
            done += 1
    roots = done - begin
    # Entry i + 1 is where the children of node i begin, and moves behind them while they are written.
    child_first[begin + 1] = child_first[begin]
    for node in range(begin + 1, made):
        child_first[node + 1] += child_first[node]
    for node in range(begin, made):
        above = parent[node]
        if above >= 0:
            children[child_first[above + 1]] = node
            child_first[above + 1] += 1
    position = begin
    while position < done:
        node = topo[position]
        for link in range(child_first[node], child_first[node + 1]):
            topo[done] = children[link]
            done += 1
        position += 1
    return roots, done


@step
def infer_ends(begin, made, kind, follows_from, node_row, parent, topo, end, latest, flags, server_half):
    """Give spans without an end the latest end below them, over edges that are not asynchronous (rule 4).

    Args:
        latest: zeros, for the latest end below each node; zeros again afterwards.
    """
    for position in range(made - 1, begin - 1, -1):
        node = topo[position]
        row = node_row[node]
        if flags[node] & END_INFERRED and latest[node] > end[node]:
            end[node] = latest[node]
        last = max(latest[node], end[node])
        above = parent[node]
        if above >= 0:
            queued = kind[row] == CONSUMER and kind[node_row[above]] == PRODUCER
            followed = follows_from[row] and not server_half[node]
            if not followed and not queued and last > latest[above]:
                latest[above] = last
    for node in range(begin, made):
        latest[node] = 0


@step
def skew_of(start, end, client_start, client_end):
    """Return how far a server has to be moved to fit in its client (rule 5)."""
    length = end - start
    client_length = client_end - client_start
    if length <= client_length:
        if start < client_start or end > client_end:
            return client_start + (client_length - length) // 2 - start
    elif start < client_start:
        return client_start - start
    return np.int64(0)


@step
def is_answered(node, peer_service, kind, service, node_row, children, child_first):
    """Tell whether a CLIENT has a child in the service that it calls (rule 12)."""
    for link in range(child_first[node], child_first[node + 1]):
        row = node_row[children[link]]
        if kind[row] == SERVER or service[row] == peer_service:
            return True
    return False


@step
def is_better_target(node, other, span_id, node_row, start, end, root_kind):
    """Tell whether a node at the top is rather the target than another (rule 3)."""
    if root_kind[node] != root_kind[other]:
        return root_kind[node] < root_kind[other]
    a = end[node] - start[node]
    b = end[other] - start[other]
    if a != b:
        return a > b
    if start[node] != start[other]:
        return start[node] < start[other]
    return span_id[node_row[node]] < span_id[node_row[other]]


class Nodes(NamedTuple):
    """Room for the nodes of traces, shape (n,) each: what `collector.core.assemble.Forest` says of them."""

    row: NDArray[np.int64]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    shift: NDArray[np.int64]
    flags: NDArray[np.int64]
    child_first: NDArray[np.int64]
    """Shape (n + 2,): one for the end of the last, one for `arrange`."""
    parent: NDArray[np.int32]
    topo: NDArray[np.int32]
    children: NDArray[np.int32]
    relation: NDArray[np.uint8]
    root_kind: NDArray[np.uint8]
    server_half: NDArray[np.uint8]


def make_nodes(count: int) -> Nodes:
    """Return room for so many nodes.

    NumPy gets it in few large pieces, for which it asks for large pages. Columns that a kernel makes for itself come in
    pages of 4 KiB, and the first touch of each of those was half of the kernel's time.
    """
    row, start, end, child_first = np.empty((4, count + 2), np.int64)
    shift, flags = np.zeros((2, count), np.int64)  # of most nodes they stay 0, and their pages are never touched
    parent, topo, children = np.empty((3, count), np.int32)
    relation, root_kind, server_half = np.zeros((3, count), np.uint8)
    return Nodes(row, start, end, shift, flags, child_first, parent, topo, children, relation, root_kind, server_half)


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
    nodes,
):
    """Build the nodes of every trace.

    Args beside columns of the batch:
        keys: shape (n, k), all that a row says as numbers whose order is that of the values; needed where an id
            stands twice. With shape (0, 0) the kernel gives up at the first such id: no traces are returned.
        reporting: 1 for each string that is the name of a service that sends spans.
        nodes: room for n nodes, as `make_nodes` makes it, which is filled from the front.

    Returns a trace's first node (the last number is that of all nodes), its target and its tick.
    """
    node_row, start, end, shift, flags = nodes.row, nodes.start, nodes.end, nodes.shift, nodes.flags
    parent, relation, root_kind, server_half = nodes.parent, nodes.relation, nodes.root_kind, nodes.server_half
    children, child_first, topo = nodes.children, nodes.child_first, nodes.topo
    traces = len(first) - 1
    longest = 0
    for trace in range(traces):
        longest = max(longest, first[trace + 1] - first[trace])
    size = 16
    while size < 2 * longest:
        size *= 2

    node_first = np.zeros(traces + 1, np.int64)
    target = np.full(traces, -1, np.int32)
    tick_of = np.ones(traces, np.int64)
    child_first[0] = 0
    # Of one trace at a time. A slot is in use where its node is one of the trace's.
    slot_id = np.empty(size, np.uint64)
    slot_node = np.full(size, -1, np.int32)
    next_copy = np.empty(longest, np.int32)
    head_copy = np.empty(longest, np.int32)
    twin = np.empty(longest, np.int32)
    made = 0

    for trace in range(traces):
        begin = made
        rows = order[first[trace] : first[trace + 1]]
        width = 16
        while width < 2 * len(rows):
            width *= 2
        mask = np.uint64(width - 1)

        # Rule 1: one node an id.
        copies = False
        for position in range(len(rows)):
            row = rows[position]
            wanted = span_id[row]
            slot = np.int64(mix(wanted, wanted, seed) & mask)
            while slot_node[slot] >= begin and slot_id[slot] != wanted:
                slot = (slot + 1) & (width - 1)
            if slot_node[slot] < begin:
                slot_id[slot] = wanted
                slot_node[slot] = made
                node_row[made] = row
                made += 1
                continue
            if not copies:
                copies = True
                head_copy[: len(rows)] = -1
            node = slot_node[slot]
            next_copy[position] = head_copy[node - begin]
            head_copy[node - begin] = position
        if copies:
            if len(keys) == 0:
                node_first = node_first[:1]
                break
            made = separate_copies(
                begin, made, rows, kind, start_in, end_in, keys, next_copy, head_copy, twin,
                node_row, parent, flags, server_half,
            )  # fmt: skip

        # Rule 2: parents; rule 4: times as sent; rule 7: the clock tick.
        whole_ms = True
        whole_us = True
        missing = False
        for node in range(begin, made):
            row = node_row[node]
            a = start_in[row]
            b = end_in[row]
            if whole_us and (a % _MICROSECOND != 0 or b % _MICROSECOND != 0):
                whole_us = False
                whole_ms = False
            if whole_ms and (a % _MILLISECOND != 0 or b % _MILLISECOND != 0):
                whole_ms = False
            start[node] = a
            end[node] = max(a, b)
            if b == 0:
                missing = True
                end[node] = a
                flags[node] |= END_INFERRED
            elif b < a:
                flags[node] |= NEGATIVE_DURATION
            if server_half[node]:
                continue
            wanted = parent_span_id[row]
            if wanted == _ZERO:
                parent[node] = -1
                root_kind[node] = ROOT
                continue
            slot = np.int64(mix(wanted, wanted, seed) & mask)
            while slot_node[slot] >= begin and slot_id[slot] != wanted:
                slot = (slot + 1) & (width - 1)
            found = slot_node[slot]
            if found < begin:
                parent[node] = -1
                root_kind[node] = ORPHAN_ROOT
                flags[node] |= ORPHAN
                continue
            if copies and found != node and twin[found - begin] >= 0:
                half = twin[found - begin]
                if service[node_row[half]] == service[row]:
                    found = half
            parent[node] = found
        roots, done = arrange(begin, made, parent, children, child_first, topo)
        if done < made:
            cut_cycles(begin, made, next_copy, span_id, start_in, node_row, parent, root_kind, flags, server_half)
            roots, _ = arrange(begin, made, parent, children, child_first, topo)
        tick = np.int64(_MILLISECOND if whole_ms else _MICROSECOND if whole_us else 1)
        if missing:
            infer_ends(begin, made, kind, follows_from, node_row, parent, topo, end, shift, flags, server_half)

        # Rule 5: clocks; rule 6: whom the parent waited for; rule 3: the target; rule 12: who reports elsewhere.
        best = np.int64(-1)
        for position in range(begin, made):
            node = topo[position]
            above = parent[node]
            row = node_row[node]
            if kind[row] == CLIENT and peer[row] >= 0 and peer[row] != service[row] and reporting[peer[row]]:
                if not is_answered(node, peer[row], kind, service, node_row, children, child_first):
                    flags[node] |= CALLEE_MISSING
            if above < 0:
                relation[node] = BLOCKING
                if best < 0 or is_better_target(node, best, span_id, node_row, start, end, root_kind):
                    best = np.int64(node)
                continue
            above_row = node_row[above]
            is_call = kind[row] == SERVER and kind[above_row] == CLIENT
            moved = np.int64(0)
            if is_call and (start[node] < start[above] or end[node] > end[above] or shift[above] != 0):
                if same_host(row, above_row, resource, host, service):
                    moved = shift[above]
                else:
                    moved = skew_of(start[node], end[node], start[above], end[above])
                    if moved > max_skew or -moved > max_skew:
                        flags[node] |= SKEW_TOO_LARGE
                        moved = np.int64(0)
            elif shift[above] != 0 and same_host(row, above_row, resource, host, service):
                moved = shift[above]
            if moved != 0:
                shift[node] = moved
                start[node] += moved
                end[node] += moved
                flags[node] |= SKEW_SHIFTED
            queued = kind[row] == CONSUMER and kind[above_row] == PRODUCER
            followed = follows_from[row] != 0 and not server_half[node]
            detached = followed or queued or outcome[row] == NOT_AWAITED
            relation[node] = relate(start[above], end[above], start[node], end[node], is_call, detached, tick, clip)
            if is_call and relation[node] == BLOCKING:
                if relate(start[above], end[above], start[node], end[node], False, detached, tick, False) == LEFT_OUT:
                    flags[node] |= CLIENT_GAVE_UP
        for position in range(begin, begin + roots):
            node = topo[position]
            if root_kind[node] == ROOT and node != best:
                flags[node] |= OTHER_ROOT
        target[trace] = best
        tick_of[trace] = tick
        node_first[trace + 1] = made

    return node_first, target, tick_of
