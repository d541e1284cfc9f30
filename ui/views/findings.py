"""Findings: what the traces say that somebody should know or do. The page with all, and rows for other pages."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from collector.core.findings import KINDS
from collector.core.findings.model import NOTICE, QUEUE_LATE, STRUCTURE, URGENCIES, Fact, Finding
from collector.core.findings.tracking import Tracked
from collector.store.values import Window
from ui.draw.units import NBSP, ago, count, duration, percent, significant
from ui.views.address import boost_address, findings_address, is_addressable, journey_address, trace_address
from ui.views.health import ICONS
from ui.views.page import Page, Parameter, Visit
from ui.views.urgency import Urgencies, promise_availability, sort_out, urgency_answer

CLEARED_SHOWN_NS = 24 * 3600 * 1_000_000_000
EXAMPLE_ID_CHARS = 8
HOUR_NS = 3600 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class FactRow:
    name: str
    words: str
    interval: str
    """95 %; empty where there is none."""
    value: float
    unit: str


@dataclass(frozen=True, slots=True)
class ExampleLink:
    trace_id: str
    words: str
    address: str


@dataclass(frozen=True, slots=True)
class FindingRow:
    """A finding, ready to be shown."""

    id: str
    kind: str
    urgency: str
    """`failing`, `burning` or `notice`."""
    icon: str
    lasting: bool
    """It is about structure, and stays until something disproves it; else it is about now."""
    journey: str
    journey_address: str
    service: str
    owner: str
    title: str
    advice: str
    facts: tuple[FactRow, ...]
    examples: tuple[ExampleLink, ...]
    version: str
    since_unix_nano: int
    since: str
    seen_unix_nano: int
    cleared_unix_nano: int
    because: str
    address: str
    boost: str
    """Of the page that asks whether to keep more traces of what it is about."""
    about: str
    """The call that it is about, `payment → bank`, or else the service; empty where it is neither."""


@dataclass(frozen=True, slots=True)
class FindingGroup:
    title: str
    explained: str
    findings: tuple[FindingRow, ...]


@dataclass(frozen=True, slots=True)
class FindingsPage:
    answer: str
    groups: tuple[FindingGroup, ...]
    cleared: tuple[FindingRow, ...]
    """In the last 24 hours, newest first."""
    open: int
    journey: str
    """Only findings of this journey are shown; empty: of all."""
    service: str
    now: tuple[str, ...]
    """Ids of those that somebody has to look at now."""
    can_wait: tuple[str, ...]
    """Ids of those that can wait until morning; the others are about journeys that need somebody now."""


def findings_view(visit: Visit) -> FindingsPage:
    """Return the findings, what is broken now before what is built wrongly."""
    journey, service = visit.query.get("journey", ""), visit.query.get("service", "")
    chosen = [
        one
        for one in visit.reader.findings()
        if journey in ("", one.finding.journey) and service in ("", one.finding.service)
    ]
    is_open = worst_first(one for one in chosen if one.is_open)
    rows = [finding_row(one, visit.now_unix_nano) for one in is_open]
    urgencies = _urgencies(visit, is_open, _journeys_about(journey, service, is_open))
    cleared = [one for one in chosen if visit.now_unix_nano - one.cleared_unix_nano < CLEARED_SHOWN_NS]
    cleared.sort(key=lambda one: -one.cleared_unix_nano)
    return FindingsPage(
        answer=(
            urgency_answer(urgencies, journey or service)
            if rows or visit.reader.newest_trace_unix_nano()
            else NOTHING_YET
        ),
        groups=tuple(group for group in _groups(rows) if group.findings),
        cleared=tuple(finding_row(one, visit.now_unix_nano) for one in cleared),
        open=len(rows),
        journey=journey,
        service=service,
        now=tuple(one.id for one in urgencies.now),
        can_wait=tuple(one.id for one in (*(one for one, _ in urgencies.slowly), *urgencies.rest)),
    )


def _journeys_about(journey: str, service: str, is_open: Sequence[Tracked]) -> set[str] | None:
    """The journeys that a page is about: the one it is narrowed to, those of a service's findings; None: all."""
    if service:
        return {one.finding.journey for one in is_open}
    return {journey} if journey else None


