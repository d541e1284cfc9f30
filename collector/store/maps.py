"""Columns of an Arrow table that are Maps: the values of some of their keys.

A call of pyarrow, or of numpy on more than 500 elements, gives Python's lock away, and waits for it where another
thread is busy: so all keys are looked up together, and numbers are taken from where Arrow has them.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from collector.core.spans import IntColumn
from collector.store.row_details import text_of

_LETTERS = 256
_STRING = ord("s")


class Maps:
    """A Map column and the letters of its types, at some keys."""

    def __init__(self, table: pa.Table, attributes: str, types: str, keys: Sequence[bytes]) -> None:
        maps = chunk(table, attributes)
        self.rows = len(maps)
        encoded = maps.keys.dictionary_encode()
        code_of = {key: code for code, key in enumerate(encoded.dictionary.to_pylist())}
        self._ranks = {key: rank for rank, key in enumerate(key for key in keys if key in code_of)}
        if not self._ranks:
            return
        rank_of = np.full(len(code_of), -1, np.int64)
        rank_of[[code_of[key] for key in self._ranks]] = np.arange(len(self._ranks))
        ranks = rank_of[numbers(encoded.indices)]
        places = np.flatnonzero(ranks >= 0)
        places = places[np.argsort(ranks[places], kind="stable")]
        offsets = numbers(maps.offsets)
        self._rows = np.searchsorted(offsets, places, side="right") - 1
        texts = maps.items.take(pa.array(places)).dictionary_encode()
        self._texts = [text_of(text) for text in texts.dictionary.to_pylist()]
        letters = _letters(chunk(table, types), self._rows, places - offsets[self._rows])
        self._width = _LETTERS * len(self._texts)
        value = ranks[places] * self._width + letters * len(self._texts) + numbers(texts.indices)
        self._distinct, self._which = np.unique(value, return_inverse=True)
        bounds = np.arange(len(self._ranks) + 1)
        self._begins = np.searchsorted(ranks[places], bounds).tolist()
        self._first = np.searchsorted(self._distinct, bounds * self._width).tolist()

    def among(self, keys: Iterable[bytes]) -> list[bytes]:
        """Return those of `keys` that some row has, in their order."""
        return [key for key in keys if key in self._ranks]

    def values(self, key: bytes) -> tuple[IntColumn, IntColumn, list[tuple[str, str]]]:
        """Return every attribute with this key, in order: its row, and which of the distinct values it has, each the
        letter of its type and its text. Some row has the key (`among`).
        """
        rank = self._ranks[key]
        here = slice(self._begins[rank], self._begins[rank + 1])
        first, last = self._first[rank : rank + 2]
        count = len(self._texts)
        values = [divmod(number % self._width, count) for number in self._distinct[first:last].tolist()]
        return self._rows[here], self._which[here] - first, [(chr(code), self._texts[at]) for code, at in values]


def _letters(types: pa.Array, rows: IntColumn, at: IntColumn) -> IntColumn:
    """The letters of attributes, each the so-many-th of its row; `s` where none is written."""
    encoded = types.dictionary_encode()
    found = np.full(len(rows), _STRING, np.int64)
    of = numbers(encoded.indices)[rows]
    for number, letters in enumerate(encoded.dictionary.to_pylist()):
        here = (of == number) & (at < len(letters))
        found[here] = np.frombuffer(letters, np.uint8)[at[here]]
    return found


def rows_saying(table: pa.Table, text: str, attributes: Sequence[str]) -> set[int]:
    """Return the rows of which one of these Maps has a text in its `key=value`, in any case."""
    return set().union(*(_saying(chunk(table, name), text) for name in attributes))


def _saying(maps: pa.MapArray, text: str) -> set[int]:
    pairs = pc.binary_join_element_wise(maps.keys, maps.items, pa.scalar(b"=", pa.binary()))
    with suppress(pa.ArrowInvalid):  # bytes that are no text: only ASCII is found in any case
        pairs = pairs.cast(pa.string())
    found = np.flatnonzero(pc.match_substring(pairs, pattern=text, ignore_case=True))
    rows: list[int] = (np.searchsorted(numbers(maps.offsets), found, side="right") - 1).tolist()
    return set(rows)


def chunk(table: pa.Table, name: str) -> Any:
    """Return a column in one piece."""
    column = table.column(name)
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks or [pa.array([], column.type)])


def numbers(array: pa.Array) -> NDArray[Any]:
    """Return the numbers of an array that has no nulls, where they lie."""
    dtype = array.type.to_pandas_dtype()
    if not len(array):
        return np.empty(0, dtype)
    return np.frombuffer(array.buffers()[1], dtype)[array.offset : array.offset + len(array)]
