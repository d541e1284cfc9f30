"""Where the traces lie that came of late, in memory: to look it up in the store takes a fifth of the time of a trace's
page (decision 168).

    Committer -> add -> runs, oldest first <- remember_stored <- otel_traces_trace_id_ts
                         | find
                        Place

The look-up table stays the truth. Here are its newest rows, where this process alone inserts into it. Rows of one
commit are a run, sorted by trace id; runs of like size become one, and the oldest is let go.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
from clickhouse_connect.driver.client import Client
from numpy.typing import NDArray

from collector.store.engine import ONE_THREAD, read_arrow
from collector.store.hexadecimal import ids_of
from collector.store.lookup import Place
from collector.store.maps import chunk, numbers
from collector.store.native import TraceTimes

MAX_ROWS = 2_000_000
"""64 MB. A trace has a row for each commit that brought spans of it."""
ALIKE = 8
"""So many runs of like size become one."""
SKEW_S = 300
"""How far ahead of ours the clock of a sender may be."""
_AT_A_TIME = 100_000
"""Rows of the store that are read into memory, and become a run."""


@dataclass(frozen=True, slots=True)
class _Run:
    """Rows, sorted by their keys, no two of which are the same."""

    keys: NDArray[np.uint64]
    """Shape (3, rows): the low and the high half of the trace id, and the shelf."""
    seconds: NDArray[np.uint32]
    """Shape (2, rows): the first and the last start of a span, Unix time."""
    newest_s: int
    """When the last of them was stored."""

    @classmethod
    def of(cls, keys: NDArray[np.uint64], seconds: NDArray[np.uint32], newest_s: int) -> "_Run":
        """Return rows in any order, one at least, as a run."""
        order = np.lexsort(keys[::-1])
        keys, seconds = keys[:, order], seconds[:, order]
        begins = np.flatnonzero(np.append(True, (keys[:, 1:] != keys[:, :-1]).any(axis=0)))
        first_s, last_s = np.minimum.reduceat(seconds[0], begins), np.maximum.reduceat(seconds[1], begins)
        return cls(keys[:, begins], np.stack([first_s, last_s]), newest_s)

    @classmethod
    def joined(cls, runs: Sequence["_Run"]) -> "_Run":
        keys = np.concatenate([run.keys for run in runs], axis=1)
        seconds = np.concatenate([run.seconds for run in runs], axis=1)
        return cls.of(keys, seconds, max(run.newest_s for run in runs))

    def __len__(self) -> int:
        return int(self.keys.shape[1])

    @property
    def rank(self) -> int:
        """The same for runs of like size."""
        return len(self).bit_length() // 3

    def rows_of(self, high: int, low: int) -> NDArray[np.int64]:
        begin, end = (int(np.searchsorted(self.keys[0], np.uint64(low), side)) for side in ("left", "right"))
        return begin + np.flatnonzero(self.keys[1, begin:end] == np.uint64(high))


class RecentPlaces:
    """The newest rows of the look-up table. Thread-safe; whoever looks waits for nobody."""

    def __init__(self, now_s: int | None = None, max_rows: int = MAX_ROWS) -> None:
        """Args:
        now_s: Unix time in s; rows that are stored from then on are added.
        """
        self._max_rows = max_rows
        self._changing = threading.Lock()
        self._known: tuple[tuple[_Run, ...], int] = ((), int(time.time()) if now_s is None else now_s)
        """Runs, and since when every row that was stored is in them; 0: all rows that there are."""

    @property
    def since_s(self) -> int:
        """Unix time since which every row that was stored is here; 0 where all are."""
        return self._known[1]

    def __len__(self) -> int:
        return sum(map(len, self._known[0]))

    def add(self, times: TraceTimes, shelf: int, stored_s: int) -> None:
        """Add rows that were stored just now, at `stored_s` of Unix time."""
        if not len(times.first_s):
            return
        shelves = np.full(len(times.first_s), shelf, np.uint64)
        run = _Run.of(np.vstack([times.trace_ids[::-1], shelves]), np.stack([times.first_s, times.last_s]), stored_s)
        with self._changing:
            runs, since_s = self._known
            kept = _joined_alike([*runs, run], self._max_rows // ALIKE)
            while len(kept) > 1 and sum(map(len, kept)) > self._max_rows:
                since_s = max(since_s, kept.pop(0).newest_s + 1)
            self._known = (tuple(kept), since_s)

    def add_older(self, runs: Sequence[_Run], since_s: int) -> bool:
        """Add rows that were stored before those here and after `since_s`; returns whether there was room for them."""
        with self._changing:
            known, _ = self._known
            if sum(map(len, (*runs, *known))) > self._max_rows:
                return False
            self._known = ((*runs, *known), since_s)
            return True

    def find(self, trace_id: str) -> Place | None:
        """Return where the spans of a trace (32 lower-case hex digits) lie that are no copies.

        None where none is here, and where spans of it may have come before everything here.
        """
        runs, since_s = self._known
        high, low = int(trace_id[:16], 16), int(trace_id[16:], 16)
        found = [(run, rows) for run in runs if len(rows := run.rows_of(high, low))]
        if not found:
            return None
        first_s = min(int(run.seconds[0, rows].min()) for run, rows in found)
        last_s = max(int(run.seconds[1, rows].max()) for run, rows in found)
        if since_s and first_s < since_s + SKEW_S:
            return None
        shelves = {shelf for run, rows in found for shelf in run.keys[2, rows].tolist()}
        return Place(trace_id, first_s, last_s, tuple(sorted(shelves)), sure=not since_s)


def _joined_alike(runs: list[_Run], most_rows: int) -> list[_Run]:
    """Return the runs with the newest of like size joined, so that few are searched and a row is seldom moved."""
    while True:
        rank = runs[-1].rank
        begin = len(runs)
        while begin and runs[begin - 1].rank <= rank:
            begin -= 1
        alike = runs[begin:]
        if len(alike) < ALIKE or sum(map(len, alike)) > most_rows:
            return runs
        runs = [*runs[:begin], _Run.joined(alike)]


def remember_stored(places: RecentPlaces, client: Client) -> Iterator[int]:
    """Add what was stored before this process began, the newest first, as far as there is room.

    Yields how many rows were read, each time that some were; whoever wants no more lets go of the iterator.
    """
    counts = read_arrow(
        client,
        "SELECT toStartOfMinute(IngestedAt) AS Minute, toUInt32(count()) AS Rows FROM otel_traces_trace_id_ts "
        f"GROUP BY Minute ORDER BY Minute DESC {ONE_THREAD}",
    )
    for until_s, since_s in pairwise(_bounds(*(numbers(chunk(counts, name)).tolist() for name in ("Minute", "Rows")))):
        table = read_arrow(
            client,
            "SELECT TraceId, Start, End, Shelf, IngestedAt FROM otel_traces_trace_id_ts "
            "PREWHERE IngestedAt >= toDateTime({since:UInt32}) AND IngestedAt < toDateTime({until:UInt32}) "
            f"{ONE_THREAD}",
            {"since": since_s, "until": until_s},
        )
        runs = [_run_of(table.slice(at, _AT_A_TIME)) for at in range(0, table.num_rows, _AT_A_TIME)]
        if not places.add_older(runs, since_s):
            return
        yield table.num_rows


_END_OF_TIME_S = 2**32 - 1


def _bounds(minutes_s: Sequence[int], rows: Sequence[int]) -> Iterator[int]:
    """Yield the ends of stretches of about _AT_A_TIME rows, from the newest to 0, by the rows of minutes."""
    yield _END_OF_TIME_S
    waiting = 0
    for minute_s, count in zip(minutes_s, rows, strict=True):
        waiting += count
        if waiting >= _AT_A_TIME and minute_s:
            yield minute_s
            waiting = 0
    yield 0


def _run_of(table: pa.Table) -> _Run:
    shelves, first_s, last_s, stored_s = (
        numbers(chunk(table, name)) for name in ("Shelf", "Start", "End", "IngestedAt")
    )
    trace_ids = ids_of(chunk(table, "TraceId"), 2)
    return _Run.of(np.vstack([trace_ids[::-1], shelves]), np.stack([first_s, last_s]), int(stored_s.max()))
