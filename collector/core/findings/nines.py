"""A mandatory dependency that is not one nine better than what its journey promises."""

from collections.abc import Iterator

from collector.core.availability import MISSING, proportion
from collector.core.findings.model import (
    MISSING_NINE,
    Disproved,
    Fact,
    Finding,
    JourneySeen,
    Look,
    calls_made_from,
    spoken,
    spoken_callee,
)


def missing_nines(look: Look) -> Iterator[Finding | Disproved]:
    """Those that fail too often by themselves; who only fails with what it calls is not named."""
    for journey in look.journeys:
        yield from _of_journey(journey)


def _of_journey(journey: JourneySeen) -> Iterator[Finding]:
    made_from = calls_made_from(journey)
    for nine in journey.nines:
        trials = nine.availability.trials
        own = proportion(nine.own * trials, trials, trials)
        if nine.verdict != MISSING or own.high >= nine.required:
            continue
        edges = [edge for edge in journey.edges if edge.callee == nine.node]
        edge = max(edges, key=lambda one: one.failed, default=None)
        name = spoken_callee(edge, made_from) if edge else spoken(nine.node)
        yield Finding(
            kind=MISSING_NINE,
            journey=journey.name,
            subject="\0".join(nine.node),
            title=f"{name} is not available enough for what {journey.name} promises",
            advice=(
                "Make it fail less, retry or cache what it answers, or let its caller go on without it; "
                "until then the journey cannot keep its promise."
            ),
            service=nine.node[0],
            caller=edge.caller if edge else None,
            callee=nine.node,
            edge_id=edge.id if edge else 0,
            facts=(
                Fact("available", own.share, "share", (own.low, own.high)),
                Fact("needed", nine.required, "share"),
                Fact("calls", sum(one.calls for one in edges), "count"),
            ),
        )
