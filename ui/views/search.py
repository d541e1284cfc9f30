"""Search: one box that understands a trace id, a traceparent, an address, an attribute or a name; and filters."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches

from collector.store.side_by_side import Asked
from collector.store.values import CallsWanted, Node, TracePoint, TracePoints, TraceQuery, TraceSummary
from ui.draw.scatter import Area, Dot, area_of, scatter
from ui.draw.text import count_of, in_a_row, shown
from ui.draw.units import count, duration
from ui.views.address import Choices, is_addressable, journey_address, search_address, trace_address
from ui.views.durations import parse_durations
from ui.views.errors import BadAddress
from ui.views.journey import Example, example_of
from ui.views.last_alike import LastAlike, last_alike
from ui.views.page import RANGE_PARAMETERS, Elsewhere, Page, Parameter, Pictures, Visit
from ui.views.requirement import drawn_requirement
from ui.views.search_words import AttributesWanted, Intent, NameWanted, RequestWanted, TraceWanted, read_words, settled
from ui.views.time_range import TimeRange

LIMIT, GREATEST_LIMIT = 50, 500
NEWEST, SLOWEST = "newest", "slowest"
FAILED, OK = "failed", "ok"
ALL, SAMPLE, LISTED = "all", "sample", "listed"
"""What a plot shows."""
CALLS = {
    "mandatory-failed": "a mandatory call failed",
    "optional-failed": "an optional call failed",
    "mandatory-on-path": "a mandatory call is on the path",
    "optional-on-path": "an optional call is on the path",
}
"""What a trace may be asked to have: a requirement, and what became of a call with it."""
MOST_CALLS = 5_000
"""So many edges are looked for at once; with more, a journey or a service must be chosen first."""
SUGGESTIONS = 12
OURS = (
    "journeys",
    "services",
    "traces",
    "findings",
    "search",
    "sampling",
    "system",
    "compare",
    "what-if",
    "contracts",
    "examples",
)
"""How addresses of pages begin."""
LONGEST_ERROR = 200
"""Characters of an error's text that are looked for."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Something that has the name that was looked for."""

    kind: str
    """`journey`, `service` or `operation`."""
    name: str
    of: str
    """The service of an operation, else empty."""
    address: str


@dataclass(frozen=True, slots=True)
class Filters:
    """The form as it was filled in."""

    journey: str
    service: str
    operation: str
    min: str
    max: str
    error: str
    on_path: bool
    failed: bool
    """Likewise `status`, as it was asked for at first."""
    status: str
    """`failed`, `ok`, or empty: no matter how a trace ended."""
    call: str
    """A key of CALLS; empty: no matter which calls a trace has."""
    sort: str
    attributes: tuple[tuple[str, str], ...]
    limit: int


@dataclass(frozen=True, slots=True)
class PlottedTrace:
    trace_id: str
    start_unix_nano: int
    duration_ns: int
    failed: bool
    journey: str
    address: str


@dataclass(frozen=True, slots=True)
class Plot:
    """Traces as points over time."""

    shows: str
    """`all`, `sample`, or `listed`: those of the list alone, where a sample would have taken too long."""
    words: str
    """What it shows, where that is not what the list shows."""
    points: tuple[PlottedTrace, ...]
    """Of a sample first the sample, then more of the slowest and of those that failed."""
    sampled: int
    of_about: int
    """How many traces there are in all, give or take 5 % where `shows` is `sample`; 0 where nobody knows."""


