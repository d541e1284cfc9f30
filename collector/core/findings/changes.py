"""The graph changed: new edges, lost edges, edges whose requirement is another one now.

An edge is new where its journey was seen often enough before that it would have shown, and lost where it would have
shown since: with a share q of the traces and n traces, it is missing by chance with a probability of exp(-q n).
"""

from collections.abc import Iterator

from collector.core.findings.model import (
    CHANGED_REQUIREMENT,
    LOST_EDGE,
    NEW_EDGE,
    Disproved,
    EdgeHistory,
    Fact,
    Finding,
    Look,
    spoken,
)

EXPECTED = 20.0
"""Traces with the edge that there should have been: missing all of them by chance has a probability of 2e-9."""
LEAST_TRACES = 10
SHOWN_S = 7 * 86_400
"""How long a change is news."""


def changed_edges(look: Look) -> Iterator[Finding | Disproved]:
    for history in look.histories:
        if history.traces < LEAST_TRACES or not history.meanwhile:
            continue
        share = min(1.0, history.traces / history.meanwhile)
        now_s = look.now_unix_nano // 1_000_000_000
        if share * history.after >= EXPECTED:
            yield _lost(history, share)
        elif share * history.before >= EXPECTED and history.first_s >= now_s - SHOWN_S:
            yield _new(history, share, look)


def _new(history: EdgeHistory, share: float, look: Look) -> Finding:
    version = look.facts_of(history.caller[0]).version
    return Finding(
        kind=NEW_EDGE,
        journey=history.journey,
        subject=f"{history.id:016x}",
        title=f"{spoken(history.caller)} calls {spoken(history.callee)}, which it did not before",
        advice="Say whether the call is optional, and give it a deadline, before its first failure does.",
        service=history.caller[0],
        caller=history.caller,
        callee=history.callee,
        edge_id=history.id,
        facts=(
            Fact("traces with it", history.traces, "count"),
            Fact("of the traces since", share, "share"),
            Fact("traces before without it", history.before, "count"),
        ),
        version=version,
    )


def _lost(history: EdgeHistory, share: float) -> Finding:
    return Finding(
        kind=LOST_EDGE,
        journey=history.journey,
        subject=f"{history.id:016x}",
        title=f"{spoken(history.caller)} does not call {spoken(history.callee)} any more",
        advice=(
            "If nobody meant to remove the call, see whether the callee's spans still come and whether it is still "
            "given a traceparent."
        ),
        service=history.caller[0],
        caller=history.caller,
        callee=history.callee,
        edge_id=history.id,
        facts=(
            Fact("traces since without it", history.after, "count"),
            Fact("of the traces before", share, "share"),
        ),
    )


def changed_requirements(look: Look) -> Iterator[Finding | Disproved]:
    for change in look.changes:
        if change.since_unix_nano < look.now_unix_nano - SHOWN_S * 1_000_000_000:
            continue
        yield Finding(
            kind=CHANGED_REQUIREMENT,
            journey=change.journey,
            subject=f"{change.id:016x}",
            title=f"{spoken(change.callee)} was {change.before} for {spoken(change.caller)} and is {change.after} now",
            advice=f"Compare the versions of {change.caller[0]} before and after, and declare what is meant.",
            service=change.caller[0],
            caller=change.caller,
            callee=change.callee,
            edge_id=change.id,
            version=look.facts_of(change.caller[0]).version,
        )
