"""Database drivers of the DB-API: the values of a query, where a boost asks for them."""

from typing import Any

from opentelemetry.instrumentation.dbapi import CursorTracer

from cpdd.details import write_parameters
from cpdd.failures import tell
from cpdd.handover.patch import Method, Patch


def _around(original: Method) -> Method:
    def populate(tracer: Any, span: Any, cursor: Any, *args: Any) -> None:
        original(tracer, span, cursor, *args)
        try:
            if len(args) > 1:
                write_parameters(span, args[1])
        except Exception as error:
            tell("the values of a query", error)

    return populate


_PATCH = Patch(CursorTracer, "_populate_span", _around)


def mend() -> None:
    """Let every driver's spans say the values; once for all drivers."""
    _PATCH.apply()
