"""Evidence about edges as rows: summed by the engine over 30 days, the older of which are remembered.

    edge_minutes -> rows of the past (remembered) + rows of the last hours -> one row for each edge and version

A month of minutes takes seconds to sum for a thousand edges, and what is older than a few hours hardly ever changes.
What fades is summed as of the end of the past, and fades on from there as a whole: 2^-(a + b) = 2^-a 2^-b, so that
nothing is lost by it.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import pyarrow as pa
from clickhouse_connect.driver.client import Client

from collector.core.distinct import number_rows
from collector.store.engine import Store
from collector.store.maps import chunk, numbers
from collector.store.minute_rows import numeric, read_few, summed
from collector.store.row_details import text_of
from collector.store.values import Window
from collector.store.which_minutes import WHICH_MINUTES, Minutes, alone, only, with_versions

DAY_S = 86_400
HISTORY_S = 30 * DAY_S
HALF_LIFE_S = 7 * DAY_S
SETTLED_S = 2 * 3600
"""The past ends at the last midnight (UTC) that is so long ago: what comes late is mostly not later than this."""
CHECKED_EVERY_S = 300.0
"""How often it is looked up whether a minute of the past was published anew."""
MAX_REMEMBERED = 50_000
"""Rows, of a kilobyte each; a past that has more is read each time."""

SUMS = {
    "Alone": 1,
    "AloneWell": 1,
    "AloneSquares": 2,
    "AloneWellSquares": 2,
    "Quiet": 1,
    "QuietWell": 1,
    "QuietSquares": 2,
    "QuietWellSquares": 2,
    "compared": 1,
    "a_quiet_one * QuietWell": 1,
    "compared_squares": 2,
}
"""What evidence needs: two shares, and the baseline, which is the last three. The number is the power of a weight."""
OF_JOURNEY = (
    *("Alone", "AloneJourneyWell", "AloneSquares", "Quiet", "QuietJourneyWell", "QuietSquares"),
    *("compared", "a_quiet_one * QuietJourneyWell", "compared_squares"),
)
"""What became of the journey; all of it counts, and the same. The last three are a baseline."""
_COUNTS = (
    *("Alone", "AloneWell", "AloneJourneyWell", "AloneSquares", "AloneWellSquares"),
    *("Quiet", "QuietWell", "QuietJourneyWell", "QuietSquares", "QuietWellSquares"),
)
"""Columns that all of it is summed of."""
_READ = ("EdgeId", "CallerVersion", "StatusKnown", *_COUNTS)
_WITH = """
    exp2(-(toFloat64({last:UInt32}) - toUnixTimestamp(Minute)) / {half_life:UInt32}) AS fading,
    fading * fading AS fading_squared,
    if(Quiet > 0, Alone / Quiet, 0) AS a_quiet_one,
    if(Quiet > 0, Alone, 0) AS compared,
    a_quiet_one * a_quiet_one * QuietSquares AS compared_squares
