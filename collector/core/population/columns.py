"""Many traces as columns: how long each took, and to whom its time on the path belonged. Pure.

    spans -> assemble -> critical path -> calls -> a row for each (trace, call path) with time on the path

All measures of a population (`measures`, `difference`, `bands`, `signatures`, `waste`) read these columns.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from collector.core.assemble import Forest, assemble
from collector.core.critical_path import CriticalPaths, critical_paths
from collector.core.dependencies import (
    EDGE_KINDS,
    NODE_KINDS,
    Dependencies,
    edge_ids,
    find_dependencies,
    string_hashes,
)
from collector.core.distinct import number_rows
from collector.core.journeys import JourneyBook
from collector.core.naming import name_by_book
from collector.core.policy import PathPolicy
from collector.core.population.gaps import gap_callees, gaps_before
from collector.core.population.hidden import work_of
from collector.core.population.parts import CalledEdge, Part, Place, parts_of_nodes, places_of_nodes
from collector.core.population.signatures import SIGNATURE_FROM, signatures_of
from collector.core.population.waste import wasted_ns
from collector.core.spans import IdColumn, IndexColumn, IntColumn, SpanBatch

FloatColumn = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Population:
    """Traces, shape (t,), and their time on the path, shape (c,): row i of a column is one trace, one cell.

    The cells of a trace add up to its duration.
    """

    trace_id: tuple[str, ...]
    start_unix_nano: IntColumn
    duration_ns: IntColumn
    weight: FloatColumn
    """How many traces each stands for."""
    journey: IndexColumn
    """Position in `journeys`."""
    request: IdColumn
    """A number for the kind of request: its journey, and which operations its root calls."""
    failed: NDArray[np.bool_]
    status_known: NDArray[np.bool_]
    signature: IdColumn
    """A number for the sequence of operations down the path; `signatures` explains it."""
    superseded_ns: IntColumn
    """Time on the path in attempts that another attempt followed; likewise in calls that failed for good."""
    failed_ns: IntColumn

    cell_trace: IntColumn
    cell_place: IntColumn
    cell_part: IntColumn
    cell_ns: IntColumn
    cell_spans: IntColumn
    """Spans with this time."""

    edge_trace: IntColumn
    """Calls by trace and edge, shape (e,); likewise what follows."""
    edge: IntColumn
    edge_path_ns: IntColumn
    """Time on the path on the way, in the call and below it: blocked on the edge."""
    edge_calls: IntColumn
    edge_failed: IntColumn

    work_trace: IntColumn
    """Work by trace and operation, shape (o,), whether on the path or not; likewise what follows."""
    work_operation: IntColumn
    """Position in `operations`."""
    work_ns: IntColumn
    hidden_ns: IntColumn
    """What of it is off the path."""

    journeys: tuple[str, ...]
    places: tuple[Place, ...]
    parts: tuple[Part, ...]
    edges: tuple[CalledEdge, ...]
    operations: tuple[tuple[str, str], ...]
    """Service and operation."""
    signatures: dict[int, tuple[tuple[str, str], ...]]

    def __len__(self) -> int:
        return len(self.duration_ns)

    def select(self, chosen: NDArray[np.bool_]) -> Self:
        """Return the population of the traces that are True."""
        number = np.cumsum(chosen) - 1
        cells, calls, work = chosen[self.cell_trace], chosen[self.edge_trace], chosen[self.work_trace]
        columns = {name: getattr(self, name)[chosen] for name in _BY_TRACE}
        columns |= {name: getattr(self, name)[cells] for name in _BY_CELL}
        columns |= {name: getattr(self, name)[calls] for name in _BY_CALL}
        columns |= {name: getattr(self, name)[work] for name in _BY_WORK}
        columns |= {name: number[columns[name]] for name in ("cell_trace", "edge_trace", "work_trace")}
        return replace(
            self,
            trace_id=tuple(self.trace_id[row] for row in np.flatnonzero(chosen).tolist()),
            **columns,
        )

    def of_journey(self, journey: str) -> Self:
        return self.select(self.journey == self.journeys.index(journey))


_BY_TRACE = (
    "start_unix_nano",
    "duration_ns",
    "weight",
    "journey",
    "request",
    "failed",
    "status_known",
    "signature",
    "superseded_ns",
    "failed_ns",
)
_BY_CELL = ("cell_trace", "cell_place", "cell_part", "cell_ns", "cell_spans")
_BY_CALL = ("edge_trace", "edge", "edge_path_ns", "edge_calls", "edge_failed")
_BY_WORK = ("work_trace", "work_operation", "work_ns", "hidden_ns")


def population_of(
    batch: SpanBatch,
    policy: PathPolicy = PathPolicy(),
    weight: FloatColumn | None = None,
    book: JourneyBook = JourneyBook(),
) -> Population:
    """Return the traces of `batch` as a population.

    Args:
        weight: by row of the batch, how many traces one stands for; by default 1. A trace
            weighs what its target's row says.
        book: journeys that somebody named.
    Work: O(n log n) in spans.
    """
    forest = assemble(batch, policy)
    paths = critical_paths(forest, want_sections=True)
    return gather(forest, paths, name_by_book(forest, find_dependencies(forest, paths), book), weight)


def gather(forest: Forest, paths: CriticalPaths, found: Dependencies, weight: FloatColumn | None = None) -> Population:
    """Return the population of traces whose paths, with sections, and calls are known already."""
    rows = forest.row[forest.target]
    names = sorted(set(found.journey))
    numbers = {name: i for i, name in enumerate(names)}
    superseded_ns, failed_ns = wasted_ns(forest, paths, found)
    signature, explained = signatures_of(forest, paths, SIGNATURE_FROM)
    return Population(
        trace_id=tuple(forest.batch.trace_id(row) for row in rows.tolist()),
        start_unix_nano=forest.start[forest.target],
        duration_ns=forest.end[forest.target] - forest.start[forest.target],
        weight=np.ones(forest.traces) if weight is None else weight[rows].astype(np.float64),
        journey=np.array([numbers[name] for name in found.journey], np.int32),
        request=_requests(forest, found),
        failed=found.journey_failed,
        status_known=found.status_known,
        signature=signature,
        superseded_ns=superseded_ns,
        failed_ns=failed_ns,
        journeys=tuple(names),
        signatures=explained,
        **_cells(forest, paths, found),  # type: ignore[arg-type]
        **_edges(forest, paths, found),  # type: ignore[arg-type]
        **_work(forest, paths, found),  # type: ignore[arg-type]
    )


def _requests(forest: Forest, found: Dependencies) -> IdColumn:
    """Number the kinds of request: a gateway's one operation is many kinds, which differ by what they call."""
    calls = found.calls
    own = calls._take(np.flatnonzero(calls.caller == forest.target[calls.trace]))
    pairs = np.unique(np.stack([own.trace.astype(np.uint64), edge_ids(forest, own)]), axis=1)
    kinds = string_hashes(found.journey)[:-1].copy()
    with np.errstate(over="ignore"):
        mixed = (pairs[1] ^ (pairs[1] >> np.uint64(31))) * np.uint64(0x9E3779B97F4A7C15)
        np.add.at(kinds, pairs[0].astype(np.int64), mixed)
    return kinds


