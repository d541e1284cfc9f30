"""Proposed boosts as people read them. Called by `cpdd boost --proposed`."""

from collections.abc import Mapping, Sequence
from typing import Any

from cpdd.cli._control import length_of, share_of


def proposal_lines(proposals: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a few lines for each proposal: what would be learned, what would be done, what it costs."""
    if not proposals:
        return ["nothing is proposed: all is known, or all traces are kept, or nothing was seen yet"]
    return [line for proposal in proposals for line in _lines(proposal)]


def _lines(proposal: Mapping[str, Any]) -> list[str]:
    roots = ", ".join(f"{root['service']} {root['operation']}" for root in proposal["roots"])
    kept, to = share_of(proposal["kept_percentage"]), share_of(proposal["percentage"])
    needed = proposal["traces_needed"]
    answered = "" if needed <= proposal["max_traces"] else f", of {needed} that it takes"
    otherwise = proposal["otherwise_in_s"]
    without = "" if otherwise is None else f", without it in {span_of(otherwise)}"
    return [
        f"{proposal['id']}  {proposal['why']}",
        f"    {roots}: {kept} to {to} for {length_of(proposal['duration_s'])}",
        f"    costs {proposal['max_traces']} traces{answered}, {proposal['spans']} spans "
        f"({proposal['spans_per_second']:.4g} spans/s)",
        f"    known in about {span_of(proposal['decides_in_s'])}{without}",
        f"    cpdd boost --accept {proposal['id']}",
    ]


def span_of(seconds: float) -> str:
    """Return a time to wait, in the unit that fits.

    >>> span_of(59), span_of(300), span_of(7_200), span_of(20 * 86_400)
    ('59 s', '5 min', '2 h', '20 days')
    """
    for unit_s, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * unit_s:
            return f"{seconds / unit_s:.0f} {unit}"
    return f"{seconds:.0f} s"
