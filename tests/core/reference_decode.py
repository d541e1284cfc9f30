"""A slow, obvious decoder: protobuf's own runtime reads every message, plain Python looks at what came out.

It knows nothing of the fast one; `outcome` and `expected_outcome` put both answers into the same words. Where the
runtime forgives what docs/reference/span-batch.md refuses (groups, spans that are not written as messages), its record
of unknown fields is looked at.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory  # type: ignore[import-untyped]
from google.protobuf.message import DecodeError, Message  # type: ignore[import-untyped]
from google.protobuf.unknown_fields import UnknownFieldSet  # type: ignore[import-untyped]
from grpc import StatusCode
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collector.core.spans import HOST_KEYS, LINKS, OUTCOMES, REQUIREMENTS, STRING_COLUMNS, SpanBatch
from collector.core.wire import MalformedRequest, decode_traces, decode_with

GROUP, BYTES = 3, 2
GRPC_CODES = tuple(code.name for code in StatusCode)
NUMBERS = (
    "start_time_unix_nano",
    "end_time_unix_nano",
    "flags",
    "kind",
    "status_code",
    "requirement",
    "outcome",
    "http_status",
    "rpc_status",
)


class Malformed(Exception):
    """The frame around the spans cannot be read."""


@dataclass
class Decoded:
    """Spans as readable rows, and the places of those that were refused."""

    spans: list[dict[str, Any]] = field(default_factory=list)
    rejected: list[str] = field(default_factory=list)
    resources: int = 0
    """Resource spans and scope spans that have any span."""
    scopes: int = 0


def reference_decode(body: bytes) -> Decoded:
    """Return what `decode_traces` should make of `body`; raises Malformed where it should."""
    decoded = Decoded()
    for i, group in enumerate(_parse_frame(_Request, body, 1).items):
        frame = _parse_frame(_Group, group, 2)
        resource = _parse(Resource, frame.head)
        before = len(decoded.spans)
        for j, scoped in enumerate(frame.items):
            place = f"resourceSpans[{i}].scopeSpans[{j}]"
            _decode_scope(decoded, place, frame, resource, _parse_frame(_Group, scoped, 2))
        decoded.resources += len(decoded.spans) > before
    return decoded


def _decode_scope(decoded: Decoded, place: str, group: Any, resource: Any, frame: Any) -> None:
    scope = _parse(InstrumentationScope, frame.head)
    before = len(decoded.spans)
    for k, raw in enumerate(frame.items):
        span = _parse(Span, raw)
        heads_are_good = None not in (resource, scope, _text(group.schema_url), _text(frame.schema_url))
        if span is None or not heads_are_good or not _is_valid(span):
            decoded.rejected.append(f"{place}.spans[{k}]")
            continue
        decoded.spans.append(
            {
                **_span_row(span),
                **_resource_row(resource),
                "resource": (group.head, _text(group.schema_url)),
                "scope": (frame.head, scope.name, scope.version, _text(frame.schema_url)),
                "bytes": raw,
            }
        )
    decoded.scopes += len(decoded.spans) > before


def _text(raw: bytes) -> str | None:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def _parse(kind: type[Message], raw: bytes) -> Any:
    try:
        message = kind.FromString(raw)
    except DecodeError:
        return None
    return None if _has_group(message) else message


def _parse_frame(kind: type[Message], raw: bytes, number: int) -> Any:
    try:
        message = kind.FromString(raw)
    except DecodeError as error:
        raise Malformed from error
    for unknown in UnknownFieldSet(message):
        if unknown.wire_type == GROUP or (unknown.field_number == number and unknown.wire_type != BYTES):
            raise Malformed
    return message


def _has_group(message: Message) -> bool:
    """Whether an unknown field of the message, or of one inside it, is a group."""
    waiting = [message]
    while waiting:
        message = waiting.pop()
        if any(unknown.wire_type == GROUP for unknown in UnknownFieldSet(message)):
            return True
        for descriptor, value in message.ListFields():
            if descriptor.message_type is not None:
                waiting.extend(value if descriptor.is_repeated else [value])
    return False


def _is_valid(span: Span) -> bool:
    return (
        len(span.trace_id) == 16
        and any(span.trace_id)
        and len(span.span_id) == 8
        and any(span.span_id)
        and len(span.parent_span_id) in (0, 8)
        and max(span.start_time_unix_nano, span.end_time_unix_nano) < 2**63
    )


def _span_row(span: Span) -> dict[str, Any]:
    texts = {
        "journey": ["cpdd.journey"],
        "peer_service": ["service.peer.name", "peer.service"],
        "server_address": ["server.address", "net.peer.name"],
        "db_system": ["db.system.name", "db.system", "db.type"],
        "db_namespace": ["db.namespace", "db.name", "db.instance"],
        "messaging_system": ["messaging.system"],
        "messaging_destination": ["messaging.destination.name", "messaging.destination"],
    }
    attributes = span.attributes
    return {
        "trace_id": span.trace_id.hex(),
        "span_id": span.span_id.hex(),
        "parent_span_id": span.parent_span_id.hex() if any(span.parent_span_id) else None,
        "start_time_unix_nano": span.start_time_unix_nano,
        "end_time_unix_nano": span.end_time_unix_nano,
        "flags": span.flags,
        "kind": span.kind if 0 <= span.kind <= 5 else 0,
        "status_code": span.status.code if 0 <= span.status.code <= 2 else 0,
        "name": span.name,
        "requirement": _first(attributes, ["cpdd.call.requirement"], _position_in(REQUIREMENTS), 0),
        "outcome": _first(attributes, ["cpdd.call.outcome"], _position_in(OUTCOMES), 0)
        or _first(attributes, ["response_flags"], _injected, 0),
        "http_status": _first(attributes, ["http.response.status_code", "http.status_code"], _http_status, 0),
        "rpc_status": _first(attributes, ["rpc.grpc.status_code", "rpc.response.status_code"], _rpc_status, -1),
        "follows_from": any(_follows_parent(link, span) for link in span.links),
        "link": _link_that_counts(span),
        **{column: _first(attributes, keys, _usable_text, None) for column, keys in texts.items()},
    }


def _resource_row(resource: Resource) -> dict[str, Any]:
    return {
        "service": _first(resource.attributes, ["service.name"], _usable_text, "unknown_service"),
        "host": tuple(_first(resource.attributes, [key], _usable_text, None) for key in HOST_KEYS),
        "version": _first(resource.attributes, ["service.version"], _usable_text, None),
    }


def _first(attributes: Iterable[KeyValue], keys: list[str], usable: Any, otherwise: Any) -> Any:
    """The first usable value of the first key that has any."""
    for key in keys:
        for pair in attributes:
            if pair.key == key and (value := usable(pair.value)) is not None:
                return value
    return otherwise


def _usable_text(value: AnyValue) -> str | None:
    return value.string_value or None if value.WhichOneof("value") == "string_value" else None


def _position_in(names: tuple[str, ...]) -> Any:
    return lambda value: names.index(text) if (text := _usable_text(value)) in names else None


def _injected(value: AnyValue) -> int | None:
    """Envoy's flags with an injected fault or delay among them."""
    return OUTCOMES.index("injected") if {"FI", "DI"} & set((_usable_text(value) or "").split(",")) else None


