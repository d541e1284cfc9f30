"""`ProcessPoolExecutor.submit`, with it `map`: the context is pickled with the work, and spans leave before the worker.

The worker traces where the parent did: a forked one by itself, a spawned one if importing the main module calls
`cpdd.init`, or under `cpdd run`.
"""

import multiprocessing.util
import os
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any

from opentelemetry import baggage, trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, set_span_in_context

from cpdd.failures import tell
from cpdd.handover.carry import run_inside
from cpdd.handover.patch import Method, Patch
from cpdd.requirement import Declared, declare_again, declared

_flushing_in: set[int] = set()
"""Processes, by pid, that will send their spans before they end."""


class Carried:
    """A function to be called in another process, with what makes up the context of here."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.span: SpanContext = trace.get_current_span().get_span_context()
        self.baggage = dict(baggage.get_all())
        self.declared: Declared | None = declared()

    def context(self) -> Context:
        """The context as it is put together over there."""
        inside = Context()
        if self.span.is_valid:
            far = SpanContext(self.span.trace_id, self.span.span_id, True, self.span.trace_flags, self.span.trace_state)
            inside = set_span_in_context(NonRecordingSpan(far), inside)
        for key, value in self.baggage.items():
            inside = baggage.set_baggage(key, value, inside)
        return declare_again(self.declared, inside) if self.declared else inside

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        _flush_at_end()
        return run_inside(self.context(), lambda: self.function(*args, **kwargs))


def _flush_at_end() -> None:
    """Send the worker's spans before it ends: processes of multiprocessing do not run what `atexit` holds."""
    if os.getpid() not in _flushing_in:
        _flushing_in.add(os.getpid())
        multiprocessing.util.Finalize(None, _shut_down, exitpriority=10)


def _shut_down() -> None:
    try:
        shutdown = getattr(trace.get_tracer_provider(), "shutdown", None)
        if shutdown is not None:
            shutdown()
    except Exception as error:
        tell("sending the spans of a worker process", error)


def _submit(original: Method) -> Method:
    def submit(pool: ProcessPoolExecutor, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = original(pool, Carried(function), *args, **kwargs)
        return future

    return submit


PATCHES = (Patch(ProcessPoolExecutor, "submit", _submit),)
