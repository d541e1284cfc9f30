"""What pages, APIs and reports read: the store's side of `ui.views.reader.TraceReader`.

Every value that a person or a span brought travels as a parameter of its query, never as SQL. Thread-safe: a client
is borrowed for each answer.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

from collector.core.detail import DetailedSpans, OutlinedSpans
from collector.core.findings.tracking import Tracked
from collector.core.journeys import Journey
from collector.core.objectives import Standing
from collector.core.population.difference import Compared, compare_sums
from collector.core.population.regressions import CallPathHours
from collector.core.sessions import Whole, join_sessions
from collector.core.spans import SpanBatch
from collector.store import names
from collector.store.bands import PATH_COLUMNS, Wide, aligned, latency_of, read_wide, wide_of
from collector.store.dictionaries import CallPaths, Edges, PathStep
from collector.store.edge_rows import JourneyEdges, edges_of, read_edges, read_journey_edges, read_service_calls
from collector.store.engine import Store
from collector.store.evidence import evidence_of
from collector.store.evidence_rows import EvidenceRows, past_of
from collector.store.hours import read_hours
from collector.store.inventory import store_info
from collector.store.journey_rows import JourneyRows, read_journey
from collector.store.journeys import PathsByService, journey_summaries, path_series, path_shares, traces_of
from collector.store.judgements import read_findings, read_standings
from collector.store.keeping import kept_longer
from collector.store.last_traces import BUDGET_S, newest_alike
from collector.store.lookup import (
    MAX_SPANS,
    Place,
    find_place,
    find_places,
    lie_by_shelf,
    read_batch,
    read_outlines,
    read_spans,
)
from collector.store.minute_rows import read_few
from collector.store.path_times import PathTimes, times_of_journeys, times_of_rows, times_of_steps
from collector.store.pins import Pins
from collector.store.recent import journey_totals
from collector.store.recent_places import RecentPlaces
from collector.store.searches import choose_traces, find_band_examples, find_examples, find_traces
from collector.store.sessions import tries_of
from collector.store.side_by_side import Asked
from collector.store.trace_points import BUDGET_S as POINTS_S
from collector.store.trace_points import read_points
from collector.store.trace_summaries import Row, oldest_and_newest, row_of
from collector.store.values import (
    EVERY_TRACE,
    BandDetail,
    CallPath,
    CellExamples,
    Durations,
    Edge,
    Examples,
    JourneyDetail,
    JourneyDifference,
    JourneySummary,
    KeptLonger,
    Latency,
    PathChange,
    PathShare,
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
from collector.store.which_minutes import Minutes, with_versions

AT_A_TIME = 100
"""Traces that one query reads: the spans of so many, with what they say, are in memory at once."""


class Reader:
    """Answers about stored and analyzed traces."""

    def __init__(self, store: Store, places: RecentPlaces | None = None) -> None:
        """Args:
        places: where the traces lie that came of late, if this process alone inserts into the store.
        """
        self._store = store
        self._places = places
        self._call_paths = CallPaths()
        self._edges = Edges()
        self._evidence_past = past_of(store)

    @cached_property
    def pins(self) -> Pins:
        """The traces that are to stay, of the same store."""
        return Pins(self._store)

    def place(self, trace_id: str) -> Place | None:
        """Return where the spans of a trace (32 hex digits) lie, None where there are none."""
        if not _is_trace_id(trace_id):
            return None
        with self._store.client() as client:
            found = find_places(client, [trace_id.lower()])
        return replace(found[0], by_shelf=self._by_shelf) if found else None

    @cached_property
    def _by_shelf(self) -> bool:
        with self._store.client() as client:
            return lie_by_shelf(client)

    def trace(self, trace_id: str) -> DetailedSpans | None:
        """Return the spans of a trace, without exact copies, or None where there is none."""
        return next(self.traces([trace_id]), None)

    def stored(self, trace_id: str, in_full: bool = False) -> StoredTrace | None:
        """Return a trace as its page shows it, or None where no span of it is stored.

        Args:
            in_full: with its spans in full; their outlines alone are read in three quarters of the time.
        """
        if not _is_trace_id(trace_id):
            return None
        looked = self._find_place(trace_id.lower())
        found, whole = self._stored(looked, in_full) if looked else (None, False)
        if not whole:
            place = self.place(trace_id)  # and where its copies lie
            if place and (found is None or place != looked):
                found, _ = self._stored(place, in_full)
        return found

    def _find_place(self, trace_id: str) -> Place | None:
        if self._places is not None and (place := self._places.find(trace_id)):
            return replace(place, by_shelf=self._by_shelf)
        with self._store.client() as client:
            return find_place(client, trace_id, self._by_shelf)

    def _stored(self, place: Place, in_full: bool) -> tuple[StoredTrace | None, bool]:
        """Return what is stored of a trace at a place, and whether that is sure to be all of it."""
        beside = Asked(lambda: self._beside_spans(place))
        spans = self._listed(place, in_full)
        row, kept = beside.answer()
        if spans is None:
            return None, False
        outlined, details = (spans.outlined, spans) if isinstance(spans, DetailedSpans) else (spans, None)
        number = len(spans.batch)
        all_there = number >= row.spans if place.sure else row.outcome is not None and number == row.spans
        return StoredTrace(outlined, details, row.outcome, kept), all_there and kept is None

    def _beside_spans(self, place: Place) -> tuple[Row, KeptLonger | None]:
        with self._store.client() as client:
            row = row_of(client, place.trace_id, place.window)
            return row, kept_longer(client, place.trace_id) if row.may_be_kept or place.kept else None

    def _listed(self, place: Place, in_full: bool) -> DetailedSpans | OutlinedSpans | None:
        with self._store.client() as client:
            return read_spans(client, [place.trace_id], [place]) if in_full else read_outlines(client, place)

    def traces(self, trace_ids: Sequence[str]) -> Iterator[DetailedSpans]:
        """Yield the spans of these traces, those of several at a time, of whichever are stored.

        A query for each trace takes longer than what it reads. Traces so large that several would be cut are read
        one by one.
        """
        wanted = list(dict.fromkeys(trace_id.lower() for trace_id in trace_ids if _is_trace_id(trace_id)))
        for begin in range(0, len(wanted), AT_A_TIME):
            yield from self._some_traces(wanted[begin : begin + AT_A_TIME])

    def _some_traces(self, trace_ids: list[str]) -> list[DetailedSpans]:
        with self._store.client() as client:
            together = read_spans(client, trace_ids)
            if together is None or len(together.batch) < MAX_SPANS or len(trace_ids) == 1:
                return [together] if together else []
            return [alone for each in trace_ids if (alone := read_spans(client, [each])) is not None]

    def spans_of(self, trace_ids: Sequence[str]) -> SpanBatch | None:
        """Return the spans of these traces, None where none is stored."""
        wanted = [trace_id.lower() for trace_id in trace_ids if _is_trace_id(trace_id)]
        with self._store.client() as client:
            return read_batch(client, wanted) if wanted else None

    def outcome(self, trace_id: str) -> TraceOutcome | None:
        """Return how a trace ended, or None before it was analyzed."""
        place = self.place(trace_id)
        if place is None:
            return None
        with self._store.client() as client:
            return row_of(client, place.trace_id, place.window).outcome

    def find(self, query: TraceQuery) -> list[TraceSummary]:
        """Return the traces that `query` asks for, newest (or slowest) first."""
        with self._store.client() as client:
            return find_traces(client, self._call_paths, query)

    def newest_alike(self, query: TraceQuery, budget_s: float = BUDGET_S) -> int | None:
        """Return the start of the newest trace like `query` outside its window, None where there is none in time.

        Args:
            budget_s: how long it may take.
        """
        with self._store.client() as client:
            return newest_alike(client, self._call_paths, query, oldest_and_newest(client)[1], budget_s)

    def points(self, query: TraceQuery, budget_s: float = POINTS_S) -> TracePoints | None:
        """Return points of all the traces that `query` asks for, or of a sample; None where it takes too long.

        Args:
            budget_s: how long it may take.
        """
        with self._store.client() as client:
            return read_points(client, self._call_paths, query, budget_s)

    def journeys(self, window: Window) -> list[JourneySummary]:
        """Return the journeys with traces in the minutes that the window touches, most traces first."""
        with self._store.client() as client:
            minutes = Minutes.of(window, *oldest_and_newest(client))
            paths = Asked(lambda: self._paths_by_service(minutes))
            return journey_summaries(client, minutes, paths.answer)

    def median_ns(self, journey: str, window: Window) -> float | None:
        """Return the median duration of a journey's traces in the minutes that the window touches, None without any."""
        with self._store.client() as client:
            rows = read_journey(client, with_versions(client, Minutes.of(window)), journey)
        return rows.summary({}).p50_ns if rows else None

    def choose(
        self, journey: str, window: Window, attributes: tuple[tuple[str, str], ...], service: str = ""
    ) -> tuple[str, ...]:
        """Return the traces of a journey that have every one of the attributes, each on any span or its resource.

        Ids of the newest `searches.MAX_CHOSEN`, from the minutes that the window touches. Reads the spans of the
        window, where `latency` and the others read a row a minute.

        Args:
            service: only its spans count; empty for those of all.
        """
        with self._store.client() as client:
            return choose_traces(client, journey, window, attributes, service)

    def journey(
        self,
        journey: str,
        window: Window,
        chosen: tuple[str, ...] | None = None,
        examples: int = 0,
        durations: Durations | None = None,
    ) -> JourneyDetail | None:
        """Return one journey in the minutes that the window touches, None where it has no traces.

        Args:
            chosen: the traces that count, as `choose` finds them; likewise of `latency`. What the journey's calls are
                needed for is judged by all of its traces.
            examples: so many of the slowest traces, of the newest that failed, and of the newest.
            durations: a stretch of them, of which `latency` tells, too.
        """
        evidence = Asked(lambda: evidence_of(self._evidence(Minutes.of(window), journey)).get(journey, {}))
        with self._store.client() as client:
            minutes = replace(Minutes.of(window, *oldest_and_newest(client)), chosen=chosen)
            minutes = with_versions(client, minutes)
            edges = Asked(lambda: self._journey_edges(journey, minutes))
            rows = read_journey(client, minutes, journey)
            if rows is None:
                return None
            found = Asked(lambda: self._examples(journey, window, rows, examples, chosen))
            few = read_few(client, minutes, "path_minutes", PATH_COLUMNS, journey)
            wide = Asked(lambda: self._wide(journey, minutes, rows) if few is None else wide_of(rows, few))
            times = times_of_steps(client, minutes, journey) if few is None else times_of_rows(few, minutes)
            known = self._call_paths.with_ancestors(client, times.paths)
        summary = rows.summary(times.together(journey).by_service(known))
        call_paths, operations = _paths(summary, times, known)
        return JourneyDetail(
            summary,
            operations,
            call_paths,
            edges_of(edges.answer(), evidence.answer(), summary.mean_ns * summary.weighted_traces),
            path_series(summary, times.by_service(known)),
            latency_of(wide.answer(), known, durations),
            found.answer(),
        )

    def failed_shares(self, window: Window) -> dict[str, float]:
        """Return what share of each journey's traces failed, of journeys whose spans say how they ended."""
        minutes = Minutes.of(window)
        with self._store.client() as client:
            found = journey_totals(client, minutes.first_s, minutes.last_s)
        return {name: one.failed / one.weight for name, one in found.items() if one.status_known and one.weight}

    def traces_of(self, journey: str, window: Window) -> int:
        """Return how many traces a journey has in the minutes that the window touches."""
        with self._store.client() as client:
            return traces_of(client, Minutes.of(window), journey)

    def latency(
        self,
        journey: str,
        window: Window,
        chosen: tuple[str, ...] | None = None,
        durations: Durations | None = None,
    ) -> Latency | None:
        """Return how long the traces of a journey take, band by band; None where it has none.

        Reads a row a minute and call path, whatever the number of traces.
        """
        minutes = replace(Minutes.of(window), chosen=chosen)
        with self._store.client() as client:
            rows = read_journey(client, minutes, journey)
            if rows is None:
                return None
            wide = read_wide(client, minutes, rows, journey)
            return latency_of(wide, self._call_paths.with_ancestors(client, wide[2]), durations)

    def difference(
        self, journey: str, before: Window, after: Window, chosen: Sides = EVERY_TRACE
    ) -> JourneyDifference | None:
        """Return what became of a journey from one window to another, None where either has no traces of it.

        Args:
            chosen: the traces that count, of either window, as `choose` finds them.
        """
        with self._store.client() as client:
            stretch = oldest_and_newest(client)
            sides = [
                replace(Minutes.of(window, *stretch), chosen=ids)
                for window, ids in zip((before, after), chosen, strict=True)
            ]
            rows = [found for minutes in sides if (found := read_journey(client, minutes, journey)) is not None]
            if len(rows) < len(sides):
                return None
            wide = [read_wide(client, minutes, found, journey) for minutes, found in zip(sides, rows, strict=True)]
            times = [times_of_journeys(client, minutes, journey) for minutes in sides]
            ids = sorted({number for _, _, seen in wide for number in seen})
            known = self._call_paths.with_ancestors(client, ids)
        was, is_now = (found.summary(each.by_service(known)) for found, each in zip(rows, times, strict=True))
        a, b = (aligned(sums.merged(), seen, ids) for _, sums, seen in wide)
        whole, figures = compare_sums(a, b)
        changes = [_path_change(number, known, each) for number, each in zip(ids, figures, strict=True)]
        changes.sort(key=lambda change: (-abs(change.figures.delta_ns), change.id))
        return JourneyDifference(was, is_now, whole, tuple(changes))

    def call_paths(self, ids: Sequence[int]) -> dict[int, PathStep]:
        """Return what call paths are, and all above them, by id."""
        with self._store.client() as client:
            return self._call_paths.with_ancestors(client, ids)

    def call_path_hours(self, journey: str, window: Window) -> dict[int, CallPathHours]:
        """Return the hours of a journey's call paths, by id: what `regressions.watch_journey` judges."""
        with self._store.client() as client:
            return read_hours(client, self._call_paths, Minutes.of(window, 0), journey)

    def band_examples(
        self, journey: str, window: Window, band: BandDetail, path_id: int, chosen: tuple[str, ...] | None = None
    ) -> CellExamples:
        """Return traces of a band that have time in a call path. Reads the rows of the band's traces."""
        with self._store.client() as client:
            return find_band_examples(client, self._call_paths, journey, window, band, path_id, chosen)

    def sessions(self, journey: Journey, window: Window) -> Whole:
        """Return how the sessions of a journey of several steps fared, those that were over in the window."""
        first_s, last_s = window.start_unix_nano // 1_000_000_000, window.end_unix_nano // 1_000_000_000
        with self._store.client() as client:
            tries = tries_of(client, journey, first_s, last_s)
        return join_sessions(journey, tries, window.end_unix_nano)

    def services(self) -> list[str]:
        with self._store.client() as client:
            return names.services(client)

    def operations(self, service: str) -> list[tuple[str, str]]:
        """Return (operation, kind) pairs; kind as in `Node.kind`."""
        with self._store.client() as client:
            return names.operations(client, service)

    def operations_named(self, text: str) -> list[tuple[str, str]]:
        """Return (service, operation) pairs of what has this text in its name, in any case; exact ones first."""
        with self._store.client() as client:
            return names.operations_named(client, text)

    def service_facts(self, service: str = "") -> list[ServiceFacts]:
        """Return what services said of themselves (or one of them), by service, what was seen last first."""
        with self._store.client() as client:
            return names.service_facts(client, service)

    def service_calls(self, window: Window) -> list[ServiceCalls]:
        """Return how often services called each other, in the minutes that the window touches."""
        with self._store.client() as client:
            return read_service_calls(client, Minutes.of(window))

    def newest_trace_unix_nano(self) -> int | None:
        """Return the start of the newest analyzed trace, None for an empty store."""
        with self._store.client() as client:
            return oldest_and_newest(client)[1] or None

    def info(self) -> StoreInfo:
        """Return how much is stored; copies of spans that are not dropped yet count."""
        return store_info(self._store)

    def _paths_by_service(self, minutes: Minutes) -> PathsByService:
        with self._store.client() as client:
            times = times_of_journeys(client, minutes)
            return times.by_service(self._call_paths.known(client, times.paths))

    def _wide(self, journey: str, minutes: Minutes, rows: JourneyRows) -> Wide:
        with self._store.client() as client:
            return read_wide(client, minutes, rows, journey)

    def _examples(
        self, journey: str, window: Window, rows: JourneyRows, wanted: int, chosen: tuple[str, ...] | None
    ) -> Examples:
        if not wanted:
            return Examples((), (), ())
        among = rows.minutes_with_examples(wanted)
        with self._store.client() as client:
            return find_examples(client, self._call_paths, journey, window, wanted, among, chosen)

    def _evidence(self, minutes: Minutes, journey: str | None = None, failed_only: bool = False) -> EvidenceRows:
        with self._store.client() as client:
            return self._evidence_past.read(client, minutes.last_s, journey, failed_only)

    def _journey_edges(self, journey: str, minutes: Minutes) -> JourneyEdges:
        with self._store.client() as client:
            return read_journey_edges(client, self._edges, minutes, journey)

    def calls(self, window: Window, became: str = "", journey: str = "") -> dict[str, tuple[Edge, ...]]:
        """Return the edges of all journeys, or of the one, in the window's minutes.

        With what decides whether they are needed, without shares of the path and what was called in their place; of
        what never failed, there is no evidence.

        Args:
            became: only those that failed, or had time on the path, as `edge_rows.read_edges` says; empty for all.
        """
        minutes, of = Minutes.of(window), journey or None
        evidence = Asked(lambda: self._evidence(minutes, of, failed_only=True))
        with self._store.client() as client:
            return read_edges(client, self._edges, minutes, evidence.answer, {}, of, became)

    def edges(self, minutes: Minutes, durations_ns: Mapping[str, float]) -> dict[str, tuple[Edge, ...]]:
        """Return the edges of all journeys.

        Args:
            durations_ns: of each journey, the durations of its traces, weighted and summed.
        """
        with self._store.client() as client:  # by the judge, whom nobody waits for: the threads are the pages'
            return read_edges(client, self._edges, minutes, lambda: self._evidence(minutes), durations_ns)

    def findings(self) -> list[Tracked]:
        """Return every finding that is open, and those that cleared lately."""
        with self._store.client() as client:
            return read_findings(client)

    def standings(self) -> dict[str, tuple[Standing, ...]]:
        """Return how the promises of journeys stood when they were judged last."""
        with self._store.client() as client:
            return read_standings(client)


