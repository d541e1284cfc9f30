"""One Span message to numbers: ids, times, codes and the attributes that are columns."""

import numpy as np
from numpy.typing import NDArray

from collector.core.kernels import inlined, step
from collector.core.kernels.attributes import NO_RPC_STATUS, RPC_STATUS, SEEN, read_attribute, read_long_attribute
from collector.core.kernels.messages import NOT_UTF8, SPAN, TEXT, check_message, inside_of
from collector.core.kernels.protobuf import (
    BYTES,
    FIXED32,
    FIXED64,
    TRUNCATED,
    find_bad_utf8,
    is_ascii,
    load_big_endian,
    load_word,
    read_fixed32,
    read_size,
    read_tag,
    read_varint,
    skip_field,
)
from collector.core.kernels.references import find_link, follows_parent

TRACE_AT, TRACE_SIZE, SPAN_AT, SPAN_SIZE, PARENT_AT, PARENT_SIZE, NAME_AT, NAME_END = range(SEEN + 1, SEEN + 9)
START_AT, START, END_AT, END, KIND, STATUS_CODE, FLAGS, LINKS, FOLLOWS_FROM = range(SEEN + 9, SEEN + 18)
LINK_TRACE_AT, LINK_SPAN_AT, LINK_TYPE = range(SEEN + 18, SEEN + 21)
FOUND_SIZE = SEEN + 21
"""Entries of `found`; the first ones belong to `attributes`. A position of 0 means absent: no text begins a body."""

TRACE_ID_SIZE, TRACE_ID_ZERO, SPAN_ID_SIZE, SPAN_ID_ZERO, PARENT_ID_SIZE, LATE_START, LATE_END = range(3, 10)
"""Problems of a span, after those of `messages`. Their fact: the size of the id, the position of the time's bytes."""

KINDS, STATUS_CODES = 6, 3

_TRACE_ID, _SPAN_ID, _TRACE_STATE, _PARENT_SPAN_ID, _NAME = (number << 3 | BYTES for number in range(1, 6))
_KIND = 6 << 3
_START, _END = 7 << 3 | FIXED64, 8 << 3 | FIXED64
_ATTRIBUTE, _LINK, _STATUS = 9 << 3 | BYTES, 13 << 3 | BYTES, 15 << 3 | BYTES
_FLAGS = 16 << 3 | FIXED32
_STATUS_CODE = 3 << 3


@inlined
def read_span(body: bytes, at: int, end: int, found: NDArray[np.int64], stack: NDArray[np.int64]) -> tuple[int, int]:
    """Fill `found` from the Span [at, end).

    Returns:
        The problem for which the span is refused (0 none) and its fact: for a problem of `protobuf` or `messages` a
        position in `body`.
    """
    found[:] = 0
    found[2 * RPC_STATUS] = NO_RPC_STATUS
    position = at
    while 0 <= position < end:  # never below 0; said for the compiler, as in `load_word`
        field = position
        tag = body[position] & 0xFF
        if tag & 0x87 == BYTES and tag > 0x08 and end - position >= 2 and (body[position + 1] & 0xFF) < 0x80:
            content = position + 2  # nearly all fields: tag and size are a byte each
            position = content + (body[content - 1] & 0xFF)
            if position > end:
                return TRUNCATED, field
            if tag == _ATTRIBUTE:
                problem, problem_at = read_attribute(body, content, position, found, stack)
            else:
                problem, problem_at = _read_bytes(body, content, position, tag, found, stack)
            if problem != 0:
                return problem, problem_at
            continue
        tag, value = read_tag(body, position, end)
        if value < 0:
            return value, field
        position = skip_field(body, value, end, tag)
        if position < 0:
            return position, field
        if tag & 7 != BYTES:
            _read_number(body, value, end, tag, found)
            continue
        _, content = read_size(body, value, end)
        problem, problem_at = _read_long_bytes(body, content, position, tag, found, stack)
        if problem != 0:
            return problem, problem_at
    problem, fact = _check_ids_and_times(body, found)
    if problem == 0 and found[LINKS] > 0:
        if found[PARENT_SIZE] > 0 and load_big_endian(body, found[PARENT_AT]) != 0:
            found[FOLLOWS_FROM] = follows_parent(body, at, end, found[TRACE_AT], found[PARENT_AT])
        found[LINK_TYPE], found[LINK_TRACE_AT], found[LINK_SPAN_AT] = find_link(body, at, end)
    return problem, fact


