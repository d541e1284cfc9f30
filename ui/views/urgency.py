"""Which findings somebody has to look at now, and which can wait until morning: said by evidence, never by kind alone.

What is now: a promise that burns fast, a queue that breaks its promise, a journey that is much slower than it used to
be and promises no latency, and a journey that fails without having promised anything. Other findings of such a
journey belong to it. Only what is about no such journey can wait.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from collector.core.findings.model import NOTICE, QUEUE_LATE, SLOWER, Finding
from collector.core.findings.tracking import Tracked
from collector.core.objectives import Standing
from ui.draw.text import count_of, shown
from ui.draw.units import percent
from ui.views.health import SLOW_TIMES, can_wait, word_of

NO_PROMISE_BROKEN = "no promise is broken, and nothing in the traces contradicts what is declared."


@dataclass(frozen=True, slots=True)
class Urgencies:
    """Open findings by how soon somebody has to look; each part worst first."""

    now: tuple[Finding, ...]
    of_hurt: tuple[Finding, ...]
    """About journeys that need somebody now, as those of `now` or `failing` do; what they break slowly, too."""
    slowly: tuple[tuple[Finding, str], ...]
    """Promises of other journeys that are broken so slowly that it can wait, each with why."""
    rest: tuple[Finding, ...]
    """What can wait, too."""
    failing: tuple[tuple[str, float], ...]
    """Journeys that promise no availability and fail, with the share of their traces; the worst first."""
    doubtful: tuple[str, ...]
    """Journeys that may be breaking a promise, on too few failures to be sure."""


def sort_out(
    worst_first: Sequence[Tracked], standings: Mapping[str, Sequence[Standing]], failed: Mapping[str, float]
) -> Urgencies:
    """Return open findings by how soon somebody has to look.

    Args:
        standings: of the journeys that promise something.
        failed: share of the traces of each journey that failed in the last hour.

    Both are of every journey that the sentence is about, whether anything was found of it or not.
    """
    findings = [one.finding for one in worst_first]
    promised = promise_availability(standings)
    failing = {
        journey: share for journey, share in failed.items() if journey not in promised and word_of(share) != "fine"
    }
    slowly = {one.id: why for one in findings if (why := _patience(one, standings.get(one.journey, ())))}
    now = tuple(one for one in findings if one.id not in slowly and _is_now(one, standings.get(one.journey, ())))
    hurt = {one.journey for one in now if one.journey} | set(failing)
    others = [one for one in findings if one not in now]
    waiting = [one for one in others if one.journey not in hurt]
    return Urgencies(
        now=now,
        of_hurt=tuple(one for one in others if one.journey in hurt),
        slowly=tuple((one, slowly[one.id]) for one in waiting if one.id in slowly),
        rest=tuple(one for one in waiting if one.id not in slowly),
        failing=tuple(sorted(failing.items(), key=lambda item: (-item[1], item[0]))),
        doubtful=tuple(name for name, each in standings.items() if any(one.in_doubt for one in each)),
    )


def promise_availability(standings: Mapping[str, Sequence[Standing]]) -> set[str]:
    """Return the journeys that a promise of availability judges; the others are by their failed traces."""
    return {name for name, each in standings.items() if any(one.what == "availability" for one in each)}


def _patience(finding: Finding, standings: Sequence[Standing]) -> str:
    """Why a broken promise can wait; empty where it cannot, or is none of a journey."""
    standing = next((one for one in standings if one.what == finding.subject), None)
    return can_wait(standing) if finding.urgency != NOTICE and standing else ""


def _is_now(finding: Finding, standings: Sequence[Standing]) -> bool:
    if finding.kind == SLOWER:
        return not any(one.what == "latency" for one in standings) and _times(finding) >= SLOW_TIMES
    return finding.urgency != NOTICE or finding.kind == QUEUE_LATE


def slow_by(findings: Iterable[Finding], standings: Sequence[Standing]) -> str:
    """Say why a journey is slow that breaks no promise of its own and did not slow down in the range of a page: its
    messages wait for longer than promised, or it used to be much faster at this hour. Empty where neither is known."""
    found = next((one for one in findings if one.kind in (QUEUE_LATE, SLOWER) and _is_now(one, standings)), None)
    if found is None:
        return ""
    return shown(f"it{found.title.removeprefix(found.journey)}" if found.kind == SLOWER else found.title, 300)


def _times(finding: Finding) -> float:
    """How many times as long as it used to a slower journey takes."""
    facts = {fact.name: fact.value for fact in finding.facts}
    past_ns = facts.get("used to take", 0.0)
    return (past_ns + facts.get("longer by", 0.0)) / past_ns if past_ns else 0.0


def urgency_answer(found: Urgencies, narrowed: str) -> str:
    """Say what needs somebody now, what belongs to it, and what can wait.

    Args:
        narrowed: the journey or service that the findings are of; empty for all.
    """
    where = f" of {shown(narrowed)}" if narrowed else ""
    waiting = len(found.slowly) + len(found.rest)
    if found.now or found.failing:
        return " ".join([*_now(found), *_others(found, waiting)])
    if found.slowly:
        first, why = found.slowly[0]
        more = f" So can {_another(waiting - 1)}." if waiting > 1 else ""
        return f"{_sentence(first.title)}. It can wait until morning: {why}.{more}"
    if not (found.rest or found.doubtful):
        return f"Nothing to say{where}: {NO_PROMISE_BROKEN}"
    known = f"is known to be broken, but {shown(found.doubtful[0])} may be failing" if found.doubtful else "is broken"
    said = f"No promise{where} {known}."
    if not found.rest:
        return said
    return f"{said} {count_of(waiting, 'finding')} can wait until morning; first: {shown(found.rest[0].title, 300)}."


def _another(number: int) -> str:
    return f"another {count_of(number, 'finding')}" if number > 1 else "another finding"


def _now(found: Urgencies) -> list[str]:
    said = {one.journey for one in found.now}
    sentences = [f"{_sentence(found.now[0].title)}."] if found.now else []
    if len(found.now) > 1:
        verb = "needs" if len(found.now) == 2 else "need"
        sentences.append(f"{_sentence(_another(len(found.now) - 1))} {verb} somebody now, too.")
    failing = [(journey, share) for journey, share in found.failing if journey not in said]
    if failing:
        journey, share = failing[0]
        verb = "does" if len(failing) == 2 else "do"
        more = f", and so {verb} {count_of(len(failing) - 1, 'other journey')}" if len(failing) > 1 else ""
        sentences.append(
            f"{shown(journey)} promises no availability and fails{more}: "
            f"{percent(share)} of its traces failed in the last hour."
        )
    return sentences


def _others(found: Urgencies, waiting: int) -> list[str]:
    hurt = {one.journey for one in found.now} | {journey for journey, _ in found.failing}
    of_hurt, parts = len(found.of_hurt), []
    if of_hurt:
        same = ("the same journey", "the same journeys") if found.now else ("it", "them")
        verb = "is" if of_hurt == 1 else "are"
        one_of = "one of " if of_hurt == 1 < len(hurt) else ""
        parts.append(f"{_number(of_hurt, found)} {verb} about {one_of}{same[len(hurt) > 1]}")
    if waiting:
        parts.append(f"{f'{waiting:,}' if parts else _number(waiting, found)} can wait until morning")
    return [f"{_sentence(', and '.join(parts))}."] if parts else []


def _number(findings: int, found: Urgencies) -> str:
    return _another(findings) if found.now else count_of(findings, "finding")


def _sentence(title: str) -> str:
    return shown(title[:1].upper() + title[1:], 300)
