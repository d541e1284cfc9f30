"""What the store answers: plain values, read by the UI, the APIs and the reports.

Times are nanoseconds. Counts that come from sampled traffic are weighted (`float`); beside them stands the number of
traces or calls they rest on (`int`).
"""

from dataclasses import dataclass
from typing import Protocol

from collector.core.detail import DetailedSpans, OutlinedSpans
from collector.core.facts import Facts
from collector.core.population.difference import Compared
from collector.core.requirement import NO_EVIDENCE, Evidence
from collector.core.said import NOTHING_SAID, Mark, Said


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time, [start, end)."""

    start_unix_nano: int
    end_unix_nano: int


@dataclass(frozen=True, slots=True)
class Node:
    """An operation, or a callee without spans of its own (database, queue, third party)."""

    service: str
    operation: str
    kind: str
    """One of `collector.core.dependencies.NODE_KINDS`: OTLP's, or `database`, `queue`, `external`."""


@dataclass(frozen=True, slots=True)
class PathShare:
    """How much of a population's critical path belongs to one service or operation."""

    service: str
    operation: str
    """Empty where the share is a service's."""
    mean_ns: float
    """Per trace of the population, those without it included."""
    share: float
    """Of the mean duration; shares of a population sum to 1."""
    participation: float
    """The share of traces in which it has time on the path."""


@dataclass(frozen=True, slots=True)
class Point:
    """One step of a time series."""

    start_unix_nano: int
    traces: float
    failed: float
    p50_ns: float
    p95_ns: float
    mean_ns: float = 0.0
    """0 where there were no traces."""


@dataclass(frozen=True, slots=True)
class JourneySummary:
    journey: str
    traces: int
    weighted_traces: float
    failed: float
    """Weighted number of traces whose journey failed."""
    status_known: bool
    """False: no trace said whether it succeeded, so that `failed` means nothing."""
    rate_per_s: float
    mean_ns: float
    p50_ns: float
    p95_ns: float
    p99_ns: float
    max_ns: int
    slowest_trace_id: str
    path: tuple[PathShare, ...]
    """By service, largest first."""
    series: tuple[Point, ...]
    squares: float = 0.0
    """Sum of the squared weights of the traces."""


@dataclass(frozen=True, slots=True)
class CallPath:
    """Time on the critical path at one position of the call tree; the flame graph of a population."""

    id: int
    parent: int
    """Id of the caller's call path, 0 for the root's."""
    service: str
    operation: str
    kind: str
    mean_ns: float
    participation: float
    error_ns: float | None = None
    """Standard error of `mean_ns`, None where it is not known."""


@dataclass(frozen=True, slots=True)
class Edge:
    """A caller operation that reaches a callee operation in one journey."""

    id: int
    journey: str
    caller: Node
    callee: Node
    kind: str
    """`rpc`, `messaging`, `database` or `internal`."""
    traces: int
    calls: float
    failed: float
    survived: float
    """Failed calls after which the caller ended well."""
    waited: float
    """Calls that the caller waited for."""
    declared_mandatory: float
    declared_optional: float
    status_known: bool
    critical_share: float
    """Time on the critical path below the edge, relative to the journey's duration."""
    mean_ns: float
    """Mean duration of a call."""
    attempts: float = 0.0
    """Retries and hedges count here; `calls` has them once."""
    journey_survived: float = 0.0
    """Failed calls after which the journey ended well."""
    confounded: float = 0.0
    """Failed calls beside which another call failed; they are no evidence."""
    confounded_survived: float = 0.0
    delivered: float = 0.0
    """Messages of which it is known how long they waited in the queue."""
    wait_ns: float = 0.0
    """How long those waited, on average."""
    evidence: Evidence = NO_EVIDENCE
    """What `requirement.judge` decides by: more than the window of the other figures holds."""
    journey_evidence: Evidence = NO_EVIDENCE
    """Likewise of what became of the journey, rather than of the caller."""
    basis: str = ""
    """Where the evidence comes from: `version 1.4.2` of the caller, or `30 days`."""
    fallbacks: tuple[tuple[Node, float], ...] = ()
    """What was called in a failed call's place, and how often."""
    weighted_traces: float = 0.0
    """Traces with the call."""
    own_failed: float = 0.0
    """Failed calls whose callee was taken down neither by a failed call below it nor by an injected fault."""
    blamed: float = 0.0
    """Failed traces that this call has the blame for: the deepest failed call that nobody above it survived."""
    injected: float = 0.0
    """Of the failed calls, those that somebody made fail, by an injected fault or delay."""
    said: Said = NOTHING_SAID
    """Of a span around a call: how long its caller waits at most, and what it has instead."""
    blamed_injected: float = 0.0
    """Of the failed traces that this call has the blame for, those in which somebody made it fail."""
    around: str = ""
    """What the mark around the call declares, where the call itself is not declared."""

    @property
    def declared(self) -> str:
        """`mandatory`, `optional`, `mixed` where callers disagree, or empty."""
        return declared_word(self.declared_mandatory, self.declared_optional)

    @property
    def as_declared(self) -> str:
        """What is declared of the call, or of the mark around it."""
        return self.declared or self.around


