"""How long an answer was in the store: `Store.client` notes while it lends, whoever asks counts it."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(slots=True)
class Spent:
    """Time in which at least one client was lent, however many threads had one at once."""

    ns: int = 0
    _lent: int = 0
    _since_ns: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self) -> None:
        with self._lock:
            if not self._lent:
                self._since_ns = time.perf_counter_ns()
            self._lent += 1

    def end(self) -> None:
        with self._lock:
            self._lent -= 1
            if not self._lent:
                self.ns += time.perf_counter_ns() - self._since_ns


_counting: ContextVar[Spent | None] = ContextVar("spent_in_store", default=None)


@contextmanager
def count_spent() -> Iterator[Spent]:
    """Lend what adds up for how long this context has clients of a store, until it ends."""
    spent = Spent()
    token = _counting.set(spent)
    try:
        yield spent
    finally:
        _counting.reset(token)


@contextmanager
def noted() -> Iterator[None]:
    """Note that a client is lent, where anybody counts."""
    spent = _counting.get()
    if spent is None:
        yield
        return
    spent.begin()
    try:
        yield
    finally:
        spent.end()
