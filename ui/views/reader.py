"""What the pages need to read. `collector.store.reader.Reader` is the real one; tests may bring another."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from collector.core.detail import DetailedSpans
from collector.core.findings.tracking import Tracked
from collector.core.journeys import Journey
from collector.core.objectives import Standing
from collector.core.sessions import Whole
from collector.core.spans import SpanBatch
from collector.store.lookup import Place
from collector.store.values import (
    EVERY_TRACE,
    BandDetail,
    CellExamples,
    Durations,
    Edge,
    JourneyDetail,
    JourneyDifference,
    JourneySummary,
    Latency,
    ServiceCalls,
    ServiceFacts,
    Sides,
    StoredTrace,
    StoreInfo,
    TraceOutcome,
    TracePoints,
    TraceQuery,
    TraceSummary,
    Window,
)


class TraceReader(Protocol):
    """Answers about stored and analyzed traces. Thread-safe."""

    def place(self, trace_id: str) -> Place | None:
        """Return where the spans of a trace (32 hex digits) lie, None where there are none."""

    def trace(self, trace_id: str) -> DetailedSpans | None:
        """Return the spans of a trace, without exact copies, or None where there is none."""

    def stored(self, trace_id: str, in_full: bool = False) -> StoredTrace | None:
        """Return a trace as its page shows it, or None where no span of it is stored.

        Args:
            in_full: with its spans in full.
        """

    def outcome(self, trace_id: str) -> TraceOutcome | None:
        """Return how a trace ended, or None before it was analyzed."""

    def find(self, query: TraceQuery) -> list[TraceSummary]: ...

    def newest_alike(self, query: TraceQuery) -> int | None:
        """Return the start of the newest trace like `query` outside its window.

        None where there is none, or where it takes too long to say.
        """

    def points(self, query: TraceQuery) -> TracePoints | None:
        """Return points of all the traces that `query` asks for, or of a sample, whatever its order and limit.

        None where it takes too long.
        """

    def journeys(self, window: Window) -> list[JourneySummary]:
        """Return the journeys with traces in the window, most traces first."""

    def median_ns(self, journey: str, window: Window) -> float | None:
        """Return the median duration of a journey's traces, None where it has none."""

    def choose(
        self, journey: str, window: Window, attributes: tuple[tuple[str, str], ...], service: str = ""
    ) -> tuple[str, ...]:
        """Return the ids of a journey's traces that have every one of the attributes, each on any span."""

    def journey(
        self,
        journey: str,
        window: Window,
        chosen: tuple[str, ...] | None = None,
        examples: int = 0,
        durations: Durations | None = None,
    ) -> JourneyDetail | None:
        """Return one journey, with so many examples of each kind, None where it has no traces.

        Args:
            chosen: the traces that count; None for all.
            durations: a stretch of them, of which `latency` tells, too.
        """

    def failed_shares(self, window: Window) -> dict[str, float]:
        """Return what share of each journey's traces failed, of journeys whose spans say how they ended."""

    def traces_of(self, journey: str, window: Window) -> int:
        """Return how many traces a journey has."""

    def calls(self, window: Window, became: str = "", journey: str = "") -> dict[str, tuple[Edge, ...]]:
        """Return the edges (that `failed`, or were `on-path`, if `became` says so) by journey; without their shares."""

    def latency(
        self,
        journey: str,
        window: Window,
        chosen: tuple[str, ...] | None = None,
        durations: Durations | None = None,
    ) -> Latency | None:
        """Return how long the traces of a journey take, band by band; None where it has none."""

    def band_examples(
        self, journey: str, window: Window, band: BandDetail, path_id: int, chosen: tuple[str, ...] | None = None
    ) -> CellExamples:
        """Return traces of a band that have time in a call path."""

    def difference(
        self, journey: str, before: Window, after: Window, chosen: Sides = EVERY_TRACE
    ) -> JourneyDifference | None:
        """Return what became of a journey from one window to another, None where either has no traces of it.

        Args:
            chosen: the traces that count, of either window.
        """

    def traces(self, trace_ids: Sequence[str]) -> Iterator[DetailedSpans]:
        """Yield the spans of these traces, those of several at a time, of whichever are stored."""

    def spans_of(self, trace_ids: Sequence[str]) -> SpanBatch | None:
        """Return the spans of these traces, None where none is stored."""

    def sessions(self, journey: Journey, window: Window) -> Whole:
        """Return how the sessions of a journey of several steps fared, those that were over in the window."""

    def services(self) -> list[str]: ...

    def operations(self, service: str) -> list[tuple[str, str]]:
        """Return (operation, kind) pairs; kind as in `Node.kind`."""

    def operations_named(self, text: str) -> list[tuple[str, str]]:
        """Return (service, operation) pairs of what has this text in its name, in any case; exact ones first."""

    def service_facts(self, service: str = "") -> list[ServiceFacts]:
        """Return what services said of themselves (or one of them), by service, what was seen last first."""

    def service_calls(self, window: Window) -> list[ServiceCalls]: ...

    def findings(self) -> list[Tracked]:
        """Return every finding that is open, and those that cleared lately."""

    def standings(self) -> dict[str, tuple[Standing, ...]]:
        """Return how the promises of journeys stood when they were judged last."""

    def newest_trace_unix_nano(self) -> int | None:
        """Return the start of the newest analyzed trace, None for an empty store."""

    def info(self) -> StoreInfo: ...
