"""One journey: what it waits for, what it needs, and traces that show it."""

from dataclasses import dataclass
from itertools import pairwise

from collector.core.findings.tracking import Tracked
from collector.core.population.levels import BANDS
from collector.core.requirement import MANDATORY
from collector.observed import availability_of, nines_of
from collector.store.bands import WHOLE
from collector.store.side_by_side import Asked
from collector.store.values import (
    CallPath,
    Durations,
    Edge,
    Examples,
    JourneyDetail,
    JourneySummary,
    LatencyBar,
    PathShare,
    TraceQuery,
    TraceSummary,
)
from ui.draw.bars import BarPart, bar_parts, sparkline
from ui.draw.flame import flame_graph
from ui.draw.graph import least_width
from ui.draw.histogram import histogram
from ui.draw.over_time import Step, over_time
from ui.draw.text import shown
from ui.draw.units import ago
from ui.views.address import (
    Parameters,
    boost_address,
    examples_address,
    is_addressable,
    journey_address,
    journeys_address,
    search_address,
    trace_address,
)
from ui.views.durations import BAND, MAX, MIN, Part, Stretch, durations_of
from ui.views.errors import NothingThere
from ui.views.findings import FindingRow, finding_row, worst_first
from ui.views.health import Health, failed_share, health_of, slowed_since
from ui.views.journey_answer import journey_answer
from ui.views.journey_graph import WITHOUT_SPANS, EdgeRow, about, box_name, graph_of
from ui.views.journey_need import JourneyNeeds, needs_of
from ui.views.latency import (
    BandRow,
    Contribution,
    are_inside,
    band_bar,
    band_rows,
    bar_addresses,
    columns_of,
    contributions,
    ends_of,
    part_of,
    services_of,
    steps_of,
)
from ui.views.page import RANGE_PARAMETERS, Elsewhere, Page, Parameter, Pictures, Visit
from ui.views.promises import AvailabilityRow, NineRow, PromiseRow, availability_row, nine_row, promise_row
from ui.views.requirement import requirement_of
from ui.views.slower import Slower, slower_of
from ui.views.time_range import TimeRange, address_moment, around, ends_of_steps, range_of
from ui.views.urgency import slow_by
from ui.views.way_share import way_shares
from ui.views.where import WHERE, Where, chosen_by, kept_of, where_of

EXAMPLES = 5
LOOK_BACK_NS = 30 * 86_400 * 1_000_000_000
"""How far a journey without traces in its range is looked for."""

NEED = Parameter("need", "mandatory: calls and graph leave out what the journey can do without")
FOCUS = Parameter("focus", "a service: the graph shows what leads to it and what it calls")
BY_DURATION = (BAND.name, MIN.name, MAX.name)
"""What chooses traces by how long they took."""


@dataclass(frozen=True, slots=True)
class Example:
    trace: TraceSummary
    path: tuple[BarPart, ...]
    address: str


@dataclass(frozen=True, slots=True)
class ExampleGroup:
    title: str
    address: str
    """More of them."""
    traces: tuple[Example, ...]