def _urgencies(visit: Visit, is_open: Sequence[Tracked], about: set[str] | None) -> Urgencies:
    """Findings by how soon somebody has to look; what failed is only read where no promise tells."""
    named = visit.settings.book.by_name.keys()
    told = named if about is None else named & about
    standings = {name: each for name, each in visit.reader.standings().items() if name in told}
    failed: Mapping[str, float] = {}
    if about is None or about - promise_availability(standings) - {""}:
        failed = visit.reader.failed_shares(Window(visit.now_unix_nano - HOUR_NS, visit.now_unix_nano))
    return sort_out(
        is_open, standings, {name: share for name, share in failed.items() if about is None or name in about}
    )


def worst_first(tracked: Iterable[Tracked]) -> list[Tracked]:
    """Sort by urgency, then what is now before what lasts, then by kind, then the newest first."""

    def key(one: Tracked) -> tuple[int, bool, int, int, str]:
        kind = one.finding.kind
        order = KINDS.index(kind) if kind in KINDS else len(KINDS)
        return (
            URGENCIES.index(one.finding.urgency),
            kind in STRUCTURE,
            order,
            -one.since_unix_nano,
            one.finding.id,
        )

    return sorted(tracked, key=key)


def finding_row(one: Tracked, now_unix_nano: int) -> FindingRow:
    finding = one.finding
    around = {"journey": finding.journey} if is_addressable(finding.journey) else {}
    return FindingRow(
        id=finding.id,
        kind=finding.kind,
        urgency=finding.urgency,
        icon=ICONS.get(finding.urgency, "◦"),
        lasting=finding.kind in STRUCTURE,
        journey=finding.journey,
        journey_address=journey_address(finding.journey) if finding.journey else "",
        service=finding.service,
        owner=finding.owner,
        title=finding.title,
        advice=finding.advice,
        facts=tuple(fact_row(fact) for fact in finding.facts),
        examples=tuple(ExampleLink(id, id[:EXAMPLE_ID_CHARS], trace_address(id)) for id in finding.examples),
        version=finding.version,
        since_unix_nano=one.since_unix_nano,
        since=ago(one.since_unix_nano, now_unix_nano),
        seen_unix_nano=one.seen_unix_nano,
        cleared_unix_nano=one.cleared_unix_nano,
        because=one.because,
        address=f"{findings_address(around)}#{finding.id}",
        boost=_boost(finding),
        about=_about(finding),
    )


def _about(finding: Finding) -> str:
    """Say shortly what is called by whom; of a call within a service what it calls."""
    if not (finding.caller and finding.callee):
        return finding.service
    caller, callee = finding.caller[0], finding.callee[0]
    if callee in ("", caller):
        callee = finding.callee[1] or finding.callee[2]
    return f"{caller} → {callee}" if caller else callee


def _boost(finding: Finding) -> str:
    """A call is boosted where it is made: who is called may send no spans."""
    at = finding.caller
    service, operation = (at[0], at[1]) if at else (finding.service, "")
    return boost_address(service, operation, reason=f"finding {finding.id}")


def fact_row(fact: Fact) -> FactRow:
    """Return a number behind a finding, in words."""
    interval = ""
    if fact.interval is not None:
        low, high = (_words(edge, fact.unit) for edge in fact.interval)
        interval = f"{low} to {high}"
    return FactRow(fact.name, _words(fact.value, fact.unit), interval, fact.value, fact.unit)


def _words(value: float, unit: str) -> str:
    match unit:
        case "share":
            return percent(value) if value >= 0 else f"−{percent(-value)}"
        case "times":
            return f"{significant(value)}{NBSP}× as fast as allowed"
        case "ratio":
            return str(significant(value))
        case "ns":
            return duration(value)
        case _:
            return count(value)


def _groups(rows: Sequence[FindingRow]) -> tuple[FindingGroup, ...]:
    promises = tuple(row for row in rows if row.urgency != NOTICE or row.kind == QUEUE_LATE)
    now = tuple(row for row in rows if row not in promises and not row.lasting)
    lasting = tuple(row for row in rows if row.urgency == NOTICE and row.lasting)
    return (
        FindingGroup("Promises being broken", "they clear when they are kept again", promises),
        FindingGroup("Now", "what is so at present; it clears two minutes after it is over", now),
        FindingGroup("How it is built", "it stays until traces disprove it", lasting),
    )


NOTHING_YET = "No trace has come in yet, so there is nothing to find."


PAGE = Page(
    name="findings",
    address="/findings",
    template="findings.html",
    view=findings_view,
    value=FindingsPage,
    summary="Findings: promises that are broken, and what contradicts what is declared, with evidence and advice",
    parameters=(
        Parameter("journey", "only findings of this journey"),
        Parameter("service", "only findings that this service's team has to act on"),
    ),
)
