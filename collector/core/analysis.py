"""Closed traces to what is learned from them, as rows for the store. Called by `collector.analyze`; pure.

spans -> assemble -> critical path -> calls -> journeys -> blame -> one row a trace, and the dictionaries of its ids
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from collector.core.assemble import Forest, assemble
from collector.core.blame import Blame, assign_blame
from collector.core.critical_path import CriticalPaths, critical_paths
from collector.core.dependencies import EDGE_KINDS, NODE_KINDS, Calls, Dependencies, find_dependencies
from collector.core.distinct import distinct_rows
from collector.core.fallbacks import Replacements
from collector.core.flags import PARTLY_SAMPLED, UNWEIGHTED
from collector.core.journeys import JourneyBook
from collector.core.naming import JourneyNames, name_journeys
from collector.core.policy import PathPolicy
from collector.core.queues import NOTHING_SENT, Sent
from collector.core.sampling.counting import Deciders
from collector.core.sampling.told import Told
from collector.core.service_graph import ServiceCalls, no_calls, service_calls
from collector.core.spans import STATUS_ERROR, IdColumn, IntColumn, SpanBatch

Lists = list[NDArray[np.generic]]


@dataclass(frozen=True, slots=True)
class Learned:
    """What the store keeps of analyzed traces; keys and types of columns as in docs/reference/store.md."""

    traces: dict[str, object]
    """By column of `traces`: an array or list of length t; array columns are (offsets, values) pairs."""
    call_paths: dict[str, object]
    edges: dict[str, object]
    minutes: tuple[int, ...]
    """Minutes since 1970 in which the traces started."""
    service_calls: ServiceCalls = field(default_factory=no_calls)
    """Of the traces by their number, for the service graph."""


@dataclass(frozen=True, slots=True)
class Ragged:
    """A list for each row: row i is values[offsets[i]:offsets[i + 1]]."""

    offsets: IntColumn
    values: NDArray[np.generic]

    def __len__(self) -> int:
        return len(self.offsets) - 1


def analyze_traces(
    batch: SpanBatch,
    ot: tuple[str, ...],
    version: int,
    settles_at_unix_nano: int,
    policy: PathPolicy = PathPolicy(),
    reporting_services: frozenset[str] | None = None,
    sent: Sent = NOTHING_SENT,
    book: JourneyBook = JourneyBook(),
    names: JourneyNames | None = None,
    deciders: Deciders | None = None,
    told: Told | None = None,
) -> Learned:
    """Return rows about every trace of `batch`.

    Args:
        ot: by row, tracestate's `ot` member.
        version: of this analysis; a later one replaces the rows of an earlier one.
        sent: messages from other traces that these take.
        settles_at_unix_nano: when the traces are settled unless more spans come.
        book: the journeys that somebody named.
        names: the journeys that were discovered so far; those of these traces are added.
        deciders: who samples by thresholds of their own, as known so far; likewise.
        told: what clients that write no threshold were told to keep.
    """
    forest = assemble(batch, policy, reporting_services)
    paths = critical_paths(forest)
    found = name_journeys(forest, find_dependencies(forest, paths, sent), book, names or JourneyNames(), version)
    blame = assign_blame(forest, found)
    weights, unweighted = (told or Told()).weigh(forest, ot, (deciders or Deciders()).weigh(forest, found.journey, ot))
    traces = {
        **_trace_columns(forest, paths, found, weights, unweighted),
        "Version": np.full(forest.traces, version, np.uint64),
        "SettlesAt": np.full(forest.traces, settles_at_unix_nano, np.int64),
        "Deleted": np.zeros(forest.traces, np.uint8),
        **_path_columns(forest, paths, found),
        **_edge_columns(forest, found.calls, blame, found.edge),
        **_replacement_columns(forest, found.replacements),
    }
    starts = forest.start[forest.target]
    return Learned(
        traces=traces,
        call_paths=_call_paths(forest, paths, found),
        edges=_edges(forest, found.calls, found.edge),
        minutes=tuple(np.unique(starts // 60_000_000_000).tolist()),
        service_calls=service_calls(forest, found.calls),
    )


def _trace_columns(
    forest: Forest,
    paths: CriticalPaths,
    found: Dependencies,
    weights: NDArray[np.float64],
    unweighted: NDArray[np.bool_],
) -> dict[str, object]:
    batch = forest.batch
    target = forest.target
    rows = forest.row[target]
    starts = forest.start[target]
    duration = forest.end[target] - starts
    heads = forest.first[:-1]
    long = np.maximum(duration, 1)
    node_rows = forest.row
    trace_of = np.repeat(np.arange(forest.traces), np.diff(forest.first))
    in_trace, services = distinct_rows((trace_of, batch.service[node_rows]))
    service_offsets = np.searchsorted(in_trace, np.arange(forest.traces + 1))
    flags = np.bitwise_or.reduceat(forest.flags, heads).astype(np.uint64)
    flags |= np.where(weights == 0, np.uint64(PARTLY_SAMPLED), np.uint64(0))
    flags |= np.where(unweighted, np.uint64(UNWEIGHTED), np.uint64(0))
    return {
        "TraceId": [batch.trace_id(row) for row in rows.tolist()],
        "Start": starts,
        "DurationNs": duration,
        "Journey": list(found.journey),
        "RootService": [batch.text(i) for i in batch.service[rows].tolist()],
        "RootOperation": [batch.text(i) for i in batch.name[rows].tolist()],
        "RootSpanId": [batch.span_id_hex(row) for row in rows.tolist()],
        "Failed": found.journey_failed.astype(np.uint8),
        "StatusKnown": found.status_known.astype(np.uint8),
        "Spans": np.diff(forest.first).astype(np.uint32),
        "Errors": np.add.reduceat((batch.status_code[node_rows] == STATUS_ERROR).astype(np.uint32), heads),
        "Services": np.diff(service_offsets).astype(np.uint32),
        "Flags": flags,
        "Completeness": 1.0 - paths.uncertain_ns / long,
        "Ambiguity": paths.ambiguous_ns / long,
        "Weight": weights,
        "ServiceList": Ragged(service_offsets, np.array(batch.strings, object)[services]),
    }


def _path_columns(forest: Forest, paths: CriticalPaths, found: Dependencies) -> dict[str, object]:
    """Time on the path by trace and call path; call paths that cannot have any are left out."""
    trace_of = np.repeat(np.arange(forest.traces), np.diff(forest.first))
    nodes = np.flatnonzero(paths.time_max_ns > 0)
    groups = _Groups(trace_of[nodes], found.path_id[nodes], forest.traces)
    return {
        "Path.Id": groups.lists(groups.keys),
        "Path.TimeNs": groups.lists(groups.sums(paths.time_ns[nodes])),
        "Path.MinNs": groups.lists(groups.sums(paths.time_min_ns[nodes])),
        "Path.MaxNs": groups.lists(groups.sums(paths.time_max_ns[nodes])),
    }


def _edge_columns(forest: Forest, calls: Calls, blame: Blame, ids: IdColumn) -> dict[str, object]:
    groups = _Groups(calls.trace, ids, forest.traces)
    failed = calls.failed.astype(np.int64)
    strings = np.array([*forest.batch.strings, ""], object)

    def count(column: NDArray[np.generic]) -> Ragged:
        return groups.lists(groups.sums(column.astype(np.int64)).astype(np.uint32))

    return {
        "Edge.Id": groups.lists(groups.keys),
        "Edge.Calls": count(np.ones(len(calls), np.int64)),
        "Edge.Attempts": count(calls.attempts),
        "Edge.Failed": count(failed),
        "Edge.Survived": count(failed * calls.caller_well),
        "Edge.JourneySurvived": count(failed * calls.journey_well),
        "Edge.Confounded": count(calls.confounded),
        "Edge.ConfoundedSurvived": count(calls.confounded.astype(np.int64) * calls.caller_well),
        "Edge.Alone": count(calls.alone),
        "Edge.AloneWell": count(calls.alone.astype(np.int64) * calls.caller_well),
        "Edge.AloneJourneyWell": count(calls.alone.astype(np.int64) * calls.journey_well),
        "Edge.Quiet": count(calls.quiet),
        "Edge.QuietWell": count(calls.quiet.astype(np.int64) * calls.caller_well),
        "Edge.QuietJourneyWell": count(calls.quiet.astype(np.int64) * calls.journey_well),
        "Edge.Waited": count(calls.waited),
        "Edge.PathNs": groups.lists(groups.sums(calls.path_ns)),
        "Edge.DurationNs": groups.lists(groups.sums(calls.duration_ns)),
        "Edge.Delivered": count(calls.wait_ns >= 0),
        "Edge.WaitNs": groups.lists(groups.sums(np.maximum(calls.wait_ns, 0))),
        "Edge.DeclaredMandatory": count(calls.declared == 1),
        "Edge.DeclaredOptional": count(calls.declared == 2),
        "Edge.OwnFailed": count(blame.own),
        "Edge.Blamed": count(blame.blamed),
        "Edge.BlamedInjected": count(blame.injected),
        "Edge.Injected": count(failed * calls.injected),
        "Edge.CallerVersion": groups.lists(strings[groups.first(calls.caller_version)]),
    }


def _replacement_columns(forest: Forest, replacements: Replacements) -> dict[str, object]:
    """Candidates for fallbacks: whom callers called after a call that failed."""
    order = np.lexsort((replacements.called, replacements.edge, replacements.trace))
    trace, edge, called = (column[order] for column in (replacements.trace, replacements.edge, replacements.called))
    new = np.ones(len(order), bool)
    new[1:] = (trace[1:] != trace[:-1]) | (edge[1:] != edge[:-1]) | (called[1:] != called[:-1])
    begins = np.flatnonzero(new)
    offsets = np.searchsorted(trace[begins], np.arange(forest.traces + 1))
    return {
        "Replacement.EdgeId": Ragged(offsets, edge[begins]),
        "Replacement.CalledEdgeId": Ragged(offsets, called[begins]),
        "Replacement.Callers": Ragged(offsets, np.diff(np.append(begins, len(order))).astype(np.uint32)),
    }


class _Groups:
    """Rows grouped by (trace, id), traces and ids ascending."""

    def __init__(self, trace: IntColumn, ids: IdColumn, traces: int) -> None:
        self._order = np.lexsort((ids, trace))
        trace, ids = trace[self._order], ids[self._order]
        new = np.ones(len(ids), bool)
        new[1:] = (ids[1:] != ids[:-1]) | (trace[1:] != trace[:-1])
        self._begins = np.flatnonzero(new)
        self.keys: IdColumn = ids[self._begins]
        self._offsets = np.searchsorted(trace[self._begins], np.arange(traces + 1))

    def sums(self, column: IntColumn) -> IntColumn:
        if not len(self._begins):
            return np.empty(0, np.int64)
        return np.add.reduceat(column[self._order], self._begins)

    def first(self, column: NDArray[np.generic]) -> NDArray[np.generic]:
        """The value of the first row of each group."""
        return column[self._order][self._begins]

    def lists(self, values: NDArray[np.generic]) -> Ragged:
        return Ragged(self._offsets, values)


def _call_paths(forest: Forest, paths: CriticalPaths, found: Dependencies) -> dict[str, object]:
    """Explain the call paths with time on them, and those above them."""
    batch = forest.batch
    wanted = np.zeros(len(forest), bool)
    wanted[paths.time_max_ns > 0] = True
    wanted |= found.inclusive_ns > 0
    nodes = np.flatnonzero(wanted)
    ids, at = np.unique(found.path_id[nodes], return_index=True)
    nodes = nodes[at]
    parents = forest.parent[nodes]
    rows = forest.row[nodes]
    return {
        "Id": ids,
        "Parent": np.where(parents >= 0, found.path_id[np.maximum(parents, 0)], np.uint64(0)),
        "Service": [batch.text(i) for i in batch.service[rows].tolist()],
        "Operation": [batch.text(i) for i in batch.name[rows].tolist()],
        "Kind": [NODE_KINDS[kind] for kind in forest.kind[nodes].tolist()],
    }


def _edges(forest: Forest, calls: Calls, ids: IdColumn) -> dict[str, object]:
    text = forest.batch.text
    unique, at = np.unique(ids, return_index=True)
    calls = calls._take(at)
    return {
        "Id": unique,
        "CallerService": [text(i) for i in calls.caller_service.tolist()],
        "CallerOperation": [text(i) for i in calls.caller_operation.tolist()],
        "CallerKind": [NODE_KINDS[kind] for kind in calls.caller_kind.tolist()],
        "CalleeService": [text(i) for i in calls.callee_service.tolist()],
        "CalleeOperation": [text(i) for i in calls.callee_operation.tolist()],
        "CalleeKind": [NODE_KINDS[kind] for kind in calls.callee_kind.tolist()],
        "Kind": [EDGE_KINDS[kind] for kind in calls.kind.tolist()],
    }
