"""The escalation packet: all that another team needs to begin, as one value.

trace   -> subject_of_trace -> Subject -> packet -> JSON, or `escalation_text` for a chat
finding -> a Subject likewise: its title, service, edge, examples, since when, share of the budget
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

from collector.core.catalog import Owner
from collector.store.values import Edge, JourneyDetail, Node, Point, TraceOutcome, TraceQuery, Window
from ui.draw.text import shown
from ui.views.address import journey_address, trace_address
from ui.views.page import Visit
from ui.views.requirement import EdgeRequirement, requirement_of
from ui.views.span_panel import CodeLine, OwnerLine, owner_line
from ui.views.time_range import around, range_of

EXAMPLES = 3
LOOK_BACK_NS = 3600 * 1_000_000_000
"""How far back "since when" is looked for."""
LOOK_AHEAD_NS = 300 * 1_000_000_000
BAD_SHARE = 0.05
"""Share of failed traces from which a step of time is bad."""
SLOW_FACTOR = 1.5
"""Times the usual p95 from which a step of time is slow."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is escalated: whatever made it, a packet can be built of it."""

    title: str
    """One sentence without figures: "check out fails at payment"."""
    journey: str
    service: str
    """Whose team is called."""
    caller: Node | None
    """The edge at fault; None where there is none."""
    callee: Node | None
    trace_ids: tuple[str, ...]
    """That show it, the best first; packets find more where these are fewer than three."""
    failed: bool
    """Whether it is about failures; else about time."""
    facts: tuple[str, ...] = ()
    """Further sentences, with their figures."""
    since_unix_nano: int | None = None
    """Where it is known better than a look at the journey can tell."""
    budget_share: float | None = None
    """Of the error budget that is spent, where there is one."""
    seeks_more: bool = True
    """Whether other failed (or slow) traces of the journey show it as well."""
    owner: Owner = Owner()
    """As the spans said; the catalog completes it."""
    code: CodeLine | None = None
    code_service: str = ""
    """Whose code that is: the service's, or its caller's."""
    whose: str = ""
    """Whose the error or the time is, as in `collector.core.code.WHOSE`; empty where nobody looked."""
    span_id: str = ""
    """The span at fault in the first trace."""
    critical_ns: int | None = None
    """Time on the critical path of the first trace, in the edge and below it."""
    critical_share: float | None = None


@dataclass(frozen=True, slots=True)
class ExampleTrace:
    trace_id: str
    address: str
    start_unix_nano: int
    duration_ns: int
    failed: bool


@dataclass(frozen=True, slots=True)
class EdgePart:
    """The call at fault, as it fared in the journey lately."""

    caller: str
    callee: str
    requirement: str
    """As observed, else as declared; empty where the journey's traces are not analyzed."""
    requirement_words: str


@dataclass(frozen=True, slots=True)
class Packet:
    """An escalation, whole: a stranger at night can begin with it. Absent facts are null or empty, never guessed."""

    title: str
    facts: tuple[str, ...]
    journey: str
    service: str
    version: str
    """That service's, as it was seen last."""
    owner: OwnerLine
    edge: EdgePart | None
    code: CodeLine | None
    code_service: str
    """Whose code that is: of the service itself, or of its caller."""
    whose: str
    """Where the error began or the time went: `ours` (of the service), `library`, `dependency`, `unknown`, or empty."""
    since_unix_nano: int | None
    since_is_bound: bool
    """It began then or earlier: as far back as was looked."""
    critical_ns: int | None
    critical_share: float | None
    journey_share: float | None
    """Of the journey's critical path, in the edge and below it, over the last hour before."""
    budget_share: float | None
    examples: tuple[ExampleTrace, ...]
    address: str
    """Of the trace's page with the span at fault."""
    journey_address: str
    command: str
    """Shows the trace in a terminal."""


def packet(subject: Subject, visit: Visit, base: str) -> Packet:
    """Return the packet of a subject.

    Args:
        base: address of the server, without a slash at its end.
    """
    asked = [(trace_id, visit.reader.outcome(trace_id)) for trace_id in subject.trace_ids[:EXAMPLES]]
    first = asked[0][1] if asked else None
    own = {trace_id: outcome for trace_id, outcome in asked if outcome is not None}
    window = _window(first.start_unix_nano if first else visit.now_unix_nano)
    detail = visit.reader.journey(subject.journey, window) if subject.journey else None
    edge = _edge(subject, detail)
    since, is_bound = _since(subject, detail, first)
    facts = visit.reader.service_facts(subject.service)[:1]
    owner = subject.owner
    if not owner and facts:
        owner = Owner(facts[0].owner, facts[0].owner_contact, facts[0].owner_url)
    shown_trace = subject.trace_ids[0] if subject.trace_ids else ""
    of_journey = _journey_address(subject, first, visit)
    return Packet(
        title=shown(subject.title, 300),
        facts=tuple(shown(fact, 300) for fact in subject.facts),
        journey=shown(subject.journey),
        service=shown(subject.service),
        version=shown(facts[0].version) if facts else "",
        owner=owner_line(visit.settings.catalog.owner(subject.service, owner)),
        edge=_edge_part(subject, edge),
        code=subject.code,
        code_service=shown(subject.code_service),
        whose=subject.whose,
        since_unix_nano=since,
        since_is_bound=is_bound,
        critical_ns=subject.critical_ns,
        critical_share=subject.critical_share,
        journey_share=edge.critical_share if edge else None,
        budget_share=subject.budget_share,
        examples=_examples(subject, own, visit, window, base),
        address=base + _view_address(shown_trace, subject.span_id) if shown_trace else "",
        journey_address=base + of_journey if detail and of_journey else "",
        command=f"curl -s {base}/traces/{shown_trace}.otlp.json | cpdd path -" if shown_trace else "",
    )


