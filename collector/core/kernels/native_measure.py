"""How long the blocks become that `native` writes, to the byte."""

import numpy as np
from numpy.typing import NDArray

import collector.core.kernels.native_layout as layout
from collector.core.kernels import step
from collector.core.kernels.native_layout import Dictionaries, Found, Heads, Lists, Messages, RareTexts, Shared, Texts
from collector.core.kernels.native_scan import first_attribute
from collector.core.kernels.texts import varint_size

_WORD = 8
_LOW_CARDINALITY_BYTES = 25
"""Kind of index, number of texts, the empty text, number of rows."""
_FIXED_SPAN_BYTES = (8 + 33 + 1 + 1 + 1 + 8 + 8 + 8 + 1) + 5 * 8 + 7 * 8 + (8 + 4 + 8 + 5 * 4)
"""What every span takes: start, ids (span ids without their digits), codes, ends of maps and lists, numbers."""
_FIXED_EVENT_BYTES = 8 + 8 + 4
_FIXED_LINK_BYTES = 8 + 4 + 4


@step
def measure_spans(found: Found, heads: Heads) -> int:
    """Return the size in bytes of the block of otel_traces; sizes of rare values and shared ones are filled in."""
    messages, texts, records, lists = found.messages, found.texts, found.records, found.lists
    dictionaries = found.dictionaries
    _settle_rare(lists, found.rare)
    rows = int(messages.ints.shape[1])
    size = varint_size(len(heads.ends) - 1) + varint_size(rows) + int(heads.ends[-1])
    size += rows * _FIXED_SPAN_BYTES + 2 * _WORD
    for row in range(rows):
        size += 16 * int(messages.longs[layout.SPAN_ID, row] != 0)
        size += 16 * int(messages.longs[layout.PARENT_SPAN_ID, row] != 0)
        scope = messages.ints[layout.SCOPE_OF, row]
        size += _string_size(texts, messages.scopes[layout.SCOPE_NAME, scope])
        size += _string_size(texts, messages.scopes[layout.SCOPE_VERSION, scope])
    size += _ranges_size(records.spans[layout.STATE_SIZE], rows, 1)
    size += _ranges_size(records.spans[layout.MESSAGE_SIZE], rows, 1)
    for column in (layout.NAME, layout.SERVICE, layout.RESOURCE_SCHEMA, layout.SCOPE_SCHEMA):
        size += _text_column_size(texts, column, rows)
    for holder in (layout.SPAN, layout.RESOURCE, layout.SCOPE):
        size += _dictionary_column_size(dictionaries, layout.TYPE_NAMES + holder, rows)
    size += _map_size(lists, dictionaries, layout.SPAN)
    size += _shared_map_size(
        messages, records.resources, layout.RESOURCE_OF, lists, dictionaries, layout.RESOURCE, found.shared
    )
    size += _shared_map_size(messages, records.scopes, layout.SCOPE_OF, lists, dictionaries, layout.SCOPE, found.shared)
    return size + _events_size(lists, dictionaries) + _links_size(records.links, lists, dictionaries)


@step
def measure_arrivals(found: Found, heads: Heads) -> int:
    """Return the size in bytes of the text columns of span_arrivals."""
    rows = found.texts.numbers.shape[1]
    size = int(heads.ends[-1]) + _dictionary_column_size(found.dictionaries, layout.WEIGHTS, rows)
    for column in range(layout.HOST + 1):
        size += _text_column_size(found.texts, column, rows)
    return size


@step
def index_width(texts: int) -> int:
    """Return how many bytes number a dictionary of so many texts."""
    return 1 if texts <= 0x100 else 2 if texts <= 0x1_0000 else 4


@step
def _settle_rare(lists: Lists, rare: RareTexts) -> None:
    """Give the rare values the sizes of their texts."""
    if lists.lists[layout.RARE, layout.LIST_COUNT] == 0:
        return
    for holder in range(layout.HOLDERS):
        base = lists.lists[holder, layout.LIST_BASE]
        for place in range(base, base + lists.lists[holder, layout.LIST_COUNT]):
            letter = lists.letters[place]
            if letter == layout.DOUBLE or letter == layout.ARRAY or letter == layout.MAP:
                number = lists.attributes[layout.VALUE_AT, place]
                lists.attributes[layout.VALUE_SIZE, place] = rare.ends[number + 1] - rare.ends[number]


