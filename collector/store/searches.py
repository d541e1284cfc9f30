"""Traces that somebody looks for: by what a search asks, as examples of a journey or of a cell of its bands."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from clickhouse_connect.driver.client import Client

from collector.store.dictionaries import CallPaths
from collector.store.engine import ONE_THREAD
from collector.store.search_conditions import Conditions, bounds, conditions, span_condition
from collector.store.trace_summaries import oldest_and_newest, read_summaries
from collector.store.values import BandDetail, CellExamples, Examples, TraceQuery, TraceSummary, Window
from collector.store.which_minutes import MINUTE_S, Minutes, alone

MAX_FOUND = 10_000
MAX_CHOSEN = 10_000
AMONG_CHOSEN = "TraceId IN {chosen:Array(String)}"
NEWEST_NS = 120 * 1_000_000_000
"""So much of a window is looked at first by who asks for the newest traces."""
_MINUTE_NS = MINUTE_S * 1_000_000_000


class _Row(NamedTuple):
    """A row of `traces`, perhaps one that was replaced."""

    start_unix_nano: int
    duration_ns: int
    trace_id: str
    journey: str


def find_traces(client: Client, known: CallPaths, query: TraceQuery) -> list[TraceSummary]:
    """Return the traces that `query` asks for, newest (or slowest) first.

    Rows that were replaced and are not merged yet are looked through like others, which is much quicker than FINAL; of
    what is found among them, only what the newest row of a trace still says counts.
    """
    wanted = min(max(query.limit, 0), MAX_FOUND)
    path_ids = known.on_path(client, query)
    rank = _slowness if query.slowest_first else _newness
    at_once = wanted + wanted // 4 + 10
    while True:
        rows = _candidates(client, query, path_ids, at_once)
        found = sorted(_still_so(client, known, conditions(query, path_ids), rows), key=rank)
        if len(rows) == at_once:  # beyond the last one, something may rank before what was found
            last = rank(rows[-1])
            found = [trace for trace in found if rank(trace) <= last]
        if len(found) >= wanted or len(rows) < at_once:
            return found[:wanted]
        at_once *= 4


def _candidates(client: Client, query: TraceQuery, path_ids: Sequence[int], limit: int) -> list[_Row]:
    """Return the rows that rank first, those that were replaced among them."""
    order = "DurationNs DESC, Start DESC" if query.slowest_first else "Start DESC"
    found: list[_Row] = []
    for window in _newest_first(client, query):
        asked_for = conditions(replace(query, window=window), path_ids)
        # Without PREWHERE the arrays of all traces are read, and not of those alone that the quick conditions leave.
        rows = client.query(
            f"""
            SELECT toUnixTimestamp64Nano(Start), DurationNs, TraceId, Journey FROM traces
            PREWHERE {asked_for.quickly} WHERE {asked_for.slowly}
            ORDER BY {order}, TraceId LIMIT {{limit:UInt32}} {ONE_THREAD}
            """,
            {**asked_for.parameters, "limit": limit - len(found)},
        ).result_rows
        found += [_Row(int(row[0]), int(row[1]), str(row[2]), str(row[3])) for row in rows]
        if len(found) >= limit:
            break
    return found


def _still_so(client: Client, known: CallPaths, asked_for: Conditions, rows: Sequence[_Row]) -> list[TraceSummary]:
    """Return the newest row of each trace, where it still meets the conditions."""
    if not rows:
        return []
    keys = {
        "journeys": [row.journey for row in rows],
        "minutes": [row.start_unix_nano // _MINUTE_NS * MINUTE_S for row in rows],
        "ids": [row.trace_id for row in rows],
    }
    return read_summaries(
        client,
        known,
        f"""
        WHERE (Journey, toStartOfMinute(Start), TraceId) IN
            arrayZip({{journeys:Array(String)}}, {{minutes:Array(DateTime)}}, {{ids:Array(String)}})
        ORDER BY Version DESC, Deleted LIMIT 1 BY TraceId {ONE_THREAD}
        """,
        {**asked_for.parameters, **keys},
        source="traces",
        fits=asked_for.of_row,
    )


def _newness(row: _Row | TraceSummary) -> tuple[int, int, str]:
    return -row.start_unix_nano, 0, row.trace_id


def _slowness(row: _Row | TraceSummary) -> tuple[int, int, str]:
    return -row.duration_ns, -row.start_unix_nano, row.trace_id


def find_examples(
    client: Client,
    known: CallPaths,
    journey: str,
    window: Window,
    limit: int,
    minutes: Sequence[int],
    chosen: tuple[str, ...] | None = None,
) -> Examples:
    """Return the slowest traces of a journey, the newest that failed, and the newest, each up to `limit`.

    Args:
        minutes: in which they can be, Unix time in s.
        chosen: the traces that count, None for all.
    """
    asked_for = conditions(TraceQuery(window, journey))
    among = "" if chosen is None else f"AND {AMONG_CHOSEN}"
    parameters = {**asked_for.parameters, "minutes": list(minutes), "chosen": list(chosen or ())}
    start, key = "toUnixTimestamp64Nano(Start)", "TraceId, Journey, toStartOfMinute(Start)"
    found = read_summaries(
        client,
        known,
        f"""
        WHERE ({key}) IN (
            SELECT found.3, found.4, found.5 FROM (
                SELECT arrayJoin(arrayConcat(
                    groupArraySorted({limit})((-DurationNs, -{start}, {key})),
                    groupArraySortedIf({limit})((-{start}, toInt64(0), {key}), Failed),
                    groupArraySorted({limit})((-{start}, toInt64(0), {key}))
                )) AS found FROM traces FINAL
                WHERE {asked_for.all} AND toStartOfMinute(Start) IN {{minutes:Array(DateTime)}} {among}
            )
        )
        ORDER BY Start DESC, TraceId, Version DESC LIMIT 1 BY TraceId {alone(journey)}
        """,
        parameters,
    )
    slow_first = sorted(found, key=lambda trace: -trace.duration_ns)
    failed = [trace for trace in found if trace.failed]
    return Examples(*(tuple(traces[:limit]) for traces in (slow_first, failed, found)))


def find_band_examples(
    client: Client,
    known: CallPaths,
    journey: str,
    window: Window,
    band: BandDetail,
    path_id: int,
    chosen: tuple[str, ...] | None,
) -> CellExamples:
    """Return traces of a band that have time in a call path. Reads the rows of the band's traces."""
    among = "" if chosen is None else f"AND {AMONG_CHOSEN}"
    where = f"""
        WHERE Journey = {{journey:String}} AND DurationNs > {{from_ns:Float64}} AND DurationNs <= {{to_ns:Float64}}
            AND Start >= fromUnixTimestamp64Nano({{start:Int64}})
            AND Start < fromUnixTimestamp64Nano({{end:Int64}})
            AND arrayExists((id, time) -> id = {{path:UInt64}} AND time > 0, Path.Id, Path.TimeNs)
            {among}
    """
    start, end = bounds(window)
    parameters = {
        "journey": journey, "path": path_id, "from_ns": band.from_ns, "to_ns": band.to_ns,
        "start": start, "end": end, "chosen": list(chosen or ()),
    }  # fmt: skip
    slow_first = "ORDER BY DurationNs DESC, TraceId LIMIT 1"
    time_there = "Path.TimeNs[indexOf(Path.Id, {path:UInt64})]"
    ((median,),) = client.query(f"SELECT quantileExact({time_there}) FROM traces FINAL {where}", parameters).result_rows
    nearest = f"ORDER BY abs({time_there} - {{median:Int64}}), TraceId LIMIT 1"
    found = [
        read_summaries(client, known, rest, {**parameters, "median": int(median or 0)})
        for rest in (f"{where} {slow_first}", f"{where} {nearest}", f"{where} AND Failed {slow_first}")
    ]
    return CellExamples(*(each[0] if each else None for each in found))


