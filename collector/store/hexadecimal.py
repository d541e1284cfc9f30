"""Ids as the tables have them, in hexadecimal digits, to numbers: all of a column at once."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

DIGITS = 16
"""Of 64 bits."""
_VALUE = np.zeros(256, np.uint8)
for _value, _digit in enumerate("0123456789abcdef"):
    _VALUE[[ord(_digit), ord(_digit.upper())]] = _value


def ids_of(texts: pa.BinaryArray, words: int = 1) -> NDArray[np.uint64]:
    """Return the numbers that `words` times 16 digits say, shape (words, len(texts)).

    Of a text that is shorter the words that it has no digits for are 0, and so are all of one that is no number.

    >>> ids_of(pa.array([b"00000000000000ff", b"", b"10", b"?"])).tolist()
    [[255, 0, 16, 0]]
    """
    found = np.zeros((words, len(texts)), np.uint64)
    if not len(texts):
        return found
    _, places, data = texts.buffers()
    offsets = np.frombuffer(places, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    whole = np.diff(offsets) == words * DIGITS
    if whole.any():
        at = offsets[:-1][whole, None] + np.arange(words * DIGITS)
        digits = _VALUE[np.frombuffer(data, np.uint8)[at]]
        octets = digits[:, ::2] << 4 | digits[:, 1::2]
        found[:, whole] = octets.view(">u8").T
    for row in np.flatnonzero(~whole & (np.diff(offsets) > 0)).tolist():
        found[:, row] = _of_text(texts[row].as_py(), words)
    return found


def _of_text(text: bytes, words: int) -> list[int]:
    parts = [text[word * DIGITS : (word + 1) * DIGITS] or b"0" for word in range(words)]
    try:
        return [int(part, 16) for part in parts]
    except ValueError:
        return [0] * words
