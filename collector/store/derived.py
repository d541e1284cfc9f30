"""What the analyzer reads and writes: arrivals in, rows about traces and minutes out.

All of it may be repeated: rows replace rows, minutes are recomputed whole, and the cursor is saved last.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from clickhouse_connect.driver.client import Client

from collector.core.analysis import Learned, Ragged
from collector.core.dependencies import NODE_KINDS
from collector.core.distinct import distinct_rows
from collector.core.shares import ALL, Shares
from collector.core.spans import IdColumn, IntColumn, SpanBatch
from collector.store.arrival_queries import joined, next_begins, read_ranges, read_shares, read_traces
from collector.store.arrivals import NO_ARRIVALS, Arrivals
from collector.store.arrow import stream
from collector.store.engine import Store, read_arrow, run
from collector.store.fresh import Fresh, arrivals_of_groups
from collector.store.lookup import MINUTE_S, REPAIR_S, find_places, pairs
from collector.store.minutes import CURRENT_VERSIONS, LAST_MINUTE, RECOMPUTE, next_version
from collector.store.recent import journey_names
from collector.store.versions import Versions

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
                return read_shares(client, lanes, begins, limit, shares)
            found = read_ranges(client, lanes, begins, limit)
            if len(here):
                return joined(here, found) if len(found) else here
            if len(found):
                return found
            # A lane may have a gap: a group that failed used up its numbers.
            begins = next_begins(client, lanes, begins)
            return read_ranges(client, lanes, begins, limit)

    def read_trace_arrivals(self, trace_ids: Sequence[str]) -> Arrivals:
        """Return all spans of these traces (32 hex digits each) that were ever acknowledged, as they arrived.

        From `span_arrivals` while it has them, else from `otel_traces`; then lane, sequence and time of arrival
        are 0. Copies are not dropped.
        """
        with self._store.client() as client:
            return read_traces(client, trace_ids)

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
