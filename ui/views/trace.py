"""One trace: whom the request waited for at every moment, and what each span said."""

from dataclasses import dataclass

import numpy as np

from collector.core.explain import Fragment, Section
from collector.store.boosted import BOOSTED
from collector.store.keeping import PINNED
from collector.store.values import StoredTrace
from ui.draw.text import count_of, shown
from ui.draw.units import duration, whole_percent
from ui.draw.waterfall import Axis
from ui.views.address import boost_address, journey_address, rows_address, trace_address
from ui.views.logs_link import logs_link
from ui.views.page import Page, Parameter, Pictures, Visit
from ui.views.span_panel import SpanPanel, span_panel
from ui.views.time_range import around, range_of
from ui.views.trace_asked import OF, asked_show, open_sheet, read_trace_id, stored_trace
from ui.views.trace_overview import Overview, draw_overview
from ui.views.trace_rows import ROWS
from ui.views.trace_sheet import LineStep, Sheet, TraceRow, draw_rows, name_of, ways
from ui.views.trace_ways import next_failed, sections_beside
from ui.views.whose_time import WhoseRow, whose_time
from ui.views.words import FRAGMENTS, flag_words, reason_words

LISTED = 1_000
"""Sections, shares and fragments in the value of a page; `cpdd path --json` has all."""
WORTH_SAYING = 0.05
"""A smaller share of the path is not put into the sentence."""
BECAUSE = {
    "failed": "it failed",
    "slow": "it is one of the slowest of its journey",
    "path": "it has a call that few of its journey have",
    "example": "it shows a finding",
}
"""Words for why a trace is kept, by the reason in the store."""


@dataclass(frozen=True, slots=True)
class SectionRow:
    id: str
    service: str
    operation: str
    callee: str
    offset_ns: int
    duration_ns: int
    share: float
    reason: str
    words: str
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ShareRow:
    """An operation's part of the path."""

    service: str
    operation: str
    callee: str
    """Whom it called; empty for work of its own."""
    is_way: bool
    """It does nothing but call: the time is the way to the callee, and not the callee's."""
    spans: int
    time_ns: int
    time_min_ns: int
    time_max_ns: int
    share: float


@dataclass(frozen=True, slots=True)
class FragmentRow:
    id: str
    service: str
    operation: str
    kind: str
    words: str
    offset_ns: int
    duration_ns: int


@dataclass(frozen=True, slots=True)
class FragmentGroup:
    """Fragments of one operation and kind, which are read as one line."""

    first: FragmentRow
    fragments: int
    shortest_ns: int
    longest_ns: int


@dataclass(frozen=True, slots=True)
class Kept:
    """A trace that stays until somebody lets it go."""

    author: str
    note: str
    at_unix_nano: int


@dataclass(frozen=True, slots=True)
class Stays:
    """A trace that outlives others of its age by itself."""

    until_unix_nano: int
    because: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TracePage:
    trace_id: str
    journey: str
    """Empty until the trace was analyzed."""
    journey_address: str
    answer: str
    failed: bool
    settled: bool
    start_unix_nano: int
    """Of the first span."""
    offset_ns: int
    """Of the target, from the start of the trace."""
    duration_ns: int
    """Of the target: what the sections add up to."""
    trace_duration_ns: int
    """From the first start to the last end."""
    spans: int
    services: int
    errors: int
    completeness: float
    ambiguity: float
    flags: tuple[str, ...]
    flag_words: tuple[str, ...]
    axis_start_ns: int
    axis_end_ns: int
    """Of the rows: the whole trace's, or theirs alone where it would squeeze them."""
    of: str
    """Whose path it is: `request` (the root), `trace` (from the first start to the last end), or the id of a span."""
    of_words: str
    show: str
    find: str
    address: str
    """Of this state of the page, up to `span=ID`, which selects a span."""
    logs: str
    """Where the logs of the trace are; empty where nobody said."""
    rows: tuple[TraceRow, ...]
    rows_address: str
    """Of rows by range; empty where the page has all."""
    selected_row: int
    """Which of all rows stands for the selected span, from 0; -1 for none."""
    total_rows: int
    overview: Overview | None
    """The whole of the path, where one page has not all rows."""
    page: int
    pages: int
    shares: tuple[ShareRow, ...]
    """Operations with time on the path, the largest first; so many as LISTED."""
    total_shares: int
    whose: tuple[WhoseRow, ...]
    """Whose the time of the path is, most first."""
    sections: tuple[SectionRow, ...]
    """In order of time, the first LISTED."""
    total_sections: int
    line: tuple[LineStep, ...]
    """The sections that draw anything among the rows, as the line through them."""
    side_line: tuple[LineStep, ...]
    """Sections of the fragments whose spans are among the rows."""
    fragments: tuple[FragmentRow, ...]
    total_fragments: int
    fragment_groups: tuple[FragmentGroup, ...]
    """All fragments by operation and kind, in the order of the first of each."""
    selected: SpanPanel | None
    previous_section: str
    """Id of the span that had the path before the selected one."""
    previous_section_number: int
    """Which section that is, from 0; -1 where there is none."""
    next_section: str
    next_section_number: int
    next_error: str
    """Address of the next span that failed; empty where none did."""
    boost: str
    """Address of the page that turns sampling up for what is selected; empty where no address can name it."""
    kept: Kept | None
    """Who keeps this trace and why; None where it goes as others do."""
    stays: Stays | None
    can_keep: bool
    needs_token: bool
    no_changes: str
    """Why nothing can be changed from where the visitor is; empty where it can."""
    downloads: tuple[tuple[str, str], ...]
    """Names and addresses."""


