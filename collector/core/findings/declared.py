"""Declared one thing and seen to be the other: hidden mandatory and needless mandatory calls."""

from collections.abc import Iterator

from collector.core.findings.model import (
    HIDDEN_MANDATORY,
    NEEDLESS_MANDATORY,
    Disproved,
    EdgeSeen,
    Fact,
    Finding,
    JourneySeen,
    Look,
    calls_made_from,
    failures_of,
    spoken,
    spoken_callee,
)
from collector.core.requirement import MANDATORY, MIXED, OPTIONAL
from collector.core.said import FALLBACKS


def hidden_mandatory(look: Look) -> Iterator[Finding | Disproved]:
    """A call is declared optional, and its caller fails with it, always or often."""
    for journey in look.journeys:
        made_from = calls_made_from(journey)
        for edge in journey.edges:
            if edge.declared != OPTIONAL:
                yield Disproved(HIDDEN_MANDATORY, journey.name, edge.subject, "it is not declared optional any more")
            elif edge.verdict == OPTIONAL:
                yield Disproved(HIDDEN_MANDATORY, journey.name, edge.subject, "its failures are survived")
            elif edge.verdict in (MANDATORY, MIXED):
                often = "" if edge.verdict == MANDATORY else "often "
                yield Finding(
                    kind=HIDDEN_MANDATORY,
                    journey=journey.name,
                    subject=edge.subject,
                    title=(
                        f"{spoken(edge.caller)} {often}fails with {spoken_callee(edge, made_from)}, "
                        "which it declares optional"
                    ),
                    advice=_advice(edge),
                    service=edge.caller[0],
                    caller=edge.caller,
                    callee=edge.callee,
                    edge_id=edge.id,
                    facts=_facts(edge),
                )


def _advice(edge: EdgeSeen) -> str:
    otherwise = "or declare the call mandatory and run what it calls like something that is."
    if edge.said.has_fallback:
        return (
            f"It declares {FALLBACKS[edge.said.fallback]} in its place, which does not help: see in a failed trace "
            f"where {edge.caller[0]} gives up all the same, {otherwise}"
        )
    return f"Give {edge.caller[0]} a fallback that it can go on with, {otherwise}"


def needless_mandatory(look: Look) -> Iterator[Finding | Disproved]:
    """A call is declared mandatory, and its failures are survived."""
    for journey in look.journeys:
        made_from = calls_made_from(journey)
        for edge in journey.edges:
            if edge.declared != MANDATORY:
                yield Disproved(NEEDLESS_MANDATORY, journey.name, edge.subject, "it is not declared mandatory any more")
            elif edge.verdict in (MANDATORY, MIXED):
                yield Disproved(NEEDLESS_MANDATORY, journey.name, edge.subject, "its caller fails with it")
            elif edge.said.group:
                yield Disproved(NEEDLESS_MANDATORY, journey.name, edge.subject, edge.said.of_group)
            elif edge.verdict == OPTIONAL:
                yield _needless(journey, edge, spoken_callee(edge, made_from))


def _needless(journey: JourneySeen, edge: EdgeSeen, callee: str) -> Finding:
    return Finding(
        kind=NEEDLESS_MANDATORY,
        journey=journey.name,
        subject=edge.subject,
        title=f"{spoken(edge.caller)} does without {callee}, which it declares mandatory",
        advice=(
            f"Declare the call optional, with the fallback that {edge.caller[0]} has already, "
            "so that nobody is woken for it."
        ),
        service=edge.caller[0],
        caller=edge.caller,
        callee=edge.callee,
        edge_id=edge.id,
        facts=_facts(edge),
    )


def _facts(edge: EdgeSeen) -> tuple[Fact, ...]:
    return (*failures_of(edge), Fact("survival", edge.survival or 0.0, "share", edge.interval))
