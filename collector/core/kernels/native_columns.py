"""Columns in ClickHouse's Native format. Each writer takes `out, at` and returns the position behind (see `texts`).

    String:             size, bytes
    LowCardinality:     kind of index, number of texts, texts, number of rows, indexes; nothing where there are no rows
    Array, Map:         where each row's items end, then the items

Source: ClickHouse, SerializationLowCardinality.cpp and SerializationArray.cpp; what the engine itself emits.
"""

import numpy as np
from numpy.typing import NDArray

import collector.core.kernels.native_layout as layout
from collector.core.kernels import step
from collector.core.kernels.native_layout import Dictionaries, Heads, Lists, Messages, RareTexts, Shared, Texts
from collector.core.kernels.native_measure import index_width
from collector.core.kernels.native_scan import first_attribute
from collector.core.kernels.protobuf import read_size, read_varint
from collector.core.kernels.texts import (
    store_again,
    store_base64,
    store_bytes,
    store_decimal,
    store_hex,
    store_hex_word,
    store_run,
    store_short_bytes,
    store_text,
    store_varint,
    store_word,
)

_WORD = 8
_OWN_TEXTS = 0x600
"""Flags beside the kind of index: the block brings all texts that it uses."""
_TRUE, _FALSE = b"true", b"false"


@step
def store_head(out: NDArray[np.uint8], at: int, heads: Heads, column: int) -> int:
    """Store what stands before the values of a column."""
    first = int(heads.ends[column])
    return store_bytes(out, at, heads.text, first, int(heads.ends[column + 1]) - first)


@step
def store_longs(out: NDArray[np.uint8], at: int, values: NDArray[np.int64], count: int) -> int:
    if at < 0:
        return at
    for row in range(count):
        store_word(out, at + _WORD * row, values[row])
    return at + _WORD * count


@step
def store_ints(out: NDArray[np.uint8], at: int, values: NDArray[np.int32], count: int) -> int:
    if at < 0:
        return at
    for row in range(count):
        store_word(out, at + 4 * row, int(values[row]))
    return at + 4 * count


@step
def store_ends(out: NDArray[np.uint8], at: int, ends: NDArray[np.int32], count: int) -> int:
    """Store where the items of each row end; mostly there are none."""
    if at < 0 or count == 0:
        return at
    if ends[count - 1] == 0:
        for place in range(_WORD * count):
            out[at + place] = 0
        return at + _WORD * count
    for row in range(count):
        store_word(out, at + _WORD * row, int(ends[row]))
    return at + _WORD * count


@step
def store_durations(out: NDArray[np.uint8], at: int, longs: NDArray[np.int64]) -> int:
    """Store end less start; 0 where the end is missing or before the start."""
    rows = int(longs.shape[1])
    for row in range(rows):
        store_word(out, at + _WORD * row, max(longs[layout.END, row] - longs[layout.START, row], 0))
    return at + _WORD * rows


@step
def store_corrections(out: NDArray[np.uint8], at: int, longs: NDArray[np.int64]) -> int:
    """Store the end as sent less start and duration."""
    rows = int(longs.shape[1])
    for row in range(rows):
        store_word(out, at + _WORD * row, min(longs[layout.END, row] - longs[layout.START, row], 0))
    return at + _WORD * rows


@step
def store_trace_id(out: NDArray[np.uint8], at: int, high: int, low: int) -> int:
    out[at] = 32
    return store_hex_word(out, store_hex_word(out, at + 1, high), low)


@step
def store_trace_ids(out: NDArray[np.uint8], at: int, longs: NDArray[np.int64]) -> int:
    for row in range(longs.shape[1]):
        at = store_trace_id(out, at, longs[layout.TRACE_ID_HIGH, row], longs[layout.TRACE_ID_LOW, row])
    return at


@step
def store_span_ids(out: NDArray[np.uint8], at: int, ids: NDArray[np.int64]) -> int:
    """Store ids in hex, 0 as the empty text."""
    for row in range(len(ids)):
        out[at] = 16 if ids[row] != 0 else 0
        at += 1
        if ids[row] != 0:
            at = store_hex_word(out, at, ids[row])
    return at


@step
def store_codes(out: NDArray[np.uint8], at: int, codes: NDArray[np.int32], count: int) -> int:
    """Store codes below `count` as indexes of the texts that are part of the head, others as code 0."""
    store_word(out, at, len(codes))
    at += _WORD
    for row in range(len(codes)):
        out[at + row] = codes[row] if 0 <= codes[row] < count else 0
    return at + len(codes)


