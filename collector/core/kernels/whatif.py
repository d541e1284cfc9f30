"""How long targets take when spans do their own work in another time: many traces in one call.

The model is that of `replay`: jobs, own work, and graphs of who waits for whom. Here the own work of any number of
spans is scaled, shortened or lengthened at once, and only the length of the target is asked for. Beside the cautious
and the bold graph stands one that is learned from all traces together: a child waits for a sibling that ended before
it began, unless some trace shows the two the other way round or at once.
Source of the learned graph: Chow et al., The Mystery Machine, OSDI 2014.
"""

import numpy as np

from collector.core.kernels import kernel
from collector.core.kernels.group import mix
from collector.core.kernels.jobs import add_jobs
from collector.core.kernels.walk import comes_first

MOST_LEARNED = 32
"""Children up to which the pairs of a parent are learned; of more, each waits for all that ended."""
_SEED = np.uint64(0x77686174)


@kernel
def find_jobs(targets, start, end, relation, children, child_first):
    """Return the jobs of all targets, parents before children, siblings by start; and where a job's children begin.

    Also low and high, the times of nodes cut to their parents; and where each target's jobs begin.
    """
    nodes = len(start)
    low = start.copy()
    high = end.copy()
    jobs = np.empty(nodes, np.int64)
    room = np.empty(nodes, np.int64)
    kids = np.empty(nodes + 1, np.int64)
    first = np.empty(len(targets) + 1, np.int64)
    made = 0
    for t in range(len(targets)):
        first[t] = made
        done = made
        jobs[made] = targets[t]
        made += 1
        while done < made:
            p = jobs[done]
            kids[done] = made
            made = add_jobs(p, relation, children, child_first, low, high, jobs, made, room)
            done += 1
        kids[done] = made  # the last job's children end here
    first[len(targets)] = made
    return jobs[:made], kids[: made + 1], low, high, first


@kernel
def number_jobs(jobs, kids, first, path_id):
    """Return by job what its like in another trace has too: a number for its call path and how many came before."""
    keys = np.zeros(len(jobs), np.uint64)
    for t in range(len(first) - 1):
        for at in range(first[t], first[t + 1]):
            stop = kids[at + 1] if at + 1 < first[t + 1] else first[t + 1]
            if stop - kids[at] > MOST_LEARNED:
                continue
            for i in range(kids[at], stop):
                before = np.uint64(0)
                for j in range(kids[at], i):
                    if path_id[jobs[j]] == path_id[jobs[i]]:
                        before += np.uint64(1)
                keys[i] = mix(path_id[jobs[i]], before, _SEED)
    return keys


@kernel
def refuted_pairs(jobs, kids, first, keys, low, high, tick, found):
    """Write for pairs of siblings what they refute: where b began before a had ended, its like never waits for a's.

    With an empty `found` the pairs are only counted. Returns their number.
    """
    count = 0
    for t in range(len(first) - 1):
        for at in range(first[t], first[t + 1]):
            stop = kids[at + 1] if at + 1 < first[t + 1] else first[t + 1]
            if stop - kids[at] > MOST_LEARNED:
                continue
            for i in range(kids[at], stop):
                a = jobs[i]
                for j in range(kids[at], stop):
                    if i != j and low[jobs[j]] + tick[t] < high[a]:
                        if count < len(found):
                            found[count] = mix(keys[i], keys[j], _SEED)
                        count += 1
    return count


@kernel
def learned_waits(jobs, kids, first, keys, refuted, low, high, tick, waits):
    """Write for each job the positions of the siblings that it waits for under the learned graph.

    With an empty `waits` they are only counted. Returns by job where its own begin.
    """
    begins = np.zeros(len(jobs) + 1, np.int64)
    count = 0
    for t in range(len(first) - 1):
        # The target itself stands first and waits for nobody.
        begins[first[t]] = count
        for at in range(first[t], first[t + 1]):
            stop = kids[at + 1] if at + 1 < first[t + 1] else first[t + 1]
            for j in range(kids[at], stop):
                begins[j] = count
                if stop - kids[at] > MOST_LEARNED:
                    continue
                c = jobs[j]
                for i in range(kids[at], stop):
                    b = jobs[i]
                    if i == j or high[b] > low[c] + tick[t] or low[b] >= low[c]:
                        continue
                    pair = mix(keys[i], keys[j], _SEED)
                    spot = np.searchsorted(refuted, pair)
                    if spot < len(refuted) and refuted[spot] == pair:
                        continue
                    if count < len(waits):
                        waits[count] = i
                    count += 1
    begins[len(jobs)] = count
    return begins


