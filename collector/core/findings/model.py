"""What a finding is, and what rules look at. Values only; rules stand in modules of their own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

from collector.core.availability import Nine, Operation, Proportion
from collector.core.journeys import Journey
from collector.core.mandatory import Step
from collector.core.naming import Inventor
from collector.core.objectives import Standing
from collector.core.queue_promises import QueuePromise
from collector.core.requirement import MANDATORY, UNDETERMINED, as_known
from collector.core.said import NOTHING_SAID, Said
from collector.core.sessions import Whole

HIDDEN_MANDATORY = "hidden mandatory"
NEEDLESS_MANDATORY = "needless mandatory"
BLOCKING = "optional but blocking"
MISSING_NINE = "missing nine"
INVERSION = "criticality inversion"
NEW_EDGE = "new edge"
LOST_EDGE = "lost edge"
CHANGED_REQUIREMENT = "changed requirement"
CYCLE = "cycle"
OTHER_FATE = "journey disagrees"
BROKEN_CONTEXT = "broken context"
UNBOUNDED_NAMES = "unbounded names"
BUDGET_BURNING = "budget burning"
TOO_SLOW = "too slow"
SLOWER = "slower than its past"
QUEUE_LATE = "queue late"
TIMEOUT = "timeout incoherent"

STRUCTURE = frozenset({HIDDEN_MANDATORY, NEEDLESS_MANDATORY, OTHER_FATE, BLOCKING, INVERSION, CYCLE})
"""Kinds that stay until something disproves them; the others say what is now, and clear when it is over."""

FAILING, BURNING, NOTICE = "failing", "burning", "notice"
URGENCIES = (FAILING, BURNING, NOTICE)
"""Worst first. Only a promise that is being broken is more than a notice."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A number behind a finding."""

    name: str
    value: float
    unit: str
    """`share`, `count`, `ns` or `times`."""
    interval: tuple[float, float] | None = None
    """95 %, in the same unit."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that somebody should know or do. Text has no figures: they are in `facts`."""

    kind: str
    journey: str
    """Empty where it is about no journey in particular."""
    subject: str
    """What tells it from others of its kind and journey; the same in every round."""
    title: str
    advice: str
    service: str
    """Whose team has to act."""
    urgency: str = NOTICE
    caller: Operation | None = None
    callee: Operation | None = None
    edge_id: int = 0
    """The edge that it is about, 0 for none."""
    facts: tuple[Fact, ...] = ()
    owner: str = ""
    examples: tuple[str, ...] = ()
    """Ids of traces that show it."""
    version: str = ""
    """Of the service when it was found."""

    @property
    def id(self) -> str:
        return finding_id(self.kind, self.journey, self.subject)


@dataclass(frozen=True, slots=True)
class Disproved:
    """What a rule says of a finding of structure that the evidence now speaks against."""

    kind: str
    journey: str
    subject: str
    because: str

    @property
    def id(self) -> str:
        return finding_id(self.kind, self.journey, self.subject)


def finding_id(kind: str, journey: str, subject: str) -> str:
    """Return 16 hex digits: a finding is found again under the same id."""
    return blake2b("\0".join((kind, journey, subject)).encode(errors="surrogatepass"), digest_size=8).hexdigest()


# What rules look at


@dataclass(frozen=True, slots=True)
class ServiceFacts:
    """What a service says of itself in its resource."""

    owner: str = ""
    contact: str = ""
    criticality: str = ""
    version: str = ""

    @property
    def spoken_owner(self) -> str:
        """Owner and how to reach them, as far as the service says so."""
        return " ".join(part for part in (self.owner, self.contact) if part)


@dataclass(frozen=True, slots=True)
class EdgeSeen:
    """An edge of a journey with its evidence. Counts are weighted."""

    id: int
    caller: Operation
    callee: Operation
    kind: str
    calls: float
    failed: float
    waited: float
    critical_share: float
    """Time on the critical path below it, relative to the journey's duration."""
    declared: str
    """`mandatory`, `optional`, `mixed` where callers disagree, or empty."""
    verdict: str
    survival: float | None
    interval: tuple[float, float]
    """Of survival, 95 %."""
    blamed: float = 0.0
    injected: float = 0.0
    """Of the failed, those that somebody made fail."""
    blamed_injected: float = 0.0
    """Of the blamed, those that somebody made fail."""
    journey_verdict: str = UNDETERMINED
    """What its failures did to the journey."""
    attempts: float = 0.0
    """Retries and hedges count here."""
    mean_ns: float = 0.0
    """Of a call, from its first attempt to the end of the one that counts."""
    said: Said = NOTHING_SAID
    """Of a span around a call: how long its caller waits at most, and what it has instead."""
    more_failures: int = 0
    """How many more failures of the call alone would decide; 0 where it is decided, or no number would."""
    around: str = ""
    """What the mark around the call declares, where the call itself is not declared."""

    @property
    def as_declared(self) -> str:
        """What is declared of the call, or of the mark around it."""
        return self.declared or self.around

    @property
    def requirement(self) -> str:
        """Whether the caller needs it, as seen, else as said."""
        return as_known(self.verdict, self.as_declared)

    @property
    def needed(self) -> bool:
        return self.requirement == MANDATORY

    @property
    def step(self) -> Step[Operation]:
        """The edge, as `mandatory` walks it."""
        return Step(
            caller=self.caller,
            callee=self.callee,
            verdict=self.verdict,
            declared=self.as_declared,
            journey=self.journey_verdict,
            is_mark=self.kind == "internal",
            is_delivery=self.caller[2] == "queue",
        )

    @property
    def deadline_ns(self) -> int:
        """How long its caller waits at most, where it says so; 0: nobody said."""
        return self.said.deadline_ns

    @property
    def is_misdeclared(self) -> bool:
        """Whether it was seen to be other than it is declared."""
        return bool(self.declared) and self.verdict not in (UNDETERMINED, self.declared)

    @property
    def subject(self) -> str:
        return f"{self.id:016x}"


