"""Rows as an Arrow stream, the form in which small tables are inserted."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from collector.core.analysis import Ragged


def stream(columns: Mapping[str, object]) -> bytes:
    """Return rows by name of the column as an Arrow stream; `Ragged` for array columns, ns since 1970 in `Start`."""
    rows = pa.table({name: _arrow(name, column) for name, column in columns.items()})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as stream:
        stream.write_table(rows)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def _arrow(name: str, column: object) -> pa.Array:
    if isinstance(column, Ragged):
        values = pa.array(column.values, pa.string() if column.values.dtype == object else None)
        return pa.ListArray.from_arrays(pa.array(column.offsets, pa.int32()), values)
    if name == "Start":
        return pa.array(np.asarray(column, np.int64).view("datetime64[ns]"))
    return pa.array(column)
