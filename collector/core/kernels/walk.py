"""The walk back from the end of a span: rules 7 to 12 of the critical path, many traces in one call.

A frame of the stack is one visit to a node: the window [low, t] that is still to be explained, and how far its
children were considered. Children are sorted once, at the first visit: those that block by (end down, start up, id
up), behind them those that were left out because they outlived the node, by the same order.
"""

import numpy as np

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

# Columns of a frame: the node; the next child to consider (NONE_YET: none was, and the window's end cuts them); the
# first blocking child and the first one left out that may still be running; children entered; around a SERVER.
_NODE, _NEXT, _HEAD, _LEFT_HEAD, _ENTERED, _NETWORK = range(6)
_NONE_YET = -1
# Columns of its bounds: the window, its end at first, and where ancestors' ends clip the node.
_LOW, _T, _HIGH, _BOUND = range(4)


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
def sort_nodes(items, low, high, start, end, ids):
    """Sort items[low:high] by `comes_first`, in place: insertion sort for few, heap sort for many."""
    count = high - low
    if count <= 24:
        for i in range(low + 1, high):
            item = items[i]
            j = i - 1
            while j >= low and comes_first(item, items[j], start, end, ids):
                items[j + 1] = items[j]
                j -= 1
            items[j + 1] = item
        return
    for turn in range(count // 2 - 1, -count, -1):
        # While turn >= 0 the heap is made; afterwards its root moves behind the remaining -turn items.
        root = turn
        limit = count
        if turn < 0:
            limit = count + turn
            item = items[low]
            items[low] = items[low + limit]
            items[low + limit] = item
            root = 0
        while True:
            child = 2 * root + 1
            if child >= limit:
                break
            if child + 1 < limit and comes_first(items[low + child], items[low + child + 1], start, end, ids):
                child += 1
            if not comes_first(items[low + root], items[low + child], start, end, ids):
                break
            item = items[low + root]
            items[low + root] = items[low + child]
            items[low + child] = item
            root = child


@inlined
def prepare(node, children, child_first, relation, start, end, ids, blocking, left_out, earliest):
    """Partition and sort the children of a node at its first visit.

    `blocking[node]` becomes their number, `left_out[node]` that of those behind them; `earliest[i]` the earliest
    start among the blocking children up to position i, likewise among those left out.
    """
    low = child_first[node]
    high = child_first[node + 1]
    middle = low
    for i in range(low, high):
        child = children[i]
        if relation[child] == BLOCKING and end[child] > start[child]:
            children[i] = children[middle]
            children[middle] = child
            middle += 1
    last = middle
    for i in range(middle, high):
        child = children[i]
        if relation[child] == LEFT_OUT:
            children[i] = children[last]
            children[last] = child
            last += 1
    sort_nodes(children, low, middle, start, end, ids)
    least = _NEVER
    for i in range(low, middle):
        least = min(least, start[children[i]])
        earliest[i] = least
    if last > middle:
        sort_nodes(children, middle, last, start, end, ids)
        least = _NEVER
        for i in range(middle, last):
            least = min(least, start[children[i]])
            earliest[i] = least
    blocking[node] = middle - low
    left_out[node] = last - middle


@inlined
def push(depth, node, low, t, high, bound, tick, tree, scratch, stack, bounds):
    """Open a frame for [low, t] of `node`; t < high when it is entered in the middle, with children running."""
    start, end, ids, kinds, relation, children, child_first = tree
    blocking, left_out, earliest = scratch
    if blocking[node] < 0:
        prepare(node, children, child_first, relation, start, end, ids, blocking, left_out, earliest)
    base = child_first[node]
    stop = base + blocking[node]
    stack[depth, _NODE] = node
    stack[depth, _NEXT] = _NONE_YET if high - t <= tick else base
    stack[depth, _HEAD] = base
    stack[depth, _LEFT_HEAD] = stop
    stack[depth, _ENTERED] = 0
    stack[depth, _NETWORK] = 0
    if kinds[node] == CLIENT:
        for i in range(base, stop):
            child = children[i]
            if kinds[child] == SERVER and start[child] < high and end[child] > low:
                stack[depth, _NETWORK] = 1
    bounds[depth, _LOW] = low
    bounds[depth, _T] = t
    bounds[depth, _HIGH] = high
    bounds[depth, _BOUND] = bound


@inlined
def choose(depth, tick, tree, scratch, stack, bounds):
    """Find the predecessor at the frame's t.

    Returns (child or -1, its end as far as it counts, the position up to which children were passed over). `_NEXT` of
    the frame moves behind the last child that was considered.
    """
    start, end, ids, kinds, relation, children, child_first = tree
    node = stack[depth, _NODE]
    low = bounds[depth, _LOW]
    t = bounds[depth, _T]
    base = child_first[node]
    stop = base + scratch[0][node]
    i = stack[depth, _NEXT]
    chosen = np.int64(-1)
    if t <= low:
        return chosen, t, base
    if i == _NONE_YET:
        # Children that end at or after the window's end are cut there: the earliest start wins, then the id.
        i = base
        while i < stop and end[children[i]] >= bounds[depth, _HIGH]:
            child = children[i]
            if start[child] < t:
                a = max(start[child], low)
                b = max(start[chosen], low) if chosen >= 0 else _NEVER
                if a < b or (a == b and ids[child] < ids[chosen]):
                    chosen = np.int64(child)
            i += 1
        if chosen >= 0:
            stack[depth, _NEXT] = i
            return chosen, t, base
    while i < stop:
        child = children[i]
        ends = end[child]
        if ends <= low:
            break
        i += 1
        if start[child] < t and start[child] < ends and min(ends, bounds[depth, _HIGH]) - t <= tick:
            chosen = np.int64(child)
            passed = i - 1
            # Starts before the window are alike: then the smallest id of those that end together.
            while i < stop and start[chosen] <= low and end[children[i]] == ends:
                child = children[i]
                if start[child] <= low and ids[child] < ids[chosen]:
                    chosen = np.int64(child)
                i += 1
            stack[depth, _NEXT] = i
            return chosen, min(ends, t), passed
    stack[depth, _NEXT] = i
    return chosen, t, i


@inlined
def doubt(depth, a, passed, tree, scratch, stack, bounds):
    """Whom else could [a, t] of the frame's node belong to?

    Returns the moment from which a blocking child was running, the moment from which any candidate was, and the
    candidate with the latest end (-1: none).
    """
    start, end, ids, kinds, relation, children, child_first = tree
    blocking, left_out, earliest = scratch
    node = stack[depth, _NODE]
    t = bounds[depth, _T]
    base = child_first[node]
    stop = base + blocking[node]
    flight = t
    other = np.int64(-1)
    if passed > base and earliest[passed - 1] < t:
        flight = max(a, earliest[passed - 1])
        # Children that start at or after t are never running again, since t only falls.
        head = stack[depth, _HEAD]
        while start[children[head]] >= t:
            head += 1
        stack[depth, _HEAD] = head
        other = np.int64(children[head])
    doubtful = flight
    count = left_out[node]
    if count > 0 and earliest[stop + count - 1] < t:
        doubtful = min(flight, max(a, earliest[stop + count - 1]))
        head = stack[depth, _LEFT_HEAD]
        while start[children[head]] >= t:
            head += 1
        stack[depth, _LEFT_HEAD] = head
        if other < 0 or comes_first(children[head], other, start, end, ids):
            other = np.int64(children[head])
    return flight, doubtful, other


@step
def reason_of(depth, chosen, a, b, tree, scratch, stack, bounds):
    """Why [a, b] is the frame's node's own, running children aside (rule 11)."""
    start, end, ids, kinds, relation, children, child_first = tree
    node = stack[depth, _NODE]
    high = bounds[depth, _HIGH]
    if b == high and high == bounds[depth, _BOUND] and end[node] > high:
        return CLIPPED
    if chosen < 0 and start[node] < bounds[depth, _LOW]:
        return CLIPPED
    if stack[depth, _NETWORK]:
        return NETWORK
    if chosen < 0:
        base = child_first[node]
        alone = scratch[0][node] == 0 or end[children[base]] <= bounds[depth, _LOW]
        if alone or (stack[depth, _ENTERED] == 0 and bounds[depth, _T] == high):
            return LEAF
        return SELF_FIRST
    return SELF_LAST if bounds[depth, _T] == high else SELF_BETWEEN


@step
def walk_span(
    target, t, tick, tree, flags, scratch, stack, bounds, sections, section_bounds, section_count,
    times, sums, doubts, doubt_bounds, doubt_count,
):  # fmt: skip
    """Explain `target` from its start to t, by default its end; returns the numbers of sections and doubts.

    Sections are written from the latest to the earliest, where there is room for any. `times` (time, time_min) and
    `sums` (ambiguous, uncertain ns) are added to. A doubt is a child and the stretch that it may have had.
    """
    start, end, ids, kinds, relation, children, child_first = tree
    time, time_min = times
    write = len(sections) > 0
    push(0, target, start[target], t, end[target], end[target], tick, tree, scratch, stack, bounds)
    depth = 0
    while depth >= 0:
        node = stack[depth, _NODE]
        low = bounds[depth, _LOW]
        t = bounds[depth, _T]
        chosen, chosen_end, passed = choose(depth, tick, tree, scratch, stack, bounds)

        a = chosen_end if chosen >= 0 else low
        if a < t:
            flight, doubtful, other = doubt(depth, a, passed, tree, scratch, stack, bounds)
            moved = t
            if other >= 0:
                moved = max(a, start[other])
                sums[0] += t - doubtful
                doubts[doubt_count] = other
                doubt_bounds[doubt_count, 0] = moved
                doubt_bounds[doubt_count, 1] = t
                doubt_count += 1
            time[node] += t - a
            time_min[node] += moved - a
            if flags[node] & _UNCERTAIN:
                sums[1] += t - a
            if write:
                if flight < t:
                    sections[section_count, 0] = node
                    sections[section_count, 1] = SELF_IN_FLIGHT
                    section_bounds[section_count, 0] = flight
                    section_bounds[section_count, 1] = t
                    section_count += 1
                if a < flight:
                    sections[section_count, 0] = node
                    sections[section_count, 1] = reason_of(depth, chosen, a, flight, tree, scratch, stack, bounds)
                    section_bounds[section_count, 0] = a
                    section_bounds[section_count, 1] = flight
                    section_count += 1

        if chosen < 0:
            depth -= 1
            continue
        child_low = max(start[chosen], low)
        bound = min(end[chosen], bounds[depth, _BOUND])
        bounds[depth, _T] = child_low
        stack[depth, _ENTERED] += 1
        depth += 1
        push(depth, chosen, child_low, chosen_end, chosen_end, bound, tick, tree, scratch, stack, bounds)
    return section_count, doubt_count


@kernel
def settle_doubts(
    first, count, tick, tree, flags, scratch, stack, bounds, doubts, doubt_bounds, gained, unused, chained,
    own, own_bounds,
):  # fmt: skip
    """Give doubts[first:count] to the children that may have had them.

    Each goes to the path that the child has as a target of its own. A child's doubts are in falling order of time,
    and so are the sections of its path: one pass over both.
    """
    start, end, ids, kinds, relation, children, child_first = tree
    nothing = np.zeros(2, np.int64)
    following = np.full(count - first, -1, np.int64)
    pending = np.zeros(count - first, np.uint8)
    for i in range(count - 1, first - 1, -1):
        # chained[child] holds the child's next doubt while they are chained, -1 otherwise.
        child = doubts[i]
        following[i - first] = chained[child]
        if chained[child] >= 0:
            pending[chained[child] - first] = 1
        chained[child] = i
    for i in range(first, count):
        if pending[i - first]:
            continue
        child = doubts[i]
        chained[child] = -1
        made, _ = walk_span(
            child, end[child], tick, tree, flags, scratch, stack, bounds, own, own_bounds, 0,
            (unused, unused), nothing, doubts, doubt_bounds, count,
        )  # fmt: skip
        at = 0
        doubt_at = i
        while doubt_at >= 0:
            low = doubt_bounds[doubt_at, 0]
            high = doubt_bounds[doubt_at, 1]
            while at < made and own_bounds[at, 0] >= high:
                at += 1
            spot = at
            while spot < made and own_bounds[spot, 1] > low:
                shared = min(high, own_bounds[spot, 1]) - max(low, own_bounds[spot, 0])
                gained[own[spot, 0]] += shared
                spot += 1
            at = max(at, spot - 1)
            doubt_at = following[doubt_at - first]


@step
def reverse(sections, section_bounds, low, high):
    """Turn sections[low:high], written from the latest to the earliest, into the order of time."""
    for i in range((high - low) // 2):
        j = high - 1 - i
        for k in range(2):
            a = sections[low + i, k]
            sections[low + i, k] = sections[j, k]
            sections[j, k] = a
            b = section_bounds[low + i, k]
            section_bounds[low + i, k] = section_bounds[j, k]
            section_bounds[j, k] = b


@kernel
def walk_targets(
    targets, sizes, tick, start, end, ids, kinds, flags, relation, children, child_first, want_sections
):  # fmt: skip
    """Walk targets whose trees have no span in common; `sizes` and `tick` are those of their traces.

    Returns time, time_min, time_max of nodes; ambiguous and uncertain ns, and the first section, of targets; and the
    sections in order of time as (node, reason) and (start, end).
    """
    count = len(targets)
    nodes = len(start)
    widest = np.int64(0)
    for i in range(count):
        widest = max(widest, sizes[i])
    time = np.zeros(nodes, np.int64)
    time_min = np.zeros(nodes, np.int64)
    gained = np.zeros(nodes, np.int64)
    unused = np.zeros(nodes, np.int64)
    chained = np.full(nodes, -1, np.int64)
    ambiguous = np.zeros(count, np.int64)
    uncertain = np.zeros(count, np.int64)
    section_first = np.zeros(count + 1, np.int64)
    capacity = 4 * (nodes + count) if want_sections else 0
    sections = np.empty((capacity, 2), np.int64)
    section_bounds = np.empty((capacity, 2), np.int64)
    own = np.empty((4 * widest + 4, 2), np.int64)
    own_bounds = np.empty((4 * widest + 4, 2), np.int64)
    stack = np.empty((widest + 1, 6), np.int64)
    bounds = np.empty((widest + 1, 4), np.int64)
    doubts = np.empty(4 * widest + 4, np.int64)
    doubt_bounds = np.empty((4 * widest + 4, 2), np.int64)
    sums = np.zeros(2, np.int64)
    tree = (start, end, ids, kinds, relation, children, child_first)
    scratch = (np.full(nodes, -1, np.int32), np.zeros(nodes, np.int32), np.empty(len(children), np.int64))
    written = 0
    for i in range(count):
        section_first[i] = written
        sums[0] = 0
        sums[1] = 0
        written, doubted = walk_span(
            targets[i], end[targets[i]], tick[i], tree, flags, scratch, stack, bounds, sections, section_bounds,
            written, (time, time_min), sums, doubts, doubt_bounds, 0,
        )  # fmt: skip
        if doubted > 0:
            settle_doubts(
                0, doubted, tick[i], tree, flags, scratch, stack, bounds, doubts, doubt_bounds,
                gained, unused, chained, own, own_bounds,
            )  # fmt: skip
        ambiguous[i] = sums[0]
        uncertain[i] = sums[1]
        reverse(sections, section_bounds, section_first[i], written)
    section_first[count] = written
    return (
        time, time_min, time + gained, ambiguous, uncertain,
        section_first, sections[:written], section_bounds[:written],
    )  # fmt: skip


@inlined
def caused_rather(a, b, t, start, end, ids):
    """Tell whether a rather than b set going what began at t: it ended later, started first, has the smaller id."""
    if b < 0:
        return True
    if min(end[a], t) != min(end[b], t):
        return min(end[a], t) > min(end[b], t)
    if start[a] != start[b]:
        return start[a] < start[b]
    if ids[a] != ids[b]:
        return ids[a] < ids[b]
    return a < b


@kernel
def walk_whole(link_first, links, parent, tick, start, end, ids, kinds, flags, relation, children, child_first):
    """Walk one trace from its last end to its first start, from effect to cause.

    At the start of a node the walk goes on in what set it going: of its parent and the spans that it links to, what
    ended last before that moment. Time between the two is the cause's, with reason `queue`. Where no cause is known,
    it goes on in whatever ran last, with reason `idle` for the time between.
    Returns what `walk_targets` returns for one target, without section_first.
    """
    nodes = len(start)
    time = np.zeros(nodes, np.int64)
    time_min = np.zeros(nodes, np.int64)
    gained = np.zeros(nodes, np.int64)
    unused = np.zeros(nodes, np.int64)
    chained = np.full(nodes, -1, np.int64)
    sections = np.empty((8 * nodes + 8, 2), np.int64)
    section_bounds = np.empty((8 * nodes + 8, 2), np.int64)
    own = np.empty((4 * nodes + 4, 2), np.int64)
    own_bounds = np.empty((4 * nodes + 4, 2), np.int64)
    stack = np.empty((nodes + 1, 6), np.int64)
    bounds = np.empty((nodes + 1, 4), np.int64)
    doubts = np.empty(8 * nodes + 8, np.int64)
    doubt_bounds = np.empty((8 * nodes + 8, 2), np.int64)
    sums = np.zeros(2, np.int64)
    tree = (start, end, ids, kinds, relation, children, child_first)
    scratch = (np.full(nodes, -1, np.int32), np.zeros(nodes, np.int32), np.empty(len(children), np.int64))

    order = np.arange(nodes, dtype=np.int32)
    sort_nodes(order, 0, nodes, start, end, ids)
    t = end[order[0]]
    bottom = t
    for node in range(nodes):
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
                node = links[i]
                if start[node] < t and caused_rather(node, cause, t, start, end, ids):
                    cause = np.int64(node)
        known = cause >= 0
        if not known:
            while considered < nodes and end[order[considered]] >= t:
                node = order[considered]
                if caused_rather(node, running, t, start, end, ids):
                    running = np.int64(node)
                considered += 1
            if running >= 0 and start[running] < t:
                cause = running
            else:
                while start[order[considered]] >= t:
                    considered += 1
                cause = np.int64(order[considered])
        if end[cause] < t:
            time[cause] += t - end[cause]
            time_min[cause] += t - end[cause]
            if flags[cause] & _UNCERTAIN:
                sums[1] += t - end[cause]
            sections[written, 0] = cause
            sections[written, 1] = QUEUE if known else IDLE
            section_bounds[written, 0] = end[cause]
            section_bounds[written, 1] = t
            written += 1
            t = end[cause]
        if start[cause] < t:
            before = doubted
            written, doubted = walk_span(
                cause, t, tick, tree, flags, scratch, stack, bounds, sections, section_bounds, written,
                (time, time_min), sums, doubts, doubt_bounds, doubted,
            )  # fmt: skip
            if doubted > before:
                settle_doubts(
                    before, doubted, tick, tree, flags, scratch, stack, bounds, doubts, doubt_bounds,
                    gained, unused, chained, own, own_bounds,
                )  # fmt: skip
                doubted = 0
        effect = cause
        t = start[cause]
    reverse(sections, section_bounds, 0, written)
    return time, time_min, time + gained, sums[0], sums[1], sections[:written], section_bounds[:written]
