"""Where the traces lie that came of late, in memory: to look it up in the store takes a fifth of the time of a trace's
page (decision 168).

    Committer -> add_commit -> runs, oldest first <- remember_stored <- otel_traces_trace_id_ts
                               | find
                             Place

The look-up table stays the truth. Here are its newest rows, where this process alone inserts into it. Rows of one
commit are a run, sorted by trace id; runs of like size become one, and the oldest is let go.
"""

import logging
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from clickhouse_connect.driver.client import Client
from numpy.typing import NDArray

from collector.store.engine import ONE_THREAD, read_arrow
from collector.store.hexadecimal import ids_of
from collector.store.lookup import MINUTE_S, Place
from collector.store.maps import chunk, numbers
from collector.store.native import TraceTimes, read_times

log = logging.getLogger(__name__)

MAX_ROWS = 2_000_000
"""64 MB. A trace has a row for each commit that brought spans of it."""
ALIKE = 8
"""So many runs of like size become one."""
SKEW_S = 300
"""How far ahead of ours the clock of a sender may be."""
_ROWS_OF_A_RUN = 100_000
"""Of what was stored before."""


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
        keys, seconds = np.take(keys, order, axis=1), np.take(seconds, order, axis=1)
        begins = np.flatnonzero(np.append(True, (keys[:, 1:] != keys[:, :-1]).any(axis=0)))
        first_s, last_s = np.minimum.reduceat(seconds[0], begins), np.maximum.reduceat(seconds[1], begins)
        return cls(np.take(keys, begins, axis=1), np.stack([first_s, last_s]), newest_s)

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
        self.max_rows = max_rows
        self._changing = threading.Lock()
        self._has_gap = False
        """Rows were let go, so that older ones would not be all that there are."""
        self._known: tuple[tuple[_Run, ...], int] = ((), int(time.time()) if now_s is None else now_s)
        """Runs, and since when every row that was stored is in them; 0: all rows that there are."""

    @property
    def since_s(self) -> int:
        """Unix time since which every row that was stored is here; 0 where all are."""
        return self._known[1]

    def __len__(self) -> int:
        return sum(map(len, self._known[0]))

    def add_commit(self, blocks: Iterable[bytes], shelf: int, stored_s: int) -> None:
        """Add rows that were stored just now, at `stored_s` of Unix time; `blocks` as `EncodedBatch.times`.

        What goes wrong costs what is known, and no commit.
        """
        try:
            self.add(read_times(blocks), shelf, stored_s)
        except Exception:
            log.exception("where traces lie is looked up in the store")
            with self._changing:
                self._has_gap = True
                self._known = ((), stored_s + 1)

    def add(self, times: TraceTimes, shelf: int, stored_s: int) -> None:
        """Add rows whose spans lie on one shelf, in any order."""
        if not len(times.first_s):
            return
        keys, seconds = _columns(times, np.full(len(times.first_s), shelf, np.uint64))
        run = _Run.of(keys, seconds, stored_s)
        with self._changing:
            runs, since_s = self._known
            kept = _joined_alike([*runs, run], self.max_rows // ALIKE)
            while len(kept) > 1 and sum(map(len, kept)) > self.max_rows:
                since_s = max(since_s, kept.pop(0).newest_s + 1)
                self._has_gap = True
            self._known = (tuple(kept), since_s)

    def add_older(
        self, times: TraceTimes, shelves: NDArray[np.uint64], stored_s: NDArray[np.uint32], since_s: int
    ) -> None:
        """Add what was stored from `since_s` on and before what is here, if there is room for all of it.

        Args:
            shelves: of each row, like `stored_s`, in which order they are.
        """
        keys, seconds = _columns(times, shelves)
        pieces = (slice(at, at + _ROWS_OF_A_RUN) for at in range(0, len(stored_s), _ROWS_OF_A_RUN))
        runs = [_Run.of(keys[:, piece], seconds[:, piece], int(stored_s[piece].max())) for piece in pieces]
        with self._changing:
            known, _ = self._known
            if not self._has_gap and sum(map(len, (*runs, *known))) <= self.max_rows:
                self._known = ((*runs, *known), since_s)

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


def _columns(times: TraceTimes, shelves: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], NDArray[np.uint32]]:
    return np.vstack([times.trace_ids[::-1], shelves]), np.stack([times.first_s, times.last_s])


def _joined_alike(runs: list[_Run], most_rows: int) -> list[_Run]:
    """Return the runs with the newest joined while ALIKE of them are of like size, none larger than the last is.

    So few are searched, and a row is seldom moved.
    """
    while True:
        newest = runs[-ALIKE:]
        are_alike = len(newest) == ALIKE and all(run.rank <= newest[-1].rank for run in newest)
        if not are_alike or sum(map(len, newest)) > most_rows:
            return runs
        runs = [*runs[:-ALIKE], _Run.joined(newest)]


# --- what was stored before


def remember_stored(places: RecentPlaces, client: Client) -> None:
    """Add the newest rows of the store, seven eighths of what there is room for at most."""
    since_s = _since(client, places.max_rows - places.max_rows // ALIKE)
    table = read_arrow(
        client,
        "SELECT TraceId, Start, End, Shelf, IngestedAt FROM otel_traces_trace_id_ts "
        f"PREWHERE IngestedAt >= toDateTime({{since:UInt32}}) ORDER BY IngestedAt {ONE_THREAD}",
        {"since": since_s},
    )
    first_s, last_s, shelves, stored_s = (
        numbers(chunk(table, name)) for name in ("Start", "End", "Shelf", "IngestedAt")
    )
    texts = chunk(table, "TraceId")
    pieces = [ids_of(texts.slice(at, _ROWS_OF_A_RUN), 2) for at in range(0, max(len(texts), 1), _ROWS_OF_A_RUN)]
    places.add_older(TraceTimes(np.hstack(pieces), first_s, last_s), shelves, stored_s, since_s)


def _since(client: Client, most_rows: int) -> int:
    """Return from when on there are at most so many rows, in s on a whole minute; 0 where that is all of them."""
    counts = read_arrow(
        client,
        "SELECT toStartOfMinute(IngestedAt) AS Minute, count() AS Rows FROM otel_traces_trace_id_ts "
        f"GROUP BY Minute ORDER BY Minute DESC {ONE_THREAD}",
    )
    minutes_s, rows = (numbers(chunk(counts, name)) for name in ("Minute", "Rows"))
    fits = int(np.searchsorted(np.cumsum(rows), most_rows, side="right"))
    if fits == len(rows):
        return 0
    return int(minutes_s[fits]) + MINUTE_S