@dataclass(frozen=True, slots=True)
class SearchPage:
    range: TimeRange
    q: str
    answer: str
    filters: Filters
    suggestions: tuple[Suggestion, ...]
    traces: tuple[Example, ...]
    plot_start_unix_nano: int
    plot_end_unix_nano: int
    """Edges of the plot: those of the range, or of the traces where they fill little of it."""
    low_ns: float
    high_ns: float
    """Durations at the lower and the upper edge of the plot."""
    plot: Plot
    longest_ns: int
    """Of the traces found: what the bars are measured by."""
    more: str
    """Address of a longer list; empty where this is all."""
    services: tuple[str, ...]
    operations: tuple[str, ...]
    """Of the service that was chosen."""
    newest_unix_nano: int | None
    """When the newest of all traces began, where none was found; None where none is stored, or some were found."""
    tags: tuple[str, ...]
    """Attributes that the form asks for, `key=value` each; those in the words of the box are not among them."""
    last: LastAlike | None = None
    """Where there is something, if nothing was found here."""

    @property
    def kept(self) -> Choices:
        """What was asked for, beside the range, as addresses have it."""
        f = self.filters
        return {
            "q": self.q,
            "journey": f.journey,
            "service": f.service,
            "operation": f.operation,
            "min": f.min,
            "max": f.max,
            "error": f.error,
            "on_path": "1" if f.on_path else "",
            "status": f.status,
            "call": f.call,
            "tag": self.tags,
            "sort": f.sort if f.sort != NEWEST else "",
            "limit": str(f.limit) if f.limit != LIMIT else "",
        }

    @property
    def slowest_address(self) -> str:
        """The same search, slowest first: keys reach by the list what is high in the plot of a sample."""
        return search_address({**self.kept, "sort": SLOWEST, **self.range.parameters})

    @property
    def failed_address(self) -> str:
        return search_address({**self.kept, "status": FAILED, **self.range.parameters})

    @property
    def calls(self) -> Mapping[str, str]:
        """What the form offers to ask of calls, in words."""
        return CALLS


def search_view(visit: Visit) -> SearchPage | Elsewhere:
    """Return what was found, or where it is when there is only one thing it can be."""
    words = visit.query.get("q", "")
    intent = settled(read_words(words), lambda trace_id: visit.reader.place(trace_id) is not None)
    if isinstance(intent, TraceWanted):
        return Elsewhere(trace_address(intent.trace_id, {"span": intent.span_id}))
    ours = page_of_ours(words.strip(), visit.base, visit.here)
    if ours:
        return Elsewhere(ours)
    filters = _filters(visit, intent)
    if isinstance(intent, RequestWanted):
        filters, intent = _of_request(visit, filters, intent)
    suggestions = _suggestions(visit, intent.text) if isinstance(intent, NameWanted) else []
    exact = [s for s in suggestions if isinstance(intent, NameWanted) and s.name.casefold() == intent.text.casefold()]
    if len(exact) == 1 and exact[0].kind == "journey" and not _is_filtered(filters):
        return Elsewhere(exact[0].address)
    filters = _narrowed(filters, intent, exact)
    if isinstance(intent, NameWanted) and not suggestions and not _is_filtered(filters):
        filters = replace(filters, error=intent.text[:LONGEST_ERROR])  # no name: perhaps what an error says
    looked_for = not isinstance(intent, NameWanted) or bool(exact) or _is_filtered(filters)
    query = _query(visit, filters)
    # Spans, and calls, are looked through once: a second time would take the page beyond half a second.
    is_quick = looked_for and not query.asks_spans and query.calls is None
    beside = Asked(lambda: visit.reader.points(query)) if is_quick else None
    found = visit.reader.find(query) if looked_for else []
    traces = found[: filters.limit]
    more = len(found) > filters.limit
    plot = _plot_of(traces, more)
    if more and beside:
        plot = _plot(beside.answer()) or plot
    plotted = area_of(
        [point.start_unix_nano for point in plot.points],
        [point.duration_ns for point in plot.points],
        visit.range.window,
    )
    services, operations = tuple(visit.reader.services()), _operations(visit, filters.service)
    page = SearchPage(
        range=visit.range,
        q=words,
        answer=_answer(
            intent,
            filters,
            suggestions,
            traces,
            more,
            looked_for,
            visit.range,
            query,
            visit.now_unix_nano,
            "" if traces else _unknown(filters, services, operations),
        ),
        filters=filters,
        suggestions=tuple(suggestions[:SUGGESTIONS]),
        traces=tuple(example_of(trace) for trace in traces),
        plot_start_unix_nano=plotted.start_unix_nano,
        plot_end_unix_nano=plotted.end_unix_nano,
        low_ns=plotted.low_ns,
        high_ns=plotted.high_ns,
        plot=plot,
        longest_ns=max((trace.duration_ns for trace in traces), default=0),
        more=_more(visit, filters) if more else "",
        services=services,
        operations=operations,
        newest_unix_nano=None if traces else visit.reader.newest_trace_unix_nano(),
        tags=_tags(visit),
    )
    return page if traces or not looked_for else replace(page, last=last_alike(visit, query, page.kept))


