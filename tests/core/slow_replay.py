"""Slack and drag by replaying a trace with other durations, slowly. Part of the judge in slow_path.py.

The replay. A job is the target, or a blocking child of a job, clipped to it; those without time are no jobs. T is
the target's length. A job's *own work* is the time before each of its children starts (`lead`) and after the last
one ends (`tail`); a job without children is own work alone. Siblings wait for each other:

    cautious   a child waits for every sibling that is a candidate of rule 7 at the child's start (ended by then,
               or up to a tick later and started before); the parent's tail waits for all of its children
    bold       a child waits only for its predecessor, the candidate that rule 7 takes; the tail waits only for the
               predecessor at the parent's end, and the parent's end also for each child that no sibling waits for

    start of child = start of the parent + lead             where it waits for nobody
                     latest end of those it waits for + lead
    cautious end   = latest end of the children + tail
    bold end       = later of (end of the predecessor + tail, latest end of the children nobody waits for)

where lead = observed start - latest observed end of those it waits for (or the parent's start), and tail = observed
end - latest observed end of the children. For a tolerated overlap lead is negative: the overlap stays as observed,
however short the one before becomes. With observed durations every job starts and ends as observed: asserted for
each replay.

slack of x: the most by which x may end later with T unchanged.
drag of x: T minus the length of the replay in which x's own work takes no time (overlaps stay); at most x's time
on the path, so 0 off the path.

Bold has fewer constraints than cautious, so its replays are never longer: neither its slack nor its drag is ever
smaller. Hence `drag_min_ns`, which the plan calls the bold value, can only be the lesser of the two, the cautious one.
"""

from dataclasses import dataclass

Key = tuple[int, bool]


@dataclass(frozen=True, slots=True)
class Job:
    """What the target waits for, with its observed times."""

    key: Key
    start: int
    end: int
    time: int
    """On the critical path."""
    children: tuple["Job", ...]


@dataclass(frozen=True, slots=True)
class Measures:
    slack: int
    slack_max: int
    drag: int
    drag_max: int


@dataclass(frozen=True, slots=True)
class Change:
    """What is different in a replay: one job ends later by `delay`, or does its own work in no time."""

    key: Key | None = None
    delay: int = 0
    no_work: bool = False


def measure(target: Job, tick: int) -> dict[Key, Measures]:
    """Return the measures of every job that the target depends on."""
    observed = target.end - target.start
    for is_bold in (False, True):
        assert length(target, Change(), tick, is_bold) == observed

    def slack(job: Job, is_bold: bool) -> int:
        far = 2 * observed + 2 * tick + 2
        return observed - (length(target, Change(job.key, delay=far), tick, is_bold) - far)

    def drag(job: Job, is_bold: bool) -> int:
        return min(job.time, observed - length(target, Change(job.key, no_work=True), tick, is_bold))

    return {
        job.key: Measures(slack(job, False), slack(job, True), drag(job, False), drag(job, True))
        for job in _all_jobs(target)
    }


def length(job: Job, change: Change, tick: int, is_bold: bool) -> int:
    """Return how long the job takes in a replay."""
    is_changed = job.key == change.key
    delay = change.delay if is_changed else 0
    works = not (is_changed and change.no_work)
    if not job.children:
        return (job.end - job.start if works else 0) + delay

    ends: dict[Key, int] = {}
    for child in sorted(job.children, key=lambda child: (child.start, child.key)):
        waits_for = _waits_for(job, child.start, tick, is_bold)
        lead = child.start - max((other.end for other in waits_for), default=job.start)
        lead = lead if works else min(lead, 0)
        start = max((ends[other.key] for other in waits_for), default=0) + lead
        ends[child.key] = start + length(child, change, tick, is_bold)
        if change == Change():
            assert start == child.start - job.start
            assert ends[child.key] == child.end - job.start

    tail = job.end - max(child.end for child in job.children) if works else 0
    if not is_bold:
        return max(ends.values()) + tail + delay
    (last,) = _waits_for(job, job.end, tick, is_bold)
    waited_for = {other.key for child in job.children for other in _waits_for(job, child.start, tick, is_bold)}
    return max(ends[last.key] + tail, *(end for key, end in ends.items() if key not in waited_for)) + delay


def _waits_for(parent: Job, t: int, tick: int, is_bold: bool) -> list[Job]:
    """The children of `parent` that what happens at t waits for."""
    ended = [child for child in parent.children if child.start < t and child.end <= t + tick]
    if is_bold:
        return sorted(ended, key=lambda child: (-child.end, child.start, child.key))[:1]
    return ended


def _all_jobs(job: Job) -> list[Job]:
    return [job, *(below for child in job.children for below in _all_jobs(child))]