"""
"""Failures for each quiet caller of their minute: what weighs the baseline as the failures are weighed."""
_FADED = {1: "fading", 2: "fading_squared"}
_COLUMNS = [f"sum({name})" for name in (*OF_JOURNEY, *SUMS)] + [f"sum({k} * {_FADED[n]})" for k, n in SUMS.items()]
FIRST_SUM = 5
"""In a row: OF_JOURNEY, then SUMS, then SUMS faded. Before them stand edge, version of the caller, start of the last
and of the first minute (in s), and whether a span said how it ended."""
_ALONE = FIRST_SUM + OF_JOURNEY.index("Alone")

_FAILED = """(EdgeId IN {failed:Array(UInt64)} OR EdgeId IN (
    SELECT EdgeId FROM edge_minutes WHERE Minute >= {first:DateTime} AND Minute < {last:DateTime} AND Alone > 0
))"""
"""Edges of which there can be a verdict: most calls never fail. Rows that were replaced count, too: what is too much
among the edges has nothing to say."""

_SECOND_NS = 1_000_000_000

Stamp = tuple[int, int]
"""How many minutes there are, and a sum over their versions: that of one alone may fall, where clocks differ."""
NO_MINUTES: Stamp = (0, 0)
Row = Sequence[Any]
EvidenceRows = Mapping[str, Sequence[Row]]
"""By journey, a row for each edge and version of its caller."""


class EvidencePast:
    """Reads evidence, and remembers that of the past. Thread-safe."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic, now_s: Callable[[], float] = time.time) -> None:
        """Remember nothing yet.

        Args:
            clock_s: only goes forward.
            now_s: since 1970.
        """
        self._clock_s = clock_s
        self._now_s = now_s
        self._lock = threading.Lock()
        self._over_s = 0
        """Where the remembered past ends."""
        self._stamp = NO_MINUTES
        """Tells whether its minutes are those that were read."""
        self._checked_s = 0.0
        self._rows: dict[str, Sequence[Row]] = {}
        """By journey, of those that were asked for."""
        self._is_whole = False
        """Whether it has the rows of all journeys."""

    def read(self, client: Client, last_s: int, journey: str | None = None, failed_only: bool = False) -> EvidenceRows:
        """Return what is known about the edges of all journeys (or of the one) in the 30 days before `last_s`.

        From the beginning of the first of these days. Whoever judges an edge asks here, so that pages, findings and
        metrics never differ about it (decision 014).

        Args:
            failed_only: without edges that never failed.
        """
        over_s = max(last_s - SETTLED_S, 0) // DAY_S * DAY_S
        first_s = max(over_s - HISTORY_S, 0)
        stamp = self._check(client, first_s, over_s)
        past = self._remembered(over_s, journey)
        if past is None:
            if failed_only or stamp is None:
                return _read(client, first_s, last_s, journey, () if failed_only else None)
            past = _read(client, first_s, over_s, journey)
            self._remember(over_s, stamp, journey, past)
        if not failed_only:
            return _joined(past, _read(client, over_s, last_s, journey), last_s - over_s)
        failed = {row[0] for rows in past.values() for row in rows if row[_ALONE]}
        recent = _read(client, over_s, last_s, journey, failed)
        failed |= {row[0] for rows in recent.values() for row in rows}
        past = {name: [row for row in rows if row[0] in failed] for name, rows in past.items()}
        return _joined(past, recent, last_s - over_s)

    def _remembered(self, over_s: int, journey: str | None) -> EvidenceRows | None:
        with self._lock:
            if over_s != self._over_s:
                return None
            if self._stamp == NO_MINUTES:
                return {}
            if journey is None:
                return dict(self._rows) if self._is_whole else None
            return {journey: self._rows.get(journey, ())} if self._is_whole or journey in self._rows else None

    def _remember(self, over_s: int, stamp: Stamp, journey: str | None, rows: EvidenceRows) -> None:
        with self._lock:
            more = dict(rows) if journey is None else {journey: rows.get(journey, ())}
            together = self._rows | more
            if (over_s, stamp) == (self._over_s, self._stamp) and sum(map(len, together.values())) <= MAX_REMEMBERED:
                self._rows = together
                self._is_whole |= journey is None

    def _check(self, client: Client, first_s: int, over_s: int) -> Stamp | None:
        """Forget the past where a newer one begins, and where a minute of it was published anew.

        Returns the stamp of its minutes; None for a past that is not to be remembered, since a newer one is,
        or since it is not over yet.
        """
        now_s = self._clock_s()
        with self._lock:
            if over_s < self._over_s or over_s > self._now_s():
                return None
            if over_s == self._over_s and now_s < self._checked_s + CHECKED_EVERY_S:
                return self._stamp
        ((minutes, versions),) = client.query(
            """
            SELECT count(), sum(cityHash64(Minute, newest)) FROM (
                SELECT Minute, max(Version) AS newest FROM minute_versions
                WHERE Minute >= {first:DateTime} AND Minute < {last:DateTime} GROUP BY Minute
            )
            """,
            {"first": first_s, "last": over_s},
        ).result_rows
        stamp = int(minutes), int(versions)
        with self._lock:
            if (over_s, stamp) != (self._over_s, self._stamp):
                self._over_s, self._stamp, self._rows, self._is_whole = over_s, stamp, {}, False
            self._checked_s = now_s
        return stamp


_BY_STORE: WeakKeyDictionary[Store, EvidencePast] = WeakKeyDictionary()
_by_store_lock = threading.Lock()


def past_of(store: Store) -> EvidencePast:
    """Return what is remembered of an open store: the judge, which reads all of it, does so for pages, too."""
    with _by_store_lock:
        return _BY_STORE.setdefault(store, EvidencePast())


