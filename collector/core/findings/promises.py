"""A promise that is being broken now: too many failures, or too many slow traces, for the budget of 30 days."""

from collections.abc import Iterator

from collector.core.findings.model import (
    BUDGET_BURNING,
    TOO_SLOW,
    Disproved,
    Fact,
    Finding,
    JourneySeen,
    Look,
    calls_made_from,
    spoken_callee,
)
from collector.core.objectives import Standing
from collector.core.sessions import StepKept


def burning_promises(look: Look) -> Iterator[Finding | Disproved]:
    for journey in look.journeys:
        for standing in journey.standings:
            if standing.alert:
                yield _finding(journey, standing)


def _finding(journey: JourneySeen, standing: Standing) -> Finding:
    slow = standing.what == "latency"
    burn = standing.alert
    assert burn is not None
    culprit = None if slow else max((e for e in journey.edges if e.blamed), key=lambda e: e.blamed, default=None)
    if culprit is not None and culprit.blamed < journey.root_failed:
        culprit = None
    injected = 0.0 if slow else sum(edge.blamed_injected for edge in journey.edges)
    broken = journey.whole.worst if journey.whole else None
    where = f": most of it with {spoken_callee(culprit, calls_made_from(journey))}" if culprit else ""
    if broken is not None:
        where = f": most of it at {broken.journey}"
    verb = "is slow" if slow else "fails"
    return Finding(
        examples=journey.whole.examples if journey.whole else (),
        kind=TOO_SLOW if slow else BUDGET_BURNING,
        journey=journey.name,
        subject=standing.what,
        title=f"{journey.name} {verb} more often than it promises{where}",
        advice=_advice_on_step(broken) if broken else _advice(slow, culprit.callee[0] if culprit else ""),
        service=culprit.callee[0] if culprit and culprit.callee[0] else "",
        urgency=burn.severity,
        caller=culprit.caller if culprit else None,
        callee=culprit.callee if culprit else None,
        edge_id=culprit.id if culprit else 0,
        facts=(
            Fact("budget is spent", burn.long_rate, "times"),
            Fact("budget left", standing.budget_left, "share"),
            Fact("kept", standing.kept.share, "share", (standing.kept.low, standing.kept.high)),
            Fact("promised", standing.promise, "share"),
            Fact("sessions that broke" if journey.whole else "traces that broke it", burn.failures, "count"),
            *((Fact("of them at this step", broken.sessions - broken.kept, "count"),) if broken else ()),
            *((Fact("blamed on the call", culprit.blamed, "count"),) if culprit else ()),
            *((Fact("failed by injected faults", injected, "count"),) if injected else ()),
        ),
    )


def _advice_on_step(step: StepKept) -> str:
    return f"See on the page of {step.journey} which of its calls fails, and tell the owner of what it calls."


def _advice(slow: bool, service: str) -> str:
    if slow:
        return "See on the journey's page where its path spends the time now, and compare with an hour that was well."
    if service:
        return f"Open one of the traces, and tell the owner of {service} or switch to what works without it."
    return "Open one of the traces: no call below explains the failures, so that the first service itself comes first."
