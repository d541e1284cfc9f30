"""Spans for the store's tests, and a second, slow encoder for them that knows nothing of the first.

The blocks come from clickhouse-connect's own Native writer, so that the store is tested without our encoder, which
`test_native` tests.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from clickhouse_connect.datatypes.registry import get_from_name
from clickhouse_connect.driver.insert import InsertContext
from clickhouse_connect.driver.transform import NativeTransform

from collector.core.spans import HOST_KEYS, OUTCOMES, REQUIREMENTS
from collector.store import native

KINDS = ("Unspecified", "Internal", "Server", "Client", "Producer", "Consumer")
STATUSES = ("Unset", "Ok", "Error")
MINUTE_NS = 60_000_000_000
NOON = 1_760_000_400_000_000_000
"""A whole minute in October 2025."""


@dataclass(frozen=True)
class Span:
    """One span; string attributes only."""

    trace_id: int
    span_id: int
    parent: int = 0
    name: str = "GET /"
    service: str = "shop"
    kind: int = 2
    start: int = NOON
    end: int = NOON + 1_000_000
    status: int = 0
    attributes: Mapping[str, str] = field(default_factory=dict)
    resource: Mapping[str, str] = field(default_factory=dict)
    trace_state: str = ""
    status_message: str = ""
    link: tuple[int, int, int] = (0, 0, 0)
    """Type, trace id and span id of the link that counts; only among the arrivals."""

    @property
    def hex_trace_id(self) -> str:
        return f"{self.trace_id:032x}"


def encode(spans: Sequence[Span]) -> native.EncodedBatch:
    """Return the blocks of the three tables."""
    arrivals = _block(native.ARRIVAL_COLUMNS[3:], [_arrival(span) for span in spans])
    columns, at = _varint(arrivals, 0)
    assert columns == len(native.ARRIVAL_COLUMNS) - 3
    _, at = _varint(arrivals, at)
    return native.EncodedBatch(
        rows=len(spans),
        spans=_block(native.SPAN_COLUMNS, [_row(span) for span in spans]),
        times=_block(native.TIMES_COLUMNS, _times(spans)),
        arrivals=arrivals[at:],
    )


def _row(span: Span) -> dict[str, object]:
    duration = max(span.end - span.start, 0) if span.end else 0
    return {
        "Timestamp": span.start,
        "TraceId": span.hex_trace_id,
        "SpanId": f"{span.span_id:016x}",
        "ParentSpanId": f"{span.parent:016x}" if span.parent else "",
        "TraceState": span.trace_state,
        "SpanName": span.name,
        "SpanKind": KINDS[span.kind],
        "ServiceName": span.service,
        "ResourceAttributes": {"service.name": span.service, **span.resource},
        "SpanAttributes": dict(span.attributes),
        "Duration": duration,
        "StatusCode": STATUSES[span.status],
        "StatusMessage": span.status_message,
        "EndCorrection": span.end - span.start - duration,
        "RpcStatus": -1,
    }


def _times(spans: Sequence[Span]) -> list[dict[str, object]]:
    traces: dict[str, list[int]] = {}
    for span in spans:
        traces.setdefault(span.hex_trace_id, []).append(span.start // 1_000_000_000)
    return [{"TraceId": trace, "Start": min(starts), "End": max(starts)} for trace, starts in traces.items()]


def _arrival(span: Span) -> dict[str, object]:
    attributes = span.attributes
    hosts = [span.resource.get(key, "") for key in HOST_KEYS]
    return {
        "TraceIdHigh": span.trace_id >> 64,
        "TraceIdLow": span.trace_id & (2**64 - 1),
        "SpanId": span.span_id,
        "ParentSpanId": span.parent,
        "Start": span.start,
        "End": span.end,
        "Kind": span.kind,
        "Status": span.status,
        "Requirement": REQUIREMENTS.index(attributes.get("cpdd.call.requirement", "")),
        "Outcome": OUTCOMES.index(attributes.get("cpdd.call.outcome", "")),
        "HttpStatus": int(attributes.get("http.response.status_code", "0")),
        "RpcStatus": int(attributes.get("rpc.grpc.status_code", "-1")),
        "LinkType": span.link[0],
        "LinkTraceIdHigh": span.link[1] >> 64,
        "LinkTraceIdLow": span.link[1] & (2**64 - 1),
        "LinkSpanId": span.link[2],
        "Name": span.name,
        "Service": span.service,
        "Journey": attributes.get("cpdd.journey", ""),
        "PeerService": attributes.get("service.peer.name", ""),
        "ServerAddress": attributes.get("server.address", ""),
        "DbSystem": attributes.get("db.system.name", ""),
        "DbNamespace": attributes.get("db.namespace", ""),
        "MessagingSystem": attributes.get("messaging.system", ""),
        "MessagingDestination": attributes.get("messaging.destination.name", ""),
        "Resource": "\x1f".join([*hosts, ""]) if any(hosts) else "",
        "TraceState": span.trace_state if span.trace_state.startswith("ot=") else "",
    }


def _block(columns: Sequence[tuple[str, str]], rows: Sequence[Mapping[str, object]]) -> bytes:
    types = [get_from_name(type_name) for _, type_name in columns]
    data = [[row.get(name, _default(type_name)) for row in rows] for name, type_name in columns]
    context = InsertContext("t", [name for name, _ in columns], types, data, column_oriented=True, block_size=1 << 30)
    block = b"".join(NativeTransform.build_insert(context))
    if context.insert_exception:
        raise context.insert_exception
    return bytes(block[block.index(b"\n") + 1 :])


def _default(type_name: str) -> object:
    if type_name.startswith(("Array", "Map")):
        return [] if type_name.startswith("Array") else {}
    return "" if "String" in type_name else 0


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
