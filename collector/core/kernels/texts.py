"""Text written into a block: eight bytes at a time, ids in hex, numbers in decimal, bytes in base64.

Writers take `out, at`, store from `at` on and return the position behind. Words are stored whole, so up to SLACK bytes
behind that position may be overwritten: write from front to back and leave SLACK at the end of `out`.

`if at < 0: return` never does. It tells the compiler that no position counts from the end, as Python's negative ones
do; otherwise it minds them for every byte.
"""

import numpy as np
from numpy.typing import NDArray

from collector.core.kernels import inlined, step
from collector.core.kernels.protobuf import load_word

SLACK = 16
"""Bytes that a buffer needs behind the last one that counts."""

_LOW_HALF = 0xFFFF_FFFF
_MAX_DIGITS = 19
"""Of an int64."""


@inlined
def store_word(out: NDArray[np.uint8], at: int, word: int) -> None:
    """Store 8 bytes, little-endian. One store instruction, compiled."""
    if at < 0:
        return
    out[at] = word & 0xFF
    out[at + 1] = (word >> 8) & 0xFF
    out[at + 2] = (word >> 16) & 0xFF
    out[at + 3] = (word >> 24) & 0xFF
    out[at + 4] = (word >> 32) & 0xFF
    out[at + 5] = (word >> 40) & 0xFF
    out[at + 6] = (word >> 48) & 0xFF
    out[at + 7] = (word >> 56) & 0xFF


@step
def store_bytes(out: NDArray[np.uint8], at: int, source: bytes, first: int, size: int) -> int:
    """Store `size` bytes of `source` from `first` on."""
    if at < 0 or first < 0:
        return at
    if first + size + 8 <= len(source):
        for done in range(0, size, 8):
            store_word(out, at + done, load_word(source, first + done))
    else:
        for done in range(size):
            out[at + done] = source[first + done]
    return at + size


@inlined
def store_short_bytes(out: NDArray[np.uint8], at: int, source: bytes, first: int, size: int) -> int:
    """Do the work of `store_bytes`, without a loop for up to 16 bytes, as most texts have."""
    if size > 16 or first + 16 > len(source):
        return store_bytes(out, at, source, first, size)
    store_word(out, at, load_word(source, first))
    store_word(out, at + 8, load_word(source, first + 8))
    return at + size


@step
def store_again(out: NDArray[np.uint8], at: int, first: int, size: int) -> int:
    """Store what [first, first + size) of `out`, all of it before `at`, holds already."""
    if at < 0 or first < 0:
        return at
    for done in range(size):
        out[at + done] = out[first + done]
    return at + size


@step
def store_run(out: NDArray[np.uint8], at: int, first: int, times: int) -> int:
    """Store what [first, at) of `out` holds until it is there `times` times: twice as much with each step."""
    end = first + times * (at - first)
    while at < end:
        at = store_again(out, at, first, min(at - first, end - at))
    return at


@inlined
def varint_size(value: int) -> int:
    """Return how many bytes `store_varint` needs for a number from 0 to 2^31-1."""
    return 1 + (value >= 1 << 7) + (value >= 1 << 14) + (value >= 1 << 21) + (value >= 1 << 28)


@step
def store_varint(out: NDArray[np.uint8], at: int, value: int) -> int:
    while value >= 0x80:
        out[at] = value & 0x7F | 0x80
        value >>= 7
        at += 1
    out[at] = value
    return at + 1


@step
def store_text(out: NDArray[np.uint8], at: int, source: bytes, first: int, size: int) -> int:
    """Store a String of ClickHouse: its size as a varint, then its bytes."""
    return store_bytes(out, store_varint(out, at, size), source, first, size)


@step
def store_hex_word(out: NDArray[np.uint8], at: int, word: int) -> int:
    """Store 64 bits as 16 lower-case hex digits, highest first."""
    store_word(out, at, _hex_digits((word >> 32) & _LOW_HALF))
    store_word(out, at + 8, _hex_digits(word & _LOW_HALF))
    return at + 16


