"""Journeys of several steps: what a user does one after the other, joined by a session key. Pure; no clock of its own.

    session 7   cart ok   pay failed   pay ok   confirm ok      kept: each step that was tried ended well at last
    session 8   cart ok   pay failed                            broken at pay
    session 9   cart ok                                         kept, and not completed: the user left

A step is a journey of its own, with traces, calls and verdicts; the whole has sessions.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np

from collector.core.availability import Proportion, proportion
from collector.core.journeys import Journey
from collector.core.objectives import MINUTE_S, Counts, no_counts

_MOST_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Try:
    """A trace of a step, in a session."""

    session: str
    step: str
    """Name of its journey."""
    start_unix_nano: int
    failed: bool
    trace_id: str
    weight: float = 1.0
    """How many traces it stands for; where that is not 1, others of its session may be missing."""


@dataclass(frozen=True, slots=True)
class StepKept:
    journey: str
    sessions: int
    """That tried it."""
    kept: int
    """Of these, whose last try ended well."""


@dataclass(frozen=True, slots=True)
class Whole:
    """A journey of several steps, as its sessions fared. Sampled and unfinished sessions are in no other figure."""

    journey: str
    sessions: int
    kept: int
    """Each step that was tried ended well at last."""
    completed: int
    """Of the kept, those that tried every step."""
    steps: tuple[StepKept, ...]
    """In their order."""
    unfinished: int
    """Sessions that may go on."""
    sampled: int
    """Sessions of which not every trace was kept."""
    counts: Counts
    """Sessions by the minute in which they were over."""
    examples: tuple[str, ...]
    """Ids of traces in which sessions broke, newest first."""

    @property
    def availability(self) -> Proportion:
        return proportion(self.kept, self.sessions, self.sessions)

    @property
    def worst(self) -> StepKept | None:
        """The step at which most sessions broke, None where none did."""
        worst = max(self.steps, key=lambda step: step.sessions - step.kept, default=None)
        return worst if worst is not None and worst.kept < worst.sessions else None


def join_sessions(journey: Journey, tries: Iterable[Try], now_unix_nano: int) -> Whole:
    """Return how the sessions of `journey` fared that were over at `now_unix_nano`.

    Args:
        tries: of its steps, in any order.
    A session is over when it was quiet for `journey.within_ns`; what comes under its key later is a new one.
    """
    sessions = list(_sessions(journey, tries))
    whole = [one for one in sessions if all(each.weight == 1 for each in one)]
    over = [one for one in whole if _over(journey, one) <= now_unix_nano]
    lasts = [{each.step: each for each in one} for one in over]
    broken = [next((each for each in last.values() if each.failed), None) for last in lasts]
    failed = sorted((each for each in broken if each), key=lambda each: -each.start_unix_nano)
    tried_all = [set(last) >= set(journey.steps) for last in lasts]
    return Whole(
        journey=journey.name,
        sessions=len(over),
        kept=sum(each is None for each in broken),
        completed=sum(each is None and every for each, every in zip(broken, tried_all, strict=True)),
        steps=tuple(_step(step, lasts) for step in journey.steps),
        unfinished=len(whole) - len(over),
        sampled=len(sessions) - len(whole),
        counts=_counts([_over(journey, one) for one in over], [each is not None for each in broken]),
        examples=tuple(each.trace_id for each in failed[:_MOST_EXAMPLES]),
    )


def _sessions(journey: Journey, tries: Iterable[Try]) -> Iterator[list[Try]]:
    """The tries of each session in order of time."""
    ordered = sorted(tries, key=lambda each: (each.session, each.start_unix_nano, each.trace_id))
    for _, group in groupby(ordered, key=lambda each: each.session):
        of_key = list(group)
        begins = [0]
        for place, (before, after) in enumerate(pairwise(of_key), start=1):
            if after.start_unix_nano - before.start_unix_nano > journey.within_ns:
                begins.append(place)
        yield from (of_key[begin:end] for begin, end in pairwise([*begins, len(of_key)]))


def _over(journey: Journey, session: Sequence[Try]) -> int:
    return session[-1].start_unix_nano + journey.within_ns


def _step(step: str, lasts: Sequence[dict[str, Try]]) -> StepKept:
    tried = [last[step] for last in lasts if step in last]
    return StepKept(step, len(tried), sum(not each.failed for each in tried))


def _counts(over_unix_nano: Sequence[int], broken: Sequence[bool]) -> Counts:
    if not over_unix_nano:
        return no_counts()
    minutes, at = np.unique(np.array(over_unix_nano) // (MINUTE_S * 10**9), return_inverse=True)
    total = np.bincount(at).astype(np.float64)
    bad = np.bincount(at, weights=np.array(broken, np.float64)).astype(np.float64)
    return Counts(minutes.astype(np.int64) * MINUTE_S, total, bad, total, bad)
