"""Which propagators this process uses: what OTEL_PROPAGATORS asks for, `tracecontext` and `baggage` being ours."""

import importlib
from collections.abc import Mapping, MutableMapping
from importlib.metadata import entry_points

from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import TextMapPropagator

from cpdd.failures import tell
from cpdd.propagation.baggage import BaggagePropagator, BaggageRules
from cpdd.propagation.trace_context import TraceContextPropagator

_EXTRAS = {"b3", "b3multi", "jaeger", "xray"}
"""Formats for which `pip install "cpdd[propagators]"` brings OpenTelemetry's packages."""


class W3CPropagator(CompositePropagator):
    """Trace context and baggage, both ours: `OTEL_PROPAGATORS=cpdd` where cpdd.init is not what sets them."""

    def __init__(self) -> None:
        super().__init__([TraceContextPropagator(), BaggagePropagator()])


def set_propagator(environ: MutableMapping[str, str]) -> None:
    """Make what OTEL_PROPAGATORS asks for the propagator of this process.

    OpenTelemetry reads the variable as its module is imported, which fails on a name it does not know: then without.
    """
    propagator = propagator_for(environ)
    try:
        module = importlib.import_module("opentelemetry.propagate")
    except ValueError:
        said = environ.pop("OTEL_PROPAGATORS")
        try:
            module = importlib.import_module("opentelemetry.propagate")
        finally:
            environ["OTEL_PROPAGATORS"] = said
    module.set_global_textmap(propagator)


def propagator_for(environ: Mapping[str, str]) -> TextMapPropagator:
    """Return what OTEL_PROPAGATORS asks for (`tracecontext,baggage` where it is unset), those two being ours.

    A name that is not installed is told and left out, so that a slip in a variable never stops a program.
    Where several read the same request, the last that finds something wins, as OpenTelemetry has it.
    """
    names = [name.strip() for name in environ.get("OTEL_PROPAGATORS", "").split(",") if name.strip()]
    if "none" in names:
        return CompositePropagator([])
    parts = [_propagator(name, environ) for name in names or ("tracecontext", "baggage")]
    return CompositePropagator([part for part in parts if part is not None])


def _propagator(name: str, environ: Mapping[str, str]) -> TextMapPropagator | None:
    match name:
        case "tracecontext":
            return TraceContextPropagator()
        case "baggage":
            return BaggagePropagator(BaggageRules.of(environ))
    try:
        found = next(iter(entry_points(group="opentelemetry_propagator", name=name)), None)
        if found is None:
            raise LookupError(f'pip install "cpdd[propagators]" brings {name}' if name in _EXTRAS else "not installed")
        propagator: TextMapPropagator = found.load()()
    except Exception as error:
        tell(f"propagator {name!r} of OTEL_PROPAGATORS", error)
        return None
    return propagator
