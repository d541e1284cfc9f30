"""Requests for properties: what senders send, what they send wrong, and what protobuf allows but nobody does.

A request is drawn as protobuf messages, taken apart into fields (`fields_of`), disturbed there (order, repetition,
unknown fields, odd encodings, broken texts) and written by an encoder that writes what it is told (`encode`).
"""

import copy
import random
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

from google.protobuf.message import Message  # type: ignore[import-untyped]
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from collector.core.spans import HOST_KEYS, OUTCOMES, REQUIREMENTS

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

FLAGS = ("FI", "DI", "UH,FI", "DI,UT", "FIX,DID", "fi", ",", "FI,", "UF,URX")
"""Envoy's `response_flags`."""
COLUMN_KEYS = (
    "cpdd.journey",
    "service.peer.name",
    "peer.service",
    "server.address",
    "net.peer.name",
    "db.system.name",
    "db.system",
    "db.namespace",
    "db.name",
    "db.type",
    "db.instance",
    "messaging.system",
    "messaging.destination.name",
    "messaging.destination",
    "http.response.status_code",
    "http.status_code",
    "rpc.grpc.status_code",
    "rpc.response.status_code",
    "cpdd.call.requirement",
    "cpdd.call.outcome",
    "response_flags",
)
NEAR_KEYS = ("client.address", "server.addresses", "db.systems", "xb.name", "rpc.grpc.status-code")


@dataclass
class Field:
    """One field as it goes over the wire; what is inside is a number, bytes, or fields again."""

    number: int
    wire_type: int
    inside: "int | bytes | list[Field]"
    is_text: bool = False


Fields: TypeAlias = list[Field]


def varint(value: int, padding: int = 0) -> bytes:
    """A number from 0 to 2^64-1 (negative ones in two's complement), with `padding` more bytes than it needs."""
    value %= 2**64
    groups = [value >> shift & 0x7F for shift in range(0, max(value.bit_length(), 1), 7)]
    groups += [0] * min(padding, 10 - len(groups))
    return bytes([group | 0x80 for group in groups[:-1]] + groups[-1:])


def encode(fields: Fields, padding: Callable[[], int] = lambda: 0) -> bytes:
    """Write fields in the given order."""
    return b"".join(_encode_field(field, padding) for field in fields)


def _encode_field(field: Field, padding: Callable[[], int]) -> bytes:
    tag = varint(field.number << 3 | field.wire_type, min(padding(), 3))
    match field.inside:
        case int(number) if field.wire_type == VARINT:
            return tag + varint(number, padding())
        case int(number):
            return tag + number.to_bytes(8 if field.wire_type == FIXED64 else 4, "little")
        case bytes(content):
            return tag + varint(len(content), padding()) + content
        case inner:
            content = encode(inner, padding)
            return tag + varint(len(content), padding()) + content


def fields_of(message: Message) -> Fields:
    """Take a message apart."""
    fields = []
    for descriptor, value in message.ListFields():
        for each in value if descriptor.is_repeated else [value]:
            fields.append(_field_of(descriptor, each))
    return fields


def _field_of(descriptor: Any, value: Any) -> Field:
    if descriptor.type == descriptor.TYPE_MESSAGE:
        return Field(descriptor.number, BYTES, fields_of(value))
    if descriptor.type == descriptor.TYPE_STRING:
        return Field(descriptor.number, BYTES, value.encode(), is_text=True)
    if descriptor.type == descriptor.TYPE_BYTES:
        return Field(descriptor.number, BYTES, value)
    if descriptor.type == descriptor.TYPE_DOUBLE:
        return Field(descriptor.number, FIXED64, int.from_bytes(struct.pack("<d", value), "little"))
    if descriptor.type == descriptor.TYPE_FIXED64:
        return Field(descriptor.number, FIXED64, value)
    if descriptor.type == descriptor.TYPE_FIXED32:
        return Field(descriptor.number, FIXED32, value)
    return Field(descriptor.number, VARINT, int(value))


def disturb(fields: Fields, rng: random.Random, chance: float) -> None:
    """Change about `chance` of all fields, in place."""
    for field in list(fields):
        if isinstance(field.inside, list):
            disturb(field.inside, rng, chance)
        if rng.random() < chance:
            rng.choice(DISTURBANCES)(fields, field, rng)


def _shuffle(fields: Fields, field: Field, rng: random.Random) -> None:
    rng.shuffle(fields)


def _repeat(fields: Fields, field: Field, rng: random.Random) -> None:
    """The field again, as it is or changed somewhere inside."""
    again = copy.deepcopy(field)
    fields.insert(rng.randrange(len(fields) + 1), again)
    if isinstance(again.inside, list) and rng.random() < 0.7:
        disturb(again.inside, rng, 0.5)


