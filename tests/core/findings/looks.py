"""Journeys as rules see them, made by hand."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from collector.core.availability import Operation
from collector.core.findings.model import Disproved, EdgeSeen, Finding, JourneySeen, Look

NOW_NS = 1_795_000_000_000_000_000
Rule = Callable[[Look], Iterator[Finding | Disproved]]


def op(text: str, kind: str = "server") -> Operation:
    """`shop/GET /cart` to an operation."""
    service, _, name = text.partition("/")
    return (service, name, kind)


def edge(caller: str, callee: str, verdict: str = "undetermined", declared: str = "", **more: Any) -> EdgeSeen:
    """An edge that a thousand calls went over, all of them waited for."""
    survival = {"mandatory": 0.0, "optional": 1.0, "mixed": 0.5}.get(verdict)
    said: dict[str, Any] = {
        "id": sum(map(ord, f"{caller}{callee}")),
        "caller": op(caller),
        "callee": op(callee),
        "kind": "rpc",
        "calls": 1000.0,
        "failed": 0.0 if survival is None else 100.0,
        "waited": 1000.0,
        "critical_share": 0.0,
        "declared": declared,
        "verdict": verdict,
        "survival": survival,
        "interval": (0.0, 1.0),
    }
    return EdgeSeen(**(said | more))


def journey(*edges: EdgeSeen, name: str = "check out", **more: Any) -> JourneySeen:
    return JourneySeen(name, traces=1000, edges=edges, **more)


def look(*journeys: JourneySeen, **more: Any) -> Look:
    return Look(NOW_NS, journeys, **more)


def found(rule: Rule, what: Look) -> list[Finding]:
    return [said for said in rule(what) if isinstance(said, Finding)]


def disproved(rule: Rule, what: Look) -> set[str]:
    """Ids of the findings that the rule says are none."""
    return {said.id for said in rule(what) if isinstance(said, Disproved)}


def only(findings: Sequence[Finding]) -> Finding:
    (one,) = findings
    return one
