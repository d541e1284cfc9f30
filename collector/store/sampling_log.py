"""Changes of sampling policies: who, why, when, and the whole state after each. The last row is the state in force.

In the store, and not in a file beside it, because others need it: the analyzer weighs traces of clients that write no
`th` by the rate that was in force, and every collector of one store serves the same policies.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from collector.store.engine import Store
from collector.store.schema import SAMPLING_LOG

RESERVED = "reserved"
"""Action of rows that only keep count of what boosts may still add; no change that people made."""


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
    """The log of one store. Thread-safe."""

    def __init__(self, store: Store) -> None:
        self._store = store
        with store.client() as client:
            store.define(client, SAMPLING_LOG)

    def state(self) -> dict[str, Any] | None:
        """Return the state that was written last, None where nothing was ever changed."""
        with self._store.client() as client:
            rows = client.query("SELECT State FROM sampling_log ORDER BY Version DESC, At DESC LIMIT 1").result_rows
        return orjson.loads(str(rows[0][0])) if rows else None

    def append(self, change: Change, state: dict[str, Any]) -> None:
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
