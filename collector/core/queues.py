"""Messages that somebody sent and somebody else takes: which queue a CONSUMER is called by. Called by `dependencies`.

shop         send orders  PRODUCER              shop --> kafka orders --> mailer
              |                                       waits in the queue from the send to the receive
mailer        +- - - - - - - process orders  CONSUMER, below the PRODUCER or linked to it, in its trace or another
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from collector.core.assemble import Forest
from collector.core.spans import KIND_CONSUMER, KIND_PRODUCER, NO_STRING, IndexColumn, IntColumn, SpanBatch

SpanKey: TypeAlias = tuple[int, int, int]
"""Both halves of a trace id, and a span id."""
Sent: TypeAlias = Mapping[SpanKey, int]
"""When messages were sent that spans of other traces take: the start of a PRODUCER, in ns."""
NOTHING_SENT: Sent = MappingProxyType({})

_NO_CALL = -1


def queue_names(batch: SpanBatch) -> tuple[IndexColumn, IndexColumn]:
    """Return system and destination of the queue that each span names, NO_STRING for none.

    Who sends or takes messages and names a peer means the broker, as Zipkin's instrumentations do.
    """
    unnamed = (batch.messaging_system == NO_STRING) & (batch.messaging_destination == NO_STRING)
    of_message = (batch.kind == KIND_PRODUCER) | (batch.kind == KIND_CONSUMER)
    system = np.where(unnamed & of_message, batch.peer_service, batch.messaging_system).astype(np.int32)
    return system, batch.messaging_destination


def find_queues(forest: Forest, callee: IndexColumn, queue: IndexColumn) -> tuple[IndexColumn, IndexColumn]:
    """Return `callee` and `queue` as `kernels.calls.find_calls` has them, for messages that come by other ways, too.

    A CONSUMER that is linked to a PRODUCER is called by its queue. One at the top of a tree that names a queue is
    called by that; it stands for its queue itself, and nobody knows how long its message waited.
    """
    batch, row = forest.batch, forest.row
    consumers = np.flatnonzero((forest.kind == KIND_CONSUMER) & (queue < 0))
    if not len(consumers):
        return callee, queue
    callee, queue = callee.copy(), queue.copy()
    producer = _linked_producers(forest, consumers)
    names_queue = names_any(queue_names(batch))[row]
    above = forest.parent[consumers]
    from_elsewhere = (above < 0) | (batch.service[row[np.maximum(above, 0)]] != batch.service[row[consumers]])
    by_link = (producer >= 0) & (names_queue[np.maximum(producer, 0)] | names_queue[consumers])
    by_name = ~by_link & from_elsewhere & names_queue[consumers]
    queue[consumers[by_link]] = producer[by_link]
    queue[consumers[by_name]] = consumers[by_name]
    called = consumers[by_link | by_name]
    callee[called] = np.where(callee[called] == _NO_CALL, called, callee[called])
    return callee, queue


def names_any(queue: tuple[IndexColumn, IndexColumn]) -> NDArray[np.bool_]:
    named: NDArray[np.bool_] = (queue[0] != NO_STRING) | (queue[1] != NO_STRING)
    return named


def waits(
    forest: Forest, node: IntColumn, sender: IntColumn, from_queue: NDArray[np.bool_], sent: Sent = NOTHING_SENT
) -> IntColumn:
    """Return how long each call's message waited, from the start of the send to that of the receive; -1 unknown.

    Args:
        node, sender, from_queue: by call; a CONSUMER whose PRODUCER is not in the forest is its own sender.
        sent: what else was sent.
    """
    known = from_queue & (sender != node)
    began = np.where(known, forest.start[sender], 0)
    if sent:
        rows = forest.row[node]
        for call in np.flatnonzero(from_queue & ~known & (forest.batch.link_type[rows] > 0)).tolist():
            found = sent.get(link_key(forest.batch, int(rows[call])))
            if found is not None:
                known[call], began[call] = True, found
    waited = forest.start[node] - began
    return np.where(known & (waited >= 0), waited, -1).astype(np.int64)


def link_key(batch: SpanBatch, row: int) -> SpanKey:
    """Return where the link of a span leads."""
    return int(batch.link_trace_id_high[row]), int(batch.link_trace_id_low[row]), int(batch.link_span_id[row])


def linked_elsewhere(batch: SpanBatch) -> list[str]:
    """Return the ids of other traces that CONSUMERs without a parent are linked to: those have sent their messages."""
    rows = np.flatnonzero((batch.kind == KIND_CONSUMER) & (batch.link_type > 0) & (batch.parent_span_id == 0))
    keys = {link_key(batch, row)[:2] for row in rows.tolist()}
    keys -= set(zip(batch.trace_id_high.tolist(), batch.trace_id_low.tolist(), strict=True)) if keys else set()
    return sorted(f"{high:016x}{low:016x}" for high, low in keys)


def sent_by(batch: SpanBatch) -> Sent:
    """Return when the PRODUCERs of a batch sent."""
    rows = np.flatnonzero(batch.kind == KIND_PRODUCER)
    columns = (batch.trace_id_high, batch.trace_id_low, batch.span_id, batch.start_time_unix_nano)
    return {
        (high, low, span): start for high, low, span, start in zip(*(c[rows].tolist() for c in columns), strict=True)
    }


def _linked_producers(forest: Forest, consumers: IntColumn) -> IntColumn:
    """The PRODUCER in any of the forest's traces that each CONSUMER's link leads to, -1 where there is none."""
    batch, row = forest.batch, forest.row
    found = np.full(len(consumers), -1, np.int64)
    linked = np.flatnonzero(batch.link_type[row[consumers]] > 0)
    producers = np.flatnonzero(forest.kind == KIND_PRODUCER)
    if not len(linked) or not len(producers):
        return found
    order = producers[np.argsort(forest.span_id[producers], kind="stable")]
    ids = forest.span_id[order]
    at = row[consumers[linked]]
    first = np.searchsorted(ids, batch.link_span_id[at], side="left")
    behind = np.searchsorted(ids, batch.link_span_id[at], side="right")
    for place, begin, end, link in zip(linked.tolist(), first.tolist(), behind.tolist(), at.tolist(), strict=True):
        for candidate in order[begin:end].tolist():
            other = row[candidate]
            if (batch.link_trace_id_high[link], batch.link_trace_id_low[link]) == (
                batch.trace_id_high[other],
                batch.trace_id_low[other],
            ):
                found[place] = candidate
                break
    return found
