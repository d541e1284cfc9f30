"""Slack and drag of the spans below a target: how the length of a trace answers to a change of one span.

The model. Jobs are the target and the children that a job waits for, clipped to it, as far as they have a length.
A job's own work is the time before each of its children starts (`lead`: since the latest end of those it waits for)
and after the last one ends. Own work stays as long as it is; replayed with its own durations, every job starts and
ends when it did.

    cautious: a child waits for every sibling that had ended when it started (one clock tick of overlap is tolerated)
    bold:     a child waits only for the one of them that the walk would take; the parent's last own work follows the
              child that ended last, and the parent ends no sooner than any child

Slack is how much later a span may end, drag how much earlier the target ends when the span's own work takes no time.
A child that shortens by d shortens its parent by the least of d and the slack of siblings concurrent with it: of
longest paths through the children, each holds the child or one that is concurrent with it.
"""

import numpy as np

from collector.core.kernels import inlined, kernel
from collector.core.kernels.jobs import add_jobs
from collector.core.kernels.walk import comes_first

_FAR = np.int64(2**62)


@inlined
def replay_only_child(p, child, low, high, slack, slack_max, cap, cap_max, on_path):
    """Do what `replay_children` does, for a job that waits for one other: most do."""
    slack[child] = slack[p]
    slack_max[child] = slack_max[p]
    if on_path[p]:
        on_path[child] = 1
        cap[child] = min(cap[p], high[child] - low[p])
        cap_max[child] = cap_max[p]
    return high[p] - low[p] - (high[child] - low[child])


@kernel
def replay_children(p, jobs, low, high, tick, ids, slack, slack_max, cap, cap_max, on_path):
    """Set slack of the jobs below p, and of those on the path how much of a saving reaches the target.

    Args:
        jobs: those that p waits for, by start.
    Returns what p's length loses when its own work takes no time, under the cautious and the bold graph.
    """
    length = high[p] - low[p]
    starts = low[jobs]
    ends = high[jobs]
    size = len(jobs)
    by_end = np.argsort(ends, kind="mergesort")
    latest = ends[by_end[size - 1]]

    # Forward: whom each child waits for, and when it ends in both graphs without p's own work.
    previous = np.full(size, -1, np.int64)
    before = np.empty(size, np.int64)
    finish = np.zeros(size, np.int64)
    finish_bold = np.zeros(size, np.int64)
    ended = 0
    best = np.int64(-1)
    free = np.int64(0)
    total = np.int64(0)
    total_bold = np.int64(0)
    for c in range(size):
        while ended < size and ends[by_end[ended]] <= starts[c]:
            b = by_end[ended]
            free = max(free, finish[b])
            if best < 0 or comes_first(jobs[b], jobs[best], low, high, ids):
                best = b
            ended += 1
        chosen = best
        begin = free
        scan = ended
        while scan < size and ends[by_end[scan]] <= starts[c] + tick:
            b = by_end[scan]
            if starts[b] < starts[c]:
                begin = max(begin, finish[b])
                if chosen < 0 or comes_first(jobs[b], jobs[chosen], low, high, ids):
                    chosen = b
            scan += 1
        previous[c] = chosen
        before[c] = ends[chosen] if chosen >= 0 else low[p]
        lead = min(np.int64(0), starts[c] - before[c])  # of p's own work only an overlap stays
        finish[c] = max(np.int64(0), begin + lead) + ends[c] - starts[c]
        finish_bold[c] = ends[c] - starts[c]
        if chosen >= 0:
            finish_bold[c] += max(np.int64(0), finish_bold[chosen] + lead)
        total = max(total, finish[c])
        total_bold = max(total_bold, finish_bold[c])

    last = np.int64(0)
    for c in range(1, size):
        if comes_first(jobs[c], jobs[last], low, high, ids):
            last = np.int64(c)

    # Backward: slack. later[c]: the least of slack + `before` among children from c on.
    later = np.full(size + 1, _FAR, np.int64)
    bold = np.empty(size, np.int64)
    for c in range(size):
        bold[c] = slack_max[p] if c == last else slack_max[p] + high[p] - ends[c]
    for b in range(size - 1, -1, -1):
        waiting = max(np.searchsorted(starts, ends[b] - tick), np.searchsorted(starts, starts[b], side="right"))
        room = min(slack[p] + latest - ends[b], later[waiting] - ends[b])
        slack[jobs[b]] = room
        slack_max[jobs[b]] = bold[b]
        if previous[b] >= 0:
            bold[previous[b]] = min(bold[previous[b]], bold[b])
        later[b] = min(later[b + 1], room + before[b])

    if on_path[p]:
        limit_chain(p, jobs, starts, ends, before, previous, last, tick, slack, low, high, cap, cap_max, on_path)
    return length - total, length - total_bold


