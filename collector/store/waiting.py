"""Who waits for what a thread does: the engine lets the queries of some go before those of others (`Store.client`)."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import Enum, auto

from collector.store.thread_priority import as_others, go_first


class Waits(Enum):
    NOBODY = auto()
    SENDER = auto()
    """Who sent spans, and everybody else of whom nothing was said."""
    READER = auto()
    """Who asked for a page, and goes first."""


LATELY_S = 10.0
"""So long somebody who asked for a page is likely to ask for another."""

_read_at_s = float("-inf")
"""When a query of a page began or ended last, on any thread; of the steady clock."""
_waits: ContextVar[Waits] = ContextVar("waits", default=Waits.SENDER)


def who_waits() -> Waits:
    """Return who waits for what the calling thread does."""
    return _waits.get()


def reader_reads() -> None:
    """Say that a query of a page begins or ends."""
    global _read_at_s
    _read_at_s = time.monotonic()


def readers_lately() -> bool:
    """Return whether a page asked the store for something within LATELY_S."""
    return time.monotonic() - _read_at_s < LATELY_S


def nobody_waits(work: Callable[[], None]) -> Callable[[], None]:
    """Return `work` as the target of a thread for which nobody waits."""

    def target() -> None:
        _waits.set(Waits.NOBODY)  # of this thread alone: each begins with a context of its own
        work()

    return target


@contextmanager
def reader_waits() -> Iterator[None]:
    """A reader waits for what is done in this context: the calling thread goes first, and so do its queries."""
    token = _waits.set(Waits.READER)
    try:
        go_first()
        yield
    finally:
        as_others()
        _waits.reset(token)


@contextmanager
def out_of_turn() -> Iterator[None]:
    """Let the calling thread, which goes first, step back where it works on behalf of others than readers."""
    if who_waits() is Waits.READER:
        yield
        return
    try:
        as_others()
        yield
    finally:
        go_first()