def page_of_ours(words: str, *bases: str) -> str:
    """Return what a pasted address of this server leads to, "" for other words.

    Args:
        bases: what the server is called; over TLS or not is all one, since a proxy may end it.

    >>> page_of_ours("https://cpdd.example/journeys/a?last=6h", "http://cpdd.example")
    '/journeys/a?last=6h'
    >>> page_of_ours("http://cpdd.example//evil.example", "http://cpdd.example")
    ''
    """
    told, ours = _without_scheme(words), [f"{_without_scheme(base)}/" for base in bases if base]
    asked = next((told.removeprefix(base) for base in ours if told != words and told.startswith(base)), "")
    return f"/{asked}" if re.fullmatch(rf"(?:{'|'.join(OURS)})(?:[/?#]\S*)?", asked) else ""


def _without_scheme(address: str) -> str:
    return re.sub(r"^https?://", "", address)


def _of_request(visit: Visit, filters: Filters, wanted: RequestWanted) -> tuple[Filters, Intent]:
    """Return the filters with the attribute by which spans say that they are of a request; else look for its path."""
    for pair in wanted.attributes:
        asked = replace(filters, attributes=(*filters.attributes, pair))
        if visit.reader.find(replace(_query(visit, asked), limit=1)):
            return asked, AttributesWanted((pair,))
    return filters, NameWanted(wanted.path)


def _filters(visit: Visit, intent: Intent | None) -> Filters:
    ask = visit.query
    pairs = [tag.partition("=") for tag in _tags(visit)]
    said = intent.attributes if isinstance(intent, AttributesWanted) else ()
    status = visit.one_of("status", (FAILED, OK)) or FAILED * (ask.get("failed", "") not in ("", "0", "false"))
    attributes = dict.fromkeys([*said, *((key, value) for key, _, value in pairs)])
    return Filters(
        journey=ask.get("journey", ""),
        service=ask.get("service", ""),
        operation=ask.get("operation", ""),
        min=ask.get("min", "").strip(),
        max=ask.get("max", "").strip(),
        error=ask.get("error", "").strip()[:LONGEST_ERROR],
        on_path=ask.get("on_path", "") not in ("", "0", "false"),
        failed=status == FAILED,
        status=status,
        call=visit.one_of("call", tuple(CALLS)),
        sort=visit.one_of("sort", (NEWEST, SLOWEST)) or NEWEST,
        attributes=tuple(attributes),
        limit=min(visit.number("limit", LIMIT), GREATEST_LIMIT),
    )


def _tags(visit: Visit) -> tuple[str, ...]:
    """Return the attributes that are asked for beside the box; raises BadAddress for what is none."""
    tags = tuple(dict.fromkeys(tag.strip() for tag in visit.lists.get("tag", []) if tag.strip()))
    for tag in tags:
        if not tag.partition("=")[0] or "=" not in tag:
            raise BadAddress(f"tag={shown(tag)} is no attribute", hint="write key=value, such as http.route=/pay")
    return tags


def _is_filtered(filters: Filters) -> bool:
    named = (
        filters.journey,
        filters.service,
        filters.operation,
        filters.min,
        filters.max,
        filters.error,
        filters.attributes,
        filters.call,
        filters.status,
    )
    return any(named)


def _narrowed(filters: Filters, intent: Intent | None, exact: list[Suggestion]) -> Filters:
    """Fill in the filter that the words name exactly, where the form left it open."""
    if not exact or not isinstance(intent, NameWanted):
        return filters
    best = exact[0]
    journey, service, operation = filters.journey, filters.service, filters.operation
    if best.kind == "journey":
        journey = journey or best.name
    elif best.kind == "service":
        service = service or best.name
    else:
        operation = operation or best.name
        service = service or (best.of if len(exact) == 1 else "")
    return replace(filters, journey=journey, service=service, operation=operation)


def _query(visit: Visit, filters: Filters) -> TraceQuery:
    """Ask for one more than is shown, to know whether there are more."""
    least, most = parse_durations(filters.min, filters.max)
    of_a_span = not filters.call or filters.on_path or filters.error or filters.attributes
    return TraceQuery(
        window=visit.range.window,
        journey=filters.journey,
        service=filters.service if of_a_span else "",  # else an end of a call, which may be one without spans
        operation=filters.operation if of_a_span else "",
        attributes=filters.attributes,
        error=filters.error,
        on_path=filters.on_path,
        min_duration_ns=least,
        max_duration_ns=most,
        failed_only=filters.status == FAILED,
        ok_only=filters.status == OK,
        calls=_calls(visit, filters) if filters.call else None,
        slowest_first=filters.sort == SLOWEST,
        limit=filters.limit + 1,
    )


