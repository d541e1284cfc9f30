"""`DynamicSampler`: OpenTelemetry's sampler whose policies may change while the program runs.

A decision reads one attribute, the snapshot; a change is one store. It never raises and never waits. The locks here
are between those who change policies, and none of them is taken by a decision.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from opentelemetry.context import Context, get_current
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanContext, SpanKind, TraceState, get_current_span
from opentelemetry.util.types import Attributes

from cpdd.detail_letters import common, letters_of, with_detail
from cpdd.failures import tell
from cpdd.propagation.trace_state import with_member
from cpdd.sampling.cap import Cap
from cpdd.sampling.document import EMPTY, Document, Policy
from cpdd.sampling.expiry import Alarm
from cpdd.sampling.hooks import after_fork
from cpdd.sampling.snapshot import Lease, Level, Outcome, Snapshot
from cpdd.sampling.thresholds import ALL, MEMBER, RANDOMNESS_MASK, Member, is_kept_by_both, read_member

Mode = Literal["follow", "consistent"]

PARTIAL = "cpdd.sampling.partial"
"""Attribute of the first span of a trace that was sampled from here down, though its caller was not."""
MAX_MEMBERS = 1024
MAX_OLD_LEASES = 256

_IS_VALID = 5
"""Position in a SpanContext."""
_DROP = SamplingResult(Decision.DROP)
_KEEP = Decision.RECORD_AND_SAMPLE


@dataclass(frozen=True, slots=True)
class Ceilings:
    """What this program grants to policies at most, whoever sends them."""

    probability: float = 1.0
    boost_s: float = 3_600.0
    """How long a boost may last from when it comes here."""
    traces_per_second: int | None = None
    """Root spans that are kept in a second; those above are dropped, and no count is claimed for what is kept then."""
    detail: str = "af"
    """The letters of what a boost may turn up, by `cpdd.detail_letters`; not what people's queries say."""


@dataclass(frozen=True, slots=True)
class Count:
    """Decisions since the last time they were asked for."""

    operation: str
    rule: str
    seen: int
    kept: int

    def __add__(self, other: "Count") -> "Count":
        return Count(self.operation, self.rule, self.seen + other.seen, self.kept + other.kept)


