"""Blocks in ClickHouse's Native format, column by column into one buffer. Called by collector/store/native.

    block:      number of columns, number of rows, columns
    column:     name, type, for LowCardinality a version (all three are its *head*, made outside), values

In two kernels, since some texts are made by Python in between. `find` looks at every byte once and fills the
dictionaries; `write` says how long the blocks become and, if there is room, writes them.
"""

import numpy as np
from numpy.typing import NDArray

import collector.core.kernels.native_layout as layout
from collector.core.kernels import kernel, step
from collector.core.kernels.dictionary import MAX_PROBES
from collector.core.kernels.native_columns import (
    store_codes,
    store_corrections,
    store_dictionary_column,
    store_durations,
    store_ends,
    store_head,
    store_hex_ranges,
    store_ints,
    store_longs,
    store_map,
    store_ranges,
    store_scope_texts,
    store_shared_map,
    store_span_ids,
    store_text_column,
    store_trace_id,
    store_trace_ids,
)
from collector.core.kernels.native_layout import (
    Dictionaries,
    Found,
    Heads,
    Lists,
    Messages,
    RareTexts,
    Records,
    Shared,
    Texts,
)
from collector.core.kernels.native_measure import measure_arrivals, measure_spans
from collector.core.kernels.native_number import number_found, number_texts
from collector.core.kernels.native_scan import scan
from collector.core.kernels.texts import SLACK, store_varint, store_word

__all__ = [
    "FOUND",
    "NO_ROOM",
    "NO_ROW",
    "SLACK",
    "Dictionaries",
    "Found",
    "Heads",
    "Lists",
    "Messages",
    "RareTexts",
    "Records",
    "Shared",
    "Texts",
    "find",
    "write",
]

FOUND, NO_ROOM = 0, 1
"""What `find` returns beside errors."""
NO_ROW = -1

# The columns of otel_traces: the exporter's up to StatusMessage, then these.
_EVENTS, _LINKS, _REST = 15, 20, 27
_KINDS, _STATUS_CODES = 6, 3

_MAX_BLOCK_HEAD = 16
_TIMES_BYTES = 33 + 4 + 4
_FIRST_ROW, _FIRST_START, _LAST_START = range(3)
_MAX_SECONDS = 0xFFFF_FFFF
_LOW_HALF = 0xFFFF_FFFF
_MULTIPLIERS = (0x5851_F42D, 0x4C95_7F2D, 0x7F4A_7C15)


@kernel
def find(
    body: bytes,
    seed: int,
    messages: Messages,
    texts: Texts,
    records: Records,
    lists: Lists,
    dictionaries: Dictionaries,
) -> tuple[int, int]:
    """Fill all but the messages from a batch.

    Returns:
        FOUND; NO_ROOM: the counts of `lists` or `dictionaries` say how much is needed; or an error (BAD_PLACE; a code
        of `protobuf`), with the row of the span, resource or scope it is about or NO_ROW.
    """
    error = number_texts(messages, texts)
    if error < 0:
        return error, NO_ROW
    error, row = scan(body, messages, records, lists)
    if error < 0:
        return error, row
    for which in range(layout.LISTS):
        if lists.lists[which, layout.LIST_COUNT] > lists.lists[which, layout.LIST_CAPACITY]:
            return NO_ROOM, 0
    number_found(body, seed, messages, texts, records, lists, dictionaries)
    table = dictionaries.dictionaries
    for which in range(layout.DICTIONARIES):
        if table[which, layout.TEXT_COUNT] > table[which, layout.TEXT_CAPACITY]:
            return NO_ROOM, 0
    return FOUND, 0


@kernel
def write(
    out: NDArray[np.uint8],
    body: bytes,
    seed: int,
    found: Found,
    span_heads: Heads,
    text_heads: Heads,
    times_heads: Heads,
) -> tuple[int, int, int, int]:
    """Write, if there is room, the block of otel_traces, the text columns of span_arrivals and the block of
    otel_traces_trace_id_ts, one behind the other.

    Returns:
        Their sizes (of the last an upper bound while nothing is written) and how much was written: 0, or the sum.
    """
    spans, arrivals = measure_spans(found, span_heads), measure_arrivals(found, text_heads)
    times = _MAX_BLOCK_HEAD + len(times_heads.text) + _TIMES_BYTES * found.messages.longs.shape[1]
    if spans + arrivals + times + SLACK > len(out):
        return spans, arrivals, times, 0
    at = _write_spans(out, body, found, span_heads)
    at = _write_arrivals(out, at, body, found, text_heads)
    written = _write_times(out, at, seed, found.messages.longs, found.shared, times_heads)
    return spans, arrivals, written - at, written