@kernel
def limit_chain(p, jobs, starts, ends, before, previous, last, tick, slack, low, high, cap, cap_max, on_path):
    """For the children of p on the path: how much shorter the target can become because one of them does."""
    size = len(jobs)
    links = 0
    c = last
    while c >= 0:
        links += 1
        c = previous[c]
    chain = np.empty(links, np.int64)
    place = np.full(size, -1, np.int64)
    c = last
    for i in range(links - 1, -1, -1):
        chain[i] = c
        place[c] = i
        c = previous[c]
    chain_starts = starts[chain]

    # Cautious: each child off the chain bounds those on it that it is concurrent with, a stretch of the chain.
    tree = np.full(2 * links, _FAR, np.int64)
    # Bold: it bounds those behind the point where its own chain of predecessors leaves this one.
    joins = np.full(size, -1, np.int64)
    bound_bold = np.full(links + 1, -1, np.int64)
    for b in range(size):
        if place[b] >= 0:
            joins[b] = place[b]
            continue
        if previous[b] >= 0:
            joins[b] = joins[previous[b]]
        bound_bold[joins[b] + 1] = max(bound_bold[joins[b] + 1], ends[b])
        # Concurrent are those that b does not wait for (from `first` on) and that do not wait for b (before `stop`).
        stop = max(
            np.searchsorted(chain_starts, ends[b] - tick), np.searchsorted(chain_starts, starts[b], side="right")
        )
        first = np.int64(0)
        upper = links
        while first < upper:
            middle = (first + upper) // 2
            x = chain[middle]
            if ends[x] <= starts[b] + tick and starts[x] < starts[b]:
                first = middle + 1
            else:
                upper = middle
        room = slack[jobs[b]] - slack[p]
        left = first + links
        right = stop + links
        while left < right:
            if left & 1:
                tree[left] = min(tree[left], room)
                left += 1
            if right & 1:
                right -= 1
                tree[right] = min(tree[right], room)
            left //= 2
            right //= 2
    behind = np.int64(-1)
    for i in range(links):
        c = chain[i]
        child = jobs[c]
        on_path[child] = 1
        # Whatever follows the child waits for the one before it at the latest.
        room = min(ends[c] - before[c], starts[chain[i + 1]] - low[p] if i + 1 < links else _FAR)
        room_bold = starts[chain[i + 1]] - low[p] if i + 1 < links else _FAR
        spot = i + links
        while spot >= 1:
            room = min(room, tree[spot])
            spot //= 2
        behind = max(behind, bound_bold[i])
        if behind >= 0:
            room_bold = min(room_bold, high[p] - behind)
        cap[child] = min(cap[p], room)
        cap_max[child] = min(cap_max[p], room_bold)


@kernel
def replay_targets(targets, first, ticks, start, end, ids, relation, children, child_first, time):
    """Return slack (cautious, bold) and drag (cautious, bold) of the nodes of each trace's target.

    Trace t has the nodes first[t]:first[t + 1]. Nodes on which the target does not depend have slack -1.
    """
    nodes = len(start)
    slack = np.full(nodes, -1, np.int64)
    slack_max = np.full(nodes, -1, np.int64)
    drag = np.zeros(nodes, np.int64)
    drag_max = np.zeros(nodes, np.int64)
    cap = np.zeros(nodes, np.int64)
    cap_max = np.zeros(nodes, np.int64)
    on_path = np.zeros(nodes, np.uint8)
    low = np.empty(nodes, np.int64)
    high = np.empty(nodes, np.int64)
    todo = np.empty(nodes, np.int64)
    room = np.empty(nodes, np.int64)
    for trace in range(len(targets)):
        target = targets[trace]
        for node in range(first[trace], first[trace + 1]):
            low[node] = start[node] - start[target]  # far below _FAR, which times are not
            high[node] = end[node] - start[target]
        todo[0] = target
        slack[target] = 0
        slack_max[target] = 0
        cap[target] = _FAR
        cap_max[target] = _FAR
        on_path[target] = 1
        made = 1
        done = 0
        while done < made:
            p = todo[done]
            done += 1
            begin = made
            made = add_jobs(p, relation, children, child_first, low, high, todo, made, room)
            saved = high[p] - low[p]
            saved_bold = saved
            if made - begin == 1:
                saved = replay_only_child(p, todo[begin], low, high, slack, slack_max, cap, cap_max, on_path)
                saved_bold = saved
            elif begin < made:
                saved, saved_bold = replay_children(
                    p, todo[begin:made], low, high, ticks[trace], ids, slack, slack_max, cap, cap_max, on_path
                )
            if on_path[p]:
                drag[p] = max(np.int64(0), min(saved, cap[p], time[p]))
                drag_max[p] = max(drag[p], min(saved_bold, cap_max[p], time[p]))
    return slack, slack_max, drag, drag_max
