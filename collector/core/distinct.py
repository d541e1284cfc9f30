"""The distinct rows of columns of numbers.

`np.unique(axis=0)` compares rows as bytes; one number a row sorts ten times faster (4 ms for 30, 51,200 rows of two
columns).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from collector.core.spans import IntColumn


def distinct_rows(columns: Sequence[NDArray[np.integer]]) -> tuple[IntColumn, ...]:
    """Return the distinct rows of int columns of equal length, by column, in order of the first, then the next.

    Values and widths must fit an int64, as those of indexes, codes and positions do.
    """
    if not len(columns[0]):
        return tuple(np.empty(0, np.int64) for _ in columns)
    lows = [int(column.min()) for column in columns]
    widths = [int(column.max()) - low + 1 for column, low in zip(columns, lows, strict=True)]
    if math.prod(widths) >= 1 << 63:
        order = np.lexsort(tuple(reversed(columns)))
        rows = np.stack([column[order] for column in columns])
        return tuple(rows[:, np.append(True, np.any(rows[:, 1:] != rows[:, :-1], axis=0))].astype(np.int64))
    keys = np.zeros(len(columns[0]), np.int64)
    for column, low, width in zip(columns, lows, widths, strict=True):
        keys *= width
        keys += column.astype(np.int64) - low
    rest = np.unique(keys)
    found = []
    for low, width in zip(reversed(lows), reversed(widths), strict=True):
        rest, value = np.divmod(rest, width)
        found.append(value + low)
    return tuple(reversed(found))


class NumberedRows(NamedTuple):
    """What rows there are, once each, in order of the first column, then the next."""

    rows: NDArray[np.integer]
    """Shape (distinct, columns)."""
    number: IntColumn
    """By row of the columns: which of the distinct ones it is."""
    first: IntColumn
    """By distinct row: where it stands first."""


def number_rows(columns: Sequence[NDArray[np.integer]]) -> NumberedRows:
    """Return the distinct rows of int columns of equal length, and which of them each row is.

    >>> number_rows([np.array([2, 1, 2]), np.array([7, 7, 7])]).number.tolist()
    [1, 0, 1]
    """
    table = np.stack(columns, axis=1)
    order = np.lexsort(tuple(reversed(columns)))
    ordered = table[order]
    begins = np.ones(len(table), bool)
    begins[1:] = np.any(ordered[1:] != ordered[:-1], axis=1)
    number = np.empty(len(table), np.int64)
    number[order] = np.cumsum(begins) - 1
    first = order[begins]
    return NumberedRows(table[first], number, first)
