"""Policies compiled for one service: an operation costs one look-up, and only what can apply to it is evaluated.

    Snapshot  name --> Outcome               where no attribute matters
              name --> Entry --> Outcome     one for each set of rules that held

Called by the sampler. The rules never change; counters and what is found out of names are filled in as spans start,
by single stores that need no lock. Knows no thread.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache

from opentelemetry import baggage
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, TraceState
from opentelemetry.util.types import Attributes

from cpdd.sampling.document import Document, Matcher, Policy, as_text, exact_name
from cpdd.sampling.resolution import BASELINE, Resolved, resolve
from cpdd.sampling.thresholds import ALL, MEMBER, probability_of, threshold_of, threshold_text

MAX_NAMES = 4_000
"""Operations that are remembered; names beyond them, which somebody makes up, are looked at anew each time."""
MAX_OUTCOMES = 256
SURPLUS = "(other operations)"


class Lease:
    """Traces that this process may still add under a boost. Tokens in a deque: taking one is atomic without a lock."""

    def __init__(self) -> None:
        self.granted = 0
        self._tokens: deque[None] = deque()

    @property
    def used(self) -> int:
        return self.granted - len(self._tokens)

    def has_room(self) -> bool:
        return bool(self._tokens)

    def grant(self, total: int) -> None:
        """Take note that the server has granted `total` traces in all."""
        self._tokens.extend([None] * (total - self.granted))
        self.granted = max(self.granted, total)

    def take(self) -> bool:
        try:
            self._tokens.pop()
        except IndexError:
            return False
        return True


@lru_cache(maxsize=4096)
def state_of(threshold: int) -> TraceState:
    """Return the tracestate of a root span that a threshold kept."""
    return TraceState([(MEMBER, f"th:{threshold_text(threshold)}")])


class Level:
    """What a decision compares with and writes: read as one, so that no decision is torn."""

    __slots__ = ("detail", "ends_s", "floor", "lease", "local_traces_per_second", "rule", "state", "threshold")

    def __init__(self, resolved: Resolved, ceiling: float, lease: Lease | None, ends_s: float | None = None) -> None:
        self.threshold = threshold_of(min(resolved.probability, ceiling))
        self.floor = threshold_of(min(resolved.without_lease, ceiling)) if lease else self.threshold
        self.rule = resolved.rule
        self.lease = lease
        self.ends_s = ends_s
        """When the first boost that it rests on is over, on the sampler's clock: whoever keeps by it has to look."""
        self.local_traces_per_second = resolved.local_traces_per_second
        self.detail = tuple((threshold_of(min(part, ceiling)), letters) for part, letters in resolved.detail)
        """From which randomness on a trace tells more, the highest first; mostly empty."""
        self.state = state_of(self.threshold) if self.threshold < ALL else None

    def slower(self) -> "Level":
        """Return the level that keeps half as much."""
        half = probability_of(self.threshold) / 2
        level = Level(Resolved(half, self.rule, half, "", self.local_traces_per_second), 1.0, None, self.ends_s)
        level.detail = self.detail
        return level

    def letters(self, randomness: int) -> str:
        """Return what a trace tells beside what all do, as `cpdd.detail_letters` has it."""
        return next((letters for threshold, letters in self.detail if randomness >= threshold), "")


class Outcome:
    """What the same rules say of one operation, and how often they said it."""

    __slots__ = ("_expected", "_resolve", "_steady", "kept", "level", "operation", "room", "seen", "told")

    def __init__(self, operation: str, resolve_level: Callable[[], Level]) -> None:
        self.operation = operation
        self.seen = 0
        self.kept = 0
        self.told = (0, 0)
        self._resolve = resolve_level
        self._steady = self.level = resolve_level()
        self._expected = self._steady.local_traces_per_second
        self.room = None if self._expected is None else max(1, round(2 * self._expected))
        """What may be kept until the end of this second before it slows down; None: no budget binds it."""

    def refresh(self) -> Level:
        """Decide anew: a lease has come or is used up, or a boost is over."""
        self._steady = self.level = level = self._resolve()
        return level

    def slow_down(self) -> None:
        """Keep half of what comes from here on: more came than anybody could foresee. Decided by the past alone, so
        that the counts stay unbiased."""
        self.level = self.level.slower()
        self.room = max(1, round((self._expected or 0) / 2))

    def begin_second(self, seen: int, interval_s: float) -> None:
        """Go back to the steady pace, and allow for twice of what it makes of the last second's traffic."""
        local = self._steady.local_traces_per_second
        if local is None or self._expected is None:
            return
        asked = seen * probability_of(self._steady.threshold) / interval_s
        self._expected = max(local, min(asked, 1.25 * self._expected))
        self.level = self._steady
        self.room = max(1, round(2 * self._expected * interval_s))


