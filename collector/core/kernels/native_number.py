"""Numbers in dictionaries for the texts of LowCardinality columns, in order of first use.

Some texts are strings of the batch already, each once: their positions are numbered. The others lie in the messages:
keys, names of events, types of attributes and what a tracestate says of sampling.
"""

import numpy as np
from numpy.typing import NDArray

import collector.core.kernels.native_layout as layout
from collector.core.kernels import inlined, step
from collector.core.kernels.dictionary import clear, find_guessed, find_or_add
from collector.core.kernels.native_layout import Dictionaries, Lists, Messages, Records, Texts
from collector.core.kernels.native_scan import BAD_PLACE, first_attribute
from collector.core.kernels.protobuf import equals

_OT = b"ot="
_COMMA, _SPACE, _TAB = b", \t"


@step
def number_texts(messages: Messages, texts: Texts) -> int:
    """Give every string that a column uses its number in the column's dictionary, in order of first use.

    Returns:
        0, or BAD_PLACE where a row points at a resource, a scope or a string that does not exist.
    """
    strings = len(texts.ends) - 1
    if not _all_below(messages.ints[layout.RESOURCE_OF], messages.resources.shape[1]):
        return BAD_PLACE
    if not _all_below(messages.ints[layout.SCOPE_OF], messages.scopes.shape[1]):
        return BAD_PLACE
    for row in range(messages.scopes.shape[1]):
        if max(messages.scopes[layout.SCOPE_NAME, row], messages.scopes[layout.SCOPE_VERSION, row]) >= strings:
            return BAD_PLACE
    for position in range(strings):
        texts.seen[position] = 0
    for column in range(layout.TEXTS):
        if not _number_column(messages, texts, column, strings):
            return BAD_PLACE
    return 0


@step
def _all_below(rows: NDArray[np.int32], end: int) -> bool:
    """Return whether all of `rows` are from 0 to `end` - 1."""
    for row in range(len(rows)):
        if rows[row] < 0 or rows[row] >= end:
            return False
    return True


@step
def _number_column(messages: Messages, texts: Texts, column: int, strings: int) -> bool:
    """Number the strings of one column; return whether all of them exist."""
    count = 0
    for row in range(messages.ints.shape[1]):
        position = _position(messages, column, row)
        if position >= strings:
            return False
        if position < 0 or texts.ends[position] == texts.ends[position + 1]:
            texts.numbers[column, row] = 0
            continue
        if texts.seen[position] == 0:
            count += 1
            texts.seen[position] = count
            texts.order[column, count] = position
        texts.numbers[column, row] = texts.seen[position]
    texts.counts[column] = count
    for number in range(1, count + 1):
        texts.seen[texts.order[column, number]] = 0
    return True


@step
def _position(messages: Messages, column: int, row: int) -> int:
    """Return which string a span has as its text `column`, negative for none."""
    if column < layout.SPAN_TEXTS:
        return int(messages.ints[layout.FIRST_TEXT + column, row])
    if column == layout.SCOPE_SCHEMA:
        return int(messages.scopes[layout.TABLE_SCHEMA, messages.ints[layout.SCOPE_OF, row]])
    resource = messages.ints[layout.RESOURCE_OF, row]
    if column == layout.HOST:
        return int(messages.resources[layout.RESOURCE_HOST, resource])
    return int(messages.resources[layout.TABLE_SCHEMA, resource])


@step
def number_found(
    body: bytes,
    seed: int,
    messages: Messages,
    texts: Texts,
    records: Records,
    lists: Lists,
    dictionaries: Dictionaries,
) -> None:
    """Number what a scan, for which there was room, has found."""
    clear(dictionaries)
    _number_spans(body, seed, messages.ints[layout.FIRST_TEXT + layout.NAME], texts.seen, records, lists, dictionaries)
    _number_holders(body, seed, layout.RESOURCE, records.resources, records.resources.shape[1], lists, dictionaries)
    _number_holders(body, seed, layout.SCOPE, records.scopes, records.scopes.shape[1], lists, dictionaries)
    events, links = lists.lists[layout.EVENTS, layout.LIST_COUNT], lists.lists[layout.LINKS, layout.LIST_COUNT]
    _number_holders(body, seed, layout.EVENT, records.events, events, lists, dictionaries)
    _number_holders(body, seed, layout.LINK, records.links, links, lists, dictionaries)
    _number_event_names(body, seed, records.events, events, dictionaries)
    _number_weights(body, seed, records.spans, dictionaries)