def choose_traces(
    client: Client, journey: str, window: Window, attributes: tuple[tuple[str, str], ...], service: str = ""
) -> tuple[str, ...]:
    """Return the newest `MAX_CHOSEN` traces of a journey that have every one of the attributes, each on any span.

    Args:
        service: only its spans count; empty for those of all.
    """
    minutes = Minutes.of(window)
    whole = Window(minutes.first_s * 1_000_000_000, minutes.last_s * 1_000_000_000)
    asked_for = conditions(TraceQuery(whole, journey=journey))
    where, parameters = [asked_for.all], asked_for.parameters
    for number, attribute in enumerate(attributes):
        spans, own = span_condition(TraceQuery(whole, service=service, attributes=(attribute,)), f"of_{number}_")
        where.append(spans)
        parameters |= own
    rows = client.query(
        f"""
        SELECT TraceId FROM traces FINAL WHERE {" AND ".join(where)}
        ORDER BY Start DESC, TraceId LIMIT {{limit:UInt32}}
        """,
        {**parameters, "limit": MAX_CHOSEN},
    ).result_rows
    return tuple(str(row[0]) for row in rows)


def _newest_first(client: Client, query: TraceQuery) -> list[Window]:
    """The windows to look into, one after the other until there is enough: mostly the newest of many traces are asked
    for, and need not be looked for among all."""
    window = query.window
    if query.slowest_first or conditions(query).spans:
        return [window]
    newest = min(window.end_unix_nano, oldest_and_newest(client)[1] + 1)
    begin = newest - NEWEST_NS
    if begin <= window.start_unix_nano:
        return [window]
    return [replace(window, start_unix_nano=begin), replace(window, end_unix_nano=begin)]
