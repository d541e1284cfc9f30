"""What was learned of traces: the rows of `traces`, as pages show them."""

from collections.abc import Mapping
from time import time_ns
from typing import Any, NamedTuple

import pyarrow as pa
from clickhouse_connect.driver.client import Client

from collector.store.dictionaries import CallPaths
from collector.store.engine import ONE_THREAD, read_arrow
from collector.store.journeys import path_shares
from collector.store.lookup import REPAIR_S
from collector.store.row_details import text_of
from collector.store.values import TraceOutcome, TraceSummary, Window

_SECOND_NS = 1_000_000_000
_INT64 = 2**63 - 1

_COLUMNS = (
    *("TraceId", "Start", "DurationNs", "Journey", "RootService", "RootOperation", "Failed", "StatusKnown", "Spans"),
    *("Errors", "Completeness", "Ambiguity", "SettlesAt", "ServiceList", "Path.Id", "Path.TimeNs"),
)
_ROWS_OF_ONE = f"""
SELECT Start, DurationNs, Journey, Failed, Spans, SettlesAt, KeptUntil, Version, Deleted FROM traces
PREWHERE TraceId = {{id:String}}
    AND Start >= fromUnixTimestamp64Nano({{first_ns:Int64}}) AND Start < fromUnixTimestamp64Nano({{last_ns:Int64}})
{ONE_THREAD}
"""
"""All rows of one trace, a tombstone where nothing is left of it. FINAL would merge all rows around them."""


class Row(NamedTuple):
    """What the row of a trace says."""

    outcome: TraceOutcome | None = None
    """None before it was analyzed."""
    spans: int = 0
    may_be_kept: bool = True
    """Copies of its spans may stay longer than they do."""


def row_of(client: Client, trace_id: str, within: Window) -> Row:
    """Return what the row of a trace says whose target starts `within`, or a minute beside that."""
    parameters = {
        "id": trace_id,
        "first_ns": max(within.start_unix_nano - REPAIR_S * _SECOND_NS, 0),
        "last_ns": min(within.end_unix_nano + REPAIR_S * _SECOND_NS, _INT64),
    }
    rows = _rows(read_arrow(client, _ROWS_OF_ONE, parameters))
    newest = max(rows, key=lambda row: (row["Version"], not row["Deleted"]), default=None)
    if newest is None or newest["Deleted"]:
        return Row()
    outcome = TraceOutcome(
        trace_id=trace_id,
        start_unix_nano=newest["Start"],
        duration_ns=newest["DurationNs"],
        journey=text_of(newest["Journey"]),
        failed=bool(newest["Failed"]),
        settled=newest["SettlesAt"] <= time_ns(),
    )
    return Row(outcome, newest["Spans"], newest["KeptUntil"] > 0)


def read_summaries(
    client: Client,
    known: CallPaths,
    rest: str,
    parameters: Mapping[str, object],
    source: str = "traces FINAL",
    fits: str = "NOT Deleted",
) -> list[TraceSummary]:
    """Return what was learned from the traces that `rest`, the query behind FROM and `source`, selects.

    Args:
        fits: a condition on the rows selected; which ones are, it does not change.
    """
    columns = ", ".join((*(f"`{name}`" for name in _COLUMNS), f"{fits} AS Fits"))
    table = read_arrow(client, f"SELECT {columns} FROM {source} {rest}", parameters)
    found = [row for row in _rows(table) if row["Fits"]]
    services = known.services(client, {number for row in found for number in row["Path.Id"]})
    now_ns = time_ns()
    return [_summary(row, services, now_ns) for row in found]


def _rows(table: pa.Table) -> list[dict[str, Any]]:
    starts = table.column("Start").cast(pa.int64())
    rows: list[dict[str, Any]] = table.set_column(table.column_names.index("Start"), "Start", starts).to_pylist()
    return rows


def oldest_and_newest(client: Client) -> tuple[int, int]:
    """Return the first and the last start of a trace, zeros where there is none."""
    ((oldest, newest),) = client.query(
        "SELECT toUnixTimestamp64Nano(min(Start)), toUnixTimestamp64Nano(max(Start)) FROM traces"
    ).result_rows
    return int(oldest), int(newest)


def _summary(row: Mapping[str, Any], services: Mapping[int, str], now_ns: int) -> TraceSummary:
    times: dict[str, int] = {}
    for number, on_path_ns in zip(row["Path.Id"], row["Path.TimeNs"], strict=True):
        if on_path_ns and number in services:
            times[services[number]] = times.get(services[number], 0) + on_path_ns
    duration_ns = row["DurationNs"]
    return TraceSummary(
        trace_id=text_of(row["TraceId"]),
        start_unix_nano=row["Start"],
        duration_ns=duration_ns,
        journey=text_of(row["Journey"]),
        root_service=text_of(row["RootService"]),
        root_operation=text_of(row["RootOperation"]),
        failed=bool(row["Failed"]),
        status_known=bool(row["StatusKnown"]),
        spans=row["Spans"],
        errors=row["Errors"],
        services=tuple(map(text_of, row["ServiceList"])),
        completeness=row["Completeness"],
        ambiguity=row["Ambiguity"],
        settled=row["SettlesAt"] <= now_ns,
        path=path_shares([(service, "", float(time), 1.0) for service, time in times.items()], 1.0, duration_ns),
    )
