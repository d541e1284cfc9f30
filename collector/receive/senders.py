"""Fair shares between senders: who floods the collector is told to wait while the others go on.

    room |------------------------------|     below half, everybody may send what they like
         |   A   | B |                  |
         |        A         |   B  | ...|     above, each may have its part of the room: A waits, B goes on

A sender is an address. What counts is the bytes of its requests from the first byte to the answer, so that a slow store
counts as well. Whoever is alone has all the room. Knows no socket.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from collector.receive.answers import SenderOverShare, StoreBehind

ACTIVE_S = 5.0
"""A sender that was heard so lately has a part: an SDK sends every 5 s."""
RECOVERS_S = 30.0
"""After pressure elsewhere, the room is as large as before in so much time."""
LEAST_ROOM = 0.1
"""Of the whole room, however great the pressure."""
CROWD = 1_000
"""Senders after which silent ones are forgotten."""


@dataclass(slots=True)
class _Account:
    held: int = 0
    heard_s: float = 0.0


class Senders:
    """What every sender holds; thread-safe."""

    def __init__(self, room: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Args:
        room: bytes that the requests of all senders may hold before shares count in full.
        """
        self._whole = room
        self._room = float(room)
        self._clock = clock
        self._at_s = clock()
        self._used = 0
        self._accounts: dict[str, _Account] = {}
        self._lock = threading.Lock()

    def enter(self, sender: str) -> "Share":
        """Return what one request of `sender` holds: a context manager."""
        return Share(self, sender)

    def hold(self, sender: str, size: int) -> None:
        """Hold `size` bytes more; raises SenderOverShare where the sender has its part already."""
        with self._lock:
            self._recover()
            account = self._heard(sender)
            if self._used + size > self._room / 2 and (senders := self._active()) > 1:
                part = self._room / senders
                if account.held + size > part:
                    raise SenderOverShare(account.held + size, int(part), senders)
            account.held += size
            self._used += size

    def let_go(self, sender: str, size: int) -> None:
        with self._lock:
            self._used -= size
            self._accounts[sender].held -= size

    def pressed(self) -> None:
        """Take in that the room is full before its bytes say so: they grow on their way into the store."""
        with self._lock:
            self._room = max(min(self._room, self._used * 0.9), self._whole * LEAST_ROOM)

    def _recover(self) -> None:
        now_s = self._clock()
        self._room = min(self._room + self._whole * (now_s - self._at_s) / RECOVERS_S, self._whole)
        self._at_s = now_s

    def _heard(self, sender: str) -> _Account:
        if len(self._accounts) > CROWD:
            self._accounts = {name: one for name, one in self._accounts.items() if self._is_active(one)}
        account = self._accounts.setdefault(sender, _Account())
        account.heard_s = self._at_s
        return account

    def _active(self) -> int:
        return sum(map(self._is_active, self._accounts.values()))

    def _is_active(self, account: _Account) -> bool:
        return account.held > 0 or account.heard_s >= self._at_s - ACTIVE_S


class Share:
    """What one request holds of its sender's part; leaving the context gives it back."""

    def __init__(self, senders: Senders, sender: str) -> None:
        self._senders = senders
        self._sender = sender
        self._size = 0

    def grow(self, size: int) -> None:
        self._senders.hold(self._sender, size)
        self._size += size

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, StoreBehind):
            self._senders.pressed()
        if self._size:
            self._senders.let_go(self._sender, self._size)
