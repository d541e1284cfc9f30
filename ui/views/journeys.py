"""Journeys: which of them needs somebody, and where each spends its time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from collector.core.findings.model import BUDGET_BURNING
from collector.core.findings.tracking import Tracked
from collector.core.objectives import Standing
from collector.core.population.since import Slowed
from collector.store.values import JourneySummary
from ui.draw.bars import BarPart, bar_parts
from ui.draw.text import count_of, sentence, shown
from ui.draw.units import ago, duration, whole_percent
from ui.views.address import journey_address, journeys_address
from ui.views.findings import FindingRow, finding_row, worst_first
from ui.views.health import RULE, Health, failed_share, health_of, slowed_since
from ui.views.page import RANGE_PARAMETERS, Page, Parameter, UiSettings, Visit
from ui.views.promises import PromiseRow, promise_row, worst_promise
from ui.views.time_range import TimeRange, around, range_of
from ui.views.urgency import slow_by
from ui.views.wholes import WholeRow, whole_row

ROWS = 100
"""Journeys on one page."""
LONG_AGO_NS = 300 * 10**9


@dataclass(frozen=True, slots=True)
class JourneyRow:
    summary: JourneySummary
    health: Health
    since: Slowed | None
    """Since when it takes longer than it did in this range; None where it does not."""
    failed_share: float
    path: tuple[BarPart, ...]
    """By service; the largest of them by name."""
    address: str
    owner: str
    promise: PromiseRow | None
    """The promise that stands worst."""
    finding: FindingRow | None
    """The first of its findings."""
    findings: int


@dataclass(frozen=True, slots=True)
class LastSeen:
    """Where to look when the range of the page is empty."""

    unix_nano: int
    words: str
    address: str
    is_long_ago: bool
    """So long that something may be broken."""


@dataclass(frozen=True, slots=True)
class FirstSpan:
    """How to send a first span to this process."""

    otlp_http: str
    otlp_grpc: str
    spans: int
    """Spans that came and are not analyzed yet."""


@dataclass(frozen=True, slots=True)
class JourneysPage:
    range: TimeRange | None
    """None while the store is empty: then no range would help."""
    answer: str
    rule: str
    needs_you: tuple[JourneyRow, ...]
    others: tuple[JourneyRow, ...]
    journeys: int
    page: int
    pages: int
    last_seen: LastSeen | None
    first_span: FirstSpan | None
    wholes: tuple[WholeRow, ...] = ()
    """Journeys of several steps, on the first page of the list."""
    trouble: str = ""
    """What keeps spans from being stored or analyzed now, so that the list is of before; empty: nothing does."""
    is_in_trouble: bool = False
    """Whether something does: worth telling again, where for how long is not."""

    @property
    def title_of_others(self) -> str:
        """What those that need nobody are called; one whose spans do not say how they ended is not fine."""
        if not self.needs_you:
            return "All"
        return "Fine" if all(row.health.word == "fine" for row in self.others) else "Others"


def journeys_view(visit: Visit) -> JourneysPage:
    """Return the journeys of a range, those that need somebody first, then by how long they keep people waiting."""
    newest = visit.reader.newest_trace_unix_nano()
    trouble = next(iter(visit.trouble()), "")
    if newest is None:
        return _before_the_first_trace(visit.settings, visit.reader.info().spans, trouble)
    summaries = visit.reader.journeys(visit.range.window)
    judged = Judged.of(visit)
    rows = sorted((_row(summary, visit, judged) for summary in summaries), key=_worst_first)
    pages = max(1, -(-len(rows) // ROWS))
    page = min(visit.number("page", 1), pages)
    on_page = rows[(page - 1) * ROWS : page * ROWS]
    return JourneysPage(
        range=visit.range,
        answer=_after_trouble(trouble, _answer(rows, visit.range)),
        rule=RULE,
        needs_you=tuple(row for row in on_page if row.health.needs_you),
        others=tuple(row for row in on_page if not row.health.needs_you),
        journeys=len(rows),
        page=page,
        pages=pages,
        last_seen=None if rows else last_seen(newest, visit.now_unix_nano),
        first_span=None,
        wholes=_wholes(visit, judged) if page == 1 else (),
        trouble=trouble,
        is_in_trouble=bool(trouble),
    )


def _wholes(visit: Visit, judged: "Judged") -> tuple[WholeRow, ...]:
    return tuple(whole_row(said, visit, judged.standings.get(said.name, ())) for said in visit.settings.book.of_steps)


def last_seen(newest_unix_nano: int, now_unix_nano: int) -> LastSeen:
    """Return where the newest trace is."""
    there = range_of(around(newest_unix_nano), now_unix_nano)
    words = ago(newest_unix_nano, now_unix_nano)
    is_long_ago = now_unix_nano - newest_unix_nano > LONG_AGO_NS
    return LastSeen(newest_unix_nano, words, journeys_address(there.parameters), is_long_ago)


def _before_the_first_trace(settings: UiSettings, spans: int, trouble: str) -> JourneysPage:
    waiting = f"{count_of(spans, 'span')} came in. A trace is shown when it has been quiet for a few seconds."
    if trouble:
        before = f"{count_of(spans, 'span')} came in before"
        waiting = f"{sentence(trouble)}. {before}, and no trace is shown until that is mended."
    return JourneysPage(
        range=None,
        answer=waiting if spans or trouble else "No span has come in yet.",
        rule=RULE,
        needs_you=(),
        others=(),
        journeys=0,
        page=1,
        pages=1,
        last_seen=None,
        first_span=FirstSpan(settings.otlp_http, settings.otlp_grpc, spans),
        trouble=trouble,
        is_in_trouble=bool(trouble),
    )


@dataclass(frozen=True, slots=True)
class Judged:
    """What the judge said of all journeys, read once a page."""

    standings: Mapping[str, tuple[Standing, ...]]
    findings: Mapping[str, Sequence[Tracked]]
    """Open ones by journey, worst first."""

    @classmethod
    def of(cls, visit: Visit) -> "Judged":
        findings: dict[str, list[Tracked]] = {}
        for one in worst_first(one for one in visit.reader.findings() if one.is_open):
            findings.setdefault(one.finding.journey, []).append(one)
        return cls(visit.reader.standings(), findings)


def _row(summary: JourneySummary, visit: Visit, judged: Judged) -> JourneyRow:
    said = visit.settings.book.by_name.get(summary.journey)
    standings = judged.standings.get(summary.journey, ()) if said else ()
    findings = judged.findings.get(summary.journey, ())
    worst, since = worst_promise(standings), slowed_since(summary)
    found = slow_by((one.finding for one in findings), standings)
    return JourneyRow(
        summary=summary,
        health=health_of(summary, standings, since, visit.now_unix_nano, found),
        since=since,
        failed_share=failed_share(summary),
        path=bar_parts(summary.path),
        address=journey_address(summary.journey, visit.range.parameters),
        owner=said.owner if said else "",
        promise=promise_row(worst, visit.now_unix_nano) if worst else None,
        finding=finding_row(findings[0], visit.now_unix_nano) if findings else None,
        findings=len(findings),
    )


def _worst_first(row: JourneyRow) -> tuple[int, float, float, str]:
    """By health, then by what fails; those that do well by how long they keep people waiting."""
    failed = -row.failed_share if row.health.needs_you or row.health.doubt else 0.0
    return (row.health.rank, failed, -row.summary.p95_ns * row.summary.weighted_traces, row.summary.journey)


def _after_trouble(trouble: str, answer: str) -> str:
    """Say first that the list is of before, where nothing is stored any more."""
    return f"{sentence(trouble)}. What was stored before says: {answer}" if trouble else answer


def _answer(rows: list[JourneyRow], at: TimeRange) -> str:
    """Say in words what the list says."""
    if not rows:
        return f"No trace in the {at.words}." if at.last else f"No trace from {at.words}."
    worst = rows[0]
    failed = worst.health.because + _culprit(worst)
    hurt = sum(row.health.needs_you for row in rows)
    patience = f" It can wait until morning: {worst.health.can_wait}." if worst.health.can_wait else ""
    if hurt > 1:
        need = "need you, none of them before the morning" if patience else "need you"
        return f"{hurt} of {len(rows)} journeys {need}. Worst is {shown(worst.summary.journey)}: {failed}."
    if hurt:
        rest = _rest(rows[1:])
        said = f"{shown(worst.summary.journey)} is {worst.health.word}: {failed}.{patience}"
        return f"{said} {rest}" if rest else said
    doubtful = next((row for row in rows if row.health.doubt), None)
    if doubtful:
        name = shown(doubtful.summary.journey)
        return f"No journey is known to be hurt, but {name} may be failing: {doubtful.health.doubt}."
    return f"{_all_well(rows)} {_slowest(rows)}"


def _culprit(row: JourneyRow) -> str:
    """Say whose call the failures go back to, where the judge has found it."""
    finding = row.finding
    is_known = finding and finding.kind == BUDGET_BURNING and finding.service and row.health.word != "slow"
    return f", most of it in {finding.service}" if finding and is_known else ""


def _rest(rows: list[JourneyRow]) -> str:
    """Say of the journeys that need nobody that they do not."""
    if not rows:
        return ""
    well = "fine" if all(row.health.word == "fine" for row in rows) else "not known to be hurt"
    return f"The other one is {well}." if len(rows) == 1 else f"The other {len(rows)} are {well}."


def _all_well(rows: list[JourneyRow]) -> str:
    silent = sum(row.health.word == "unknown" for row in rows)
    if silent == len(rows):
        return "No span says whether it succeeded."
    if len(rows) == 1:
        return f"{shown(rows[0].summary.journey)} is fine."
    return (
        f"All {len(rows)} journeys are fine."
        if not silent
        else f"{len(rows) - silent} of {len(rows)} journeys are fine, {silent} did not say."
    )


def _slowest(rows: list[JourneyRow]) -> str:
    slowest = max(rows, key=lambda row: row.summary.p95_ns).summary
    first = slowest.path[0] if slowest.path else None
    where = f", {whole_percent(first.share)} of its path in {shown(first.service)}" if first else ""
    return f"Slowest is {shown(slowest.journey)}: p95 {duration(slowest.p95_ns)}{where}."


PAGE = Page(
    name="journeys",
    address="/",
    template="journeys.html",
    view=journeys_view,
    value=JourneysPage,
    summary="Journeys: health, rate, latency, and where each spends its time",
    parameters=(*RANGE_PARAMETERS, Parameter("page", "page of the list, from 1")),
)
