"""`/traces/ID/escalation`: the packet of a trace as a page, as `.json` for programs, and as `.md` for a chat.

Packets of findings (`escalation_finding`) have their Markdown from here as well.
"""

from collections.abc import Callable

from flask import Flask, Response

from ui.views.errors import NothingThere
from ui.views.escalation import Packet, packet
from ui.views.escalation_finding import finding_packet
from ui.views.escalation_text import to_markdown
from ui.views.escalation_trace import subject_of_trace
from ui.views.page import Page, Visit
from ui.views.trace_asked import read_trace_id, summary_of


def trace_packet(visit: Visit, trace_id: str) -> Packet:
    """Return the packet of a trace; raises BadAddress for what is no trace id, NothingThere for an unknown one."""
    trace_id = read_trace_id(trace_id)
    spans = visit.reader.trace(trace_id)
    explained = visit.explain(spans, "root") if spans is not None and len(spans.batch) else None
    if spans is None or explained is None:
        raise NothingThere(
            f"no span of trace {trace_id} is stored", "it may have been sampled away: search for one like it", "/search"
        )
    settings, summary = visit.settings, summary_of(visit, trace_id, spans)
    subject = subject_of_trace(spans, explained, summary, settings.source_link, settings.catalog)
    return packet(subject, visit, visit.base)


def add_routes(app: Flask, visit: Callable[[], Visit]) -> None:
    """Add the packet as Markdown."""

    def as_markdown(trace_id: str) -> Response:
        seen = visit()
        return Response(to_markdown(trace_packet(seen, trace_id), seen.now_unix_nano), mimetype="text/markdown")

    def of_finding(finding_id: str) -> Response:
        seen = visit()
        return Response(to_markdown(finding_packet(seen, finding_id), seen.now_unix_nano), mimetype="text/markdown")

    app.add_url_rule("/traces/<trace_id>/escalation.md", "escalation_markdown", as_markdown)
    app.add_url_rule("/findings/<finding_id>/escalation.md", "finding_markdown", of_finding)


PAGE = Page(
    name="escalation",
    address="/traces/<trace_id>/escalation",
    template="escalation.html",
    view=trace_packet,
    value=Packet,
    summary="The escalation packet of a trace: owner, since when, the call, the line of code, examples",
)