@step
def _write_spans(out: NDArray[np.uint8], body: bytes, found: Found, heads: Heads) -> int:
    """Write the block of otel_traces at the beginning of `out`."""
    at = store_varint(out, store_varint(out, 0, len(heads.ends) - 1), found.messages.ints.shape[1])
    at = _write_identity(out, at, body, found, heads)
    at = _write_attributes(out, at, body, found, heads)
    at = _write_events(out, at, body, found, heads)
    at = _write_links(out, at, body, found, heads)
    return _write_rest(out, at, body, found, heads)


@step
def _write_identity(out: NDArray[np.uint8], at: int, body: bytes, found: Found, heads: Heads) -> int:
    """Write Timestamp to ServiceName."""
    ints, longs, spans, texts = found.messages.ints, found.messages.longs, found.records.spans, found.texts
    rows = ints.shape[1]
    at = store_longs(out, store_head(out, at, heads, 0), longs[layout.START], rows)
    at = store_trace_ids(out, store_head(out, at, heads, 1), longs)
    at = store_span_ids(out, store_head(out, at, heads, 2), longs[layout.SPAN_ID])
    at = store_span_ids(out, store_head(out, at, heads, 3), longs[layout.PARENT_SPAN_ID])
    at = store_head(out, at, heads, 4)
    at = store_ranges(out, at, body, spans[layout.STATE_AT], spans[layout.STATE_SIZE], rows)
    at = store_text_column(out, store_head(out, at, heads, 5), texts, layout.NAME)
    at = store_codes(out, store_head(out, at, heads, 6), ints[layout.KIND], _KINDS)
    return store_text_column(out, store_head(out, at, heads, 7), texts, layout.SERVICE)


@step
def _write_attributes(out: NDArray[np.uint8], at: int, body: bytes, found: Found, heads: Heads) -> int:
    """Write ResourceAttributes to StatusMessage."""
    messages, texts, records, lists = found.messages, found.texts, found.records, found.lists
    dictionaries, rare, spans, rows = found.dictionaries, found.rare, records.spans, messages.ints.shape[1]
    of = messages.ints[layout.RESOURCE_OF]
    at = store_head(out, at, heads, 8)
    at = store_shared_map(
        out, at, body, of, records.resources, lists, dictionaries, rare, found.shared, layout.RESOURCE
    )
    at = store_scope_texts(out, store_head(out, at, heads, 9), texts, messages, layout.SCOPE_NAME)
    at = store_scope_texts(out, store_head(out, at, heads, 10), texts, messages, layout.SCOPE_VERSION)
    at = store_ends(out, store_head(out, at, heads, 11), spans[layout.ATTRIBUTES_END], rows)
    at = store_map(out, at, body, lists, dictionaries, rare, layout.SPAN)
    at = store_durations(out, store_head(out, at, heads, 12), messages.longs)
    at = store_codes(out, store_head(out, at, heads, 13), messages.ints[layout.STATUS], _STATUS_CODES)
    at = store_head(out, at, heads, 14)
    return store_ranges(out, at, body, spans[layout.MESSAGE_AT], spans[layout.MESSAGE_SIZE], rows)


@step
def _write_events(out: NDArray[np.uint8], at: int, body: bytes, found: Found, heads: Heads) -> int:
    events, lists, dictionaries = found.records.events, found.lists, found.dictionaries
    count, ends = int(lists.lists[layout.EVENTS, layout.LIST_COUNT]), found.records.spans[layout.EVENTS_END]
    rows = len(ends)
    at = store_ends(out, store_head(out, at, heads, _EVENTS), ends, rows)
    at = store_longs(out, at, found.records.event_times, count)
    at = store_ends(out, store_head(out, at, heads, _EVENTS + 1), ends, rows)
    at = store_dictionary_column(out, at, body, dictionaries, layout.EVENT_NAMES, events[layout.EVENT_NAME], count)
    at = store_ends(out, store_head(out, at, heads, _EVENTS + 2), ends, rows)
    at = store_ends(out, at, events[layout.ATTRIBUTES_END], count)
    at = store_map(out, at, body, lists, dictionaries, found.rare, layout.EVENT)
    at = store_ends(out, store_head(out, at, heads, _EVENTS + 3), ends, rows)
    at = _store_types(out, at, lists, dictionaries, layout.EVENT, events[layout.TYPES], count)
    at = store_ends(out, store_head(out, at, heads, _EVENTS + 4), ends, rows)
    return store_ints(out, at, events[layout.DROPPED], count)


