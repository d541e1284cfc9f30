"""Trace context and baggage between processes, as W3C specifies them; what OTEL_PROPAGATORS names beside them stays.

`trace_context`, `trace_state` and `baggage` turn headers into values; `choose` reads the environment.
"""

from cpdd.propagation.baggage import BaggagePropagator, BaggageRules
from cpdd.propagation.choose import W3CPropagator, propagator_for, set_propagator
from cpdd.propagation.trace_context import TraceContextPropagator
from cpdd.propagation.trace_state import Level2TraceState, with_member

__all__ = [
    "BaggagePropagator",
    "BaggageRules",
    "Level2TraceState",
    "TraceContextPropagator",
    "W3CPropagator",
    "propagator_for",
    "set_propagator",
    "with_member",
]
