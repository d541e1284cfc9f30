"""Versions of rows that replace rows. Near the clock, and each above all before it, whatever the clock does.

A clock is set back: by an operator, by NTP after a boot, by a virtual machine that was restored. Rows written then
would lose against older ones, and what readers see would stand still until the old time comes again.
"""

from collections.abc import Sequence

from clickhouse_connect.driver.client import Client

from collector.store.engine import Store

STEP = 1_000
"""Between two versions where the clock is behind; whoever only marks a row adds 1 (`keeping`)."""


class Versions:
    """Gives out versions for the rows of some tables. One thread at a time."""

    def __init__(self, store: Store, tables: Sequence[str]) -> None:
        self._store = store
        self._tables = tables
        self._newest: int | None = None

    def newest(self) -> int:
        """Return the newest version that was given out or is stored; 0 where there is none."""
        if self._newest is None:
            with self._store.client() as client:
                self._newest = newest_version(client, self._tables)
        return self._newest

    def next(self, now_ns: int) -> int:
        """Return a version for rows that are written now."""
        self._newest = max(now_ns, self.newest() + STEP)
        return self._newest

    def look_again(self) -> None:
        """Read the stored ones anew before the next one is given out: somebody else may have written."""
        self._newest = None


def newest_version(client: Client, tables: Sequence[str]) -> int:
    """Return the newest version in these tables."""
    each = " UNION ALL ".join(f"SELECT max(Version) AS Newest FROM {table}" for table in tables)
    return int(client.query(f"SELECT max(Newest) FROM ({each})").result_rows[0][0])
