"""Which traces a boost brought: those of what was boosted that began while it was live.

A trace does not say which policy kept it, so that those are among them that would have been kept without it. Whoever
turned sampling up wanted traces of just this, just then: they are as good.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from clickhouse_connect.driver.client import Client

from collector.core.sampling.lives import Life
from collector.store.engine import Store
from collector.store.keeping import Choice
from collector.store.lookup import FIVE_MINUTES_S, HERE, find_places, pairs
from cpdd.sampling.document import Matcher, Policy

BOOSTED = "boost "
"""Begins the reason of what is kept because of a boost; its id follows."""
MOST = 1_000
"""Traces of one boost."""
EACH_LOOK = 100
"""Those of a boost that does not say how many it is for, in one look."""
LOOKED_AT = 2_000
"""Traces whose first spans are read where a boost is about their attributes."""
JOURNEY = "cpdd.journey"
"""The entry of baggage that a trace has as its journey; others are in no span."""


@dataclass(frozen=True, slots=True)
class _Beginning:
    """What traces begin with, as their rows say."""

    service: str
    operation: str
    journey: str

    def meets(self, matcher: Matcher) -> bool:
        """Return whether a condition holds, as far as this tells; the others hold here."""
        test = matcher.test()
        match matcher.where:
            case "name":
                return test(self.operation)
            case "resource_attribute" if matcher.key == "service.name":
                return test(self.service)
            case "baggage" if matcher.key == JOURNEY:
                return test(self.journey)
        return True


class Boosted:
    """Chooses among the traces of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def choose(self, lives: Sequence[Life], after: int, until: int) -> list[Choice]:
        """Choose among the traces that were analyzed in versions (after, until], of each boost at most what is left.

        Of a boost with `max_traces` as many as it may add, up to MOST; of another EACH_LOOK a time, MOST in all.
        """
        if not lives:
            return []
        with self._store.client() as client:
            seen = _beginnings(client, after, until)
            kept = _kept(client, {life.policy.lease for life in lives})
            chosen: dict[str, list[Choice]] = {}
            for life in lives:
                policy, found = life.policy, chosen.setdefault(life.policy.lease, [])
                begins = [one for one in seen if all(map(one.meets, policy.matchers))]
                left = _left(policy, kept.get(policy.lease, 0)) - len(found)
                if begins and left > 0:
                    found += _found(client, life, begins, after, until)[:left]
        return [choice for found in chosen.values() for choice in found]


def _left(policy: Policy, kept: int) -> int:
    """How many more traces of a boost may be chosen now."""
    if policy.max_traces is not None:
        return min(policy.max_traces, MOST) - kept
    return min(EACH_LOOK, MOST - kept)


def _beginnings(client: Client, after: int, until: int) -> list[_Beginning]:
    rows = client.query(
        "SELECT DISTINCT RootService, RootOperation, Journey FROM traces "
        "WHERE Version > {after:UInt64} AND Version <= {until:UInt64}",
        {"after": after, "until": until},
    ).result_rows
    return [_Beginning(str(service), str(operation), str(journey)) for service, operation, journey in rows]


def _kept(client: Client, boosts: Iterable[str]) -> dict[str, int]:
    rows = client.query(
        "SELECT Reason, uniqExact(TraceId) FROM kept_traces WHERE Reason IN {reasons:Array(String)} GROUP BY Reason",
        {"reasons": [BOOSTED + boost for boost in sorted(boosts)]},
    ).result_rows
    return {str(reason).removeprefix(BOOSTED): int(count) for reason, count in rows}


def _found(client: Client, life: Life, begins: Sequence[_Beginning], after: int, until: int) -> list[Choice]:
    """Traces of a boost that are not kept for it yet, in no order that their times or ways would show."""
    reason = BOOSTED + life.policy.lease
    rows = client.query(
        _TRACES,
        {
            "after": after,
            "until": until,
            "since_ns": life.since_ms * 1_000_000,
            "until_ns": life.until_ms * 1_000_000,
            "weight": _largest_weight(life.policy),
            "services": [one.service for one in begins],
            "operations": [one.operation for one in begins],
            "journeys": [one.journey for one in begins],
            "reason": reason,
            "limit": LOOKED_AT,
        },
    ).result_rows
    found = {str(trace): (str(root), int(version)) for trace, root, version in rows}
    conditions = [(matcher, matcher.test()) for matcher in life.policy.matchers if _is_of_spans(matcher)]
    if conditions and found:
        spans = _roots(client, {trace: root for trace, (root, _) in found.items()})
        held = {trace for trace, values in spans if all(test(_said(values, of)) for of, test in conditions)}
        found = {trace: at for trace, at in found.items() if trace in held}
    return [Choice(trace, reason, version) for trace, (_, version) in found.items()]


def _largest_weight(policy: Policy) -> float:
    """How many traces one stands for at most that a boost kept. One that counts goes on with less when it is used up.

    A threshold has four digits; a trace that says nothing, or that is partial, stands for no more than itself.
    """
    if policy.max_traces is None or not policy.percentage:
        return float("inf")
    return 1.001 * 100 / policy.percentage


Values = tuple[Mapping[str, str], Mapping[str, str], str]
"""Attributes of a span and of its resource, and its kind."""


def _is_of_spans(matcher: Matcher) -> bool:
    """Whether a condition is about the first span of a trace, beyond what the trace's row says of it."""
    is_other = matcher.where == "resource_attribute" and matcher.key != "service.name"
    return is_other or matcher.where in ("span_attribute", "kind")


def _said(values: Values, matcher: Matcher) -> str | None:
    """What a span says that a condition is about."""
    attributes, resource, kind = values
    if matcher.where == "kind":
        return kind.upper()
    return (attributes if matcher.where == "span_attribute" else resource).get(matcher.key)


def _roots(client: Client, roots: Mapping[str, str]) -> Iterable[tuple[str, Values]]:
    """Yield traces with what their first spans say."""
    places = find_places(client, sorted(roots))
    for parameters in pairs(places, FIVE_MINUTES_S):
        named = {"traces": list(roots), "roots": list(roots.values())}
        for trace, attributes, resource, kind in client.query(_ROOTS, {**parameters, **named}).result_rows:
            yield str(trace), (attributes, resource, str(kind))


_TRACES = """
SELECT TraceId, argMax(RootSpanId, Version), max(Version) FROM traces
WHERE Version > {after:UInt64} AND Version <= {until:UInt64} AND NOT Deleted AND Weight <= {weight:Float64}
    AND Start >= fromUnixTimestamp64Nano({since_ns:Int64}) AND Start < fromUnixTimestamp64Nano({until_ns:Int64})
    AND (RootService, RootOperation, Journey)
        IN arrayZip({services:Array(String)}, {operations:Array(String)}, {journeys:Array(String)})
    AND TraceId NOT IN (SELECT TraceId FROM kept_traces WHERE Reason = {reason:String})
GROUP BY TraceId ORDER BY cityHash64(TraceId) LIMIT {limit:UInt32}
"""
_ROOTS = f"""
SELECT TraceId, SpanAttributes, ResourceAttributes, SpanKind FROM otel_traces
WHERE {HERE} AND (TraceId, SpanId) IN arrayZip({{traces:Array(String)}}, {{roots:Array(String)}})
"""
