"""Values of Jaeger's JSON, read from a tape and stored as protobuf: texts, ids, numbers, tags. Called by `jaeger`.

Readers answer UNUSUAL (or False) for whatever `formats.jaeger` has a special word about; it then reads the document.
Storers write to `out` from `at` on and return the position behind; `fits` has said before that there is room.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from collector.core.kernels import inlined, step
from collector.core.kernels.json_tape import (
    ARRAY,
    BEGIN,
    END,
    ESCAPED,
    FALSE,
    INTEGER,
    KIND,
    NULL,
    OBJECT,
    PAST,
    REAL,
    TEXT,
    TRUE,
    UNUSUAL,
    Tape,
)
from collector.core.kernels.names import find_name, name_table
from collector.core.kernels.protobuf import load_word
from collector.core.kernels.texts import SLACK, store_bytes, store_varint, store_word, varint_size

STRING, BOOL, INT64, FLOAT64, TAKEN = range(5)
"""Types of tags; TAKEN is one that became something else than an attribute."""
KEY, TYPE, VALUE, NUMBER = range(4)
"""Columns of tags: rows of the tape, a type, and the value where it is a number (a real one as its bits)."""

MAX_TAGS = 512
"""Of a span, a log or a process."""

_TAG_FIELDS = name_table([b"key", b"type", b"value"])
_TYPES = name_table([b"string", b"bool", b"int64", b"float64"])

_MAX_DIGITS = 18
_MAX_EXACT_DIGITS = 15
_POWERS = np.array([10.0**power for power in range(23)])
"""All of them exact, so that a product or quotient of one with 15 digits is rounded once: as it should be."""
_SEVEN_BYTES = 0x01FF_FFFF_FFFF_FFFF
_ONES = 0x0101_0101_0101_0101
_HIGH_BITS = -0x7F7F_7F7F_7F7F_7F80

Bytes = NDArray[np.uint8]
Numbers = NDArray[np.int64]


class Tags(NamedTuple):
    """Room for the tags of one holder."""

    rows: Numbers
    """Shape (MAX_TAGS, 4)."""
    real: NDArray[np.float64]
    """Shape (1,), and its bits."""
    bits: Numbers
    fields: Numbers
    """Shape (3,): rows of key, type and value."""


@inlined
def fits(out: Bytes, at: int, size: int) -> bool:
    return at + size + SLACK <= len(out)


@inlined
def raw_size(tape: Tape, row: int) -> int:
    """Return how many bytes a text takes in JSON; it takes no more in UTF-8. 0 where there is none (row -1)."""
    return tape[row, END] - tape[row, BEGIN] if row >= 0 else 0


# Texts


@step
def read_fields(body: bytes, tape: Tape, holder: int, names: Numbers, fields: Numbers) -> None:
    """Set for each of some names the row of its value in an object, -1 for none; of several the last counts."""
    for name in range(len(names)):
        fields[name] = -1
    field = holder + 1
    while field < tape[holder, PAST]:
        name = find_name(body, tape[field, BEGIN], tape[field, END], names)
        if name >= 0:
            fields[name] = field + 1
        field = tape[field + 1, PAST]


@step
def same_text(body: bytes, tape: Tape, one: int, other: int) -> bool:
    """Return whether two texts without escapes are equal; row -1 is the empty one."""
    size = raw_size(tape, one)
    if size != raw_size(tape, other):
        return False
    if size == 0:
        return True
    first, second = tape[one, BEGIN], tape[other, BEGIN]
    index = 0
    while index + 8 <= size and load_word(body, first + index) == load_word(body, second + index):
        index += 8
    while index < size and body[first + index] == body[second + index]:
        index += 1
    return index == size


@step
def text_size(body: bytes, tape: Tape, row: int) -> int:
    """Return how many bytes a text takes in UTF-8, UNUSUAL for half a surrogate pair and what is no text."""
    if row < 0 or tape[row, KIND] == TEXT:
        return raw_size(tape, row)
    if tape[row, KIND] != ESCAPED:
        return UNUSUAL
    size, at, end = 0, tape[row, BEGIN], tape[row, END]
    while at < end:
        plain = (body[at] & 0xFF) != 92
        code, at = _read_character(body, at, end)
        if code < 0:
            return UNUSUAL
        size += 1 if plain or code < 0x80 else 2 if code < 0x800 else 3 if code < 0x1_0000 else 4
    return size


@step
def store_text(body: bytes, tape: Tape, row: int, size: int, out: Bytes, at: int) -> int:
    """Store a text, its size before it."""
    at = store_varint(out, at, size)
    if size == 0:
        return at
    if tape[row, KIND] == TEXT:
        return store_bytes(out, at, body, tape[row, BEGIN], size)
    position, end = tape[row, BEGIN], tape[row, END]
    while position < end:
        plain = (body[position] & 0xFF) != 92
        code, position = _read_character(body, position, end)
        at = _store_byte(out, at, code) if plain else _store_character(out, at, code)
    return at


@step
def _read_character(body: bytes, at: int, end: int) -> tuple[int, int]:
    """Return an unescaped byte as it is, or the code point of an escape; and the position behind. Negative for none."""
    byte = body[at] & 0xFF
    if byte != 92:
        return byte, at + 1
    if end - at < 2:
        return UNUSUAL, end
    letter = body[at + 1] & 0xFF
    if letter != 117:  # u
        return _short_escape(letter), at + 2
    code = _read_unit(body, at, end)
    at += 6
    if code < 0xD800 or code > 0xDFFF:
        return code, at
    low = _read_unit(body, at, end)
    if code > 0xDBFF or low < 0xDC00 or low > 0xDFFF:
        return UNUSUAL, end
    return 0x1_0000 + ((code - 0xD800) << 10) + (low - 0xDC00), at + 6


@step
def _short_escape(letter: int) -> int:
    if letter == 34 or letter == 92 or letter == 47:  # " \ /
        return letter
    if letter == 98:  # b
        return 8
    if letter == 102:  # f
        return 12
    if letter == 110:  # n
        return 10
    if letter == 114:  # r
        return 13
    return 9 if letter == 116 else UNUSUAL  # t


@step
def _read_unit(body: bytes, at: int, end: int) -> int:
    """Return the number of an escape `\\uXXXX` at `at`."""
    if end - at < 6 or (body[at] & 0xFF) != 92 or (body[at + 1] & 0xFF) != 117:
        return UNUSUAL
    code = 0
    for index in range(at + 2, at + 6):
        nibble = _nibble(body[index] & 0xFF)
        if nibble < 0:
            return UNUSUAL
        code = code << 4 | nibble
    return code


@inlined
def _store_byte(out: Bytes, at: int, byte: int) -> int:
    out[at] = byte
    return at + 1


@step
def _store_character(out: Bytes, at: int, code: int) -> int:
    """Store a code point in UTF-8."""
    if code < 0x80:
        return _store_byte(out, at, code)
    if code < 0x800:
        at = _store_byte(out, at, 0xC0 | code >> 6)
    else:
        if code < 0x1_0000:
            at = _store_byte(out, at, 0xE0 | code >> 12)
        else:
            at = _store_byte(out, at, 0xF0 | code >> 18)
            at = _store_byte(out, at, 0x80 | code >> 12 & 0x3F)
        at = _store_byte(out, at, 0x80 | code >> 6 & 0x3F)
    return _store_byte(out, at, 0x80 | code & 0x3F)


# Ids and numbers


@inlined
def _nibble(byte: int) -> int:
    if 48 <= byte <= 57:
        return byte - 48
    letter = byte | 32
    return letter - 87 if 97 <= letter <= 102 else UNUSUAL


@step
def read_id(body: bytes, tape: Tape, row: int, size: int, out: Bytes, at: int) -> int:
    """Store an id of `size` bytes, of which leading zeros may be missing; 1, 0 where it is all zero, or UNUSUAL."""
    if row < 0 or tape[row, KIND] != TEXT:
        return UNUSUAL
    digits, first = raw_size(tape, row), tape[row, BEGIN]
    if digits < 1 or digits > 2 * size:
        return UNUSUAL
    seen = 0
    if digits == 2 * size:
        for index in range(0, size, 8):
            high = _read_hex(load_word(body, first + 2 * index))
            low = _read_hex(load_word(body, first + 2 * index + 8))
            seen |= high | low
            store_word(out, at + index, high | low << 32)
        return UNUSUAL if seen < 0 else int(seen > 0)
    for index in range(size):
        place = digits - 2 * (size - index)
        high = _nibble(body[first + place] & 0xFF) if place >= 0 else 0
        low = _nibble(body[first + place + 1] & 0xFF) if place >= -1 else 0
        seen |= high | low
        out[at + index] = (high << 4 | low) & 0xFF
    return UNUSUAL if seen < 0 else int(seen > 0)


@inlined
def _read_hex(digits: int) -> int:
    """Return the 4 bytes that 8 hex digits stand for, the first in the lowest place; UNUSUAL for anything else."""
    letters = digits >> 6 & _ONES
    nibbles = (digits & _ONES * 15) + letters * 9
    again = nibbles + _ONES * 48 + (nibbles + _ONES * 6 >> 4 & _ONES) * 39
    if (nibbles & _ONES * 0x70) != 0 or again != digits | letters << 5:
        return UNUSUAL
    pairs = (nibbles << 4 | nibbles >> 8) & 0x00FF_00FF_00FF_00FF
    pairs = (pairs | pairs >> 8) & 0x0000_FFFF_0000_FFFF
    return (pairs | pairs >> 16) & 0xFFFF_FFFF


@inlined
def _read_eight_digits(digits: int) -> int:
    """Return the number that 8 decimal digits stand for, UNUSUAL for anything else."""
    if ((digits + _ONES * 0x46 | digits - _ONES * 48) & _HIGH_BITS) != 0:
        return UNUSUAL
    pairs = digits - _ONES * 48
    pairs = pairs * 10 + (pairs >> 8)
    fours = (pairs & 0xFF_0000_00FF) * 0xF_4240_0000_0064 + (pairs >> 16 & 0xFF_0000_00FF) * 0x2710_0000_0001
    return fours >> 32 & 0xFFFF_FFFF


@step
def read_integer(body: bytes, tape: Tape, row: int) -> tuple[int, bool]:
    """Return a whole number of up to 18 digits, written as a number or as text, and whether it is one."""
    at, end = tape[row, BEGIN], tape[row, END]
    negative = at < end and (body[at] & 0xFF) == 45
    at += negative
    if at >= end or end - at > _MAX_DIGITS or (tape[row, KIND] != INTEGER and tape[row, KIND] != TEXT):
        return 0, False
    value = 0
    while end - at >= 8:
        eight = _read_eight_digits(load_word(body, at))
        if eight < 0:
            return 0, False
        value = 100_000_000 * value + eight
        at += 8
    for index in range(at, end):
        digit = (body[index] & 0xFF) - 48
        if digit < 0 or digit > 9:
            return 0, False
        value = 10 * value + digit
    if negative and value == 0:
        return 0, False
    return (-value if negative else value), True


@step
def _read_real(body: bytes, tape: Tape, row: int, tags: Tags) -> bool:
    """Have a number as `tags.real`; False where only arithmetic with more digits would round it right."""
    if tape[row, KIND] == INTEGER:
        whole, known = read_integer(body, tape, row)
        tags.real[0] = whole
        return known
    if tape[row, KIND] != REAL:
        return False
    at, end = tape[row, BEGIN], tape[row, END]
    negative = (body[at] & 0xFF) == 45
    at += negative
    digits, digits_read, power, behind_dot = 0, 0, 0, False
    while at < end and (body[at] & 0xDF) != 69:
        byte = body[at] & 0xFF
        at += 1
        if byte == 46:
            behind_dot = True
            continue
        digits_read += digits > 0 or byte > 48
        if digits_read > _MAX_EXACT_DIGITS:
            return False
        digits = 10 * digits + byte - 48
        power -= behind_dot
    if at < end:
        exponent = _read_exponent(body, at + 1, end)
        if exponent < -99 or exponent > 99:
            return False
        power += exponent
    if power < -22 or power > 22:
        return False
    value = digits * _POWERS[power] if power >= 0 else digits / _POWERS[-power]
    tags.real[0] = -value if negative else value
    return True


@step
def _read_exponent(body: bytes, at: int, end: int) -> int:
    """Return what stands behind the e, 100 for whatever has more than two digits."""
    negative = (body[at] & 0xFF) == 45
    at += negative or (body[at] & 0xFF) == 43
    value = 0
    for index in range(at, end):
        value = min(100, 10 * value + (body[index] & 0xFF) - 48)
    return -value if negative else value


@step
def _varint_size(value: int) -> int:
    """Return how many bytes `_store_varint` needs."""
    if value < 0:
        return 10
    size = 1
    while value >= 0x80:
        value >>= 7
        size += 1
    return size


@step
def _store_varint(out: Bytes, at: int, value: int) -> int:
    """Store an int64 in base 128, negative ones as two's complement."""
    if value >= 0:
        return store_varint(out, at, value)
    out[at] = value & 0x7F | 0x80
    return store_varint(out, at + 1, value >> 7 & _SEVEN_BYTES)


