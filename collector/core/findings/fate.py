"""A call whose failures the journey takes otherwise than the graph says."""

from collections.abc import Iterator

from collector.core.findings.model import (
    OTHER_FATE,
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
from collector.core.mandatory import reach
from collector.core.requirement import MANDATORY, UNDETERMINED


def other_fates(look: Look) -> Iterator[Finding | Disproved]:
    """The journey survives what its edges say it needs, or fails with what they say it can do without."""
    for journey in look.journeys:
        steps = [edge.step for edge in journey.edges]
        far = reach((), steps)
        for edge, step in zip(journey.edges, steps, strict=True):
            if far.disagrees(step):
                yield _finding(journey, edge)
            elif UNDETERMINED not in (step.journey, far.word_of_call(step)):
                yield Disproved(OTHER_FATE, journey.name, edge.subject, "the journey fares as its calls say")


def _finding(journey: JourneySeen, edge: EdgeSeen) -> Finding:
    callee = spoken_callee(edge, calls_made_from(journey))
    caller = spoken(edge.caller)
    if edge.journey_verdict == MANDATORY:
        title = f"{journey.name} fails with {callee}, which its calls say it can do without"
        advice = (
            f"Look at a failed trace: either {caller} says that it ended well when it did not, or what it leaves out "
            "is missed further up. Until that is mended, run what it calls like something that is mandatory."
        )
    else:
        title = f"{journey.name} ends well without {callee}, which its calls say it needs"
        advice = (
            f"Look at a trace in which it failed: either somebody above {caller} makes up for it, then say so there "
            "(cpdd.optional), or the answer says that all is well when it is not."
        )
    return Finding(
        kind=OTHER_FATE,
        journey=journey.name,
        subject=edge.subject,
        title=title,
        advice=advice,
        service=edge.caller[0],
        caller=edge.caller,
        callee=edge.callee,
        edge_id=edge.id,
        facts=(
            *failures_of(edge),
            Fact("survival of the caller", edge.survival or 0.0, "share", edge.interval),
        ),
    )
