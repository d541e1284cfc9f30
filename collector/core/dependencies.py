"""Calls and edges of traces: who depends on whom, and what its failures did. Rules: docs/explanation/dependencies.md.

Called by `graph` for files and by the analyzer for the live population; knows no store and no clock.
"""

from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from collector.core.assemble import Forest
from collector.core.attempts import Attempts, attempt_groups
from collector.core.critical_path import CriticalPaths
from collector.core.fallbacks import Replacements, find_replacements
from collector.core.kernels import load
from collector.core.queues import NOTHING_SENT, Sent, find_queues, names_any, queue_names, waits
from collector.core.spans import (
    KIND_CONSUMER,
    KIND_INTERNAL,
    KIND_PRODUCER,
    NO_STRING,
    OUTCOME_INJECTED,
    OUTCOMES,
    STATUS_ERROR,
    Columns,
    EnumColumn,
    FlagColumn,
    IdColumn,
    IndexColumn,
    IntColumn,
)
from collector.core.witnesses import find_witnesses

NODE_KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer", "database", "queue", "external")
"""Kinds of node in a dependency graph: OTLP's kinds, then callees without spans of their own."""
DATABASE, QUEUE, EXTERNAL = 6, 7, 8
EDGE_KINDS = ("rpc", "messaging", "database", "internal")
RPC, MESSAGING, DATABASE_CALL, INTERNAL_CALL = range(4)

CALLER_BLAMED_RPC = (3, 5, 6, 7, 9, 11, 16)
"""gRPC codes that say the caller was wrong: INVALID_ARGUMENT, NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED,
FAILED_PRECONDITION, OUT_OF_RANGE, UNAUTHENTICATED."""
FAILED_OUTCOMES = tuple(OUTCOMES.index(outcome) for outcome in ("failed", "timed_out", "fallback_used"))

_SEED = np.uint64(0x63706464)  # fixed: call path and edge ids are stored


@dataclass(frozen=True, slots=True)
class Calls(Columns):
    """Logical calls, shape (c,): attempts of one call are one row. Ordered by trace.

    Services, operations and versions are positions in the batch's strings (NO_STRING: empty), kinds in NODE_KINDS,
    EDGE_KINDS.
    """

    trace: IntColumn
    node: IntColumn
    """Node where the attempt that counts begins: the CLIENT or PRODUCER, or the callee itself."""
    caller: IntColumn
    """Node of the caller's entry span, or of the PRODUCER (which may be of another trace) for what a queue delivers."""
    caller_service: IndexColumn
    caller_operation: IndexColumn
    caller_version: IndexColumn
    caller_kind: EnumColumn
    callee_service: IndexColumn
    callee_operation: IndexColumn
    callee_kind: EnumColumn
    kind: EnumColumn
    from_queue: FlagColumn
    attempts: IntColumn
    failed: FlagColumn
    injected: FlagColumn
    """Somebody injected a fault or a delay into it, to see what becomes of it."""
    caller_well: FlagColumn
    """The caller ended without an error and without a 5xx; for what a queue delivers, who waits for it did."""
    journey_well: FlagColumn
    confounded: FlagColumn
    """See `witnesses.Witnesses`, likewise below."""
    alone: FlagColumn
    quiet: FlagColumn
    waited: FlagColumn
    declared: EnumColumn
    """Position in REQUIREMENTS."""
    path_ns: IntColumn
    """Time on the critical path in the call and everything below it; all attempts."""
    duration_ns: IntColumn
    """From the first attempt's start to the end of the one that counts."""
    wait_ns: IntColumn
    """From a message's send to its receive, where a queue delivers; -1 where that is not known."""


@dataclass(frozen=True, slots=True)
class Dependencies:
    """What the traces of a forest say about who depends on whom."""

    calls: Calls
    edge: IdColumn
    """By call: the stored id of its edge."""
    replacements: Replacements
    path_id: IdColumn
    """Shape (m,): the call path of each node: a hash of the operations from the top of its tree down."""
    inclusive_ns: IntColumn
    """Shape (m,): time on the critical path of each node and everything below it."""
    entry: IndexColumn
    """Shape (m,): the node by which each node's service was entered: its caller, where a call begins at it."""
    callee: IndexColumn
    """Shape (m,): the node that a call beginning at each node reaches, itself where the caller left no span of its
    own; negative where no call begins or the callee has no span."""
    journey: tuple[str, ...]
    """By trace: the name given in the trace, else "service: operation" of its root."""
    journey_failed: NDArray[np.bool_]
    status_known: NDArray[np.bool_]
    """By trace: some span said how it ended."""


