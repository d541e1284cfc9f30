"""How long an answer was in the store: `Store.client` notes for how long it lends, whoever asks counts it."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class Spent:
    ns: int = 0


_counting: ContextVar[Spent | None] = ContextVar("spent_in_store", default=None)


@contextmanager
def count_spent() -> Iterator[Spent]:
    """Lend what adds up for how long this thread has clients of a store, until the context ends."""
    spent = Spent()
    token = _counting.set(spent)
    try:
        yield spent
    finally:
        _counting.reset(token)


def note_spent(ns: int) -> None:
    """Add to what is counted in this thread, if anybody counts."""
    spent = _counting.get()
    if spent is not None:
        spent.ns += ns
