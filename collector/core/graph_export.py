"""A dependency graph as text for other programs: Graphviz, Mermaid, GraphML."""

import io

import networkx as nx

from collector.core.graph import DependencyGraph, GraphEdge

_STYLES = {"mandatory": "solid", "optional": "dashed", "mixed": "dashed", "undetermined": "dotted"}
_CRITICAL_SHARE = 0.05
"""Edges with at least this share of the critical path are drawn bold."""


def to_dot(graph: DependencyGraph) -> str:
    """Return Graphviz source: mandatory solid, optional dashed, undetermined dotted; width by share of the path."""
    lines = ["digraph dependencies {", "  rankdir=LR;", '  node [shape=box, style=rounded, fontname="sans-serif"];']
    numbers = {node.id: f"n{i}" for i, node in enumerate(graph.nodes)}
    shapes = {"database": "cylinder", "queue": "cds", "external": "box"}
    for node in graph.nodes:
        shape = f", shape={shapes[node.kind]}" if node.kind in shapes else ""
        lines.append(f"  {numbers[node.id]} [label={_quoted(_lines(node.service, node.operation))}{shape}];")
    for edge in graph.edges:
        width = 1 + 4 * min(1.0, edge.critical_share)
        head = "normal" if edge.requirement == "mandatory" else "onormal"
        lines.append(
            f"  {numbers[edge.caller.id]} -> {numbers[edge.callee.id]} [style={_STYLES[edge.requirement]}, "
            f"penwidth={width:.2f}, arrowhead={head}, label={_quoted(_label(edge))}, tooltip={_quoted(edge.journey)}];"
        )
    return "\n".join([*lines, "}"]) + "\n"


def to_mermaid(graph: DependencyGraph) -> str:
    """Return a Mermaid flow chart: mandatory solid, optional and undetermined dotted, critical thick."""
    lines = ["flowchart LR"]
    numbers = {node.id: f"n{i}" for i, node in enumerate(graph.nodes)}
    for node in graph.nodes:
        text = _escaped(_lines(node.service, node.operation).replace("\n", "<br>"))
        box = {"database": ("[(", ")]"), "queue": ("[[", "]]")}.get(node.kind, ("[", "]"))
        lines.append(f'  {numbers[node.id]}{box[0]}"{text}"{box[1]}')
    for edge in graph.edges:
        if edge.requirement not in ("mandatory", "undetermined"):
            arrow = "-.->"
        else:
            arrow = "==>" if edge.critical_share >= _CRITICAL_SHARE else "-->"
        lines.append(f'  {numbers[edge.caller.id]} {arrow}|"{_escaped(_label(edge))}"| {numbers[edge.callee.id]}')
    return "\n".join(lines) + "\n"


def to_graphml(graph: DependencyGraph) -> str:
    """Return GraphML with all attributes of `DependencyGraph.to_networkx`."""
    out = io.BytesIO()
    nx.write_graphml(graph.to_networkx(), out)
    return out.getvalue().decode()


def _label(edge: GraphEdge) -> str:
    parts = [f"{edge.calls}"]
    if edge.critical_share >= 0.0005:
        parts.append(f"{100 * edge.critical_share:.3g} % of the path")
    if edge.failed:
        parts.append(f"{edge.failed} failed")
    by_word = "" if edge.requirement == edge.verdict.verdict else " as declared"
    parts.append(f"{edge.requirement}{by_word}" if edge.requirement != "undetermined" else "?")
    return ", ".join(parts)


def _lines(service: str, operation: str) -> str:
    return f"{service}\n{operation}" if operation and service else service or operation or "?"


def _quoted(text: str) -> str:
    """A quoted string of the dot language; backslashes and quotes of spans stay text."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _escaped(text: str) -> str:
    """Text inside a Mermaid label: what would end it becomes an entity; the line break of our own stays."""
    marked = "".join(f"#{ord(c)};" if c in '"#;|[]{}()<>`' or ord(c) < 32 else c for c in text)
    return marked.replace("#60;br#62;", "<br>")
