"""What a trace costs to keep, in spans and bytes; budgets in these, as traces per second. Pure; called by control."""

from collections.abc import Mapping
from dataclasses import dataclass

from collector.core.sampling.roots import Root
from cpdd.sampling.document import Policy


@dataclass(frozen=True, slots=True)
class Cost:
    """Sums over traces that were kept."""

    traces: float = 0.0
    spans: float = 0.0
    bytes: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.traces + other.traces, self.spans + other.spans, self.bytes + other.bytes)

    @property
    def spans_a_trace(self) -> float:
        return self.spans / self.traces

    @property
    def bytes_a_trace(self) -> float:
        return self.bytes / self.traces


GUESS = Cost(traces=1.0, spans=20.0, bytes=20_000.0)
"""Before any trace was stored."""
Costs = Mapping[Root, Cost]


def cost_of(costs: Costs, policy: Policy) -> Cost:
    """Return what the traces that a policy decides on have cost lately, as far as names tell; else what all have."""
    tests = [
        (matcher.where, matcher.test())
        for matcher in policy.matchers
        if matcher.where == "name" or (matcher.where == "resource_attribute" and matcher.key == "service.name")
    ]
    matching = [
        cost
        for root, cost in costs.items()
        if all(test(root.operation if where == "name" else root.service) for where, test in tests)
    ]
    found = sum(matching or costs.values(), Cost())
    return found if found.traces and found.spans and found.bytes else GUESS


def traces_per_second(policy: Policy, costs: Costs) -> float | None:
    """Return what a budget comes to in traces per second; None for a policy that is none.

    >>> from cpdd.sampling.document import Matcher
    >>> everything = (Matcher("resource_attribute", "exists", key="service.name"),)
    >>> budget = Policy("a", everything, "budget", spans_per_second=100)
    >>> traces_per_second(budget, {Root("shop", "GET"): Cost(1, 50, 1)})
    2.0
    """
    if policy.traces_per_second is not None:
        return policy.traces_per_second
    if policy.spans_per_second is not None:
        return policy.spans_per_second / cost_of(costs, policy).spans_a_trace
    if policy.bytes_per_second is not None:
        return policy.bytes_per_second / cost_of(costs, policy).bytes_a_trace
    return None
