"""What the store counted, as the core's rules and formulas want it. Called by the judge and by the pages."""

from collections.abc import Sequence

from collector.core.availability import (
    Availability,
    Dependency,
    Nine,
    Operation,
    Outcome,
    availability,
    extra_nines,
)
from collector.core.findings.model import EdgeSeen
from collector.core.mandatory import Step, beginnings, reached
from collector.core.requirement import MANDATORY, UNDETERMINED, Evidence, Verdict, decide, judge
from collector.store.values import Edge, Node

LEAST_FAILURES = 5.0
"""Fewer failures decide nothing, and working out how many more would is dear."""
USUALLY_NEEDED = 24
"""Failures that decide on an edge whose callers all die, or all survive, of them."""
_NO_VERDICT = Verdict(UNDETERMINED, None, (0.0, 1.0), 0)


def operation_of(node: Node) -> Operation:
    return (node.service, node.operation, node.kind)


def edge_seen(edge: Edge) -> EdgeSeen:
    """Return an edge with the verdict on it."""
    verdict = verdict_of(edge)
    return EdgeSeen(
        id=edge.id,
        caller=operation_of(edge.caller),
        callee=operation_of(edge.callee),
        kind=edge.kind,
        calls=edge.calls,
        failed=edge.failed,
        waited=edge.waited,
        critical_share=edge.critical_share,
        declared=edge.declared,
        verdict=verdict.verdict,
        survival=verdict.survival,
        interval=verdict.interval,
        blamed=edge.blamed,
        injected=edge.injected,
        blamed_injected=edge.blamed_injected,
        journey_verdict=decide(edge.journey_evidence) if _may_decide(edge.journey_evidence) else UNDETERMINED,
        attempts=edge.attempts,
        mean_ns=edge.mean_ns,
        said=edge.said,
        more_failures=_more_failures(edge, verdict),
        around=edge.around,
    )


def step_of(edge: Edge) -> Step[Operation]:
    """Return an edge as far as what its journey needs goes; what became of the journey itself is left out."""
    return Step(
        caller=operation_of(edge.caller),
        callee=operation_of(edge.callee),
        verdict=decide(edge.evidence) if _may_decide(edge.evidence) else UNDETERMINED,
        declared=edge.as_declared,
        journey=UNDETERMINED,
        is_mark=edge.kind == "internal",
        is_delivery=edge.caller.kind == "queue",
    )


def _more_failures(edge: Edge, verdict: Verdict) -> int:
    if verdict.verdict != UNDETERMINED or edge.evidence.delivered or not edge.evidence.status_known:
        return 0
    return verdict.needed or USUALLY_NEEDED


def verdict_of(edge: Edge) -> Verdict:
    """Return whether the caller survives the call's failure; cheap where too few failures were seen to say."""
    return judge(edge.evidence) if _may_decide(edge.evidence) else _NO_VERDICT


def _may_decide(evidence: Evidence) -> bool:
    return evidence.delivered or (evidence.status_known and evidence.failed.effective >= LEAST_FAILURES)


def dependency_of(edge: Edge) -> Dependency:
    """Return an edge as the availability of its journey sees it.

    Where no failure was seen, the caller is taken to fail with the call unless it declares it optional: a mark fails
    with what is called inside it, and its own edge says whether that is survived. Calls that somebody made fail say
    how their caller fares, and nothing of how available the callee is (decision 015).
    """
    alone = edge.failed - edge.confounded
    survived = edge.survived - edge.confounded_survived
    survival = survived / alone if alone > 0 else 1.0 if edge.declared == "optional" else 0.0
    return Dependency(
        caller=operation_of(edge.caller),
        callee=operation_of(edge.callee),
        traces=edge.weighted_traces,
        calls=edge.calls - edge.injected,
        failed=edge.failed - edge.injected,
        own_failed=edge.own_failed,
        survival=survival,
        survived=max(survived, 0.0),
        failures=max(alone, 0.0),
    )


def root_failed(failed: float, edges: Sequence[Edge]) -> float:
    """Return the weight of failed traces that no call has the blame for."""
    return max(failed - sum(edge.blamed for edge in edges), 0.0)


def availability_of(weight: float, squares: float, failed: float, edges: Sequence[Edge]) -> Availability | None:
    """Return measured and implied availability of a journey."""
    injected = sum(edge.blamed_injected for edge in edges)
    outcome = Outcome(weight, failed, root_failed(failed, edges), squares, injected)
    return availability(outcome, [dependency_of(edge) for edge in edges])


def nines_of(promise: float | None, scale: float, edges: Sequence[Edge]) -> tuple[Nine, ...]:
    """Return how the mandatory dependencies of a journey stand against one nine more than it promises."""
    if promise is None:
        return ()
    mandatory = [edge for edge in edges if _is_mandatory(edge)]
    inside = reached(beginnings(ways_of(edges)), ways_of(mandatory))
    kept = [edge for edge in mandatory if operation_of(edge.caller) in inside]
    return extra_nines(promise, [dependency_of(edge) for edge in kept], scale)


def ways_of(edges: Sequence[Edge]) -> list[tuple[Operation, Operation]]:
    return [(operation_of(edge.caller), operation_of(edge.callee)) for edge in edges]


def _is_mandatory(edge: Edge) -> bool:
    return step_of(edge).requirement == MANDATORY