def _insert_unknown(fields: Fields, field: Field, rng: random.Random) -> None:
    fields.insert(rng.randrange(len(fields) + 1), unknown_field(rng))


def _mistype(fields: Fields, field: Field, rng: random.Random) -> None:
    """The number of a known field with another wire type: unknown to protobuf."""
    fields.append(Field(field.number, rng.choice((VARINT, FIXED64, FIXED32)), rng.getrandbits(31)))


def _spoil_text(fields: Fields, field: Field, rng: random.Random) -> None:
    if field.is_text and isinstance(field.inside, bytes):
        at = rng.randrange(len(field.inside) + 1)
        spoiled = rng.choice((b"\xff", b"\x80", b"\xc0\xaf", b"\xed\xa0\x80", b"\xe2\x82", b"\xf4\x90\x80\x80"))
        field.inside = field.inside[:at] + spoiled + field.inside[at:]


def _retext(fields: Fields, field: Field, rng: random.Random) -> None:
    """Another text, perhaps one that means something."""
    if field.is_text:
        field.inside = rng.choice((*COLUMN_KEYS, *REQUIREMENTS, *OUTCOMES, "OK", "503", "x")).encode()


def _renumber(fields: Fields, field: Field, rng: random.Random) -> None:
    if isinstance(field.inside, int):
        limit = 2**32 if field.wire_type == FIXED32 else 2**64
        field.inside = rng.choice((0, 1, 5, 99, 100, 999, 1000, 2**31, 2**53 + 1, 2**63 - 1, 2**63, -1)) % limit


def _cut(fields: Fields, field: Field, rng: random.Random) -> None:
    """Make bytes of what was a message or a text, and let them end too early."""
    content = encode(field.inside) if isinstance(field.inside, list) else field.inside
    if isinstance(content, bytes) and content:
        field.inside = content[: rng.randrange(len(content))]


def _drop(fields: Fields, field: Field, rng: random.Random) -> None:
    fields.remove(field)


DISTURBANCES = (_shuffle, _repeat, _insert_unknown, _mistype, _spoil_text, _retext, _renumber, _cut, _drop)


def unknown_field(rng: random.Random) -> Field:
    """A field of a number that OTLP does not use, of any wire type."""
    wire_type = rng.choice((VARINT, FIXED64, BYTES, FIXED32))
    number = rng.choice((17, 99, 1000, 2**29 - 1))
    return Field(number, wire_type, rng.randbytes(rng.randrange(9)) if wire_type == BYTES else rng.getrandbits(32))


def deep_attribute(kind: str, depth: int) -> Field:
    """A span's attribute "deep": a text in `depth` lists (`array`) or key-value lists (`kvlist`) inside one another."""
    value = encode([Field(1, BYTES, b"bottom")])
    for _ in range(depth):
        if kind == "array":
            value = encode([Field(5, BYTES, [Field(1, BYTES, value)])])
        else:
            value = encode([Field(6, BYTES, [Field(1, BYTES, [Field(1, BYTES, b"k"), Field(2, BYTES, value)])])])
    return Field(9, BYTES, [Field(1, BYTES, b"deep"), Field(2, BYTES, value)])


# Messages ------------------------------------------------------------------------------------------------------------

texts = st.text(max_size=24) | st.sampled_from(["", "GET /", "café", "日本語のサービス", "a" * 130, "200", "\x00"])
codes = st.sampled_from(["OK", "unavailable", "DEADLINE_EXCEEDED", "Ok", "14", "99999", "404", "0404", "-1", "２00"])
words = st.sampled_from([*REQUIREMENTS, *OUTCOMES, *FLAGS, "MANDATORY", "follows_from", "child_of"])
keys = (
    st.sampled_from(
        [*COLUMN_KEYS, *COLUMN_KEYS, *NEAR_KEYS, *HOST_KEYS, "service.name", "service.version", "opentracing.ref_type"]
    )
    | texts
)
EDGES = (0, 1, 200, 404, 999, 1000, 32767, 32768, -1, 2**63 - 1, -(2**63))
int64s = st.sampled_from(EDGES) | st.integers(-(2**63), 2**63 - 1)
times = st.sampled_from([0, 1, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1]) | st.integers(
    1_700_000_000_000_000_000, 1_800_000_000_000_000_000
)