def trace_of_nodes(forest: Forest) -> IntColumn:
    return np.repeat(np.arange(forest.traces), np.diff(forest.first))


def _cells(forest: Forest, paths: CriticalPaths, found: Dependencies) -> dict[str, object]:
    """Time on the path by trace, call path and part."""
    nodes = np.flatnonzero(paths.time_ns > 0)
    parts, part_of = parts_of_nodes(forest, found, nodes)
    places, place_of_path = places_of_nodes(forest, found, nodes)

    trace, place = trace_of_nodes(forest)[nodes], place_of_path[nodes]
    example, cell = number_rows((trace, place, part_of))
    return {
        "cell_trace": trace[example],
        "cell_place": place[example],
        "cell_part": part_of[example],
        "cell_ns": _summed(paths.time_ns[nodes], cell, len(example)),
        "cell_spans": np.bincount(cell, minlength=len(example)),
        "places": places,
        "parts": parts,
    }


def _edges(forest: Forest, paths: CriticalPaths, found: Dependencies) -> dict[str, object]:
    """Calls summed by trace and edge; the way to a callee counts, wherever its spans put it."""
    text, calls = forest.batch.text, found.calls
    way = gaps_before(forest, found, gap_callees(forest, found))
    way_ns = np.where(way >= 0, paths.time_ns[np.maximum(way, 0)], 0)
    ids = edge_ids(forest, calls)
    _, at, number = np.unique(ids, return_index=True, return_inverse=True)
    number = number.reshape(-1)
    edges = tuple(
        CalledEdge(
            text(int(calls.caller_service[row])),
            text(int(calls.caller_operation[row])),
            text(int(calls.callee_service[row])),
            text(int(calls.callee_operation[row])),
            NODE_KINDS[calls.callee_kind[row]],
            EDGE_KINDS[calls.kind[row]],
        )
        for row in at.tolist()
    )
    example, place = number_rows((calls.trace, number))
    return {
        "edge_trace": calls.trace[example],
        "edge": number[example],
        "edge_path_ns": _summed(calls.path_ns + way_ns, place, len(example)),
        "edge_calls": np.bincount(place, minlength=len(example)),
        "edge_failed": _summed(calls.failed, place, len(example)),
        "edges": edges,
    }


def _work(forest: Forest, paths: CriticalPaths, found: Dependencies) -> dict[str, object]:
    """Work by trace and operation; what a CLIENT has around its callee is nobody's work."""
    work = work_of(forest, paths)
    nodes = np.flatnonzero((work.work_ns > 0) & (gap_callees(forest, found) < 0))
    batch, rows = forest.batch, forest.row[nodes]
    named, operation = number_rows((batch.service[rows], batch.name[rows]))
    trace = trace_of_nodes(forest)[nodes]
    example, place = number_rows((trace, operation))
    return {
        "work_trace": trace[example],
        "work_operation": operation[example],
        "work_ns": _summed(work.work_ns[nodes], place, len(example)),
        "hidden_ns": _summed(work.hidden_ns[nodes], place, len(example)),
        "operations": tuple(
            (batch.text(service), batch.text(name))
            for service, name in zip(batch.service[rows[named]].tolist(), batch.name[rows[named]].tolist(), strict=True)
        ),
    }


def _summed(column: NDArray[np.generic], place: IntColumn, places: int) -> IntColumn:
    """Sums of a column by place; whole numbers, which floats would round."""
    sums = np.zeros(places, np.int64)
    np.add.at(sums, place, column.astype(np.int64))
    return sums
