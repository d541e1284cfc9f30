"""Texts of a body, numbered in order of first sight: the string table of a batch.

An open hash table with a seed and a bounded number of probes. Whoever sends texts that collide gets some of them
numbered twice, which the caller mends with a dict; never a quadratic search.
"""

import numpy as np
from numpy.typing import NDArray

from collector.core.kernels import inlined, step
from collector.core.kernels.protobuf import load_word

TEXT_AT, TEXT_END, TEXT_HASH = range(3)
"""Rows of `texts`."""
TEXT_COUNT, UNMERGED = range(2)
"""Entries of `counts`: texts so far; how many of them may stand twice."""
MAX_PROBES = 32

_LOW_HALF = 0xFFFF_FFFF
_MULTIPLIER_LOW = 0x5851_F42D
_MULTIPLIER_HIGH = 0x4C95_7F2D
"""Of 31 bits, and the numbers they meet of 32: int64 overflow is undefined in compiled code."""


@inlined
def hash_text(body: bytes, at: int, end: int, seed: int) -> int:
    """Return a hash of 0 to 2^63-1; `seed` is of 0 to 2^62-1."""
    value = seed ^ (end - at)
    if end - at >= 8:
        last = end - 8
        while at < last:
            value = _mix(value, load_word(body, at))
            at += 8
        return _mix(_mix(value, load_word(body, last)), 0)  # the last eight bytes, some of them again
    word = 0
    while at < end:
        word = word << 8 | (body[at] & 0xFF)
        at += 1
    return _mix(_mix(value, word), 0)


@inlined
def _mix(value: int, word: int) -> int:
    low = ((value ^ word) & _LOW_HALF) * _MULTIPLIER_LOW
    high = (((value >> 32) ^ (word >> 32)) & _LOW_HALF) * _MULTIPLIER_HIGH
    return (low >> 32 | (low & _LOW_HALF) << 31) ^ high


@step
def intern(
    body: bytes,
    at: int,
    end: int,
    seed: int,
    slots: NDArray[np.int32],
    texts: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> int:
    """Return the number of the text [at, end).

    Args:
        slots: the hash table, its length a power of two; each slot a text's number + 1, 0 empty.
        texts: shape (3, capacity); the caller sees to it that there is room.
    """
    key = hash_text(body, at, end, seed)
    mask = len(slots) - 1
    for probe in range(MAX_PROBES):
        slot = (key + probe) & mask
        number = int(slots[slot]) - 1
        if number < 0:
            slots[slot] = counts[TEXT_COUNT] + 1
            return _append(at, end, key, texts, counts)
        if texts[TEXT_HASH, number] == key and _same(body, at, end, texts[TEXT_AT, number], texts[TEXT_END, number]):
            return number
    counts[UNMERGED] += 1
    return _append(at, end, key, texts, counts)


@inlined
def _append(at: int, end: int, key: int, texts: NDArray[np.int64], counts: NDArray[np.int64]) -> int:
    number = int(counts[TEXT_COUNT])
    texts[TEXT_AT, number], texts[TEXT_END, number], texts[TEXT_HASH, number] = at, end, key
    counts[TEXT_COUNT] = number + 1
    return number


@inlined
def _same(body: bytes, at: int, end: int, other: int, other_end: int) -> bool:
    if end - at != other_end - other:
        return False
    if end - at >= 8:
        last = end - 8
        while at < last and load_word(body, at) == load_word(body, other):
            at += 8
            other += 8
        return at >= last and load_word(body, last) == load_word(body, other_end - 8)
    while at < end and body[at] == body[other]:
        at += 1
        other += 1
    return at == end
