"""The first sentences of a journey's page: whether it needs somebody, since when it is slow, and what it waits for."""

from collector.core.requirement import MANDATORY
from collector.store.values import Edge, JourneyDetail
from ui.draw.text import in_a_row, shown
from ui.draw.units import count, duration, whole_percent
from ui.views.health import Health, since_words
from ui.views.journey_graph import EdgeRow, callee_name
from ui.views.slower import Slower

WORTH_SAYING = 0.05
"""A smaller share of the path is not put into the sentence."""
MOST = 0.8
"""A call explains the failures above it when it has so many of them."""


def journey_answer(
    detail: JourneyDetail, edges: tuple[EdgeRow, ...], health: Health, slower: Slower | None, now_unix_nano: int
) -> str:
    """Return with which call it fails, since when it is slow and by what, else where the time goes."""
    summary = detail.summary
    sentences = []
    if health.needs_you:
        culprit = _culprit(edges, summary.failed) if health.word != "slow" else ""
        sentences.append(_sentence(f"{health.because}, {culprit}" if culprit else health.because))
    if health.can_wait:
        sentences.append(f"It can wait until morning: {health.can_wait}.")
    if health.doubt:
        culprit = _culprit(edges, summary.failed, "are ")
        sentences += [f"It may be failing: {health.doubt}.", *([_sentence(culprit)] if culprit else [])]
    if slower and health.word not in ("failing", "burning"):
        since = _sentence(since_words(slower.since, now_unix_nano))
        return " ".join(dict.fromkeys([*sentences, since, slower.added])).rstrip()
    if health.word in ("failing", "burning"):
        return " ".join(sentences)  # who is paged for failures asks about time later
    largest = [op for op in detail.operations[:2] if op.share >= WORTH_SAYING]
    if largest:
        parts = [f"{whole_percent(op.share)} is {shown(op.service)} {shown(op.operation)}".rstrip() for op in largest]
        sentences.append(f"Of {duration(summary.mean_ns)} on average, {in_a_row(parts)}.")
    sentences.append(f"One trace in twenty takes {duration(summary.p95_ns)} or longer.")
    return " ".join(sentences)


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."


def _culprit(edges: tuple[EdgeRow, ...], failed: float, verb: str = "") -> str:
    """Name the call that most failures go back to: the deadliest, followed down while most of it comes from below.

    Args:
        failed: traces that failed, weighted; one may have several failed calls.
        verb: makes a sentence of it.
    """
    deadly = [row.edge for row in edges if row.edge.status_known and _deaths(row.edge) > 0]
    if not deadly:
        return ""
    at = max(deadly, key=_deaths)
    seen = {at.id}
    while True:
        below = [e for e in deadly if e.caller == at.callee and e.id not in seen and _deaths(e) >= MOST * _deaths(at)]
        if not below:
            need = next(row.need for row in edges if row.edge is at)
            known = ", which it cannot do without" if need == MANDATORY else ""
            call = f"{shown(at.caller.service)} → {callee_name(at)}"
            return f"{_part_of(_deaths(at), failed)} {verb}with the call {call}{known}"
        at = max(below, key=_deaths)
        seen.add(at.id)


def _part_of(deaths: float, failed: float) -> str:
    if failed < 1.5:
        return "its one failure"
    return f"{'all' if deaths > failed - 0.5 else f'{count(deaths)} of the'} {count(failed)} failures"


def _deaths(edge: Edge) -> float:
    """Failed calls that took their caller with them."""
    return edge.failed - edge.survived
