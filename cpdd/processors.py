"""The span processor: what cpdd writes on spans as they start, whichever instrumentation starts them.

Runs inside the user's call, for every span: one processor and one write, and what a writer raises is told once.
"""

import sys
from collections.abc import Callable

from opentelemetry import baggage, trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import Span, SpanProcessor
from opentelemetry.trace import SpanKind, TraceFlags

from cpdd.failures import tell
from cpdd.names import CRITICALITY, JOURNEY, REQUIREMENT
from cpdd.requirement import declared
from cpdd.source import SourceFinder

MAX_JOURNEY_CHARS = 128
_CRITICALITIES = frozenset({"critical_plus", "critical", "sheddable_plus", "sheddable"})
_OUTGOING = (SpanKind.CLIENT, SpanKind.PRODUCER)
_INCOMING = (SpanKind.SERVER, SpanKind.CONSUMER)
_SDK_FRAMES = 5
"""From a writer outwards, none of them the user's: on_start, the SDK's on_start, Span.start, Tracer.start_span."""

Said = dict[str, str | int]
Writer = Callable[[Span, Context | None, Said], None]
"""Adds what it has to say of a span that starts in a context, the current one where it is None."""


class StartProcessor(SpanProcessor):
    """Lets each writer say its attributes. One that fails costs its own, and neither the others nor the span."""

    def __init__(self, *writers: Writer) -> None:
        self._writers = writers

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        said: Said = {}
        for write in self._writers:
            try:
                write(span, parent_context, said)
            except Exception as error:
                tell(f"{write} of cpdd", error)
        if said:
            span.set_attributes(said)


def write_journey(span: Span, parent: Context | None, said: Said) -> None:
    """Say `cpdd.journey` and `cpdd.criticality` of baggage. Baggage comes from outside: bounded, and checked."""
    carried = baggage.get_all(parent)
    if not carried:
        return
    journey = carried.get(JOURNEY)
    if isinstance(journey, str) and journey:
        said[JOURNEY] = journey[:MAX_JOURNEY_CHARS]
    criticality = carried.get(CRITICALITY)
    if isinstance(criticality, str) and criticality in _CRITICALITIES:
        said[CRITICALITY] = criticality


def write_requirement(span: Span, parent: Context | None, said: Said) -> None:
    """Say the requirement that a mark declares, on the outgoing spans right below it.

    An outgoing span inside another is the same call seen lower down (urllib3 under requests), and stays unmarked.
    """
    if span.kind not in _OUTGOING:
        return
    here = declared(parent)
    if here is None or getattr(trace.get_current_span(parent), "kind", None) in _OUTGOING:
        return
    said[REQUIREMENT] = here.requirement


class SourceWriter:
    """Says `code.file.path`, `code.line.number` and `code.function.name` of sampled spans that user's code started.

    Not of SERVER and CONSUMER spans: what calls those is a framework's loop.
    """

    def __init__(self, finder: SourceFinder) -> None:
        self._finder = finder

    def __call__(self, span: Span, parent: Context | None, said: Said) -> None:
        if not span.get_span_context().trace_flags & TraceFlags.SAMPLED or span.kind in _INCOMING:
            return
        found = self._finder.find(sys._getframe(_SDK_FRAMES))
        if found is not None:
            place, said["code.line.number"] = found
            said["code.file.path"] = place.path
            said["code.function.name"] = place.function
