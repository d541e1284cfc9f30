"""Ids as the tables have them, in hexadecimal digits, to numbers: all of a column at once."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

_WORD = 16
"""Digits of 64 bits."""
_VALUE = np.zeros(256, np.uint8)
for _digits in (b"0123456789abcdef", b"0123456789ABCDEF"):
    _VALUE[list(_digits)] = np.arange(16)


def ids_of(texts: pa.BinaryArray, words: int = 1) -> NDArray[np.uint64]:
    """Return the numbers that `words` times 16 digits say, shape (words, len(texts)).

    What is no digit counts as 0, and so does a word for which a text is too short.

    >>> ids_of(pa.array([b"00000000000000ff", b"", b"10", b"-1"])).tolist()
    [[255, 0, 16, 1]]
    """
    found = np.zeros((words, len(texts)), np.uint64)
    if not len(texts):
        return found
    _, places, data = texts.buffers()
    offsets = np.frombuffer(places, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    whole = np.diff(offsets) == words * _WORD
    if whole.any():
        at = offsets[:-1][whole, None] + np.arange(words * _WORD)
        found[:, whole] = numbers_of(np.frombuffer(data, np.uint8)[at])
    for row in np.flatnonzero(~whole & (np.diff(offsets) > 0)).tolist():
        found[:, row] = _of_text(texts[row].as_py(), words)
    return found


def numbers_of(letters: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return the numbers that letters say, shape (n, 16 words), as shape (words, n)."""
    digits = _VALUE[letters]
    octets = digits[:, ::2] << 4 | digits[:, 1::2]
    return octets.view(">u8").T.astype(np.uint64)


def _of_text(text: bytes, words: int) -> list[int]:
    digits = "".join(f"{_VALUE[letter]:x}" for letter in text)
    return [int(digits[word * _WORD : (word + 1) * _WORD] or "0", 16) for word in range(words)]
