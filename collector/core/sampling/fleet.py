"""Who samples, by what, and how much: the reports of instances, added up. The caller owns the clock."""

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from collector.core.sampling.budget import fair_shares, follow, is_worth_telling, share_for
from collector.core.sampling.policies import Shares
from collector.core.sampling.roots import Root
from cpdd.sampling.document import Policy

FRESH_S = 5.0
"""How long a report speaks for now."""
FORGET_S = 60.0
RECENT = 10
"""Reports that are averaged for people: one second of little traffic says nothing of a share."""
MAX_INSTANCES = 20_000


@dataclass(frozen=True, slots=True)
class Rate:
    """Decisions per second, and how many of them kept a trace."""

    seen: float = 0.0
    kept: float = 0.0

    def __add__(self, other: "Rate") -> "Rate":
        return Rate(self.seen + other.seen, self.kept + other.kept)


@dataclass(frozen=True, slots=True)
class Report:
    """What an instance said of itself."""

    service: str
    instance: str
    mode: str = "follow"
    baseline: float = 1.0
    version: int = 0
    hash: str = ""
    source: str = ""
    problem: str = ""
    interval_s: float = 1.0
    rates: Mapping[tuple[str, str], Rate] = field(default_factory=dict)
    """By operation and rule."""
    leases: Mapping[str, int] = field(default_factory=dict)
    spans_sent: int = 0
    """That arrived, since the start of the instance."""
    spans_lost: int = 0
    """That its queue or its connection lost: what is counted lacks them."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What the instances that report to one server decide on, and how many they are."""

    seen: Mapping[tuple[str, str], Mapping[str, float]] = field(default_factory=dict)
    """Decisions per second by service and rule, then operation."""
    live: Mapping[str, int] = field(default_factory=dict)
    """Instances by service."""


NO_TRAFFIC = Traffic()


@dataclass(slots=True)
class Instance:
    """An instance that was heard of."""

    service: str
    name: str
    heard_s: float
    report: Report | None = None
    streams: int = 0
    recent: deque[Report] = field(default_factory=lambda: deque(maxlen=RECENT))
    """Its last reports, this one included."""
    is_counted: bool = False
    """Whether its report is part of the fleet's sums."""
    applied_s: float | None = None
    """When it was first heard to sample by what it samples by now."""

    def is_live(self, now_s: float) -> bool:
        return self.streams > 0 or self.heard_s > now_s - FRESH_S


