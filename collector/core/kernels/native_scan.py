"""OTLP messages to what a block needs of them: one walk over the bytes, no text looked at and none moved.

Attributes, events and links become rows of lists; of texts only the place is kept. Lists that run out of room go on
counting, so that the caller learns how much to bring. Where a field stands more than once, protobuf's rules hold: the
last scalar counts.
"""

import numpy as np
from numpy.typing import NDArray

import collector.core.kernels.native_layout as layout
from collector.core.kernels import inlined, step
from collector.core.kernels.native_layout import Lists, Messages, Records
from collector.core.kernels.protobuf import (
    BYTES,
    FIXED32,
    FIXED64,
    VARINT,
    read_fixed32,
    read_fixed64,
    read_size,
    read_tag,
    read_varint,
    skip_field,
)
from collector.core.kernels.texts import base64_size, decimal_size

BAD_PLACE = -10
"""A row leads out of the body; beside the errors of `protobuf`."""

_STATE, _STATUS = 3 << 3 | BYTES, 15 << 3 | BYTES
_ATTRIBUTE, _DROPPED = 9 << 3 | BYTES, 10 << 3 | VARINT
_EVENT, _DROPPED_EVENTS = 11 << 3 | BYTES, 12 << 3 | VARINT
_LINK, _DROPPED_LINKS = 13 << 3 | BYTES, 14 << 3 | VARINT
_STATUS_MESSAGE = 2 << 3 | BYTES
_RESOURCE_ATTRIBUTE, _RESOURCE_DROPPED = 1 << 3 | BYTES, 2 << 3 | VARINT
_SCOPE_ATTRIBUTE, _SCOPE_DROPPED = 3 << 3 | BYTES, 4 << 3 | VARINT
_EVENT_TIME, _EVENT_NAME = 1 << 3 | FIXED64, 2 << 3 | BYTES
_EVENT_ATTRIBUTE, _EVENT_DROPPED = 3 << 3 | BYTES, 4 << 3 | VARINT
_LINK_TRACE_ID, _LINK_SPAN_ID, _LINK_STATE = 1 << 3 | BYTES, 2 << 3 | BYTES, 3 << 3 | BYTES
_LINK_ATTRIBUTE, _LINK_DROPPED, _LINK_FLAGS = 4 << 3 | BYTES, 5 << 3 | VARINT, 6 << 3 | FIXED32
_KEY, _VALUE = 1 << 3 | BYTES, 2 << 3 | BYTES
_STRING, _BOOL, _INT, _DOUBLE = 1 << 3 | BYTES, 2 << 3 | VARINT, 3 << 3 | VARINT, 4 << 3 | FIXED64
_ARRAY, _MAP, _BYTES_VALUE, _STRING_INDEX = 5 << 3 | BYTES, 6 << 3 | BYTES, 7 << 3 | BYTES, 8 << 3 | VARINT

_UNSAID = 0
"""Letter of an AnyValue in which no field is set."""
_ODD = 0
"""Letter of an attribute that is not laid out as usual."""
_DOUBLE_BYTES = 8
_LEAST_STRING = 6
"""Bytes of an empty string with an empty key."""


@step
def scan(body: bytes, messages: Messages, records: Records, lists: Lists) -> tuple[int, int]:
    """Fill `records` and `lists` from the messages of a batch; numbers of dictionaries are left out.

    Returns:
        An error (0 none; BAD_PLACE; a code of `protobuf`) and the row of the span, resource or scope it is about.
    """
    lists.lists[:, layout.LIST_COUNT] = 0
    for row in range(messages.resources.shape[1]):
        at, size = int(messages.resources[layout.TABLE_AT, row]), int(messages.resources[layout.TABLE_SIZE, row])
        error = _scan_table(
            body, at, size, row, layout.RESOURCE, _RESOURCE_ATTRIBUTE, _RESOURCE_DROPPED, records.resources, lists
        )
        if error < 0:
            return error, row
    for row in range(messages.scopes.shape[1]):
        at, size = int(messages.scopes[layout.TABLE_AT, row]), int(messages.scopes[layout.TABLE_SIZE, row])
        error = _scan_table(body, at, size, row, layout.SCOPE, _SCOPE_ATTRIBUTE, _SCOPE_DROPPED, records.scopes, lists)
        if error < 0:
            return error, row
    for row in range(messages.longs.shape[1]):
        at, size = int(messages.longs[layout.AT, row]), int(messages.longs[layout.SIZE, row])
        error = _scan_span(body, at, size, row, records, lists)
        if error < 0:
            return error, row
    return 0, 0


@step
def _is_inside(body: bytes, at: int, size: int) -> bool:
    """Return whether a message can be read; an empty one lies nowhere, as all do in a batch without a body."""
    return size == 0 or (0 <= at <= len(body) and 0 < size <= len(body) - at)


