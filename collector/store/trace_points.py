"""Points of a picture: traces of a whole range by when they began and how long they took, however many there are.

The newest few hundred of a busy system are those of its last second. A sample by hash of the trace id is spread over
the range as the traces are, is the same one whenever it is asked for, and is read in one go over small columns; how
small its hashes are tells how many traces there are. Rows that were replaced and are not merged yet count like others
(decision 172): to read each one again would cost as much as to find them.
"""

import time
from collections.abc import Callable

import pyarrow as pa
from clickhouse_connect.driver.client import Client

from collector.store.dictionaries import CallPaths
from collector.store.engine import ONE_THREAD, read_arrow
from collector.store.row_details import text_of
from collector.store.search_conditions import Conditions, conditions
from collector.store.values import TracePoint, TracePoints, TraceQuery

SAMPLE, FAILED, SLOWEST = 400, 70, 30
BUDGET_S = 0.2
"""A list waits so long for its picture at most."""
_LEAST_S = 0.001
"""0 would be no limit."""
_HASHES = 2**64


def read_points(
    client: Client,
    known: CallPaths,
    query: TraceQuery,
    budget_s: float = BUDGET_S,
    clock_s: Callable[[], float] = time.monotonic,
) -> TracePoints | None:
    """Return points of the traces that `query` asks for, whatever its order and limit; None where it takes too long.

    An engine that stops in time says what it has by then, which is no sample: the clock tells.

    Args:
        budget_s: how long it may take.
    """
    asked_for = conditions(query, known.on_path(client, query))
    looks = [_look(asked_for, 0, "Hash, Version DESC", SAMPLE)]
    if not asked_for.spans:  # else each would look through the spans once more
        looks.append(_look(asked_for, 1, "DurationNs DESC, Hash", SLOWEST))
        looks.append(_look(asked_for, 2, "Hash, Version DESC", FAILED, "AND Failed"))
    began_s = clock_s()
    table = read_arrow(
        client,
        f"SELECT * FROM ({' UNION ALL '.join(looks)}) {ONE_THREAD}, "
        f"max_execution_time = {max(budget_s, _LEAST_S):.3f}, timeout_overflow_mode = 'break'",
        asked_for.parameters,
    )
    if clock_s() - began_s >= budget_s:
        return None
    return _points(table)


def _look(asked_for: Conditions, kind: int, order: str, limit: int, more: str = "") -> str:
    return f"""(
        SELECT {kind} AS Kind, cityHash64(TraceId) AS Hash, TraceId, Journey, Start, DurationNs, Failed, Version
        FROM traces PREWHERE {asked_for.quickly} {more} WHERE {asked_for.slowly} ORDER BY {order} LIMIT {limit}
    )"""


def _points(table: pa.Table) -> TracePoints:
    starts = table.column("Start").cast(pa.int64())
    rows = table.set_column(table.column_names.index("Start"), "Start", starts).to_pylist()
    rows.sort(key=lambda row: row["Version"])  # of one trace the newest row stays
    sample = {row["TraceId"]: row for row in rows if row["Kind"] == 0}
    beside = {row["TraceId"]: row for row in rows if row["TraceId"] not in sample}
    whole = sum(row["Kind"] == 0 for row in rows) < SAMPLE
    return TracePoints(
        points=tuple(
            TracePoint(
                trace_id=text_of(row["TraceId"]),
                start_unix_nano=row["Start"],
                duration_ns=row["DurationNs"],
                failed=bool(row["Failed"]),
                journey=text_of(row["Journey"]),
            )
            for row in (*sample.values(), *beside.values())
        ),
        sampled=len(sample),
        of_about=len(sample) if whole else _number(max(row["Hash"] for row in sample.values()), len(sample)),
    )


def _number(largest_hash: int, sampled: int) -> int:
    """Return how many traces have the `sampled` smallest hashes, from the largest of those, give or take 5 %.

    Source: Bar-Yossef et al., Counting Distinct Elements in a Data Stream, RANDOM 2002.
    """
    return round((sampled - 1) * _HASHES / max(largest_hash, 1))