def _calls(visit: Visit, filters: Filters) -> CallsWanted:
    """Return the edges that are taken for what is asked, as pictures draw them, with what is named at either end."""
    # Few calls fail, and to judge one takes longer than to read it.
    requirement, _, became = filters.call.partition("-")
    edges = tuple(
        (journey, edge.id)
        for journey, found in visit.reader.calls(visit.range.window, became, filters.journey).items()
        for edge in found
        if (_is_at(edge.caller, filters) or _is_at(edge.callee, filters)) and drawn_requirement(edge) == requirement
    )
    if len(edges) > MOST_CALLS:
        raise BadAddress(
            f"{len(edges)} calls of the {visit.range.words} are {requirement}, more than can be looked for at once",
            hint="choose a journey or a service",
        )
    return CallsWanted(edges, failed=became == "failed")


def _is_at(node: Node, filters: Filters) -> bool:
    return filters.service in ("", node.service) and filters.operation in ("", node.operation)


def _suggestions(visit: Visit, text: str) -> list[Suggestion]:
    """Return journeys, services and operations with the text in their name: exact ones first, then by kind."""
    wanted, at = text.casefold(), visit.range.parameters
    found = [
        Suggestion("journey", summary.journey, "", journey_address(summary.journey, at))
        for summary in visit.reader.journeys(visit.range.window)
        if wanted in summary.journey.casefold()
    ]
    found += [
        Suggestion("service", service, "", search_address({"service": service, **at}))
        for service in visit.reader.services()
        if wanted in service.casefold()
    ]
    found += [
        Suggestion("operation", name, service, search_address({"service": service, "operation": name, **at}))
        for service, name in visit.reader.operations_named(text)
    ]
    found = [suggestion for suggestion in found if is_addressable(suggestion.name) and is_addressable(suggestion.of)]
    return sorted(found, key=lambda suggestion: suggestion.name.casefold() != wanted)


def _operations(visit: Visit, service: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name, _ in visit.reader.operations(service))) if service else ()


def _unknown(filters: Filters, services: tuple[str, ...], operations: tuple[str, ...]) -> str:
    """Return which name of a search nobody has ever had; "" where all are known, or may be ends of calls alone."""
    if filters.call or not filters.service or not services:
        return ""
    if filters.service not in services:
        near = in_a_row(
            [shown(name) for name in get_close_matches(filters.service[:LONGEST_ERROR], services, n=3, cutoff=0.4)]
        )
        return f"no service is called “{shown(filters.service)}”" + (f"; there is {near}" if near else "")
    if filters.operation and filters.operation not in operations:
        return f"{shown(filters.service)} has no span called “{shown(filters.operation)}”"
    return ""


def _more(visit: Visit, filters: Filters) -> str:
    if filters.limit >= GREATEST_LIMIT:
        return ""
    return search_address(
        {**visit.query, "tag": visit.lists.get("tag", []), "limit": str(min(4 * filters.limit, GREATEST_LIMIT))}
    )