def _number(value: AnyValue) -> int | None:
    if value.WhichOneof("value") == "int_value":
        return int(value.int_value)
    text = _usable_text(value) or ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 5 else None


def _http_status(value: AnyValue) -> int | None:
    number = _number(value)
    return number if number is not None and 100 <= number <= 999 else None


def _rpc_status(value: AnyValue) -> int | None:
    text = _usable_text(value) or ""
    for code, name in enumerate(GRPC_CODES):
        if text in (name, name.lower()):
            return code
    number = _number(value)
    return number if number is not None and 0 <= number <= 32767 else None


def _follows_parent(link: Span.Link, span: Span) -> bool:
    kinds = [pair.value.string_value for pair in link.attributes if pair.key == "opentracing.ref_type"]
    has_parent = any(span.parent_span_id)
    same = has_parent and (link.trace_id, link.span_id) == (span.trace_id, span.parent_span_id)
    return same and kinds[:1] == ["follows_from"]


def _link_that_counts(span: Span) -> tuple[int, str, str]:
    """Type, trace id and span id of the first link with a type we know, else of the first link."""
    usable = [link for link in span.links if len(link.trace_id) == 16 and len(link.span_id) == 8 and any(link.span_id)]
    typed = [(_link_type(link), link.trace_id.hex(), link.span_id.hex()) for link in usable]
    return next((link for link in typed if link[0] > 1), typed[0] if typed else (0, "0" * 32, "0" * 16))