@step
def store_ranges(
    out: NDArray[np.uint8], at: int, body: bytes, ats: NDArray[np.int32], sizes: NDArray[np.int32], count: int
) -> int:
    """Store texts of the body as Strings."""
    for row in range(count):
        at = store_text(out, at, body, int(ats[row]), int(sizes[row]))
    return at


@step
def store_hex_ranges(
    out: NDArray[np.uint8], at: int, body: bytes, ats: NDArray[np.int32], sizes: NDArray[np.int32], count: int
) -> int:
    """Store bytes of the body as Strings in hex."""
    for row in range(count):
        size = int(sizes[row])
        at = store_hex(out, store_varint(out, at, 2 * size), body, int(ats[row]), size)
    return at


@step
def store_scope_texts(out: NDArray[np.uint8], at: int, texts: Texts, messages: Messages, which: int) -> int:
    """Store the name or the version of each span's scope as Strings."""
    of, row = messages.ints[layout.SCOPE_OF], 0
    while row < len(of):
        behind = _run_end(of, row)
        first = at
        at = _store_string(out, at, texts, int(messages.scopes[which, of[row]]))
        at = store_run(out, at, first, behind - row)
        row = behind
    return at


@step
def _run_end(of: NDArray[np.int32], row: int) -> int:
    """Return the first row behind `row` that is of another resource or scope; spans of one come together."""
    behind = row + 1
    while behind < len(of) and of[behind] == of[row]:
        behind += 1
    return behind


@step
def _store_string(out: NDArray[np.uint8], at: int, texts: Texts, position: int) -> int:
    """Store a string of the batch; "" for a negative position."""
    if position < 0:
        out[at] = 0
        return at + 1
    first = int(texts.ends[position])
    return store_text(out, at, texts.text, first, int(texts.ends[position + 1]) - first)


# --- LowCardinality


@step
def store_text_column(out: NDArray[np.uint8], at: int, texts: Texts, column: int) -> int:
    """Store strings of the batch as LowCardinality."""
    count, rows = int(texts.counts[column]), texts.numbers.shape[1]
    at = _store_dictionary_head(out, at, count)
    for number in range(1, count + 1):
        at = _store_string(out, at, texts, int(texts.order[column, number]))
    store_word(out, at, rows)
    return _store_indexes(out, at + _WORD, texts.numbers[column], 0, rows, index_width(count + 1))


@step
def store_dictionary_column(
    out: NDArray[np.uint8],
    at: int,
    source: bytes,
    dictionaries: Dictionaries,
    which: int,
    numbers: NDArray[np.int32],
    rows: int,
) -> int:
    """Store texts of `source`, whose `numbers` are those of dictionary `which`, as LowCardinality."""
    if rows == 0:
        return at
    at = _store_dictionary(out, at, source, dictionaries, which, rows)
    return _store_indexes(out, at, numbers, 0, rows, _width_of(dictionaries, which))


@step
def _store_dictionary(
    out: NDArray[np.uint8], at: int, source: bytes, dictionaries: Dictionaries, which: int, rows: int
) -> int:
    """Store a dictionary of texts of `source` and the number of rows; the indexes come next."""
    table, entries = dictionaries.dictionaries, dictionaries.entries
    base, count = table[which, layout.TEXT_BASE], table[which, layout.TEXT_COUNT]
    at = _store_dictionary_head(out, at, int(count))
    for entry in range(base + 1, base + count + 1):
        at = store_text(out, at, source, int(entries[layout.TEXT_AT, entry]), int(entries[layout.TEXT_SIZE, entry]))
    store_word(out, at, rows)
    return at + _WORD


@step
def _store_dictionary_head(out: NDArray[np.uint8], at: int, count: int) -> int:
    """Begin a dictionary of `count` texts and the empty one."""
    store_word(out, at, _OWN_TEXTS | index_width(count + 1) >> 1)
    store_word(out, at + _WORD, count + 1)
    out[at + 2 * _WORD] = 0
    return at + 2 * _WORD + 1


@step
def _width_of(dictionaries: Dictionaries, which: int) -> int:
    return index_width(int(dictionaries.dictionaries[which, layout.TEXT_COUNT]) + 1)


