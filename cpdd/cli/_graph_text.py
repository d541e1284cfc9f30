"""A dependency graph for people: a tree of calls for each journey, with evidence."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text

from collector.core.graph import DependencyGraph, GraphEdge, GraphNode
from collector.core.mandatory import JourneyNeed
from collector.core.requirement import MANDATORY, NO_STATUS, OPTIONAL, UNDETERMINED
from collector.core.said import FALLBACKS
from cpdd.cli._terminal import FAILED_STYLE, PATH_STYLE, QUIET_STYLE, Look, printable
from ui.draw.units import duration

CRITICAL_SHARE = 0.01
"""Edges with less of the critical path below them are quiet."""
MOST_NAMED = 12
"""Nodes that the sentence about what a journey needs lists."""
_BAR = 10
_NARROWEST_NAME = 24
_HEADS = ("calls", "failed", "requirement", "p50", "p95")


@dataclass(frozen=True, slots=True)
class _Line:
    """A row of the tree: a call, or the operation at the top from which calls start."""

    indent: int
    node: GraphNode
    edge: GraphEdge | None = None
    seen: bool = False
    """The node's own calls stand further up."""


def graph_lines(graph: DependencyGraph, needs: Sequence[JourneyNeed], look: Look) -> list[Text]:
    """Return a tree for each journey, callees under their callers, the most critical first; then what it needs."""
    lines: list[Text] = []
    need_of = {need.journey: need for need in needs}
    for journey in dict.fromkeys(edge.journey for edge in graph.edges):
        edges = [edge for edge in graph.edges if edge.journey == journey]
        if lines:
            lines.append(Text())
        lines += _journey(journey, edges, look)
        if journey in need_of:
            lines += _need(need_of[journey], look)
    return lines


def _need(need: JourneyNeed, look: Look) -> Iterator[Text]:
    """What the journey cannot do without, and where its edges are not what somebody says of them."""
    called = {edge.callee.id for edge in need.edges}
    needed = [node for node in need.mandatory if node in called]
    if needed:
        more = f" and {len(needed) - MOST_NAMED:,} more" if len(needed) > MOST_NAMED else ""
        yield from _wrapped(f"cannot do without {', '.join(needed[:MOST_NAMED])}{more}", look)
    for edge in need.misdeclared:
        yield from _wrapped(f"{_ends(edge)} is declared {edge.declared}, and is {edge.verdict.verdict}", look)
    for edge in need.disagreements:
        fate = "ends well" if edge.journey_verdict.verdict == OPTIONAL else "fails"
        yield from _wrapped(f"{_ends(edge)} is {edge.verdict.verdict}, and yet the journey {fate} without it", look)


def _ends(edge: GraphEdge) -> str:
    return f"{edge.caller.id} → {edge.callee.id}"


def _wrapped(words: str, look: Look) -> Iterator[Text]:
    return (Text(line) for line in look.wrapped(printable(words)))


def _journey(journey: str, edges: list[GraphEdge], look: Look) -> Iterator[Text]:
    rows = list(_tree(edges))
    facts = [_facts(row.edge) if row.edge else ("",) * len(_HEADS) for row in rows]
    widths = [max(map(len, column)) for column in zip(_HEADS, *facts, strict=True)]
    used = sum(widths) + 2 * len(widths) + _BAR + 9
    name_width = max(_NARROWEST_NAME, min(look.width - used, max((_name_width(row) for row in rows), default=0)))

    yield Text(look.cut(printable(journey), look.width), style="bold")
    heads = [head.rjust(width) for head, width in zip(_HEADS, widths, strict=True)]
    yield Text(look.text("  ".join(["".ljust(name_width), *heads, "share of the path"])), style=QUIET_STYLE)
    for row, words in zip(rows, facts, strict=True):
        yield _row(row, words, widths, name_width, look)
    if all(edge.verdict.why == NO_STATUS for edge in edges):
        yield Text(look.cut(f"{NO_STATUS}: nobody can say what is mandatory", look.width), style=QUIET_STYLE)