# Tags


@step
def read_tags(body: bytes, tape: Tape, holder: int, tags: Tags) -> int:
    """Read an array of tags, null or none (row -1); return how many there are, or UNUSUAL."""
    if holder < 0 or tape[holder, KIND] == NULL:
        return 0
    if tape[holder, KIND] != ARRAY:
        return UNUSUAL
    count, item = 0, holder + 1
    while item < tape[holder, PAST]:
        if count == MAX_TAGS or tape[item, KIND] != OBJECT or not _read_tag(body, tape, item, tags, count):
            return UNUSUAL
        count += 1
        item = tape[item, PAST]
    return count


@step
def _read_tag(body: bytes, tape: Tape, holder: int, tags: Tags, index: int) -> bool:
    read_fields(body, tape, holder, _TAG_FIELDS, tags.fields)
    key, kind, value = tags.fields[0], tags.fields[1], tags.fields[2]
    if min(key, kind, value) < 0 or tape[key, KIND] != TEXT or tape[kind, KIND] != TEXT:
        return False
    type_ = find_name(body, tape[kind, BEGIN], tape[kind, END], _TYPES)
    number, known = 0, False
    if type_ == STRING:
        number = text_size(body, tape, value)
        known = number >= 0
    elif type_ == BOOL:
        number = int(tape[value, KIND] == TRUE)
        known = number > 0 or tape[value, KIND] == FALSE
    elif type_ == INT64:
        number, known = read_integer(body, tape, value)
    elif type_ == FLOAT64:
        known = _read_real(body, tape, value, tags)
        number = tags.bits[0]
    rows = tags.rows
    rows[index, KEY], rows[index, TYPE], rows[index, VALUE], rows[index, NUMBER] = key, type_, value, number
    return known