@step
def _scan_table(
    body: bytes,
    at: int,
    size: int,
    row: int,
    holder: int,
    attribute: int,
    dropped: int,
    record: NDArray[np.int32],
    lists: Lists,
) -> int:
    """Scan a Resource or an InstrumentationScope, whose tags of interest are `attribute` and `dropped`."""
    if not _is_inside(body, at, size):
        return BAD_PLACE
    record[layout.DROPPED, row] = 0
    mixed = 0
    end = at + size
    while at < end:
        tag, value = read_tag(body, at, end)
        if value < 0:
            return value
        at = skip_field(body, value, end, tag)
        if at < 0:
            return at
        if tag == attribute:
            _, content = read_size(body, value, end)
            letter = _scan_attribute(body, content, at, holder, lists)
            if letter < 0:
                return letter
            mixed |= letter ^ layout.STRING
        elif tag == dropped:
            record[layout.DROPPED, row] = _read_uint32(body, value, end)
    _close_holder(row, holder, mixed, record, lists)
    return 0


@inlined
def _scan_span(body: bytes, at: int, size: int, row: int, records: Records, lists: Lists) -> int:
    if at < 0 or not _is_inside(body, at, size):
        return BAD_PLACE
    record = records.spans
    for field in range(layout.DROPPED, layout.EVENTS_END):
        record[field, row] = 0
    mixed = 0
    end = at + size
    while at < end:
        if body[at] == _ATTRIBUTE:
            behind = _scan_short_string(body, at + 1, end, layout.SPAN, lists)
            if behind > 0:
                at = behind
                continue
        tag, value = read_tag(body, at, end)
        if value < 0:
            return value
        if tag & 7 == BYTES:
            size, content = read_size(body, value, end)
            if content < 0:
                return content
            at = content + size
            if tag == _ATTRIBUTE:
                letter = _scan_usual_attribute(body, content, at, layout.SPAN, lists)
                if letter == _ODD:
                    letter = _scan_attribute(body, content, at, layout.SPAN, lists)
                    if letter < 0:
                        return letter
                mixed |= letter ^ layout.STRING
            elif tag == _EVENT:
                error = _scan_event(body, content, at, records, lists)
                if error < 0:
                    return error
            elif tag == _LINK:
                error = _scan_link(body, content, at, records, lists)
                if error < 0:
                    return error
            elif tag == _STATUS:
                error = _scan_status(body, content, at, row, record)
                if error < 0:
                    return error
            elif tag == _STATE:
                record[layout.STATE_AT, row], record[layout.STATE_SIZE, row] = content, size
            continue
        at = skip_field(body, value, end, tag)
        if at < 0:
            return at
        if tag == _DROPPED:
            record[layout.DROPPED, row] = _read_uint32(body, value, end)
        elif tag == _DROPPED_EVENTS:
            record[layout.DROPPED_EVENTS, row] = _read_uint32(body, value, end)
        elif tag == _DROPPED_LINKS:
            record[layout.DROPPED_LINKS, row] = _read_uint32(body, value, end)
    record[layout.EVENTS_END, row] = lists.lists[layout.EVENTS, layout.LIST_COUNT]
    record[layout.LINKS_END, row] = lists.lists[layout.LINKS, layout.LIST_COUNT]
    _close_holder(row, layout.SPAN, mixed, record, lists)
    return 0


@step
def _scan_status(body: bytes, at: int, end: int, row: int, record: NDArray[np.int32]) -> int:
    while at < end:
        tag, value = read_tag(body, at, end)
        if value < 0:
            return value
        at = skip_field(body, value, end, tag)
        if at < 0:
            return at
        if tag == _STATUS_MESSAGE:
            size, content = read_size(body, value, end)
            record[layout.MESSAGE_AT, row], record[layout.MESSAGE_SIZE, row] = content, size
    return 0


@step
def _scan_event(body: bytes, at: int, end: int, records: Records, lists: Lists) -> int:
    row = _append(layout.EVENTS, lists)
    name_at, name_size, time, dropped, mixed = at, 0, 0, 0, 0
    while at < end:
        tag, value = read_tag(body, at, end)
        if value < 0:
            return value
        at = skip_field(body, value, end, tag)
        if at < 0:
            return at
        if tag == _EVENT_ATTRIBUTE:
            _, content = read_size(body, value, end)
            letter = _scan_attribute(body, content, at, layout.EVENT, lists)
            if letter < 0:
                return letter
            mixed |= letter ^ layout.STRING
        elif tag == _EVENT_TIME:
            time, _ = read_fixed64(body, value, end)
        elif tag == _EVENT_NAME:
            name_size, name_at = read_size(body, value, end)
        elif tag == _EVENT_DROPPED:
            dropped = _read_uint32(body, value, end)
    if row >= 0:
        record = records.events
        records.event_times[row] = time
        record[layout.DROPPED, row] = dropped
        record[layout.EVENT_NAME_AT, row], record[layout.EVENT_NAME_SIZE, row] = name_at, name_size
        _close_holder(row, layout.EVENT, mixed, record, lists)
    return 0