def _answer(
    intent: Intent | None,
    filters: Filters,
    suggestions: list[Suggestion],
    traces: list[TraceSummary],
    more: bool,
    looked_for: bool,
    at: TimeRange,
    query: TraceQuery,
    now_unix_nano: int,
    unknown: str,
) -> str:
    when = f"in the {at.words}" if at.last else f"from {at.words}"
    if not looked_for and isinstance(intent, NameWanted):
        if suggestions:
            return f"{count_of(len(suggestions), 'name')} with “{shown(intent.text)}” in it."
        return f"Nothing is called “{shown(intent.text)}”: no journey, service or span name."
    if not traces and isinstance(intent, NameWanted) and filters.error:
        said = shown(intent.text)
        return f"Nothing is called “{said}”, and no error {when} says it."
    if not traces and query.calls and not query.calls.edges:
        requirement, _, became = filters.call.partition("-")
        what = "failed" if became == "failed" else "was on the path"
        return f"No call that is known, or declared, to be {requirement} {what} {when}."
    if not traces and at.window.start_unix_nano > now_unix_nano:
        return f"No trace {when}: that is in the future."
    if not traces and unknown:
        return f"No trace {when} is like that: {unknown}."
    if not traces:
        return f"No trace {when} is like that." if intent or _is_filtered(filters) else f"No trace {when}."
    failed = sum(trace.failed for trace in traces)
    order = "slowest" if filters.sort == SLOWEST else "newest"
    number = (
        f"The {order} {'trace' if len(traces) == 1 else f'{len(traces)} traces'}"
        if more
        else count_of(len(traces), "trace")
    )
    longest = max(trace.duration_ns for trace in traces)
    hurt = f", {failed} failed" if failed and not filters.failed else ""
    said = f" with an error that says “{shown(filters.error)}”" if filters.error else ""
    with_all = in_a_row([f"{shown(key, 60)}={shown(value, 60)}" for key, value in filters.attributes])
    said += f" with {with_all}" if with_all else ""
    calls = f" in which {CALLS[filters.call]}" if filters.call else ""
    ended = {FAILED: " that failed", OK: " that did not fail"}.get(filters.status, "")
    return f"{number}{ended}{said}{calls} {when}{hurt}; the longest took {duration(longest)}."


def _plot(found: TracePoints | None) -> Plot | None:
    """Return the plot of a whole range, None where nobody knew it in time."""
    if found is None:
        return None
    points = tuple(_plotted(point) for point in found.points)
    if found.sampled == found.of_about:
        return Plot(ALL, f"all {len(points):,} traces", points, found.sampled, found.of_about)
    beside = len(points) - found.sampled
    words = f"{found.sampled:,} of ~{count(float(f'{found.of_about:.2g}'))} traces, a sample"
    words += f", and {beside} more that failed or took longest" if beside else ""
    return Plot(SAMPLE, words, points, found.sampled, found.of_about)


def _plot_of(traces: list[TraceSummary], more: bool) -> Plot:
    """Return the plot of the list."""
    points = tuple(_plotted(trace) for trace in traces)
    if more:
        return Plot(LISTED, f"the {len(points)} traces below", points, len(points), 0)
    return Plot(ALL, "", points, len(points), len(points))


def _plotted(trace: TracePoint | TraceSummary) -> PlottedTrace:
    return PlottedTrace(
        trace.trace_id,
        trace.start_unix_nano,
        trace.duration_ns,
        trace.failed,
        trace.journey,
        trace_address(trace.trace_id),
    )


def dots_of(page: SearchPage) -> list[Dot]:
    return [
        Dot(
            words=f"{shown(point.journey)}, {duration(point.duration_ns)}{', failed' * point.failed}",
            at_unix_nano=point.start_unix_nano,
            duration_ns=point.duration_ns,
            failed=point.failed,
            href=point.address,
        )
        for point in page.plot.points
    ]


def pictures(page: SearchPage) -> Pictures:
    dots = dots_of(page)
    area = Area(page.plot_start_unix_nano, page.plot_end_unix_nano, page.low_ns, page.high_ns)
    return {"scatter": scatter(dots, area, "Traces by start and duration")} if dots else {}


PAGE = Page(
    name="search",
    address="/search",
    template="search.html",
    view=search_view,
    value=SearchPage,
    summary="Search for traces, journeys, services and span names",
    parameters=(
        Parameter(
            "q",
            "a trace id, a traceparent, an address with one or of a request, key=value, a name, the text of an error",
        ),
        Parameter("journey", "only this journey"),
        Parameter("service", "only traces with this service"),
        Parameter("operation", "only traces with a span of this name"),
        Parameter("tag", "key=value that one span has; may be repeated"),
        Parameter("min", "least duration: 250ms, 1.2s"),
        Parameter("max", "greatest duration"),
        Parameter("error", "text of an error: of a status message or an exception"),
        Parameter("on_path", "1: service and span name have time on the critical path"),
        Parameter("status", "failed or ok: only traces whose journey failed, or did not"),
        Parameter("failed", "1: the same as status=failed"),
        Parameter("call", f"{', '.join(CALLS)}: with such a call, from or to the service and span name if given"),
        Parameter("sort", "newest or slowest"),
        Parameter("limit", f"how many traces, at most {GREATEST_LIMIT}"),
        *RANGE_PARAMETERS,
    ),
    pictures=pictures,
)