def _tree(edges: list[GraphEdge]) -> Iterator[_Line]:
    """Edges under their callers; a callee that was shown before is not unfolded again."""
    below: dict[str, list[GraphEdge]] = {}
    for edge in edges:
        below.setdefault(edge.caller.id, []).append(edge)
    callees = {edge.callee.id for edge in edges}
    tops = [caller for caller in below if caller not in callees] or list(below)[:1]
    shown: set[str] = set()
    printed: set[int] = set()
    for top in [*tops, *below]:
        if top in shown:
            continue
        shown.add(top)
        yield _Line(0, below[top][0].caller)
        stack = [(1, edge) for edge in reversed(below[top])]
        while stack:
            indent, edge = stack.pop()
            if id(edge) in printed:
                continue
            printed.add(id(edge))
            seen = edge.callee.id in shown and edge.callee.id in below
            yield _Line(indent, edge.callee, edge, seen)
            if not seen:
                shown.add(edge.callee.id)
                stack.extend((indent + 1, further) for further in reversed(below.get(edge.callee.id, [])))


def _facts(edge: GraphEdge) -> tuple[str, ...]:
    return (_calls(edge), _failed(edge), _requirement(edge),
            duration(edge.p50_ns or 0), duration(edge.p95_ns or 0))  # fmt: skip


def _failed(edge: GraphEdge) -> str:
    """How many, and how many of them somebody made fail."""
    if not edge.failed:
        return ""
    return f"{edge.failed:,}, {edge.injected:,} injected" if edge.injected else f"{edge.failed:,}"


def _calls(edge: GraphEdge) -> str:
    """How many calls, and in how many attempts where there were retries or hedges."""
    return f"{edge.calls:,} in {edge.attempts:,}" if edge.attempts > edge.calls else f"{edge.calls:,}"


def _requirement(edge: GraphEdge) -> str:
    """The verdict with the fallback (as seen, else as said), and the declaration where it differs."""
    word = "?" if edge.verdict.verdict == UNDETERMINED else edge.verdict.verdict
    if edge.fallbacks:
        word += f", else {printable(edge.fallbacks[0][0].service or edge.fallbacks[0][0].operation)}"
    elif edge.said.has_fallback:
        word += f", else {FALLBACKS[edge.said.fallback]}"
    if edge.said.group:
        word += f", any {edge.said.quorum} of {printable(edge.said.group)}"
    if edge.declared and edge.declared != edge.verdict.verdict:
        return f"{word} (declared {edge.declared})"
    if edge.around and edge.around != edge.verdict.verdict:
        return f"{word} (declared {edge.around} around it)"
    return word


def _name_width(row: _Line) -> int:
    return 2 * row.indent + cell_len(_name(row))


def _name(row: _Line) -> str:
    same = row.edge is not None and row.node.operation and row.node.service == row.edge.caller.service
    name = f"{row.node.operation} (same service)" if same else row.node.id
    return printable(name) + (" …" if row.seen else "")


def _row(row: _Line, facts: tuple[str, ...], widths: list[int], name_width: int, look: Look) -> Text:
    edge = row.edge
    critical = edge is None or edge.critical_share >= CRITICAL_SHARE
    label = look.cut("  " * row.indent + look.text(_name(row)), name_width)
    line = Text(label + " " * (name_width - cell_len(label)), style="" if critical else QUIET_STYLE)
    if edge is None:
        return line
    for place, (fact, width) in enumerate(zip(facts, widths, strict=True)):
        style = FAILED_STYLE if place == 1 and edge.verdict.verdict == MANDATORY else ""
        line.append("  " + look.text(fact).rjust(width), style=style or ("" if critical else QUIET_STYLE))
    filled = round(_BAR * min(1.0, edge.critical_share))
    share = f"{100 * edge.critical_share:.3g} %" if edge.critical_share >= 0.0005 else ""
    line.append("  " + look.glyphs.path * filled, style=PATH_STYLE)
    line.append(" " * (_BAR - filled) + share.rjust(7), style=PATH_STYLE if critical else QUIET_STYLE)
    return line