def find_dependencies(forest: Forest, paths: CriticalPaths, sent: Sent = NOTHING_SENT) -> Dependencies:
    """Return the calls of every trace, attempts folded, and what became of the callers.

    Args:
        sent: messages from traces that are not in the forest.
    Work: O(n log n) in spans.
    """
    batch = forest.batch
    row = forest.row
    with np.errstate(over="ignore"):
        entry, path_id, inclusive, waited, callee, queue = load("calls", len(forest)).find_calls(
            forest.topo,
            forest.parent,
            forest.start,
            forest.end,
            forest.span_id,
            forest.relation,
            forest.children,
            forest.child_first,
            row,
            forest.kind,
            paths.time_ns,
            batch.service,
            batch.requirement,
            np.where(batch.outcome == OUTCOME_INJECTED, 0, batch.outcome).astype(np.int8),  # it makes no mark
            batch.db_system,
            names_any(queue_names(batch)).astype(np.uint8),
            _operation_hashes(forest),
            _SEED,
        )
    well = ~ended_badly(forest)
    journey_failed = ~well[forest.target] if forest.traces else np.empty(0, bool)
    callee, queue = find_queues(forest, callee, queue)
    calls, attempts = _fold_attempts(forest, _begin_calls(forest, entry, inclusive, waited, callee, queue, sent))
    edge = edge_ids(forest, calls)
    calls = _judge(forest, calls, attempts, edge, well, journey_failed)
    return Dependencies(
        calls=calls,
        edge=edge,
        replacements=find_replacements(
            calls.trace, calls.caller, edge, forest.start[calls.node], calls.failed, well[calls.caller].astype(np.uint8)
        ),
        path_id=path_id,
        inclusive_ns=inclusive,
        entry=entry,
        callee=callee,
        journey=_journeys(forest),
        journey_failed=journey_failed,
        status_known=_any_by_trace(forest, (batch.status_code[row] != 0) | (batch.http_status[row] != 0)),
    )


def ended_badly(forest: Forest) -> NDArray[np.bool_]:
    """Tell of each node whether it ended in an error or answered 5xx."""
    status = forest.batch.status_code[forest.row]
    http = forest.batch.http_status[forest.row]
    bad: NDArray[np.bool_] = (status == STATUS_ERROR) | (http >= 500)
    return bad


def string_hashes(strings: tuple[str, ...]) -> IdColumn:
    """Return 64 bits for each string, the same in every process; the last entry stands for NO_STRING."""
    digests = b"".join(blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest() for text in (*strings, ""))
    return np.frombuffer(digests, np.uint64).copy()


def edge_ids(forest: Forest, calls: Calls) -> IdColumn:
    """Return the stored id of each call's edge: a hash of what it connects."""
    hashes = string_hashes(forest.batch.strings)
    mixed = np.full(len(calls), _SEED)
    with np.errstate(over="ignore"):
        for part in (calls.caller_service, calls.caller_operation, calls.callee_service, calls.callee_operation):
            mixed = (mixed ^ hashes[part]) * np.uint64(0x9E3779B97F4A7C15)
            mixed ^= mixed >> np.uint64(29)
        for small in (calls.caller_kind, calls.callee_kind, calls.kind):
            mixed = (mixed ^ small.astype(np.uint64)) * np.uint64(0xC2B2AE3D27D4EB4F)
            mixed ^= mixed >> np.uint64(31)
    return mixed


def _operation_hashes(forest: Forest) -> IdColumn:
    hashes = string_hashes(forest.batch.strings)
    batch = forest.batch
    with np.errstate(over="ignore"):
        named = hashes[batch.service[forest.row]] * np.uint64(31) ^ hashes[batch.name[forest.row]]
        return named * np.uint64(31) + forest.kind.astype(np.uint64)


def _journeys(forest: Forest) -> tuple[str, ...]:
    """Name the journey of each trace."""
    batch = forest.batch
    named = batch.journey[forest.row]
    names: list[str] = []
    if (named >= 0).any():
        trace_of = np.repeat(np.arange(forest.traces), np.diff(forest.first))
        marked = np.flatnonzero(named >= 0)
        order = marked[np.lexsort((named[marked], forest.start[marked], trace_of[marked]))]
        earliest = order[np.unique(trace_of[order], return_index=True)[1]]
        given = dict(zip(trace_of[earliest].tolist(), named[earliest].tolist(), strict=True))
    else:
        given = {}
    rows = forest.row[forest.target] if forest.traces else np.empty(0, np.int64)
    roots = zip(batch.service[rows].tolist(), batch.name[rows].tolist(), strict=True)
    default: dict[tuple[int, int], str] = {}
    for trace, root in enumerate(roots):
        if trace in given:
            names.append(batch.strings[given[trace]])
            continue
        if root not in default:
            default[root] = f"{batch.text(root[0])}: {batch.text(root[1])}"
        names.append(default[root])
    return tuple(names)