@dataclass(frozen=True, slots=True)
class JourneySeen:
    """A journey as it was seen lately."""

    name: str
    traces: int
    edges: tuple[EdgeSeen, ...] = ()
    said: Journey | None = None
    """What `cpdd.toml` says of it."""
    standings: tuple[Standing, ...] = ()
    nines: tuple[Nine, ...] = ()
    root_failed: float = 0.0
    """Failed traces that no call has the blame for."""
    weight: float = 0.0
    """How many traces these stand for."""
    whole: Whole | None = None
    """Of a journey of several steps: how its sessions fared; its traces are those of its steps."""


@dataclass(frozen=True, slots=True)
class EdgeHistory:
    """When an edge was seen, and how many traces of its journey there were before, meanwhile and after; unweighted."""

    id: int
    journey: str
    caller: Operation
    callee: Operation
    first_s: int
    last_s: int
    traces: int
    """With the call."""
    before: int
    meanwhile: int
    after: int


@dataclass(frozen=True, slots=True)
class VerdictChange:
    """An edge whose verdict is another one than before; both were determined."""

    id: int
    journey: str
    caller: Operation
    callee: Operation
    before: str
    after: str
    since_unix_nano: int


@dataclass(frozen=True, slots=True)
class ContextBreak:
    """Traces that begin in the middle: at an operation that is otherwise called, or at a span without its parent."""

    service: str
    operation: str
    begins: int
    """Traces (or fragments of traces) that begin there."""
    calls: float
    """Calls of it by others in the same time."""
    hop: Operation | None
    """The caller on the way from which the context was lost; None where nobody is known to call it."""
    orphans: bool
    """They have a parent that never came; else they have none at all."""
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class QueueSeen:
    """How long the messages of one edge waited lately, against what the queue promises."""

    edge_id: int
    journey: str
    queue: Operation
    consumer: Operation
    promised: QueuePromise
    kept: Proportion
    """The share that was received in time."""
    late: float
    """Messages that were not."""
    messages: float
    typical_wait_ns: float
    """A mean, or the median."""
    waited_for: bool
    """Whether the journey waits for what becomes of them."""


@dataclass(frozen=True, slots=True)
class PastSeen:
    """A journey that is slower than the same hours used to be, and the deepest call that explains it."""

    journey: str
    is_critical: bool
    """Else it is a warning."""
    caller: Operation | None
    """None where the journey's own first operation explains it."""
    callee: Operation
    delta_ns: float
    """Of the time on the path in the call and below it, per trace: this hour less its past."""
    past_ns: float
    spreads: float
    """`delta_ns` in spreads of the past."""
    hours: int
    """Of the past that it rests on."""
    explained: float
    """The call's share of the journey's change."""
    others: int
    """Calls that changed too, and are not explained by it."""


@dataclass(frozen=True, slots=True)
class Look:
    """Everything that the rules see in one round; what was not looked at this time is None."""

    now_unix_nano: int
    journeys: tuple[JourneySeen, ...] = ()
    services: Mapping[str, ServiceFacts] = field(default_factory=dict)
    histories: tuple[EdgeHistory, ...] = ()
    changes: tuple[VerdictChange, ...] = ()
    breaks: tuple[ContextBreak, ...] = ()
    inventor: Inventor | None = None
    queues: tuple[QueueSeen, ...] = ()
    pasts: tuple[PastSeen, ...] = ()

    def facts_of(self, service: str) -> ServiceFacts:
        return self.services.get(service, ServiceFacts())


def calls_made_from(journey: JourneySeen) -> Mapping[Operation, list[EdgeSeen]]:
    """Return the edges of a journey by their caller."""
    found: dict[Operation, list[EdgeSeen]] = {}
    for edge in journey.edges:
        found.setdefault(edge.caller, []).append(edge)
    return found


def failures_of(edge: EdgeSeen) -> tuple[Fact, ...]:
    """Return what a verdict on an edge rests on; failures that somebody made are marked."""
    injected = (Fact("of these injected", edge.injected, "count"),) if edge.injected else ()
    return (Fact("calls", edge.calls, "count"), Fact("failed", edge.failed, "count"), *injected)


def spoken_callee(edge: EdgeSeen, made_from: Mapping[Operation, list[EdgeSeen]]) -> str:
    """Return what the callee is called in a sentence; of a span around a call also what is called inside."""
    inside = [one for one in made_from.get(edge.callee, []) if one.callee[0] != edge.callee[0]]
    if edge.callee[2] != "internal" or not inside:
        return spoken(edge.callee)
    busiest = max(inside, key=lambda one: (one.calls, one.id))
    return f"{edge.callee[1]} ({spoken(busiest.callee)})"


def spoken(operation: Operation) -> str:
    """Return what an operation is called in a sentence."""
    service, name, kind = operation
    return " ".join(part for part in (service, name) if part) or kind
