"""Short lists of constant texts, and which of them a text is."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from collector.core.kernels import step

NOT_NAMED = -1


def name_table(names: Iterable[bytes]) -> NDArray[np.uint8]:
    """Return the names as rows: the size, then the bytes. One table compiles to less than a constant for each name."""
    rows = list(names)
    table = np.zeros((len(rows), 1 + max(map(len, rows))), np.uint8)
    for row, name in zip(table, rows, strict=True):
        row[: 1 + len(name)] = [len(name), *name]
    return table


@step
def find_name(body: bytes, at: int, end: int, table: NDArray[np.uint8]) -> int:
    """Return which row of the `table` the bytes [at, end) are, NOT_NAMED for none."""
    for row in range(len(table)):
        if table[row, 0] != end - at:
            continue
        index = 0
        while index < end - at and body[at + index] == table[row, 1 + index]:
            index += 1
        if index == end - at:
            return row
    return NOT_NAMED
