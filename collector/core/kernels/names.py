"""Short lists of constant texts, and which of them a text is."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from collector.core.kernels import inlined, step
from collector.core.kernels.protobuf import load_word

NOT_NAMED = -1

_WORD = 8


def name_table(names: Iterable[bytes]) -> NDArray[np.int64]:
    """Return the names as rows: the size, then the bytes in words, the last filled up with zeros.

    One table compiles to less than a constant for each name.
    """
    rows = list(names)
    words = max(1, -(-max(map(len, rows)) // _WORD))
    return np.array(
        [[len(name), *np.frombuffer(name.ljust(_WORD * words, b"\0"), "<i8").tolist()] for name in rows], np.int64
    )


@step
def find_name(body: bytes, at: int, end: int, table: NDArray[np.int64]) -> int:
    """Return which row of the `table` the bytes [at, end) are, NOT_NAMED for none."""
    size = end - at
    if size < 0 or size > _WORD * (table.shape[1] - 1):
        return NOT_NAMED
    beginning = _load_part(body, at, min(size, _WORD))
    for row in range(len(table)):
        if table[row, 0] != size or table[row, 1] != beginning:
            continue
        done = _WORD
        while done < size and _load_part(body, at + done, min(size - done, _WORD)) == table[row, 1 + done // _WORD]:
            done += _WORD
        if done >= size:
            return row
    return NOT_NAMED


@inlined
def _load_part(body: bytes, at: int, size: int) -> int:
    """Return up to 8 bytes as a word, little-endian, filled up with zeros; they are there."""
    if at + _WORD > len(body):
        part = 0
        for index in range(size - 1, -1, -1):
            part = part << 8 | (body[at + index] & 0xFF)
        return part
    word = load_word(body, at)
    return word if size == _WORD else word & ((1 << 8 * int(size)) - 1)
