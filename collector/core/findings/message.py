"""A finding as a message: plain JSON for programs, a line or two for people on Slack. Pure."""

from dataclasses import asdict

from collector.core.findings.model import BURNING, FAILING, Fact, Finding
from collector.core.findings.tracking import Tracked

_ICONS = {FAILING: ":x:", BURNING: ":warning:"}
_FACTS = 4
"""In a message; the page has all."""


def as_json(tracked: Tracked, pages: str) -> dict[str, object]:
    """Return the finding and what became of it; docs/reference/http-api.md describes it.

    Args:
        pages: address of the pages, for links; empty: no links.
    """
    finding = tracked.finding
    return {
        "event": "opened" if tracked.is_open else "cleared",
        "id": finding.id,
        **finding_json(finding),
        "since_unix_nano": tracked.since_unix_nano,
        "cleared_unix_nano": tracked.cleared_unix_nano,
        "because": tracked.because,
        "address": _address(pages, tracked),
        "examples": [f"{pages}/traces/{trace}" if pages else trace for trace in finding.examples],
    }


def finding_json(finding: Finding) -> dict[str, object]:
    """Return what a finding says, whatever became of it."""
    return {
        "kind": finding.kind,
        "urgency": finding.urgency,
        "journey": finding.journey,
        "service": finding.service,
        "owner": finding.owner,
        "title": finding.title,
        "advice": finding.advice,
        "facts": [asdict(fact) for fact in finding.facts],
        "examples": list(finding.examples),
    }


def as_slack(tracked: Tracked, pages: str) -> dict[str, object]:
    """Return the message that Slack's incoming webhooks (and those that copy them) take."""
    finding = tracked.finding
    if not tracked.is_open:
        return {"text": f":white_check_mark: cleared: {_escaped(finding.title)} ({_escaped(tracked.because)})"}
    icon = _ICONS.get(finding.urgency, ":mag:")
    address = _address(pages, tracked)
    title = f"<{address}|{_escaped(finding.title)}>" if address else _escaped(finding.title)
    facts = ", ".join(f"{fact.name} {fact_words(fact)}" for fact in finding.facts[:_FACTS])
    owner = f"owner {finding.owner}" if finding.owner else ""
    second = " · ".join(part for part in (facts, owner) if part)
    lines = [f"{icon} *{finding.kind}*: {title}", _escaped(second), _escaped(finding.advice)]
    return {"text": "\n".join(line for line in lines if line)}


def fact_words(fact: Fact) -> str:
    """Return a fact's value with its unit.

    >>> fact_words(Fact("survival", 0.031, "share", (0.0, 0.09)))
    '3.1 % (0 to 9 %)'
    """
    words = _number(fact.value, fact.unit)
    if fact.interval is None:
        return words
    low, high = (_number(edge, fact.unit) for edge in fact.interval)
    return f"{words} ({low.removesuffix(' %')} to {high})"


def _number(value: float, unit: str) -> str:
    match unit:
        case "share":
            return f"{value * 100:.4g} %"
        case "times":
            return f"{value:.3g} times too fast"
        case "ratio":
            return f"{value:.3g}"
        case "ns":
            return f"{value / 1e6:.3g} ms"
        case _:
            return f"{value:,.0f}"


def _address(pages: str, tracked: Tracked) -> str:
    return f"{pages}/findings#{tracked.finding.id}" if pages else ""


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