@dataclass(frozen=True, slots=True)
class JourneyPage:
    range: TimeRange
    journey: str
    answer: str
    health: Health
    slower: Slower | None
    """Since when it takes longer than earlier in the range, and where the added time lies; of all traces alone."""
    failed_share: float
    summary: JourneySummary
    path: tuple[BarPart, ...]
    operations: tuple[PathShare, ...]
    call_paths: tuple[CallPath, ...]
    bars: tuple[LatencyBar, ...]
    """The histogram of latency."""
    bands: tuple[BandRow, ...]
    """Fastest first."""
    band: str
    """The band that was chosen; empty for all traces, and for a stretch."""
    stretch: Stretch | None
    """The durations that were chosen in place of a band."""
    band_mean_ns: float
    """Of the chosen band or stretch; likewise what follows."""
    band_path: tuple[BarPart, ...]
    contributions: tuple[Contribution, ...]
    """Own time of each operation, the largest first."""
    band_call_paths: tuple[CallPath, ...]
    """Empty where neither is chosen."""
    band_search: str
    """Address of a search for its traces; empty where neither is chosen."""
    over_time: tuple[Step, ...]
    edges: tuple[EdgeRow, ...]
    """Largest share of the path first; those that the journey needs, where only they are asked for."""
    needs: JourneyNeeds
    only_mandatory: bool
    """Whether the page leaves out what the journey can do without."""
    owner: str
    promises: tuple[PromiseRow, ...]
    """As they stand now, whatever the range."""
    availability: AvailabilityRow | None
    """In the range; None where no span says how it ended."""
    nines: tuple[NineRow, ...]
    """Mandatory dependencies against one nine more than is promised, worst first."""
    findings: tuple[FindingRow, ...]
    """Open ones, worst first."""
    examples: tuple[ExampleGroup, ...]
    boost: str
    """Address of the page that asks whether to keep more of its traces; empty where it is not known how they begin."""
    focus: str
    """The service that the graph is about; empty for all of them."""
    boxes: tuple[str, ...]
    """What the graph may be about: names of services, databases, queues, third parties."""
    open: tuple[str, ...]
    """Services whose operations the graph shows; `*` for all, empty for what fits."""
    where: str
    """The condition that the traces meet, `key=value`; empty for all traces. Whether calls are needed, promises and
    findings are always about all."""
    traces_of_all: int
    """How many traces there are without the condition."""

    @property
    def choices(self) -> Parameters:
        """What was chosen on this page, beside its range."""
        need = {NEED.name: MANDATORY} if self.only_mandatory else {}
        ends = {MIN.name: self.stretch.min, MAX.name: self.stretch.max} if self.stretch else {}
        said = {FOCUS.name: self.focus, BAND.name: self.band, **ends, WHERE.name: self.where}
        return {**need, **{name: value for name, value in said.items() if value}}

    @property
    def kept(self) -> Parameters:
        """What links of the page to itself keep."""
        return {**self.range.parameters, **self.choices}

    def with_need(self, need: str) -> str:
        """Return the address of this page with all calls (""), or with those alone that it needs in a way."""
        return journey_address(self.journey, {**self.kept, NEED.name: need}, self.open) + "#graph"

    @property
    def journey_address(self) -> str:
        """Where the page's own form leads, without what the form says itself."""
        return journey_address(self.journey)

    def with_focus(self, service: str) -> str:
        """Return the address of this page with a graph of all services (""), or of what is about one."""
        return journey_address(self.journey, {**self.kept, FOCUS.name: service}, self.open) + "#graph"

    def without_where(self) -> str:
        """Return the address of this page about all traces."""
        return journey_address(self.journey, {**self.kept, WHERE.name: ""}, self.open)

    @property
    def part(self) -> str:
        """Which traces the page is about, as it calls them: a band, a stretch of durations; empty for all."""
        return self.stretch.words if self.stretch else self.band

    @property
    def bar_ends(self) -> list[float]:
        """Where the bars of the histogram begin, in ns, and where the last one ends."""
        return ends_of(columns_of(self.bars))

    @property
    def step_ends(self) -> list[str]:
        """Where the steps of the pictures over time begin, as addresses have it, and where the last one ends."""
        starts = [point.start_unix_nano for point in self.summary.series]
        return [address_moment(end) for end in ends_of_steps(starts, self.range.window)]

    def step_addresses(self) -> list[str]:
        """Return the address of this page about each step."""
        return [
            journey_address(self.journey, {"start": start, "end": end, **self.choices}, self.open)
            for start, end in pairwise(self.step_ends)
        ]

    @property
    def flame_calls(self) -> tuple[CallPath, ...]:
        """What the flame graph shows: the call paths of the traces that the page is about."""
        return self.band_call_paths if self.part else self.call_paths

    def flame_addresses(self) -> dict[int, str]:
        """Return the address of the traces behind each call that has time on the path itself, as the table has them."""
        left_out = (NEED.name, FOCUS.name)
        said = {name: value for name, value in self.kept.items() if name not in left_out}
        asked = {**said, **({} if self.part else {BAND.name: WHOLE}), "journey": self.journey}
        timed = (call for call in self.flame_calls if call.mean_ns > 0)
        return {call.id: examples_address({**asked, "path": str(call.id)}) for call in timed}

    @property
    def kept_of_all(self) -> Parameters:
        """What links about other durations keep."""
        return {name: value for name, value in self.kept.items() if name not in BY_DURATION}

    def with_all_traces(self) -> str:
        """Return the address of this page about all durations."""
        return journey_address(self.journey, self.kept_of_all, self.open) + "#latency"


