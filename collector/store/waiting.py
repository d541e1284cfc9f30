"""Which threads work for nobody who waits: their queries let those of others go first (`Store.client`)."""

from collections.abc import Callable
from contextvars import ContextVar

_can_wait: ContextVar[bool] = ContextVar("can_wait", default=False)


def can_wait() -> bool:
    """Return whether the calling thread works for nobody who waits."""
    return _can_wait.get()


def nobody_waits(work: Callable[[], None]) -> Callable[[], None]:
    """Return `work` as the target of a thread whose queries can wait."""

    def target() -> None:
        _can_wait.set(True)  # of this thread alone: each begins with a context of its own
        work()

    return target
