"""The policies of all services, and what of them one service is told. Pure: every change gives a new value.

written by people  ->  Book  ->  document_for(service, shares)   what a pushed client samples by
                             ->  strategy_for(service, shares)   what a Jaeger client samples by
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice

from cpdd.errors import CpddError
from cpdd.sampling.document import (
    MAX_OPERATIONS,
    Document,
    Policy,
    check_predicates,
    exact_name,
    hash_of,
    parse_policy,
    policy_json,
)
from cpdd.sampling.fields import MAX_TEXT_CHARS
from cpdd.sampling.jaeger import Strategy
from cpdd.sampling.resolution import Resolved, resolve

MAX_POLICIES = 2_000
MAX_LIVE_BOOSTS = 200
MAX_SERVICES = 2_000
KEEP_ENDED_MS = 3_600_000
"""How long a boost that has ended stays in the book, to be repeated."""


class TooManyPolicies(CpddError):
    """A change that would leave more policies than clients are asked to hold."""

    def __init__(self, kind: str, found: int, limit: int) -> None:
        self.found = found
        self.limit = limit
        self.place = "policies"
        super().__init__(f"refused: {found} {kind} would be over the limit of {limit}\nhint: delete some first")


class UnknownPolicy(CpddError):
    """No policy has that id."""

    def __init__(self, policy_id: str) -> None:
        self.policy_id = policy_id
        super().__init__(f"no policy has the id {policy_id!r}")


@dataclass(frozen=True, slots=True)
class Shares:
    """What control has worked out for one budget or adaptive policy."""

    probability: float | None = None
    operations: Mapping[str, float] = field(default_factory=dict)
    local_traces_per_second: float | None = None


@dataclass(frozen=True)
class Book:
    """All policies in force, by id, and how often they were changed."""

    version: int = 0
    policies: Mapping[str, Policy] = field(default_factory=dict)

    def put(self, policies: Iterable[Policy], now_ms: int) -> "Book":
        """Return the book with policies added or, by id, replaced. Raises TooManyPolicies, PolicyError."""
        policies = list(policies)
        kept = {policy.id: policy for policy in self.policies.values() if not _is_long_over(policy, now_ms)}
        book = self._next(kept | {policy.id: policy for policy in policies}, now_ms)
        _check_readable(policies)
        return book

    def replace_all(self, policies: Iterable[Policy], now_ms: int) -> "Book":
        """Return the book with these policies and no others."""
        policies = list(policies)
        book = self._next({policy.id: policy for policy in policies}, now_ms)
        _check_readable(policies)
        return book

    def without(self, policy_id: str, now_ms: int) -> "Book":
        """Return the book without a policy, and without those of its group. Raises UnknownPolicy."""
        left = {
            other_id: policy
            for other_id, policy in self.policies.items()
            if other_id != policy_id and policy.group != policy_id
        }
        if len(left) == len(self.policies):
            raise UnknownPolicy(policy_id)
        return self._next(left, now_ms)

    def concerning(self, service: str) -> list[Policy]:
        """Return the policies that may be about a service, by id, ended ones included."""
        found = self._found.get(service)
        if found is None:
            others = (policy for policy in self._of_several if may_concern(policy, service))
            found = sorted((*self._of_one.get(service, ()), *others), key=lambda policy: policy.id)
            if len(self._found) < MAX_SERVICES:
                self._found[service] = found
        return found

    @cached_property
    def _found(self) -> dict[str, list[Policy]]:
        return {}

    @cached_property
    def _of_one(self) -> dict[str, list[Policy]]:
        """Policies that name one service exactly, which in a large fleet are nearly all."""
        found: dict[str, list[Policy]] = {}
        for policy in self.policies.values():
            if (service := _one_service(policy)) is not None:
                found.setdefault(service, []).append(policy)
        return found

    @cached_property
    def _of_several(self) -> list[Policy]:
        return [policy for policy in self.policies.values() if _one_service(policy) is None]

    @cached_property
    def telling(self) -> list[Policy]:
        """Boosts that carry detail, by id, ended ones included."""
        return sorted((policy for policy in self.policies.values() if policy.detail), key=lambda policy: policy.id)

    def live(self, now_ms: int) -> list[Policy]:
        """Return the policies in force."""
        return [policy for policy in self.policies.values() if is_live(policy, now_ms)]

    def boosts(self, now_ms: int) -> list[Policy]:
        """Return the boosts that have not ended, the next to end first."""
        live = [policy for policy in self.live(now_ms) if policy.kind == "boost"]
        return sorted(live, key=lambda policy: (policy.expires_unix_ms or 0, policy.id))

    def _next(self, policies: Mapping[str, Policy], now_ms: int) -> "Book":
        book = Book(self.version + 1, policies)
        if len(policies) > MAX_POLICIES:
            raise TooManyPolicies("policies", len(policies), MAX_POLICIES)
        if len(book.boosts(now_ms)) > MAX_LIVE_BOOSTS:
            raise TooManyPolicies("live boosts", len(book.boosts(now_ms)), MAX_LIVE_BOOSTS)
        for own in (*book._of_one.values(), []):
            together = [policy for policy in (*book._of_several, *own) if is_live(policy, now_ms)]
            check_predicates(together, [f"policy {policy.id!r}" for policy in together])
        return book


def _check_readable(policies: Iterable[Policy]) -> None:
    """Raise PolicyError for the first that clients would refuse, with all others of its document."""
    for policy in policies:
        parse_policy(policy_json(policy), f"policy {policy.id!r}")


def is_live(policy: Policy, now_ms: int) -> bool:
    return policy.expires_unix_ms is None or policy.expires_unix_ms > now_ms


def _is_long_over(policy: Policy, now_ms: int) -> bool:
    return policy.expires_unix_ms is not None and policy.expires_unix_ms + KEEP_ENDED_MS < now_ms


def _one_service(policy: Policy) -> str | None:
    said = [m for m in policy.matchers if m.where == "resource_attribute" and m.key == "service.name"]
    plain = len(said) == 1 and said[0].how == "exact" and not said[0].negate and not said[0].case_insensitive
    return said[0].text if plain else None


def may_concern(policy: Policy, service: str) -> bool:
    """Return whether a policy may be about a service, as far as its name tells; clients know the rest of theirs."""
    return all(
        matcher.test()(service)
        for matcher in policy.matchers
        if matcher.where == "resource_attribute" and matcher.key == "service.name"
    )


def document_for(book: Book, service: str, shares: Mapping[str, Shares], now_ms: int) -> Document:
    """Return what a service's clients sample by: the live policies that may concern it, shares filled in.

    Boosts of other services that carry detail are announced: their traces may come by, and a client turns up only
    what it knows somebody asked for.
    """
    policies = tuple(
        _with_shares(policy, shares.get(policy.id)) for policy in book.concerning(service) if is_live(policy, now_ms)
    )
    elsewhere = [policy for policy in book.telling if is_live(policy, now_ms) and not may_concern(policy, service)]
    policies += tuple(_announced(policy) for policy in elsewhere)
    return Document(book.version, policies, hash_of(policies), now_ms)


def _announced(policy: Policy) -> Policy:
    """A boost as services that begin none of its traces are told of it."""
    matchers = tuple(m for m in policy.matchers if m.where == "resource_attribute" and m.key == "service.name")
    return replace(policy, matchers=matchers, max_traces=None, group="", author="", reason="")


def _with_shares(policy: Policy, shares: Shares | None) -> Policy:
    if shares is None:
        return policy
    operations = ((name, percent(share)) for name, share in shares.operations.items() if len(name) <= MAX_TEXT_CHARS)
    return replace(
        policy,
        percentage=None if shares.probability is None else percent(shares.probability),
        operations=dict(islice(operations, MAX_OPERATIONS)),
        local_traces_per_second=shares.local_traces_per_second,
    )


def percent(probability: float) -> float:
    """Return a percentage with as many digits as a threshold keeps."""
    return float(f"{100 * probability:.5g}")


def strategy_for(document: Document, service: str, operations: Collection[str], baseline: float) -> Strategy:
    """Return what a Jaeger client of a service samples by.

    Such a client knows the names of operations alone and counts no traces: policies that look at attributes, kind,
    journey or other resource attributes do not reach it, nor do boosts with `max_traces`.

    Args:
        document: as for this service.
        operations: names known of the service; those that policies name come on top.
        baseline: where no policy says more.
    """
    usable = [policy for policy in document.policies if _is_for_names(policy) and may_concern(policy, service)]
    tests = [(policy, [matcher.test() for matcher in policy.matchers if matcher.where == "name"]) for policy in usable]

    def probability(operation: str | None) -> float:
        matching = [policy for policy, of in tests if all(operation is not None and test(operation) for test in of)]
        return resolve(matching, operation or "", baseline, _no_room).probability

    default = probability(None)
    names = {name for policy in usable if (name := exact_name(policy.matchers)) is not None}
    names.update(*(policy.operations for policy in usable), operations)
    return Strategy(default, {name: share for name in names if (share := probability(name)) != default})


def resolved_for(
    document: Document, service: str, operation: str, baseline: float, has_room: Callable[[str], bool]
) -> Resolved:
    """Return what policies say of an operation, but for spans that they single out by more than their name.

    Args:
        document: as for this service.
        baseline: where no policy says more.
        has_room: whether a boost, by its lease, may still add traces.
    """
    matching = [
        policy
        for policy in document.policies
        if _is_for_names(policy)
        and may_concern(policy, service)
        and all(matcher.test()(operation) for matcher in policy.matchers if matcher.where == "name")
    ]
    return resolve(matching, operation, baseline, has_room)


_no_room: Callable[[str], bool] = lambda lease: False  # noqa: E731


def _is_for_names(policy: Policy) -> bool:
    return not policy.here and all(
        matcher.where == "name" or (matcher.where == "resource_attribute" and matcher.key == "service.name")
        for matcher in policy.matchers
    )
