"""The wire format of protobuf, read one step at a time. Every other kernel that reads OTLP stands on these.

A message is the bytes [at, end) of `body`. Each reader takes `body, at, end`, looks at nothing outside, and returns
where the next thing begins; a negative position is an error code (below) and then nothing else of the answer counts.
Callers owe one thing: 0 <= at and end <= len(body). Since a size is compared with what is left (`size > end - at`),
no sum of hostile numbers is ever formed.

`body` is a `bytes` object, compiled or not. A byte is read as `body[at] & 0xFF`: Numba shifts a bare uint8 as uint64,
and uint64 must not meet int64. All numbers are int64, in two's complement where 64 bits are full: an unsigned number
from 2^63 on is read as a negative one.

Source: https://protobuf.dev/programming-guides/encoding/.
"""

from collector.core.kernels import inlined, step

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Wire types: the low three bits of a tag, which is `field number << 3 | wire type`."""

TRUNCATED = -1
"""The message ends inside a field, or a size says more than is left of the message."""
LONG_VARINT = -2
"""A varint of more than ten bytes."""
BAD_TAG = -3
"""Field number 0, or a tag above 2^32-1."""
BAD_WIRE_TYPE = -4
"""A group (3, 4), which OTLP has none of, or a wire type that does not exist (6, 7)."""

MAX_VARINT_BYTES = 10
MAX_TAG_BYTES = 5
MAX_TAG = 0xFFFF_FFFF

_WIRE_TYPES = 1 << VARINT | 1 << FIXED64 | 1 << BYTES | 1 << FIXED32
_SIGN = -0x8000_0000_0000_0000
_HIGH_BITS = -0x7F7F_7F7F_7F7F_7F80
"""0x80 in each of eight bytes, as int64."""


@inlined
def read_varint(body: bytes, at: int, end: int) -> tuple[int, int]:
    """Return the value and the position behind it. Bits above the 64th are dropped, as protobuf's runtimes do."""
    if at < end and (body[at] & 0xFF) < 0x80:
        return body[at] & 0xFF, at + 1
    if end - at >= 2 and (body[at + 1] & 0xFF) < 0x80:
        return (body[at] & 0x7F) | (body[at + 1] & 0xFF) << 7, at + 2
    return _read_long_varint(body, at, end)


@step
def _read_long_varint(body: bytes, at: int, end: int) -> tuple[int, int]:
    value = 0
    shift = 0
    limit = at + MAX_VARINT_BYTES if end - at > MAX_VARINT_BYTES else end
    while at < limit:
        byte = body[at] & 0xFF
        at += 1
        if shift < 63:
            value |= (byte & 0x7F) << shift
        elif byte & 1:
            value += _SIGN
        if byte < 0x80:
            return value, at
        shift += 7
    return 0, LONG_VARINT if shift == 7 * MAX_VARINT_BYTES else TRUNCATED


@inlined
def read_tag(body: bytes, at: int, end: int) -> tuple[int, int]:
    """Return the tag of the field that begins at `at`, and the position of its value."""
    tag, value_at = read_varint(body, at, end)
    if value_at < 0:
        return 0, value_at
    if tag < 8 or tag > MAX_TAG or value_at - at > MAX_TAG_BYTES:
        return 0, BAD_TAG
    return (tag, value_at) if _WIRE_TYPES >> (tag & 7) & 1 else (0, BAD_WIRE_TYPE)


@inlined
def read_size(body: bytes, at: int, end: int) -> tuple[int, int]:
    """Return the size of a BYTES value and the position of its first byte; all of it lies before `end`."""
    size, content = read_varint(body, at, end)
    if content < 0:
        return 0, content
    if size < 0 or size > end - content:
        return 0, TRUNCATED
    return size, content


@inlined
def read_fixed64(body: bytes, at: int, end: int) -> tuple[int, int]:
    """Return a FIXED64 value and the position behind it."""
    if end - at < 8:
        return 0, TRUNCATED
    return load_word(body, at), at + 8