@inlined
def _read_number(body: bytes, at: int, end: int, tag: int, found: NDArray[np.int64]) -> None:
    """Read a field of another kind than bytes; it is known to be whole."""
    if tag == _START:
        found[START_AT], found[START] = at, load_word(body, at)
    elif tag == _END:
        found[END_AT], found[END] = at, load_word(body, at)
    elif tag == _KIND:
        found[KIND] = _read_enum(body, at, end, KINDS)
    elif tag == _FLAGS:
        found[FLAGS], _ = read_fixed32(body, at, end)


@inlined
def _read_bytes(
    body: bytes, at: int, end: int, tag: int, found: NDArray[np.int64], stack: NDArray[np.int64]
) -> tuple[int, int]:
    """Read a field of bytes that is no attribute."""
    if tag == _TRACE_ID:
        found[TRACE_AT], found[TRACE_SIZE] = at, end - at
    elif tag == _SPAN_ID:
        found[SPAN_AT], found[SPAN_SIZE] = at, end - at
    elif tag == _PARENT_SPAN_ID:
        found[PARENT_AT], found[PARENT_SIZE] = at, end - at
    elif tag in (_NAME, _TRACE_STATE):
        if not is_ascii(body, at, end):
            bad = find_bad_utf8(body, at, end)
            if bad >= 0:
                return NOT_UTF8, bad
        if tag == _NAME:
            found[NAME_AT], found[NAME_END] = at, end
    elif at < end:
        inside = inside_of(SPAN, tag >> 3)
        if inside > TEXT:
            return _read_message(body, at, end, tag, inside, found, stack)
    return 0, end


@step
def _read_long_bytes(
    body: bytes, at: int, end: int, tag: int, found: NDArray[np.int64], stack: NDArray[np.int64]
) -> tuple[int, int]:
    if tag == _ATTRIBUTE:
        return read_long_attribute(body, at, end, found, stack)
    return _read_bytes(body, at, end, tag, found, stack)


@step
def _read_message(
    body: bytes, at: int, end: int, tag: int, inside: int, found: NDArray[np.int64], stack: NDArray[np.int64]
) -> tuple[int, int]:
    problem, problem_at = check_message(body, at, end, inside, stack)
    if problem == 0 and tag == _STATUS:
        _read_status(body, at, end, found)
    elif tag == _LINK:
        found[LINKS] += 1
    return problem, problem_at


@inlined
def _read_status(body: bytes, at: int, end: int, found: NDArray[np.int64]) -> None:
    while 0 <= at < end:
        tag, value = read_tag(body, at, end)
        at = skip_field(body, value, end, tag)
        if tag == _STATUS_CODE:
            found[STATUS_CODE] = _read_enum(body, value, end, STATUS_CODES)


@inlined
def _read_enum(body: bytes, at: int, end: int, count: int) -> int:
    """Return an enum's number, 0 for one that is not below `count`; of a longer varint the low 32 bits count."""
    number, _ = read_varint(body, at, end)
    number &= 0xFFFF_FFFF
    return number if number < count else 0


@inlined
def _check_ids_and_times(body: bytes, found: NDArray[np.int64]) -> tuple[int, int]:
    trace, span = int(found[TRACE_AT]), int(found[SPAN_AT])
    if found[TRACE_SIZE] != 16:
        return TRACE_ID_SIZE, int(found[TRACE_SIZE])
    if load_big_endian(body, trace) == 0 and load_big_endian(body, trace + 8) == 0:
        return TRACE_ID_ZERO, trace
    if found[SPAN_SIZE] != 8:
        return SPAN_ID_SIZE, int(found[SPAN_SIZE])
    if load_big_endian(body, span) == 0:
        return SPAN_ID_ZERO, span
    if found[PARENT_SIZE] != 0 and found[PARENT_SIZE] != 8:
        return PARENT_ID_SIZE, int(found[PARENT_SIZE])
    if found[START] < 0:
        return LATE_START, int(found[START_AT])
    if found[END] < 0:
        return LATE_END, int(found[END_AT])
    return 0, 0
