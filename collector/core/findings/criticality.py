"""A service that calls itself unimportant, on the mandatory way of a journey that is not."""

from collections.abc import Iterator

from collector.core.findings.model import INVERSION, Disproved, EdgeSeen, Fact, Finding, JourneySeen, Look
from collector.core.mandatory import beginnings, reached
from collector.core.requirement import OPTIONAL

IMPORTANT = ("critical", "high")
UNIMPORTANT = ("low", "medium")


def criticality_inversions(look: Look) -> Iterator[Finding | Disproved]:
    """`service.criticality` of low or medium where a critical or high journey cannot do without the service."""
    for journey in look.journeys:
        criticality = journey.said.criticality if journey.said else ""
        needed = _needed(journey) if criticality in IMPORTANT else {}
        for service in {edge.callee[0] for edge in journey.edges if edge.callee[0]}:
            own = look.facts_of(service).criticality
            edge = needed.get(service)
            if own in UNIMPORTANT and edge:
                yield Finding(
                    kind=INVERSION,
                    journey=journey.name,
                    subject=service,
                    title=f"{service} is of {own} criticality, and {journey.name}, which is {criticality}, "
                    "cannot do without it",
                    advice=(
                        f"Give {service} the criticality of what depends on it, with the people on call that go with "
                        "it, or let its caller go on without it."
                    ),
                    service=service,
                    caller=edge.caller,
                    callee=edge.callee,
                    edge_id=edge.id,
                    facts=(
                        Fact("calls", edge.calls, "count"),
                        Fact("survival", edge.survival or 0.0, "share", edge.interval),
                    ),
                )
            elif criticality not in IMPORTANT or (own and own not in UNIMPORTANT):
                yield Disproved(INVERSION, journey.name, service, "their criticalities fit now")
            elif all(edge.verdict == OPTIONAL for edge in journey.edges if edge.callee[0] == service):
                yield Disproved(INVERSION, journey.name, service, "the journey does without it")


def _needed(journey: JourneySeen) -> dict[str, EdgeSeen]:
    """The services that the journey cannot do without, each with a mandatory edge that leads to it."""
    mandatory = [edge for edge in journey.edges if edge.needed]
    begin = beginnings([(edge.caller, edge.callee) for edge in journey.edges])
    inside = reached(begin, [(edge.caller, edge.callee) for edge in mandatory])
    found: dict[str, EdgeSeen] = {}
    for edge in mandatory:
        if edge.caller in inside and edge.callee[0] != edge.caller[0]:
            best = found.get(edge.callee[0])
            if best is None or edge.calls > best.calls:
                found[edge.callee[0]] = edge
    return found
