"""Spans to the bytes of an OTLP request, protobuf written by hand. Called by the exporter; values only.

Attributes repeat from span to span, so the bytes of each short pair are made once. With source location and marks on
every span this costs less than OpenTelemetry's encoder without them (benchmarks/instrumentation.py). A test holds it
to that encoder's answer, value by value.
Source: opentelemetry-proto 1.11, trace/v1/trace.proto, common/v1/common.proto.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status

from cpdd.failures import tell

MAX_REMEMBERED = 8192
MAX_REMEMBERED_CHARS = 128
"""Longer texts seldom repeat. At both limits, what is remembered takes about 2 MB."""

_KINDS = {kind: bytes((0x30, kind.value + 1)) for kind in SpanKind}
_HAS_IS_REMOTE, _IS_REMOTE = 0x100, 0x200
_TIMES = struct.Struct("<BQBQ")
_FIXED64 = struct.Struct("<BQ")
_DOUBLE = struct.Struct("<Bd")
_VARINTS = [bytes((n,)) if n < 0x80 else bytes((n & 0x7F | 0x80, n >> 7)) for n in range(0x4000)]
_ATTRIBUTE = 0x4A
"""Field 9, the attributes of a span."""

_REPEATED = frozenset({str, int, bool})
"""Types whose values are remembered; of floats, few come twice, and 0.0 equals -0.0."""

_remembered: dict[tuple[type, str, Any], bytes] = {}


def encode_request(spans: Iterable[ReadableSpan]) -> bytes:
    """Return an ExportTraceServiceRequest, grouped by resource and scope. A value that OTLP has no form for is told."""
    groups: dict[tuple[int, int], list[bytes]] = {}
    sources: dict[tuple[int, int], tuple[Resource, InstrumentationScope | None]] = {}
    for span in spans:
        source = span.resource, span.instrumentation_scope
        key = id(source[0]), id(source[1])
        sources.setdefault(key, source)
        groups.setdefault(key, []).append(_field(0x12, encode_span(span)))
    resources: dict[int, list[bytes]] = {}
    for key, encoded in groups.items():
        resources.setdefault(key[0], []).append(_field(0x12, _scope(sources[key][1]) + b"".join(encoded)))
    by_id = {id(resource): resource for resource, _ in sources.values()}
    return b"".join(_field(0x0A, _resource(by_id[key]) + b"".join(scopes)) for key, scopes in resources.items())


def encode_span(span: ReadableSpan) -> bytes:
    """Return the bytes of one Span message."""
    context, parent = span.get_span_context(), span.parent
    assert context is not None
    parts = [b"\x0a\x10", context.trace_id.to_bytes(16, "big"), b"\x12\x08", context.span_id.to_bytes(8, "big")]
    if context.trace_state:
        parts.append(_text(0x1A, ",".join([f"{key}={value}" for key, value in context.trace_state.items()])))
    if parent:
        parts += (b"\x22\x08", parent.span_id.to_bytes(8, "big"))
    parts += (
        _text(0x2A, span.name),
        _KINDS[span.kind],
        _TIMES.pack(0x39, span.start_time or 0, 0x41, span.end_time or 0),
    )
    _add_attributes(parts, span.attributes, _ATTRIBUTE)
    _add_count(parts, 0x50, span.dropped_attributes)
    if span.events:
        parts += [_field(0x5A, _event(event)) for event in span.events]
    _add_count(parts, 0x60, span.dropped_events)
    if span.links:
        parts += [_field(0x6A, _link(link)) for link in span.links]
    _add_count(parts, 0x70, span.dropped_links)
    parts += (_field(0x7A, _status(span.status)), b"\x85\x01", _flags(parent))
    return b"".join(parts)


def _event(event: Event) -> bytes:
    parts = [_FIXED64.pack(0x09, event.timestamp), _text(0x12, event.name)]
    _add_attributes(parts, event.attributes, 0x1A)
    _add_count(parts, 0x20, event.dropped_attributes)
    return b"".join(parts)


def _link(link: Link) -> bytes:
    context = link.context
    parts = [b"\x0a\x10", context.trace_id.to_bytes(16, "big"), b"\x12\x08", context.span_id.to_bytes(8, "big")]
    _add_attributes(parts, link.attributes, 0x22)
    _add_count(parts, 0x28, link.dropped_attributes)
    parts += (b"\x35", _flags(context))
    return b"".join(parts)


def _status(status: Status) -> bytes:
    description = _text(0x12, status.description) if status.description else b""
    return description + (bytes((0x18, status.status_code.value)) if status.status_code.value else b"")


def _flags(parent: SpanContext | None) -> bytes:
    """Whether the parent is in another process; the field's tag is with the caller."""
    remote = parent is not None and parent.is_remote
    return (_HAS_IS_REMOTE | (_IS_REMOTE if remote else 0)).to_bytes(4, "little")


