"""Which trace an address asks for, and in which state: what every page about one trace begins with."""

import re

from collector.core.detail import DetailedSpans
from collector.store.lookup import WhereItLies
from collector.store.values import TraceSummary, Window
from ui.draw.text import shown
from ui.views.errors import BadAddress, NothingThere
from ui.views.page import Visit
from ui.views.trace_rows import SHOWS
from ui.views.trace_sheet import Sheet, SheetKey

OF = {"request": "root", "trace": "trace"}
"""Words of the address for `explain`'s targets; anything else is a span's id."""


def open_sheet(visit: Visit, trace_id: str, where: WhereItLies | None = None) -> Sheet:
    """Return the rows that the address asks for, as they are now.

    Raises BadAddress where it asks for the path of a span that is not there, NothingThere for an unknown trace.

    Args:
        where: says where the trace lies, from who looks meanwhile.
    """
    spans = stored_spans(visit, trace_id, where)
    key = key_of(visit, trace_id)
    explained = visit.explain(spans, OF.get(key.of, key.of))
    if explained is None:
        hint = "write request, trace, or the id of a span"
        raise BadAddress(f"of={shown(key.of)} is no span of this trace", hint=hint)
    sheet = Sheet(spans, explained, key.show, key.find)
    visit.sheets.put(key, sheet, visit.now_unix_nano)
    return sheet


def stored_spans(visit: Visit, trace_id: str, where: WhereItLies | None = None) -> DetailedSpans:
    """Return the spans of a trace; raises NothingThere for an unknown one."""
    spans = visit.reader.trace(trace_id, where)
    if spans is None or not len(spans.batch):
        raise no_span(trace_id)
    return spans


def no_span(trace_id: str) -> NothingThere:
    return NothingThere(
        f"no span of trace {trace_id} is stored",
        "it may not have come yet, be sampled away, or be older than what is kept: search for one like it",
        "/search",
    )


def summary_of(visit: Visit, trace_id: str, spans: DetailedSpans) -> TraceSummary | None:
    """Return what was learned from a trace whose spans were read, None before it was analyzed."""
    starts = spans.batch.start_time_unix_nano
    return visit.reader.summary(trace_id, Window(int(starts.min()), int(starts.max()) + 1))


def asked_show(visit: Visit) -> str:
    """Return which spans the address asks for, empty where it leaves that to the page; raises BadAddress."""
    return visit.one_of("show", SHOWS)


def key_of(visit: Visit, trace_id: str) -> SheetKey:
    query = visit.query
    return SheetKey(trace_id, query.get("of", "") or "request", asked_show(visit), query.get("find", "").strip())


def read_trace_id(text: str) -> str:
    """Return 32 lower-case hex digits; 64-bit ids are padded as Jaeger does."""
    digits = text.strip().lower()
    if not re.fullmatch(r"[0-9a-f]{1,32}", digits) or not int(digits, 16):
        raise BadAddress(
            f"trace={shown(text)} is no trace id", hint="a trace id has 32 hex digits (or 16) and is not all zero"
        )
    return digits.rjust(32, "0")
