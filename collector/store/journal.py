"""What analyzers of one server hand to each other: how far each share of the traces is analyzed, and which minutes
have to be made anew.

    analyzer -> traces, then dirty_minutes -> the one that writes minutes -> minute rows, then the same row as done
             -> share_cursors, behind what both tables hold -> whoever gets the share next

A minute has traces of all shares and one writer. What is in `dirty_minutes` and not done is done by somebody, so that
an analyzer may forget it. Tables of their own, made here, where alone they are read and written.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from collector.core.shares import Shares
from collector.store.arrow import stream
from collector.store.engine import Store
from collector.store.minutes import LAST_MINUTE

SHARE_CURSORS = """
CREATE TABLE IF NOT EXISTS share_cursors (
    Lane UInt32,
    Share UInt8,
    Sequence UInt64,
    Version UInt64
) ENGINE = ReplacingMergeTree(Version)
ORDER BY (Lane, Share)
SETTINGS fsync_after_insert = 1
"""
DIRTY_MINUTES = """
CREATE TABLE IF NOT EXISTS dirty_minutes (
    Minute DateTime,
    Owner String,
    Done UInt8,
    Version UInt64
) ENGINE = ReplacingMergeTree(Version)
ORDER BY (Minute, Owner, Done)
TTL toDateTime(intDiv(Version, 1000000000)) + INTERVAL 7 DAY
SETTINGS fsync_after_insert = 1
"""


@dataclass(frozen=True, slots=True)
class Dirty:
    """A minute whose traces have changed, as one analyzer said."""

    minute: int
    """Since 1970."""
    owner: str
    version: int
    """Of the last time that it said so."""


class Journal:
    """One analyzer's side. One thread at a time."""

    def __init__(self, store: Store, owner: str = "") -> None:
        """Args:
        owner: its own name among those of the server.
        """
        self._store = store
        self._owner = owner
        with store.client() as client:
            store.define(client, SHARE_CURSORS)
            store.define(client, DIRTY_MINUTES)

    def load_cursor(self, shares: Shares) -> dict[int, int]:
        """Return the sequence by lane up to which every one of these shares is analyzed.

        A lane is as far as its slowest share. What was saved for a lane as a whole counts for each.
        """
        with self._store.client() as client:
            self._store.catch_up(client, "analyzer_state", "share_cursors")
            rows = client.query(
                """
                SELECT Lane, min(Sequence) FROM (
                    SELECT Lane, Share, max(Last) AS Sequence FROM (
                        SELECT Lane, arrayJoin({shares:Array(UInt8)}) AS Share, argMax(Sequence, Version) AS Last
                        FROM analyzer_state GROUP BY Lane
                        UNION ALL
                        SELECT Lane, arrayJoin({shares:Array(UInt8)}) AS Share, 0 AS Last
                        FROM (SELECT DISTINCT Lane FROM share_cursors)
                        UNION ALL
                        SELECT Lane, Share, argMax(Sequence, Version) AS Last FROM share_cursors
                        WHERE Share IN {shares:Array(UInt8)} GROUP BY Lane, Share
                    ) GROUP BY Lane, Share
                ) GROUP BY Lane
                """,
                {"shares": sorted(shares)},
            ).result_rows
        return {int(lane): int(sequence) for lane, sequence in rows}

    def save_cursor(self, cursor: Mapping[int, int], shares: Shares, version: int) -> None:
        """Remember that these shares are analyzed, written and announced up to `cursor`, a sequence by lane."""
        if not cursor or not shares:
            return
        rows = [(lane, share, last) for lane, last in cursor.items() for share in sorted(shares)]
        lanes, numbers, sequences = zip(*rows, strict=True)
        columns = {
            "Lane": np.array(lanes, np.uint32),
            "Share": np.array(numbers, np.uint8),
            "Sequence": np.array(sequences, np.uint64),
            "Version": np.full(len(rows), version, np.uint64),
        }
        self._insert("share_cursors", columns)

    def announce(self, minutes: Iterable[int], version: int) -> None:
        """Have the rows of these minutes made anew: what is in `traces` by now will be in them.

        Args:
            version: above that of earlier announcements.
        """
        wanted = sorted({minute for minute in minutes if 0 <= minute <= LAST_MINUTE})
        self._note([Dirty(minute, self._owner, version) for minute in wanted], done=False)

    def outstanding(self) -> list[Dirty]:
        """Return what was announced, by anybody, and is not done."""
        with self._store.client() as client:
            self._store.catch_up(client, "dirty_minutes")
            rows = client.query(
                """
                SELECT intDiv(toUnixTimestamp(Minute), 60), Owner, maxIf(Version, NOT Done) AS Said
                FROM dirty_minutes GROUP BY Minute, Owner HAVING Said > maxIf(Version, Done)
                """
            ).result_rows
        return [Dirty(int(minute), str(owner), int(version)) for minute, owner, version in rows]

    def done(self, dirty: Iterable[Dirty]) -> None:
        """Remember that these minutes were made anew *after* they were read as outstanding."""
        self._note(list(dirty), done=True)

    def _note(self, dirty: list[Dirty], done: bool) -> None:
        if not dirty:
            return
        columns = {
            "Minute": np.array([one.minute * 60 for one in dirty], np.uint32),
            "Owner": [one.owner for one in dirty],
            "Done": np.full(len(dirty), done, np.uint8),
            "Version": np.array([one.version for one in dirty], np.uint64),
        }
        self._insert("dirty_minutes", columns)

    def _insert(self, table: str, columns: Mapping[str, object]) -> None:
        with self._store.client() as client:
            self._store.insert(client, table, list(columns), [stream(columns)], "ArrowStream")