Test = Callable[[object], bool]


class _Rule:
    """A policy whose resource conditions hold here; what is left to look at are name and start of a span."""

    __slots__ = ("compared", "name_tests", "policy", "tests")

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.name_tests = [m.test() for m in policy.matchers if m.where == "name"]
        dynamic = [m for m in policy.matchers if m.where in _DYNAMIC]
        self.tests = tuple((m.where, m.key, m.test()) for m in dynamic)
        self.compared = dynamic[0] if len(dynamic) == 1 and _is_comparison(dynamic[0]) else None


_DYNAMIC = ("span_attribute", "baggage", "kind")


def _is_comparison(matcher: Matcher) -> bool:
    """Whether a condition is that an attribute equals a text."""
    plain = not matcher.negate and not matcher.case_insensitive
    return matcher.where == "span_attribute" and matcher.how == "exact" and plain


class Entry:
    """An operation whose outcome depends on attributes, kind or baggage of the span.

    Most rules compare one attribute with one text: these cost one look-up for each attribute, however many they are.
    """

    __slots__ = ("_always", "_compared", "_looked_at", "_outcome_of", "_outcomes", "_tested")

    def __init__(self, rules: Sequence[_Rule], outcome_of: Callable[[list[Policy]], Outcome]) -> None:
        self._always = [rule.policy for rule in rules if not rule.tests]
        self._looked_at = [(1 << index, rule) for index, rule in enumerate(rule for rule in rules if rule.tests)]
        self._outcome_of = outcome_of
        self._outcomes: dict[int, Outcome] = {}
        compared: dict[str, dict[str | None, int]] = {}
        for bit, rule in self._looked_at:
            if rule.compared is not None:
                texts = compared.setdefault(rule.compared.key, {})
                texts[rule.compared.text] = texts.get(rule.compared.text, 0) | bit
        self._compared = tuple(compared.items())
        self._tested = tuple((bit, rule.tests) for bit, rule in self._looked_at if rule.compared is None)

    def outcome(self, kind: SpanKind | None, attributes: Attributes, context: Context) -> Outcome:
        held = 0
        if attributes:
            for key, texts in self._compared:
                value = attributes.get(key)
                if value is not None:
                    held |= texts.get(value if type(value) is str else as_text(value), 0)
        for bit, tests in self._tested:
            for where, key, test in tests:
                if where == "span_attribute":
                    found: object = attributes.get(key) if attributes else None
                elif where == "baggage":
                    found = baggage.get_baggage(key, context)
                else:
                    found = (kind or SpanKind.INTERNAL).name
                if not test(found):
                    break
            else:
                held |= bit
        outcome = self._outcomes.get(held)
        if outcome is None:
            found = [*self._always, *(rule.policy for bit, rule in self._looked_at if held & bit)]
            outcome = self._outcome_of(found)
            if len(self._outcomes) < MAX_OUTCOMES:
                outcome = self._outcomes.setdefault(held, outcome)
        return outcome

    def outcomes(self) -> list[Outcome]:
        return list(self._outcomes.values())