@step
def _low_cardinality_size(text_bytes: int, texts: int, rows: int) -> int:
    """Return the size of a LowCardinality column, given its texts with their sizes and without the empty one."""
    return _LOW_CARDINALITY_BYTES + text_bytes + rows * index_width(texts + 1) if rows > 0 else 0


@step
def _text_column_size(texts: Texts, column: int, rows: int) -> int:
    """Return the size of a LowCardinality column of strings of the batch."""
    size = 0
    for number in range(1, texts.counts[column] + 1):
        size += _string_size(texts, texts.order[column, number])
    return _low_cardinality_size(size, texts.counts[column], rows)


@step
def _string_size(texts: Texts, position: int) -> int:
    """Return the size of a string of the batch as a String; "" for a negative position."""
    if position < 0:
        return 1
    size = int(texts.ends[position + 1] - texts.ends[position])
    return varint_size(size) + size


@step
def _dictionary_column_size(dictionaries: Dictionaries, which: int, rows: int) -> int:
    """Return the size of a LowCardinality column of texts of the messages."""
    table = dictionaries.dictionaries
    base, count = table[which, layout.TEXT_BASE], table[which, layout.TEXT_COUNT]
    size = 0
    for entry in range(base + 1, base + count + 1):
        text_size = int(dictionaries.entries[layout.TEXT_SIZE, entry])
        size += varint_size(text_size) + text_size
    return _low_cardinality_size(size, count, rows)


@step
def _ranges_size(sizes: NDArray[np.int32], rows: int, characters: int) -> int:
    """Return the size of a String column whose texts have `characters` bytes for each byte of the body."""
    total = 0
    for row in range(rows):
        size = characters * int(sizes[row])
        total += varint_size(size) + size
    return total


@step
def _map_size(lists: Lists, dictionaries: Dictionaries, holder: int) -> int:
    """Return the size of the keys and the values of a kind of holder."""
    base, count = lists.lists[holder, layout.LIST_BASE], lists.lists[holder, layout.LIST_COUNT]
    keys = _dictionary_column_size(dictionaries, layout.KEYS + holder, count)
    return keys + _values_size(lists, base, base + count)


@step
def _values_size(lists: Lists, first: int, last: int) -> int:
    total = 0
    if first < 0:
        return total
    for place in range(first, last):
        size = int(lists.attributes[layout.VALUE_SIZE, place])
        total += varint_size(size) + size
    return total


@step
def _shared_map_size(
    messages: Messages,
    record: NDArray[np.int32],
    of: int,
    lists: Lists,
    dictionaries: Dictionaries,
    holder: int,
    shared: Shared,
) -> int:
    """Return the size of the keys and the values that each span has from its resource or scope."""
    base, kind = lists.lists[holder, layout.LIST_BASE], holder - layout.RESOURCE
    first = 0
    for item in range(record.shape[1]):
        last = int(record[layout.ATTRIBUTES_END, item])
        shared.sizes[kind, item] = _values_size(lists, base + first, base + last)
        shared.stored_at[kind, item] = -1
        first = last
    values, keys = 0, 0
    for row in range(messages.ints.shape[1]):
        item = int(messages.ints[of, row])
        values += int(shared.sizes[kind, item])
        keys += int(record[layout.ATTRIBUTES_END, item]) - first_attribute(record, item)
    return values + _dictionary_column_size(dictionaries, layout.KEYS + holder, keys)


@step
def _events_size(lists: Lists, dictionaries: Dictionaries) -> int:
    """Return the size of all events, without where those of a span end."""
    count = int(lists.lists[layout.EVENTS, layout.LIST_COUNT])
    names = _dictionary_column_size(dictionaries, layout.EVENT_NAMES, count)
    types = _dictionary_column_size(dictionaries, layout.TYPE_NAMES + layout.EVENT, count)
    return count * _FIXED_EVENT_BYTES + names + types + _map_size(lists, dictionaries, layout.EVENT)


@step
def _links_size(links: NDArray[np.int32], lists: Lists, dictionaries: Dictionaries) -> int:
    """Return the size of all links, without where those of a span end."""
    count = int(lists.lists[layout.LINKS, layout.LIST_COUNT])
    ids = _ranges_size(links[layout.TRACE_ID_SIZE], count, 2) + _ranges_size(links[layout.SPAN_ID_SIZE], count, 2)
    states = _ranges_size(links[layout.LINK_STATE_SIZE], count, 1)
    types = _dictionary_column_size(dictionaries, layout.TYPE_NAMES + layout.LINK, count)
    return count * _FIXED_LINK_BYTES + ids + states + types + _map_size(lists, dictionaries, layout.LINK)
