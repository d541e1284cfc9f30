"""The children that a span waits for, as jobs: what `replay` and `whatif` walk down from a target."""

from collector.core.kernels import inlined, step
from collector.core.kernels.bits import BLOCKING

_FEW = 24
"""Jobs up to which they are sorted by insertion."""


@step
def add_jobs(p, relation, children, child_first, low, high, jobs, made):
    """Append the children that job p waits for, clipped to it, to jobs[:made], by start; returns how many there are.

    Args:
        low, high: times of nodes; those of children are clipped here.
    """
    begin = made
    for link in range(child_first[p], child_first[p + 1]):
        child = children[link]
        low[child] = max(low[child], low[p])
        high[child] = min(high[child], high[p])
        if relation[child] == BLOCKING and low[child] < high[child]:
            jobs[made] = child
            made += 1
    if made - begin > _FEW:
        _sort_many(jobs, begin, made - begin, low)
        return made
    for i in range(begin + 1, made):
        job = jobs[i]
        j = i - 1
        while j >= begin and _starts_before(job, jobs[j], low):
            jobs[j + 1] = jobs[j]
            j -= 1
        jobs[j + 1] = job
    return made


@inlined
def _starts_before(a, b, low):
    return low[a] < low[b] or (low[a] == low[b] and a < b)


@step
def _sort_many(jobs, begin, count, low):
    """Sort jobs[begin:begin + count] in place, by a heap."""
    for turn in range(count // 2 - 1, -count, -1):
        # While turn >= 0 the heap is made; afterwards its root moves behind the remaining -turn jobs.
        root = turn
        limit = count
        if turn < 0:
            limit = count + turn
            last = jobs[begin]
            jobs[begin] = jobs[begin + limit]
            jobs[begin + limit] = last
            root = 0
        while True:
            child = 2 * root + 1
            if child >= limit:
                break
            if child + 1 < limit and _starts_before(jobs[begin + child], jobs[begin + child + 1], low):
                child += 1
            if not _starts_before(jobs[begin + root], jobs[begin + child], low):
                break
            job = jobs[begin + root]
            jobs[begin + root] = jobs[begin + child]
            jobs[begin + child] = job
            root = child
