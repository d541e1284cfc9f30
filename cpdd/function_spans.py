"""Spans of the program's own functions, in traces that ask for them: by the interpreter's profile hook, one thread at
a time, from the span that begins in this program to its end.

Functions of libraries, generators and coroutines have none. A function that was quick and started nothing is left out,
and is not looked at any more once it was so often; a trace has at most so many.
"""

import sys
import threading
from dataclasses import dataclass, field
from time import perf_counter_ns
from types import CodeType, FrameType
from typing import Any

from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span
from opentelemetry.trace import set_span_in_context

from cpdd.failures import tell
from cpdd.source import SourceFinder

LEAST_NS = 1_000_000
MAX_FUNCTIONS = 1_000
QUICK_TIMES = 20

_SUSPENDS = 0x20 | 0x80 | 0x200
"""CO_GENERATOR, CO_COROUTINE, CO_ASYNC_GENERATOR: what may leave and come back."""


@dataclass(slots=True)
class _Open:
    """A function that runs."""

    frame: FrameType
    span: trace.Span
    inside: Context
    token: Any
    began_ns: int
    started: int
    """How many spans had been started before it."""


@dataclass(slots=True)
class _Watch:
    """The functions below one span, in the thread in which it began."""

    tracer: trace.Tracer
    finder: SourceFinder
    top: Span
    started: int = 0
    left: int = MAX_FUNCTIONS
    opened: list[_Open] = field(default_factory=list)
    quick: dict[CodeType, int] = field(default_factory=dict)
    own: trace.Span | None = None
    is_opening: bool = False

    def __call__(self, frame: FrameType, event: str, arg: object) -> None:
        """The profile hook. Python calls it for no function that it calls itself."""
        try:
            if event == "call":
                self._enter(frame)
            elif event == "return" and self.opened and self.opened[-1].frame is frame:
                self._leave(self.opened.pop())
        except Exception as error:
            tell("a span of a function", error)
            self.stop()

    def stop(self) -> None:
        """Look at no more functions; those that run have no end that could be seen."""
        if sys.getprofile() is self:
            sys.setprofile(None)
        while self.opened:
            self._leave(self.opened.pop())

    def _enter(self, frame: FrameType) -> None:
        code = frame.f_code
        if code.co_flags & _SUSPENDS or code.co_name.startswith("<") or self.quick.get(code, 0) >= QUICK_TIMES:
            return
        if not self.left or not self.top.is_recording():  # its end may come in another thread
            if not self.opened:
                sys.setprofile(None)
            return
        place = self.finder.own(frame)
        around = trace.get_current_span()
        if place is None or around.get_span_context().trace_id != self.top.get_span_context().trace_id:
            return
        self.left -= 1
        self.is_opening = True
        try:
            span = self.tracer.start_span(
                place.function,
                attributes={
                    "code.function.name": place.function,
                    "code.file.path": place.path,
                    "code.line.number": code.co_firstlineno,
                },
            )
        finally:
            self.is_opening = False
        inside = set_span_in_context(span)
        token = context.attach(inside)
        self.opened.append(_Open(frame, span, inside, token, perf_counter_ns(), self.started))

    def _leave(self, ended: _Open) -> None:
        if context.get_current() is ended.inside:  # else the function left a context behind, on purpose
            context.detach(ended.token)
        if perf_counter_ns() - ended.began_ns >= LEAST_NS or self.started > ended.started:
            ended.span.end()
            self.started += 1
        else:
            code = ended.frame.f_code
            self.quick[code] = self.quick.get(code, 0) + 1


class FunctionSpans:
    """Watches the functions below the spans that begin in this program and ask for it."""

    def __init__(self, tracer: trace.Tracer, finder: SourceFinder) -> None:
        self._tracer = tracer
        self._finder = finder
        self._here = threading.local()

    def starts(self, span: Span) -> None:
        """Take note of a span that asks for functions; those of a thread that something else profiles go without."""
        watch: _Watch | None = getattr(self._here, "watch", None)
        if watch is not None and watch.top.is_recording():
            if not watch.is_opening:
                watch.started += 1
            return
        if (span.parent is None or span.parent.is_remote) and sys.getprofile() in (None, watch):
            self._here.watch = watch = _Watch(self._tracer, self._finder, span)
            sys.setprofile(watch)

    def ends(self, span: ReadableSpan) -> None:
        watch: _Watch | None = getattr(self._here, "watch", None)
        if watch is not None and watch.top.get_span_context() is span.get_span_context():
            watch.stop()
            self._here.watch = None