def _any_by_trace(forest: Forest, said: NDArray[np.bool_]) -> NDArray[np.bool_]:
    counts = np.concatenate([[0], np.cumsum(said)])
    any_said: NDArray[np.bool_] = counts[forest.first[1:]] > counts[forest.first[:-1]]
    return any_said


def _begin_calls(
    forest: Forest,
    entry: IndexColumn,
    inclusive: IntColumn,
    waited: FlagColumn,
    callee: IndexColumn,
    queue: IndexColumn,
    sent: Sent,
) -> Calls:
    """Every call as it was made, attempts apart."""
    batch = forest.batch
    node = np.flatnonzero(callee != -1)
    rows = forest.row[node]
    reached = callee[node]
    outside = reached < 0
    target_row = np.where(outside, rows, forest.row[np.maximum(reached, 0)])
    from_queue = queue[node] >= 0
    caller = np.where(from_queue, queue[node], entry[np.maximum(forest.parent[node], 0)])
    own_entry = ~from_queue & ((forest.parent[node] < 0) | ((entry[node] == node) & (reached != node)))
    caller = np.where(own_entry, node, caller)
    caller_row = forest.row[caller]

    queue_service, queue_operation = queue_names(batch)
    # A producer that does not say where it sends to leaves that to the consumer.
    nameless = from_queue & (queue_service[caller_row] < 0) & (queue_operation[caller_row] < 0)
    queue_row = np.where(nameless, rows, caller_row)
    is_queue = outside & names_any((queue_service, queue_operation))[rows]
    is_database = outside & ~is_queue & (batch.db_system[rows] >= 0)
    # Who names its own service as the peer means what it stands for (hotrod's `mysql`) or a schema: it calls no one.
    peer = np.where(batch.peer_service[rows] == batch.service[rows], NO_STRING, batch.peer_service[rows])
    named = np.where(peer >= 0, peer, batch.server_address[rows])
    callee_service = np.select(
        [~outside, is_queue, is_database & (peer < 0)],
        [batch.service[target_row], queue_service[rows], batch.db_system[rows]],
        named,
    )
    callee_operation = np.select(
        [~outside, is_queue, is_database, named >= 0],
        [batch.name[target_row], queue_operation[rows], batch.db_namespace[rows], np.full(len(node), NO_STRING)],
        batch.name[rows],
    )
    callee_kind = np.select([~outside, is_queue, is_database], [batch.kind[target_row], QUEUE, DATABASE], EXTERNAL)
    caller_kind = np.where(from_queue, QUEUE, batch.kind[caller_row])

    failed = _failed(forest, rows) | (~outside & (batch.status_code[target_row] == STATUS_ERROR))
    declared = np.where(batch.requirement[rows] != 0, batch.requirement[rows], batch.requirement[target_row])
    marked = _is_marked(forest)
    # What is declared around a call holds for the caller of the span around it; below that it is only handed down.
    handed_down = marked[caller] & (caller != node) & ~marked[node]
    reached_waited = outside | (reached == node) | (forest.relation[np.maximum(reached, 0)] == 1)
    kind = np.select(
        [
            is_queue | from_queue | (batch.kind[rows] == KIND_PRODUCER) | (batch.kind[target_row] == KIND_CONSUMER),
            is_database,
            (reached == node) & (batch.service[rows] == batch.service[caller_row]) & (batch.kind[rows] <= 1),
        ],
        [MESSAGING, DATABASE_CALL, INTERNAL_CALL],
        RPC,
    )
    nothing = np.zeros(len(node), np.uint8)
    return Calls(
        trace=np.searchsorted(forest.first, node, side="right") - 1,
        node=node,
        caller=caller.astype(np.int64),
        caller_service=np.where(from_queue, queue_service[queue_row], batch.service[caller_row]).astype(np.int32),
        caller_operation=np.where(from_queue, queue_operation[queue_row], batch.name[caller_row]).astype(np.int32),
        caller_version=np.where(from_queue, NO_STRING, batch.resources.version[batch.resource[caller_row]]).astype(
            np.int32
        ),
        caller_kind=caller_kind.astype(np.int8),
        callee_service=callee_service.astype(np.int32),
        callee_operation=callee_operation.astype(np.int32),
        callee_kind=callee_kind.astype(np.int8),
        kind=kind.astype(np.int8),
        from_queue=from_queue.astype(np.uint8),
        attempts=np.ones(len(node), np.int64),
        failed=failed.astype(np.uint8),
        injected=_injected(forest, rows, target_row),
        caller_well=nothing,
        journey_well=nothing,
        confounded=nothing,
        alone=nothing,
        quiet=nothing,
        waited=((waited[node] == 1) & reached_waited & ~(from_queue & (forest.parent[node] < 0))).astype(np.uint8),
        declared=np.where(handed_down, 0, declared).astype(np.int8),
        path_ns=inclusive[node],
        duration_ns=forest.end[node] - forest.start[node],
        wait_ns=waits(forest, node, caller, from_queue, sent),
    )


