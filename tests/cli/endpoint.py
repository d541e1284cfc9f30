"""An OTLP/HTTP endpoint on a port of its own, which answers what a test tells it to and keeps what it was sent."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


@dataclass
class Answer:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    hangs_up: bool = False
    """Close the connection instead of answering."""
    closes: bool = False
    """Close the connection behind the answer, without saying so."""


def partly(rejected: int, message: str) -> Answer:
    """The answer of an endpoint that took all but a few spans."""
    partial = ExportTracePartialSuccess(rejected_spans=rejected, error_message=message)
    return Answer(200, ExportTraceServiceResponse(partial_success=partial).SerializeToString())


def refusal(status: int, message: str, **headers: str) -> Answer:
    """An answer with a google.rpc.Status; headers have underscores for dashes."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, Status(message=message).SerializeToString(), named)


class Endpoint:
    """What was sent, and what is answered: the given answers in turn, then 200."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.connections = 0
        self.answers_together: threading.Barrier | None = None
        """No request is answered before so many wait for it."""
        self.arrived = threading.Event()
        """Set when a request was answered."""
        self.url = ""

    def spans(self) -> list:
        """The spans of all requests, in order."""
        requests = map(ExportTraceServiceRequest.FromString, self.bodies)
        return [s for r in requests for g in r.resource_spans for scoped in g.scope_spans for s in scoped.spans]


@contextmanager
def endpoint() -> Iterator[Endpoint]:
    """Serve an endpoint on a free port of the loopback address."""
    found = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            found.connections += 1

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.headers.append(dict(self.headers))
            found.bodies.append(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
            if found.answers_together is not None:
                found.answers_together.wait(60)
            answer = found.answers.pop(0) if found.answers else Answer()
            self.close_connection = answer.hangs_up or answer.closes
            if answer.hangs_up:
                return
            self.send_response(answer.status)
            self.send_header("Content-Length", str(len(answer.body)))
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)
            found.arrived.set()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_port}/v1/traces"
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
