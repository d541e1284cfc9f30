"""Whose context work is done in: that of who handed it over. Used by every module of `cpdd.handover`."""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Generic, ParamSpec, TypeVar

from opentelemetry import trace
from opentelemetry.context import Context, attach, detach, get_current

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")

_given: ContextVar[Context | None] = ContextVar("cpdd-given", default=None)
"""What this thread or task was started with: as long as it is current, no span of its own is open."""
_taken: ContextVar[tuple[Context, int] | None] = ContextVar("cpdd-taken", default=None)
"""What it took over with the last item, and the id of the queue that the item came from."""


def run_inside(context: Context, function: Callable[[], _Result]) -> _Result:
    """Return what `function` returns in that context."""
    token, mark = attach(context), _given.set(context)
    try:
        return function()
    finally:
        _given.reset(mark)
        detach(token)


def mark_given() -> None:
    """Say that the current context is what this task was started with."""
    _given.set(get_current())


class Bound(Generic[_Parameters, _Result]):
    """A function to be called elsewhere in this process, in the context of here."""

    __slots__ = ("_context", "function")

    def __init__(self, function: Callable[_Parameters, _Result]) -> None:
        self.function = function
        self._context = get_current()

    def __call__(self, *args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        return run_inside(self._context, lambda: self.function(*args, **kwargs))


def take_over(context: Context, source: object) -> None:
    """Go on in the context of the item that was just taken from a queue, until the next is taken from there.

    Who is inside a span that is still open keeps it: a request that waits for its answer is no worker. So does who
    was started by such a span, until that has ended, and who is at work on an item of another queue.
    """
    current, taken = get_current(), _taken.get()
    if taken is not None and current is taken[0]:
        may = taken[1] == id(source)
    else:
        may = not current or bool(context and _is_over(current))
    if may:
        attach(context)
        _taken.set((context, id(source)))


def let_go(source: object) -> None:
    """Leave the context of the last item of this queue: its work is done when the next is asked for."""
    taken = _taken.get()
    if taken is not None and taken[1] == id(source) and get_current() is taken[0]:
        attach(Context())
        _taken.set(None)


def _is_over(context: Context) -> bool:
    """Whether the span that somebody was started in has ended, or never was one that records."""
    span = trace.get_current_span(context)
    if getattr(span, "end_time", None) is not None:
        return True
    return context is _given.get() and not span.is_recording()
