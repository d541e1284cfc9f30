"""OTLP protobuf bytes from plain values: what every translated format is written with.

Knows the field numbers of trace.proto, common.proto and resource.proto and nothing of the formats that are
translated. Values are trusted: the translators check them, and say in the words of their format what is wrong.

Source: https://github.com/open-telemetry/opentelemetry-proto (1.11).
"""

import struct
from collections.abc import Iterable
from typing import Final

from collector.core.detail import Attributes, Event, Link
from collector.core.spans import AttributeValue

_ONE_BYTE: Final = tuple(bytes([number]) for number in range(128))
_double = struct.Struct("<d").pack
_fixed32 = struct.Struct("<I").pack
_fixed64 = struct.Struct("<Q").pack
_U64: Final = 1 << 64


def varint(number: int) -> bytes:
    """Return a number of 0 or more in base 128.

    >>> varint(300).hex()
    'ac02'
    """
    if number < 128:
        return _ONE_BYTE[number]
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def sized(tag: bytes, content: bytes) -> bytes:
    """Return a length-delimited field."""
    return tag + varint(len(content)) + content


def text(tag: bytes, value: str) -> bytes:
    """Return a string field; raises UnicodeEncodeError for half a surrogate pair."""
    content = value.encode()
    return tag + varint(len(content)) + content


def number(tag: bytes, value: int) -> bytes:
    """Return a varint field; negative numbers as two's complement of 64 bits."""
    return tag + varint(value % _U64)


def fixed64(tag: bytes, value: int) -> bytes:
    return tag + _fixed64(value)


def fixed32(tag: bytes, value: int) -> bytes:
    return tag + _fixed32(value)


# AnyValue: string 1, bool 2, int 3, double 4, array 5, kvlist 6, bytes 7


def text_value(value: str) -> bytes:
    """Return the content of an AnyValue."""
    return text(b"\x0a", value)


def bool_value(value: bool) -> bytes:
    return b"\x10\x01" if value else b"\x10\x00"


def int_value(value: int) -> bytes:
    return number(b"\x18", value)


def double_value(value: float) -> bytes:
    return b"\x21" + _double(value)


def bytes_value(value: bytes) -> bytes:
    return sized(b"\x3a", value)


def array_value(contents: Iterable[bytes]) -> bytes:
    """Return an array of the given AnyValue contents."""
    return sized(b"\x2a", b"".join([sized(b"\x0a", content) for content in contents]))


def map_value(key_values: bytes) -> bytes:
    """Return a map; `key_values` are KeyValue fields of number 1, see `key_value`."""
    return sized(b"\x32", key_values)


def any_value(value: AttributeValue) -> bytes:
    """Return the content of the AnyValue of a plain value; None is the empty one."""
    match value:
        case str():
            return text_value(value)
        case bool():
            return bool_value(value)
        case int():
            return int_value(value)
        case float():
            return double_value(value)
        case bytes():
            return bytes_value(value)
        case list():
            return array_value(map(any_value, value))
        case dict():
            return map_value(b"".join([key_value(b"\x0a", key, any_value(item)) for key, item in value.items()]))
        case None:
            return b""


def key_value(tag: bytes, key: str, value: bytes) -> bytes:
    """Return a KeyValue as a field; `value` is the content of its AnyValue."""
    key_bytes = key.encode()
    content = b"".join((b"\x0a", varint(len(key_bytes)), key_bytes, b"\x12", varint(len(value)), value))
    return tag + varint(len(content)) + content


def text_attribute(tag: int, key: str, value: str) -> bytes:
    """Return a KeyValue with a string as a field of a one-byte tag: the most frequent one, made fast."""
    key_bytes, value_bytes = key.encode(), value.encode()
    key_size, value_size = len(key_bytes), len(value_bytes)
    size = key_size + value_size + 6
    if size < 128:
        parts = (tag, size, key_size, key_bytes, value_size + 2, value_size, value_bytes)
        return b"%c%c\x0a%c%b\x12%c\x0a%c%b" % parts
    return key_value(_ONE_BYTE[tag], key, text_value(value))


def attributes(tag: bytes, pairs: Attributes) -> bytes:
    return b"".join([key_value(tag, key, any_value(value)) for key, value in pairs])


def event(value: Event) -> bytes:
    """Return field 11 of a Span."""
    content = [fixed64(b"\x09", value.time_unix_nano), text(b"\x12", value.name), attributes(b"\x1a", value.attributes)]
    if value.dropped_attributes_count:
        content.append(number(b"\x20", value.dropped_attributes_count))
    return sized(b"\x5a", b"".join(content))


def link(value: Link) -> bytes:
    """Return field 13 of a Span."""
    content = [
        sized(b"\x0a", bytes.fromhex(value.trace_id)),
        sized(b"\x12", bytes.fromhex(value.span_id)),
        text(b"\x1a", value.trace_state),
        attributes(b"\x22", value.attributes),
    ]
    if value.dropped_attributes_count:
        content.append(number(b"\x28", value.dropped_attributes_count))
    if value.flags:
        content.append(fixed32(b"\x35", value.flags))
    return sized(b"\x6a", b"".join(content))


def status(code: int, message: str) -> bytes:
    """Return field 15 of a Span, nothing for an unset status without a message."""
    content = (text(b"\x12", message) if message else b"") + (number(b"\x18", code) if code else b"")
    return sized(b"\x7a", content) if content else b""


def resource(pairs: Attributes) -> bytes:
    """Return field 1 of a ResourceSpans."""
    return sized(b"\x0a", attributes(b"\x0a", pairs))


def scope_spans(name: str, version: str, spans: Iterable[bytes]) -> bytes:
    """Return field 2 of a ResourceSpans; `spans` are the contents of Span messages."""
    scope = (text(b"\x0a", name) if name else b"") + (text(b"\x12", version) if version else b"")
    parts = [sized(b"\x0a", scope)] if scope else []
    parts += [sized(b"\x12", span) for span in spans]
    return sized(b"\x12", b"".join(parts))


def resource_spans(*parts: bytes) -> bytes:
    """Return field 1 of an ExportTraceServiceRequest."""
    return sized(b"\x0a", b"".join(parts))
