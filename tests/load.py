"""Requests like those of a busy collector, made fast enough that the maker is not what a benchmark measures.

One OTLP request is built by the protobuf runtime, as a template: 32 traces through four services, four spans in each
service, ten attributes a span. Every further request is the template with other ids, other times and other values of
`session.id`, written over it in place.
"""

import secrets
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

SERVICES = ("frontend", "checkout", "payment", "ledger")
SPANS_PER_SERVICE = 4
SPANS_PER_TRACE = len(SERVICES) * SPANS_PER_SERVICE
_NAMES = ("POST /{service}", "look up", "compute", "POST")
_KINDS = (Span.SPAN_KIND_SERVER, Span.SPAN_KIND_INTERNAL, Span.SPAN_KIND_INTERNAL, Span.SPAN_KIND_CLIENT)
_TICK_NS = 100_000
_TRACE_TICKS = 40
_SESSION = secrets.token_hex(8)
_TIME_MARK = secrets.randbits(32)
"""The upper halves of all times in the template, so that they can be found in its bytes."""
_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)


@dataclass(frozen=True)
class _Template:
    body: bytes
    trace_ids: NDArray[np.int64]
    """Where the low halves of trace ids lie; shape (n, 8), likewise below."""
    span_ids: NDArray[np.int64]
    """Where span ids and parents' ids lie."""
    times: NDArray[np.int64]
    sessions: NDArray[np.int64]
    """Shape (n, 16)."""


def trace_ids(body: bytes) -> set[str]:
    """Return the ids of the traces in a request of ours, 32 hex digits each."""
    request = ExportTraceServiceRequest.FromString(body)
    return {span.trace_id.hex() for group in request.resource_spans for s in group.scope_spans for span in s.spans}


class RequestMaker:
    """Makes requests of `spans` spans; no id occurs twice, over all makers."""

    def __init__(self, spans: int = 512) -> None:
        if spans % SPANS_PER_TRACE:
            raise ValueError(f"spans is {spans}, a multiple of {SPANS_PER_TRACE} expected")
        self.spans = spans
        self._template = _template(spans // SPANS_PER_TRACE)
        self._random = np.random.default_rng(secrets.randbits(64))

    def make(self, now_ns: int) -> bytes:
        """Return a request whose last span ends at `now_ns`."""
        template = self._template
        body = np.frombuffer(bytearray(template.body), np.uint8)
        mask = np.frombuffer(secrets.token_bytes(8), np.uint8)
        body[template.trace_ids] ^= mask
        body[template.span_ids] ^= mask
        times = body[template.times].view("<u8") + np.uint64(now_ns)
        body[template.times] = times.view(np.uint8)
        digits = self._random.integers(0, 16, template.sessions.shape, dtype=np.uint8)
        body[template.sessions] = _HEX[digits]
        return body.tobytes()


def _template(traces: int) -> _Template:
    """A request whose times are relative to its end, and where in it everything lies that changes."""
    trace_ids = [secrets.token_bytes(16) for _ in range(traces)]
    span_ids = [secrets.token_bytes(8) for _ in range(traces * SPANS_PER_TRACE)]
    message = ExportTraceServiceRequest()
    for depth, service in enumerate(SERVICES):
        group = message.resource_spans.add()
        group.resource.attributes.extend([_text("service.name", service), _text("host.name", f"{service}-7f9c")])
        scoped = group.scope_spans.add()
        scoped.scope.name = "opentelemetry.instrumentation.flask"
        for number, trace_id in enumerate(trace_ids):
            ids = span_ids[number * SPANS_PER_TRACE : (number + 1) * SPANS_PER_TRACE]
            scoped.spans.extend(_spans(depth, trace_id, ids))
    body = bytearray(message.SerializeToString())
    times = _places(body, [_TIME_MARK.to_bytes(4, "little")], before=4, size=8)
    _make_relative(body, times)
    return _Template(
        bytes(body),
        trace_ids=_places(body, [b"\x0a\x10" + trace_id for trace_id in trace_ids], before=-10, size=8),
        span_ids=_places(body, [tag + span_id for span_id in span_ids for tag in (b"\x12\x08", b"\x22\x08")], -2, 8),
        times=times,
        sessions=_places(body, [b"\x0a\x10" + _SESSION.encode()], before=-2, size=len(_SESSION)),
    )


def _places(body: bytearray, needles: list[bytes], before: int, size: int) -> NDArray[np.int64]:
    """The positions of `size` bytes each, from `before` bytes before every occurrence of a needle."""
    found = []
    for needle in needles:
        at = body.find(needle)
        while at >= 0:
            found.append(at - before)
            at = body.find(needle, at + 1)
    return np.array(found)[:, None] + np.arange(size)


def _make_relative(body: bytearray, times: NDArray[np.int64]) -> None:
    """Turn marked offsets from the start of the trace into offsets from its end, modulo 2^64."""
    view = np.frombuffer(body, np.uint8)
    offsets = view[times].view("<u8") & np.uint64(0xFFFF_FFFF)
    view[times] = (offsets - np.uint64(_TRACE_TICKS * _TICK_NS)).view(np.uint8)


def _spans(depth: int, trace_id: bytes, ids: list[bytes]) -> list[Span]:
    """The spans of one service in one trace; each service is called by the last span of the one before."""
    start, end = 3 * depth, _TRACE_TICKS - 3 * depth
    ticks = ((start, end), (start, start + 1), (start + 1, start + 2), (start + 2, end - 1))
    spans = []
    for step, (kind, (begin, finish)) in enumerate(zip(_KINDS, ticks, strict=True)):
        own = depth * SPANS_PER_SERVICE + step
        parent = own - 1 if step == 0 else depth * SPANS_PER_SERVICE
        spans.append(
            Span(
                trace_id=trace_id,
                span_id=ids[own],
                parent_span_id=ids[parent] if own else b"",
                name=_NAMES[step].format(service=SERVICES[depth]),
                kind=kind,
                start_time_unix_nano=_TIME_MARK << 32 | begin * _TICK_NS,
                end_time_unix_nano=_TIME_MARK << 32 | finish * _TICK_NS,
                attributes=_attributes(SERVICES[depth]),
            )
        )
    return spans


def _attributes(service: str) -> list[KeyValue]:
    return [
        _text("http.request.method", "POST"),
        _text("http.route", f"/api/v1/{service}/{{id}}"),
        _text("url.scheme", "http"),
        _text("server.address", f"{service}.shop.svc.cluster.local"),
        KeyValue(key="server.port", value=AnyValue(int_value=8080)),
        _text("network.protocol.version", "1.1"),
        KeyValue(key="http.response.status_code", value=AnyValue(int_value=200)),
        _text("user_agent.original", "python-requests/2.32.5"),
        _text("thread.name", "waitress-3"),
        _text("session.id", _SESSION),
    ]


def _text(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))
