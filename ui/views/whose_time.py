"""Whose time the critical path of a trace is, and where its errors begin: own code, libraries, or who was called."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from collector.core.code import WHOSE, whose
from collector.core.detail import OutlinedSpans
from collector.core.explain import Explanation, PathNode
from ui.views.span_panel import whose_span

LOOKED_UP = 500
"""Spans whose code is looked up, those with most time first; the rest is told apart by kind and scope alone."""


@dataclass(frozen=True, slots=True)
class WhoseRow:
    whose: str
    """`ours`, `library`, `dependency` or `unknown`."""
    time_ns: int
    share: float
    errors: int
    """Failed spans below which nothing failed."""


def whose_time(spans: OutlinedSpans, explained: Explanation, failed: Sequence[bool]) -> tuple[WhoseRow, ...]:
    """Return who had the time, most first, and who the errors; nobody with neither.

    Args:
        failed: by node.
    """
    nodes = explained.nodes
    explained_by_others = {node.parent for i, node in enumerate(nodes) if failed[i]}
    begins = [i for i in range(len(nodes)) if failed[i] and i not in explained_by_others]
    with_time = sorted((i for i, node in enumerate(nodes) if node.time_ns), key=lambda i: -nodes[i].time_ns)
    times, errors = dict.fromkeys(WHOSE, 0), dict.fromkeys(WHOSE, 0)
    for node, who in _with_whose(spans, [nodes[i] for i in with_time]):
        times[who] += node.time_ns
    for _, who in _with_whose(spans, [nodes[i] for i in begins]):
        errors[who] += 1
    whole = explained.target_duration_ns
    rows = [WhoseRow(who, times[who], times[who] / whole if whole else 0.0, errors[who]) for who in WHOSE]
    return tuple(sorted((row for row in rows if row.time_ns or row.errors), key=lambda row: -row.time_ns))


def _with_whose(spans: OutlinedSpans, nodes: Sequence[PathNode]) -> Iterator[tuple[PathNode, str]]:
    """Yield nodes with whose their time is."""
    read, rest = nodes[:LOOKED_UP], nodes[LOOKED_UP:]
    for node, outline in zip(read, spans.outlines([node.row for node in read]), strict=True):
        yield node, whose_span(node.kind, outline)
    batch = spans.batch
    for node in rest:
        yield node, whose(node.kind, None, "", batch.text(int(batch.scopes.name[batch.scope[node.row]])))
