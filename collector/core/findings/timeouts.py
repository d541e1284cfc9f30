"""Time limits that do not fit together: a call that may take, or takes, longer than somebody above it waits.

shop (waits 200 ms) -> pricing -> stock (waits 1 s)      the shop is gone long before stock gives up
"""

from collections.abc import Iterator, Mapping

from collector.core.availability import Operation
from collector.core.findings.model import (
    TIMEOUT,
    Disproved,
    EdgeSeen,
    Fact,
    Finding,
    JourneySeen,
    Look,
    calls_made_from,
    spoken,
    spoken_callee,
)

LEAST_CALLS = 30
RETRIED = 1.05
"""So many attempts a call, and its advice speaks of retries."""


def incoherent_timeouts(look: Look) -> Iterator[Finding | Disproved]:
    """Hold what lies below a deadline against it: other deadlines, and how long calls take with all attempts.

    One finding a deadline: about the call that outlasts it most.
    """
    for journey in look.journeys:
        made_from = calls_made_from(journey)
        for edge in journey.edges:
            if edge.deadline_ns:
                longer = [below for below in _below(edge, made_from) if _outlasts(below) > edge.deadline_ns]
                if longer:
                    yield _finding(journey, edge, max(longer, key=lambda one: (_outlasts(one), one.id)), made_from)


def _outlasts(edge: EdgeSeen) -> float:
    """How long a caller may wait for a call: what it says, else what it takes on average."""
    return edge.deadline_ns or (edge.mean_ns if edge.calls >= LEAST_CALLS else 0.0)


def _below(edge: EdgeSeen, made_from: Mapping[Operation, list[EdgeSeen]]) -> Iterator[EdgeSeen]:
    """The calls that are made, and waited for, while somebody waits for `edge`."""
    seen = {edge.id}
    waiting = [edge.callee]
    while waiting:
        for below in made_from.get(waiting.pop(), ()):
            if below.id not in seen and below.waited and below.kind != "messaging":
                seen.add(below.id)
                waiting.append(below.callee)
                yield below


def _finding(
    journey: JourneySeen, edge: EdgeSeen, below: EdgeSeen, made_from: Mapping[Operation, list[EdgeSeen]]
) -> Finding:
    name = spoken_callee(below, made_from)
    attempts = below.attempts / below.calls if below.calls else 1.0
    declared = bool(below.deadline_ns)
    may = "may take" if declared else "takes"
    retries = " with its retries" if attempts >= RETRIED and not declared else ""
    only_one = " and let only one of them retry," if attempts >= RETRIED else ""
    return Finding(
        kind=TIMEOUT,
        journey=journey.name,
        subject=edge.subject,
        title=f"{name} {may} longer{retries} than {spoken(edge.caller)} waits for {edge.callee[1]}",
        advice=(
            f"Give {below.caller[0]} less time for it than {edge.caller[0]} has,{only_one} or wait longer above: "
            "what goes on behind a deadline is work for nobody."
        ),
        service=below.caller[0],
        caller=below.caller,
        callee=below.callee,
        edge_id=below.id,
        facts=(
            Fact("waits above", float(edge.deadline_ns), "ns"),
            Fact("allowed below" if declared else "takes on average", _outlasts(below), "ns"),
            Fact("attempts a call", attempts, "ratio"),
            Fact("calls", below.calls, "count"),
        ),
    )
