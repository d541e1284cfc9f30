"""OTLP/JSON to OTLP protobuf bytes, and back.

OTLP/JSON is not quite proto3 JSON: ids are hex and enums are integers. What is tolerated besides: names of enums,
snake_case, 64-bit numbers as numbers, `batches` (Grafana Tempo), `instrumentationLibrarySpans` (before OTLP 0.15).
Unknown fields are ignored; an unknown kind or status costs that value alone. What cannot be read costs the span in
which it stands, never its neighbours.

Source: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding.
"""

import base64
import binascii
import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from collector.core.formats import protobuf
from collector.core.formats.document import MalformedDocument, parse_json
from collector.core.formats.translation import (
    MAX_TIME_UNIX_NANO,
    Rejection,
    Rejections,
    Translation,
    Unreadable,
    rejection_of,
    shown,
    whole_number,
)

MAX_NESTING = 32
"""Values inside values of one attribute. Protobuf's runtimes read 100 levels of messages, and a map takes three."""

KINDS = (
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
)
STATUS_CODES = ("STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR")

_REQUEST = ("resourceSpans", "resource_spans", "batches")
_GROUP = ("scopeSpans", "scope_spans", "instrumentationLibrarySpans", "instrumentation_library_spans")
_SCOPE_NAMES = ("scope", "instrumentationLibrary", "instrumentation_library")

_NUMBER = re.compile(r"[+-]?([0-9]+(?:\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?|NaN|[+-]?Infinity")

_Write = Callable[[Any], bytes]
"""From a JSON value to bytes: of a field with its tag, or of the content of a message. Raises Unreadable."""


def translate_otlp_json(body: bytes, accept_base64: bool = False) -> Translation:
    """Return the OTLP protobuf bytes of an OTLP/JSON request.

    Args:
        accept_base64: take ids in base64 too, as proto3 JSON writes them. Files may, the wire may not.
    Raises:
        MalformedDocument: the JSON cannot be parsed, or its frame is not that of a request.
    """
    return translate_request(parse_json(body), accept_base64)


def translate_request(request: object, accept_base64: bool = False) -> Translation:
    """Return the OTLP protobuf bytes of a parsed request (ExportTraceServiceRequest or TracesData)."""
    write_span = _SPAN_OF_FILES if accept_base64 else _SPAN
    rejections = Rejections()
    parts: list[bytes] = []
    for i, group in enumerate(_objects(request, _REQUEST, "")):
        place = f"resourceSpans[{i}]"
        frame, odd = _frame(group, (_resource, _schema_url))
        for j, scoped in enumerate(_objects(group, _GROUP, place)):
            scope_frame, scope_odd = _frame(scoped, (_scope, _schema_url))
            for k, span in enumerate(_list(scoped.get("spans"), f"{place}.scopeSpans[{j}].spans")):
                try:
                    if (surrounding := odd or scope_odd) is not None:
                        raise surrounding
                    scope_frame.append(protobuf.sized(b"\x12", write_span(span)))
                except Unreadable as error:
                    rejections.add(_rejection(error, f"{place}.scopeSpans[{j}].spans[{k}]", span, group))
            frame.append(protobuf.sized(b"\x12", b"".join(scope_frame)))
        parts.append(protobuf.sized(b"\x0a", b"".join(frame)))
    return Translation(b"".join(parts), rejections.count, tuple(rejections.kept))


def _objects(holder: object, names: tuple[str, ...], place: str) -> Iterator[dict[str, Any]]:
    """The objects of a list without which the request cannot be read."""
    if not isinstance(holder, dict):
        raise MalformedDocument(f"{shown(holder)} where an object is expected", place)
    place = f"{place}.{names[0]}".removeprefix(".")
    for index, item in enumerate(_list(_first(holder, names), place)):
        if not isinstance(item, dict):
            raise MalformedDocument(f"{shown(item)} where an object is expected", f"{place}[{index}]")
        yield item


