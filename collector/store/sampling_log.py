"""Changes of sampling policies: who, why, when, and what the writer knew after each.

In the store, and not in a file beside it, because others need it: the analyzer weighs traces of clients that write no
`th` by the rate that was in force, and every collector of one store serves the same policies. Each of them writes
rows of its own; what is in force is in the last row of each, put together (`core.sampling.record`).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import orjson

from collector.store.engine import Store
from collector.store.schema import SAMPLING_LOG, SAMPLING_LOG_WRITERS

RESERVED = "reserved"
"""Action of rows that only keep count of what boosts may still add; no change that people made."""
RECENT_VERSIONS = 100
"""How far behind the newest version the last row of a writer may be; what is in older ones, others have taken up."""


@dataclass(frozen=True, slots=True)
class Change:
    """One row of the log."""

    version: int
    at_unix_ms: int
    action: str
    policy: str
    """Id of what was changed; empty where all were replaced."""
    author: str
    reason: str
    change: str
    """What was done, in words."""


class SamplingLog:
    """The log of one store. Thread-safe, but for one writer's rows, which are written one after the other."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._numbers = count(1)
        with store.client() as client:
            store.define(client, SAMPLING_LOG)
            store.define(client, SAMPLING_LOG_WRITERS)

    def written(self) -> dict[str, int]:
        """Return how many rows there are of each writer; on a cluster, of what was written anywhere."""
        with self._store.client() as client:
            self._store.catch_up(client, "sampling_log")
            rows = client.query("SELECT Writer, count() FROM sampling_log GROUP BY Writer").result_rows
        return {str(writer): int(number) for writer, number in rows}

    def states(self, writers: Collection[str]) -> list[dict[str, Any]]:
        """Return the state after the last row of each of these writers, but for those who wrote long ago."""
        with self._store.client() as client:
            rows = client.query(
                "SELECT argMax(State, (Version, Number, At)) FROM sampling_log "
                "WHERE Writer IN {writers:Array(String)} "
                "AND Version + {recent:UInt32} > (SELECT max(Version) FROM sampling_log) GROUP BY Writer",
                {"writers": list(writers), "recent": RECENT_VERSIONS},
            ).result_rows
        return [orjson.loads(str(state)) for (state,) in rows]

    def append(self, writer: str, change: Change, state: Mapping[str, Any]) -> None:
        """Write a change and the state after it; durable when this returns."""
        row = {
            "Version": change.version,
            "At": change.at_unix_ms / 1000,
            "Action": change.action,
            "Policy": change.policy,
            "Author": change.author,
            "Reason": change.reason,
            "Change": change.change,
            "State": orjson.dumps(state).decode(),
            "Writer": writer,
            "Number": next(self._numbers),
        }
        with self._store.client() as client:
            self._store.insert(client, "sampling_log", list(row), [orjson.dumps(row)], "JSONEachRow")

    def changes(self, limit: int = 100) -> Sequence[Change]:
        """Return the changes that people made, the newest first."""
        with self._store.client() as client:
            rows = client.query(
                "SELECT Version, toUnixTimestamp64Milli(At), Action, Policy, Author, Reason, Change FROM sampling_log "
                "WHERE Action != {reserved:String} ORDER BY Version DESC, At DESC LIMIT {limit:UInt32}",
                {"reserved": RESERVED, "limit": limit},
            ).result_rows
        return [Change(int(row[0]), int(row[1]), *map(str, row[2:])) for row in rows]