class Snapshot:
    """All rules of one document for one service."""

    def __init__(
        self,
        document: Document,
        resource: Mapping[str, object],
        baseline: float,
        leases: Mapping[str, Lease],
        ceiling: float = 1.0,
        ends_s: Mapping[str, float] = {},
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Args:
        document: boosts in it that have ended must have been taken out.
        resource: attributes of this program's resource.
        baseline: the probability where no policy says more.
        leases: by id; a boost that is counted adds nothing without one.
        ceiling: no probability is above it, whatever a policy says.
        ends_s: of boosts, by their id, when they are over.
        clock: by which they are.
        """
        self.document = document
        self.fixed: dict[str, Outcome] = {}
        """Outcomes of operations where the name is all that matters."""
        self._entries: dict[str, Entry] = {}
        self._baseline = baseline
        self._ceiling = ceiling
        self._leases = leases
        self._ends_s = ends_s
        self._clock = clock
        self._surplus: dict[str, Outcome] = {}
        concerning = [_Rule(policy) for policy in document.policies if _concerns(policy.matchers, resource)]
        rules = [rule for rule in concerning if not rule.policy.here]
        from_here = [rule for rule in concerning if rule.policy.here]
        self.here = Here(from_here, self._make, clock) if from_here else None
        self._by_name: dict[str, list[_Rule]] = {}
        self._by_test: list[_Rule] = []
        for rule in rules:
            name = exact_name(rule.policy.matchers)
            if name is not None:
                self._by_name.setdefault(name, []).append(rule)
            else:
                self._by_test.append(rule)

    def find(self, name: str, kind: SpanKind | None, attributes: Attributes, context: Context) -> Outcome:
        """Return the outcome for an operation that is not in `fixed`."""
        entry = self._entries.get(name)
        if entry is not None:
            return entry.outcome(kind, attributes, context)
        rules = _for_name(self._by_name.get(name, ()), self._by_test, name)
        is_new = len(self.fixed) + len(self._entries) < MAX_NAMES
        if any(rule.tests for rule in rules):
            entry = Entry(rules, lambda found: self._make(name if is_new else SURPLUS, name, found))
            if is_new:
                entry = self._entries.setdefault(name, entry)
            return entry.outcome(kind, attributes, context)
        policies = [rule.policy for rule in rules]
        if is_new:
            return self.fixed.setdefault(name, self._make(name, name, policies))
        outcome = self._make(SURPLUS, name, policies)
        return self._surplus.setdefault(f"{outcome.level.rule} {outcome.level.threshold}", outcome)

    def outcomes(self) -> list[Outcome]:
        """Return every outcome that was needed so far."""
        parts = [entry.outcomes() for entry in list(self._entries.values())]
        here = self.here.outcomes() if self.here else []
        return [*self.fixed.values(), *self._surplus.values(), *(outcome for part in parts for outcome in part), *here]

    def refresh(self) -> None:
        """Decide anew what depends on leases."""
        for outcome in self.outcomes():
            outcome.refresh()

    def _make(self, shown: str, operation: str, policies: Iterable[Policy]) -> Outcome:
        matching = list(policies)

        def level() -> Level:
            now = self._clock()
            live = [policy for policy in matching if self._ends_s.get(policy.id, now + 1) > now]
            resolved = resolve(live, operation, self._baseline, self._has_room)
            lease = self._leases.get(resolved.lease) if resolved.lease else None
            boosts = [resolved.rule, *(policy.id for policy in live if policy.detail)]
            ends_s = min((self._ends_s[each] for each in boosts if each in self._ends_s), default=None)
            return Level(resolved, self._ceiling, lease, ends_s)

        return Outcome(shown, level)

    def _has_room(self, lease: str) -> bool:
        held = self._leases.get(lease)
        return held is not None and held.has_room()


class Here:
    """Boosts that sample from this service down: they speak where a caller decided against a trace."""

    def __init__(
        self,
        rules: Sequence[_Rule],
        make: Callable[[str, str, Iterable[Policy]], Outcome],
        clock: Callable[[], float],
    ) -> None:
        self._rules = rules
        self._make = make
        self._clock = clock
        self._entries: dict[str, Entry] = {}

    def find(self, name: str, kind: SpanKind | None, attributes: Attributes, context: Context) -> Outcome | None:
        """Return the outcome, None where no boost is about this span."""
        entry = self._entries.get(name)
        if entry is None:
            rules = _for_name((), self._rules, name)
            entry = Entry(rules, lambda found: self._make(name, name, found))
            if len(self._entries) < MAX_NAMES:
                entry = self._entries.setdefault(name, entry)
        outcome = entry.outcome(kind, attributes, context)
        if outcome.level.ends_s is not None and self._clock() >= outcome.level.ends_s:
            outcome.refresh()
        return outcome if outcome.level.rule != BASELINE else None

    def outcomes(self) -> list[Outcome]:
        return [outcome for entry in list(self._entries.values()) for outcome in entry.outcomes()]


def _concerns(matchers: Iterable[Matcher], resource: Mapping[str, object]) -> bool:
    return all(m.test()(resource.get(m.key)) for m in matchers if m.where == "resource_attribute")


def _for_name(named: Sequence[_Rule], others: Sequence[_Rule], name: str) -> list[_Rule]:
    return [rule for rule in (*named, *others) if all(test(name) for test in rule.name_tests)]
