"""What the analyzer reads and writes: arrivals in, rows about traces and minutes out.

All of it may be repeated: rows replace rows, minutes are recomputed whole, and the cursor is saved last.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from clickhouse_connect.driver.client import Client

from collector.core.analysis import Learned, Ragged
from collector.core.dependencies import NODE_KINDS
from collector.core.distinct import distinct_rows
from collector.core.shares import ALL, SHARES, Shares
from collector.core.spans import IdColumn, IntColumn, SpanBatch, concatenate, empty_batch
from collector.store.arrivals import ARRIVAL_SELECT, ARRIVAL_SETTINGS, NO_ARRIVALS, Arrivals, arrivals
from collector.store.arrow import stream
from collector.store.engine import Store, read_arrow, run
from collector.store.fresh import Fresh, arrivals_of_groups
from collector.store.lookup import MINUTE_S, REPAIR_S, find_places, pairs, read_spans
from collector.store.minutes import CURRENT_VERSIONS, LAST_MINUTE, RECOMPUTE, next_version
from collector.store.recent import journey_names
from collector.store.versions import Versions
from cpdd.sampling.thresholds import member_text

MINUTES_AT_ONCE = 100
MAX_KNOWN_IDS = 500_000
MAX_KNOWN_OPERATIONS = 50_000
"""Operations remembered at most; a service that invents names without end is listed up to here."""

MAX_REMEMBERED_TRACES = 1_000_000

_HOUR_S = 3600


@dataclass(frozen=True, slots=True)
class TraceKey:
    """Where the row of a trace lies; a row that moves leaves a tombstone at its old key."""

    trace_id: str
    journey: str
    start_unix_nano: int


class Derived:
    """The analyzer's side of the store. One thread at a time."""

    def __init__(self, store: Store, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._store = store
        self._now_ns = now_ns
        self._fresh = Fresh()
        self._versions = Versions(store, ("traces", "analyzer_state"))
        self._call_paths: set[int] = set()
        self._edges: set[int] = set()
        self._operations: dict[tuple[str, str, int], int] = {}

    # Arrivals

    def read_first(self, fresh: Fresh) -> None:
        """Read arrivals there before in the store."""
        self._fresh = fresh

    def read_arrivals(self, cursor: Mapping[int, int], limit: int = 100_000, shares: Shares = ALL) -> Arrivals:
        """Return what is new behind `cursor` (the last sequence read, by lane), up to `limit` spans a lane.

        In order of lane and sequence, of the traces of these shares. Empty when there is nothing new; then its `last`
        may be further all the same, behind spans of other shares.
        """
        taken = self._fresh.take(cursor, limit) if shares == ALL else None
        with self._store.client() as client:
            lanes = sorted(int(row[0]) for row in client.query("SELECT DISTINCT Lane FROM lanes").result_rows)
            if taken is not None:
                lanes = [lane for lane in lanes if lane not in self._fresh.lanes()]
            here = arrivals_of_groups(taken) if taken else NO_ARRIVALS
            if not lanes:
                return here
            begins = [cursor.get(lane, 0) for lane in lanes]
            if shares != ALL:
                return _read_shares(client, lanes, begins, limit, shares)
            found = _read_ranges(client, lanes, begins, limit)
            if len(here):
                return _joined(here, found) if len(found) else here
            if len(found):
                return found
            # A lane may have a gap: a group that failed used up its numbers.
            begins = _next_begins(client, lanes, begins)
            return _read_ranges(client, lanes, begins, limit)

    def read_trace_arrivals(self, trace_ids: Sequence[str]) -> Arrivals:
        """Return all spans of these traces (32 hex digits each) that were ever acknowledged, as they arrived.

        From `span_arrivals` while it has them, else from `otel_traces`; then lane, sequence and time of arrival
        are 0. Copies are not dropped.
        """
        with self._store.client() as client:
            spells = _spells(client, trace_ids)
            gone = {spell.trace_id for spell in spells if not spell.kept}
            found = _read_kept(client, [spell for spell in spells if spell.trace_id not in gone])
            return _joined(found, _read_stored(client, sorted(gone))) if gone else found

    def forget_arrivals(self, cursor: Mapping[int, int], kept_s: int) -> list[int]:
        """Drop the hours of arrivals that ended `kept_s` ago and lie behind `cursor` in every lane.

        An hour with one span that is not analyzed yet stays, however old, and so do those after it: what was
        acknowledged reaches the analyzer. Returns the ids of the partitions that were dropped.
        """
        before_s = self._now_ns() // 1_000_000_000 - kept_s
        with self._store.client() as client:
            rows = client.query(
                """
                SELECT _partition_id, Lane, max(Sequence) FROM span_arrivals
                WHERE toStartOfHour(ArrivedAt) + INTERVAL 1 HOUR <= toDateTime({before:UInt32})
                GROUP BY _partition_id, Lane
                """,
                {"before": max(before_s, 0)},
            ).result_rows
            waiting = min((int(hour) for hour, lane, last in rows if last > cursor.get(lane, 0)), default=None)
            hours = sorted({int(hour) for hour, _, _ in rows})
            done = [hour for hour in hours if waiting is None or hour < waiting]
            for hour in done:
                self._store.define(client, f"ALTER TABLE span_arrivals DROP PARTITION ID '{hour}'")
        return done

    def load_cursor(self) -> dict[int, int]:
        """Return the last sequence by lane that `save_cursor` was given."""
        with self._store.client() as client:
            rows = client.query("SELECT Lane, argMax(Sequence, Version) FROM analyzer_state GROUP BY Lane").result_rows
        return {int(lane): int(sequence) for lane, sequence in rows}

    def save_cursor(self, cursor: Mapping[int, int]) -> None:
        """Remember that everything up to `cursor` is analyzed, written and settled."""
        if not cursor:
            return
        count = len(cursor)
        columns = {
            "Lane": np.fromiter(cursor.keys(), np.uint32, count),
            "Sequence": np.fromiter(cursor.values(), np.uint64, count),
            "Version": np.full(count, self.next_version(), np.uint64),
        }
        self._insert("analyzer_state", columns)

    # Versions

    def next_version(self) -> int:
        """Return a version above those of all rows that are stored."""
        return self._versions.next(self._now_ns())

    def look_again(self) -> None:
        """Take in what versions other processes have written."""
        self._versions.look_again()

    def newest_version(self) -> int:
        """Return the newest version of what is stored; 0 where nothing is."""
        return self._versions.newest()

    def analyzed_since(self, version: int) -> IdColumn:
        """Return the lower halves of the ids of traces that were analyzed in `version` or later, up to a limit."""
        with self._store.client() as client:
            table = read_arrow(
                client,
                """
                SELECT reinterpretAsUInt64(reverse(unhex(substring(TraceId, 17)))) AS Low FROM traces
                WHERE Version >= {version:UInt64} ORDER BY Version DESC LIMIT {limit:UInt64}
                """,
                {"version": max(version, 0), "limit": MAX_REMEMBERED_TRACES},
            )
        return np.unique(table.column("Low").to_numpy().astype(np.uint64))

    # What was learned

    def write(self, learned: Learned) -> None:
        """Write what was learned from traces; the dictionaries of its ids first."""
        self.write_call_paths(learned.call_paths)
        self.write_edges(learned.edges)
        self.write_traces(learned.traces, learned.call_paths)

    def write_call_paths(self, columns: Mapping[str, object]) -> None:
        """Explain the ids of call paths: `Id`, `Parent`, `Service`, `Operation`, `Kind`."""
        self._write_new("call_paths", columns, self._call_paths)

    def write_edges(self, columns: Mapping[str, object]) -> None:
        """Explain the ids of edges: the columns of table `edges`."""
        self._write_new("edges", columns, self._edges)

    def write_traces(self, columns: Mapping[str, object], call_paths: Mapping[str, object]) -> None:
        """Write rows of `traces`, each replacing the row of its key with a lower `Version`.

        Args:
            columns: By name; arrays, lists, and `Ragged` for the array columns. `Path.First` is added here.
            call_paths: Explains every `Path.Id` in them, as in `write_call_paths`.
        """
        if not len(_sized(columns["TraceId"])):
            return
        first = _first_of_kind(columns, call_paths)
        self._insert("traces", {**columns, "Path.First": first})

    def trace_keys(self, trace_ids: Sequence[str]) -> list[TraceKey]:
        """Return the keys under which these traces have rows; none for a trace that was never analyzed."""
        with self._store.client() as client:
            rows = [
                row
                for parameters in pairs(find_places(client, trace_ids), MINUTE_S, REPAIR_S)
                for row in client.query(
                    """
                    SELECT TraceId, Journey, toUnixTimestamp64Nano(Start) FROM traces FINAL
                    WHERE (toStartOfMinute(Start), TraceId) IN arrayZip({starts:Array(DateTime)}, {ids:Array(String)})
                        AND Start >= fromUnixTimestamp64Nano({first_ns:Int64})
                        AND Start <= fromUnixTimestamp64Nano({last_ns:Int64})
                    """,
                    parameters,
                ).result_rows
            ]
        return [TraceKey(str(trace_id), str(journey), int(start)) for trace_id, journey, start in rows]

    def delete_traces(self, keys: Sequence[TraceKey], version: int) -> None:
        """Put tombstones over the rows of these keys that are older than `version`."""
        if not keys:
            return
        columns = {
            "TraceId": [key.trace_id for key in keys],
            "Journey": [key.journey for key in keys],
            "Start": np.array([key.start_unix_nano for key in keys], np.int64),
            "Version": np.full(len(keys), version, np.uint64),
            "Deleted": np.ones(len(keys), np.uint8),
        }
        self._insert("traces", columns)

    def recompute_minutes(self, minutes: Iterable[int]) -> None:
        """Make the rows of these minutes (since 1970) anew from `traces`, and publish them.

        A minute without traces is published empty. Repeating it changes nothing but the version.
        """
        wanted = sorted({minute for minute in minutes if 0 <= minute <= LAST_MINUTE})
        with self._store.client() as client:
            for begin in range(0, len(wanted), MINUTES_AT_ONCE):
                self._recompute(client, [minute * 60 for minute in wanted[begin : begin + MINUTES_AT_ONCE]])

    def _recompute(self, client: Client, starts: list[int]) -> None:
        self._store.catch_up(client, "minute_versions")
        current = {int(row[0]): int(row[1]) for row in client.query(CURRENT_VERSIONS, {"starts": starts}).result_rows}
        now_ns = self._now_ns()
        parameters = {
            "starts": starts,
            "versions": [next_version(current.get(start, 0), now_ns) for start in starts],
            "first": starts[0],
            "last": starts[-1],
        }
        for statement in RECOMPUTE:
            run(client, statement, parameters)

    # Services

    def note_services(self, spans: SpanBatch) -> None:
        """Remember which services, operations and kinds have sent spans."""
        hour = self._now_ns() // 1_000_000_000 // _HOUR_S
        services, names, kinds = distinct_rows((spans.service, spans.name, spans.kind))
        new = []
        for service, name, kind in zip(services.tolist(), names.tolist(), kinds.tolist(), strict=True):
            key = (spans.text(service), spans.text(name), kind)
            known = self._operations.get(key)
            if known == hour or (known is None and len(self._operations) >= MAX_KNOWN_OPERATIONS):
                continue
            self._operations[key] = hour
            new.append(key)
        if new:
            self._insert_operations(new)

    def known_services(self) -> frozenset[str]:
        """Return the services that have sent spans."""
        with self._store.client() as client:
            rows = client.query("SELECT DISTINCT Service FROM known_operations").result_rows
        return frozenset(str(row[0]) for row in rows)

    def known_journeys(self, seen_within_ns: int) -> list[str]:
        """Return the journeys that were seen lately, newest first."""
        now_s = self._now_ns() // 1_000_000_000
        with self._store.client() as client:
            return journey_names(client, now_s - seen_within_ns // 1_000_000_000, now_s + _HOUR_S)

    def _insert_operations(self, operations: list[tuple[str, str, int]]) -> None:
        columns = {
            "Service": [service for service, _, _ in operations],
            "Operation": [name for _, name, _ in operations],
            "Kind": [NODE_KINDS[kind] for _, _, kind in operations],
            "LastSeen": np.full(len(operations), self._now_ns() // 1_000_000_000, np.uint32),
        }
        self._insert("known_operations", columns)

    def _insert(self, table: str, columns: Mapping[str, object]) -> None:
        with self._store.client() as client:
            self._store.insert(client, table, list(columns), [stream(columns)], "ArrowStream")

    def _write_new(self, table: str, columns: Mapping[str, object], known: set[int]) -> None:
        """Insert the rows whose id this process has not written yet."""
        ids = np.asarray(columns["Id"], np.uint64).tolist()
        rows = [row for row, number in enumerate(ids) if number not in known]
        if not rows:
            return
        self._insert(table, {name: _rows(_sized(column), rows) for name, column in columns.items()})
        if len(known) + len(rows) > MAX_KNOWN_IDS:
            known.clear()
        known.update(ids[row] for row in rows)


# Arrivals


@dataclass(frozen=True, slots=True)
class _Spell:
    """One request's part of a trace, by its row in the look-up table."""

    trace_id: str
    ingested_s: int
    kept: bool
    """Whether its arrivals are still there."""


_SPELL_SLACK_S = 60
"""Between the stamps of a group's places and of its arrivals, both by the collector's clock."""


def _read_ranges(client: Client, lanes: Sequence[int], begins: Sequence[int], limit: int) -> Arrivals:
    """Read (begin, begin + limit] of each lane."""
    ranges = " OR ".join(
        f"(Lane = {int(lane)} AND Sequence > {int(begin)} AND Sequence <= {int(begin) + limit})"
        for lane, begin in zip(lanes, begins, strict=True)
    )
    return _select(client, f"WHERE {ranges or 'false'} ORDER BY Lane, Sequence", {})


def _read_shares(client: Client, lanes: Sequence[int], begins: Sequence[int], limit: int, shares: Shares) -> Arrivals:
    """Read the traces of some shares, up to where the lanes were just before: a lane's rows come in their order."""
    ends, newest_ms = _ends(client, lanes, begins, limit)
    if not ends:
        begins = _next_begins(client, lanes, begins)
        ends, newest_ms = _ends(client, lanes, begins, limit)
    ranges = " OR ".join(
        f"(Lane = {int(lane)} AND Sequence > {int(begin)} AND Sequence <= {ends[lane]})"
        for lane, begin in zip(lanes, begins, strict=True)
        if lane in ends
    )
    found = _select(
        client,
        f"WHERE ({ranges or 'false'}) AND {_SHARE} IN {{shares:Array(UInt8)}} ORDER BY Lane, Sequence",
        {"shares": sorted(shares)},
    )
    return replace(found, ends=ends, ends_unix_nano=newest_ms * 1_000_000)


_SHARE = f"bitShiftRight(intHash64(TraceIdLow), {64 - (SHARES - 1).bit_length()}) + 1"
"""The share of a row's trace: hashed, as ids of some tracers are no random numbers."""


def _ends(client: Client, lanes: Sequence[int], begins: Sequence[int], limit: int) -> tuple[dict[int, int], int]:
    """The last sequence of each lane within `limit`, whoever's, and when the newest of them arrived, in ms."""
    ranges = " OR ".join(
        f"(Lane = {int(lane)} AND Sequence > {int(begin)} AND Sequence <= {int(begin) + limit})"
        for lane, begin in zip(lanes, begins, strict=True)
    )
    rows = client.query(
        "SELECT Lane, max(Sequence), toUnixTimestamp64Milli(max(ArrivedAt)) FROM span_arrivals "
        f"WHERE {ranges or 'false'} GROUP BY Lane"
    ).result_rows
    return {int(lane): int(last) for lane, last, _ in rows}, max((int(ms) for _, _, ms in rows), default=0)


def _next_begins(client: Client, lanes: Sequence[int], begins: Sequence[int]) -> list[int]:
    """Just before the next row of each lane, however far it is."""
    behind = " OR ".join(
        f"(Lane = {int(lane)} AND Sequence > {int(begin)})" for lane, begin in zip(lanes, begins, strict=True)
    )
    rows = client.query(f"SELECT Lane, min(Sequence) FROM span_arrivals WHERE {behind} GROUP BY Lane").result_rows
    found = {int(lane): int(sequence) - 1 for lane, sequence in rows}
    return [found.get(lane, begin) for lane, begin in zip(lanes, begins, strict=True)]


def _spells(client: Client, trace_ids: Sequence[str]) -> list[_Spell]:
    rows = client.query(
        """
        SELECT DISTINCT
            TraceId,
            toUnixTimestamp(IngestedAt),
            IngestedAt - {slack:UInt32} >= (SELECT minOrNull(toStartOfHour(ArrivedAt)) FROM span_arrivals)
        FROM otel_traces_trace_id_ts WHERE TraceId IN {ids:Array(String)}
        """,
        {"ids": list(trace_ids), "slack": _SPELL_SLACK_S},
    ).result_rows
    return [_Spell(str(trace_id), int(ingested), bool(kept)) for trace_id, ingested, kept in rows]


def _read_kept(client: Client, spells: Sequence[_Spell]) -> Arrivals:
    """Read traces from the arrivals around the times at which their requests came in."""
    if not spells:
        return _read_ranges(client, [], [], 0)
    ids = sorted({spell.trace_id for spell in spells})
    stretches = _merged([(s.ingested_s - _SPELL_SLACK_S, s.ingested_s + _SPELL_SLACK_S) for s in spells])
    times = " OR ".join(f"(ArrivedAt >= toDateTime({a}) AND ArrivedAt <= toDateTime({b}))" for a, b in stretches)
    return _select(
        client,
        f"""
        WHERE ({times}) AND TraceIdLow IN {{low:Array(UInt64)}}
            AND (TraceIdHigh, TraceIdLow) IN arrayZip({{high:Array(UInt64)}}, {{low:Array(UInt64)}})
        ORDER BY Lane, Sequence
        """,
        {"high": [int(trace_id[:16], 16) for trace_id in ids], "low": [int(trace_id[16:], 16) for trace_id in ids]},
    )


def _read_stored(client: Client, trace_ids: Sequence[str]) -> Arrivals:
    """Read traces whose arrivals are dropped from the span table."""
    stored = read_spans(client, trace_ids)
    spans = replace(stored.batch, body=b"") if stored else empty_batch()
    unknown = np.zeros(len(spans), np.int64)
    ot = tuple(member_text(stored.detail(row).trace_state) for row in range(len(spans))) if stored else ()
    return Arrivals(spans, unknown, unknown, unknown, ot)


def _joined(one: Arrivals, other: Arrivals) -> Arrivals:
    return Arrivals(
        concatenate([one.spans, other.spans]),
        np.concatenate([one.lane, other.lane]),
        np.concatenate([one.sequence, other.sequence]),
        np.concatenate([one.arrived_unix_nano, other.arrived_unix_nano]),
        one.ot + other.ot,
    )


def _merged(stretches: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Overlapping stretches as one."""
    merged: list[tuple[int, int]] = []
    for begin, end in sorted(stretches):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged


def _select(client: Client, where: str, parameters: Mapping[str, object]) -> Arrivals:
    sql = f"SELECT {ARRIVAL_SELECT} FROM span_arrivals {where} SETTINGS {ARRIVAL_SETTINGS}"
    return arrivals(read_arrow(client, sql, parameters))


# Rows


def _first_of_kind(columns: Mapping[str, object], call_paths: Mapping[str, object]) -> Ragged:
    """Mark, in each trace, the first call path with time of every operation (bit 0) and of every service (bit 1).

    So a sum over call paths counts a trace once for an operation that it reaches on two paths.
    """
    paths, times = columns["Path.Id"], columns["Path.TimeNs"]
    assert isinstance(paths, Ragged)
    assert isinstance(times, Ragged)
    trace = np.repeat(np.arange(len(paths)), np.diff(paths.offsets))
    explained = np.asarray(call_paths["Id"], np.uint64)
    order = np.argsort(explained)
    place = order[np.minimum(np.searchsorted(explained, paths.values, sorter=order), len(explained) - 1)]
    services = _codes(_sized(call_paths["Service"]))
    operations = _codes(list(zip(_sized(call_paths["Service"]), _sized(call_paths["Operation"]), strict=True)))
    with_time = np.flatnonzero(times.values.astype(np.int64) > 0)
    first = np.zeros(len(trace), np.uint8)
    for bit, codes in ((1, operations), (2, services)):
        keys = trace[with_time] * (int(codes.max(initial=0)) + 1) + codes[place[with_time]]
        _, at = np.unique(keys, return_index=True)
        first[with_time[at]] |= bit
    return Ragged(paths.offsets, first)


def _codes(values: Sequence[object]) -> IntColumn:
    """A number for each distinct value."""
    numbers: dict[object, int] = {}
    return np.array([numbers.setdefault(value, len(numbers)) for value in values], np.int64)


def _sized(column: object) -> Sequence[object]:
    assert isinstance(column, (list, tuple, np.ndarray))
    return column  # type: ignore[return-value]


def _rows(column: Sequence[object], rows: list[int]) -> object:
    return column[np.array(rows)] if isinstance(column, np.ndarray) else [column[row] for row in rows]
