"""Rows of the minute tables about one journey, to be summed here.

Most of what a query takes that sums thirty columns is planning. For few minutes it is quicker to read the rows as they
are stored, and to add them up here (decision 165).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from clickhouse_connect.driver.client import Client
from numpy.typing import NDArray

from collector.core.population.columns import FloatColumn
from collector.core.spans import IntColumn
from collector.store.engine import ONE_THREAD, read_arrow
from collector.store.maps import chunk, numbers
from collector.store.which_minutes import Minutes

MOST_ROWS = 100_000
"""More rows than these are summed by the engine."""


def read_few(client: Client, minutes: Minutes, table: str, columns: Sequence[str], journey: str) -> pa.Table | None:
    """Return what `read_rows` does, None where the engine is to sum the rows: those of many minutes, of chosen traces,
    or more than `MOST_ROWS`."""
    if not minutes.are_read:
        return None
    rows = _read_all(client, minutes, table, columns, journey, f"LIMIT {MOST_ROWS + 1}")
    return _published(rows, minutes) if rows.num_rows <= MOST_ROWS else None


def read_rows(client: Client, minutes: Minutes, table: str, columns: Sequence[str], journey: str) -> pa.Table:
    """Return the rows of a minute table about a journey, in any order: these columns, and `Minute` in Unix seconds.

    Each column is of one piece.
    """
    if minutes.are_read:
        return _published(_read_all(client, minutes, table, columns, journey), minutes)
    names = ", ".join(f"`{name}`" for name in ("Minute", *columns))
    where = f"FROM {minutes.rows(table)} WHERE {minutes.which} AND Journey = {{journey:String}}"
    parameters = {**minutes.parameters(), "journey": journey}
    return read_arrow(client, f"SELECT {names} {where} {ONE_THREAD}", parameters).combine_chunks()


def _read_all(
    client: Client, minutes: Minutes, table: str, columns: Sequence[str], journey: str, limit: str = ""
) -> pa.Table:
    """Rows of every version."""
    names = ", ".join(f"`{name}`" for name in ("Minute", "Version", *columns))
    return read_arrow(
        client,
        f"""
        SELECT {names} FROM {table}
        PREWHERE Journey = {{journey:String}} AND Minute >= {{first:DateTime}} AND Minute < {{last:DateTime}}
        {limit} {ONE_THREAD}
        """,
        {**minutes.parameters(), "journey": journey},
    ).combine_chunks()


def _published(rows: pa.Table, minutes: Minutes) -> pa.Table:
    """Those of the published version of their minute."""
    counted = _are_counted(numeric(rows, "Minute"), numeric(rows, "Version"), minutes.versions or {})
    return rows.filter(counted).combine_chunks()


def by_step(rows: pa.Table, minutes: Minutes) -> tuple[IntColumn, IntColumn]:
    """Return the steps of a series that rows are in, ascending from the first, and of each row the position of its."""
    minute = numeric(rows, "Minute").astype(np.int64)
    steps, step = np.unique((minute - minutes.first_s) // minutes.step_s, return_inverse=True)
    return steps, step


def numeric(rows: pa.Table, name: str) -> NDArray[Any]:
    """Return a column of numbers, those of DateTime as Unix seconds."""
    return numbers(chunk(rows, name))


def ragged(rows: pa.Table, name: str) -> tuple[IntColumn, NDArray[Any]]:
    """Return a column of arrays of numbers: where each begins, and the last one ends; and all numbers."""
    lists = chunk(rows, name)
    offsets = np.asarray(lists.offsets).astype(np.int64) if len(lists) else np.zeros(1, np.int64)
    return offsets - offsets[0], numbers(lists.flatten())


def summed(group: IntColumn, column: NDArray[Any], count: int) -> FloatColumn:
    """Return the sums of a column by group, which `count` says how many there are of."""
    return np.bincount(group, column, count).astype(np.float64)  # without a row they would be whole numbers


def _are_counted(minute: IntColumn, version: IntColumn, versions: Mapping[int, int]) -> pa.BooleanArray:
    if not versions:
        return pa.array(np.zeros(len(minute), bool))
    starts, published = (np.array(each) for each in zip(*sorted(versions.items()), strict=True))
    place = np.minimum(np.searchsorted(starts, minute), len(starts) - 1)
    return pa.array((starts[place] == minute) & (published[place] == version))
