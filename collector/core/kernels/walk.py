"""The walk back from the end of a span: rules 7 to 12 of the critical path, many traces in one call.

The nodes of a trace are copied into records, a cache line each, for as long as it is walked: of columns, the walk would
want a number here and one there. In it nodes are numbered from 0, and so are positions in `kids`, the children of all.

A frame of the stack is one visit to a node: the window [low, t] that is still to be explained, and how far its
children were considered. Children are sorted once, at the first visit: those that block by (end down, start up, id
up), behind them those that were left out because they outlived the node, by the same order.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from collector.core.kernels import inlined, kernel, step
from collector.core.kernels.bits import (
    BLOCKING,
    CALLEE_MISSING,
    CLIENT,
    CLIPPED,
    END_INFERRED,
    IDLE,
    LEAF,
    LEFT_OUT,
    NETWORK,
    QUEUE,
    SELF_BETWEEN,
    SELF_FIRST,
    SELF_IN_FLIGHT,
    SELF_LAST,
    SERVER,
    SKEW_SHIFTED,
)

_UNCERTAIN = SKEW_SHIFTED | END_INFERRED | CALLEE_MISSING
_NEVER = np.int64(2**63 - 1)

# Columns of the record of a node. Its children are kids[_FIRST:_STOP]. Once they are sorted, those that block are
# kids[_FIRST:_BLOCKED] and those left out kids[_BLOCKED:_STOP]; before, _BLOCKED is UNSORTED. Then its time on the
# path, and how much of that may be a child's.
_START, _END, _FIRST, _BLOCKED, _STOP, _TRAITS, _TIME, _DOUBTED = range(8)
_RECORD = 8
_UNSORTED = -1
# Traits: the relation to the parent (2 bits), and
_IS_CLIENT, _IS_SERVER, _IS_UNCERTAIN = 4, 8, 16
_RELATION = 3

# Columns of a frame: the node; the next child to consider (NONE_YET: none was, and the window's end cuts them); the
# first blocking child and the first one left out that may still be running; children entered; around a SERVER; the
# window, its end at first, and where ancestors' ends clip the node.
_NODE, _NEXT, _HEAD, _LEFT_HEAD, _ENTERED, _NETWORK, _LOW, _T, _HIGH, _BOUND = range(10)
_FRAME = 10
_NONE_YET = -1

_FEW = 24
"""Children up to which they are sorted by insertion."""


class Trace(NamedTuple):
    """One trace while it is walked."""

    nodes: NDArray[np.int64]
    """Shape (n, 8): records."""
    kids: NDArray[np.int32]
    """The children of all nodes."""
    earliest: NDArray[np.int64]
    """By position in `kids`: the earliest start of the children up to it that block, likewise of those left out."""
    gained: NDArray[np.int64]
    """Shape (n,): time on the path that is others', but may be the node's."""
    chained: NDArray[np.int64]
    """Shape (n,): the next doubt about a node while doubts are settled, else -1."""
    frames: NDArray[np.int64]
    doubts: NDArray[np.int64]
    """Shape (any, 3): a node, and the stretch that it may have had."""
    own: NDArray[np.int64]
    """Shape (any, 4): sections of a node's own path: node, reason, start, end."""
    sums: NDArray[np.int64]
    """Shape (2,): ambiguous and uncertain ns."""


@inlined
def comes_first(a, b, start, end, ids):
    """Order of children: latest end, then earliest start, then smallest id."""
    if end[a] != end[b]:
        return end[a] > end[b]
    if start[a] != start[b]:
        return start[a] < start[b]
    if ids[a] != ids[b]:
        return ids[a] < ids[b]
    return a < b


@inlined
def is_before(a, b, nodes, ids):
    """Tell what `comes_first` does, of records; `ids` begin with the trace's."""
    if nodes[a, _END] != nodes[b, _END]:
        return nodes[a, _END] > nodes[b, _END]
    if nodes[a, _START] != nodes[b, _START]:
        return nodes[a, _START] < nodes[b, _START]
    if ids[a] != ids[b]:
        return ids[a] < ids[b]
    return a < b