def declared_word(mandatory: float, optional: float) -> str:
    """Return what so many calls that are declared one thing, and so many that are declared the other, are together."""
    if mandatory and optional:
        return "mixed"
    return "mandatory" if mandatory else "optional" if optional else ""


class Call(Protocol):
    """What every way of saying an edge has."""

    @property
    def callee(self) -> Node: ...

    @property
    def kind(self) -> str: ...


def mark_of(call: Call) -> Mark | None:
    """Return the span around a call that an edge leads to, None of other edges."""
    return (call.callee.service, call.callee.operation) if call.kind == "internal" else None


@dataclass(frozen=True, slots=True)
class PathPoint:
    """One step of a journey's path over time."""

    start_unix_nano: int
    mean_ns: float
    """Of the traces' durations; 0 where there were none."""
    path: tuple[PathShare, ...]
    """By service, largest first."""


@dataclass(frozen=True, slots=True)
class Durations:
    """A stretch of durations that somebody asks about. It means whole wide buckets (`histogram.WIDE`): those between
    the bounds nearest to its ends, one at least."""

    min_ns: float | None
    """None: from the shortest on."""
    max_ns: float | None
    """None: up to the longest."""


@dataclass(frozen=True, slots=True)
class BandDetail:
    """The traces of a journey between two durations, and where they spend their time."""

    name: str
    """One of `collector.core.population.levels.BANDS`, or of `collector.store.bands`: `all`, `stretch`."""
    from_ns: float
    to_ns: float
    """Bounds of its wide buckets (`histogram.WIDE`); what `Reader.band_examples` takes."""
    traces: int
    weighted_traces: float
    mean_ns: float
    call_paths: tuple[CallPath, ...]


@dataclass(frozen=True, slots=True)
class LatencyBar:
    """A bar of the histogram of latency; it belongs to one band whole."""

    from_ns: float
    to_ns: float
    weighted_traces: float
    band: str


@dataclass(frozen=True, slots=True)
class Latency:
    """How long the traces of a journey take, and where the faster and the slower ones spend their time."""

    whole: BandDetail
    """All of them, under the name `all`."""
    bands: tuple[BandDetail, ...]
    """Fastest first; those without traces are left out."""
    bars: tuple[LatencyBar, ...]
    """Fastest first, without the empty ones."""
    stretch: BandDetail | None = None
    """The durations that were asked about, with or without traces; None where none were."""


@dataclass(frozen=True, slots=True)
class PathChange:
    """What became of one call path between two windows."""

    id: int
    caller: str
    """Service that calls it, empty at the top."""
    service: str
    operation: str
    kind: str
    figures: Compared


Sides = tuple[tuple[str, ...] | None, tuple[str, ...] | None]
"""Ids of the traces that count before and after; None for all."""
EVERY_TRACE: Sides = (None, None)


@dataclass(frozen=True, slots=True)
class JourneyDifference:
    """A journey in two windows."""

    a: JourneySummary
    b: JourneySummary
    whole: Compared
    """Of the duration."""
    changes: tuple[PathChange, ...]
    """Of the own times of call paths, the largest first; with each other they make up the whole."""


@dataclass(frozen=True, slots=True)
class TraceOutcome:
    """How a request ended."""

    trace_id: str
    start_unix_nano: int
    duration_ns: int
    journey: str
    failed: bool
    settled: bool
    """Nothing of it is waited for any more."""


@dataclass(frozen=True, slots=True)
class TraceSummary(TraceOutcome):
    root_service: str
    root_operation: str
    status_known: bool
    spans: int
    errors: int
    services: tuple[str, ...]
    completeness: float
    ambiguity: float
    path: tuple[PathShare, ...]
    """By service, largest first; `participation` is 1."""


