"""Whose turn it is: of several collectors on one server, one analyzes, judges and cleans; when it is gone, the next.

    a  joins ---- beats every 2 s ---- killed
    b      joins --- stands by ---------|<- 10 s ->| its turn

Times are the server's, so that clocks of machines do not matter; how long a beat is valid goes by the process's own
steady clock. A beat is valid for half of the time after which the next one takes over, so that turns do not overlap
but for a round that takes longer than the other half; what two do at once is the same rows, written twice.
"""

import logging
import time
import uuid
from collections.abc import Callable

from clickhouse_connect.driver.client import Client

from collector.background import Background
from collector.store.engine import Store, run

log = logging.getLogger(__name__)

GONE_AFTER_S = 10.0
BEAT_S = 2.0

TURNS = """
CREATE TABLE IF NOT EXISTS turns (
    Id String,
    Beat UInt64,
    JoinedAt DateTime64(6),
    SeenAt DateTime64(6),
    HasLeft UInt8
) ENGINE = ReplacingMergeTree(Beat)
ORDER BY Id
TTL toDateTime(SeenAt) + INTERVAL 1 DAY
"""
"""Created here, where alone it is read and written."""


class Turns(Background):
    """One collector's place in the line. `mine` from any thread."""

    def __init__(
        self, store: Store, gone_after_s: float = GONE_AFTER_S, steady_s: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__("cpdd-turn")
        self._store = store
        self._gone_after_s = gone_after_s
        self._steady_s = steady_s
        self._id = str(uuid.uuid4())
        self._beat = 0
        self._beaten_s = -gone_after_s
        self._is_first = False

    @property
    def mine(self) -> bool:
        """Whether it is this collector's turn, as far as the last beat says and is valid."""
        return self._is_first and self._steady_s() < self._beaten_s + self._gone_after_s / 2

    def beat(self) -> None:
        """Say that this collector is there, and look whose turn it is. Raises the engine's errors."""
        now_s = self._steady_s()
        with self._store.client() as client:
            if now_s >= self._beaten_s + self._gone_after_s:
                self._join(client)  # at the end of the line, and so again after a silence: somebody took over
            else:
                self._say(client)
            self._is_first = self._first(client) == self._id
        self._beaten_s = now_s

    def leave(self) -> None:
        """Let the next one take over at once. Raises the engine's errors."""
        self._is_first = False
        with self._store.client() as client:
            self._say(client, has_left=True)

    def _run(self) -> None:
        while not self._stopping.is_set():
            was_mine = self.mine
            try:
                self.beat()
            except Exception as error:  # the store is away: whoever works on it says so
                log.debug("no beat", extra={"reason": str(error).partition("\n")[0]})
            if self.mine != was_mine:
                log.info("this collector analyzes" if self.mine else "another collector analyzes")
            self._stopping.wait(BEAT_S * self._gone_after_s / GONE_AFTER_S)
        try:
            self.leave()
        except Exception as error:
            log.warning("left without a word, the next takes over later", extra={"reason": str(error)})

    def _join(self, client: Client) -> None:
        self._beat += 1
        run(
            client,
            "INSERT INTO turns (Id, Beat, JoinedAt, SeenAt, HasLeft) "
            "SELECT {id:String}, {beat:UInt64}, now64(6), now64(6), 0",
            {"id": self._id, "beat": self._beat},
        )

    def _say(self, client: Client, has_left: bool = False) -> None:
        self._beat += 1
        run(
            client,
            "INSERT INTO turns (Id, Beat, JoinedAt, SeenAt, HasLeft) "
            "SELECT Id, {beat:UInt64}, JoinedAt, now64(6), {left:UInt8} FROM turns FINAL WHERE Id = {id:String}",
            {"id": self._id, "beat": self._beat, "left": int(has_left)},
        )

    def _first(self, client: Client) -> str:
        """The one that is there for longest. What was seen in the future was seen before a clock was set back."""
        rows = client.query(
            """
            SELECT Id FROM turns FINAL
            WHERE NOT HasLeft AND abs(dateDiff('millisecond', SeenAt, now64(6))) < {gone:UInt32}
            ORDER BY JoinedAt, Id LIMIT 1
            """,
            {"gone": round(self._gone_after_s * 1000)},
        ).result_rows
        return str(rows[0][0]) if rows else ""


def open_turns(store: Store) -> Turns | None:
    """Return the line of a server's collectors; None for an embedded store, which has one process alone."""
    if store.embedded:
        return None
    with store.client() as client:
        run(client, TURNS)
    return Turns(store)