def _failed(forest: Forest, rows: IntColumn) -> NDArray[np.bool_]:
    """Whether a call's own span says that it failed, and that it was not the caller's fault."""
    batch = forest.batch
    http = batch.http_status[rows]
    blamed = (http >= 400) & (http < 500) & (http != 408) & (http != 429)
    blamed |= np.isin(batch.rpc_status[rows], CALLER_BLAMED_RPC)
    said = np.isin(batch.outcome[rows], FAILED_OUTCOMES)
    failed: NDArray[np.bool_] = said | ((batch.status_code[rows] == STATUS_ERROR) & ~blamed)
    return failed


def _injected(forest: Forest, rows: IntColumn, target_rows: IntColumn) -> FlagColumn:
    """Whether a call's own span or its callee's says so: a proxy between two services is a callee and a caller."""
    injected = forest.batch.outcome == OUTCOME_INJECTED
    flags: FlagColumn = (injected[rows] | injected[target_rows]).astype(np.uint8)
    return flags


def _fold_attempts(forest: Forest, calls: Calls) -> tuple[Calls, Attempts]:
    """Make attempts one call. The first that ended well counts, else the last that was begun."""
    if not len(calls):
        return calls, Attempts(calls.node, calls.node)
    callee = (calls.callee_service, calls.callee_operation, calls.callee_kind, calls.kind)
    groups = attempt_groups(forest, calls.trace, calls.node, calls.caller, callee, calls.failed)
    start, end = forest.start[calls.node], forest.end[calls.node]
    order = np.lexsort((np.where(calls.failed == 1, -start, end), calls.failed, groups))
    begins = np.flatnonzero(np.concatenate([[True], groups[order][1:] != groups[order][:-1]]))
    counts = order[begins]
    columns = calls._take(counts).columns()
    columns["attempts"] = np.diff(np.append(begins, len(order)))
    columns["path_ns"] = np.add.reduceat(calls.path_ns[order], begins)
    columns["duration_ns"] = end[counts] - np.minimum.reduceat(start[order], begins)
    columns["waited"] = np.maximum.reduceat(calls.waited[order], begins)
    columns["injected"] = np.maximum.reduceat(calls.injected[order], begins)
    by_trace = np.lexsort((counts, columns["trace"]))
    call = np.repeat(np.argsort(by_trace), np.diff(np.append(begins, len(order))))
    return Calls(**columns)._take(by_trace), Attempts(calls.node[order], call)  # type: ignore[arg-type]


def _judge(
    forest: Forest,
    calls: Calls,
    attempts: Attempts,
    edge: IdColumn,
    well: NDArray[np.bool_],
    journey_failed: NDArray[np.bool_],
) -> Calls:
    """Say of each call what became of its caller and journey, and who is a witness of what."""
    from_queue = calls.from_queue == 1
    caller = np.where(from_queue, calls.node, calls.caller)
    witnesses = find_witnesses(forest, calls.trace, calls.node, attempts, caller, edge, calls.failed)
    gave_up = _is_marked(forest) & np.isin(forest.batch.outcome[forest.row], FAILED_OUTCOMES)
    columns = calls.columns()
    journey_well = ~journey_failed[calls.trace]
    # A queue does not mind what becomes of its messages; somebody may who waits for an answer.
    of_queue = journey_well | (calls.waited == 0)
    columns["caller_well"] = np.where(from_queue, of_queue, (well & ~gave_up)[calls.caller]).astype(np.uint8)
    columns["journey_well"] = journey_well.astype(np.uint8)
    columns["confounded"] = witnesses.confounded
    columns["alone"] = witnesses.alone
    columns["quiet"] = witnesses.quiet
    return Calls(**columns)  # type: ignore[arg-type]


def _is_marked(forest: Forest) -> NDArray[np.bool_]:
    """Whether a node is an INTERNAL span around a call that says of it whether it matters, or what came of it."""
    batch, row = forest.batch, forest.row
    outcome = batch.outcome[row]
    marked: NDArray[np.bool_] = (batch.requirement[row] != 0) | ((outcome != 0) & (outcome != OUTCOME_INJECTED))
    return marked & (forest.kind <= KIND_INTERNAL)
