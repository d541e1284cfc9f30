"""Whose time on the path it can be: an operation's own, or the way between two; and where in the call tree. Pure.

Called by `columns` for the nodes with time on the path, and by `whatif` for all of them.
"""

from dataclasses import dataclass

import numpy as np

from collector.core.assemble import Forest
from collector.core.dependencies import NODE_KINDS, Dependencies
from collector.core.distinct import number_rows
from collector.core.population.gaps import gap_callees
from collector.core.spans import IntColumn

OPERATION, EDGE = "operation", "edge"
SELF, GAP = "self", "gap"


@dataclass(frozen=True, slots=True, order=True)
class Part:
    """Whose time on the path it is: an operation's own (`self`), or the way from a caller to a callee (`gap`)."""

    service: str
    """Of the operation, or of the callee."""
    operation: str
    caller_service: str = ""
    """Set where it is a gap; likewise `caller_operation`."""
    caller_operation: str = ""
    is_gap: bool = False

    @property
    def kind(self) -> str:
        return EDGE if self.is_gap else OPERATION

    @property
    def what(self) -> str:
        return GAP if self.is_gap else SELF

    def to_json(self) -> dict[str, object]:
        """Return who it is, as `cpdd diff --json` and `cpdd report --json` say it."""
        own: dict[str, object] = {"service": self.service, "operation": self.operation}
        if not self.is_gap:
            return {"kind": OPERATION, **own, "what": SELF}
        caller = {"service": self.caller_service, "operation": self.caller_operation}
        return {"kind": EDGE, "caller": caller, "callee": own, "what": GAP}


@dataclass(frozen=True, slots=True)
class Place:
    """A position in the call tree of the population."""

    parent: int
    """Position among the places, -1 at the top."""
    service: str
    operation: str
    kind: str
    """One of `NODE_KINDS`."""


@dataclass(frozen=True, slots=True)
class CalledEdge:
    """A caller operation and a callee operation."""

    caller_service: str
    caller_operation: str
    callee_service: str
    callee_operation: str
    callee_kind: str
    kind: str
    """One of `EDGE_KINDS`."""


def parts_of_nodes(
    forest: Forest, found: Dependencies, nodes: IntColumn | None = None
) -> tuple[tuple[Part, ...], IntColumn]:
    """Return parts, and which of them the time of each of the nodes is; by default of all nodes."""
    batch = forest.batch
    nodes = np.arange(len(forest)) if nodes is None else nodes
    callees = gap_callees(forest, found)[nodes]
    is_gap = callees >= 0
    own = np.where(is_gap, callees, nodes)
    caller = found.entry[nodes].astype(np.int64)
    codes = (
        batch.service[forest.row[own]],
        batch.name[forest.row[own]],
        np.where(is_gap, batch.service[forest.row[caller]], -1),
        np.where(is_gap, batch.name[forest.row[caller]], -1),
        is_gap.astype(np.int8),
    )
    example, part_of = number_rows(codes)
    text = batch.text
    parts = [
        Part(text(service), text(name), text(caller_service), text(caller_name), bool(gap))
        for service, name, caller_service, caller_name, gap in zip(
            *(column[example].tolist() for column in codes), strict=True
        )
    ]
    return tuple(parts), part_of


def places_of_nodes(forest: Forest, found: Dependencies, nodes: IntColumn) -> tuple[tuple[Place, ...], IntColumn]:
    """Return the call paths of the nodes and those above them, callers first; and every node's place (-1: none)."""
    batch = forest.batch
    ids, at, number = np.unique(found.path_id, return_index=True, return_inverse=True)
    parents = forest.parent[at]
    parent = np.where(parents >= 0, number.reshape(-1)[np.maximum(parents, 0)], -1)
    depth = _depths(parent)
    wanted = np.zeros(len(ids) + 1, bool)
    wanted[number.reshape(-1)[nodes]] = True
    deepest_first = np.argsort(-depth, kind="stable")
    for level in np.split(deepest_first, np.flatnonzero(np.diff(depth[deepest_first])) + 1):
        wanted[parent[level[wanted[level]]]] = True  # the last entry stands for the parent of a top
    kept = np.flatnonzero(wanted[:-1])
    kept = kept[np.lexsort((ids[kept], depth[kept]))]
    position = np.full(len(ids) + 1, -1, np.int64)
    position[kept] = np.arange(len(kept))
    rows = forest.row[at[kept]]
    kinds = forest.kind[at[kept]]
    places = tuple(
        Place(above, batch.text(service), batch.text(name), NODE_KINDS[kind])
        for above, service, name, kind in zip(
            position[parent[kept]].tolist(),
            batch.service[rows].tolist(),
            batch.name[rows].tolist(),
            kinds.tolist(),
            strict=True,
        )
    )
    return places, position[number.reshape(-1)]


def _depths(parent: IntColumn) -> IntColumn:
    """Steps from each to the top, in O(n log depth): each round doubles how far everybody looks."""
    jump = np.append(parent, -1)
    depth = (jump >= 0).astype(np.int64)
    while (jump >= 0).any():
        depth = depth + depth[jump]
        jump = jump[jump]
    return depth[:-1]
