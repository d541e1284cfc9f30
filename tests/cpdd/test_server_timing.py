"""`Server-Timing` on responses: which trace, whatever else the application says, and nothing without a span."""

import asyncio
from typing import Any

from opentelemetry import trace

from cpdd.server_timing import ServerTimingASGI, ServerTimingPropagator, ServerTimingWSGI, server_timing

tracer = trace.get_tracer("tests")


def wsgi_headers(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """What a WSGI application with these headers answers."""
    answered: list[tuple[str, str]] = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", headers)
        return []

    def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
        answered.extend(headers)

    ServerTimingWSGI(app)({}, start)
    return answered


def asgi_headers(headers: list[tuple[bytes, bytes]], kind: str = "http") -> list[tuple[bytes, bytes]]:
    """What an ASGI application with these headers answers."""
    answered: list[tuple[bytes, bytes]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": f"{kind}.response.start", "status": 200, "headers": headers})
        await send({"type": f"{kind}.response.body", "body": b""})

    async def receive() -> Any: ...

    async def send(message: Any) -> None:
        answered.extend(message.get("headers", ()))

    asyncio.run(ServerTimingASGI(app)({"type": kind}, receive, send))
    return answered


def test_a_response_names_its_trace_for_balancers_and_browsers(spans):
    with tracer.start_as_current_span("GET") as span:
        answered = wsgi_headers([("Content-Type", "text/plain")])

    context = span.get_span_context()
    named = f"00-{context.trace_id:032x}-{context.span_id:016x}-03"
    assert answered == [
        ("Server-Timing", f'trace;desc={named}, traceparent;desc="{named}"'),
        ("Access-Control-Expose-Headers", "Server-Timing"),
        ("Content-Type", "text/plain"),
    ]


def test_an_asgi_response_says_the_same(spans):
    with tracer.start_as_current_span("GET") as span:
        answered = asgi_headers([(b"content-type", b"text/plain")])

    assert answered == [
        (b"server-timing", server_timing(span.get_span_context()).encode()),
        (b"access-control-expose-headers", b"Server-Timing"),
        (b"content-type", b"text/plain"),
    ]


def test_what_the_application_times_stays_behind_ours_since_nginx_reads_the_first(spans):
    with tracer.start_as_current_span("GET"):
        answered = wsgi_headers([("Server-Timing", "db;dur=5")])

    assert [value.partition(";")[0] for name, value in answered if name == "Server-Timing"] == ["trace", "db"]


def test_what_an_inner_layer_named_is_not_named_again(spans):
    named = [("server-timing", 'traceparent;desc="00-1-2-01"')]

    with tracer.start_as_current_span("GET"):
        assert wsgi_headers(named) == named
        assert asgi_headers([(b"Server-Timing", named[0][1].encode())]) == [(b"Server-Timing", named[0][1].encode())]


def test_without_a_span_and_for_web_sockets_nothing_is_added(spans):
    assert wsgi_headers([]) == []
    with tracer.start_as_current_span("GET"):
        assert asgi_headers([], kind="websocket") == []


def test_a_response_that_holds_one_value_a_name_keeps_what_was_said(spans):
    response = {"Server-Timing": "db;dur=5", "Access-Control-Expose-Headers": "X-Total"}

    with tracer.start_as_current_span("GET"):
        ServerTimingPropagator().inject(response)

    assert response["Server-Timing"].endswith('", db;dur=5')
    assert response["Access-Control-Expose-Headers"] == "Server-Timing, X-Total"


def test_init_turns_it_on_for_the_instrumentations_that_are_there(run_program):
    program = (
        "import cpdd; cpdd.init(service='x')\n"
        "import flask\napp = flask.Flask('x')\napp.add_url_rule('/', view_func=lambda: 'hello')\n"
        "print('Server-Timing' in app.test_client().get('/').headers)"
    )

    assert run_program(program, OTEL_TRACES_EXPORTER="none") == "True\n"
    assert run_program(program, OTEL_TRACES_EXPORTER="none", CPDD_SERVER_TIMING="off") == "False\n"
