"""What budgets and adaptive policies leave of traffic: by what clients report, what the store has of those that poll,
and what traces cost.

Lives in the loop thread, beside the service, which tells clients their shares.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import replace
from typing import Generic, TypeVar

from collector.control.store_work import outside
from collector.core.sampling.costs import Costs, traces_per_second
from collector.core.sampling.fleet import Fleet, Report
from collector.core.sampling.policies import Book, Shares
from collector.core.sampling.roots import Root
from collector.core.sampling.told import Told
from cpdd.sampling.document import Policy

COSTS_S = 10.0
"""How old what is known of the costs of traces, and of their journeys, may be."""

_T = TypeVar("_T")


class Lately(Generic[_T]):
    """What the store was asked for last, and is asked for again when that is old."""

    def __init__(self, read: Callable[[], _T], nothing: _T, workers: Executor, clock: Callable[[], float]) -> None:
        self.value = nothing
        self._read = read
        self._workers = workers
        self._clock = clock
        self._due_s = clock()

    async def look(self) -> bool:
        """Ask, where it is time to; returns whether it was."""
        if self._clock() < self._due_s:
            return False
        self._due_s = self._clock() + COSTS_S
        self.value = await outside(self._workers, self._read)
        return True


class Budgets:
    """The shares of every policy that depends on traffic."""

    def __init__(
        self,
        book: Callable[[], Book],
        fleet: Fleet,
        told: Told,
        costs: Lately[Costs],
        rarest: Lately[Mapping[Root, float]],
        offered: Lately[Mapping[Root, float]],
        rule_of: Callable[[Root], str],
        changed: Callable[[], None],
    ) -> None:
        """Args:
        costs: what traces have cost lately.
        rarest: what share the rarest journey of a root operation has.
        offered: how many traces of a root operation begin a second, kept or not.
        rule_of: which policy decides on a root operation, for clients that poll.
        changed: is called when shares, or the policies that have some, are others.
        """
        self._book = book
        self._fleet = fleet
        self._told = told
        self._costs = costs
        self._rarest = rarest
        self._offered = offered
        self._rule_of = rule_of
        self._changed = changed
        self._shares: dict[str, dict[str, Shares]] = {}
        self._polled: dict[str, dict[Root, float]] = {}
        """By policy: traffic of services whose clients poll, and report nothing."""

    def ids(self) -> set[str]:
        """Return the ids of the policies that depend on traffic."""
        return {policy.id for policy in self._book().policies.values() if policy.budgets}

    def shares_of(self, service: str) -> dict[str, Shares]:
        """Return what a service keeps of each budget; before anything is known all, at the pace of the budget."""
        return {policy_id: shares for policy_id in self._shares if (shares := self._share(policy_id, service))}

    async def costs(self) -> Costs:
        """Return what traces have cost lately."""
        await self._costs.look()
        return self._costs.value

    def take(self, report: Report) -> None:
        """Share anew after an instance's report, which the fleet has taken."""
        changed = False
        for policy in self._book().concerning(report.service):
            changed |= self._share_anew(self._in_traces(policy), report)
        if changed:
            self._changed()

    async def look(self, now_ns: int) -> None:
        """Forget policies that are gone, and share anew where what the store knows was old."""
        policies = self._book().policies
        self._shares = {name: shares for name, shares in self._shares.items() if name in policies}
        if any(policy.budgets.keys() - {"traces_per_second"} for policy in policies.values()):
            await self._costs.look()
        if any(policy.min_traces_per_minute for policy in self._book().policies.values()):
            await self._rarest.look()
        if self.ids() and await self._offered.look():
            self._take_polled(now_ns)

    def _take_polled(self, now_ns: int) -> None:
        """Take note of the traffic of services whose clients poll, by their spans, and share budgets accordingly."""
        if new := self.ids() - self._shares.keys():
            self._shares |= {policy_id: {} for policy_id in new}  # so that they decide, before their share is known
            self._changed()
        self._polled = {}
        for root, seen in self._offered.value.items():
            if self._told.asks(root.service, now_ns) and not self._fleet.is_heard(root.service):
                self._polled.setdefault(self._rule_of(root), {})[root] = seen
        changed = False
        for policy_id, traffic in self._polled.items():
            budget = self._budget(policy_id)
            if budget is not None:
                services = sorted({root.service for root in traffic}) if budget.scope == "service" else [""]
                for service in services:
                    changed |= self._share_anew(budget, Report(service, "", interval_s=COSTS_S))
        if changed:
            self._changed()

    def _share_anew(self, budget: Policy, report: Report) -> bool:
        """Share by what is known now; returns whether anybody's share is another."""
        if budget.traces_per_second is None:
            return False
        told = self._shares.setdefault(budget.id, {})
        polled = self._polled.get(budget.id, {})
        after = self._fleet.shares(budget, told, report, self._rarest.value, polled)
        changed = any(shares != told.get(scope) for scope, shares in after.items())
        told.update(after)
        return changed

    def _share(self, policy_id: str, service: str) -> Shares | None:
        budget = self._budget(policy_id)
        if budget is None or budget.traces_per_second is None:
            return None
        told = self._shares.get(policy_id, {})
        scope = "" if budget.scope == "fleet" else service
        return told.get(scope) or Shares(1.0, {}, budget.traces_per_second)

    def _budget(self, policy_id: str) -> Policy | None:
        said = self._book().policies.get(policy_id)
        return self._in_traces(said) if said else None

    def _in_traces(self, policy: Policy) -> Policy:
        """A budget in spans or bytes as one in traces, by what traces cost now."""
        if policy.traces_per_second is not None or not policy.budgets:
            return policy
        return replace(policy, traces_per_second=traces_per_second(policy, self._costs.value))
