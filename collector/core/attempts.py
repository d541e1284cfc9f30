"""Attempts of a call to the call they make. Called by `dependencies`; pure.

GET /rate  |x|        one after another, the earlier one failed: a retry
GET /rate      |--|
GET /rate  |--------  a link with `cpdd.link.type` = hedge leads to the first attempt; they run at the same time
GET /rate     |--|    and the first good answer wins
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from collector.core.assemble import Forest
from collector.core.spans import LINK_ADOPTED, LINK_RETRY, Columns, FlagColumn, IntColumn


@dataclass(frozen=True, slots=True)
class Attempts(Columns):
    """Every attempt of every call."""

    node: IntColumn
    """Where it begins."""
    call: IntColumn
    """Number of its call."""


def attempt_groups(
    forest: Forest,
    trace: IntColumn,
    node: IntColumn,
    caller: IntColumn,
    callee: tuple[NDArray[np.generic], ...],
    failed: FlagColumn,
) -> IntColumn:
    """Return a number for each call as it was made; attempts of one call have the same.

    Args:
        trace, node, caller, failed: by call; `node` is where it begins.
        callee: columns that are equal for calls to the same callee.
    One after another are those below spans of one name: each attempt may have a span around it.
    """
    parent = forest.parent[node]
    below = np.where(parent >= 0, forest.batch.name[forest.row[np.maximum(parent, 0)]], -2)
    start, end = forest.start[node], forest.end[node]
    order = np.lexsort((start, *callee, below, caller, trace))
    same = parent[order][1:] >= 0
    for column in (caller, below, trace, *callee):
        same &= column[order][1:] == column[order][:-1]
    same &= (start[order][1:] >= end[order][:-1]) & (failed[order][:-1] == 1)
    groups = np.empty(len(node), np.int64)
    groups[order] = np.cumsum(np.concatenate([[0], ~same])) if len(node) else 0
    return _join_linked(groups, _linked_calls(forest, trace, node))


def _linked_calls(forest: Forest, trace: IntColumn, node: IntColumn) -> list[tuple[int, int]]:
    """Pairs of calls: an attempt, and the one of the same trace that its link leads to."""
    batch = forest.batch
    row = forest.row[node]
    kind = batch.link_type[row]
    linking = np.flatnonzero((kind >= LINK_RETRY) & (kind < LINK_ADOPTED))
    linking = linking[_leads_into_own_trace(forest, row[linking])]
    if not len(linking):
        return []
    concerned = np.flatnonzero(np.isin(trace, trace[linking]))
    ids = forest.span_id[node[concerned]]
    begins = dict(zip(zip(trace[concerned].tolist(), ids.tolist(), strict=True), concerned.tolist(), strict=True))
    targets = zip(trace[linking].tolist(), batch.link_span_id[row[linking]].tolist(), strict=True)
    pairs = zip(linking.tolist(), map(begins.get, targets), strict=True)
    return [(call, first) for call, first in pairs if first is not None and first != call]


def _leads_into_own_trace(forest: Forest, row: IntColumn) -> NDArray[np.bool_]:
    batch = forest.batch
    same: NDArray[np.bool_] = (batch.link_trace_id_high[row] == batch.trace_id_high[row]) & (
        batch.link_trace_id_low[row] == batch.trace_id_low[row]
    )
    return same


def _join_linked(groups: IntColumn, pairs: list[tuple[int, int]]) -> IntColumn:
    """Make one group of each two that a pair connects."""
    if not pairs:
        return groups
    leader: dict[int, int] = {}

    def find(group: int) -> int:
        while group in leader:
            group = leader[group]
        return group

    for one, other in pairs:
        first, second = sorted((find(int(groups[one])), find(int(groups[other]))))
        if first != second:
            leader[second] = first
    moved = np.array(sorted(leader), np.int64)
    to = np.array([find(group) for group in moved.tolist()], np.int64)
    place = np.minimum(np.searchsorted(moved, groups), len(moved) - 1)
    return np.where(moved[place] == groups, to[place], groups)