@step
def _store_indexes(
    out: NDArray[np.uint8], at: int, numbers: NDArray[np.int32], first: int, last: int, width: int
) -> int:
    """Store numbers of a dictionary, `width` bytes each."""
    if at < 0 or first < 0:
        return at
    if width == 1:
        for place in range(last - first):
            out[at + place] = numbers[first + place]
    else:
        for place in range(last - first):
            store_word(out, at + width * place, int(numbers[first + place]))
    return at + width * (last - first)


# --- attributes


@step
def store_map(
    out: NDArray[np.uint8],
    at: int,
    body: bytes,
    lists: Lists,
    dictionaries: Dictionaries,
    rare: RareTexts,
    holder: int,
) -> int:
    """Store keys and values of all attributes of a kind of holder."""
    base, count = int(lists.lists[holder, layout.LIST_BASE]), int(lists.lists[holder, layout.LIST_COUNT])
    if count == 0:
        return at
    which = layout.KEYS + holder
    at = _store_dictionary(out, at, body, dictionaries, which, count)
    width = _width_of(dictionaries, which)
    at = _store_indexes(out, at, lists.attributes[layout.KEY], base, base + count, width)
    return _store_values(out, at, body, lists.attributes, lists.letters, base, base + count, rare)


@step
def store_shared_map(
    out: NDArray[np.uint8],
    at: int,
    body: bytes,
    of: NDArray[np.int32],
    record: NDArray[np.int32],
    lists: Lists,
    dictionaries: Dictionaries,
    rare: RareTexts,
    shared: Shared,
    holder: int,
) -> int:
    """Store the attributes that each span has from its resource or scope: where rows end, keys, values."""
    total = 0
    for row in range(len(of)):
        total += int(record[layout.ATTRIBUTES_END, of[row]]) - first_attribute(record, of[row])
        store_word(out, at, total)
        at += _WORD
    if total == 0:
        return at
    which, kind, base = layout.KEYS + holder, holder - layout.RESOURCE, int(lists.lists[holder, layout.LIST_BASE])
    at = _store_dictionary(out, at, body, dictionaries, which, total)
    width, row = _width_of(dictionaries, which), 0
    while row < len(of):
        behind, begin = _run_end(of, row), at
        first, last = base + first_attribute(record, of[row]), base + int(record[layout.ATTRIBUTES_END, of[row]])
        at = _store_indexes(out, at, lists.attributes[layout.KEY], first, last, width)
        at = store_run(out, at, begin, behind - row)
        row = behind
    row = 0
    while row < len(of):
        behind, begin, item = _run_end(of, row), at, of[row]
        first, last = base + first_attribute(record, item), base + int(record[layout.ATTRIBUTES_END, item])
        if shared.stored_at[kind, item] < 0:
            shared.stored_at[kind, item] = at
            at = _store_values(out, at, body, lists.attributes, lists.letters, first, last, rare)
        else:
            at = store_again(out, at, int(shared.stored_at[kind, item]), int(shared.sizes[kind, item]))
        at = store_run(out, at, begin, behind - row)
        row = behind
    return at


@step
def _store_values(
    out: NDArray[np.uint8],
    at: int,
    body: bytes,
    attributes: NDArray[np.int32],
    letters: bytearray,
    first: int,
    last: int,
    rare: RareTexts,
) -> int:
    if at < 0 or first < 0:
        return at
    for place in range(first, last):
        value_at, size = int(attributes[layout.VALUE_AT, place]), int(attributes[layout.VALUE_SIZE, place])
        at = store_varint(out, at, size)
        letter = letters[place]
        if letter == layout.STRING:
            at = store_short_bytes(out, at, body, value_at, size)
        elif letter == layout.INT:
            integer, _ = read_varint(body, value_at, len(body))
            at = store_decimal(out, at, integer)
        elif letter == layout.DOUBLE or letter == layout.ARRAY or letter == layout.MAP:
            at = store_bytes(out, at, rare.text, int(rare.ends[value_at]), size)
        else:
            at = _store_value(out, at, body, letter, value_at)
    return at


@step
def _store_value(out: NDArray[np.uint8], at: int, body: bytes, letter: int, value_at: int) -> int:
    """Store the text of a bool, of bytes, or of no value."""
    if letter == layout.BOOL:
        return store_bytes(out, at, _TRUE if value_at else _FALSE, 0, 5 - value_at)
    if letter == layout.BYTES_VALUE:
        size, content = read_size(body, value_at, len(body))
        return store_base64(out, at, body, content, size)
    return at