@step
def _number_spans(
    body: bytes,
    seed: int,
    names: NDArray[np.int32],
    seen: NDArray[np.int32],
    records: Records,
    lists: Lists,
    dictionaries: Dictionaries,
) -> None:
    """Number keys and types of spans. Spans of one name come from one place in a program, with the same keys.

    Args:
        seen: zeros, one for each string; becomes the last row with that name, + 1.
    """
    for row in range(len(names)):
        like = -1
        if names[row] >= 0:
            like = int(seen[names[row]]) - 1
            seen[names[row]] = row + 1
        _number_holder(body, seed, layout.SPAN, records.spans, row, like, lists, dictionaries)


@step
def _number_holders(
    body: bytes,
    seed: int,
    holder: int,
    record: NDArray[np.int32],
    count: int,
    lists: Lists,
    dictionaries: Dictionaries,
) -> None:
    for row in range(count):
        _number_holder(body, seed, holder, record, row, row - 1, lists, dictionaries)


@inlined
def _number_holder(
    body: bytes,
    seed: int,
    holder: int,
    record: NDArray[np.int32],
    row: int,
    like: int,
    lists: Lists,
    dictionaries: Dictionaries,
) -> None:
    """Number the keys of a record, and its types unless all are strings; they may be as those of record `like` (-1)."""
    base, attributes, which = int(lists.lists[holder, layout.LIST_BASE]), lists.attributes, layout.KEYS + holder
    first, end = base + first_attribute(record, row), base + int(record[layout.ATTRIBUTES_END, row])
    like_first, like_end, like_types = 0, 0, 0
    if like >= 0:
        like_first, like_end = base + first_attribute(record, like), base + int(record[layout.ATTRIBUTES_END, like])
        like_types = int(record[layout.TYPES, like])
    if first < 0 or like_first < 0:
        return
    for place in range(first, end):
        like_place = like_first + place - first
        guess = int(attributes[layout.KEY, like_place]) if like_place < like_end else 0
        at, size = int(attributes[layout.KEY_AT, place]), int(attributes[layout.KEY_SIZE, place])
        attributes[layout.KEY, place] = find_guessed(body, at, size, guess, seed, which, dictionaries)
    if record[layout.TYPES, row] != 0:
        letters: bytes = lists.letters
        which = layout.TYPE_NAMES + holder
        number = find_guessed(letters, first, end - first, like_types, seed, which, dictionaries)
        record[layout.TYPES, row] = number


@step
def _number_event_names(
    body: bytes, seed: int, events: NDArray[np.int32], count: int, dictionaries: Dictionaries
) -> None:
    for row in range(count):
        at, size = int(events[layout.EVENT_NAME_AT, row]), int(events[layout.EVENT_NAME_SIZE, row])
        events[layout.EVENT_NAME, row] = find_or_add(body, at, size, seed, layout.EVENT_NAMES, dictionaries)


@step
def _number_weights(body: bytes, seed: int, spans: NDArray[np.int32], dictionaries: Dictionaries) -> None:
    """Number what tracestates say of how likely their traces were to be kept."""
    for row in range(spans.shape[1]):
        spans[layout.WEIGHT, row] = 0
        size = int(spans[layout.STATE_SIZE, row])
        if size > 0:
            at = int(spans[layout.STATE_AT, row])
            member, member_size = find_ot_member(body, at, at + size)
            spans[layout.WEIGHT, row] = find_or_add(body, member, member_size, seed, layout.WEIGHTS, dictionaries)


@step
def find_ot_member(body: bytes, at: int, end: int) -> tuple[int, int]:
    """Return place and size of the member `ot=...` of the tracestate [at, end); size 0 where it has none."""
    while at < end:
        behind = at
        while behind < end and body[behind] != _COMMA:
            behind += 1
        last = behind
        while at < last and _is_blank(body[at]):
            at += 1
        while last > at and _is_blank(body[last - 1]):
            last -= 1
        if last - at >= len(_OT) and equals(body, at, at + len(_OT), _OT):
            return at, last - at
        at = behind + 1
    return end, 0


@inlined
def _is_blank(byte: int) -> bool:
    return byte == _SPACE or byte == _TAB
