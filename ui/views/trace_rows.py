"""Which spans of a trace the waterfall shows, and where its path runs when some are not shown. Pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from collector.core.explain import Explanation, PathNode
from collector.core.spans import IntColumn

ROWS = 500
"""Rows on one page: what a person scrolls through, and far below a megabyte."""
SHOWS = ("all", "path", "errors")


@dataclass(frozen=True, slots=True)
class Listing:
    """The nodes that are rows, in depth-first order, and for every node of the trace the row that stands for it."""

    nodes: tuple[int, ...]
    """Positions in `Explanation.nodes`, by row."""
    row_of: IntColumn
    """By node: its own row, else that of the nearest ancestor that is one, -1 where none is."""

    def __len__(self) -> int:
        return len(self.nodes)

    def window(self, first: int, count: int) -> "RowWindow":
        return RowWindow(self, first, self.nodes[first : first + count])

    def page_of(self, node: int) -> int:
        """Return the page, from 1, that holds the row of a node; 1 for no node."""
        return max(int(self.row_of[node]), 0) // ROWS + 1 if node >= 0 else 1

    def shows(self, node: int) -> bool:
        """Tell whether the node itself is a row."""
        row = int(self.row_of[node])
        return 0 <= row < len(self.nodes) and self.nodes[row] == node

    @property
    def pages(self) -> int:
        return max(1, -(-len(self.nodes) // ROWS))


@dataclass(frozen=True, slots=True)
class RowWindow:
    """Some rows in a row."""

    listing: Listing
    first: int
    nodes: tuple[int, ...]

    def row(self, node: int) -> int:
        """Return the row of the window that stands for a node: -1 above it, their number below it."""
        return min(max(int(self.listing.row_of[node]) - self.first, -1), len(self.nodes))

    def shows(self, node: int) -> bool:
        """Tell whether the node itself is a row of the window."""
        return self.listing.shows(node) and 0 <= int(self.listing.row_of[node]) - self.first < len(self.nodes)

    def touched(self, owners: IntColumn) -> IntColumn:
        """Return which steps of a line draw anything here: those in the window, and those just before and after them.

        Args:
            owners: node of each step, in order of time.
        """
        if not len(owners):
            return np.empty(0, np.int64)
        row = self.listing.row_of[owners] - self.first
        inside = (row >= 0) & (row < len(self.nodes))
        wanted = inside.copy()
        wanted[:-1] |= inside[1:]
        wanted[1:] |= inside[:-1]
        return np.flatnonzero(wanted)


def depths(nodes: Sequence[PathNode]) -> list[int]:
    """Return how many parents each node has above it; parents stand before their children."""
    depth: list[int] = []
    for node in nodes:
        depth.append(depth[node.parent] + 1 if node.parent >= 0 else 0)
    return depth


def list_rows(explained: Explanation, wanted: Callable[[int], bool]) -> Listing:
    """Return the rows for the nodes that are wanted, with what is above them."""
    nodes = explained.nodes
    kept = _with_ancestors(nodes, (i for i in range(len(nodes)) if wanted(i)))
    listed = np.flatnonzero(kept)
    place = np.full(len(nodes) + 1, -1, np.int64)
    place[listed] = np.arange(len(listed))
    return Listing(tuple(listed.tolist()), place[np.array(_standing_for(nodes, kept), np.int64)])


def on_path(explained: Explanation) -> set[int]:
    """Return the nodes that have a section of the target's path."""
    return {section.node for section in explained.sections}


def _with_ancestors(nodes: Sequence[PathNode], wanted: Iterable[int]) -> list[bool]:
    kept = [False] * len(nodes)
    for i in wanted:
        at = i
        while at >= 0 and not kept[at]:
            kept[at] = True
            at = nodes[at].parent
    return kept


def _standing_for(nodes: Sequence[PathNode], kept: Sequence[bool]) -> list[int]:
    """Return for each node itself when it is kept, else the nearest ancestor that is, else the kept node before it."""
    stands: list[int] = []
    last = -1
    for i, node in enumerate(nodes):
        if kept[i]:
            last = i
            stands.append(i)
        else:
            stands.append(stands[node.parent] if node.parent >= 0 else last)
    return stands