def journey_view(visit: Visit, journey: str) -> JourneyPage | Elsewhere:
    """Return what a journey did in a range; raises NothingThere when it had no trace."""
    if not journey:
        return Elsewhere(journeys_address(visit.range.parameters))
    where = where_of(visit, journey)
    durations = durations_of(visit)
    asked_findings = Asked(lambda: _findings(visit, journey))
    detail = detail_of(visit, journey, where, EXAMPLES, durations)
    edges = sorted(detail.edges, key=lambda edge: (-edge.calls, edge.id))
    needs, words = needs_of(edges, detail.call_paths)
    on_ways = way_shares(edges, detail.call_paths)
    rows = tuple(
        sorted(
            (
                EdgeRow(
                    edge,
                    requirement_of(edge),
                    callee_traces(edge, visit.range),
                    edge_boost(edge),
                    need,
                    on_ways.get(edge.id, 0.0),
                )
                for edge, need in zip(edges, words, strict=True)
            ),
            key=lambda row: -row.path_share,
        )
    )
    only_mandatory = visit.one_of(NEED.name, (MANDATORY,)) == MANDATORY
    said = visit.settings.book.by_name.get(journey)
    standings = visit.reader.standings().get(journey, ()) if said else ()
    since = slowed_since(detail.summary)
    findings = asked_findings.answer()
    found = slow_by((one.finding for one in findings), standings)
    health = health_of(detail.summary, standings, since, visit.now_unix_nano, found)
    slower = slower_of(visit, journey, since, detail.call_paths) if since and not where else None
    focus = visit.query.get(FOCUS.name, "").strip()
    need = {NEED.name: MANDATORY} if only_mandatory else {}
    kept = {**need, **({FOCUS.name: focus} if focus else {})}
    at, shown_open = {**visit.range.parameters, **kept_of(visit.query)}, tuple(visit.lists.get("open", []))
    latency = detail.latency
    part = part_of(visit, latency, durations)
    band = part.detail
    names = list(services_of(latency.whole.call_paths))
    examples = _example_groups(detail.examples, visit, journey, where)
    return JourneyPage(
        range=visit.range,
        journey=journey,
        answer=journey_answer(detail, rows, health, slower, visit.now_unix_nano),
        health=health,
        slower=slower,
        failed_share=failed_share(detail.summary),
        summary=detail.summary,
        path=bar_parts(detail.summary.path),
        operations=detail.operations,
        call_paths=detail.call_paths,
        bars=latency.bars,
        bands=band_rows(journey, latency, band.name, {**at, **kept}, shown_open),
        band=part.band,
        stretch=part.stretch,
        band_mean_ns=band.mean_ns,
        band_path=band_bar(band, names),
        contributions=contributions(journey, part, at),
        band_call_paths=band.call_paths if part.words else (),
        band_search=_search(visit, journey, part, where) if part.words else "",
        over_time=steps_of(detail.over_time, names),
        edges=tuple(row for row in rows if row.need == MANDATORY) if only_mandatory else rows,
        needs=needs,
        only_mandatory=only_mandatory,
        owner=said.owner if said else "",
        promises=tuple(promise_row(standing, visit.now_unix_nano) for standing in standings),
        availability=availability_of_journey(detail),
        nines=nines_of_journey(detail, said.availability if said else None),
        findings=tuple(finding_row(one, visit.now_unix_nano) for one in findings),
        examples=examples,
        boost=_boost(journey, examples),
        focus=focus,
        boxes=tuple(sorted({box_name(node) for edge in edges for node in (edge.caller, edge.callee)})),
        open=shown_open,
        where=where.text if where else "",
        traces_of_all=visit.reader.traces_of(journey, visit.range.window) if where else detail.summary.traces,
    )


def _search(visit: Visit, journey: str, part: Part, where: Where | None) -> str:
    tag = {"tag": where.text} if where else {}
    return search_address({"journey": journey, **part.of_search, **tag, **visit.range.parameters})


def detail_of(
    visit: Visit,
    journey: str,
    where: Where | None = None,
    examples: int = 0,
    durations: Durations | None = None,
) -> JourneyDetail:
    """Return what a journey did in the range of the page, with so many examples of each kind.

    Raises:
        NothingThere: it had no trace, with where its last one is, or none that meets the condition.
    """
    detail = visit.reader.journey(journey, visit.range.window, chosen_by(where), examples, durations)
    if detail is None:
        raise no_trace(visit, journey, where)
    return detail


def availability_of_journey(detail: JourneyDetail) -> AvailabilityRow | None:
    summary = detail.summary
    if not summary.status_known:
        return None
    found = availability_of(summary.weighted_traces, summary.squares, summary.failed, detail.edges)
    return availability_row(found) if found else None


def nines_of_journey(detail: JourneyDetail, promise: float | None) -> tuple[NineRow, ...]:
    summary = detail.summary
    scale = summary.weighted_traces / summary.squares if summary.squares else 1.0
    return tuple(nine_row(nine) for nine in nines_of(promise if summary.status_known else None, scale, detail.edges))


def _findings(visit: Visit, journey: str) -> list[Tracked]:
    return worst_first(one for one in visit.reader.findings() if one.is_open and one.finding.journey == journey)