def trace_view(visit: Visit, trace_id: str) -> TracePage:
    """Return one page of a trace; raises BadAddress for what is no trace id, NothingThere for an unknown one."""
    trace_id = read_trace_id(trace_id)
    stored = stored_trace(visit, trace_id, in_full=bool(visit.query.get("span")))
    return _Build(visit, stored, open_sheet(visit, trace_id, stored.spans)).page()


class _Build:
    """The steps from an explanation to a page; holds what they share."""

    def __init__(self, visit: Visit, stored: StoredTrace, sheet: Sheet) -> None:
        self.visit = visit
        self.stored = stored
        self.of = visit.query.get("of", "") or "request"
        self.sheet = sheet
        self.spans = sheet.spans
        self.explained = sheet.explained
        self.outcome = stored.outcome
        self.nodes = sheet.nodes
        self.begin, self.end = sheet.begin, sheet.end
        self.on_path, self.failed, self.callees = sheet.on_path, sheet.failed, sheet.callees
        self.show, self.find = sheet.show, sheet.find
        self.selected = self._position(visit.query.get("span", ""))
        self.shares = self._shares()
        asked = 0 if self.selected >= 0 else visit.number("page", 0)  # a span is shown among its neighbours
        self.number = min(asked or sheet.listing.page_of(self.selected), sheet.listing.pages)
        self.window = sheet.listing.window((self.number - 1) * ROWS, ROWS)

    def page(self) -> TracePage:
        explained, nodes, sheet, window = self.explained, self.nodes, self.sheet, self.window
        axis = sheet.axis_of(window)
        before, after = sections_beside(explained, self.selected, self.visit.number("section", -1, least=0))
        batch = self.spans.batch
        return TracePage(
            trace_id=explained.trace_id,
            journey=self.outcome.journey if self.outcome else "",
            journey_address=self._journey_address(),
            answer=self._answer(),
            failed=self.outcome.failed if self.outcome else self.failed[max(explained.target, 0)],
            settled=self.outcome.settled if self.outcome else False,
            start_unix_nano=self.begin,
            offset_ns=explained.target_start_unix_nano - self.begin,
            duration_ns=explained.target_duration_ns,
            trace_duration_ns=self.end - self.begin,
            spans=len(nodes),
            services=len(np.unique(batch.service)),
            errors=sum(self.failed),
            completeness=explained.completeness,
            ambiguity=explained.ambiguity,
            flags=explained.flags,
            flag_words=tuple(flag_words(flag) for flag in explained.flags),
            axis_start_ns=axis.start_ns,
            axis_end_ns=axis.end_ns,
            of=self.of,
            of_words=self._of_words(),
            show=self.show,
            find=self.find,
            address=self._address(self.number),
            logs=logs_link(
                self.visit.settings.logs_link,
                explained.trace_id,
                "",
                nodes[max(explained.target, 0)].service,
                self.begin,
                self.end,
            ),
            rows=sheet.rows(window, self.selected),
            rows_address=self._rows_address(),
            selected_row=int(sheet.listing.row_of[self.selected]) if self.selected >= 0 else -1,
            total_rows=len(sheet.listing),
            overview=sheet.overview(),
            page=self.number,
            pages=sheet.listing.pages,
            shares=self.shares[:LISTED],
            total_shares=len(self.shares),
            whose=whose_time(self.spans, explained, self.failed),
            sections=tuple(self._section(section) for section in explained.sections[:LISTED]),
            total_sections=len(explained.sections),
            line=sheet.line(window, axis),
            side_line=sheet.side_line(window),
            fragments=tuple(self._fragment(fragment) for fragment in explained.fragments[:LISTED]),
            total_fragments=len(explained.fragments),
            fragment_groups=self._fragment_groups(),
            selected=self._panel(),
            previous_section=before.span,
            previous_section_number=before.section,
            next_section=after.span,
            next_section_number=after.section,
            next_error=self._next_error(),
            boost=self._boost(),
            kept=self._kept(),
            stays=self._stays(),
            can_keep=self.visit.boosts is not None and not self.visit.no_changes,
            needs_token=self.visit.boosts.needs_token if self.visit.boosts else False,
            no_changes=self.visit.no_changes,
            downloads=(
                ("OTLP JSON", f"/traces/{explained.trace_id}.otlp.json"),
                ("Jaeger JSON", f"/traces/{explained.trace_id}.jaeger.json"),
                ("this page as JSON", f"/traces/{explained.trace_id}.json"),
            ),
        )

    def _panel(self) -> SpanPanel | None:
        spans = self.stored.details
        if spans is None or self.selected < 0:
            return None
        return span_panel(spans, self.explained, self.selected, self.begin, self.visit.settings)

    def _position(self, span_id: str) -> int:
        """Return the node with an id (`ID` or `ID/server`), -1 where there is none."""
        wanted = span_id.strip().lower()
        return next((i for i, node in enumerate(self.nodes) if node.id == wanted), -1)

    def _address(self, page: int) -> str:
        usual = "all" if len(self.nodes) <= ROWS else "path"
        parameters = {
            "of": self.of if self.of != "request" else "",
            "show": self.show if self.show != usual else "",
            "find": self.find,
            "page": str(page) if self.sheet.listing.pages > 1 else "",
        }
        address = trace_address(self.explained.trace_id, parameters)
        return f"{address}&" if "?" in address else f"{address}?"

    def _rows_address(self) -> str:
        """Where a script finds more rows; empty where all are on the page."""
        if self.sheet.listing.pages == 1:
            return ""
        asked = {"of": self.of if self.of != "request" else "", "show": asked_show(self.visit), "find": self.find}
        return rows_address(self.explained.trace_id, asked)

    def _kept(self) -> Kept | None:
        pin = next((pin for pin in self.visit.pinned() if pin.trace_id == self.explained.trace_id), None)
        return Kept(pin.author, pin.note, pin.at_unix_nano) if pin else None

    def _stays(self) -> Stays | None:
        """What keeps it beside a person."""
        found = self.stored.kept_longer
        reasons = [reason for reason in found.reasons if reason != PINNED] if found else []
        return Stays(found.until_unix_nano, tuple(map(_because, reasons))) if found and reasons else None

    def _of_words(self) -> str:
        if self.of in OF:
            return {"request": "the request", "trace": "the whole trace"}[self.of]
        node = self.nodes[self.explained.target]
        return name_of(node.service, node.operation, "")

    def _journey_address(self) -> str:
        if self.outcome is None:
            return ""
        there = range_of(around(self.outcome.start_unix_nano), self.visit.now_unix_nano)
        return journey_address(self.outcome.journey, there.parameters)

    def _section(self, section: Section) -> SectionRow:
        node = self.nodes[section.node]
        whole = self.explained.target_duration_ns
        return SectionRow(
            id=node.id,
            service=shown(node.service),
            operation=shown(node.operation),
            callee=shown(self.callees[section.node]),
            offset_ns=section.start_unix_nano - self.begin,
            duration_ns=section.duration_ns,
            share=section.duration_ns / whole if whole else 0.0,
            reason=section.reason,
            words=reason_words(section.reason),
            flags=section.flags,
        )

    def _shares(self) -> tuple[ShareRow, ...]:
        on_ways = ways(self.nodes)
        sums: dict[tuple[str, str, str, bool], list[int]] = {}
        for position in sorted(self.on_path):
            node = self.nodes[position]
            callee = on_ways[position] or self.callees[position]
            summed = sums.setdefault((node.service, node.operation, callee, bool(on_ways[position])), [0, 0, 0, 0])
            for i, value in enumerate((1, node.time_ns, node.time_min_ns, node.time_max_ns)):
                summed[i] += value
        whole = self.explained.target_duration_ns
        rows = [
            ShareRow(
                shown(service),
                shown(operation),
                shown(callee),
                is_way,
                spans=spans,
                time_ns=time,
                time_min_ns=least,
                time_max_ns=most,
                share=time / whole if whole else 0.0,
            )
            for (service, operation, callee, is_way), (spans, time, least, most) in sums.items()
        ]
        return tuple(sorted(rows, key=lambda row: (-row.time_ns, row.service, row.operation)))

    def _fragment(self, fragment: Fragment) -> FragmentRow:
        node = self.nodes[fragment.node]
        return FragmentRow(
            id=node.id,
            service=shown(node.service),
            operation=shown(node.operation),
            kind=fragment.kind,
            words=FRAGMENTS.get(fragment.kind, fragment.kind),
            offset_ns=node.start_unix_nano - self.begin,
            duration_ns=node.end_unix_nano - node.start_unix_nano,
        )

    def _fragment_groups(self) -> tuple[FragmentGroup, ...]:
        by_operation: dict[tuple[str, str, str], list[FragmentRow]] = {}
        for row in map(self._fragment, self.explained.fragments):
            by_operation.setdefault((row.kind, row.service, row.operation), []).append(row)
        return tuple(
            FragmentGroup(
                rows[0],
                len(rows),
                min(row.duration_ns for row in rows),
                max(row.duration_ns for row in rows),
            )
            for rows in by_operation.values()
        )

    def _next_error(self) -> str:
        """Where the next span that failed is: among these rows, or where failed spans are shown."""
        at = next_failed(self.failed, self.selected)
        if at < 0:
            return ""
        id = self.nodes[at].id
        if self.sheet.listing.shows(at):
            return f"{self._address(self.sheet.listing.page_of(at))}span={id}#span"
        parameters = {"of": self.of if self.of != "request" else "", "show": "errors", "span": id}
        return f"{trace_address(self.explained.trace_id, parameters)}#span"

    def _boost(self) -> str:
        """Where sampling is turned up for the selected span, or for what the path is of."""
        at = self.selected if self.selected >= 0 else max(self.explained.target, 0)
        node = self.nodes[at]
        return boost_address(node.service, node.operation, reason=f"trace {self.explained.trace_id}")

    def _answer(self) -> str:
        """Say what took the time, where it failed, and what went on afterwards."""
        subject = "It" if self.of == "request" else f"{self._of_words()[0].upper()}{self._of_words()[1:]}"
        sentences = [f"{subject} took {duration(self.explained.target_duration_ns)}{self._failed_at()}."]
        largest = [(share, name) for name, share in self._named_shares()[:2] if share >= WORTH_SAYING]
        if largest:
            (share, first), *others = largest
            also = "".join(f", {whole_percent(share)} {name}" for share, name in others)
            sentences.append(f"{whole_percent(share)} of the time was {first}{also}.")
        if self.of == "request" and self.end - self._target_end() > self.explained.target_duration_ns / 2:
            sentences.append(f"Work that it did not wait for went on until {duration(self.end - self.begin)}.")
        return " ".join(sentences)

    def _named_shares(self) -> list[tuple[str, float]]:
        """Return what the path spent its time in and how much of it, most first: two calls of one way are one."""
        sums: dict[str, float] = {}
        for row in self.shares:
            name = _share_name(row)
            sums[name] = sums.get(name, 0.0) + row.share
        return sorted(sums.items(), key=lambda item: -item[1])

    def _target_end(self) -> int:
        return self.explained.target_start_unix_nano + self.explained.target_duration_ns

    def _failed_at(self) -> str:
        """Follow failed spans down from the target to the first that no callee explains."""
        at = self.explained.target
        if at < 0:
            return ""
        if not self.failed[at]:
            survived = sum(self.failed)
            return f" and ended well, though {count_of(survived, 'span')} below it failed" if survived else ""
        children: dict[int, list[int]] = {}
        for i, node in enumerate(self.nodes):
            if self.failed[i] and node.parent >= 0:
                children.setdefault(node.parent, []).append(i)
        while at in children:
            at = max(children[at], key=lambda i: self.nodes[i].end_unix_nano)
        node = self.nodes[at]
        return f" and failed at {name_of(node.service, node.operation, self.callees[at])}"