@step
def _scan_link(body: bytes, at: int, end: int, records: Records, lists: Lists) -> int:
    row = _append(layout.LINKS, lists)
    trace_at, trace_size, span_at, span_size, state_at, state_size = at, 0, at, 0, at, 0
    dropped, flags, mixed = 0, 0, 0
    while at < end:
        tag, value = read_tag(body, at, end)
        if value < 0:
            return value
        at = skip_field(body, value, end, tag)
        if at < 0:
            return at
        if tag == _LINK_TRACE_ID:
            trace_size, trace_at = read_size(body, value, end)
        elif tag == _LINK_SPAN_ID:
            span_size, span_at = read_size(body, value, end)
        elif tag == _LINK_STATE:
            state_size, state_at = read_size(body, value, end)
        elif tag == _LINK_ATTRIBUTE:
            _, content = read_size(body, value, end)
            letter = _scan_attribute(body, content, at, layout.LINK, lists)
            if letter < 0:
                return letter
            mixed |= letter ^ layout.STRING
        elif tag == _LINK_DROPPED:
            dropped = _read_uint32(body, value, end)
        elif tag == _LINK_FLAGS:
            flags, _ = read_fixed32(body, value, end)
    if row >= 0:
        record = records.links
        record[layout.DROPPED, row], record[layout.LINK_FLAGS, row] = dropped, _as_int32(flags)
        record[layout.TRACE_ID_AT, row], record[layout.TRACE_ID_SIZE, row] = trace_at, trace_size
        record[layout.SPAN_ID_AT, row], record[layout.SPAN_ID_SIZE, row] = span_at, span_size
        record[layout.LINK_STATE_AT, row], record[layout.LINK_STATE_SIZE, row] = state_at, state_size
        _close_holder(row, layout.LINK, mixed, record, lists)
    return 0


@inlined
def _append(which: int, lists: Lists) -> int:
    """Count one more in a list; return its place in the array, -1 where there is no room."""
    count = int(lists.lists[which, layout.LIST_COUNT])
    lists.lists[which, layout.LIST_COUNT] = count + 1
    if count >= lists.lists[which, layout.LIST_CAPACITY]:
        return -1
    return int(lists.lists[which, layout.LIST_BASE]) + count


@step
def _close_holder(row: int, holder: int, mixed: int, record: NDArray[np.int32], lists: Lists) -> None:
    """Note where a holder's attributes end, and whether any of them is no string."""
    record[layout.ATTRIBUTES_END, row] = lists.lists[holder, layout.LIST_COUNT]
    record[layout.TYPES, row] = mixed


@inlined
def first_attribute(record: NDArray[np.int32], item: int) -> int:
    """Return where the attributes of a record begin."""
    return int(record[layout.ATTRIBUTES_END, item - 1]) if item > 0 else 0


@inlined
def _scan_short_string(body: bytes, at: int, end: int, holder: int, lists: Lists) -> int:
    """Append the KeyValue whose size is at `at` if it is a key, then a string, and all sizes are below 128.

    Most attributes are so. What must be true of them is compared, not computed, so that the processor need not wait
    for it: the inner sizes follow from the outer one.

    Returns:
        The position behind it, or _ODD: not appended.
    """
    if at < 0 or end - at <= _LEAST_STRING or body[at] & 0xFF >= 0x80:
        return _ODD
    behind = at + 1 + (body[at] & 0xFF)
    value = at + 3 + (body[at + 2] & 0xFF)
    size = behind - value - 4
    if behind > end or size < 0 or body[at + 1] != _KEY or body[value] != _VALUE or body[value + 2] != _STRING:
        return _ODD
    if body[value + 1] != size + 2 or body[value + 3] != size:
        return _ODD
    _append_attribute(at + 3, body[at + 2] & 0xFF, layout.STRING, value + 4, size, holder, lists)
    return behind


