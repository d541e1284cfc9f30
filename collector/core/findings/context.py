"""Traces that begin in the middle, and services that name their spans without end."""

from collections.abc import Iterator

from collector.core.findings.model import BROKEN_CONTEXT, UNBOUNDED_NAMES, Disproved, Fact, Finding, Look, spoken

LEAST_BEGINS = 10
INNER_CALLS = 50
"""Calls by others that make an operation an inner one."""
INNER_TIMES = 2
"""So many times more often called than begun with; else it is an entry as well."""
ORPHAN_SHARE = 0.01
"""Of the traces: from here on spans whose parent never came are worth a finding."""


def broken_contexts(look: Look) -> Iterator[Finding | Disproved]:
    """The hop that lost the context is named where one is known to call what the traces begin with."""
    for found in look.breaks:
        there = " ".join(part for part in (found.service, found.operation) if part)
        hop = spoken(found.hop) if found.hop else ""
        if found.orphans:
            title = f"{there} has a parent that never comes" + (f": {hop} calls it" if hop else "")
            advice = (
                f"See whether every span of {found.hop[0]} is exported" if found.hop else "See who calls it"
            ) + ", and whether both sides keep the same traces when they sample."
        else:
            title = f"traces begin at {there}" + (f", which {hop} calls" if hop else ", which others call")
            caller = f"the client of {found.hop[0]}" if found.hop else "whoever calls it"
            advice = f"See whether {caller} sends a traceparent, and whether something on the way drops it."
        yield Finding(
            kind=BROKEN_CONTEXT,
            journey="",
            subject=f"{found.service}\0{found.operation}\0{'orphans' if found.orphans else 'roots'}",
            title=title,
            advice=advice,
            service=found.hop[0] if found.hop else found.service,
            caller=found.hop,
            callee=(found.service, found.operation, "server"),
            facts=(
                Fact("begin there", found.begins, "count"),
                Fact("calls with their context", found.calls, "count"),
            ),
            examples=found.examples,
        )


def unbounded_names(look: Look) -> Iterator[Finding | Disproved]:
    """There are more names of journeys than are kept, and this service has most of them."""
    found = look.inventor
    if found is None:
        return
    yield Finding(
        kind=UNBOUNDED_NAMES,
        journey="",
        subject=found.service,
        title=f"{found.service} names its root spans without end, such as {' and '.join(found.examples[:2])}",
        advice=(
            "Name spans by their route, as GET /user/{id}, or give the journey a match in cpdd.toml: "
            'operation = "GET /user/*".'
        ),
        service=found.service,
        facts=(Fact("names", found.names, "count"), Fact("traces put into other", found.refused, "count")),
    )
