"""Which trace an address asks for, and in which state: what every page about one trace begins with."""

import re

from collector.core.detail import OutlinedSpans
from collector.store.values import StoredTrace
from ui.draw.text import shown
from ui.views.errors import BadAddress, NothingThere
from ui.views.page import Visit
from ui.views.trace_rows import SHOWS
from ui.views.trace_sheet import Sheet, SheetKey

OF = {"request": "root", "trace": "trace"}
"""Words of the address for `explain`'s targets; anything else is a span's id."""


def open_sheet(visit: Visit, trace_id: str, spans: OutlinedSpans) -> Sheet:
    """Return the rows that the address asks for, of the spans of a trace.

    Raises BadAddress where it asks for the path of a span that is not there.
    """
    key = key_of(visit, trace_id)
    explained = visit.explain(spans, OF.get(key.of, key.of))
    if explained is None:
        hint = "write request, trace, or the id of a span"
        raise BadAddress(f"of={shown(key.of)} is no span of this trace", hint=hint)
    sheet = Sheet(spans, explained, key.show, key.find)
    visit.sheets.put(key, sheet, visit.now_unix_nano)
    return sheet


def stored_trace(visit: Visit, trace_id: str, in_full: bool = False) -> StoredTrace:
    """Return a trace, with its spans `in_full` or not; raises NothingThere for an unknown one."""
    found = visit.reader.stored(trace_id, in_full)
    if found is None:
        raise NothingThere(
            f"no span of trace {trace_id} is stored",
            "it may not have come yet, be sampled away, or be older than what is kept: search for one like it",
            "/search",
            may_come=True,
        )
    return found


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
