"""What share of traces the policies that match add up to, whatever their order. Pure; client and server agree by it.

a drop that matches wins; else  p = min(limits, max(b, live boosts)),  b the most specific of fixed, budget, adaptive
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from cpdd.detail_letters import LETTERS, letters_of
from cpdd.names import JOURNEY
from cpdd.sampling.document import Policy

BASELINE = ""
"""The rule that decides where no policy does."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """A decision's probability, and whence it comes."""

    probability: float
    rule: str
    """Id of the policy that decided."""
    without_lease: float
    """What it would be if the boost that decided were out of traces; the same where none is counted."""
    lease: str = ""
    """Under which id the traces are counted that the boost adds."""
    local_traces_per_second: float | None = None
    detail: tuple[tuple[float, str], ...] = ()
    """Shares of traces that tell more, the smallest first, with all the letters of `cpdd.detail_letters` for them."""


def specificity(policy: Policy) -> int:
    """Return how much a policy says of what it concerns, 0 the most.

    An operation with an attribute, an operation, a journey, an attribute alone, a service, everything.
    """
    where = {matcher.where for matcher in policy.matchers}
    keys = {matcher.key for matcher in policy.matchers if matcher.where != "name"}
    has_attribute = bool(where & {"span_attribute", "baggage"} and keys - {JOURNEY})
    if "name" in where:
        return 0 if has_attribute or JOURNEY in keys else 1
    if any(matcher.where == "baggage" and matcher.key == JOURNEY for matcher in policy.matchers):
        return 2
    if has_attribute:
        return 3
    named = any(matcher.where == "resource_attribute" and matcher.how != "exists" for matcher in policy.matchers)
    return 4 if named else 5


def share(policy: Policy, operation: str) -> float | None:
    """Return the probability that one policy asks for; None where the server has not worked it out."""
    percentage = policy.operations.get(operation, policy.percentage)
    return None if percentage is None else percentage / 100


def resolve(
    matching: Iterable[Policy], operation: str, baseline: float, has_room: Callable[[str], bool] = lambda lease: True
) -> Resolved:
    """Return the probability for root spans of an operation.

    Args:
        matching: the policies whose conditions hold; boosts among them are live.
        baseline: where none of them says more.
        has_room: whether traces are left under a lease; a boost without any adds nothing.
    """
    found = [(policy, part) for policy in matching if (part := share(policy, operation)) is not None]
    drops = sorted(policy.id for policy, _ in found if policy.kind == "drop")
    if drops:
        return Resolved(0.0, drops[0], 0.0)
    bases = [(specificity(policy), policy.id, part, policy) for policy, part in found if policy.kind in _BASES]
    _, rule, base, of = min(bases, key=lambda item: item[:2], default=(0, BASELINE, baseline, None))
    limit, limiting = min(((part, policy.id) for policy, part in found if policy.kind == "limit"), default=(2.0, ""))
    boosts = sorted(((-part, policy.id, policy) for policy, part in found if policy.kind == "boost"), key=_by_id)
    plain = max([base, *(-part for part, _, policy in boosts if policy.max_traces is None)])
    lease, local = "", of.local_traces_per_second if of else None
    best = base
    for negative, _, policy in boosts:
        counted = policy.max_traces is not None
        if -negative > base and (not counted or has_room(policy.lease)):
            best, rule, local = -negative, policy.id, None
            lease = policy.lease if counted and -negative > plain else ""
            break
    if limit < best:
        rule = limiting
        lease = lease if limit > plain else ""
    telling = [
        (min(limit, -negative), letters_of(policy.detail))
        for negative, _, policy in boosts
        if policy.detail and (policy.max_traces is None or has_room(policy.lease))
    ]
    return Resolved(min(limit, best), rule, min(limit, plain), lease, local, _steps(telling))


def _steps(telling: Iterable[tuple[float, str]]) -> tuple[tuple[float, str], ...]:
    """Of shares and their letters, what each trace tells: a trace of a small share is in the larger ones, too.

    >>> _steps([(1.0, "q"), (0.1, "f")])
    ((0.1, 'qf'), (1.0, 'q'))
    """
    steps: list[tuple[float, str]] = []
    letters = ""
    for part, more in sorted(telling, reverse=True):
        letters = "".join(letter for letter in LETTERS.values() if letter in letters or letter in more)
        if steps and steps[-1][0] == part:
            steps.pop()
        steps.append((part, letters))
    return tuple(reversed(steps))


_BASES = ("fixed", "budget", "adaptive")


def _by_id(boost: tuple[float, str, Policy]) -> tuple[float, bool, str]:
    """Strongest first; of equal ones first those that nobody counts."""
    negative, policy_id, policy = boost
    return negative, policy.max_traces is not None, policy_id