def _link_type(link: Span.Link) -> int:
    named = [_usable_text(pair.value) for pair in link.attributes if pair.key == "cpdd.link.type"]
    return next((LINKS.index(text) for text in named if text in ("retry", "hedge", "adopted")), 1)


def readable(batch: SpanBatch) -> list[dict[str, Any]]:
    """The rows of a batch, with texts for numbers, as `reference_decode` gives them."""
    return [_readable_row(batch, row) for row in range(len(batch))]


def _readable_row(batch: SpanBatch, row: int) -> dict[str, Any]:
    def text(index: int) -> str | None:
        return None if index < 0 else batch.strings[index]

    resources, scopes = batch.resources, batch.scopes
    resource, scope = int(batch.resource[row]), int(batch.scope[row])
    return {
        "trace_id": batch.trace_id(row),
        "span_id": batch.span_id_hex(row),
        "parent_span_id": batch.parent_span_id_hex(row),
        **{name: int(getattr(batch, name)[row]) for name in NUMBERS},
        "follows_from": bool(batch.follows_from[row]),
        "link": (
            int(batch.link_type[row]),
            f"{int(batch.link_trace_id_high[row]):016x}{int(batch.link_trace_id_low[row]):016x}",
            f"{int(batch.link_span_id[row]):016x}",
        ),
        **{name: text(int(getattr(batch, name)[row])) for name in STRING_COLUMNS},
        "host": tuple(text(int(index)) for index in resources.host[resource]),
        "version": text(int(resources.version[resource])),
        "resource": (_content(batch, resources, resource), batch.text(int(resources.schema_url[resource]))),
        "scope": (
            _content(batch, scopes, scope),
            batch.text(int(scopes.name[scope])),
            batch.text(int(scopes.version[scope])),
            batch.text(int(scopes.schema_url[scope])),
        ),
        "bytes": _content(batch, batch, row),
    }


def outcome(body: bytes, decoder: ModuleType | None = None) -> object:
    """What the fast decoder makes of bytes, in words that the reference has too.

    Args:
        decoder: the copy of the kernels to use; otherwise `decode_traces` chooses.
    """
    try:
        batch, rejections = decode_traces(body) if decoder is None else decode_with(decoder, body)
    except MalformedRequest:
        return "malformed"
    return readable(batch), [rejection.place for rejection in rejections]


def expected_outcome(body: bytes) -> object:
    try:
        decoded = reference_decode(body)
    except Malformed:
        return "malformed"
    return decoded.spans, decoded.rejected


def _content(batch: SpanBatch, table: Any, row: int) -> bytes:
    return batch.body[int(table.at[row]) : int(table.at[row]) + int(table.size[row])]


def _frame_types() -> tuple[type[Message], type[Message]]:
    """Messages with the fields of the frame, in which the messages inside are bytes and stay unread.

    A resource that comes again replaces the first, as documented; in a message field protobuf would merge them.
    """
    file = descriptor_pb2.FileDescriptorProto(name="reference_frame.proto", package="reference", syntax="proto3")
    one, many = descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL, descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED
    fields = {
        "Request": [("items", 1, many)],
        "Group": [("head", 1, one), ("items", 2, many), ("schema_url", 3, one)],
    }
    for name, members in fields.items():
        message = file.message_type.add(name=name)
        for member, number, label in members:
            message.field.add(
                name=member, number=number, label=label, type=descriptor_pb2.FieldDescriptorProto.TYPE_BYTES
            )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    request, group = (pool.FindMessageTypeByName(f"reference.{name}") for name in fields)
    return message_factory.GetMessageClass(request), message_factory.GetMessageClass(group)


_Request, _Group = _frame_types()
