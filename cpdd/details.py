"""What spans tell only while a boost asks for it: values of queries, attributes, spans of functions.

A trace says so in tracestate, and this program's sampler must know a live boost that does: what a stranger writes in a
header turns nothing up. Spans of other traces pay for one look at their tracestate, unsampled ones for nothing.
"""

import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import SpanContext
from opentelemetry.util.types import AttributeValue

from cpdd.detail_letters import LETTERS, Detail, common, detail_in
from cpdd.failures import contained, tell
from cpdd.function_spans import FunctionSpans
from cpdd.source import SourceFinder

MAX_PARAMETERS = 32
MAX_VALUE_CHARS = 256
MAX_FRAMES = 32

_turned_up: Callable[[], str] = lambda: ""  # noqa: E731  the letters of this program's live boosts


def is_detailed(detail: Detail, span: SpanContext) -> bool:
    """Return whether a boost that is live asks for this detail of the span's trace."""
    return LETTERS[detail] in detail_in(span.trace_state) and LETTERS[detail] in _turned_up()


@contained("an attribute of cpdd.detail", instead=None)
def detail(key: str, value: AttributeValue | Callable[[], AttributeValue]) -> None:
    """Say an attribute of the current span, in traces of a boost that asks for `attributes`.

        cpdd.detail("cart.items", lambda: [item.sku for item in cart])

    Args:
        value: or a function that works it out, which is called where it is asked for and nowhere else.
    """
    span = trace.get_current_span()
    if span.is_recording() and is_detailed("attributes", span.get_span_context()):
        span.set_attribute(key, value() if callable(value) else value)


class DetailProcessor(SpanProcessor):
    """Writes the detail of spans as they start, and lets functions have spans below those that begin in this program.

    Args:
        turned_up: the letters of what live boosts ask for, as far as this program grants it.
    """

    def __init__(self, turned_up: Callable[[], str], tracer: trace.Tracer, finder: SourceFinder) -> None:
        global _turned_up
        _turned_up = self._turned_up = turned_up
        self._finder = finder
        self._functions = FunctionSpans(tracer, finder)

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        try:
            context = span.get_span_context()
            asked = detail_in(context.trace_state)
            if not asked or not (letters := common(asked, self._turned_up())):
                return
            if LETTERS["attributes"] in letters:
                span.set_attributes(self._attributes())
            if LETTERS["function_spans"] in letters:
                self._functions.starts(span)
        except Exception as error:
            tell("detail of a span", error)

    def on_end(self, span: ReadableSpan) -> None:
        try:
            self._functions.ends(span)
        except Exception as error:
            tell("spans of functions", error)

    def _attributes(self) -> dict[str, AttributeValue]:
        """The thread, and the lines of the program's own code that led here, the innermost last."""
        frames = [(frame, line) for frame, line in traceback.walk_stack(None) if self._finder.own(frame) is not None]
        lines = [
            f'  File "{frame.f_code.co_filename}", line {line}, in {frame.f_code.co_qualname}'
            for frame, line in islice(frames, MAX_FRAMES)
        ]
        thread = threading.current_thread()
        found: dict[str, AttributeValue] = {"thread.id": thread.ident or 0, "thread.name": thread.name}
        if lines:
            found["code.stacktrace"] = "\n".join(reversed(lines))
        return found


def write_parameters(span: trace.Span, said: object) -> None:
    """Say the values of a query as `db.query.parameter.<name or place>`, where a boost asks for `query_text`."""
    if not span.is_recording() or not is_detailed("query_text", span.get_span_context()):
        return
    named: Mapping[Any, Any]
    match said:
        case Mapping():
            named = said
        case str() | bytes():
            named = {0: said}
        case Sequence():
            named = dict(enumerate(said))
        case _:
            return
    for name, value in islice(named.items(), MAX_PARAMETERS):
        span.set_attribute(f"db.query.parameter.{name}"[:MAX_VALUE_CHARS], str(value)[:MAX_VALUE_CHARS])


@contained("the words of a Redis command", instead=None)
def write_command(span: trace.Span, client: object, args: Sequence[Any], options: object) -> None:
    """Say the arguments of a Redis command; the instrumentation's own text has question marks for them."""
    if args and isinstance(args[0], str | bytes):
        write_parameters(span, args[1:])
