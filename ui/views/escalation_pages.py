"""`/traces/ID/escalation`: the packet of a trace as a page, as `.json` for programs, and as `.md` for a chat.

Packets of findings (`escalation_finding`) have their Markdown from here as well.
"""

from collections.abc import Callable

from flask import Flask, Response

from ui.views.escalation import Packet, packet
from ui.views.escalation_finding import finding_packet
from ui.views.escalation_text import to_markdown
from ui.views.escalation_trace import subject_of_trace
from ui.views.openapi import Download
from ui.views.page import Page, Visit
from ui.views.trace_asked import read_trace_id, stored_trace


def trace_packet(visit: Visit, trace_id: str) -> Packet:
    """Return the packet of a trace; raises BadAddress for what is no trace id, NothingThere for an unknown one."""
    trace_id = read_trace_id(trace_id)
    stored = stored_trace(visit, trace_id, in_full=True)
    explained = visit.explain(stored.spans, "root")
    assert explained is not None, "every trace has a root"
    assert stored.details is not None, "asked for in full"
    settings = visit.settings
    subject = subject_of_trace(stored.details, explained, stored.outcome, settings.source_link, settings.catalog)
    return packet(subject, visit, visit.base)


MARKDOWN = tuple(
    Download(
        name,
        f"{address}/escalation.md",
        f"The escalation packet of {what} as Markdown, to paste into a chat",
        "text/markdown",
        {"type": "string"},
    )
    for name, address, what in (
        ("escalation_markdown", "/traces/<trace_id>", "a trace"),
        ("finding_markdown", "/findings/<finding_id>", "a finding"),
    )
)


def add_routes(app: Flask, visit: Callable[[], Visit]) -> None:
    """Add the packet as Markdown."""

    def as_markdown(trace_id: str) -> Response:
        seen = visit()
        return Response(to_markdown(trace_packet(seen, trace_id), seen.now_unix_nano), mimetype="text/markdown")

    def of_finding(finding_id: str) -> Response:
        seen = visit()
        return Response(to_markdown(finding_packet(seen, finding_id), seen.now_unix_nano), mimetype="text/markdown")

    for described, answer in zip(MARKDOWN, (as_markdown, of_finding), strict=True):
        app.add_url_rule(described.address, described.name, answer)


PAGE = Page(
    name="escalation",
    address="/traces/<trace_id>/escalation",
    template="escalation.html",
    view=trace_packet,
    value=Packet,
    summary="The escalation packet of a trace: owner, since when, the call, the line of code, examples",
)
