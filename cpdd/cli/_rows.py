"""Which spans of a trace a reader sees first: a choice of rows that fits on a screen, in the order of the tree."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from collector.core.explain import Explanation, PathNode


@dataclass(frozen=True, slots=True)
class Row:
    """A span that is shown."""

    node: int
    """Position in `Explanation.nodes`."""
    depth: int
    hidden: int
    """Spans below it that are not shown, except those below a shown one."""


@dataclass(frozen=True, slots=True)
class Rows:
    """The spans that are shown, in depth-first order, and what the others come to."""

    rows: tuple[Row, ...]
    shown_for: tuple[int, ...]
    """For each node the row that stands for it: its own, else the nearest shown above; -1 for none."""
    hidden_off_path: int
    hidden_on_path: int
    hidden_time_ns: int
    """Time on the path of what is not shown."""


def choose_rows(explained: Explanation, most: int | None, first: Iterable[int] = ()) -> Rows:
    """Return at most `most` rows, all for None: `first`, spans on the path, longest first, then siblings of those.

    What lies above a span that is shown is shown too, so that the rows are a tree.
    """
    nodes = explained.nodes
    shown = set(range(len(nodes))) if most is None else _chosen(explained, most, first)
    return _rows(nodes, shown)


def _chosen(explained: Explanation, most: int, first: Iterable[int]) -> set[int]:
    nodes = explained.nodes
    shown = {max(explained.target, 0)}
    _take(first, nodes, shown, most)
    on_path = [i for i, node in enumerate(nodes) if node.time_ns > 0]
    candidates = sorted(on_path, key=lambda i: -nodes[i].time_ns)
    _take(candidates, nodes, shown, most)
    beside = {nodes[i].parent for i in shown} | shown
    siblings = [i for i, node in enumerate(nodes) if i not in shown and node.parent in beside]
    _take(sorted(siblings, key=lambda i: nodes[i].start_unix_nano - nodes[i].end_unix_nano), nodes, shown, most)
    return shown


def _take(candidates: Iterable[int], nodes: Sequence[PathNode], shown: set[int], most: int) -> None:
    """Add candidates, each with all that lies above it, while there is room."""
    for candidate in candidates:
        chain = []
        node = candidate
        while node >= 0 and node not in shown:
            chain.append(node)
            node = nodes[node].parent
        if len(shown) + len(chain) <= most:
            shown.update(chain)


def _rows(nodes: Sequence[PathNode], shown: set[int]) -> Rows:
    """Nodes stand behind their parents, so that one pass knows what stands for what."""
    rows: list[Row] = []
    shown_for: list[int] = []
    hidden: dict[int, int] = {}
    row_of: dict[int, int] = {}
    for i, node in enumerate(nodes):
        above = shown_for[node.parent] if node.parent >= 0 else -1
        if i in shown:
            row_of[i] = len(rows)
            shown_for.append(len(rows))
            rows.append(Row(i, rows[above].depth + 1 if above >= 0 else 0, 0))
        else:
            shown_for.append(above)
            hidden[above] = hidden.get(above, 0) + 1
    left = [node for i, node in enumerate(nodes) if i not in shown]
    return Rows(
        tuple(Row(row.node, row.depth, hidden.get(position, 0)) for position, row in enumerate(rows)),
        tuple(shown_for),
        sum(node.time_ns == 0 for node in left),
        sum(node.time_ns > 0 for node in left),
        sum(node.time_ns for node in left),
    )
