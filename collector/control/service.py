"""The sampling service: policies changed, pushed, reported on. Lives in the loop thread; storing is done elsewhere.

change ----> ledger --> every stream whose document is a new one
               `------> the answer, when it is written down
report ----> fleet ---> shares of budgets ---> likewise
                  `---> leases of boosts ----> the answer, and the instance's stream
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from collector.control.budgets import Budgets, Lately
from collector.control.clock import SteadyClock
from collector.control.ledger import Ledger, Log
from collector.control.requests import BoostRequest, PolicyChange, Renewal, boosts_of
from collector.control.targets import Roots, Targets
from collector.core.sampling.costs import Costs
from collector.core.sampling.fleet import Fleet, Report
from collector.core.sampling.lives import Life
from collector.core.sampling.policies import (
    Book,
    UnknownPolicy,
    document_for,
    is_live,
    resolved_for,
    strategy_for,
)
from collector.core.sampling.roots import Root
from collector.core.sampling.strategies import strategies_json
from collector.core.sampling.told import Told
from collector.core.sampling.words import DETAIL_WORDS
from collector.store.sampling_log import Change
from cpdd.detail_letters import Detail
from cpdd.sampling.document import Document, Policy
from cpdd.sampling.jaeger import Strategy
from cpdd.sampling.resolution import Resolved

log = logging.getLogger(__name__)

TICK_S = 0.25
MAX_DOCUMENTS = 2_000


@dataclass(eq=False)
class Stream:
    """One instance that is pushed to."""

    service: str
    instance: str
    changed: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class Boosted:
    """What became of a boost."""

    id: str
    version: int
    percentage: float
    expires_unix_ms: int
    duration_s: float
    """From now on."""
    max_traces: int | None
    detail: tuple[Detail, ...]
    targets: tuple[Root, ...]
    found: bool
    """Whether the targets were found as the roots of what was asked for."""
    clients: int
    """Instances of the targets' services that are pushed to now."""
    doubt: str = ""
    """What may be wrong with what was asked for: a name that nobody has heard of."""


