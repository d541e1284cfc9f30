"""What to escalate about a finding: its own words, edge and examples, and the line of code in the first of these."""

from collections.abc import Sequence

from collector.core.catalog import Owner
from collector.core.findings.model import Fact
from collector.core.findings.tracking import Tracked
from collector.store.values import Node
from ui.views.errors import NothingThere
from ui.views.escalation import EXAMPLES, Packet, Subject, packet
from ui.views.escalation_trace import CallSeen, call_in_trace
from ui.views.findings import fact_row
from ui.views.page import Page, Visit

BUDGET_LEFT = "budget left"
"""The fact of a finding about a promise."""


def finding_packet(visit: Visit, finding_id: str) -> Packet:
    """Return the packet of a finding that is open or cleared lately; raises NothingThere for any other."""
    one = next((one for one in visit.reader.findings() if one.finding.id == finding_id.lower()), None)
    if one is None:
        raise NothingThere(f"no finding has the id {finding_id}", "it may have cleared long ago", "/findings")
    return packet(_subject(one, _seen(one, visit), visit), visit, visit.base)


def _subject(one: Tracked, seen: CallSeen | None, visit: Visit) -> Subject:
    finding = one.finding
    says_owner = bool(visit.reader.service_facts(finding.service))
    return Subject(
        title=finding.title,
        journey=finding.journey,
        service=finding.service,
        caller=Node(*finding.caller) if finding.caller else None,
        callee=Node(*finding.callee) if finding.callee else None,
        trace_ids=finding.examples,
        failed=False,
        facts=(finding.advice, *map(_sentence, finding.facts)),
        since_unix_nano=one.since_unix_nano,
        budget_share=_budget(finding.facts),
        owner=Owner() if says_owner else Owner(finding.owner),
        code=seen.code if seen else None,
        code_service=seen.code_service if seen else "",
        whose=seen.whose if seen else "",
        span_id=seen.span_id if seen else "",
        critical_ns=seen.inside_ns if seen else None,
        critical_share=seen.share if seen else None,
        seeks_more=False,
    )


def _seen(one: Tracked, visit: Visit) -> CallSeen | None:
    """The finding's call in its first example that is still stored."""
    finding = one.finding
    if finding.caller is None or finding.callee is None:
        return None
    for trace_id in finding.examples[:EXAMPLES]:
        spans = visit.reader.trace(trace_id)
        explained = visit.explain(spans.outlined, "root") if spans is not None and len(spans.batch) else None
        if spans is not None and explained is not None:
            ends = (Node(*finding.caller), Node(*finding.callee))
            return call_in_trace(spans, explained, *ends, visit.settings.source_link)
    return None


def _sentence(fact: Fact) -> str:
    row = fact_row(fact)
    return f"{row.name}: {row.words}" + (f" ({row.interval})" if row.interval else "")


def _budget(facts: Sequence[Fact]) -> float | None:
    """The share of the error budget that is spent, where the finding is about it."""
    return next((1 - fact.value for fact in facts if fact.name == BUDGET_LEFT), None)


PAGE = Page(
    name="finding_escalation",
    address="/findings/<finding_id>/escalation",
    template="escalation.html",
    view=finding_packet,
    value=Packet,
    summary="The escalation packet of a finding",
)
