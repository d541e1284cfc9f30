"""JSON text to a tape: one row a value, in the order of the text. Readers of JSON formats stand on it.

    {"a": [1, "b"]}     OBJECT  0..15  past 5
                        TEXT    2..3   past 2     a key is a TEXT before its value; quotes are left out
                        ARRAY   6..14  past 5
                        INTEGER 7..8   past 4
                        TEXT   11..12  past 5

Strict, and narrow on purpose: what is not JSON in UTF-8, keys with escapes and what nests too deep are UNUSUAL, and
somebody slower has to look. What is accepted means the same to every reader of JSON.

Source: RFC 8259.
"""

import numpy as np
from numpy.typing import NDArray

from collector.core.kernels import inlined, kernel, step
from collector.core.kernels.protobuf import find_bad_utf8, load_word

OBJECT, ARRAY, TEXT, ESCAPED, INTEGER, REAL, TRUE, FALSE, NULL = range(9)
"""Kinds of values; ESCAPED is a text with backslashes."""
KIND, BEGIN, END, PAST = range(4)
"""Columns of a tape. PAST is the row behind the value and all that is in it."""

UNUSUAL = -1
MAX_DEPTH = 64

Tape = NDArray[np.int32]

_VALUE, _FIRST_VALUE, _KEY, _FIRST_KEY, _BEHIND = range(5)
"""What may come next: the first ones also end their array or object."""
_ONES = 0x0101_0101_0101_0101
_HIGH_BITS = -0x7F7F_7F7F_7F7F_7F80
_QUOTE, _BACKSLASH, _COMMA, _COLON, _MINUS, _DOT, _ZERO, _NINE = 34, 92, 44, 58, 45, 46, 48, 57
_OPEN_ARRAY, _CLOSE_ARRAY, _OPEN_OBJECT, _CLOSE_OBJECT = 91, 93, 123, 125


@kernel
def most_values(body: bytes) -> int:
    """Return how many values a text has at most: each but the first stands behind one of `[{,:`."""
    count = 1
    for index in range(len(body)):
        byte = body[index] & 0xFF
        count += (byte == _COMMA) | (byte == _COLON) | (byte == _OPEN_ARRAY) | (byte == _OPEN_OBJECT)
    return count


@step
def scan(body: bytes, at: int, end: int, tape: Tape, holders: NDArray[np.int64]) -> int:
    """Fill a tape from the text [at, end); return how many values there are, or UNUSUAL.

    Args:
        tape: a row for each value; where there are too few, the text is UNUSUAL.
        holders: room for MAX_DEPTH numbers.
    """
    depth, count, state = 0, 0, _VALUE
    while True:
        at = skip_space(body, at, end)
        if at >= end:
            return count if state == _BEHIND and depth == 0 and count > 0 else UNUSUAL
        byte = body[at] & 0xFF
        if state == _BEHIND and byte == _COMMA and depth > 0:
            state = _KEY if tape[holders[depth - 1], KIND] == OBJECT else _VALUE
            at += 1
            continue
        if byte == _CLOSE_ARRAY or byte == _CLOSE_OBJECT:
            if depth == 0 or state == _VALUE or state == _KEY:
                return UNUSUAL
            holder = holders[depth - 1]
            if (tape[holder, KIND] == OBJECT) != (byte == _CLOSE_OBJECT):
                return UNUSUAL
            at += 1
            tape[holder, END], tape[holder, PAST] = at, count
            depth -= 1
            state = _BEHIND
            continue
        if state == _BEHIND or count >= len(tape):
            return UNUSUAL
        if state == _KEY or state == _FIRST_KEY:
            kind, behind = _scan_text(body, at, end)
            if kind != TEXT:
                return UNUSUAL
            _put(tape, count, TEXT, at + 1, behind - 1)
            count += 1
            at = skip_space(body, behind, end)
            if at >= end or (body[at] & 0xFF) != _COLON:
                return UNUSUAL
            at += 1
            state = _VALUE
        elif byte == _OPEN_OBJECT or byte == _OPEN_ARRAY:
            if depth == MAX_DEPTH:
                return UNUSUAL
            holders[depth] = count
            depth += 1
            _put(tape, count, OBJECT if byte == _OPEN_OBJECT else ARRAY, at, at)
            count += 1
            at += 1
            state = _FIRST_KEY if byte == _OPEN_OBJECT else _FIRST_VALUE
        else:
            quotes = byte == _QUOTE
            kind, behind = _scan_text(body, at, end) if quotes else _scan_plain(body, at, end)
            if behind < 0:
                return UNUSUAL
            _put(tape, count, kind, at + quotes, behind - quotes)
            count += 1
            at = behind
            state = _BEHIND