@step
def _value_size(row: Numbers) -> int:
    """Return the size of the AnyValue of a tag."""
    if row[TYPE] == STRING:
        return 1 + varint_size(row[NUMBER]) + row[NUMBER]
    if row[TYPE] == INT64:
        return 1 + _varint_size(row[NUMBER])
    return 2 if row[TYPE] == BOOL else 9


@step
def attributes_size(tape: Tape, tags: Tags, count: int) -> int:
    """Return what `store_attributes` needs."""
    total = 0
    for index in range(count):
        row = tags.rows[index]
        if row[TYPE] != TAKEN:
            pair = _pair_size(raw_size(tape, row[KEY]), _value_size(row))
            total += 1 + varint_size(pair) + pair
    return total


@inlined
def _pair_size(key_size: int, value_size: int) -> int:
    return 2 + varint_size(key_size) + key_size + varint_size(value_size) + value_size


@step
def store_attributes(body: bytes, tape: Tape, tags: Tags, count: int, tag: int, out: Bytes, at: int) -> int:
    """Store all tags but taken ones as KeyValues, fields of a one-byte tag."""
    for index in range(count):
        row = tags.rows[index]
        if row[TYPE] == TAKEN:
            continue
        key, value_size = row[KEY], _value_size(row)
        key_size = raw_size(tape, key)
        out[at] = tag
        at = store_varint(out, at + 1, _pair_size(key_size, value_size))
        out[at] = 0x0A
        at = store_text(body, tape, key, key_size, out, at + 1)
        out[at] = 0x12
        at = store_varint(out, at + 1, value_size)
        at = _store_value(body, tape, row, out, at)
    return at