@dataclass(frozen=True, slots=True)
class Examples:
    """Some traces of many."""

    slowest: tuple[TraceSummary, ...]
    """First."""
    failed: tuple[TraceSummary, ...]
    """Newest first."""
    newest: tuple[TraceSummary, ...]
    """First."""


@dataclass(frozen=True, slots=True)
class JourneyDetail:
    summary: JourneySummary
    operations: tuple[PathShare, ...]
    """By operation, largest first."""
    call_paths: tuple[CallPath, ...]
    edges: tuple[Edge, ...]
    over_time: tuple[PathPoint, ...]
    """The path in the steps of the summary's series; a step without traces is empty."""
    latency: Latency
    examples: Examples


@dataclass(frozen=True, slots=True)
class CellExamples:
    """Traces of a band that have a call path on their path."""

    slowest: TraceSummary | None
    typical: TraceSummary | None
    """Whose time in the call path is nearest to the median."""
    failed: TraceSummary | None
    """The slowest of those that failed."""


@dataclass(frozen=True, slots=True)
class CallsWanted:
    """Traces in which one of these calls failed, or was on the critical path."""

    edges: tuple[tuple[str, int], ...]
    """Journey and id of an edge; none: no trace has one."""
    failed: bool
    """Whether the call failed; else it, or what is below it, has time on the critical path."""


@dataclass(frozen=True, slots=True)
class TraceQuery:
    """Which traces; unset fields do not restrict. Newest first, or slowest first."""

    window: Window
    journey: str = ""
    service: str = ""
    operation: str = ""
    attributes: tuple[tuple[str, str], ...] = ()
    """Attributes that one span of the trace (or its resource) has, all on the same span."""
    error: str = ""
    """Text that the status message or an exception of a span has in it, whatever its case."""
    on_path: bool = False
    """The service and the operation have time on the critical path, rather than a span anywhere."""
    min_duration_ns: int = 0
    max_duration_ns: int = 0
    failed_only: bool = False
    ok_only: bool = False
    """Those that did not fail; of some no span says how they ended."""
    calls: CallsWanted | None = None
    slowest_first: bool = False
    limit: int = 20

    @property
    def asks_spans(self) -> bool:
        """Whether its spans must be looked through, since the row of a trace does not say it."""
        return bool((self.operation and not self.on_path) or self.attributes or self.error)


@dataclass(frozen=True, slots=True)
class TracePoint:
    """A trace as a point of a picture."""

    trace_id: str
    start_unix_nano: int
    duration_ns: int
    failed: bool
    journey: str


@dataclass(frozen=True, slots=True)
class TracePoints:
    """Traces over a whole range: all of them, or a sample, with the slowest and more of those that failed beside it."""

    points: tuple[TracePoint, ...]
    """The sample first."""
    sampled: int
    """So many of the points are the sample."""
    of_about: int
    """How many traces there are; exact where the sample is all of them, else give or take 5 %."""


@dataclass(frozen=True, slots=True)
class ServiceCalls:
    """Calls from service to service, as the Jaeger dependency API shows them."""

    parent: str
    child: str
    call_count: int


@dataclass(frozen=True, slots=True)
class ServiceFacts(Facts):
    """What the resource of a service said of it, and when: one of these for each deployment that said otherwise."""

    first_seen_unix_nano: int
    """To the hour or so; likewise the last."""
    last_seen_unix_nano: int


@dataclass(frozen=True, slots=True)
class KeptLonger:
    """A trace that stays when others of its age are dropped."""

    until_unix_nano: int
    reasons: tuple[str, ...]
    """As in `kept_traces`: failed, slow, path, example, pinned, or boost and its id; none where it is copied anew
    because it was kept before."""


@dataclass(frozen=True, slots=True)
class StoredTrace:
    """A trace as its page shows it."""

    spans: OutlinedSpans
    details: DetailedSpans | None
    """The same spans in full, where they were asked for."""
    outcome: TraceOutcome | None
    """None before it was analyzed."""
    kept_longer: KeptLonger | None
    """None where it goes as others do."""


@dataclass(frozen=True, slots=True)
class StoreInfo:
    spans: int
    traces: int
    bytes_on_disk: int
    oldest_unix_nano: int
    newest_unix_nano: int