@inlined
def read_fixed32(body: bytes, at: int, end: int) -> tuple[int, int]:
    """Return a FIXED32 value, 0 to 2^32-1, and the position behind it."""
    if end - at < 4:
        return 0, TRUNCATED
    low = (body[at] & 0xFF) | (body[at + 1] & 0xFF) << 8
    return low | (body[at + 2] & 0xFF) << 16 | (body[at + 3] & 0xFF) << 24, at + 4


@step
def skip_field(body: bytes, at: int, end: int, tag: int) -> int:
    """Return the position behind the value at `at`, whose tag was `tag`."""
    wire_type = tag & 7
    if wire_type == VARINT:
        _, after = read_varint(body, at, end)
        return after
    if wire_type == BYTES:
        size, content = read_size(body, at, end)
        return content if content < 0 else content + size
    if wire_type == FIXED64:
        return at + 8 if end - at >= 8 else TRUNCATED
    if wire_type == FIXED32:
        return at + 4 if end - at >= 4 else TRUNCATED
    return BAD_WIRE_TYPE


@inlined
def load_word(body: bytes, at: int) -> int:
    """Return 8 bytes, little-endian; the caller has checked that they are there. One load instruction, compiled."""
    if at < 0:  # never; said for the compiler, which otherwise minds Python's negative positions in all eight reads
        return 0
    low = (body[at] & 0xFF) | (body[at + 1] & 0xFF) << 8 | (body[at + 2] & 0xFF) << 16 | (body[at + 3] & 0xFF) << 24
    high = (body[at + 4] & 0xFF) << 32 | (body[at + 5] & 0xFF) << 40 | (body[at + 6] & 0xFF) << 48
    return low | high | _signed(body[at + 7]) << 56


@inlined
def load_big_endian(body: bytes, at: int) -> int:
    """Return 8 bytes, big-endian, as ids are written; the caller has checked that they are there."""
    if at < 0:
        return 0
    high = _signed(body[at]) << 56 | (body[at + 1] & 0xFF) << 48 | (body[at + 2] & 0xFF) << 40
    middle = (body[at + 3] & 0xFF) << 32 | (body[at + 4] & 0xFF) << 24 | (body[at + 5] & 0xFF) << 16
    return high | middle | (body[at + 6] & 0xFF) << 8 | (body[at + 7] & 0xFF)


@inlined
def _signed(byte: int) -> int:
    """Return -128 to 127, so that shifting it to the top of a word gives the same number, compiled or not."""
    return ((byte & 0xFF) ^ 0x80) - 0x80


@inlined
def is_ascii(body: bytes, at: int, end: int) -> bool:
    """Return whether all bytes of [at, end) are below 0x80: eight at a time, the last eight overlapping."""
    if end - at < 8:
        while at < end and (body[at] & 0xFF) < 0x80:
            at += 1
        return at >= end
    last = end - 8
    while at < last:
        if load_word(body, at) & _HIGH_BITS:
            return False
        at += 8
    return (load_word(body, last) & _HIGH_BITS) == 0


@step
def find_bad_utf8(body: bytes, at: int, end: int) -> int:
    """Return the position of the first byte of [at, end) that is not UTF-8, -1 where all of it is.

    Strict: no overlong forms, no surrogates, nothing above U+10FFFF (Unicode 16, table 3-7).
    """
    while at < end:
        if end - at >= 8 and (load_word(body, at) & _HIGH_BITS) == 0:
            at += 8
            continue
        first = body[at] & 0xFF
        if first < 0x80:
            at += 1
            continue
        size = 2 if first < 0xE0 else 3 if first < 0xF0 else 4
        if first < 0xC2 or first > 0xF4 or size > end - at:
            return at
        second = body[at + 1] & 0xFF
        lowest = 0xA0 if first == 0xE0 else 0x90 if first == 0xF0 else 0x80
        highest = 0x9F if first == 0xED else 0x8F if first == 0xF4 else 0xBF
        if second < lowest or second > highest:
            return at
        for position in range(at + 2, at + size):
            if (body[position] & 0xC0) != 0x80:
                return at
        at += size
    return -1


@step
def equals(body: bytes, at: int, end: int, text: bytes) -> bool:
    """Return whether the bytes [at, end) are `text`."""
    if end - at != len(text):
        return False
    index = 0
    while index < len(text) and body[at + index] == text[index]:
        index += 1
    return index == len(text)
