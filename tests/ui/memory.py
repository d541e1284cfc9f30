"""A TraceReader in memory: the pages' tests without an engine. What it answers comes from the real analysis."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, replace
from zlib import crc32

import numpy as np

from collector.core.analysis import analyze_traces
from collector.core.dependencies import NODE_KINDS
from collector.core.detail import DetailedSpans
from collector.core.facts import facts_of
from collector.core.findings.tracking import Tracked
from collector.core.journeys import Journey
from collector.core.mandatory import declared_by_marks
from collector.core.objectives import Standing
from collector.core.population.difference import compare_sums
from collector.core.population.sums import Sums
from collector.core.requirement import Evidence, Share
from collector.core.sessions import Try, Whole, join_sessions
from collector.core.spans import SpanBatch, concatenate
from collector.store.bands import Wide, aligned, latency_of
from collector.store.dictionaries import PathStep
from collector.store.histogram import bucket_of, wide_buckets
from collector.store.lookup import Place
from collector.store.values import (
    EVERY_TRACE,
    BandDetail,
    CallPath,
    CallsWanted,
    CellExamples,
    Durations,
    Edge,
    Examples,
    JourneyDetail,
    JourneyDifference,
    JourneySummary,
    KeptLonger,
    Latency,
    Node,
    PathChange,
    PathPoint,
    PathShare,
    Point,
    ServiceCalls,
    ServiceFacts,
    Sides,
    StoredTrace,
    StoreInfo,
    TracePoint,
    TracePoints,
    TraceQuery,
    TraceSummary,
    Window,
)

POINTS = 60


@dataclass(frozen=True, slots=True)
class _Trace:
    summary: TraceSummary
    spans: DetailedSpans
    path: dict[int, int]
    """Time by call path."""
    edges: tuple[dict[str, int], ...]
    services: frozenset[str]


class MemoryReader:
    """Holds traces; every question is answered by going through them."""

    def __init__(self, traces: Iterable[DetailedSpans] = ()) -> None:
        self._traces: list[_Trace] = []
        self._call_paths: dict[int, CallPath] = {}
        self._edges: dict[int, Edge] = {}
        self.judged: list[Tracked] = []
        self.promises: dict[str, tuple[Standing, ...]] = {}
        self.kept: dict[str, KeptLonger] = {}
        """By trace id."""
        self.most_points = 400
        """Of a sample."""
        for spans in traces:
            self.add(spans)

    def add(self, spans: DetailedSpans) -> None:
        """Take the spans of one trace."""
        learned = analyze_traces(spans.batch, ("",) * len(spans.batch), version=1, settles_at_unix_nano=0)
        rows = learned.traces
        self._explain_ids(learned.call_paths, learned.edges)
        path = _pairs(rows, "Path.Id", "Path.TimeNs")
        edges = tuple(
            {
                name.removeprefix("Edge."): int(rows[name].values[i])
                for name in rows
                if name.startswith("Edge.") and name != "Edge.CallerVersion"
            }
            for i in range(len(rows["Edge.Id"].values))
        )
        duration = int(rows["DurationNs"][0])
        summary = TraceSummary(
            trace_id=rows["TraceId"][0],
            start_unix_nano=int(rows["Start"][0]),
            duration_ns=duration,
            journey=rows["Journey"][0],
            root_service=rows["RootService"][0],
            root_operation=rows["RootOperation"][0],
            failed=bool(rows["Failed"][0]),
            status_known=bool(rows["StatusKnown"][0]),
            spans=int(rows["Spans"][0]),
            errors=int(rows["Errors"][0]),
            services=tuple(rows["ServiceList"].values),
            completeness=float(rows["Completeness"][0]),
            ambiguity=float(rows["Ambiguity"][0]),
            settled=True,
            path=self._shares([path], [duration], by_operation=False),
        )
        self._traces.append(_Trace(summary, spans, path, edges, frozenset(summary.services)))

    def _explain_ids(self, paths: dict, edges: dict) -> None:
        for i, id_ in enumerate(paths["Id"].tolist()):
            of = (int(paths["Parent"][i]), paths["Service"][i], paths["Operation"][i], paths["Kind"][i])
            self._call_paths[id_] = CallPath(id_, *of, mean_ns=0.0, participation=0.0)
        for i, id_ in enumerate(edges["Id"].tolist()):
            caller, callee = (
                Node(*(edges[f"{end}{part}"][i] for part in ("Service", "Operation", "Kind")))
                for end in ("Caller", "Callee")
            )
            self._edges[id_] = Edge(id_, "", caller, callee, edges["Kind"][i], *(0,) * 7, True, 0.0, 0.0)

    # What the pages ask

    def place(self, trace_id: str) -> Place | None:
        found = self.outcome(trace_id)
        if found is None:
            return None
        start_s = found.start_unix_nano // 1_000_000_000
        return Place(trace_id, start_s, start_s, kept=trace_id in self.kept)

    def trace(self, trace_id: str) -> DetailedSpans | None:
        return next((trace.spans for trace in self._traces if trace.summary.trace_id == trace_id), None)

    def stored(self, trace_id: str, in_full: bool = False) -> StoredTrace | None:
        spans = self.trace(trace_id)
        if spans is None:
            return None
        kept = self.kept.get(trace_id)
        return StoredTrace(spans.outlined, spans if in_full else None, self.outcome(trace_id), kept)

    def outcome(self, trace_id: str) -> TraceSummary | None:
        return next((trace.summary for trace in self._traces if trace.summary.trace_id == trace_id), None)

    def find(self, query: TraceQuery) -> list[TraceSummary]:
        found = [trace.summary for trace in self._traces if _matches(self, trace, query)]
        found.sort(key=lambda s: -s.duration_ns if query.slowest_first else -s.start_unix_nano)
        return found[: query.limit]

    def newest_alike(self, query: TraceQuery) -> int | None:
        found = self.find(replace(query, window=Window(0, 2**63 - 1), slowest_first=False))
        starts = [trace.start_unix_nano for trace in found]
        outside = [at for at in starts if not query.window.start_unix_nano <= at < query.window.end_unix_nano]
        return max(outside, default=None)

    def points(self, query: TraceQuery) -> TracePoints | None:
        found = self.find(replace(query, limit=len(self._traces)))
        by_hash = sorted(found, key=lambda trace: crc32(trace.trace_id.encode()))
        slow_first = sorted(by_hash, key=lambda trace: -trace.duration_ns)
        failed = [trace for trace in by_hash if trace.failed]
        sample = by_hash[: self.most_points]
        beside = [*slow_first[: self.most_points // 10], *failed[: self.most_points // 5]]
        points = dict.fromkeys(
            TracePoint(t.trace_id, t.start_unix_nano, t.duration_ns, t.failed, t.journey) for t in (*sample, *beside)
        )
        return TracePoints(tuple(points), len(sample), len(found))

    def median_ns(self, journey: str, window: Window) -> float | None:
        return next((each.p50_ns for each in self.journeys(window) if each.journey == journey), None)

    def journeys(self, window: Window) -> list[JourneySummary]:
        names = Counter(trace.summary.journey for trace in self._traces if _inside(trace, window))
        return [self._summary(name, window) for name, _ in names.most_common()]

    def choose(
        self, journey: str, window: Window, attributes: tuple[tuple[str, str], ...], service: str = ""
    ) -> tuple[str, ...]:
        return tuple(
            trace.summary.trace_id
            for trace in self._of(journey, window)
            if all(
                _matches(self, trace, TraceQuery(window, service=service, attributes=(attribute,)))
                for attribute in attributes
            )
        )

    def journey(
        self,
        journey: str,
        window: Window,
        chosen: tuple[str, ...] | None = None,
        examples: int = 0,
        durations: Durations | None = None,
    ) -> JourneyDetail | None:
        traces = self._of(journey, window, chosen)
        latency = self.latency(journey, window, chosen, durations)
        if latency is None:
            return None
        newest = sorted((t.summary for t in traces), key=lambda summary: -summary.start_unix_nano)
        slowest = sorted(newest, key=lambda summary: -summary.duration_ns)
        failed = [summary for summary in newest if summary.failed]
        times, durations = [t.path for t in traces], [t.summary.duration_ns for t in traces]
        return JourneyDetail(
            summary=self._summary(journey, window, chosen),
            operations=self._shares(times, durations, by_operation=True),
            call_paths=self._flame(times),
            edges=self._journey_edges(journey, traces),
            over_time=self._over_time(traces, window),
            latency=latency,
            examples=Examples(*(tuple(some[:examples]) for some in (slowest, failed, newest))),
        )

    def _over_time(self, traces: Sequence[_Trace], window: Window) -> tuple[PathPoint, ...]:
        return tuple(
            PathPoint(
                start,
                sum(t.summary.duration_ns for t in found) / len(found) if found else 0.0,
                self._shares([t.path for t in found], [t.summary.duration_ns for t in found], by_operation=False)
                if found
                else (),
            )
            for start, found in _in_steps(traces, window)
        )

    def failed_shares(self, window: Window) -> dict[str, float]:
        summaries = self.journeys(window)
        return {one.journey: one.failed / one.weighted_traces for one in summaries if one.status_known}

    def traces_of(self, journey: str, window: Window) -> int:
        return len(self._of(journey, window))

    def calls(self, window: Window, became: str = "", journey: str = "") -> dict[str, tuple[Edge, ...]]:
        names = {trace.summary.journey for trace in self._traces if journey in ("", trace.summary.journey)}
        edges = {name: self._journey_edges(name, self._of(name, window)) for name in names}
        return {name: tuple(edge for edge in found if _became(edge, became)) for name, found in edges.items()}

    def latency(
        self,
        journey: str,
        window: Window,
        chosen: tuple[str, ...] | None = None,
        durations: Durations | None = None,
    ) -> Latency | None:
        wide = self._wide(self._of(journey, window, chosen))
        return latency_of(wide, self._steps(), durations) if wide else None

    def band_examples(
        self, journey: str, window: Window, band: BandDetail, path_id: int, chosen: tuple[str, ...] | None = None
    ) -> CellExamples:
        there = [
            trace
            for trace in self._of(journey, window, chosen)
            if band.from_ns < trace.summary.duration_ns <= band.to_ns and trace.path.get(path_id)
        ]
        slow_first = [t.summary for t in sorted(there, key=lambda trace: -trace.summary.duration_ns)]
        typical = sorted(there, key=lambda trace: trace.path[path_id])[len(there) // 2 :]
        failed = [summary for summary in slow_first if summary.failed]
        return CellExamples(
            next(iter(slow_first), None), next((t.summary for t in typical), None), next(iter(failed), None)
        )

    def difference(
        self, journey: str, before: Window, after: Window, chosen: Sides = EVERY_TRACE
    ) -> JourneyDifference | None:
        wide = [self._wide(self._of(journey, window, ids)) for window, ids in zip((before, after), chosen, strict=True)]
        if wide[0] is None or wide[1] is None:
            return None
        ids = sorted({*wide[0][2], *wide[1][2]})
        whole, figures = compare_sums(*(aligned(sums.merged(), seen, ids) for _, sums, seen in wide))
        changes = [
            PathChange(id_, self._steps()[c.parent].service if c.parent else "", c.service, c.operation, c.kind, figure)
            for id_, figure in zip(ids, figures, strict=True)
            for c in [self._call_paths[id_]]
        ]
        changes.sort(key=lambda change: -abs(change.figures.delta_ns))
        return JourneyDifference(
            self._summary(journey, before, chosen[0]), self._summary(journey, after, chosen[1]), whole, tuple(changes)
        )

    def traces(self, trace_ids: Sequence[str]) -> Iterator[DetailedSpans]:
        return (trace.spans for trace in self._traces if trace.summary.trace_id in trace_ids)

    def spans_of(self, trace_ids: Sequence[str]) -> SpanBatch | None:
        found = [trace.spans.batch for trace in self._traces if trace.summary.trace_id in trace_ids]
        return concatenate(found) if found else None

    def _steps(self) -> dict[int, PathStep]:
        return {id_: PathStep(c.parent, c.service, c.operation, c.kind) for id_, c in self._call_paths.items()}

    def _wide(self, traces: Sequence[_Trace]) -> Wide | None:
        """Sums by wide bucket and call path, by plain arithmetic."""
        if not traces:
            return None
        of_trace = wide_buckets(np.array([bucket_of(trace.summary.duration_ns) for trace in traces]))
        buckets, group = np.unique(of_trace, return_inverse=True)
        ids = sorted({id_ for trace in traces for id_, time in trace.path.items() if time})
        t = np.array([trace.summary.duration_ns for trace in traces], float)
        s = np.array([[trace.path.get(id_, 0) for id_ in ids] for trace in traces], float)

        def add(values: np.ndarray) -> np.ndarray:
            total = np.zeros((len(buckets), *values.shape[1:]), values.dtype)
            np.add.at(total, group, values)
            return total

        count, there = add(np.ones(len(traces), np.int64)), add((s > 0).astype(np.int64))
        sums = Sums(
            traces=count, weight=count.astype(float), squares=count.astype(float), t=add(t), tt=add(t**2),
            there=there.astype(float), there_traces=there, s=add(s), ss=add(s**2), st=add(s * t[:, None]),
        )  # fmt: skip
        return buckets, sums, ids

    def sessions(self, journey: Journey, window: Window) -> Whole:
        tries = []
        for trace in self._traces:
            rows = [row for row in range(len(trace.spans.batch)) if not trace.spans.batch.parent_span_id[row]]
            keys = [dict(trace.spans.detail(row).attributes).get(journey.session) for row in rows]
            if trace.summary.journey in journey.steps and _inside(trace, window) and keys and keys[0]:
                summary = trace.summary
                tries.append(
                    Try(str(keys[0]), summary.journey, summary.start_unix_nano, summary.failed, summary.trace_id)
                )
        return join_sessions(journey, tries, window.end_unix_nano)

    def services(self) -> list[str]:
        return sorted(set().union(*(trace.services for trace in self._traces)))

    def operations(self, service: str) -> list[tuple[str, str]]:
        found = set()
        for trace in self._traces:
            batch = trace.spans.batch
            for row in np.flatnonzero(np.array([batch.text(i) == service for i in batch.service])):
                found.add((batch.text(int(batch.name[row])), NODE_KINDS[int(batch.kind[row])]))
        return sorted(found)

    def operations_named(self, text: str) -> list[tuple[str, str]]:
        return [
            (service, name)
            for service in self.services()
            for name in dict.fromkeys(name for name, _ in self.operations(service))
            if text.casefold() in name.casefold()
        ]

    def service_facts(self, service: str = "") -> list[ServiceFacts]:
        found = {}
        for trace in self._traces:
            for row in range(len(trace.spans.batch)):
                facts = facts_of(trace.spans.detail(row).resource.attributes)
                at = trace.summary.start_unix_nano
                first, last = found.get(facts, (at, at))
                found[facts] = min(first, at), max(last, at)
        rows = [ServiceFacts(*astuple(facts), *seen) for facts, seen in found.items() if facts.service]
        wanted = [row for row in rows if service in ("", row.service)]
        return sorted(wanted, key=lambda row: (row.service, -row.last_seen_unix_nano))

    def service_calls(self, window: Window) -> list[ServiceCalls]:
        calls: Counter[tuple[str, str]] = Counter()
        for trace in self._traces:
            for edge in trace.edges if _inside(trace, window) else ():
                ends = self._edges[edge["Id"]]
                calls[ends.caller.service, ends.callee.service] += edge["Calls"]
        return [ServiceCalls(parent, child, count) for (parent, child), count in sorted(calls.items())]

    def findings(self) -> list[Tracked]:
        return list(self.judged)

    def standings(self) -> dict[str, tuple[Standing, ...]]:
        return dict(self.promises)

    def newest_trace_unix_nano(self) -> int | None:
        return max((trace.summary.start_unix_nano for trace in self._traces), default=None)

    def info(self) -> StoreInfo:
        starts = [trace.summary.start_unix_nano for trace in self._traces]
        spans = sum(trace.summary.spans for trace in self._traces)
        return StoreInfo(spans, len(self._traces), 0, min(starts, default=0), max(starts, default=0))

    def is_on_path(self, trace: _Trace, service: str, operation: str) -> bool:
        paths = [self._call_paths[id_] for id_, time in trace.path.items() if time]
        return any(service in ("", path.service) and operation in ("", path.operation) for path in paths)

    # Populations

    def _of(self, journey: str, window: Window, chosen: tuple[str, ...] | None = None) -> list[_Trace]:
        found = [trace for trace in self._traces if trace.summary.journey == journey and _inside(trace, window)]
        return [trace for trace in found if chosen is None or trace.summary.trace_id in chosen]

    def _summary(self, journey: str, window: Window, chosen: tuple[str, ...] | None = None) -> JourneySummary:
        traces = self._of(journey, window, chosen)
        durations = np.array([trace.summary.duration_ns for trace in traces], float)
        slowest = max(traces, key=lambda trace: trace.summary.duration_ns).summary
        p50, p95, p99 = np.percentile(durations, (50, 95, 99))
        seconds = (window.end_unix_nano - window.start_unix_nano) / 1e9
        return JourneySummary(
            journey=journey,
            traces=len(traces),
            weighted_traces=float(len(traces)),
            failed=float(sum(trace.summary.failed for trace in traces)),
            status_known=any(trace.summary.status_known for trace in traces),
            rate_per_s=len(traces) / seconds,
            mean_ns=float(durations.mean()),
            p50_ns=float(p50),
            p95_ns=float(p95),
            p99_ns=float(p99),
            max_ns=slowest.duration_ns,
            slowest_trace_id=slowest.trace_id,
            path=self._shares([t.path for t in traces], durations.tolist(), by_operation=False),
            series=_series(traces, window),
            squares=float(len(traces)),
        )

    def _shares(
        self, times: Sequence[dict[int, int]], durations: Sequence[float], by_operation: bool
    ) -> tuple[PathShare, ...]:
        summed: Counter[tuple[str, str]] = Counter()
        present: Counter[tuple[str, str]] = Counter()
        for path in times:
            mine: Counter[tuple[str, str]] = Counter()
            for id_, time in path.items():
                call = self._call_paths[id_]
                mine[call.service, call.operation if by_operation else ""] += time
            summed.update(mine)
            present.update(key for key, time in mine.items() if time)
        whole = sum(durations)
        shares = [
            PathShare(*key, time / len(times), time / whole if whole else 0.0, present[key] / len(times))
            for key, time in summed.items()
        ]
        return tuple(sorted(shares, key=lambda share: (-share.mean_ns, share.service, share.operation)))

    def _flame(self, times: Sequence[dict[int, int]]) -> tuple[CallPath, ...]:
        summed: Counter[int] = Counter()
        present: Counter[int] = Counter()
        for path in times:
            summed.update(path)
            present.update(id_ for id_, time in path.items() if time)
        for id_ in list(summed):
            while id_ in self._call_paths and id_:
                summed[id_] += 0
                id_ = self._call_paths[id_].parent
        return tuple(
            CallPath(id_, c.parent, c.service, c.operation, c.kind, time / len(times), present[id_] / len(times))
            for id_, time in summed.items()
            for c in [self._call_paths[id_]]
        )

    def _journey_edges(self, journey: str, traces: Sequence[_Trace]) -> tuple[Edge, ...]:
        sums: defaultdict[int, Counter[str]] = defaultdict(Counter)
        for trace in traces:
            for edge in trace.edges:
                sums[edge["Id"]].update(edge, traces=1)
        whole = sum(trace.summary.duration_ns for trace in traces)
        known = any(trace.summary.status_known for trace in traces)
        edges = [
            Edge(
                id=id_,
                journey=journey,
                caller=self._edges[id_].caller,
                callee=self._edges[id_].callee,
                kind=self._edges[id_].kind,
                traces=s["traces"],
                calls=float(s["Calls"]),
                failed=float(s["Failed"]),
                survived=float(s["Survived"]),
                waited=float(s["Waited"]),
                declared_mandatory=float(s["DeclaredMandatory"]),
                declared_optional=float(s["DeclaredOptional"]),
                status_known=known,
                critical_share=s["PathNs"] / whole if whole else 0.0,
                mean_ns=s["DurationNs"] / s["Calls"],
                confounded=float(s["Confounded"]),
                confounded_survived=float(s["ConfoundedSurvived"]),
                evidence=Evidence(
                    Share(float(s["Alone"]), float(s["AloneWell"]), float(s["Alone"])),
                    Share(float(s["Quiet"]), float(s["QuietWell"]), float(s["Quiet"])),
                    known,
                ),
                weighted_traces=float(s["traces"]),
                own_failed=float(s["OwnFailed"]),
                blamed=float(s["Blamed"]),
                injected=float(s["Injected"]),
                blamed_injected=float(s["BlamedInjected"]),
            )
            for id_, s in sums.items()
        ]
        marks = declared_by_marks((edge.callee, edge.declared) for edge in edges if edge.kind == "internal")
        edges = [edge if edge.declared else replace(edge, around=marks.get(edge.caller, "")) for edge in edges]
        return tuple(sorted(edges, key=lambda edge: -edge.critical_share))


def _pairs(rows: dict, key: str, value: str) -> dict[int, int]:
    return dict(zip(rows[key].values.tolist(), rows[value].values.tolist(), strict=True))


def _became(edge: Edge, became: str) -> bool:
    return {"": True, "failed": edge.failed > 0, "on-path": edge.critical_share > 0}[became]


def _inside(trace: _Trace, window: Window) -> bool:
    return window.start_unix_nano <= trace.summary.start_unix_nano < window.end_unix_nano


def _matches(reader: MemoryReader, trace: _Trace, query: TraceQuery) -> bool:
    s = trace.summary
    return (
        _inside(trace, query.window)
        and query.journey in ("", s.journey)
        and query.min_duration_ns <= s.duration_ns
        and (not query.max_duration_ns or s.duration_ns <= query.max_duration_ns)
        and (s.failed or not query.failed_only)
        and not (s.failed and query.ok_only)
        and (query.calls is None or any(_is_wanted(s.journey, edge, query.calls) for edge in trace.edges))
        and (not query.on_path or reader.is_on_path(trace, query.service, query.operation))
        and any(_span_matches(trace, row, query) for row in range(len(trace.spans.batch)))
    )


def _is_wanted(journey: str, edge: dict[str, int], calls: CallsWanted) -> bool:
    return (journey, edge["Id"]) in calls.edges and edge["Failed" if calls.failed else "PathNs"] > 0


def _span_matches(trace: _Trace, row: int, query: TraceQuery) -> bool:
    batch = trace.spans.batch
    if not query.on_path and query.service not in ("", batch.text(int(batch.service[row]))):
        return False
    if not query.on_path and query.operation not in ("", batch.text(int(batch.name[row]))):
        return False
    detail = trace.spans.detail(row)
    errors = [str(value) for event in detail.events for key, value in event.attributes if key.startswith("exception.")]
    if not any(query.error.casefold() in said.casefold() for said in (detail.status_message, *errors)):
        return False
    held = {(key, str(value)) for key, value in (*detail.attributes, *detail.resource.attributes)}
    return held.issuperset(query.attributes)


def _in_steps(traces: Sequence[_Trace], window: Window) -> list[tuple[int, list[_Trace]]]:
    """The traces by step of a series, with the step's start."""
    step = (window.end_unix_nano - window.start_unix_nano) // POINTS
    steps: list[list[_Trace]] = [[] for _ in range(POINTS)]
    for trace in traces:
        at = (trace.summary.start_unix_nano - window.start_unix_nano) // step
        steps[min(at, POINTS - 1)].append(trace)
    return [(window.start_unix_nano + i * step, found) for i, found in enumerate(steps)]


def _series(traces: Sequence[_Trace], window: Window) -> tuple[Point, ...]:
    return tuple(_point(start, [trace.summary for trace in found]) for start, found in _in_steps(traces, window))


def _point(start: int, found: Sequence[TraceSummary]) -> Point:
    durations = [s.duration_ns for s in found] or [0]
    p50, p95 = np.percentile(durations, (50, 95))
    return Point(start, float(len(found)), float(sum(s.failed for s in found)), float(p50), float(p95))
