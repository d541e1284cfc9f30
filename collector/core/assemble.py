"""Spans to trees, a forest for each trace: rules 1 to 6 of the critical path.

Called by `critical_path`, `dependencies` and the analyzer; knows no store and no clock.
"""

import os
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collector.core.adoption import with_adopted_roots
from collector.core.distinct import number_rows
from collector.core.kernels import bits, load
from collector.core.policy import PathPolicy
from collector.core.spans import (
    DTYPES,
    STRING_COLUMNS,
    Columns,
    EnumColumn,
    FlagColumn,
    IdColumn,
    IndexColumn,
    IntColumn,
    Resources,
    Scopes,
    SpanBatch,
)

_SEED = np.uint64(int.from_bytes(os.urandom(8), "little"))


@dataclass(frozen=True, slots=True)
class Forest(Columns):
    """Traces as trees: node columns, shape (m,), the nodes of trace t being first[t]:first[t + 1].

    A node is a span after copies were dropped, shared ids split, ends inferred and clocks corrected.
    """

    row: IntColumn
    """Row of `batch`."""
    parent: IndexColumn
    """Node that called this one, -1 at the top of a tree."""
    start: IntColumn
    end: IntColumn
    shift: IntColumn
    """What the clock correction added to start and end."""
    flags: IntColumn
    """Bits of `collector.core.flags`."""
    relation: FlagColumn
    """bits.BLOCKING, LEFT_OUT or DETACHED; BLOCKING at the top of a tree."""
    root_kind: FlagColumn
    """bits.HAS_PARENT, ROOT, ORPHAN_ROOT or CYCLE_ROOT."""
    server_half: FlagColumn
    """1 for the server made of an id that a CLIENT and a SERVER share."""
    span_id: IdColumn
    kind: EnumColumn
    topo: IndexColumn
    """The nodes of each trace top-down: every node behind its parent."""
    child_first: IntColumn
    """Shape (m + 1,): the children of node i are children[child_first[i]:child_first[i + 1]]."""
    children: IndexColumn
    first: IntColumn
    """Shape (t + 1,): a trace's first node."""
    target: IndexColumn
    """Shape (t,): the primary root (rule 3)."""
    tick: IntColumn
    """Shape (t,): the granularity that a trace's timestamps show, in ns."""
    cut: NDArray[np.bool_]
    """Shape (t,): whether spans beyond the first 1,000,000 were left out (rule 10)."""
    batch: SpanBatch

    @property
    def traces(self) -> int:
        return len(self.target)

    def nodes_of(self, trace: int) -> range:
        return range(int(self.first[trace]), int(self.first[trace + 1]))

    def children_of(self, node: int) -> IndexColumn:
        return self.children[self.child_first[node] : self.child_first[node + 1]]


def assemble(
    batch: SpanBatch, policy: PathPolicy = PathPolicy(), reporting_services: frozenset[str] | None = None
) -> Forest:
    """Return the trees of every trace in `batch`, traces in order of their first row.

    Args:
        reporting_services: services known to send spans; a CLIENT that names one of them and has no SERVER below it
            is flagged `callee-missing`. By default the services in the batch.
    Odd spans are flagged, never raised. Work: O(n).
    """
    with np.errstate(over="ignore"):
        return _assemble(_in_one_form(with_adopted_roots(batch)), policy, reporting_services)


def _assemble(batch: SpanBatch, policy: PathPolicy, reporting_services: frozenset[str] | None) -> Forest:
    work = len(batch)
    order, first = load("group", work).group_rows(batch.trace_id_high, batch.trace_id_low, _SEED)
    order, first, cut = _bounded(batch, order, first)
    nodes, built = _build(batch, policy, reporting_services, order, first, np.empty((0, 0), np.int64))
    if len(built[0]) == 1 and len(first) > 1:
        nodes, built = _build(batch, policy, reporting_services, order, first, _copy_keys(batch))
    node_first, target, tick = built
    count = int(node_first[-1])
    row, flags = nodes.row[:count], nodes.flags[:count]
    flags[target[cut]] |= bits.TRACE_CUT
    return Forest(
        row=row,
        parent=nodes.parent[:count],
        start=nodes.start[:count],
        end=nodes.end[:count],
        shift=nodes.shift[:count],
        flags=flags,
        relation=nodes.relation[:count],
        root_kind=nodes.root_kind[:count],
        server_half=nodes.server_half[:count],
        span_id=batch.span_id[row],
        kind=batch.kind[row],
        topo=nodes.topo[:count],
        child_first=nodes.child_first[: count + 1],
        children=nodes.children[: nodes.child_first[count]],
        first=node_first,
        target=target,
        tick=tick,
        cut=cut,
        batch=batch,
    )


