"""Rows of a trace by range: what a script fetches while somebody scrolls through more rows than one page has."""

from dataclasses import dataclass

from ui.draw.waterfall import Axis
from ui.views.address import trace_address
from ui.views.page import Page, Parameter, Pictures, Visit
from ui.views.trace_asked import asked_show, key_of, open_sheet, read_trace_id, stored_trace
from ui.views.trace_rows import ROWS
from ui.views.trace_sheet import LineStep, TraceRow, draw_rows

USUAL = 50


@dataclass(frozen=True, slots=True)
class TraceWindow:
    trace_id: str
    address: str
    """Of the trace's page in this state, up to `span=ID`."""
    first: int
    """Which of all rows the first one is, from 0."""
    total_rows: int
    axis_start_ns: int
    axis_end_ns: int
    """Of these rows alone where the whole trace's would squeeze them."""
    rows: tuple[TraceRow, ...]
    line: tuple[LineStep, ...]
    side_line: tuple[LineStep, ...]


def window_view(visit: Visit, trace_id: str) -> TraceWindow:
    """Return some rows of a trace; none beyond the last. Raises as the trace's page does."""
    trace_id = read_trace_id(trace_id)
    key = key_of(visit, trace_id)
    sheet = visit.sheets.get(key, visit.now_unix_nano)
    sheet = sheet or open_sheet(visit, trace_id, stored_trace(visit, trace_id).spans)
    first = visit.number("first", 0, least=0)
    window = sheet.listing.window(first, min(visit.number("count", USUAL), ROWS))
    axis = sheet.axis_of(window)
    asked = {"of": key.of if key.of != "request" else "", "show": asked_show(visit), "find": key.find}
    address = trace_address(trace_id, asked)
    return TraceWindow(
        trace_id=trace_id,
        address=f"{address}{'&' if '?' in address else '?'}",
        first=first,
        total_rows=len(sheet.listing),
        axis_start_ns=axis.start_ns,
        axis_end_ns=axis.end_ns,
        rows=sheet.rows(window),
        line=sheet.line(window, axis) if window.nodes else (),
        side_line=sheet.side_line(window),
    )


def pictures(page: TraceWindow) -> Pictures:
    axis = Axis(page.axis_start_ns, page.axis_end_ns)
    return draw_rows(page.trace_id, page.address, page.rows, page.line, page.side_line, axis)


PAGE = Page(
    name="trace_rows",
    address="/traces/<trace_id>/rows",
    template="rows.html",
    view=window_view,
    value=TraceWindow,
    summary="Rows of a trace's waterfall by range, with the path through them",
    parameters=(
        Parameter("first", "the first row, from 0"),
        Parameter("count", f"how many rows, at most {ROWS}"),
        Parameter("of", "as on the trace's page"),
        Parameter("show", "likewise"),
        Parameter("find", "likewise"),
    ),
    pictures=pictures,
)
