"""`Server-Timing` on responses, so that a browser, a load balancer or a tester finds the trace of a request.

    Server-Timing: trace;desc=00-4bf9…-00f0…-01, traceparent;desc="00-4bf9…-00f0…-01"
    Access-Control-Expose-Headers: Server-Timing

Set by `cpdd.init` where a contrib instrumentation writes the response; elsewhere wrap the application:
`app = ServerTimingWSGI(app)`, `app = ServerTimingASGI(app)`.
"""

import importlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanContext

from cpdd.failures import contained
from cpdd.propagation.trace_context import write_traceparent

SERVER_TIMING, EXPOSE = "Server-Timing", "Access-Control-Expose-Headers"

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
ASGIApplication = Callable[[Scope, Receive, Send], Awaitable[None]]


def server_timing(span: SpanContext) -> str:
    """Return the header's value: `trace` for load balancers and testers, `traceparent` for the agents in browsers."""
    traceparent = write_traceparent(span)
    return f'trace;desc={traceparent}, traceparent;desc="{traceparent}"'


@contained("turning on Server-Timing", instead=None)
def turn_on_server_timing(environ: Mapping[str, str]) -> None:
    """Let the contrib instrumentations write it, unless CPDD_SERVER_TIMING is off or somebody has set another."""
    if environ.get("CPDD_SERVER_TIMING", "").strip().lower() in ("off", "false", "0", "no"):
        return
    try:
        propagators = importlib.import_module("opentelemetry.instrumentation.propagators")
    except ImportError:  # no instrumentation is installed
        return
    if propagators.get_global_response_propagator() is None:
        propagators.set_global_response_propagator(ServerTimingPropagator())


class ServerTimingPropagator:
    """The response propagator of the contrib instrumentations, which call it as headers are about to be sent."""

    def inject(self, carrier: Any, context: Context | None = None, setter: object = None) -> None:
        """Add both headers to a response; none where no span is current. Raises nothing.

        The instrumentation's setter is not used: it puts our header behind the application's own of that name, and
        nginx 1.22 reads the first.
        """
        _add(carrier, context)


class ServerTimingWSGI:
    """A WSGI application whose responses name their trace."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Callable[[bytes], object]:
            if not any(name.lower() == "server-timing" and "traceparent;" in value for name, value in headers):
                _add(headers)
            return start_response(status, headers, *error)

        return self._app(environ, start)


class ServerTimingASGI:
    """An ASGI application whose HTTP responses name their trace."""

    def __init__(self, app: ASGIApplication) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_named(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start" and not _is_named(message):
                _add(message)
            await send(message)

        await self._app(scope, receive, send_named if scope["type"] == "http" else send)


@contained("Server-Timing", instead=None)
def _add(carrier: Any, context: Context | None = None) -> None:
    span = trace.get_current_span(context).get_span_context()
    if not span.is_valid:
        return
    for name, value in ((EXPOSE, SERVER_TIMING), (SERVER_TIMING, server_timing(span))):
        if isinstance(carrier, list):  # of WSGI
            carrier.insert(0, (name, value))
        elif "type" in carrier:  # a message of ASGI
            carrier["headers"] = [(name.lower().encode(), value.encode()), *(carrier.get("headers") or ())]
        else:  # a response that holds one value a name, as Django's
            said = carrier.get(name)
            carrier[name] = f"{value}, {said}" if said else value


def _is_named(message: MutableMapping[str, Any]) -> bool:
    pairs = message.get("headers") or ()
    return any(bytes(name).lower() == b"server-timing" and b"traceparent;" in bytes(value) for name, value in pairs)