@inlined
def _scan_usual_attribute(body: bytes, at: int, end: int, holder: int, lists: Lists) -> int:
    """Append the KeyValue [at, end) to the attributes of `holder` if it is a key, then a string, an int or a bool.

    Returns:
        Its letter, or _ODD: not appended.
    """
    if at < 0 or at >= end or body[at] != _KEY:
        return _ODD
    key_size, key_at = read_size(body, at + 1, end)
    at = key_at + key_size
    if key_at < 0 or at >= end or body[at] != _VALUE:
        return _ODD
    size, at = read_size(body, at + 1, end)
    if at < 0 or size < 2 or at + size != end:
        return _ODD
    if body[at] == _STRING:
        size, at = read_size(body, at + 1, end)
        if at < 0 or at + size != end:
            return _ODD
        _append_attribute(key_at, key_size, layout.STRING, at, size, holder, lists)
        return layout.STRING
    if body[at] == _INT:
        integer, behind = read_varint(body, at + 1, end)
        if behind != end:
            return _ODD
        _append_attribute(key_at, key_size, layout.INT, at + 1, decimal_size(integer), holder, lists)
        return layout.INT
    if body[at] == _BOOL and size == 2 and body[at + 1] < 2:
        truth = body[at + 1] & 0xFF
        _append_attribute(key_at, key_size, layout.BOOL, truth, 5 - truth, holder, lists)
        return layout.BOOL
    return _ODD


@step
def _scan_attribute(body: bytes, at: int, end: int, holder: int, lists: Lists) -> int:
    """Append the KeyValue [at, end) to the attributes of `holder`: any value, fields in any order, repeated or missing.

    Returns:
        Its letter, or an error.
    """
    message = at
    key_at, key_size = at, 0
    letter, value_at, value_size = layout.NO_VALUE, at, 0
    while at < end:
        tag, value = read_tag(body, at, end)
        if value < 0:
            return value
        at = skip_field(body, value, end, tag)
        if at < 0:
            return at
        if tag == _KEY:
            key_size, key_at = read_size(body, value, end)
        elif tag == _VALUE:
            _, content = read_size(body, value, end)
            said, said_at, said_size = _scan_value(body, content, at)
            if said < 0:
                return said
            if said != _UNSAID:
                letter, value_at, value_size = said, said_at, said_size
    if letter == layout.DOUBLE:
        value_at = _append_rare(letter, value_at, _DOUBLE_BYTES, lists)
    elif letter == layout.ARRAY or letter == layout.MAP:
        value_at = _append_rare(letter, message, end - message, lists)
    _append_attribute(key_at, key_size, letter, value_at, value_size, holder, lists)
    return letter


@inlined
def _append_attribute(
    key_at: int, key_size: int, letter: int, value_at: int, value_size: int, holder: int, lists: Lists
) -> None:
    place = _append(holder, lists)
    if place >= 0:
        lists.letters[place] = letter
        lists.attributes[layout.KEY_AT, place], lists.attributes[layout.KEY_SIZE, place] = key_at, key_size
        lists.attributes[layout.VALUE_AT, place], lists.attributes[layout.VALUE_SIZE, place] = value_at, value_size


@step
def _scan_value(body: bytes, at: int, end: int) -> tuple[int, int, int]:
    """Return letter, place and size of text of the AnyValue [at, end); instead of the letter _UNSAID or an error."""
    letter, value_at, value_size = _UNSAID, at, 0
    while at < end:
        tag, value = read_tag(body, at, end)
        if value < 0:
            return value, 0, 0
        at = skip_field(body, value, end, tag)
        if at < 0:
            return at, 0, 0
        if tag == _STRING:
            value_size, value_at = read_size(body, value, end)
            letter = layout.STRING
        elif tag == _INT:
            integer, _ = read_varint(body, value, end)
            letter, value_at, value_size = layout.INT, value, decimal_size(integer)
        elif tag == _BOOL:
            integer, _ = read_varint(body, value, end)
            truth = int(integer != 0)
            letter, value_at, value_size = layout.BOOL, truth, 5 - truth
        elif tag == _DOUBLE:
            letter, value_at, value_size = layout.DOUBLE, value, 0
        elif tag == _BYTES_VALUE:
            size, _ = read_size(body, value, end)
            letter, value_at, value_size = layout.BYTES_VALUE, value, base64_size(size)
        elif tag == _ARRAY:
            letter, value_at, value_size = layout.ARRAY, value, 0
        elif tag == _MAP:
            letter, value_at, value_size = layout.MAP, value, 0
        elif tag == _STRING_INDEX:
            letter, value_at, value_size = layout.NO_VALUE, value, 0
    return letter, value_at, value_size


@step
def _append_rare(letter: int, at: int, size: int, lists: Lists) -> int:
    """Return the number of a value whose text is made outside, -1 where there is no room for it."""
    place = _append(layout.RARE, lists)
    if place >= 0:
        lists.rare[layout.RARE_LETTER, place] = letter
        lists.rare[layout.RARE_AT, place], lists.rare[layout.RARE_SIZE, place] = at, size
    return place


@step
def _read_uint32(body: bytes, at: int, end: int) -> int:
    """Return the low 32 bits of a varint, as int32."""
    value, _ = read_varint(body, at, end)
    return _as_int32(value)


@step
def _as_int32(value: int) -> int:
    return ((value & 0xFFFF_FFFF) ^ 0x8000_0000) - 0x8000_0000