@kernel
def change_children(
    at, begin, stop, jobs, low, high, tick, ids, wait_first, waits, scale, shift, lengths, finish, lead, previous
):  # fmt: skip
    """Set the lengths of the job at `at`, whose children are jobs[begin:stop], from theirs."""
    p = jobs[at]
    size = stop - begin
    starts = low[jobs[begin:stop]]
    ends = high[jobs[begin:stop]]
    by_end = np.argsort(ends, kind="mergesort")
    tail = high[p] - ends[by_end[size - 1]]

    # Whom each child waits for: `previous` under the bold graph; all that had ended under the cautious one.
    ended = 0
    best = np.int64(-1)
    for c in range(size):
        while ended < size and ends[by_end[ended]] <= starts[c]:
            b = by_end[ended]
            if best < 0 or comes_first(jobs[begin + b], jobs[begin + best], low, high, ids):
                best = b
            ended += 1
        chosen = best
        scan = ended
        while scan < size and ends[by_end[scan]] <= starts[c] + tick:
            b = by_end[scan]
            if starts[b] < starts[c]:
                if chosen < 0 or comes_first(jobs[begin + b], jobs[begin + chosen], low, high, ids):
                    chosen = b
            scan += 1
        previous[begin + c] = chosen
        lead[begin + c] = starts[c] - (ends[chosen] if chosen >= 0 else low[p])
    last = np.int64(0)
    for c in range(1, size):
        if comes_first(jobs[begin + c], jobs[begin + last], low, high, ids):
            last = np.int64(c)

    # Own work down the chain that ends last: what a fixed change is taken from.
    own = tail
    c = last
    while c >= 0:
        own += max(np.int64(0), lead[begin + c])
        c = previous[begin + c]
    factor = scale[p]
    added = np.float64(0.0)
    if shift[p] > 0:
        added = shift[p]
    elif shift[p] < 0 and own > 0:
        factor = max(0.0, (own * factor + shift[p]) / own)

    ended = 0
    free = np.float64(0.0)
    free_learned = np.float64(0.0)
    total = np.zeros(3, np.float64)
    for c in range(size):
        while ended < size and ends[by_end[ended]] <= starts[c]:
            free = max(free, finish[begin + by_end[ended], 0])
            free_learned = max(free_learned, finish[begin + by_end[ended], 2])
            ended += 1
        ready = free
        ready_learned = free_learned
        scan = ended
        while scan < size and ends[by_end[scan]] <= starts[c] + tick:
            b = by_end[scan]
            if starts[b] < starts[c]:
                ready = max(ready, finish[begin + b, 0])
                ready_learned = max(ready_learned, finish[begin + b, 2])
            scan += 1
        # A tolerated overlap stays as it is.
        work = lead[begin + c] * factor if lead[begin + c] > 0 else np.float64(lead[begin + c])
        spot = begin + c
        child = jobs[spot]
        finish[spot, 0] = max(0.0, ready + work) + lengths[child, 0]
        ready = finish[begin + previous[spot], 1] if previous[spot] >= 0 else 0.0
        finish[spot, 1] = max(0.0, ready + work) + lengths[child, 1]
        if size <= MOST_LEARNED:
            ready_learned = np.float64(0.0)
            since = low[p]
            for link in range(wait_first[spot], wait_first[spot + 1]):
                ready_learned = max(ready_learned, finish[waits[link], 2])
                since = max(since, high[jobs[waits[link]]])
            work = np.float64(starts[c] - since)
            if work > 0:
                work *= factor
        finish[spot, 2] = max(0.0, ready_learned + work) + lengths[child, 2]
        for graph in range(3):
            total[graph] = max(total[graph], finish[spot, graph])
    rest = tail * factor + added
    lengths[p, 0] = total[0] + rest
    lengths[p, 1] = max(total[1], finish[begin + last, 1] + rest)
    lengths[p, 2] = total[2] + rest


@kernel
def change_targets(jobs, kids, first, low, high, tick, ids, wait_first, waits, scale, shift):
    """Return the lengths of the targets in ns, shape (t, 3): under the cautious, the bold and the learned graph.

    scale, shift: by node, what its own work is multiplied by, and what is then added (or, below 0, taken away, down to
    no own work at all).
    """
    count = len(first) - 1
    lengths = np.zeros((len(low), 3), np.float64)
    finish = np.zeros((len(jobs), 3), np.float64)
    lead = np.zeros(len(jobs), np.int64)
    previous = np.zeros(len(jobs), np.int64)
    found = np.zeros((count, 3), np.float64)
    for t in range(count):
        for at in range(first[t + 1] - 1, first[t] - 1, -1):
            stop = kids[at + 1] if at + 1 < first[t + 1] else first[t + 1]
            if kids[at] < stop:
                change_children(
                    at, kids[at], stop, jobs, low, high, tick[t], ids, wait_first, waits, scale, shift,
                    lengths, finish, lead, previous,
                )  # fmt: skip
            else:
                p = jobs[at]
                own = max(0.0, (high[p] - low[p]) * scale[p] + shift[p])
                for graph in range(3):
                    lengths[p, graph] = own
        for graph in range(3):
            found[t, graph] = lengths[jobs[first[t]], graph]
    return found
