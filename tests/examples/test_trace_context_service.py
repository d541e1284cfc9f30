"""The service of W3C's test suite under each framework: what real servers make of headers that come more than once."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.ports import free_port

SERVICE = Path(__file__).parents[2] / "examples" / "trace_context_service.py"
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE_ID}-00f067aa0ba902b7-01"
READY_S = 30.0

Headers = list[tuple[str, str]]


class Callback(BaseHTTPRequestHandler):
    """Keeps the headers and the body of what is posted."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.calls.append((self.headers, body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def callback() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Callback)
    server.calls = []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module", params=["flask", "django", "fastapi", "aiohttp"])
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    port = free_port()
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "CPDD_"))}
    service = subprocess.Popen(
        [sys.executable, str(SERVICE), "--framework", request.param, "--port", str(port)],
        env={**environ, "OTEL_TRACES_EXPORTER": "none"},
    )
    try:
        wait_for(port, service)
        yield port
    finally:
        service.send_signal(signal.SIGTERM)
        service.wait(60)


def wait_for(port: int, service: subprocess.Popen[bytes]) -> None:
    """Return when the service takes connections."""
    pause = threading.Event()
    for _ in range(round(READY_S / 0.05)):
        assert service.poll() is None, "the service ended"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            pause.wait(0.05)
        else:
            return
    raise AssertionError(f"no service at {port} after {READY_S} s")


def call(port: int, callback: ThreadingHTTPServer, headers: Headers) -> http.client.HTTPMessage:
    """The headers with which the service calls back when it is called with these."""
    callback.calls.clear()
    body = json.dumps([{"url": f"http://127.0.0.1:{callback.server_port}/here", "arguments": [{"a": 1}]}]).encode()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.putrequest("POST", "/any/where")
    for name, value in [*headers, ("Content-Type", "application/json"), ("Content-Length", str(len(body)))]:
        connection.putheader(name, value)
    connection.endheaders(body)
    assert connection.getresponse().status == 200
    connection.close()
    ((sent, arguments),) = callback.calls
    assert arguments == [{"a": 1}]
    return sent


def trace_id(sent: http.client.HTTPMessage) -> str:
    (traceparent,) = sent.get_all("traceparent")
    return traceparent.split("-")[1]


def test_the_trace_goes_on_with_a_span_of_its_own(port, callback):
    sent = call(port, callback, [("TraceParent", PARENT), ("TRACESTATE", "a@@b= 1,c=2")])

    assert trace_id(sent) == TRACE_ID
    assert sent["traceparent"] != PARENT
    assert sent["tracestate"] == "a@@b= 1,c=2"


def test_two_traceparent_headers_start_a_new_trace(port, callback):
    sent = call(port, callback, [("traceparent", PARENT), ("traceparent", PARENT.replace("4bf", "5bf"))])

    assert trace_id(sent) not in (TRACE_ID, TRACE_ID.replace("4bf", "5bf"))


def test_several_tracestate_headers_are_one_list_and_of_one_key_the_first_stays(port, callback):
    sent = call(
        port,
        callback,
        [("traceparent", PARENT), ("tracestate", "a=1,b=2"), ("tracestate", ""), ("tracestate", "a=3,c=4")],
    )

    assert sent["tracestate"] == "a=1,b=2,c=4"


def test_several_baggage_headers_are_one_list(port, callback):
    sent = call(port, callback, [("traceparent", PARENT), ("baggage", "a=1"), ("baggage", "b=x%20y;p=1")])

    assert sent["baggage"] == "a=1,b=x%20y;p=1"


def test_the_response_names_the_trace(port, callback):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", "/", "[]", {"traceparent": PARENT, "Content-Type": "application/json"})
    response = connection.getresponse()
    connection.close()

    assert f'traceparent;desc="00-{TRACE_ID}-' in response.headers["Server-Timing"]
    assert response.headers["Access-Control-Expose-Headers"] == "Server-Timing"