def _read(
    client: Client, first_s: int, last_s: int, journey: str | None, failed: Collection[int] | None = None
) -> EvidenceRows:
    """Read the rows of some minutes; what fades has faded as of their end.

    Args:
        failed: only these edges, and those that failed in these minutes; None for all.
    """
    if journey is not None and failed is None:
        minutes = with_versions(client, Minutes.of(Window(first_s * _SECOND_NS, last_s * _SECOND_NS)))
        few = read_few(client, minutes, "edge_minutes", _READ, journey)
        if few is not None:
            return {journey: _summed(few, last_s)}
    condition = "" if failed is None else f"AND {_FAILED}"
    rows = client.query(
        f"""
        WITH {_WITH}
        SELECT
            Journey, EdgeId, CallerVersion, toUnixTimestamp(max(Minute)), toUnixTimestamp(min(Minute)),
            max(StatusKnown), {", ".join(_COLUMNS)}
        FROM edge_minutes WHERE {WHICH_MINUTES} {only(journey)} {condition}
        GROUP BY Journey, EdgeId, CallerVersion {alone(journey)}
        """,
        {
            "first": first_s, "last": last_s, "half_life": HALF_LIFE_S, "journey": journey or "",
            "failed": list(failed or ()),
        },
    ).result_rows  # fmt: skip
    by_journey: dict[str, list[Row]] = defaultdict(list)
    for name, *row in rows:
        by_journey[str(name)].append(row)
    return by_journey


def _summed(rows: pa.Table, last_s: int) -> list[Row]:
    """Sum rows of one journey here, as the query sums those of all."""
    minute = numeric(rows, "Minute").astype(np.int64)
    column = {name: numeric(rows, name) for name in _COUNTS}
    alone, quiet = column["Alone"], column["Quiet"]
    a_quiet_one = np.divide(alone, quiet, out=np.zeros(len(minute)), where=quiet > 0)
    column["compared"] = np.where(quiet > 0, alone, 0.0)
    column["compared_squares"] = a_quiet_one * a_quiet_one * column["QuietSquares"]
    for name in ("QuietWell", "QuietJourneyWell"):
        column[f"a_quiet_one * {name}"] = a_quiet_one * column[name]
    names = chunk(rows, "CallerVersion").dictionary_encode()
    versions = [text_of(name) for name in names.dictionary.to_pylist()]
    edge, version = numeric(rows, "EdgeId"), numbers(names.indices)
    example, group = number_rows([edge, version])
    count = len(example)
    fading = np.exp2((minute - last_s) / HALF_LIFE_S)
    sums = [summed(group, column[name], count) for name in (*OF_JOURNEY, *SUMS)]
    sums += [summed(group, column[name] * fading**power, count) for name, power in SUMS.items()]
    known = summed(group, numeric(rows, "StatusKnown"), count) > 0
    in_turn = np.lexsort((minute, group))
    begins = np.searchsorted(group[in_turn], np.arange(count + 1))
    first, last = minute[in_turn[begins[:-1]]], minute[in_turn[begins[1:] - 1]]
    columns = (edge[example], last, first, known, *sums)
    found = zip(version[example].tolist(), *(each.tolist() for each in columns), strict=True)
    return [[id_, versions[which], *row] for which, id_, *row in found]


def _joined(past: EvidenceRows, recent: EvidenceRows, passed_s: int) -> EvidenceRows:
    """Return the rows of both, the past having faded for so long since it ended."""
    fading = 0.5 ** (passed_s / HALF_LIFE_S)
    factors = [1.0] * (len(OF_JOURNEY) + len(SUMS)) + [fading**power for power in SUMS.values()]
    found: dict[str, Sequence[Row]] = dict(recent)
    for journey, rows in past.items():
        newer = {(row[0], row[1]): row for row in recent.get(journey, ())}
        joined = [_added(row, factors, newer.pop((row[0], row[1]), None)) for row in rows]
        found[journey] = [*joined, *newer.values()]
    return found


def _added(row: Row, factors: Sequence[float], newer: Row | None) -> Row:
    edge, version, last_s, first_s, is_known, *sums = row
    faded = [value * factor for value, factor in zip(sums, factors, strict=True)]
    if newer is None:
        return [edge, version, last_s, first_s, is_known, *faded]
    both = [a + b for a, b in zip(faded, newer[FIRST_SUM:], strict=True)]
    return [edge, version, newer[2], first_s, max(is_known, newer[4]), *both]