def _view_address(trace_id: str, span_id: str) -> str:
    return f"{trace_address(trace_id, {'span': span_id})}#span" if span_id else trace_address(trace_id)


def _journey_address(subject: Subject, first: TraceOutcome | None, visit: Visit) -> str:
    there = range_of(around(first.start_unix_nano if first else visit.now_unix_nano), visit.now_unix_nano)
    return journey_address(subject.journey, there.parameters)


def _window(unix_nano: int) -> Window:
    return Window(max(unix_nano - LOOK_BACK_NS, 0), unix_nano + LOOK_AHEAD_NS)


def _edge(subject: Subject, detail: JourneyDetail | None) -> Edge | None:
    """The edge in the journey; the kind of a node may be told otherwise, and a mark around the call is its caller."""
    if detail is None or subject.caller is None or subject.callee is None:
        return None
    callee = _name(subject.callee)
    to_it = [edge for edge in detail.edges if _name(edge.callee) == callee]
    from_service = [edge for edge in to_it if edge.caller.service == subject.caller.service]
    exact = next((edge for edge in from_service if _name(edge.caller) == _name(subject.caller)), None)
    return exact or (from_service[0] if len(from_service) == 1 else None)


def _name(node: Node) -> tuple[str, str]:
    return node.service, node.operation


def _edge_part(subject: Subject, edge: Edge | None) -> EdgePart | None:
    if subject.caller is None or subject.callee is None:
        return None
    known = requirement_of(edge) if edge else None
    return EdgePart(
        caller=spoken(subject.caller),
        callee=spoken(subject.callee),
        requirement=known.drawn if known else "",
        requirement_words=_requirement_words(known) if known else "",
    )


def _requirement_words(known: EdgeRequirement) -> str:
    by_word = "as declared" if known.as_declared == known.drawn != known.observed else ""
    return "; ".join(filter(None, (known.badge, by_word, known.words)))


def spoken(node: Node) -> str:
    """Return what a node is called: "shop / POST /checkout"."""
    return shown(" / ".join(part for part in (node.service, node.operation) if part) or node.kind)


def _examples(
    subject: Subject, own: Mapping[str, TraceOutcome], visit: Visit, window: Window, base: str
) -> tuple[ExampleTrace, ...]:
    """The subject's own, then others of its journey that look like it: failed ones, or the slowest."""
    found = dict(own)
    if subject.seeks_more and len(found) < EXAMPLES and subject.journey:
        query = TraceQuery(
            window,
            journey=subject.journey,
            service=subject.service,
            failed_only=subject.failed,
            slowest_first=not subject.failed,
            limit=2 * EXAMPLES,
        )
        found |= {like.trace_id: like for like in visit.reader.find(query) if like.trace_id not in found}
    return tuple(
        ExampleTrace(
            example.trace_id,
            base + trace_address(example.trace_id),
            example.start_unix_nano,
            example.duration_ns,
            example.failed,
        )
        for example in list(found.values())[:EXAMPLES]
    )


# Since when


def _since(subject: Subject, detail: JourneyDetail | None, first: TraceOutcome | None) -> tuple[int | None, bool]:
    if subject.since_unix_nano is not None:
        return subject.since_unix_nano, False
    if detail is None or first is None:
        return None, False
    return since_when(detail.summary.series, first.start_unix_nano, subject.failed)


def since_when(series: Sequence[Point], at_unix_nano: int, failed: bool) -> tuple[int | None, bool]:
    """Return when the bad time began in which a moment lies, and whether it may have begun before the series.

    None: the moment lies in no bad time, so that one trace stands for itself.

    Args:
        failed: whether bad means failed traces; else it means a p95 well above that of half the steps.
    """
    steps = [point for point in series if point.traces and point.start_unix_nano <= at_unix_nano]
    usual = sorted(point.p95_ns for point in series if point.traces)
    limit = SLOW_FACTOR * usual[(len(usual) - 1) // 2] if usual else 0.0

    def is_bad(point: Point) -> bool:
        return point.failed >= BAD_SHARE * point.traces if failed else point.p95_ns > limit

    bad = list(takewhile(is_bad, reversed(steps)))
    if not bad:
        return None, False
    return bad[-1].start_unix_nano, len(bad) == len(steps)
