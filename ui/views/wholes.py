"""Journeys of several steps: how the sessions of a range fared, for the list of journeys."""

from collections.abc import Sequence
from dataclasses import dataclass

from collector.core.journeys import Journey
from collector.core.objectives import Standing
from collector.core.sessions import StepKept, Whole
from ui.draw.text import count_of
from ui.draw.units import count, percent, whole_percent
from ui.views.address import journey_address
from ui.views.page import Visit
from ui.views.promises import PromiseRow, promise_row


@dataclass(frozen=True, slots=True)
class StepRow:
    name: str
    address: str
    kept: str
    """Of the sessions that tried it, how many it ended well for at last."""
    is_worst: bool
    """Most of the broken sessions broke here."""
    step: StepKept


@dataclass(frozen=True, slots=True)
class WholeRow:
    name: str
    owner: str
    kept: str
    interval: str
    words: str
    """How many sessions that is, how many got to the end, and which are not counted."""
    promise: PromiseRow | None
    steps: tuple[StepRow, ...]
    sessions: int
    kept_sessions: int
    completed: int
    unfinished: int
    sampled: int
    examples: tuple[str, ...]
    """Ids of traces in which sessions broke."""


def whole_row(said: Journey, visit: Visit, standings: Sequence[Standing]) -> WholeRow:
    """Return how a journey of several steps fared in the range of the page."""
    whole = visit.reader.sessions(said, visit.range.window)
    seen, worst = whole.availability, whole.worst
    return WholeRow(
        name=said.name,
        owner=said.owner,
        kept=percent(seen.share) if whole.sessions else "–",
        interval=f"{percent(seen.low)} to {percent(seen.high)}" if whole.sessions else "",
        words=_words(said, whole),
        promise=promise_row(standings[0], visit.now_unix_nano) if standings else None,
        steps=tuple(
            StepRow(
                name=step.journey,
                address=journey_address(step.journey, visit.range.parameters),
                kept=percent(step.kept / step.sessions) if step.sessions else "–",
                is_worst=worst is not None and step == worst,
                step=step,
            )
            for step in whole.steps
        ),
        sessions=whole.sessions,
        kept_sessions=whole.kept,
        completed=whole.completed,
        unfinished=whole.unfinished,
        sampled=whole.sampled,
        examples=whole.examples,
    )


def _words(said: Journey, whole: Whole) -> str:
    words = [f"{count_of(whole.sessions, 'session')} over"]
    if whole.sessions:
        words.append(f"{whole_percent(whole.completed / whole.sessions)} got through every step")
    if whole.unfinished:
        words.append(f"{count(whole.unfinished)} may go on")
    if whole.sampled:
        words.append(f"{count(whole.sampled)} not counted, as not all of their traces were kept")
    if not whole.sessions + whole.unfinished + whole.sampled:
        words = [f"no root of its steps has the attribute {said.session}"]
    return ", ".join(words)