class Fleet:
    """All instances. Not thread-safe: it lives in the loop thread. `look` is to be called a few times a second."""

    def __init__(self) -> None:
        self._instances: dict[tuple[str, str], Instance] = {}
        self._sums: dict[tuple[str, str], dict[str, Rate]] = {}
        """Rates of all fresh reports by service and rule, then operation."""
        self._live: dict[str, set[str]] = {}
        self._elsewhere: Sequence[Traffic] = ()
        """What reports to other servers."""
        self._traffic: dict[tuple[str, str, str], float] = {}
        """Estimates of decisions per second by policy, scope and operation."""

    def instances(self) -> list[Instance]:
        return list(self._instances.values())

    def live(self, service: str) -> set[str]:
        """Return the instances of a service that sample now."""
        return self._live.get(service, set())

    def connect(self, service: str, instance: str, now_s: float) -> None:
        self._at(service, instance, now_s).streams += 1

    def disconnect(self, service: str, instance: str, now_s: float) -> None:
        self._at(service, instance, now_s).streams -= 1

    def take(self, report: Report, now_s: float) -> None:
        """Take a report in place of the instance's last."""
        instance = self._at(report.service, report.instance, now_s)
        self._discount(instance)
        if instance.report is None or instance.report.hash != report.hash:
            instance.applied_s = now_s
        instance.report = report
        instance.is_counted = True
        instance.recent.append(report)
        for (operation, rule), rate in report.rates.items():
            sums = self._sums.setdefault((report.service, rule), {})
            sums[operation] = sums.get(operation, Rate()) + rate

    def look(self, now_s: float) -> None:
        """Take leave of who has fallen silent."""
        live: dict[str, set[str]] = {}
        for key, instance in list(self._instances.items()):
            if instance.heard_s <= now_s - FRESH_S:
                self._discount(instance)
            if instance.is_live(now_s):
                live.setdefault(instance.service, set()).add(instance.name)
            elif instance.heard_s < now_s - FORGET_S:
                del self._instances[key]
        self._live = live

    def rates(self) -> dict[tuple[str, str, str], Rate]:
        """Return what is seen and kept now, by service, operation and rule."""
        return {
            (service, operation, rule): rate
            for (service, rule), sums in self._sums.items()
            for operation, rate in sums.items()
        }

    def recent_rates(self) -> dict[tuple[str, str, str], Rate]:
        """Return the same, averaged over each instance's last reports."""
        found: dict[tuple[str, str, str], Rate] = {}
        for instance in self._instances.values():
            if not instance.is_counted:
                continue
            length_s = sum(report.interval_s for report in instance.recent)
            for report in instance.recent:
                part = report.interval_s / length_s
                for (operation, rule), rate in report.rates.items():
                    key = instance.service, operation, rule
                    found[key] = found.get(key, Rate()) + Rate(part * rate.seen, part * rate.kept)
        return found

    def operations(self, service: str) -> set[str]:
        """Return the operations that instances of a service decide on now."""
        names = {name for (of, _), sums in self._sums.items() if of == service for name in sums}
        return {name for name in names if not name.startswith("(")}

    def traffic(self, rules: Collection[str]) -> Traffic:
        """Return what is decided by these rules now, for other servers to know."""
        seen = {
            (service, rule): {operation: rate.seen for operation, rate in sums.items()}
            for (service, rule), sums in self._sums.items()
            if rule in rules
        }
        return Traffic(seen, {service: len(names) for service, names in self._live.items() if names})

    def hear(self, others: Sequence[Traffic]) -> None:
        """Count what reports to other servers from now on, in place of what was heard before."""
        self._elsewhere = tuple(others)

    def is_heard(self, service: str) -> bool:
        """Return whether instances of a service report, here or elsewhere."""
        return bool(self.live(service)) or any(service in other.live for other in self._elsewhere)

    def shares(
        self,
        policy: Policy,
        told: Mapping[str, Shares],
        report: Report,
        rarest: Mapping[Root, float] = {},
        polled: Mapping[Root, float] = {},
    ) -> dict[str, Shares]:
        """Return the shares of a budget or adaptive policy after a report, by service ("" for all together).

        Args:
            told: what clients sample by; a share that hardly differs stays.
            rarest: share of the rarest journey of a root operation, where that is known.
            polled: decisions per second on root operations of services whose clients report nothing.
        """
        assert policy.traces_per_second is not None
        scope = "" if policy.scope == "fleet" else report.service
        offered: dict[str, float] = {}
        everywhere = (self.traffic((policy.id,)), *self._elsewhere)
        for (service, rule), rates in (item for traffic in everywhere for item in traffic.seen.items()):
            if rule == policy.id and scope in ("", service):
                for operation, seen in rates.items():
                    offered[operation] = offered.get(operation, 0.0) + seen
        for root, seen in polled.items():
            if scope in ("", root.service):
                offered[root.operation] = offered.get(root.operation, 0.0) + seen
        live = (item for traffic in everywhere for item in traffic.live.items())
        instances = sum(number for service, number in live if scope in ("", service))
        local = policy.traces_per_second / max(1, instances)
        before = told.get(scope, Shares())
        if policy.kind == "budget":
            total = self._follow(policy, scope, "", sum(offered.values()), report.interval_s)
            share = share_for(policy.traces_per_second, total)
            after = Shares(share if is_worth_telling(before.probability, share) else before.probability, {}, local)
        else:
            after = self._fair(policy, scope, offered, before, report.interval_s, local, rarest)
        return {scope: after}

    def _fair(
        self,
        policy: Policy,
        scope: str,
        offered: Mapping[str, float],
        before: Shares,
        interval_s: float,
        local: float,
        rarest: Mapping[Root, float],
    ) -> Shares:
        traffic = {
            name: self._follow(policy, scope, name, offered.get(name, 0.0), interval_s)
            for name in {*offered, *before.operations}
        }
        assert policy.traces_per_second is not None
        of_name: dict[str, float] = {}
        for root, part in rarest.items():
            if scope in ("", root.service):
                of_name[root.operation] = min(part, of_name.get(root.operation, 1.0))
        shares = fair_shares(traffic, policy.traces_per_second, policy.min_traces_per_minute, of_name)
        told = {
            name: share if is_worth_telling(before.operations.get(name), share) else before.operations[name]
            for name, share in shares.items()
        }
        return Shares(1.0, told, local)

    def _follow(self, policy: Policy, scope: str, operation: str, offered: float, interval_s: float) -> float:
        key = policy.id, scope, operation
        self._traffic[key] = follow(self._traffic.get(key), offered, interval_s)
        return self._traffic[key]

    def _discount(self, instance: Instance) -> None:
        """Take an instance's report out of the sums."""
        if not instance.is_counted or instance.report is None:
            return
        instance.is_counted = False
        for (operation, rule), rate in instance.report.rates.items():
            sums = self._sums[instance.service, rule]
            left = Rate(sums[operation].seen - rate.seen, sums[operation].kept - rate.kept)
            if left.seen > 1e-6:
                sums[operation] = left
            else:
                del sums[operation]
        for key in [key for key, sums in self._sums.items() if not sums]:
            del self._sums[key]

    def _at(self, service: str, name: str, now_s: float) -> Instance:
        instance = self._instances.get((service, name))
        if instance is None:
            if len(self._instances) >= MAX_INSTANCES:
                oldest = min(self._instances, key=lambda key: self._instances[key].heard_s)
                self._discount(self._instances.pop(oldest))
            instance = self._instances[service, name] = Instance(service, name, now_s)
        instance.heard_s = now_s
        self._live.setdefault(service, set()).add(name)
        return instance
