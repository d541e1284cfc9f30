"""Whose turn it is: of several collectors on one server, the first judges, writes minutes and cleans; all analyze.

    a  joins ---- beats every 2 s ---- killed
    b      joins --- stands by ---------|<- 10 s ->| its turn, and a's shares of the traces

Times are the server's, so that clocks of machines do not matter; how long a beat is valid goes by the process's own
steady clock. A beat is valid for half of the time after which the next one takes over, so that turns do not overlap
but for a round that takes longer than the other half; what two do at once is the same rows, written twice.
Who analyzes which traces is settled by the same beats (`core.shares`).
"""

import logging
import threading
import time
import uuid
from collections.abc import Callable

from clickhouse_connect.driver.client import Client

from collector.background import Background
from collector.core.shares import NONE, Position, Shares, as_mask, from_mask, settle
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
CLAIMS = "ALTER TABLE turns ADD COLUMN IF NOT EXISTS Claims UInt16"


class Turns(Background):
    """One collector's place in the line. `mine` and `take` from any thread."""

    def __init__(
        self, store: Store, gone_after_s: float = GONE_AFTER_S, steady_s: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__("cpdd-turn")
        self._store = store
        self._gone_after_s = gone_after_s
        self._steady_s = steady_s
        self.id = str(uuid.uuid4())
        """Of this process among those of the server."""
        self._beat = 0
        self._beaten_s = -gone_after_s
        self._is_first = False
        self._owned = self._claimed = self._in_use = NONE
        self._settling = threading.Lock()

    @property
    def mine(self) -> bool:
        """Whether it is this collector's turn, as far as the last beat says and is valid."""
        return self._is_first and self._is_valid()

    @property
    def shares(self) -> Shares:
        """The shares of the traces that are this collector's, as far as the last beat says and is valid."""
        return self._owned if self._is_valid() else NONE

    def take(self) -> Shares:
        """Return the shares to work on from now on, having stopped work on any others.

        Nobody else gets them before this is asked again and returns others.
        """
        with self._settling:
            self._in_use = self.shares
            return self._in_use

    def beat(self) -> None:
        """Say that this collector is there, and look whose turn it is. Raises the engine's errors."""
        now_s = self._steady_s()
        with self._store.client() as client:
            if now_s >= self._beaten_s + self._gone_after_s:
                self._join(client)  # at the end of the line, and so again after a silence: somebody took over
            else:
                self._say(client)
            if not self._is_valid():
                self._owned = NONE  # somebody may have taken them before this beat was written
            members = self._members(client)
            ids = [id for id, _ in members]
            self._is_first = ids[:1] == [self.id]
            claimed = self._settle(Position([claims for _, claims in members], ids.index(self.id)))
            if claimed != self._claimed:
                self._claimed = claimed
                self._say(client)
        self._beaten_s = now_s

    def leave(self) -> None:
        """Let the next one take over at once; nothing may be worked on any more. Raises the engine's errors."""
        self._is_first = False
        self._owned = self._claimed = NONE
        with self._store.client() as client:
            self._say(client, has_left=True)

    def _is_valid(self) -> bool:
        return self._steady_s() < self._beaten_s + self._gone_after_s / 2

    def _settle(self, position: Position) -> Shares:
        """Take what nobody else claims; returns what to claim."""
        with self._settling:
            holding = settle(position, self._owned, self._in_use)
            self._owned = holding.owned
            return holding.claimed

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
            "INSERT INTO turns (Id, Beat, JoinedAt, SeenAt, HasLeft, Claims) "
            "SELECT {id:String}, {beat:UInt64}, now64(6), now64(6), 0, {claims:UInt16}",
            {"id": self.id, "beat": self._beat, "claims": as_mask(self._claimed)},
        )

    def _say(self, client: Client, has_left: bool = False) -> None:
        self._beat += 1
        run(
            client,
            "INSERT INTO turns (Id, Beat, JoinedAt, SeenAt, HasLeft, Claims) "
            "SELECT Id, {beat:UInt64}, JoinedAt, now64(6), {left:UInt8}, {claims:UInt16} "
            "FROM turns FINAL WHERE Id = {id:String}",
            {"id": self.id, "beat": self._beat, "left": int(has_left), "claims": as_mask(self._claimed)},
        )

    def _members(self, client: Client) -> list[tuple[str, Shares]]:
        """Who is there, the one first that is for longest, and what each claims; always with this one.

        What was seen in the future was seen before a clock was set back.
        """
        self._store.catch_up(client, "turns")
        rows = client.query(
            """
            SELECT Id, Claims FROM turns FINAL
            WHERE Id = {id:String}
                OR (NOT HasLeft AND abs(dateDiff('millisecond', SeenAt, now64(6))) < {gone:UInt32})
            ORDER BY JoinedAt, Id
            """,
            {"id": self.id, "gone": round(self._gone_after_s * 1000)},
        ).result_rows
        return [(str(id), from_mask(int(claims))) for id, claims in rows]


def open_turns(store: Store) -> Turns | None:
    """Return the line of a server's collectors; None for an embedded store, which has one process alone."""
    if store.embedded:
        return None
    with store.client() as client:
        store.define(client, TURNS)
        store.define(client, CLAIMS)
    return Turns(store)
