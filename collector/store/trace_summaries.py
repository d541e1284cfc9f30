"""What was learned of traces: the rows of `traces`, as pages show them."""

from collections.abc import Mapping
from typing import Any

from clickhouse_connect.driver.client import Client

from collector.store.dictionaries import CallPaths
from collector.store.engine import ONE_THREAD
from collector.store.journeys import path_shares
from collector.store.lookup import REPAIR_S
from collector.store.values import TraceSummary, Window

_SECOND_NS = 1_000_000_000
_INT64 = 2**63 - 1

_COLUMNS = (
    "TraceId",
    "toUnixTimestamp64Nano(Start) AS StartNs",
    *("DurationNs", "Journey", "RootService", "RootOperation", "Failed", "StatusKnown", "Spans", "Errors"),
    *(
        "Completeness",
        "Ambiguity",
        "SettlesAt <= toUnixTimestamp64Nano(now64(9)) AS Settled",
        "ServiceList",
        "`Path.Id` AS PathIds",
        "`Path.TimeNs` AS PathTimes",
    ),
)
_NEWEST_ROW = f"""
WHERE TraceId = {{id:String}}
    AND Start >= fromUnixTimestamp64Nano({{first_ns:Int64}}) AND Start < fromUnixTimestamp64Nano({{last_ns:Int64}})
ORDER BY Version DESC, Deleted LIMIT 1 {ONE_THREAD}
"""
"""Of one trace the newest row, a tombstone where nothing is left of it. FINAL would merge all rows around it."""


def summary_of(client: Client, known: CallPaths, trace_id: str, within: Window) -> TraceSummary | None:
    """Return what was learned from a trace whose spans start `within`, or None before it was analyzed."""
    parameters = {
        "id": trace_id,
        "first_ns": max(within.start_unix_nano - REPAIR_S * _SECOND_NS, 0),
        "last_ns": min(within.end_unix_nano + REPAIR_S * _SECOND_NS, _INT64),
    }
    found = read_summaries(client, known, _NEWEST_ROW, parameters, "traces")
    return found[0] if found else None


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
    columns = ", ".join((*_COLUMNS, f"{fits} AS Fits"))
    rows = client.query(f"SELECT {columns} FROM {source} {rest}", dict(parameters)).named_results()
    found = [row for row in rows if row["Fits"]]
    services = known.services(client, {number for row in found for number in row["PathIds"]})
    return [_summary(row, services) for row in found]


def oldest_and_newest(client: Client) -> tuple[int, int]:
    """Return the first and the last start of a trace, zeros where there is none."""
    ((oldest, newest),) = client.query(
        "SELECT toUnixTimestamp64Nano(min(Start)), toUnixTimestamp64Nano(max(Start)) FROM traces"
    ).result_rows
    return int(oldest), int(newest)


def _summary(row: Mapping[str, Any], services: Mapping[int, str]) -> TraceSummary:
    times: dict[str, int] = {}
    for number, time_ns in zip(row["PathIds"], row["PathTimes"], strict=True):
        if time_ns and number in services:
            times[services[number]] = times.get(services[number], 0) + int(time_ns)
    duration_ns = int(row["DurationNs"])
    return TraceSummary(
        trace_id=row["TraceId"],
        start_unix_nano=int(row["StartNs"]),
        duration_ns=duration_ns,
        journey=row["Journey"],
        root_service=row["RootService"],
        root_operation=row["RootOperation"],
        failed=bool(row["Failed"]),
        status_known=bool(row["StatusKnown"]),
        spans=int(row["Spans"]),
        errors=int(row["Errors"]),
        services=tuple(row["ServiceList"]),
        completeness=float(row["Completeness"]),
        ambiguity=float(row["Ambiguity"]),
        settled=bool(row["Settled"]),
        path=path_shares([(service, "", float(time), 1.0) for service, time in times.items()], 1.0, duration_ns),
    )
