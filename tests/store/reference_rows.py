"""What a request's rows must be, told by the protobuf runtime and plain Python; and how to read them from the engine.

Rows are dicts by column. A Map is a list of pairs here, since OTLP does not keep a key from standing twice.
"""

import base64
import json
import math
from collections.abc import Iterable, Iterator, Sequence

from clickhouse_connect.driver.client import Client
from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collector.core.spans import STRING_COLUMNS, SpanBatch

KINDS = ("Unspecified", "Internal", "Server", "Client", "Producer", "Consumer")
CODES = ("Unset", "Ok", "Error")
LETTERS = {
    "string_value": "s",
    "bool_value": "b",
    "int_value": "i",
    "double_value": "d",
    "bytes_value": "y",
    "array_value": "a",
    "kvlist_value": "m",
}
NUMBERS = {
    "TraceIdHigh": "trace_id_high",
    "TraceIdLow": "trace_id_low",
    "SpanId": "span_id",
    "ParentSpanId": "parent_span_id",
    "Start": "start_time_unix_nano",
    "End": "end_time_unix_nano",
    "Flags": "flags",
    "Kind": "kind",
    "Status": "status_code",
    "Requirement": "requirement",
    "Outcome": "outcome",
    "FollowsFrom": "follows_from",
    "LinkType": "link_type",
    "LinkTraceIdHigh": "link_trace_id_high",
    "LinkTraceIdLow": "link_trace_id_low",
    "LinkSpanId": "link_span_id",
    "HttpStatus": "http_status",
    "RpcStatus": "rpc_status",
}
TEXTS = (
    "Name",
    "Service",
    "Journey",
    "PeerService",
    "ServerAddress",
    "DbSystem",
    "DbNamespace",
    "MessagingSystem",
    "MessagingDestination",
)

Row = dict[str, object]


def span_rows(body: bytes) -> list[Row]:
    """Return the rows of otel_traces, in the request's order; all its spans are valid."""
    rows = []
    for resource_spans in ExportTraceServiceRequest.FromString(body).resource_spans:
        resource = resource_spans.resource
        for scope_spans in resource_spans.scope_spans:
            scope = scope_spans.scope
            rows += [
                {
                    **_identity(span),
                    "ServiceName": _service(resource.attributes),
                    "ResourceAttributes": _pairs(resource.attributes),
                    "ResourceAttributeTypes": _types(resource.attributes),
                    "ResourceDropped": resource.dropped_attributes_count,
                    "ResourceSchemaUrl": resource_spans.schema_url,
                    "ScopeName": scope.name,
                    "ScopeVersion": scope.version,
                    "ScopeAttributes": _pairs(scope.attributes),
                    "ScopeAttributeTypes": _types(scope.attributes),
                    "ScopeDropped": scope.dropped_attributes_count,
                    "ScopeSchemaUrl": scope_spans.schema_url,
                    "SpanAttributes": _pairs(span.attributes),
                    "SpanAttributeTypes": _types(span.attributes),
                    **_events(span),
                    **_links(span),
                }
                for span in scope_spans.spans
            ]
    return rows


def _identity(span: Span) -> Row:
    start, end = span.start_time_unix_nano, span.end_time_unix_nano
    return {
        "Timestamp": start,
        "TraceId": span.trace_id.hex(),
        "SpanId": span.span_id.hex(),
        "ParentSpanId": span.parent_span_id.hex() if any(span.parent_span_id) else "",
        "TraceState": span.trace_state,
        "SpanName": span.name,
        "SpanKind": KINDS[span.kind] if 0 <= span.kind < len(KINDS) else "Unspecified",
        "Duration": end - start if end > start else 0,
        "StatusCode": CODES[span.status.code] if 0 <= span.status.code < len(CODES) else "Unset",
        "StatusMessage": span.status.message,
        "EndCorrection": 0 if end > start else end - start,
        "TraceFlags": span.flags,
        "DroppedAttributes": span.dropped_attributes_count,
        "DroppedEvents": span.dropped_events_count,
        "DroppedLinks": span.dropped_links_count,
    }


def _events(span: Span) -> Row:
    return {
        "Events.Timestamp": [_signed(event.time_unix_nano) for event in span.events],
        "Events.Name": [event.name for event in span.events],
        "Events.Attributes": [_pairs(event.attributes) for event in span.events],
        "Events.AttributeTypes": [_types(event.attributes) for event in span.events],
        "Events.Dropped": [event.dropped_attributes_count for event in span.events],
    }


def _links(span: Span) -> Row:
    return {
        "Links.TraceId": [link.trace_id.hex() for link in span.links],
        "Links.SpanId": [link.span_id.hex() for link in span.links],
        "Links.TraceState": [link.trace_state for link in span.links],
        "Links.Attributes": [_pairs(link.attributes) for link in span.links],
        "Links.AttributeTypes": [_types(link.attributes) for link in span.links],
        "Links.Dropped": [link.dropped_attributes_count for link in span.links],
        "Links.Flags": [link.flags for link in span.links],
    }