def _first(holder: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((holder[name] for name in names if holder.get(name) is not None), None)


def _list(value: object, place: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise MalformedDocument(f"{shown(value)} where an array is expected", place)
    return value


def _frame(holder: Mapping[str, Any], writers: tuple[_Write, ...]) -> tuple[list[bytes], Unreadable | None]:
    """What stands around spans, or why it cannot be read: then none of the spans can be taken."""
    try:
        return [write(holder) for write in writers], None
    except Unreadable as error:
        return [], error


def _rejection(odd: Unreadable, place: str, span: object, group: Mapping[str, Any]) -> Rejection:
    name = span.get("name") if isinstance(span, dict) else ""
    return rejection_of(odd, place, name, _service(group.get("resource")))


def _service(resource: object) -> object:
    """The `service.name` of a resource, unchecked."""
    attributes = resource.get("attributes") if isinstance(resource, dict) else None
    for pair in attributes if isinstance(attributes, list) else ():
        if isinstance(pair, dict) and pair.get("key") == "service.name" and isinstance(pair.get("value"), dict):
            return _first(pair["value"], ("stringValue", "string_value"))
    return None


# Fields: each function returns the writer of one field, which names it where its value is odd.


def _message(fields: dict[str, _Write]) -> _Write:
    """The writer of a message's content, by the names of its fields; both spellings are in the table."""
    table = fields | {_snake(name): write for name, write in fields.items()}
    known = table.get

    def write(value: Any) -> bytes:
        if type(value) is not dict:
            raise Unreadable(f"{shown(value)} where an object is expected")
        return b"".join(
            [write(item) for name, item in value.items() if item is not None and (write := known(name)) is not None]
        )

    return write


def _snake(name: str) -> str:
    return re.sub("([A-Z])", lambda letter: "_" + letter[1].lower(), name)


def _text(name: str, tag: bytes) -> _Write:
    def write(value: Any) -> bytes:
        if type(value) is not str:
            raise Unreadable(f"{name} is {shown(value)}, text expected")
        try:
            return protobuf.text(tag, value)
        except UnicodeEncodeError:
            raise Unreadable(f"{name} is {shown(value)}, which is not UTF-8") from None

    return write


def _hex(name: str, tag: bytes, size: int, required: bool = True) -> _Write:
    """An id of `size` bytes in hex; all zero is no id, which only an optional one may be."""
    zeros = bytes(size)
    digits = 2 * size

    def write(value: Any) -> bytes:
        try:
            content = bytes.fromhex(value) if len(value) == digits else b""
        except (TypeError, ValueError):
            content = b""
        if len(content) != size:
            if value == "" and not required:
                return b""
            raise _odd_id(name, value, size)
        if content == zeros:
            if not required:
                return b""
            raise Unreadable(f"{_snake(name)} is all zero")
        return protobuf.sized(tag, content)

    return write


def _odd_id(name: str, value: object, size: int) -> Unreadable:
    name = _snake(name)
    if not isinstance(value, str):
        return Unreadable(f"{name} is {shown(value)}, {2 * size} hex digits expected")
    if _of_base64(value, size) is not None:
        hint = "is the exporter of {service} sending base64 where OTLP/JSON asks for hex?"
        return Unreadable(f"{name} is {shown(value)}, {2 * size} hex digits expected", hint)
    if re.fullmatch("([0-9a-fA-F]{2})*", value):
        return Unreadable(f"{name} has {len(value) // 2} bytes, {size} expected")
    return Unreadable(f"{name} is {shown(value)}, {2 * size} hex digits expected")


def _hex_or_base64(name: str, tag: bytes, size: int, required: bool = True) -> _Write:
    write_hex = _hex(name, tag, size, required)

    def write(value: Any) -> bytes:
        content = _of_base64(value, size) if isinstance(value, str) else None
        return write_hex(value if content is None else content.hex())

    return write


def _of_base64(value: str, size: int) -> bytes | None:
    """An id that is written in base64 with its padding; no hex id has that length."""
    if len(value) != 4 * math.ceil(size / 3):
        return None
    try:
        content = base64.b64decode(value.replace("-", "+").replace("_", "/"), validate=True)
    except (ValueError, binascii.Error):
        return None
    return content if len(content) == size else None


def _time(name: str, tag: bytes) -> _Write:
    return lambda value: protobuf.fixed64(tag, whole_number(name, value, 0, MAX_TIME_UNIX_NANO))


def _count(name: str, tag: bytes) -> _Write:
    return lambda value: protobuf.number(tag, whole_number(name, value, 0, 2**32 - 1))


def _flags(name: str, tag: bytes) -> _Write:
    return lambda value: protobuf.fixed32(tag, whole_number(name, value, 0, 2**32 - 1))


def _enum(name: str, tag: bytes, names: tuple[str, ...]) -> _Write:
    """A number or a name; one that is unknown counts as 0, as the decoder has it too."""
    numbers = {text: number for number, text in enumerate(names)}

    def write(value: Any) -> bytes:
        if type(value) is str and not value.isdecimal():
            return protobuf.number(tag, numbers.get(value.upper(), 0))
        number = whole_number(name, value)
        return protobuf.number(tag, number if 0 <= number < len(names) else 0)

    return write


def _repeated(name: str, tag: bytes, content: _Write) -> _Write:
    def write(value: Any) -> bytes:
        if type(value) is not list:
            raise Unreadable(f"{name} is {shown(value)}, an array expected")
        return b"".join([protobuf.sized(tag, content(item)) for item in value])

    return write


def _single(tag: bytes, content: _Write) -> _Write:
    return lambda value: protobuf.sized(tag, content(value))


# Attributes


def _attributes(tag: bytes) -> _Write:
    def write(value: Any) -> bytes:
        if type(value) is not list:
            raise Unreadable(f"attributes is {shown(value)}, an array expected")
        return b"".join([_key_value(tag, pair, 0) for pair in value])

    return write


def _key_value(tag: bytes, pair: Any, depth: int) -> bytes:
    if type(pair) is not dict:
        raise Unreadable(f"attribute is {shown(pair)}, an object expected")
    key = pair.get("key", "")
    if type(key) is not str:
        raise Unreadable(f"key of an attribute is {shown(key)}, text expected")
    value = pair.get("value")
    try:
        if type(value) is dict and len(value) == 1 and type(text := value.get("stringValue")) is str:
            return protobuf.text_attribute(tag[0], key, text)
        return protobuf.key_value(tag, key, _any_value(value, depth))
    except Unreadable as error:
        raise Unreadable(f"attribute {shown(key)}: {error.problem}", error.hint) from None
    except UnicodeEncodeError:
        raise Unreadable(f"attribute {shown(key)} is not UTF-8") from None


def _any_value(value: Any, depth: int) -> bytes:
    """The content of an AnyValue; of several kinds the last counts, as in protobuf."""
    if value is None:
        return b""
    if type(value) is not dict:
        raise Unreadable(f'value is {shown(value)}, an object such as {{"stringValue": "…"}} expected')
    content = b""
    for kind, inner in value.items():
        if type(inner) is str and kind == "stringValue":
            content = protobuf.text_value(inner)
        elif inner is not None and (write := _VALUES.get(kind)) is not None:
            content = write(inner, depth + 1)
    return content


def _string(value: Any, depth: int) -> bytes:
    if type(value) is not str:
        raise Unreadable(f"stringValue is {shown(value)}, text expected")
    return protobuf.text_value(value)


def _bool(value: Any, depth: int) -> bytes:
    if type(value) is not bool:
        raise Unreadable(f"boolValue is {shown(value)}, true or false expected")
    return protobuf.bool_value(value)


def _int(value: Any, depth: int) -> bytes:
    return protobuf.int_value(whole_number("intValue", value))


def _double(value: Any, depth: int) -> bytes:
    if type(value) in (int, float) or (type(value) is str and _NUMBER.fullmatch(value)):
        return protobuf.double_value(float(value))
    raise Unreadable(f"doubleValue is {shown(value)}, a number expected")


def _bytes(value: Any, depth: int) -> bytes:
    try:
        padded = value.rstrip("=") + "=" * (-len(value.rstrip("=")) % 4)
        return protobuf.bytes_value(base64.b64decode(padded.replace("-", "+").replace("_", "/"), validate=True))
    except (AttributeError, ValueError):
        raise Unreadable(f"bytesValue is {shown(value)}, base64 expected") from None


def _array(value: Any, depth: int) -> bytes:
    return protobuf.array_value([_any_value(item, depth) for item in _values("arrayValue", value, depth)])


def _map(value: Any, depth: int) -> bytes:
    pairs = _values("kvlistValue", value, depth)
    return protobuf.map_value(b"".join([_key_value(b"\x0a", pair, depth) for pair in pairs]))


def _values(name: str, value: Any, depth: int) -> list[Any]:
    if depth > MAX_NESTING:
        raise Unreadable(f"{name} is nested deeper than {MAX_NESTING}")
    items = value.get("values", []) if type(value) is dict else value
    if type(value) is not dict or type(items) not in (list, type(None)):
        raise Unreadable(f"{name} is {shown(items)}, an object with an array of values expected")
    return items or []


_KINDS_OF_VALUE: dict[str, Callable[[Any, int], bytes]] = {
    "stringValue": _string,
    "boolValue": _bool,
    "intValue": _int,
    "doubleValue": _double,
    "bytesValue": _bytes,
    "arrayValue": _array,
    "kvlistValue": _map,
}
_VALUES = _KINDS_OF_VALUE | {_snake(name): write for name, write in _KINDS_OF_VALUE.items()}


# Messages: the numbers of trace.proto, common.proto and resource.proto


def _span(id_field: Callable[..., _Write]) -> _Write:
    event = {
        "timeUnixNano": _time("timeUnixNano of an event", b"\x09"),
        "name": _text("name of an event", b"\x12"),
        "attributes": _attributes(b"\x1a"),
        "droppedAttributesCount": _count("droppedAttributesCount of an event", b"\x20"),
    }
    link = {
        "traceId": id_field("traceId", b"\x0a", 16, required=False),
        "spanId": id_field("spanId", b"\x12", 8, required=False),
        "traceState": _text("traceState of a link", b"\x1a"),
        "attributes": _attributes(b"\x22"),
        "droppedAttributesCount": _count("droppedAttributesCount of a link", b"\x28"),
        "flags": _flags("flags of a link", b"\x35"),
    }
    status = {
        "message": _text("message of the status", b"\x12"),
        "code": _enum("code of the status", b"\x18", STATUS_CODES),
    }
    fields = {
        "traceId": id_field("traceId", b"\x0a", 16),
        "spanId": id_field("spanId", b"\x12", 8),
        "traceState": _text("traceState", b"\x1a"),
        "parentSpanId": id_field("parentSpanId", b"\x22", 8, required=False),
        "name": _text("name", b"\x2a"),
        "kind": _enum("kind", b"\x30", KINDS),
        "startTimeUnixNano": _time("startTimeUnixNano", b"\x39"),
        "endTimeUnixNano": _time("endTimeUnixNano", b"\x41"),
        "attributes": _attributes(b"\x4a"),
        "droppedAttributesCount": _count("droppedAttributesCount", b"\x50"),
        "events": _repeated("events", b"\x5a", _message(event)),
        "droppedEventsCount": _count("droppedEventsCount", b"\x60"),
        "links": _repeated("links", b"\x6a", _message(link)),
        "droppedLinksCount": _count("droppedLinksCount", b"\x70"),
        "status": _single(b"\x7a", _message(status)),
        "flags": _flags("flags", b"\x85\x01"),
    }
    content = _message(fields)

    def write(value: Any) -> bytes:
        written = content(value)
        for name in ("traceId", "spanId"):
            if value.get(name) is None and value.get(_snake(name)) is None:
                raise Unreadable(f"{_snake(name)} is missing")
        return written

    return write


_SPAN = _span(_hex)
_SPAN_OF_FILES = _span(_hex_or_base64)

_RESOURCE = _message(
    {
        "attributes": _attributes(b"\x0a"),
        "droppedAttributesCount": _count("droppedAttributesCount of the resource", b"\x10"),
    }
)
_SCOPE = _message(
    {
        "name": _text("name of the scope", b"\x0a"),
        "version": _text("version of the scope", b"\x12"),
        "attributes": _attributes(b"\x1a"),
        "droppedAttributesCount": _count("droppedAttributesCount of the scope", b"\x20"),
    }
)
_schema_url = _message({"schemaUrl": _text("schemaUrl", b"\x1a")})


def _resource(group: Mapping[str, Any]) -> bytes:
    """Field 1 of a ResourceSpans."""
    return _field_1(_RESOURCE, group.get("resource"), "resource")


def _scope(scoped: Mapping[str, Any]) -> bytes:
    """Field 1 of a ScopeSpans."""
    return _field_1(_SCOPE, _first(scoped, _SCOPE_NAMES), "scope")


def _field_1(content: _Write, value: Any, name: str) -> bytes:
    try:
        return b"" if value is None else protobuf.sized(b"\x0a", content(value))
    except Unreadable as error:
        raise Unreadable(f"its {name}: {error.problem}", error.hint) from None