def _share_name(row: ShareRow) -> str:
    if row.is_way:
        return f"the way from {row.service} to {row.callee}"
    return name_of(row.service, row.operation, row.callee)


def _because(reason: str) -> str:
    if reason.startswith(BOOSTED):
        return f"it began while the boost {reason.removeprefix(BOOSTED)} was live"
    return BECAUSE.get(reason, reason)


def pictures(page: TracePage) -> Pictures:
    axis = Axis(page.axis_start_ns, page.axis_end_ns)
    rows = draw_rows(page.trace_id, page.address, page.rows, page.line, page.side_line, axis)
    return {**rows, **draw_overview(page.overview, page.address, axis)} if page.overview else rows


PAGE = Page(
    name="trace",
    address="/traces/<trace_id>",
    template="trace.html",
    view=trace_view,
    value=TracePage,
    summary="A trace: waterfall, critical path, sections with reasons, one span in full",
    parameters=(
        Parameter("span", "id of the span to show in full"),
        Parameter("section", "which section of the path is meant, from 0, where the span has several"),
        Parameter("of", "whose path: request (the root), trace (first start to last end), or the id of a span"),
        Parameter("show", "which spans are rows: all, path (those with time on it), errors (failed ones and the path)"),
        Parameter(
            "find",
            "only spans with this text in their service, name, id or an attribute (key=value), and what is above them",
        ),
        Parameter("page", f"page of the rows, {ROWS} on each, from 1"),
    ),
    pictures=pictures,
)