@inlined
def _put(tape: Tape, row: int, kind: int, begin: int, end: int) -> None:
    tape[row, KIND], tape[row, BEGIN], tape[row, END], tape[row, PAST] = kind, begin, end, row + 1


@inlined
def skip_space(body: bytes, at: int, end: int) -> int:
    """Return the position of the first byte from `at` on that is not white space."""
    while at < end and ((body[at] & 0xFF) == 32 or 9 <= (body[at] & 0xFF) <= 10 or (body[at] & 0xFF) == 13):
        at += 1
    return at


@step
def _scan_text(body: bytes, at: int, end: int) -> tuple[int, int]:
    """Return the kind of the text that begins with the quote at `at`, and the position behind it; negative for none."""
    if (body[at] & 0xFF) != _QUOTE:
        return TEXT, UNUSUAL
    at += 1
    begin, kind, high = at, TEXT, 0
    while True:
        while end - at >= 8:
            word = load_word(body, at)
            found = _special_bytes(word)
            high |= word
            if found != 0:
                at += _bytes_before(found)
                break
            at += 8
        if at >= end:
            return kind, UNUSUAL
        byte = body[at] & 0xFF
        if byte == _QUOTE:
            break
        if byte < 32:
            return kind, UNUSUAL
        if byte == _BACKSLASH:
            kind = ESCAPED
            at += 1
        high |= byte  # only the last few bytes of a document come here
        at += 1
    if (high & _HIGH_BITS) != 0 and find_bad_utf8(body, begin, at) >= 0:
        return kind, UNUSUAL
    return kind, at + 1


@inlined
def _special_bytes(word: int) -> int:
    """Return 0x80 for the first of 8 bytes that is a quote, a backslash or below 32; what is above it says nothing."""
    quote, backslash = word ^ (_ONES * _QUOTE), word ^ (_ONES * _BACKSLASH)
    found = ((quote - _ONES) & ~quote) | ((backslash - _ONES) & ~backslash) | ((word - _ONES * 32) & ~word)
    return found & _HIGH_BITS


@inlined
def _bytes_before(found: int) -> int:
    """Return how many bytes of a word lie before the first that has its highest bit set."""
    return (((found & -found) - 1 >> 7 & _ONES) * _ONES >> 56) & 0xFF


@step
def _scan_plain(body: bytes, at: int, end: int) -> tuple[int, int]:
    """Return the kind of a number, true, false or null, and the position behind it; negative where it is none."""
    byte = body[at] & 0xFF
    if byte == 110 and _is_word(body, at, end, b"null"):
        return NULL, at + 4
    if byte == 116 and _is_word(body, at, end, b"true"):
        return TRUE, at + 4
    if byte == 102 and _is_word(body, at, end, b"false"):
        return FALSE, at + 5
    if byte == _MINUS:
        at += 1
    first = at
    at = _skip_digits(body, at, end)
    if at == first or (at > first + 1 and (body[first] & 0xFF) == _ZERO):
        return NULL, UNUSUAL
    kind = INTEGER
    if at < end and (body[at] & 0xFF) == _DOT:
        kind, first = REAL, at + 1
        at = _skip_digits(body, first, end)
        if at == first:
            return NULL, UNUSUAL
    if at < end and (body[at] & 0xDF) == 69:  # e or E
        kind = REAL
        at += 1
        if at < end and ((body[at] & 0xFF) == _MINUS or (body[at] & 0xFF) == 43):
            at += 1
        first = at
        at = _skip_digits(body, first, end)
        if at == first:
            return NULL, UNUSUAL
    return kind, at


@inlined
def _skip_digits(body: bytes, at: int, end: int) -> int:
    while at < end and _ZERO <= (body[at] & 0xFF) <= _NINE:
        at += 1
    return at


@step
def _is_word(body: bytes, at: int, end: int, word: bytes) -> bool:
    if end - at < len(word):
        return False
    for index in range(len(word)):
        if body[at + index] != word[index]:
            return False
    return True
