"""Lanes: who writes which numbered row of arrivals, and where each one goes on.

A lane is one inserter of one collector. Its number is its own among all collectors of a store, for ever; its
sequence rises by one a span, so that a reader's cursor is one number a lane.
"""

import secrets
import uuid
from collections.abc import Callable, Collection, Iterator
from itertools import count
from pathlib import Path

from clickhouse_connect.driver.client import Client

from collector.store.engine import Store, run

IDENTITY_FILE = "collector-id"


def claim_lanes(store: Store, client: Client, number: int) -> list[int]:
    """Return `number` lanes that belong to the collector of this data directory.

    Lanes outlive their process: a restart gets the same ones. Two collectors that start at once on one server and
    pick one number both register it; the earlier row counts, the other collector picks again.
    """
    owner = _identity(store.data_dir)
    propose: Callable[[], Iterator[int]] = count if store.embedded else _random_lanes
    while len(mine := _owned(store, client, owner)) < number:
        taken = _all(client)
        free = (lane for lane in propose() if lane not in taken)
        for lane, _ in zip(free, range(number - len(mine)), strict=False):
            run(
                client,
                "INSERT INTO lanes (Lane, Owner) SELECT {lane:UInt32}, {owner:String}",
                {"lane": lane, "owner": owner},
            )
    return mine[:number]


def next_sequences(client: Client, lanes: Collection[int]) -> dict[int, int]:
    """Return the first sequence that each lane may use: above what is stored, and above what was analyzed.

    Both count: arrivals are dropped once they are analyzed, and a sequence below the analyzer's cursor would never
    be read.
    """
    rows = client.query(
        """
        SELECT Lane, max(Sequence) FROM (
            SELECT Lane, Sequence FROM span_arrivals WHERE Lane IN {lanes:Array(UInt32)}
            UNION ALL
            SELECT Lane, Sequence FROM analyzer_state WHERE Lane IN {lanes:Array(UInt32)}
        ) GROUP BY Lane
        """,
        {"lanes": list(lanes)},
    ).result_rows
    last = {int(lane): int(sequence) for lane, sequence in rows}
    return {lane: last.get(lane, 0) + 1 for lane in lanes}


def _identity(data_dir: Path) -> str:
    """The collector's own name, made once; the directory's lock keeps two processes from sharing it."""
    path = data_dir / IDENTITY_FILE
    if not path.exists():
        path.write_text(f"{uuid.uuid4()}\n")
    return path.read_text().strip()


def _random_lanes() -> Iterator[int]:
    while True:
        yield secrets.randbelow(2**32)


def _owned(store: Store, client: Client, owner: str) -> list[int]:
    store.catch_up(client, "lanes")
    rows = client.query(
        """
        SELECT Lane FROM lanes GROUP BY Lane
        HAVING argMin(Owner, (RegisteredAt, Owner)) = {owner:String} ORDER BY Lane
        """,
        {"owner": owner},
    ).result_rows
    return [int(row[0]) for row in rows]


def _all(client: Client) -> set[int]:
    return {int(row[0]) for row in client.query("SELECT DISTINCT Lane FROM lanes").result_rows}