@step
def _write_links(out: NDArray[np.uint8], at: int, body: bytes, found: Found, heads: Heads) -> int:
    links, lists, dictionaries = found.records.links, found.lists, found.dictionaries
    count, ends = int(lists.lists[layout.LINKS, layout.LIST_COUNT]), found.records.spans[layout.LINKS_END]
    rows = len(ends)
    at = store_ends(out, store_head(out, at, heads, _LINKS), ends, rows)
    at = store_hex_ranges(out, at, body, links[layout.TRACE_ID_AT], links[layout.TRACE_ID_SIZE], count)
    at = store_ends(out, store_head(out, at, heads, _LINKS + 1), ends, rows)
    at = store_hex_ranges(out, at, body, links[layout.SPAN_ID_AT], links[layout.SPAN_ID_SIZE], count)
    at = store_ends(out, store_head(out, at, heads, _LINKS + 2), ends, rows)
    at = store_ranges(out, at, body, links[layout.LINK_STATE_AT], links[layout.LINK_STATE_SIZE], count)
    at = store_ends(out, store_head(out, at, heads, _LINKS + 3), ends, rows)
    at = store_ends(out, at, links[layout.ATTRIBUTES_END], count)
    at = store_map(out, at, body, lists, dictionaries, found.rare, layout.LINK)
    at = store_ends(out, store_head(out, at, heads, _LINKS + 4), ends, rows)
    at = _store_types(out, at, lists, dictionaries, layout.LINK, links[layout.TYPES], count)
    at = store_ends(out, store_head(out, at, heads, _LINKS + 5), ends, rows)
    at = store_ints(out, at, links[layout.DROPPED], count)
    at = store_ends(out, store_head(out, at, heads, _LINKS + 6), ends, rows)
    return store_ints(out, at, links[layout.LINK_FLAGS], count)


@step
def _write_rest(out: NDArray[np.uint8], at: int, body: bytes, found: Found, heads: Heads) -> int:
    """Write EndCorrection to ScopeSchemaUrl."""
    records, lists, dictionaries, taken = found.records, found.lists, found.dictionaries, found.shared.taken
    ints, spans, resources, scopes = found.messages.ints, records.spans, records.resources, records.scopes
    resource_of, scope_of, rows = ints[layout.RESOURCE_OF], ints[layout.SCOPE_OF], ints.shape[1]
    at = store_corrections(out, store_head(out, at, heads, _REST), found.messages.longs)
    at = store_ints(out, store_head(out, at, heads, _REST + 1), ints[layout.TRACE_FLAGS], rows)
    at = store_head(out, at, heads, _REST + 2)
    at = _store_types(out, at, lists, dictionaries, layout.SPAN, spans[layout.TYPES], rows)
    at = store_head(out, at, heads, _REST + 3)
    _take(resources[layout.TYPES], resource_of, taken)
    at = _store_types(out, at, lists, dictionaries, layout.RESOURCE, taken, rows)
    at = store_head(out, at, heads, _REST + 4)
    _take(scopes[layout.TYPES], scope_of, taken)
    at = _store_types(out, at, lists, dictionaries, layout.SCOPE, taken, rows)
    at = store_head(out, at, heads, _REST + 5)
    at = store_shared_map(out, at, body, scope_of, scopes, lists, dictionaries, found.rare, found.shared, layout.SCOPE)
    at = store_ints(out, store_head(out, at, heads, _REST + 6), spans[layout.DROPPED], rows)
    at = store_ints(out, store_head(out, at, heads, _REST + 7), spans[layout.DROPPED_EVENTS], rows)
    at = store_ints(out, store_head(out, at, heads, _REST + 8), spans[layout.DROPPED_LINKS], rows)
    _take(resources[layout.DROPPED], resource_of, taken)
    at = store_ints(out, store_head(out, at, heads, _REST + 9), taken, rows)
    _take(scopes[layout.DROPPED], scope_of, taken)
    at = store_ints(out, store_head(out, at, heads, _REST + 10), taken, rows)
    at = store_text_column(out, store_head(out, at, heads, _REST + 11), found.texts, layout.RESOURCE_SCHEMA)
    return store_text_column(out, store_head(out, at, heads, _REST + 12), found.texts, layout.SCOPE_SCHEMA)