def _paths(
    summary: JourneySummary, times: PathTimes, known: Mapping[int, PathStep]
) -> tuple[tuple[CallPath, ...], tuple[PathShare, ...]]:
    """Time on the path by call path and by operation."""
    weight = summary.weighted_traces
    by_path = times.by_path()
    call_paths = []
    operations: dict[tuple[str, str], tuple[float, float]] = {}
    for number, step in known.items():
        time_ns, with_time, first = by_path.get(number, (0.0, 0.0, 0.0))
        call_paths.append(CallPath(number, *step, mean_ns=time_ns / weight, participation=with_time / weight))
        key = (step.service, step.operation)
        before_ns, before = operations.get(key, (0.0, 0.0))
        operations[key] = (before_ns + time_ns, before + first)
    shares = path_shares(
        [(*names, time_ns, first) for names, (time_ns, first) in operations.items() if time_ns > 0],
        weight,
        summary.mean_ns * weight,
    )
    return tuple(sorted(call_paths, key=lambda path: (-path.mean_ns, path.id))), shares


def _path_change(number: int, known: Mapping[int, PathStep], figures: Compared) -> PathChange:
    step = known.get(number, PathStep(0, "", "", ""))
    above = known.get(step.parent)
    return PathChange(number, above.service if above else "", step.service, step.operation, step.kind, figures)


def _is_trace_id(text: str) -> bool:
    return re.fullmatch(r"[0-9a-fA-F]{32}", text) is not None
