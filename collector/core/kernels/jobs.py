"""The children that a span waits for, as jobs: what `replay` and `whatif` walk down from a target."""

from collector.core.kernels import inlined, step
from collector.core.kernels.bits import BLOCKING

_FEW = 24
"""Jobs up to which they are sorted by insertion."""


@step
def add_jobs(p, relation, children, child_first, low, high, jobs, made, room):
    """Append the children that job p waits for, clipped to it, to jobs[:made], by start; returns how many there are.

    Args:
        low, high: times of nodes; those of children are clipped here.
        room: as long as `jobs`, to sort in.
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
        _sort_many(jobs, begin, made, low, room)
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
def _sort_many(jobs, begin, end, low, room):
    """Sort jobs[begin:end] by merging runs that are sorted already, as calls one after another are."""
    source, target = jobs, room
    while True:
        runs = 0
        first = begin
        while first < end:
            middle = _behind_run(source, first, end, low)
            last = _behind_run(source, middle, end, low) if middle < end else middle
            left, right = first, middle
            for at in range(first, last):
                if right >= last or (left < middle and not _starts_before(source[right], source[left], low)):
                    target[at] = source[left]
                    left += 1
                else:
                    target[at] = source[right]
                    right += 1
            first = last
            runs += 1
        source, target = target, source
        if runs == 1:
            break
    for at in range(begin, end):
        jobs[at] = source[at]


@inlined
def _behind_run(items, at, end, low):
    at += 1
    while at < end and not _starts_before(items[at], items[at - 1], low):
        at += 1
    return at