def _service(attributes: Iterable[KeyValue]) -> str:
    """The first usable name counts."""
    for attribute in attributes:
        if attribute.key == "service.name" and attribute.value.string_value:
            return attribute.value.string_value
    return "unknown_service"


def _pairs(attributes: Iterable[KeyValue]) -> list[tuple[str, str]]:
    return [(attribute.key, _text(attribute.value)) for attribute in attributes]


def _types(attributes: Iterable[KeyValue]) -> str:
    letters = "".join(LETTERS.get(attribute.value.WhichOneof("value") or "", "n") for attribute in attributes)
    return letters if set(letters) - {"s"} else ""


def _text(value: AnyValue) -> str:
    match value.WhichOneof("value"):
        case "string_value":
            return value.string_value
        case "bool_value":
            return "true" if value.bool_value else "false"
        case "int_value":
            return str(value.int_value)
        case "double_value":
            return _double(value.double_value)
        case "bytes_value":
            return base64.b64encode(value.bytes_value).decode()
        case "array_value" | "kvlist_value":
            return json.dumps(MessageToDict(value), ensure_ascii=False, separators=(",", ":"))
    return ""


def _double(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return repr(value)


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


def times_rows(body: bytes) -> list[Row]:
    """Return the rows of otel_traces_trace_id_ts: a trace's first and last start, in whole seconds."""
    starts: dict[str, list[int]] = {}
    for row in span_rows(body):
        starts.setdefault(str(row["TraceId"]), []).append(int(str(row["Timestamp"])) // 10**9)
    return [{"TraceId": trace, "Start": min(of), "End": max(of)} for trace, of in starts.items()]


def arrival_rows(batch: SpanBatch, body: bytes, lane: int, first_sequence: int, arrived_at: int) -> list[Row]:
    """Return the rows of span_arrivals: what the columns of the batch say, and of the body the tracestate."""
    states = [str(row["TraceState"]) for row in span_rows(body)]
    return [
        {
            "Lane": lane,
            "Sequence": first_sequence + row,
            "ArrivedAt": arrived_at,
            **{name: int(getattr(batch, column)[row]) for name, column in NUMBERS.items()},
            **{
                name: batch.text(int(getattr(batch, column)[row]))
                for name, column in zip(TEXTS, STRING_COLUMNS, strict=True)
            },
            "Resource": _resource(batch, row),
            "TraceState": next((m for m in map(_trimmed, state.split(",")) if m.startswith("ot=")), ""),
        }
        for row, state in enumerate(states)
    ]


def _trimmed(member: str) -> str:
    return member.strip(" \t")


def _resource(batch: SpanBatch, row: int) -> str:
    resource = batch.resource[row]
    positions = [*batch.resources.host[resource], batch.resources.version[resource]]
    values = [batch.text(int(position)) for position in positions]
    escapes = {0x1E: "\x1e0", 0x1F: "\x1e1"}
    return "\x1f".join(value.translate(escapes) for value in values) if any(values) else ""


# --- the engine


def insert(client: Client, table: str, columns: Sequence[tuple[str, str]], block: bytes) -> None:
    names = [name for name, _ in columns]
    client.raw_insert(table, names, block, fmt="Native", settings={"input_format_skip_unknown_fields": "0"})


def stored_rows(client: Client, table: str, columns: Sequence[tuple[str, str]]) -> list[Row]:
    """Return all rows of a table, in no order."""
    selected = ", ".join(_readable(f"`{name}`", type_name) for name, type_name in columns)
    rows = client.query(f"SELECT {selected} FROM {table}").result_rows
    names = [name for name, _ in columns]
    return [dict(zip(names, map(_plain, row), strict=True)) for row in rows]


def _readable(column: str, type_name: str) -> str:
    """An expression whose value comes through a client unchanged: times as numbers, a Map as pairs."""
    if type_name.startswith("Array("):
        inner = _readable("item", type_name.removeprefix("Array(").removesuffix(")"))
        return column if inner == "item" else f"arrayMap(item -> {inner}, {column})"
    if type_name.startswith("Map("):
        return f"arrayZip(mapKeys({column}), mapValues({column}))"
    if type_name == "DateTime64(9)":
        return f"toUnixTimestamp64Nano({column})"
    if type_name == "DateTime64(3)":
        return f"toUnixTimestamp64Milli({column})"
    return f"toUInt32({column})" if type_name == "DateTime" else column


def _plain(value: object) -> object:
    """Lists all the way down, pairs as tuples."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return tuple(value) if isinstance(value, tuple) else value


def in_order(rows: Iterable[Row]) -> list[str]:
    """Return rows as texts that are equal where names, types and values are, in an order of their own."""
    return sorted(repr(sorted(row.items())) for row in rows)


def requests_of(data: bytes) -> Iterator[bytes]:
    """Yield the requests of a file, each with its length before it as a varint."""
    at = 0
    while at < len(data):
        size = shift = 0
        while True:
            byte = data[at]
            size |= (byte & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if byte < 0x80:
                break
        yield data[at : at + size]
        at += size