def no_trace(visit: Visit, journey: str, where: Where | None = None) -> NothingThere:
    """Say that a journey has no trace in the range, and where its last one is; or none that meets the condition."""
    at = visit.range
    problem = f"no trace of {shown(journey)} " + (f"in the {at.words}" if at.last else f"from {at.words}")
    if where and visit.reader.traces_of(journey, at.window):
        problem = f"{problem} has {shown(where.text)}"
        hint = "attributes of spans and of what sent them are compared as text"
        address = journey_address(journey, at.parameters)
    else:
        hint, address = _last_trace(visit, journey)
    return NothingThere(problem, hint, address, may_come=bool(at.last))


def _last_trace(visit: Visit, journey: str) -> tuple[str, str]:
    """Say when a journey's last trace was, and return the address of the journey then."""
    newest = visit.reader.newest_trace_unix_nano()
    if newest is None:
        return "nothing is stored yet; the first page shows how to send a span", "/"
    found = visit.reader.find(TraceQuery(around(newest, LOOK_BACK_NS), journey=journey, limit=1))
    if not found:
        return "nor in the 30 days before the newest trace of all: see which journeys there are", "/"
    last = found[0].start_unix_nano
    there = range_of(around(last), visit.now_unix_nano)
    return f"the last was {ago(last, visit.now_unix_nano)}", journey_address(journey, there.parameters)


def callee_traces(edge: Edge, at: TimeRange) -> str:
    wanted = {"journey": edge.journey, "service": edge.callee.service, "operation": edge.callee.operation}
    if edge.callee.kind in WITHOUT_SPANS:
        wanted |= {"service": edge.caller.service, "operation": edge.caller.operation}
    return search_address({**{key: value for key, value in wanted.items() if is_addressable(value)}, **at.parameters})


def _example_groups(found: Examples, visit: Visit, journey: str, where: Where | None) -> tuple[ExampleGroup, ...]:
    tag = {"tag": where.text} if where else {}
    kinds: tuple[tuple[str, dict[str, str], tuple[TraceSummary, ...]], ...] = (
        ("Slowest", {"sort": "slowest", **tag}, found.slowest),
        ("Failed", {"failed": "1", **tag}, found.failed),
        ("Newest", tag, found.newest),
    )
    return tuple(
        ExampleGroup(
            title,
            search_address({"journey": journey, **more, **visit.range.parameters}),
            tuple(example_of(trace) for trace in traces),
        )
        for title, more, traces in kinds
    )


def edge_boost(edge: Edge) -> str:
    """A callee without spans of its own is seen where it is called."""
    if edge.callee.kind in WITHOUT_SPANS:
        return boost_address(edge.caller.service, edge.caller.operation, reason=f"journey {edge.journey}")
    caller = edge.caller.service if edge.caller.service != edge.callee.service else ""
    return boost_address(edge.callee.service, edge.callee.operation, caller, f"journey {edge.journey}")


def _boost(journey: str, examples: tuple[ExampleGroup, ...]) -> str:
    """A journey is boosted where its traces begin, which any of them says."""
    trace = next((each.trace for group in examples for each in group.traces), None)
    return boost_address(trace.root_service, trace.root_operation, reason=f"journey {journey}") if trace else ""


def example_of(trace: TraceSummary) -> Example:
    return Example(trace, bar_parts(trace.path), trace_address(trace.trace_id))


def pictures(page: JourneyPage) -> Pictures:
    of_part = f" of {page.part}" if page.part else ""
    columns, steps = columns_of(page.bars), page.step_addresses()
    edges = about(page.edges, page.focus)
    graph = graph_of(page.journey, edges, page.operations, page.call_paths, page.open, page.kept)
    return {
        "graph": graph,
        "graph_spacer": least_width(graph),
        "flame": flame_graph(
            page.flame_calls,
            f"Critical path of {shown(page.journey)} by call, a mean over its traces{of_part}",
            page.flame_addresses(),
        ),
        "histogram": histogram(
            columns,
            BANDS,
            f"Latency of {shown(page.journey)}",
            bar_addresses(columns, page.stretch, page.journey, page.kept_of_all, page.open),
            are_inside(columns, page.band, page.stretch),
        ),
        "over_time": over_time(page.over_time, "The critical path over time, by service", steps),
        "latency": sparkline(page.summary.series, 64, "p95 and failed traces over time", steps),
    }


PAGE = Page(
    name="journey",
    address="/journeys/<anything:journey>",
    template="journey.html",
    view=journey_view,
    value=JourneyPage,
    summary="A journey: dependency graph, where its path spends the time, calls and whether they are needed, examples",
    parameters=(
        *RANGE_PARAMETERS,
        BAND,
        MIN,
        MAX,
        Parameter("open", "a service whose operations the graph shows; may be repeated; * for all, none for none"),
        NEED,
        FOCUS,
        WHERE,
    ),
    pictures=pictures,
)
