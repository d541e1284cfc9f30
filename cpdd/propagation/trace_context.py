"""W3C trace context, Level 2, with the hint whether this call is mandatory. In and out of headers; knows no framework.

What differs from OpenTelemetry's own propagator: two traceparent headers are no traceparent, of two tracestate members
with one key the first stays, the wider keys of Level 2 are kept, and unknown flags do not travel on.
"""

import re

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import (
    CarrierT,
    Getter,
    Setter,
    TextMapPropagator,
    default_getter,
    default_setter,
)
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState, set_span_in_context

from cpdd.failures import tell
from cpdd.names import TRACESTATE_MEMBER
from cpdd.propagation.trace_state import Level2TraceState, with_member
from cpdd.requirement import declared, hint_for_callee

TRACEPARENT, TRACESTATE = "traceparent", "tracestate"

_TRACEPARENT_FORM = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_KNOWN_FLAGS = TraceFlags.SAMPLED | TraceFlags.RANDOM_TRACE_ID


class TraceContextPropagator(TextMapPropagator):
    """traceparent and tracestate as the specification has them; tells callees in tracestate what they are to us."""

    def extract(
        self, carrier: CarrierT, context: Context | None = None, getter: Getter[CarrierT] = default_getter
    ) -> Context:
        """Return the context with the caller's span; as it is where there is no valid traceparent."""
        inside = Context() if context is None else context
        parents = getter.get(carrier, TRACEPARENT)
        # servers join repeated headers with a comma, or hand over all of them: neither is a traceparent
        if not parents or len(parents) > 1:
            return inside
        remote = read_traceparent(parents[0], getter.get(carrier, TRACESTATE) or ())
        return inside if remote is None else set_span_in_context(NonRecordingSpan(remote), inside)

    def inject(
        self, carrier: CarrierT, context: Context | None = None, setter: Setter[CarrierT] = default_setter
    ) -> None:
        """Write the current span's headers; none where there is no valid one."""
        span = trace.get_current_span(context).get_span_context()
        if not span.is_valid:
            return
        setter.set(carrier, TRACEPARENT, write_traceparent(span))
        state: TraceState = span.trace_state
        try:
            state = _with_hint(state, context)
        except Exception as error:
            tell("the hint in tracestate", error)
        if state:
            setter.set(carrier, TRACESTATE, state.to_header())

    @property
    def fields(self) -> set[str]:
        return {TRACEPARENT, TRACESTATE}


def read_traceparent(traceparent: str, tracestates: list[str] | tuple[()] = ()) -> SpanContext | None:
    """Return the remote span that the headers name, None where traceparent is not valid.

    A version to come is read as far as it is known: everything behind the flags is left alone.
    """
    match = _TRACEPARENT_FORM.fullmatch(traceparent.strip(" \t"))
    if match is None:
        return None
    version, trace_id, span_id, flags, more = match.groups()
    if version == "ff" or (version == "00" and more is not None):
        return None
    span = SpanContext(
        int(trace_id, 16),
        int(span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(int(flags, 16) & _KNOWN_FLAGS),
        trace_state=Level2TraceState.from_header(tracestates) if tracestates else Level2TraceState(),
    )
    return span if span.is_valid else None


def write_traceparent(span: SpanContext) -> str:
    """Return the header that names this span."""
    return f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags & _KNOWN_FLAGS:02x}"


def _with_hint(state: TraceState, context: Context | None) -> TraceState:
    """tracestate as it leaves: it says what the callee is to the journey."""
    incoming = state.get(TRACESTATE_MEMBER, "")
    hint = hint_for_callee(incoming, declared(context))
    return state if hint == incoming else with_member(state, TRACESTATE_MEMBER, hint)