@step
def _store_value(body: bytes, tape: Tape, row: Numbers, out: Bytes, at: int) -> int:
    number = row[NUMBER]
    if row[TYPE] == STRING:
        out[at] = 0x0A
        return store_text(body, tape, row[VALUE], number, out, at + 1)
    if row[TYPE] == INT64:
        out[at] = 0x18
        return _store_varint(out, at + 1, number)
    if row[TYPE] == BOOL:
        out[at], out[at + 1] = 0x10, number
        return at + 2
    out[at] = 0x21
    store_word(out, at + 1, number)
    return at + 9


@inlined
def take_text(tags: Tags, index: int) -> int:
    """Take the tag at an index if it is a text; return the row of its value, -1 where there is none."""
    if index < 0 or tags.rows[index, TYPE] != STRING:
        return -1
    tags.rows[index, TYPE] = TAKEN
    return tags.rows[index, VALUE]


@inlined
def take_count(tags: Tags, index: int) -> int:
    """Take the tag at an index if it is a count; return it, 0 where there is none."""
    if index < 0 or tags.rows[index, TYPE] != INT64 or tags.rows[index, NUMBER] < 0:
        return 0
    if tags.rows[index, NUMBER] > 0xFFFF_FFFF:
        return 0
    tags.rows[index, TYPE] = TAKEN
    return tags.rows[index, NUMBER]