def _resource(resource: Resource) -> bytes:
    parts: list[bytes] = []
    _add_attributes(parts, resource.attributes, 0x0A)
    return _field(0x0A, b"".join(parts)) + (_text(0x1A, resource.schema_url) if resource.schema_url else b"")


def _scope(scope: InstrumentationScope | None) -> bytes:
    if scope is None:
        return _field(0x0A, b"")
    parts = [_text(0x0A, scope.name)] if scope.name else []
    if scope.version:
        parts.append(_text(0x12, scope.version))
    _add_attributes(parts, scope.attributes, 0x1A)
    return _field(0x0A, b"".join(parts)) + (_text(0x1A, scope.schema_url) if scope.schema_url else b"")


def _add_attributes(parts: list[bytes], attributes: Mapping[str, Any] | None, tag: int) -> None:
    if not attributes:
        return
    for key, value in attributes.items():
        pair = _remembered.get((type(value), key, value)) if type(value) in _REPEATED else None
        if pair is None:
            try:
                pair = _pair(key, value)
            except Exception as error:
                tell(f"encoding attribute {key!r}", error)
                continue
        parts.append(bytes((tag,)) if tag != _ATTRIBUTE else b"\x4a")
        parts.append(pair)


def _pair(key: str, value: Any) -> bytes:
    """The length and the bytes of a KeyValue; remembered where it may well come again."""
    said = _text(0x0A, key) + _field(0x12, _value(value))
    pair = _varint(len(said)) + said
    if type(value) in _REPEATED and (not isinstance(value, str) or len(value) <= MAX_REMEMBERED_CHARS):
        if len(_remembered) >= MAX_REMEMBERED:
            _remembered.clear()
        _remembered[type(value), key, value] = pair
    return pair


def _value(value: Any) -> bytes:
    match value:
        case None:
            return b""
        case bool():
            return b"\x10\x01" if value else b"\x10\x00"
        case str():
            return _text(0x0A, value)
        case int():
            if not -(2**63) <= value < 2**63:
                raise ValueError(f"{value} has no form in OTLP, whose integers have 64 bits")
            return b"\x18" + _varint(value & 0xFFFF_FFFF_FFFF_FFFF)
        case float():
            return _DOUBLE.pack(0x21, value)
        case bytes():
            return _field(0x3A, value)
        case Mapping():
            pairs = (_text(0x0A, str(key)) + _field(0x12, _value(said)) for key, said in value.items())
            return _field(0x32, b"".join(_field(0x0A, pair) for pair in pairs))
        case Sequence():
            return _field(0x2A, b"".join(_field(0x0A, _value(said)) for said in value))
    raise TypeError(f"{type(value).__name__} has no form in OTLP")


def _add_count(parts: list[bytes], tag: int, count: int) -> None:
    if count:
        parts.append(bytes((tag,)) + _varint(count))


def _text(tag: int, text: str) -> bytes:
    # a lone surrogate is no UTF-8: it costs its character, not the batch
    return _field(tag, text.encode("utf-8", "replace"))


def _field(tag: int, content: bytes) -> bytes:
    return bytes((tag,)) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    if number < 0x4000:
        return _VARINTS[number]
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