@cache
def scalar_values() -> st.SearchStrategy[AnyValue]:
    return st.one_of(
        (texts | codes | words).map(lambda text: AnyValue(string_value=text)),
        int64s.map(lambda number: AnyValue(int_value=number)),
        st.booleans().map(lambda flag: AnyValue(bool_value=flag)),
        st.floats(allow_nan=False).map(lambda number: AnyValue(double_value=number)),
        st.binary(max_size=8).map(lambda raw: AnyValue(bytes_value=raw)),
        st.just(AnyValue()),
    )


@cache
def any_values() -> st.SearchStrategy[AnyValue]:
    def nested(inner: st.SearchStrategy[AnyValue]) -> st.SearchStrategy[AnyValue]:
        pairs = st.builds(KeyValue, key=texts, value=inner)
        return st.lists(inner, max_size=3).map(lambda items: AnyValue(array_value=ArrayValue(values=items))) | st.lists(
            pairs, max_size=3
        ).map(lambda items: AnyValue(kvlist_value=KeyValueList(values=items)))

    return st.recursive(scalar_values(), nested, max_leaves=4)


@cache
def attributes(max_size: int = 6) -> st.SearchStrategy[list[KeyValue]]:
    return st.lists(st.builds(KeyValue, key=keys, value=any_values()), max_size=max_size)


@st.composite
def spans(draw: st.DrawFn) -> Span:
    """A span, mostly valid; where it is not, ids or times are wrong."""
    span = Span(
        trace_id=draw(st.binary(min_size=16, max_size=16) | st.sampled_from([b"", b"\1" * 15, b"\0" * 16])),
        span_id=draw(st.binary(min_size=8, max_size=8) | st.sampled_from([b"", b"\1" * 9, b"\0" * 8])),
        parent_span_id=draw(st.sampled_from([b"", b"\2" * 8, b"\0" * 8, b"\2" * 7])),
        trace_state=draw(st.sampled_from(["", "ot=th:8", "é=1"])),
        flags=draw(st.sampled_from([0, 1, 0x101, 2**32 - 1])),
        name=draw(texts),
        start_time_unix_nano=draw(times),
        end_time_unix_nano=draw(times),
        attributes=draw(attributes()),
        dropped_attributes_count=draw(st.integers(0, 2**32 - 1)),
    )
    span.kind = draw(st.integers(-1, 7))  # type: ignore[assignment]
    if draw(st.booleans()):
        span.status.message = draw(texts)
        span.status.code = draw(st.sampled_from([0, 1, 2, 3, -5]))  # type: ignore[assignment]
    for _ in range(draw(st.integers(0, 2))):
        span.events.add(time_unix_nano=draw(times), name=draw(texts), attributes=draw(attributes(2)))
    for _ in range(draw(st.integers(0, 2))):
        to_parent = draw(st.booleans())
        span.links.add(
            trace_id=span.trace_id if to_parent else b"\7" * 16,
            span_id=span.parent_span_id if to_parent else b"\7" * 8,
            attributes=draw(attributes(1))
            + draw(
                st.sampled_from(
                    [
                        [],
                        [follows_from()],
                        [follows_from(), *draw(attributes(1))],
                        [link_type("retry")],
                        [link_type("none"), link_type("hedge")],
                        [link_type("adopted")],
                    ]
                )
            ),
        )
    return span


def link_type(text: str) -> KeyValue:
    return KeyValue(key="cpdd.link.type", value=AnyValue(string_value=text))


def follows_from() -> KeyValue:
    return KeyValue(key="opentracing.ref_type", value=AnyValue(string_value="follows_from"))


@st.composite
def request_messages(draw: st.DrawFn) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    for _ in range(draw(st.integers(0, 3))):
        group: ResourceSpans = request.resource_spans.add(schema_url=draw(texts))
        if draw(st.booleans()):
            service = KeyValue(key="service.name", value=AnyValue(string_value=draw(texts)))
            group.resource.attributes.extend([*draw(attributes(3)), service])
        for _ in range(draw(st.integers(0, 2))):
            scoped: ScopeSpans = group.scope_spans.add(
                schema_url=draw(texts), spans=draw(st.lists(spans(), max_size=3))
            )
            if draw(st.booleans()):
                scoped.scope.name, scoped.scope.version = draw(texts), draw(texts)
                scoped.scope.attributes.extend(draw(attributes(1)))
    return request


@st.composite
def requests(draw: st.DrawFn, chances: Iterable[float] = (0.0, 0.02, 0.2)) -> bytes:
    """The bytes of a request, more or less disturbed."""
    fields = fields_of(draw(request_messages()))
    rng = random.Random(draw(st.integers(0, 2**32)))
    disturb(fields, rng, draw(st.sampled_from(list(chances))))
    padded = draw(st.booleans())
    return encode(fields, lambda: rng.randrange(3) if padded and rng.random() < 0.1 else 0)