def _in_one_form(batch: SpanBatch) -> SpanBatch:
    """Return the batch with every array in one piece and writable, so that kernels need one compiled form."""
    columns = {name: np.require(column, requirements=("C", "W")) for name, column in batch.columns().items()}
    host = np.require(batch.resources.host, requirements=("C", "W"))
    return replace(batch, **columns, resources=replace(batch.resources, host=host))  # type: ignore[arg-type]


def _bounded(batch: SpanBatch, order: IntColumn, first: IntColumn) -> tuple[IntColumn, IntColumn, NDArray[np.bool_]]:
    """Keep of each trace the 1,000,000 rows that start first (rule 10)."""
    sizes = np.diff(first)
    cut = sizes > bits.MAX_SPANS
    if not cut.any():
        return order, first, cut
    parts = []
    for trace in range(len(sizes)):
        rows = order[first[trace] : first[trace + 1]]
        if cut[trace]:
            keys = (batch.kind[rows], batch.span_id[rows], batch.start_time_unix_nano[rows])
            rows = rows[np.sort(np.lexsort(keys)[: bits.MAX_SPANS])]
        parts.append(rows)
    return np.concatenate(parts), np.concatenate([[0], np.cumsum([len(p) for p in parts])]), cut


def _build(
    batch: SpanBatch,
    policy: PathPolicy,
    reporting_services: frozenset[str] | None,
    order: IntColumn,
    first: IntColumn,
    keys: IntColumn,
) -> tuple[Any, tuple[IntColumn, IndexColumn, IntColumn]]:
    kernels = load("assemble", len(batch))
    nodes = kernels.make_nodes(len(order))
    return nodes, kernels.assemble_traces(
        order,
        first,
        batch.span_id,
        batch.parent_span_id,
        batch.start_time_unix_nano,
        batch.end_time_unix_nano,
        batch.kind,
        batch.outcome,
        batch.follows_from,
        batch.service,
        batch.peer_service,
        batch.resource,
        batch.resources.host,
        keys,
        _reporting(batch, reporting_services),
        policy.max_skew_ns,
        policy.overflow == "clip",
        _SEED,
        nodes,
    )


def _copy_keys(batch: SpanBatch) -> IntColumn:
    """All that each row says, as numbers in the order of the values: copies of a span are told apart by them."""
    columns = []
    ranks = _ranks(batch.strings)
    for name in DTYPES:
        column = getattr(batch, name)
        if name in ("trace_id_high", "trace_id_low", "span_id", "at", "size"):
            continue
        if name in STRING_COLUMNS:
            column = ranks[column]
        elif name == "resource":
            column = _table_ranks(batch.resources, ranks)[column]
        elif name == "scope":
            column = _table_ranks(batch.scopes, ranks)[column] if len(batch.scopes) else column
        elif column.dtype == np.uint64:
            column = (column ^ np.uint64(1 << 63)).view(np.int64)  # keeps the order of unsigned numbers
        columns.append(column.astype(np.int64))
    return np.stack(columns, axis=1)


def _ranks(strings: tuple[str, ...]) -> IndexColumn:
    """Position of each string among all in order; the last entry stands for NO_STRING."""
    ranks = np.empty(len(strings) + 1, np.int32)
    ranks[sorted(range(len(strings)), key=strings.__getitem__)] = np.arange(len(strings), dtype=np.int32)
    ranks[-1] = -1
    return ranks


def _table_ranks(table: Resources | Scopes, ranks: IndexColumn) -> IntColumn:
    """Position of each row's values among those of all rows, in order; equal rows have one position."""
    texts = [column for name, column in table.columns().items() if name not in ("at", "size")]
    values = np.column_stack([ranks[column] for column in texts])  # hosts are several columns
    return number_rows(list(values.T))[1]


def _reporting(batch: SpanBatch, services: frozenset[str] | None) -> FlagColumn:
    """1 for each string that is the name of a service that sends spans."""
    reporting = np.zeros(len(batch.strings) + 1, np.uint8)
    if services is None:
        reporting[batch.service] = 1
    else:
        reporting[[i for i, text in enumerate(batch.strings) if text in services]] = 1
    return reporting