class SamplingService:
    """What the ports, the pages and the command ask. Every method runs in the loop thread."""

    def __init__(
        self,
        sampling_log: Log,
        roots: Roots,
        workers: Executor,
        baseline: float = 1.0,
        longest_boost_s: float = 3_600.0,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        read_costs: Callable[[], Costs] = dict,
        told: Told | None = None,
        read_rarest: Callable[[], Mapping[Root, float]] = dict,
        read_offered: Callable[[], Mapping[Root, float]] = dict,
        is_shared: bool = False,
    ) -> None:
        """Args:
        workers: threads for what the store is asked.
        baseline: what Jaeger clients are told where no policy says more.
        read_costs: asks the store what traces have cost lately.
        read_rarest: asks the store what share the rarest journey of a root operation has.
        read_offered: asks the store how many traces of a root operation begin a second, kept or not.
        told: takes note of what clients are told, for whoever weighs their traces.
        is_shared: whether other collectors may change what is sampled, in the same store.
        """
        self.baseline = baseline
        self.longest_boost_s = longest_boost_s
        self.ending = False
        self._clock = clock
        self._wall_clock = SteadyClock(wall_clock, clock)
        self._told = told or Told()
        self._fleet = Fleet()
        self._targets = Targets(roots, self._fleet, workers)
        self._budgets = Budgets(
            lambda: self.book,
            self._fleet,
            self._told,
            Lately(read_costs, {}, workers, clock),
            Lately(read_rarest, {}, workers, clock),
            Lately(read_offered, {}, workers, clock),
            rule_of=lambda root: self._resolved(root.service, root.operation, self.baseline).rule,
            changed=self._refresh,
        )
        self._documents: dict[str, Document] = {}
        self._streams: dict[str, set[Stream]] = {}
        self._task: asyncio.Task[None] | None = None
        self._ledger = Ledger(
            sampling_log, workers, self.now_ms, self._refresh, lambda: self._notify(self._streams), is_shared
        )

    @property
    def book(self) -> Book:
        return self._ledger.book

    def budgets(self) -> set[str]:
        """Return the ids of the policies that depend on traffic."""
        return self._budgets.ids()

    def lives(self) -> list[Life]:
        """Return the boosts of now and of the last hour."""
        return self._ledger.lives.all()

    @property
    def fleet(self) -> Fleet:
        return self._fleet

    def now_ms(self) -> int:
        """Return Unix time; it never goes back, so that boosts end on time though somebody sets the clock."""
        return round(self._wall_clock.now_s() * 1000)

    def now_s(self) -> float:
        return self._clock()

    async def begin(self) -> None:
        """Start the ticking."""
        await self._ledger.begin()
        self._task = asyncio.get_running_loop().create_task(self._tick())

    async def end(self) -> None:
        """Let every stream end, and stop ticking."""
        self.ending = True
        self._ledger.end()
        if self._task is not None:
            self._task.cancel()
        self._notify(self._streams)

    def document(self, service: str) -> Document:
        """Return what clients of a service sample by now."""
        document = self._documents.get(service)
        if document is None:
            document = document_for(self.book, service, self._budgets.shares_of(service), self.now_ms())
            if len(self._documents) >= MAX_DOCUMENTS:
                self._documents.clear()
            self._documents[service] = document
        return replace(document, sent_unix_ms=self.now_ms())

    def strategy(self, service: str) -> Strategy:
        """Return what Jaeger clients of a service sample by now."""
        return strategy_for(self.document(service), service, self._fleet.operations(service), self.baseline)

    def share(self, service: str, operation: str, baseline: float) -> float:
        """Return the share of an operation that its clients, whose baseline is known, keep now."""
        return self._resolved(service, operation, baseline).probability

    def _resolved(self, service: str, operation: str, baseline: float) -> Resolved:
        return resolved_for(self.document(service), service, operation, baseline, self._has_room)

    def _has_room(self, lease: str) -> bool:
        held = self._ledger.leases.get(lease)
        return held is not None and held.used_in_all < held.total

    def unweighted(self) -> list[str]:
        """Return the services whose traces lately came without the weights that their clients write."""
        return self._told.unweighted(self.now_ms() * 1_000_000)

    def tell(self, service: str) -> Strategy:
        """Return the same to a client that polls, and take note of it."""
        strategy = self.strategy(service)
        self._told.note(service, strategy, self.now_ms() * 1_000_000)
        return strategy

    def strategies(self) -> dict[str, Any]:
        """Return what Jaeger clients are told, as Jaeger's strategies file: services that policies or clients name."""
        named = {_target(policy).service for policy in self.book.policies.values()} - {""}
        services = [
            (name, self.strategy(name)) for name in named | {instance.service for instance in self._fleet.instances()}
        ]
        return strategies_json(self.strategy("").probability, services)

    @contextmanager
    def stream(self, service: str, instance: str) -> "Iterator[Stream]":
        """A stream, told of changes while the context lasts; one without a name is nobody's."""
        stream = Stream(service, instance)
        self._streams.setdefault(service, set()).add(stream)
        if instance:
            self._fleet.connect(service, instance, self._clock())
        try:
            yield stream
        finally:
            self._streams[service].discard(stream)
            if not self._streams[service]:
                del self._streams[service]
            if instance:
                self._fleet.disconnect(service, instance, self._clock())

    def leases_of(self, service: str, instance: str) -> dict[str, int]:
        """Return how many traces an instance may have added by now under each live boost, topped up."""
        granted = {}
        for policy in self.book.concerning(service):
            lease = self._ledger.leases.get(policy.lease)  # none before the boost is written down
            if policy.max_traces is None or lease is None or not is_live(policy, self.now_ms()):
                continue
            granted[policy.lease] = lease.top_up(instance, self._fleet.live(service))
        if granted:
            self._ledger.reserve()
        return granted

    async def report(self, report: Report) -> dict[str, int]:
        """Take an instance's report; returns its leases."""
        self._fleet.take(report, self._clock())
        if sum(rate.kept for rate in report.rates.values()) < sum(rate.seen for rate in report.rates.values()):
            self._told.note_dropping(report.service, self.now_ms() * 1_000_000)
        for name, used in report.leases.items():
            if name in self._ledger.leases:
                self._ledger.leases[name].report(report.instance, used)
        self._budgets.take(report)
        return self.leases_of(report.service, report.instance)

    async def put(self, change: PolicyChange) -> int:
        """Put policies beside or in place of the others; returns the version."""
        words = f"{len(change.policies)} policies" if len(change.policies) != 1 else f"policy {change.policies[0].id!r}"
        changed = f"{words} in place of all" if change.replace else words
        ids = change.policies[0].id if len(change.policies) == 1 else ""
        policies = [replace(policy, author=policy.author or change.author) for policy in change.policies]
        now_ms = self.now_ms()

        def edit(book: Book) -> Book:
            return book.replace_all(policies, now_ms) if change.replace else book.put(policies, now_ms)

        return await self._change("set", ids, change.author, change.reason, changed, edit)

    async def delete(self, policy_id: str, author: str, reason: str) -> int:
        """Delete a policy, or end a boost with all its parts; returns the version. Raises UnknownPolicy."""
        now_ms = self.now_ms()
        return await self._change(
            "delete",
            policy_id,
            author,
            reason,
            f"policy {policy_id!r} deleted",
            lambda book: book.without(policy_id, now_ms),
        )

    async def boost(self, request: BoostRequest, roots: Sequence[Root] = ()) -> Boosted:
        """Keep more of something for a while; of `roots`, where they are known. Raises NoRoots, TooManyRoots."""
        targets, found = (list(roots), True) if roots else await self._targets.of(request)
        expires_ms = self.now_ms() + round(request.duration_s * 1000)
        policies = boosts_of(request, targets, expires_ms)
        what = ", ".join(f"{target.service} {target.operation or '(all)'}" for target in targets[:5])
        limit = f", at most {request.max_traces} traces" if request.max_traces else ""
        words = f"{request.percentage:g} % of {what} for {request.duration_s:g} s{limit}"
        words += "".join(f", with {DETAIL_WORDS[detail]}" for detail in request.detail)
        now_ms = self.now_ms()

        def edit(book: Book) -> Book:
            before = book.without(request.id, now_ms) if request.id in book.policies else book
            return replace(before.put(policies, now_ms), version=book.version + 1)

        version = await self._change("boost", request.id, request.author, request.reason, words, edit)
        return replace(self._boosted(policies, version, found), doubt="" if roots else await self.doubt(request))

    async def roots_of(self, request: BoostRequest) -> tuple[Sequence[Root], bool]:
        """Return what a boost would be of, and whether that was found as the roots of it. Raises as `boost` does."""
        return await self._targets.of(request)

    async def doubt(self, request: BoostRequest) -> str:
        """Return what is odd about the operation of a request: nobody has heard of it, though of others."""
        return await self._targets.doubt(request)

    async def costs(self) -> Costs:
        """Return what traces have cost lately."""
        return await self._budgets.costs()

    async def renew(self, policy_id: str, renewal: Renewal, repeat: bool) -> Boosted:
        """Let a boost last `duration_s` from now on. One that is repeated may add its traces anew.

        Raises:
            UnknownPolicy: there is no such boost, or it ended more than an hour ago.
        """
        await self._ledger.look()
        parts = [p for p in self.book.policies.values() if policy_id in (p.id, p.group) and p.kind == "boost"]
        if not parts:
            raise UnknownPolicy(policy_id)
        expires_ms = self.now_ms() + round(renewal.duration_s * 1000)
        policies = tuple(replace(part, expires_unix_ms=expires_ms) for part in parts)
        if repeat:  # a new name: clients count what they add by it
            name = f"{policy_id.partition('~')[0]}~{secrets.token_hex(2)}"
            policies = tuple(
                replace(part, id=name + part.id.removeprefix(policy_id), group=part.group and name) for part in policies
            )
        now_ms = self.now_ms()
        action = "repeat" if repeat else "extend"
        words = f"boost {policy_id!r} until {renewal.duration_s:g} s from now"
        version = await self._change(
            action, policy_id, renewal.author, renewal.reason, words, lambda book: book.put(policies, now_ms)
        )
        return self._boosted(policies, version, False)

    async def changes(self, limit: int = 100) -> Sequence[Change]:
        return await self._ledger.changes(limit)

    def used(self, lease: str) -> int:
        """Return how many traces a boost has added, as far as is known."""
        held = self._ledger.leases.get(lease)
        return held.used_in_all if held else 0

    def _boosted(self, policies: Sequence[Policy], version: int, found: bool) -> Boosted:
        services = {str(policy.matchers[0].text) for policy in policies}
        first = policies[0]
        return Boosted(
            id=first.lease,
            version=version,
            percentage=first.percentage or 0.0,
            expires_unix_ms=first.expires_unix_ms or 0,
            duration_s=((first.expires_unix_ms or 0) - self.now_ms()) / 1000,
            max_traces=first.max_traces,
            detail=first.detail,
            targets=tuple(_target(policy) for policy in policies),
            found=found,
            clients=sum(len(self._streams.get(service, ())) for service in services),
        )

    async def _change(
        self, action: str, policy_id: str, author: str, reason: str, words: str, edit: Callable[[Book], Book]
    ) -> int:
        change = Change(0, self.now_ms(), action, policy_id, author, reason, words)
        return await self._ledger.change(change, edit)

    def _refresh(self) -> None:
        """Work out documents anew, and tell the streams whose document is another."""
        before, self._documents = self._documents, {}
        self._notify(
            service
            for service in self._streams
            if service not in before or self.document(service).hash != before[service].hash
        )

    def _notify(self, services: Iterable[str]) -> None:
        for service in list(services):
            for stream in self._streams.get(service, ()):
                stream.changed.set()

    async def _tick(self) -> None:
        """Let boosts end, and instances be forgotten."""
        live = {policy.id for policy in self.book.live(self.now_ms())}
        while True:
            await asyncio.sleep(TICK_S)
            try:
                now = {policy.id for policy in self.book.live(self.now_ms())}
                if now != live:
                    live = now
                    self._refresh()
                self._fleet.look(self._clock())
                await self._budgets.look(self.now_ms() * 1_000_000)
            except Exception:
                log.exception("sampling service failed to tick")


def _target(policy: Policy) -> Root:
    service = next((m.text for m in policy.matchers if m.key == "service.name"), "")
    return Root(service, next((m.text for m in policy.matchers if m.where == "name"), ""))


def boosted_json(boosted: Boosted) -> dict[str, Any]:
    """Return the answer to a boost."""
    targets = [target._asdict() for target in boosted.targets]
    return {**asdict(boosted), "targets": targets}
