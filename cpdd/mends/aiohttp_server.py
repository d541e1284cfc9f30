"""aiohttp servers: baggage that came in, and Server-Timing going out.

The instrumentation starts its span in the context of the caller, but handles the request outside of that context.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from opentelemetry import baggage, context, propagate
from opentelemetry.context import Context
from opentelemetry.instrumentation.aiohttp_server import getter
from opentelemetry.instrumentation.propagators import get_global_response_propagator

from cpdd.failures import tell

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def mend() -> None:
    """Give every application made from now on our middleware, right below that of the instrumentation."""
    make: Any = web.Application.__init__

    def make_with_ours(self: web.Application, *args: Any, **said: Any) -> None:
        make(self, *args, **{**said, "middlewares": [_carry_baggage, *said.get("middlewares", ())]})

    web.Application.__init__ = make_with_ours  # type: ignore[method-assign]


@web.middleware
async def _carry_baggage(request: web.Request, handler: Handler) -> web.StreamResponse:
    token = context.attach(_with_baggage_of(request))
    response: web.StreamResponse | None = None
    try:
        response = await handler(request)
    except web.HTTPException as answer:
        response = answer
        raise
    finally:
        names_trace = get_global_response_propagator()  # type: ignore[no-untyped-call]
        if names_trace is not None and response is not None and not response.prepared:
            names_trace.inject(response.headers)
        context.detach(token)
    return response


def _with_baggage_of(request: web.Request) -> Context:
    """The current context, that of the server's span, with what the caller sent."""
    inside = context.get_current()
    try:
        for key, value in baggage.get_all(propagate.extract(request, Context(), getter)).items():
            inside = baggage.set_baggage(key, value, inside)
    except Exception as error:
        tell("baggage of an aiohttp request", error)
    return inside
