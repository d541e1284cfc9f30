"""Optional for whether the journey succeeds, and yet on its critical path."""

from collections.abc import Iterator

from collector.core.findings.model import (
    BLOCKING,
    Disproved,
    EdgeSeen,
    Fact,
    Finding,
    JourneySeen,
    Look,
    calls_made_from,
    spoken_callee,
)
from collector.core.requirement import OPTIONAL

FROM_SHARE = 0.1
"""Of the journey's critical path: from here on it is worth a finding."""
UNTIL_SHARE = 0.05
"""A finding stays until it is below this."""
LEAST_CALLS = 30
WAITED_SHARE = 0.5


def optional_but_blocking(look: Look) -> Iterator[Finding | Disproved]:
    """The journey waits for a call that it could do without.

    A call inside a span that is an optional call itself is not named again.
    """
    for journey in look.journeys:
        made_from = calls_made_from(journey)
        around = {edge.callee for edge in journey.edges if edge.callee[2] == "internal" and _is_optional(edge)}
        for edge in journey.edges:
            if edge.calls < LEAST_CALLS:
                continue
            if edge.caller in around:
                yield Disproved(BLOCKING, journey.name, edge.subject, "the call around it is optional")
            elif not _is_optional(edge):
                yield Disproved(BLOCKING, journey.name, edge.subject, "it is not optional")
            elif edge.critical_share < UNTIL_SHARE or edge.waited < WAITED_SHARE * edge.calls:
                yield Disproved(BLOCKING, journey.name, edge.subject, "hardly anybody waits for it any more")
            elif _is_affordable(edge, journey):
                yield Disproved(BLOCKING, journey.name, edge.subject, "its deadline is one that the journey can afford")
            elif edge.critical_share >= FROM_SHARE:
                yield _finding(journey, edge, spoken_callee(edge, made_from))


def _is_affordable(edge: EdgeSeen, journey: JourneySeen) -> bool:
    """Whether the caller waits for at most a tenth of what the journey promises to take."""
    promised = journey.said.latency if journey.said else None
    return promised is not None and 0 < edge.deadline_ns <= FROM_SHARE * promised.under_ns


def _finding(journey: JourneySeen, edge: EdgeSeen, callee: str) -> Finding:
    bounded = edge.deadline_ns > 0
    limit = (Fact("at most", float(edge.deadline_ns), "ns"),) if bounded else ()
    return Finding(
        kind=BLOCKING,
        journey=journey.name,
        subject=edge.subject,
        title=(
            f"{journey.name} waits up to a deadline for {callee}, which it could do without"
            if bounded
            else f"{journey.name} waits for {callee}, which it could do without"
        ),
        advice=(
            "Lower its deadline to what the journey can afford, or make the call asynchronous."
            if bounded
            else "Make the call asynchronous, or give it a deadline that the journey can afford."
        ),
        service=edge.caller[0],
        caller=edge.caller,
        callee=edge.callee,
        edge_id=edge.id,
        facts=(
            Fact("of the critical path", edge.critical_share, "share"),
            Fact("calls", edge.calls, "count"),
            Fact("waited for", edge.waited / edge.calls, "share"),
            *limit,
        ),
    )


def _is_optional(edge: EdgeSeen) -> bool:
    return edge.requirement == OPTIONAL
