"""A collector that keeps what it is sent: OTLP over HTTP on a real port, for tests of programs that export."""

import gzip
import http.server
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import TracebackType

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

KINDS = ("", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
ERROR = 2


@dataclass
class Span:
    """A span as it arrived, with its resource; children are linked when a trace is put together."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: str
    trace_state: str
    start_ns: int
    end_ns: int
    failed: bool
    attributes: dict[str, object]
    resource: dict[str, object]
    links: tuple[tuple[str, object], ...]
    """Span id and `cpdd.link.type` of each."""
    children: list["Span"] = field(default_factory=list)

    @property
    def service(self) -> object:
        return self.resource["service.name"]

    def walk(self) -> Iterable["Span"]:
        yield self
        for child in self.children:
            yield from child.walk()

    def find(self, service: str, name: str) -> list["Span"]:
        return [span for span in self.walk() if (span.service, span.name) == (service, name)]


class Sink:
    """Listens while it is entered; `wait_for` returns when enough has come."""

    def __enter__(self) -> "Sink":
        self._spans: dict[tuple[str, str], Span] = {}
        self._changed = threading.Condition()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def add(self, request: ExportTraceServiceRequest) -> None:
        with self._changed:
            for span in _spans(request):
                self._spans[span.trace_id, span.span_id] = span
            self._changed.notify_all()

    def spans(self) -> list[Span]:
        with self._changed:
            return list(self._spans.values())

    def roots(self) -> list[Span]:
        """The roots of the traces so far, children linked in order of start; without spans whose parent is missing."""
        spans = {(span.trace_id, span.span_id): span for span in self.spans()}
        for span in spans.values():
            span.children = []
        roots = []
        for span in sorted(spans.values(), key=lambda span: span.start_ns):
            parent = spans.get((span.trace_id, span.parent_id))
            (parent.children if parent else roots).append(span)
        return [span for span in roots if not span.parent_id]

    def wait_for(self, enough: Callable[[], object], timeout_s: float = 60.0) -> None:
        """Return when `enough()` is true, which is asked whenever spans arrive. Raises TimeoutError."""
        with self._changed:  # else what comes between the question and the wait wakes nobody
            if not self._changed.wait_for(enough, timeout_s):
                raise TimeoutError(f"not enough after {timeout_s} s")


def _handler(sink: Sink) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            sink.add(ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    return Handler


def _spans(request: ExportTraceServiceRequest) -> Iterable[Span]:
    for resource_spans in request.resource_spans:
        resource = _values(resource_spans.resource.attributes)
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                yield Span(
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    name=span.name,
                    kind=KINDS[span.kind],
                    trace_state=span.trace_state,
                    start_ns=span.start_time_unix_nano,
                    end_ns=span.end_time_unix_nano,
                    failed=span.status.code == ERROR,
                    attributes=_values(span.attributes),
                    resource=resource,
                    links=tuple(
                        (link.span_id.hex(), _values(link.attributes).get("cpdd.link.type")) for link in span.links
                    ),
                )


def _values(pairs: Iterable[KeyValue]) -> dict[str, object]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value") or "string_value") for pair in pairs}
