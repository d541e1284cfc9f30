"""Where traces lie, and their spans: by way of the look-up table, which knows a trace's first and last start, and the
shelves that its spans are on.

Without it, a trace id says nothing about where its spans are: the span table is sorted by shelf and service.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa
import pyarrow.compute as pc
from clickhouse_connect.driver.client import Client

from collector.core.detail import DetailedSpans, OutlinedSpans
from collector.core.spans import SpanBatch
from collector.store.engine import ONE_THREAD, read_arrow
from collector.store.rows import BATCH_SELECT, OUTLINE_SELECT, SPAN_SELECT, batch_of, detailed_spans, outlined_spans
from collector.store.values import Window

MAX_SPANS = 1_000_000
"""A trace past this is cut (CRITICAL_PATH rule 10)."""
MINUTE_S = 60
REPAIR_S = 60
"""How far repair may move the start of a trace's target."""
FIVE_MINUTES_S = 300
MAX_PAIRS = 50_000
"""Pairs of trace and stretch of time in one query."""

_SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Place:
    """All spans of a trace start between these, in whole seconds, both included."""

    trace_id: str
    first_s: int
    last_s: int
    shelves: tuple[int, ...] = (0,)
    """Of `otel_traces`. Spans that came before there were shelves are on shelf 0."""
    kept: bool = False
    """Some of its spans were copied, to stay when others of their age are dropped."""
    by_shelf: bool = field(default=False, compare=False)
    """Spans are known to be sorted by shelf."""
    sure: bool = field(default=True, compare=False)
    """There was no span of it elsewhere; else one that came long ago may have been forgotten."""

    @property
    def only_shelf(self) -> int:
        """The shelf that alone says where its spans are; 0 where it takes more to say that."""
        return self.shelves[0] if self.by_shelf and not self.kept and len(self.shelves) == 1 else 0

    @property
    def window(self) -> Window:
        """In which all of its spans start."""
        return Window(self.first_s * _SECOND_NS, (self.last_s + 1) * _SECOND_NS)


def find_place(client: Client, trace_id: str, by_shelf: bool) -> Place | None:
    """Return where the spans of a trace lie that are no copies, None where there are none.

    In two thirds of the time of `find_places`; who asks looks for copies himself.

    Args:
        by_shelf: what `lie_by_shelf` says.
    """
    rows = read_arrow(
        client,
        f"SELECT Start, End, Shelf FROM otel_traces_trace_id_ts PREWHERE TraceId = {{id:String}} {ONE_THREAD}",
        {"id": trace_id},
    )
    starts, ends, shelves = (column.to_pylist() for column in rows.columns)
    return replace(_place_of(trace_id, starts, ends, shelves), by_shelf=by_shelf) if starts else None


def find_places(client: Client, trace_ids: Sequence[str]) -> list[Place]:
    """Return where these traces lie; what is not stored is left out."""
    rows = read_arrow(
        client,
        f"""
        SELECT TraceId, Start, End, Shelf, 0 AS Kept FROM otel_traces_trace_id_ts
        PREWHERE TraceId IN {{ids:Array(String)}}
        UNION ALL
        SELECT DISTINCT TraceId, toDateTime(Timestamp) AS Start, Start AS End, 0 AS Shelf, 1 AS Kept FROM kept_spans
        PREWHERE TraceId IN {{ids:Array(String)}}
        {_threads(len(trace_ids))}
        """,
        {"ids": list(trace_ids)},
    )
    found: dict[bytes, list[tuple[int, int, int, int]]] = defaultdict(list)
    for trace_id, *row in zip(*(column.to_pylist() for column in rows.columns), strict=True):
        found[trace_id].append(tuple(row))
    return [_place_of(trace_id.decode(), *zip(*of_trace, strict=True)) for trace_id, of_trace in found.items()]


def _place_of(
    trace_id: str, starts: Sequence[int], ends: Sequence[int], shelves: Sequence[int], kept: Sequence[int] = ()
) -> Place:
    return Place(trace_id, min(starts), max(ends), tuple(sorted(set(shelves))), any(kept))