@step
def _store_types(
    out: NDArray[np.uint8],
    at: int,
    lists: Lists,
    dictionaries: Dictionaries,
    holder: int,
    numbers: NDArray[np.int32],
    rows: int,
) -> int:
    """Store a column of types, whose texts lie in the letters."""
    letters: bytes = lists.letters
    return store_dictionary_column(out, at, letters, dictionaries, layout.TYPE_NAMES + holder, numbers, rows)


@step
def _take(values: NDArray[np.int32], of: NDArray[np.int32], taken: NDArray[np.int32]) -> None:
    """Fill `taken` with the value of each span's resource or scope."""
    for row in range(len(of)):
        taken[row] = values[of[row]]


@step
def _write_arrivals(out: NDArray[np.uint8], at: int, body: bytes, found: Found, heads: Heads) -> int:
    """Write the text columns of span_arrivals."""
    for column in range(layout.HOST + 1):
        at = store_text_column(out, store_head(out, at, heads, column), found.texts, column)
    at = store_head(out, at, heads, layout.HOST + 1)
    weights = found.records.spans[layout.WEIGHT]
    return store_dictionary_column(out, at, body, found.dictionaries, layout.WEIGHTS, weights, len(weights))


@step
def _write_times(
    out: NDArray[np.uint8], at: int, seed: int, longs: NDArray[np.int64], shared: Shared, heads: Heads
) -> int:
    """Write the block of otel_traces_trace_id_ts, a row for each trace of the batch."""
    traces = shared.traces
    count = _distinct_traces(longs, seed, shared.slots, traces)
    at = store_varint(out, store_varint(out, at, 3), count)
    at = store_head(out, at, heads, 0)
    for trace in range(count):
        row = traces[_FIRST_ROW, trace]
        at = store_trace_id(out, at, longs[layout.TRACE_ID_HIGH, row], longs[layout.TRACE_ID_LOW, row])
    for column in (_FIRST_START, _LAST_START):
        at = store_head(out, at, heads, column)
        for trace in range(count):
            store_word(out, at, traces[column, trace])
            at += 4
    return at


@step
def _distinct_traces(longs: NDArray[np.int64], seed: int, slots: NDArray[np.int32], traces: NDArray[np.int64]) -> int:
    """Return how many traces there are; of each, its first row and its first and last start in seconds."""
    count, trace = 0, -1
    for slot in range(len(slots)):
        slots[slot] = 0
    for row in range(longs.shape[1]):
        if trace < 0 or not _same_trace(longs, row, row - 1):
            trace = _find_trace(longs, row, seed, slots, count, traces)
            if trace == count:
                count += 1
                traces[_FIRST_ROW, trace] = row
                traces[_FIRST_START, trace], traces[_LAST_START, trace] = _MAX_SECONDS, 0
        seconds = min(max(longs[layout.START, row] // 1_000_000_000, 0), _MAX_SECONDS)
        traces[_FIRST_START, trace] = min(traces[_FIRST_START, trace], seconds)
        traces[_LAST_START, trace] = max(traces[_LAST_START, trace], seconds)
    return count


@step
def _find_trace(
    longs: NDArray[np.int64], row: int, seed: int, slots: NDArray[np.int32], count: int, traces: NDArray[np.int64]
) -> int:
    """Return the number of a row's trace, `count` if it is new. One whose id is made to collide may be new twice."""
    key = _trace_key(longs[layout.TRACE_ID_HIGH, row], longs[layout.TRACE_ID_LOW, row], seed)
    for probe in range(MAX_PROBES):
        slot = (key + probe) & (len(slots) - 1)
        trace = int(slots[slot]) - 1
        if trace < 0:
            slots[slot] = count + 1
            return count
        if _same_trace(longs, row, traces[_FIRST_ROW, trace]):
            return trace
    return count


@step
def _same_trace(longs: NDArray[np.int64], row: int, other: int) -> bool:
    return bool(
        longs[layout.TRACE_ID_LOW, row] == longs[layout.TRACE_ID_LOW, other]
        and longs[layout.TRACE_ID_HIGH, row] == longs[layout.TRACE_ID_HIGH, other]
    )


@step
def _trace_key(high: int, low: int, seed: int) -> int:
    """Return a hash of a trace id, from 0 on; products of 31 and 32 bits stay inside int64."""
    first = ((low ^ seed) & _LOW_HALF) * _MULTIPLIERS[0]
    second = ((low >> 32 ^ high) & _LOW_HALF) * _MULTIPLIERS[1]
    third = (high >> 32 & _LOW_HALF) * _MULTIPLIERS[2]
    return first >> 24 ^ second >> 28 ^ third >> 31