@inlined
def _hex_digits(half: int) -> int:
    """Return 32 bits as 8 hex digits, the first of them in the lowest byte: all eight at once."""
    spread = half >> 16 | (half & 0xFFFF) << 32
    spread = (spread >> 8 & 0x0000_00FF_0000_00FF) | (spread & 0x0000_00FF_0000_00FF) << 16
    spread = (spread >> 4 & 0x000F_000F_000F_000F) | (spread & 0x000F_000F_000F_000F) << 8
    letters = (spread + 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101
    return spread + 0x3030_3030_3030_3030 + letters * (ord("a") - ord("0") - 10)


@step
def store_hex(out: NDArray[np.uint8], at: int, source: bytes, first: int, size: int) -> int:
    """Store `size` bytes of `source` as lower-case hex digits."""
    for index in range(first, first + size):
        byte = source[index] & 0xFF
        out[at] = _hex_digit(byte >> 4)
        out[at + 1] = _hex_digit(byte & 0xF)
        at += 2
    return at


@inlined
def _hex_digit(nibble: int) -> int:
    return nibble + (48 if nibble < 10 else 87)


@step
def decimal_size(value: int) -> int:
    """Return how many characters `store_decimal` needs."""
    if value >= 0:
        return _natural_size(value)
    rest, _ = _split_negative(value)
    return 2 + (_natural_size(rest) if rest else 0)


@step
def _natural_size(value: int) -> int:
    size, limit = 1, 10
    while size < _MAX_DIGITS and value >= limit:
        size += 1
        limit *= 10
    return size


@step
def store_decimal(out: NDArray[np.uint8], at: int, value: int) -> int:
    """Store an int64 in decimal."""
    if value >= 0:
        return _store_natural(out, at, value)
    out[at] = 45  # -
    rest, last = _split_negative(value)
    behind = _store_natural(out, at + 1, rest) if rest else at + 1
    out[behind] = 48 + last
    return behind + 1


@step
def _split_negative(value: int) -> tuple[int, int]:
    """Return the leading digits and the last digit of a negative number: -2^63 has no positive twin."""
    last = (10 - value % 10) % 10
    return -((value + last) // 10), last


@step
def _store_natural(out: NDArray[np.uint8], at: int, value: int) -> int:
    end = at + _natural_size(value)
    if at < 0:
        return at
    place = end
    while value >= 10_000:  # four digits need not wait for one another
        place -= 4
        _store_pair(out, place, value % 10_000 // 100)
        _store_pair(out, place + 2, value % 100)
        value //= 10_000
    while place > at:
        place -= 1
        out[place] = 48 + value % 10
        value //= 10
    return end


@inlined
def _store_pair(out: NDArray[np.uint8], at: int, value: int) -> None:
    """Store a number below 100 as two digits."""
    if at < 0:
        return
    out[at] = 48 + value // 10
    out[at + 1] = 48 + value % 10


@step
def base64_size(size: int) -> int:
    """Return how many characters `store_base64` needs for `size` bytes."""
    return (size + 2) // 3 * 4


@step
def store_base64(out: NDArray[np.uint8], at: int, source: bytes, first: int, size: int) -> int:
    """Store `size` bytes of `source` in base64, padded."""
    for index in range(first, first + size - size % 3, 3):
        bits = (source[index] & 0xFF) << 16 | (source[index + 1] & 0xFF) << 8 | (source[index + 2] & 0xFF)
        _store_base64_group(out, at, bits)
        at += 4
    left = size % 3
    if left:
        bits = (source[first + size - left] & 0xFF) << 16
        if left == 2:
            bits |= (source[first + size - 1] & 0xFF) << 8
        _store_base64_group(out, at, bits)
        out[at + 3] = 61  # =
        if left == 1:
            out[at + 2] = 61
        at += 4
    return at


@step
def _store_base64_group(out: NDArray[np.uint8], at: int, bits: int) -> None:
    """Store 24 bits as four characters."""
    for place in range(4):
        out[at + place] = _base64_digit(bits >> (18 - 6 * place) & 0x3F)


@inlined
def _base64_digit(value: int) -> int:
    """Return A-Z, a-z, 0-9, + and / for 0 to 63."""
    if value < 26:
        return value + 65
    if value < 52:
        return value + 71
    if value < 62:
        return value - 4
    return 43 if value == 62 else 47