def pairs(places: Sequence[Place], step_s: int, margin_s: int = 0) -> Iterator[dict[str, object]]:
    """Yield parameters for queries by (stretch of `step_s` seconds, trace id) and (shelf, trace id), which the sorting
    keys hold.

    With traces alone, a query of many traces would read everything between the first and the last.

    Args:
        margin_s: How far from the spans of a trace, on either side, to look as well.
    Yields:
        `starts` and `ids`, the pairs, of equal length; `shelves` and `shelved`, likewise; `first_ns` and `last_ns`,
        which hold all of them.
    """
    starts: list[int] = []
    ids: list[str] = []
    group: list[Place] = []
    count = 0
    for place in places:
        stretches = range(max(place.first_s - margin_s, 0) // step_s, (place.last_s + margin_s) // step_s + 1)
        more = max(len(stretches), len(place.shelves))
        if group and count + more > MAX_PAIRS:
            yield {"starts": starts, "ids": ids, **_of_all(group, margin_s)}
            starts, ids, group, count = [], [], [], 0
        starts += [number * step_s for number in stretches]
        ids += [place.trace_id] * len(stretches)
        group.append(place)
        count += more
    if group:
        yield {"starts": starts, "ids": ids, **_of_all(group, margin_s)}


def _of_all(places: Sequence[Place], margin_s: int) -> dict[str, object]:
    first_s = min(place.first_s for place in places) - margin_s
    last_s = max(place.last_s for place in places) + margin_s
    return {
        "shelves": [shelf for place in places for shelf in place.shelves],
        "shelved": [place.trace_id for place in places for _ in place.shelves],
        "first_ns": max(first_s, 0) * _SECOND_NS,
        "last_ns": (last_s + 1) * _SECOND_NS - 1,
    }


def read_spans(client: Client, trace_ids: Sequence[str], places: Sequence[Place] | None = None) -> DetailedSpans | None:
    """Return the spans of these traces in order of start, without exact copies; None when none is stored.

    Args:
        places: where they lie, from who has looked.
    """
    table = _read(client, find_places(client, trace_ids) if places is None else places, SPAN_SELECT)
    return detailed_spans(table) if table is not None else None


def read_outlines(client: Client, place: Place) -> OutlinedSpans | None:
    """Return what `read_spans` would of one trace, without what a list does not show: three quarters of the work."""
    table = _read(client, [place], OUTLINE_SELECT)
    if table is None:
        return None
    found = outlined_spans(table)
    if found is None and (spans := read_spans(client, [place.trace_id], [place])):
        found = spans.outlined
    return found


def lie_by_shelf(client: Client) -> bool:
    """Return whether spans are sorted by shelf. A table that was made before there were shelves never is."""
    rows = client.query(
        "SELECT sorting_key FROM system.tables WHERE database = currentDatabase() AND name = 'otel_traces'"
    ).result_rows
    return not any(str(key).startswith("ServiceName") for (key,) in rows)


def read_batch(client: Client, trace_ids: Sequence[str]) -> SpanBatch | None:
    """Return what `read_spans` would, without what only details need: half of the work."""
    table = _read(client, find_places(client, trace_ids), BATCH_SELECT)
    return batch_of(table) if table is not None else None


def _read(client: Client, places: Sequence[Place], select: str) -> pa.Table | None:
    asked: Iterable[Mapping[str, object]] = pairs(places, FIVE_MINUTES_S)
    where = f"WHERE {HERE}"
    if len(places) == 1:
        where, shelf = _HERE_IS_ONE, places[0].only_shelf
        if shelf:
            where, asked = _ON_SHELF, [{"shelf": shelf, "id": places[0].trace_id}]
    spans = f"SELECT {select} FROM otel_traces {where}"
    source = _with_kept(spans, select) if any(place.kept for place in places) else spans
    tables = [_first_spans(client, source, _threads(len(places)), parameters) for parameters in asked]
    table = pa.concat_tables(tables) if tables else None
    return table if table is not None and table.num_rows else None


def _first_spans(client: Client, source: str, threads: str, parameters: Mapping[str, object]) -> pa.Table:
    """Sorted here: to have it done by the engine takes a fifth longer, whatever the number of spans."""
    table = read_arrow(client, f"{source} LIMIT {MAX_SPANS + 1} {threads}", parameters)
    if table.num_rows > MAX_SPANS:
        return read_arrow(client, f"{source} ORDER BY {', '.join(_ORDER)} LIMIT {MAX_SPANS}", parameters)
    return table.take(pc.sort_indices(table, sort_keys=[(name, "ascending") for name in _ORDER]))


HERE = """(Shelf, TraceId) IN arrayZip({shelves:Array(UInt64)}, {shelved:Array(String)})
    AND (toStartOfFiveMinutes(Timestamp), TraceId) IN arrayZip({starts:Array(DateTime)}, {ids:Array(String)})
    AND Timestamp >= fromUnixTimestamp64Nano({first_ns:Int64})
    AND Timestamp <= fromUnixTimestamp64Nano({last_ns:Int64})"""
"""The rows of `otel_traces` at the places of some traces, by the parameters of `pairs`. Tables that were made before
there were shelves are sorted by service, five minutes and trace."""

_HERE_IS_ONE = """PREWHERE Shelf IN {shelves:Array(UInt64)} AND TraceId = {ids:Array(String)}[1]
    AND Timestamp >= fromUnixTimestamp64Nano({first_ns:Int64})
    AND Timestamp <= fromUnixTimestamp64Nano({last_ns:Int64})"""
"""The same of one trace, which the engine looks for in three quarters of the time."""

_ON_SHELF = "PREWHERE Shelf = {shelf:UInt64} AND TraceId = {id:String}"
"""The same of one trace on one shelf, where spans are sorted by shelf: in five sixths of the time of that."""

_ORDER = ("Timestamp", "SpanId", "SpanKind")


def _threads(traces: int) -> str:
    """The end of a query: one about a single trace reads little, and its page asks others beside it."""
    return ONE_THREAD if traces == 1 else ""


def _with_kept(spans: str, select: str) -> str:
    """With the copies of spans that are gone; to read those of the others as well would mean to compare all of them."""
    return f"""
SELECT * FROM (
    {spans}
    UNION ALL
    SELECT {select} FROM kept_spans
    WHERE TraceId IN {{ids:Array(String)}}
        AND (TraceId, SpanId, SpanKind) NOT IN (SELECT TraceId, SpanId, SpanKind FROM otel_traces WHERE {HERE})
)"""