class DynamicSampler(Sampler):
    """Samples by policies; `apply` replaces them, for every tracer that exists."""

    def __init__(
        self,
        service: str,
        *,
        baseline: float = 1.0,
        mode: Mode = "follow",
        resource: Mapping[str, object] | None = None,
        ceilings: Ceilings = Ceilings(),
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """Args:
        service: `service.name`, by which policies say whom they concern.
        baseline: probability where no policy says more.
        mode: with a remote parent, `follow` takes its decision; `consistent` keeps when R >= T of its own.
        resource: more attributes of the resource.
        clock: monotonic, in s; ends of boosts are kept on it.
        wall_clock: Unix time in s, where a document does not say when it was sent.
        """
        self.service = service
        self.mode = mode
        self._is_consistent = mode == "consistent"
        self._resource = {**(resource or {}), "service.name": service}
        self.baseline = baseline
        self._ceilings = ceilings
        self._cap = None if ceilings.traces_per_second is None else Cap(ceilings.traces_per_second, clock)
        self._clock = clock
        self._wall_clock = wall_clock
        self._leases: dict[str, Lease] = {}
        self._deadlines: dict[tuple[str, int], float] = {}
        self._members: dict[str, Member] = {}
        self._document = EMPTY
        self._retired: list[Snapshot] = []
        self._lock = threading.RLock()
        self.detail = ""
        """The letters of what live boosts turn up, of any service, as far as this program grants it."""
        self.span_losses: Callable[[], tuple[int, int]] = lambda: (0, 0)
        """How many spans of this program arrived and how many were lost, since its start; for the report."""
        self.is_short = threading.Event()
        """Set when a boost could add more than was granted; whoever can have more granted clears it."""
        self._snapshot = self._compile()
        self._alarm = Alarm(self._end_boosts, clock)
        after_fork(self, DynamicSampler._begin_in_child)

    @property
    def document(self) -> Document:
        """The policies that were applied last; boosts in it may have ended."""
        return self._document

    def apply(self, document: Document) -> None:
        """Replace the policies, for all decisions from here on. Ends of boosts count from now."""
        now, wall_ms = self._clock(), self._wall_clock() * 1000
        with self._lock:
            self._deadlines = {
                (policy.id, policy.expires_unix_ms): self._deadline(policy, document, now, wall_ms)
                for policy in document.policies
                if policy.expires_unix_ms is not None
            }
            self._document = document
            wanted = {policy.lease for policy in document.policies if policy.max_traces is not None}
            for lease in wanted - self._leases.keys():
                self._leases[lease] = Lease()
            self._forget_leases(wanted)
            self._swap()

    def grant(self, leases: Mapping[str, int]) -> None:
        """Take note of how many traces this process may add under boosts, in all since each began."""
        with self._lock:
            changed = False
            for name, total in leases.items():
                lease = self._leases.get(name)
                if lease is not None and total > lease.granted:
                    lease.grant(total)
                    changed = True
            if changed:
                self._snapshot.refresh()

    def limit(self, traces_per_second: int | None) -> None:
        """Set the hard cap that the source of policies asks for; the program's own stays where it is lower."""
        own = self._ceilings.traces_per_second
        wanted = min((limit for limit in (own, traces_per_second) if limit is not None), default=None)
        if wanted != (self._cap.per_second if self._cap else None):
            self._cap = None if wanted is None else Cap(wanted, self._clock)

    def leases(self) -> dict[str, int]:
        """Return how many traces were added under each lease."""
        return {name: lease.used for name, lease in list(self._leases.items())}

    def harvest(self, interval_s: float) -> list[Count]:
        """Return what was decided since the last call, which was `interval_s` ago, and begin the next second."""
        found: dict[tuple[str, str], Count] = {}
        with self._lock:
            retired, self._retired = self._retired, []
            for snapshot in (*retired, self._snapshot):
                for outcome in snapshot.outcomes():
                    count = _count(outcome)
                    outcome.begin_second(count.seen, interval_s)
                    if count.seen or count.kept:
                        key = count.operation, count.rule
                        found[key] = found[key] + count if key in found else count
        return list(found.values())

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Return the decision. What goes wrong is told, and costs this span."""
        try:
            context = get_current() if parent_context is None else parent_context
            if context:
                parent = get_current_span(context).get_span_context()
                if parent[_IS_VALID]:
                    return self._below(parent, context, trace_id, name, kind, attributes)
            snapshot = self._snapshot
            outcome = snapshot.fixed.get(name) or snapshot.find(name, kind, attributes, context)
            outcome.seen += 1
            level = outcome.level
            randomness = trace_id & RANDOMNESS_MASK
            if randomness < level.threshold:
                return _DROP
            if level.ends_s is not None and self._clock() >= level.ends_s:
                level = outcome.refresh()
            if randomness < level.threshold or not self._may_keep(outcome, level, randomness):
                return _DROP
            cap = self._cap
            if cap is not None and cap.is_biting:
                return SamplingResult(_KEEP, attributes)
            state = level.state
            if level.detail and state is not None and (letters := level.letters(randomness)):
                state = with_detail(state, letters)
            return SamplingResult(_KEEP, attributes, state)
        except Exception as error:
            tell("deciding on a span", error)
            return _DROP

    def get_description(self) -> str:
        return f"cpdd.DynamicSampler{{service={self.service},mode={self.mode},baseline={self.baseline:g}}}"

    def _below(
        self,
        parent: SpanContext,
        context: Context,
        trace_id: int,
        name: str,
        kind: SpanKind | None,
        attributes: Attributes,
    ) -> SamplingResult:
        """Decide on a span with a parent. Inside the service its decision holds in either mode."""
        _, _, is_remote, flags, state, _ = parent  # a tuple, whose properties cost a call each
        is_sampled = flags & 1 == 1
        if is_remote:
            if self._is_consistent:
                outcome = self._snapshot.fixed.get(name) or self._snapshot.find(name, kind, attributes, context)
                return self._independent(outcome, state, trace_id, attributes)
            if not is_sampled and self._snapshot.here is not None:
                here = self._snapshot.here.find(name, kind, attributes, context)
                if here is not None:
                    return self._independent(here, state, trace_id, {**(attributes or {}), PARTIAL: True})
            text = state._dict.get(MEMBER)  # its methods are Python, and cost as much as all that follows
            if text is not None:
                member = self._members.get(text)
                if member is None:
                    if is_kept_by_both(text) is is_sampled:
                        return _followed(is_sampled, attributes, state)
                    member = self._read(state)
                threshold, explicit, _, is_said = member
                if is_said:
                    randomness = trace_id & RANDOMNESS_MASK if explicit is None else explicit
                    if threshold is None or (randomness >= threshold) is not is_sampled:  # not what the caller did
                        state = _with(state, member, None)
        # as `_followed`, whose call would be a twentieth of the decision
        if is_sampled:
            return SamplingResult(_KEEP, attributes, state)
        return SamplingResult(Decision.DROP, None, state) if state else _DROP

    def _independent(
        self, outcome: Outcome, state: TraceState, trace_id: int, attributes: Attributes
    ) -> SamplingResult:
        """Decide by this service's own threshold, whatever the parent did."""
        member = self._read(state)
        randomness = member.randomness_or(trace_id)
        outcome.seen += 1
        level = outcome.level
        if level.ends_s is not None and self._clock() >= level.ends_s:
            level = outcome.refresh()
        if randomness < level.threshold or not self._may_keep(outcome, level, randomness):
            return SamplingResult(Decision.DROP, None, _with(state, member, None)) if state else _DROP
        cap = self._cap
        claimed = None if cap is not None and cap.is_biting else level.threshold
        written = _with(state, member, claimed)
        if level.detail and (letters := level.letters(randomness)):
            written = with_detail(written, letters)
        return SamplingResult(_KEEP, attributes, written)

    def _may_keep(self, outcome: Outcome, level: Level, randomness: int) -> bool:
        """Take the trace, which R lets through, from its boost's lease, its budget's pace and the process's cap."""
        lease = level.lease
        if lease is not None and randomness < level.floor:
            had_one = lease.take()
            if not lease.has_room():  # the next decision falls back before it looks at R
                outcome.refresh()
                self.is_short.set()
            if not had_one:
                return False
        if outcome.room is not None:
            outcome.room -= 1
            if outcome.room <= 0:
                outcome.slow_down()
        cap = self._cap
        if cap is not None and not cap.admits():
            return False
        outcome.kept += 1
        return True

    def _read(self, state: TraceState) -> Member:
        """Read the `ot` member. The few that carry no randomness come again and again, and are remembered."""
        text = state.get(MEMBER, "")
        known = self._members.get(text)
        if known is None:
            known = read_member(text)
            if known.randomness is None:
                if len(self._members) >= MAX_MEMBERS:
                    self._members = {}
                self._members[text] = known
        return known

    def _deadline(self, policy: Policy, document: Document, now: float, wall_ms: float) -> float:
        """When a boost ends, on our clock. One that is sent again does not end later, whatever the sender's clock."""
        assert policy.expires_unix_ms is not None
        sent_ms = wall_ms if document.sent_unix_ms is None else document.sent_unix_ms
        lasts_s = min((policy.expires_unix_ms - sent_ms) / 1000, self._ceilings.boost_s)
        before = self._deadlines.get((policy.id, policy.expires_unix_ms))
        return now + lasts_s if before is None else min(before, now + lasts_s)

    def _forget_leases(self, wanted: set[str]) -> None:
        """Forget the oldest leases that no policy needs. Not at once: a boost that comes back goes on counting."""
        unwanted = [name for name in self._leases if name not in wanted]
        for name in unwanted[: max(0, len(unwanted) - MAX_OLD_LEASES)]:
            del self._leases[name]

    def _compile(self) -> Snapshot:
        """Compile what is live now."""
        now = self._clock()
        live = tuple(
            policy
            for policy in self._document.policies
            if policy.expires_unix_ms is None or self._deadlines[policy.id, policy.expires_unix_ms] > now
        )
        ends_s = {policy_id: end for (policy_id, _), end in self._deadlines.items()}
        letters = letters_of(detail for policy in live for detail in policy.detail)
        self.detail = common(letters, self._ceilings.detail)
        document = replace(self._document, policies=live)
        return Snapshot(
            document, self._resource, self.baseline, self._leases, self._ceilings.probability, ends_s, self._clock
        )

    def _swap(self) -> None:
        snapshot = self._compile()
        self._retired.append(self._snapshot)
        del self._retired[:-MAX_RETIRED]
        self._snapshot = snapshot
        now = self._clock()
        self._alarm.set(min((end for end in self._deadlines.values() if end > now), default=None))

    def _end_boosts(self) -> None:
        with self._lock:
            self._swap()

    def _begin_in_child(self) -> None:
        """In a forked child: locks of threads that are not there any more, no counts of the parent's, no thread."""
        self._lock = threading.RLock()
        self.is_short = threading.Event()
        self._leases = {name: Lease() for name in self._leases}
        self._retired = []
        self._alarm = Alarm(self._end_boosts, self._clock)
        self._swap()
        self._retired = []


MAX_RETIRED = 64
"""Snapshots whose last counts wait for a harvest that may never be asked for."""


def _count(outcome: Outcome) -> Count:
    seen, kept = outcome.seen, outcome.kept
    before_seen, before_kept = outcome.told
    outcome.told = seen, kept
    return Count(outcome.operation, outcome.level.rule, seen - before_seen, kept - before_kept)


def _followed(is_sampled: bool, attributes: Attributes, state: TraceState) -> SamplingResult:
    """The decision of the parent."""
    if is_sampled:
        return SamplingResult(_KEEP, attributes, state)
    return SamplingResult(Decision.DROP, None, state) if state else _DROP


def _with(state: TraceState, member: Member, threshold: int | None) -> TraceState:
    """Return tracestate whose `ot` says this threshold; other members and sub-keys as they came."""
    value = member.with_threshold(None if threshold is None or threshold >= ALL else threshold)
    return state if value == state.get(MEMBER, "") else with_member(state, MEMBER, value)