@inlined
def sort_nodes(items, low, high, nodes, ids):
    """Sort items[low:high] by `is_before`, in place: insertion sort for few."""
    for i in range(low + 1, high):
        item = items[i]
        j = i - 1
        while j >= low and is_before(item, items[j], nodes, ids):
            items[j + 1] = items[j]
            j -= 1
        items[j + 1] = item


@inlined
def is_first(i, j, items, keys, start, end, ids):
    """Tell by their positions whether one item comes before another."""
    return keys[i] > keys[j] or (keys[i] == keys[j] and comes_first(items[i], items[j], start, end, ids))


@inlined
def swap(i, j, items, keys):
    item = items[i]
    items[i] = items[j]
    items[j] = item
    key = keys[i]
    keys[i] = keys[j]
    keys[j] = key


@step
def sort_many(items, keys, low, high, start, end, ids):
    """Sort items[low:high] by `comes_first`, in place, with a heap; calls one after another are only turned around.

    Args:
        keys: room for the ends of the items, at the same positions: nearer than the ends of nodes.
    """
    count = high - low
    i = low + 1
    while i < high and comes_first(items[i], items[i - 1], start, end, ids):
        i += 1
    for k in range(low, high):
        keys[k] = end[items[k]]
    if i >= high:
        for k in range(count // 2):
            swap(low + k, high - 1 - k, items, keys)
        return
    for turn in range(count // 2 - 1, -count, -1):
        # While turn >= 0 the heap is made; afterwards its root moves behind the remaining -turn items.
        root = turn
        limit = count
        if turn < 0:
            limit = count + turn
            swap(low, low + limit, items, keys)
            root = 0
        while True:
            child = 2 * root + 1
            if child >= limit:
                break
            if child + 1 < limit and is_first(low + child, low + child + 1, items, keys, start, end, ids):
                child += 1
            if not is_first(low + root, low + child, items, keys, start, end, ids):
                break
            swap(low + root, low + child, items, keys)
            root = child


@step
def sort_children(node, trace, start, end, ids):
    """Partition and sort the children of a node, at its first visit; `_STOP` moves behind the last that counts."""
    nodes, kids, earliest = trace.nodes, trace.kids, trace.earliest
    low = nodes[node, _FIRST]
    high = nodes[node, _STOP]
    middle = low
    for i in range(low, high):
        child = kids[i]
        if nodes[child, _TRAITS] & _RELATION == BLOCKING and nodes[child, _END] > nodes[child, _START]:
            kids[i] = kids[middle]
            kids[middle] = child
            middle += 1
    last = middle
    for i in range(middle, high):
        child = kids[i]
        if nodes[child, _TRAITS] & _RELATION == LEFT_OUT:
            kids[i] = kids[last]
            kids[last] = child
            last += 1
    if middle - low > _FEW:
        sort_many(kids, earliest, low, middle, start, end, ids)
    else:
        sort_nodes(kids, low, middle, nodes, ids)
    least = _NEVER
    for i in range(low, middle):
        least = min(least, start[kids[i]])
        earliest[i] = least
    if last > middle:
        if last - middle > _FEW:
            sort_many(kids, earliest, middle, last, start, end, ids)
        else:
            sort_nodes(kids, middle, last, nodes, ids)
        least = _NEVER
        for i in range(middle, last):
            least = min(least, start[kids[i]])
            earliest[i] = least
    nodes[node, _BLOCKED] = middle
    nodes[node, _STOP] = last


@inlined
def push(depth, node, low, t, high, bound, tick, trace, start, end, ids, write):
    """Open a frame for [low, t] of `node`; t < high when it is entered in the middle, with children running."""
    nodes, kids, frames = trace.nodes, trace.kids, trace.frames
    if nodes[node, _BLOCKED] == _UNSORTED:
        sort_children(node, trace, start, end, ids)
    first = nodes[node, _FIRST]
    blocked = nodes[node, _BLOCKED]
    frames[depth, _NODE] = node
    frames[depth, _NEXT] = _NONE_YET if high - t <= tick else first
    frames[depth, _HEAD] = first
    frames[depth, _LEFT_HEAD] = blocked
    frames[depth, _ENTERED] = 0
    frames[depth, _NETWORK] = 0
    if write and nodes[node, _TRAITS] & _IS_CLIENT:
        for i in range(first, blocked):
            child = kids[i]
            if nodes[child, _TRAITS] & _IS_SERVER and nodes[child, _START] < high and nodes[child, _END] > low:
                frames[depth, _NETWORK] = 1
    frames[depth, _LOW] = low
    frames[depth, _T] = t
    frames[depth, _HIGH] = high
    frames[depth, _BOUND] = bound


@inlined
def choose(depth, tick, trace, start, end, ids):
    """Find the predecessor at the frame's t.

    Returns (child or -1, its end as far as it counts, the position up to which children were passed over). `_NEXT` of
    the frame moves behind the last child that was considered.
    """
    nodes, kids, frames = trace.nodes, trace.kids, trace.frames
    node = frames[depth, _NODE]
    low = frames[depth, _LOW]
    t = frames[depth, _T]
    first = nodes[node, _FIRST]
    stop = nodes[node, _BLOCKED]
    i = frames[depth, _NEXT]
    chosen = np.int64(-1)
    if t <= low:
        return chosen, t, first
    if i == _NONE_YET:
        # Children that end at or after the window's end are cut there: the earliest start wins, then the id.
        i = first
        while i < stop and end[kids[i]] >= frames[depth, _HIGH]:
            child = kids[i]
            if start[child] < t:
                a = max(start[child], low)
                b = max(start[chosen], low) if chosen >= 0 else _NEVER
                if a < b or (a == b and ids[child] < ids[chosen]):
                    chosen = np.int64(child)
            i += 1
        if chosen >= 0:
            frames[depth, _NEXT] = i
            return chosen, t, first
    while i < stop:
        child = kids[i]
        ends = end[child]
        if ends <= low:
            break
        i += 1
        if start[child] < t and min(ends, frames[depth, _HIGH]) - t <= tick:
            chosen = np.int64(child)
            passed = i - 1
            # Starts before the window are alike: then the smallest id of those that end together.
            while i < stop and start[chosen] <= low and end[kids[i]] == ends:
                child = kids[i]
                if start[child] <= low and ids[child] < ids[chosen]:
                    chosen = np.int64(child)
                i += 1
            frames[depth, _NEXT] = i
            return chosen, min(ends, t), passed
    frames[depth, _NEXT] = i
    return chosen, t, i


@inlined
def doubt(depth, a, passed, trace, start, end, ids):
    """Whom else could [a, t] of the frame's node belong to?

    Returns the moment from which a blocking child was running, the moment from which any candidate was, and the
    candidate with the latest end (-1: none).
    """
    nodes, kids, earliest, frames = trace.nodes, trace.kids, trace.earliest, trace.frames
    node = frames[depth, _NODE]
    t = frames[depth, _T]
    flight = t
    other = np.int64(-1)
    if passed > nodes[node, _FIRST] and earliest[passed - 1] < t:
        flight = max(a, earliest[passed - 1])
        # Children that start at or after t are never running again, since t only falls.
        head = frames[depth, _HEAD]
        while start[kids[head]] >= t:
            head += 1
        frames[depth, _HEAD] = head
        other = np.int64(kids[head])
    doubtful = flight
    stop = nodes[node, _STOP]
    if stop > nodes[node, _BLOCKED] and earliest[stop - 1] < t:
        doubtful = min(flight, max(a, earliest[stop - 1]))
        head = frames[depth, _LEFT_HEAD]
        while start[kids[head]] >= t:
            head += 1
        frames[depth, _LEFT_HEAD] = head
        if other < 0 or comes_first(kids[head], other, start, end, ids):
            other = np.int64(kids[head])
    return flight, doubtful, other


@step
def reason_of(depth, chosen, a, b, nodes, kids, frames):
    """Why [a, b] is the frame's node's own, running children aside (rule 11)."""
    node = frames[depth, _NODE]
    low = frames[depth, _LOW]
    high = frames[depth, _HIGH]
    if b == high and high == frames[depth, _BOUND] and nodes[node, _END] > high:
        return CLIPPED
    if chosen < 0 and nodes[node, _START] < low:
        return CLIPPED
    if frames[depth, _NETWORK]:
        return NETWORK
    if chosen < 0:
        first = nodes[node, _FIRST]
        alone = nodes[node, _BLOCKED] == first or nodes[kids[first], _END] <= low
        if alone or (frames[depth, _ENTERED] == 0 and frames[depth, _T] == high):
            return LEAF
        return SELF_FIRST
    return SELF_LAST if frames[depth, _T] == high else SELF_BETWEEN


@inlined
def put(sections, at, node, reason, start, end):
    """Write a section; returns the position behind it."""
    sections[at, 0] = node
    sections[at, 1] = reason
    sections[at, 2] = start
    sections[at, 3] = end
    return at + 1


@step
def walk_span(target, t, tick, trace, start, end, ids, keep, sections, section_count, doubt_count):
    """Explain `target` from its start to t, by default its end; returns the numbers of sections and doubts.

    Sections are written from the latest to the earliest, where there is room for any. Times and sums are added to where
    they are to be kept.

    Args:
        start, end, ids: columns, from the trace's first node on.
    """
    nodes, frames, doubts = trace.nodes, trace.frames, trace.doubts
    write = len(sections) > 0
    ends = nodes[target, _END]
    push(0, target, nodes[target, _START], t, ends, ends, tick, trace, start, end, ids, write)
    depth = 0
    while depth >= 0:
        node = frames[depth, _NODE]
        low = frames[depth, _LOW]
        t = frames[depth, _T]
        chosen, chosen_end, passed = choose(depth, tick, trace, start, end, ids)

        a = chosen_end if chosen >= 0 else low
        if a < t:
            flight, doubtful, other = doubt(depth, a, passed, trace, start, end, ids)
            if other >= 0:
                moved = max(a, nodes[other, _START])
                doubts[doubt_count, 0] = other
                doubts[doubt_count, 1] = moved
                doubts[doubt_count, 2] = t
                doubt_count += 1
                if keep:
                    trace.sums[0] += t - doubtful
                    nodes[node, _DOUBTED] += t - moved
            if keep:
                nodes[node, _TIME] += t - a
                if nodes[node, _TRAITS] & _IS_UNCERTAIN:
                    trace.sums[1] += t - a
            if write:
                if flight < t:
                    section_count = put(sections, section_count, node, SELF_IN_FLIGHT, flight, t)
                if a < flight:
                    reason = reason_of(depth, chosen, a, flight, nodes, trace.kids, frames)
                    section_count = put(sections, section_count, node, reason, a, flight)

        if chosen < 0:
            depth -= 1
            continue
        child_low = max(nodes[chosen, _START], low)
        bound = min(nodes[chosen, _END], frames[depth, _BOUND])
        frames[depth, _T] = child_low
        frames[depth, _ENTERED] += 1
        if nodes[chosen, _FIRST] < nodes[chosen, _STOP]:
            depth += 1
            push(depth, chosen, child_low, chosen_end, chosen_end, bound, tick, trace, start, end, ids, write)
            continue
        # Without children all of the window is its own: half of the spans need no frame.
        length = chosen_end - child_low
        if keep:
            nodes[chosen, _TIME] += length
            if nodes[chosen, _TRAITS] & _IS_UNCERTAIN:
                trace.sums[1] += length
        if write and length > 0:
            clipped = nodes[chosen, _START] < child_low or (nodes[chosen, _END] > chosen_end and bound == chosen_end)
            section_count = put(sections, section_count, chosen, CLIPPED if clipped else LEAF, child_low, chosen_end)
    return section_count, doubt_count


@kernel
def settle_doubts(first, count, tick, trace, start, end, ids):
    """Give doubts[first:count] to the children that may have had them.

    Each goes to the path that the child has as a target of its own. A child's doubts are in falling order of time,
    and so are the sections of its path: one pass over both.
    """
    doubts, chained, gained, own = trace.doubts, trace.chained, trace.gained, trace.own
    following = np.full(count - first, -1, np.int64)
    pending = np.zeros(count - first, np.uint8)
    for i in range(count - 1, first - 1, -1):
        child = doubts[i, 0]
        following[i - first] = chained[child]
        if chained[child] >= 0:
            pending[chained[child] - first] = 1
        chained[child] = i
    for i in range(first, count):
        if pending[i - first]:
            continue
        child = doubts[i, 0]
        chained[child] = -1
        made, _ = walk_span(child, end[child], tick, trace, start, end, ids, False, own, 0, count)
        at = 0
        doubt_at = i
        while doubt_at >= 0:
            low = doubts[doubt_at, 1]
            high = doubts[doubt_at, 2]
            while at < made and own[at, 2] >= high:
                at += 1
            spot = at
            while spot < made and own[spot, 3] > low:
                gained[own[spot, 0]] += min(high, own[spot, 3]) - max(low, own[spot, 2])
                spot += 1
            at = max(at, spot - 1)
            doubt_at = following[doubt_at - first]


@step
def finish_sections(sections, low, high, base):
    """Turn sections[low:high], written from the latest to the earliest, into the order of time; number nodes again."""
    for i in range((high - low) // 2):
        j = high - 1 - i
        for k in range(4):
            a = sections[low + i, k]
            sections[low + i, k] = sections[j, k]
            sections[j, k] = a
    for i in range(low, high):
        sections[i, 0] += base


def make_trace(size: int, doubts_of_a_node: int = 4) -> Trace:
    """Return room for traces of up to `size` nodes: NumPy's, for the reason that `assemble.make_nodes` gives."""
    doubts = doubts_of_a_node * (size + 1)
    return Trace(
        np.empty((size, _RECORD), np.int64),
        np.empty(size, np.int32),
        np.empty(size, np.int64),
        np.zeros(size, np.int64),
        np.full(size, -1, np.int64),
        np.empty((size + 1, _FRAME), np.int64),
        np.empty((doubts, 3), np.int64),
        np.empty((4 * size + 4, 4), np.int64),
        np.zeros(2, np.int64),
    )


@step
def open_trace(base, size, start, end, kinds, flags, relation, children, child_first, nodes, kids):
    """Copy nodes [base, base + size) and their children into records."""
    link = child_first[base]
    for i in range(size):
        node = base + i
        traits = np.int64(relation[node])
        if kinds[node] == CLIENT:
            traits |= _IS_CLIENT
        elif kinds[node] == SERVER:
            traits |= _IS_SERVER
        if flags[node] & _UNCERTAIN:
            traits |= _IS_UNCERTAIN
        first = child_first[node] - link
        stop = child_first[node + 1] - link
        nodes[i, _START] = start[node]
        nodes[i, _END] = end[node]
        nodes[i, _FIRST] = first
        nodes[i, _BLOCKED] = first if first == stop else np.int64(_UNSORTED)
        nodes[i, _STOP] = stop
        nodes[i, _TRAITS] = traits
        nodes[i, _TIME] = 0
        nodes[i, _DOUBTED] = 0
    for i in range(child_first[base + size] - link):
        kids[i] = children[link + i] - base


@step
def close_trace(base, size, nodes, gained, times):
    """Write the times of nodes from their records; `gained` is all zeros again."""
    time, time_min, time_max = times
    for i in range(size):
        time[base + i] = nodes[i, _TIME]
        time_min[base + i] = nodes[i, _TIME] - nodes[i, _DOUBTED]
        time_max[base + i] = nodes[i, _TIME] + gained[i]
        gained[i] = 0


class Times(NamedTuple):
    """Time on the path of nodes, shape (n,) each, in ns."""

    time: NDArray[np.int64]
    time_min: NDArray[np.int64]
    time_max: NDArray[np.int64]


def make_times(nodes: int) -> Times:
    """Return room for so many nodes, in one piece: see `collector.core.kernels.assemble.make_nodes`."""
    return Times(*np.empty((3, nodes), np.int64))


@kernel
def walk_targets(
    targets, first, sizes, tick, start, end, ids, kinds, flags, relation, children, child_first, want_sections,
    trace, times,
):  # fmt: skip
    """Walk targets whose trees have no span in common; `first` (node), `sizes` and `tick` are those of their traces.

    Targets of one trace stand together. The times of the nodes of all these traces are written to `times`; `trace` has
    room for the largest.
    Returns ambiguous and uncertain ns, and the first section, of targets; and the sections in order of time, as (node,
    reason, start, end).
    """
    count = len(targets)
    ambiguous = np.zeros(count, np.int64)
    uncertain = np.zeros(count, np.int64)
    section_first = np.zeros(count + 1, np.int64)
    sections = np.empty((4 * (len(start) + count) if want_sections else 0, 4), np.int64)
    written = 0
    for i in range(count):
        base = first[i]
        if i == 0 or base != first[i - 1]:
            open_trace(
                base, sizes[i], start, end, kinds, flags, relation, children, child_first, trace.nodes, trace.kids
            )
        section_first[i] = written
        trace.sums[:] = 0
        own_start, own_end, own_ids = start[base:], end[base:], ids[base:]
        target = targets[i] - base
        written, doubted = walk_span(
            target, own_end[target], tick[i], trace, own_start, own_end, own_ids, True, sections, written, 0
        )
        if doubted > 0:
            settle_doubts(0, doubted, tick[i], trace, own_start, own_end, own_ids)
        ambiguous[i] = trace.sums[0]
        uncertain[i] = trace.sums[1]
        finish_sections(sections, section_first[i], written, base)
        if i == count - 1 or base != first[i + 1]:
            close_trace(base, sizes[i], trace.nodes, trace.gained, times)
    section_first[count] = written
    return ambiguous, uncertain, section_first, sections[:written]


@inlined
def caused_rather(a, b, t, nodes, ids):
    """Tell whether a rather than b set going what began at t: it ended later, started first, has the smaller id."""
    if b < 0:
        return True
    if min(nodes[a, _END], t) != min(nodes[b, _END], t):
        return min(nodes[a, _END], t) > min(nodes[b, _END], t)
    if nodes[a, _START] != nodes[b, _START]:
        return nodes[a, _START] < nodes[b, _START]
    if ids[a] != ids[b]:
        return ids[a] < ids[b]
    return a < b


@kernel
def walk_whole(
    link_first, links, parent, tick, start, end, ids, kinds, flags, relation, children, child_first, trace, times
):  # fmt: skip
    """Walk one trace from its last end to its first start, from effect to cause.

    At the start of a node the walk goes on in what set it going: of its parent and the spans that it links to, what
    ended last before that moment. Time between the two is the cause's, with reason `queue`. Where no cause is known,
    it goes on in whatever ran last, with reason `idle` for the time between.
    `trace` has room for its nodes and 8 doubts of each.
    Returns what `walk_targets` returns for one target, without section_first.
    """
    count = len(start)
    nodes = trace.nodes
    open_trace(0, count, start, end, kinds, flags, relation, children, child_first, nodes, trace.kids)
    sections = np.empty((8 * count + 8, 4), np.int64)

    order = np.arange(count, dtype=np.int32)
    sort_many(order, trace.earliest, 0, count, start, end, ids)
    t = end[order[0]]
    bottom = t
    for node in range(count):
        bottom = min(bottom, start[node])
    written = 0
    doubted = 0
    considered = 0
    running = np.int64(-1)  # of all that ended at or after t, what started first
    effect = np.int64(-1)
    while t > bottom:
        cause = np.int64(-1)
        if effect >= 0:
            if parent[effect] >= 0 and start[parent[effect]] < t:
                cause = np.int64(parent[effect])
            for i in range(link_first[effect], link_first[effect + 1]):
                node = np.int64(links[i])
                if start[node] < t and caused_rather(node, cause, t, nodes, ids):
                    cause = node
        known = cause >= 0
        if not known:
            while considered < count and end[order[considered]] >= t:
                node = np.int64(order[considered])
                if caused_rather(node, running, t, nodes, ids):
                    running = node
                considered += 1
            if running >= 0 and start[running] < t:
                cause = running
            else:
                while start[order[considered]] >= t:
                    considered += 1
                cause = np.int64(order[considered])
        if end[cause] < t:
            nodes[cause, _TIME] += t - end[cause]
            if flags[cause] & _UNCERTAIN:
                trace.sums[1] += t - end[cause]
            written = put(sections, written, cause, QUEUE if known else IDLE, end[cause], t)
            t = end[cause]
        if start[cause] < t:
            before = doubted
            written, doubted = walk_span(cause, t, tick, trace, start, end, ids, True, sections, written, doubted)
            if doubted > before:
                settle_doubts(before, doubted, tick, trace, start, end, ids)
                doubted = 0
        effect = cause
        t = start[cause]
    finish_sections(sections, 0, written, 0)
    close_trace(0, count, nodes, trace.gained, times)
    return trace.sums[0], trace.sums[1], sections[:written]
