"""Requests for the tests of blocks: hypothesis strategies over all that OTLP can say, and over odd ways to write it.

Strategies are made once: hypothesis takes longer to make and check a nested one than to draw from it.
"""

from collections.abc import Callable
from functools import cache

from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    InstrumentationScope,
    KeyValue,
    KeyValueList,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

NOON = 1_760_000_400_000_000_000
"""In October 2025. All starts are within a day of it, so that a request touches few partitions."""
DAY = 86_400_000_000_000

UINT32 = st.sampled_from([0, 0, 0, 1, 2**31 - 1, 2**31, 2**32 - 1]) | st.integers(0, 2**32 - 1)
KEYS = st.sampled_from(["", "k", "http.route", "server.address", "a key of more than thirty-two bytes", "ключ"])
STATES = st.sampled_from(
    ["", "", "ot=th:8", "ot=th:8;rv:abcdef01234567,b=2", "b=2, ot=th:c \t, c=3", "bot=1,ot", "ot="]
)


def _scalars() -> st.SearchStrategy[AnyValue]:
    return st.one_of(
        st.builds(AnyValue, string_value=st.text()),
        st.builds(AnyValue, bool_value=st.booleans()),
        st.builds(AnyValue, int_value=st.integers(-(2**63), 2**63 - 1) | st.integers(-200, 200)),
        st.builds(AnyValue, double_value=st.floats()),
        st.builds(AnyValue, bytes_value=st.binary()),
        st.just(AnyValue()),
    )


def _nested(values: st.SearchStrategy[AnyValue]) -> st.SearchStrategy[AnyValue]:
    pairs = st.lists(st.builds(KeyValue, key=KEYS, value=values), max_size=3)
    return st.one_of(
        st.builds(AnyValue, array_value=st.builds(ArrayValue, values=st.lists(values, max_size=3))),
        st.builds(AnyValue, kvlist_value=st.builds(KeyValueList, values=pairs)),
    )


@cache
def values() -> st.SearchStrategy[AnyValue]:
    """Any AnyValue, nested ones as well."""
    return st.recursive(_scalars(), _nested, max_leaves=6)


@cache
def attributes(max_size: int = 5) -> st.SearchStrategy[list[KeyValue]]:
    """Attributes of all types; keys stand twice, are empty, or are made up."""
    return st.lists(st.builds(KeyValue, key=KEYS | st.text(max_size=20), value=values()), max_size=max_size)


@cache
def _ids(size: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=size, max_size=size).filter(any)


TRACE_IDS = st.sampled_from([b"\x01" * 16, b"\x02" * 16, b"\xff" * 16]) | _ids(16)
STARTS = st.integers(NOON, NOON + 3) | st.integers(NOON - DAY, NOON + DAY)


@st.composite
def spans(draw: st.DrawFn) -> Span:
    """A valid span; its end may be missing or before its start."""
    start = draw(STARTS)
    return Span(
        trace_id=draw(TRACE_IDS),
        span_id=draw(_ids(8)),
        parent_span_id=draw(st.sampled_from([b"", bytes(8)]) | _ids(8)),
        trace_state=draw(STATES | st.text()),
        flags=draw(UINT32),
        name=draw(st.sampled_from(["", "GET /", "charge card"]) | st.text()),
        kind=draw(st.integers(0, 7)),  # type: ignore[arg-type]  # not all of them exist
        start_time_unix_nano=start,
        end_time_unix_nano=draw(st.sampled_from([0, start, start - 1, start + 1, 2**63 - 1])),
        attributes=draw(attributes()),
        dropped_attributes_count=draw(UINT32),
        events=draw(st.lists(_events(), max_size=4)),
        dropped_events_count=draw(UINT32),
        links=draw(st.lists(_links(), max_size=4)),
        dropped_links_count=draw(UINT32),
        status=draw(st.builds(Status, code=st.integers(0, 4), message=st.text())),
    )


@cache
def _events() -> st.SearchStrategy[Span.Event]:
    return st.builds(
        Span.Event,
        time_unix_nano=STARTS | st.integers(0, 2**64 - 1),
        name=st.sampled_from(["", "exception"]) | st.text(),
        attributes=attributes(3),
        dropped_attributes_count=UINT32,
    )


@cache
def _links() -> st.SearchStrategy[Span.Link]:
    return st.builds(
        Span.Link,
        trace_id=_ids(16) | st.binary(max_size=20),
        span_id=_ids(8) | st.binary(max_size=20),
        trace_state=st.text(),
        attributes=attributes(3),
        dropped_attributes_count=UINT32,
        flags=UINT32,
    )


@cache
def resources() -> st.SearchStrategy[Resource]:
    named = st.builds(
        lambda name: KeyValue(key="service.name", value=AnyValue(string_value=name)),
        st.sampled_from(["", "shop", "кафе"]),
    )
    hosted = st.builds(
        lambda key, name: KeyValue(key=key, value=AnyValue(string_value=name)),
        st.sampled_from(["host.name", "k8s.pod.name"]),
        st.text() | st.text("\x1e\x1f01", max_size=4),
    )
    return st.builds(
        Resource,
        attributes=st.builds(lambda own, other: [*own, *other], st.lists(named | hosted, max_size=3), attributes(3)),
        dropped_attributes_count=UINT32,
    )


def requests() -> st.SearchStrategy[bytes]:
    """Requests as the protobuf runtime writes them."""
    scopes = st.builds(
        InstrumentationScope,
        name=st.text(),
        version=st.text(),
        attributes=attributes(3),
        dropped_attributes_count=UINT32,
    )
    urls = st.sampled_from(["", "https://opentelemetry.io/schemas/1.37.0"])
    scope_spans = st.builds(ScopeSpans, scope=scopes, spans=st.lists(spans(), max_size=4), schema_url=urls)
    resource_spans = st.builds(
        ResourceSpans, resource=resources(), scope_spans=st.lists(scope_spans, max_size=3), schema_url=urls
    )
    whole = st.builds(ExportTraceServiceRequest, resource_spans=st.lists(resource_spans, max_size=3))
    return whole.map(lambda request: request.SerializeToString())


# --- odd ways to write it


def field(number: int, content: bytes) -> bytes:
    """A field of bytes."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value: int) -> bytes:
    groups = [value >> shift & 0x7F for shift in range(0, max(value.bit_length(), 1), 7)]
    return bytes([group | 0x80 for group in groups[:-1]] + groups[-1:])


UNKNOWN = st.sampled_from(
    [b"", b"", b"", b"\xa0\x06\x01", b"\xa1\x06" + bytes(8), b"\xa5\x06" + bytes(4), field(100, b"?")]
)
"""Fields that OTLP does not have, of each wire type."""
_WIDE_SIZES = st.booleans()


@st.composite
def _odd(draw: st.DrawFn, pieces: st.SearchStrategy[bytes], max_size: int = 3) -> bytes:
    """Pieces of one message behind one another, which merges them, with unknown fields between."""
    return b"".join(piece + draw(UNKNOWN) for piece in draw(st.lists(pieces, min_size=1, max_size=max_size)))


def odd_requests() -> st.SearchStrategy[bytes]:
    """Requests whose messages come in pieces: fields repeated, missing, unknown and in any order."""
    value = _odd(values().map(lambda value: value.SerializeToString()), 2)
    keys = KEYS.map(lambda key: field(1, key.encode()))
    key_values = _odd(keys | value.map(_in(2)), 4)
    events = _odd(_events().map(lambda event: event.SerializeToString()) | key_values.map(_in(3)), 2)
    links = _odd(_links().map(lambda link: link.SerializeToString()) | key_values.map(_in(4)), 2)
    parts = st.one_of(
        spans().map(lambda span: span.SerializeToString()),
        key_values.map(_in(9)),
        events.map(_in(11)),
        links.map(_in(13)),
        st.builds(Status, code=st.integers(0, 2)).map(lambda status: field(15, status.SerializeToString())),
        st.text().map(lambda state: field(3, state.encode())),
    )
    last = spans().map(lambda span: span.SerializeToString())
    whole = st.builds(lambda pieces, last: pieces + last, _odd(parts), last)
    resource = _odd(key_values.map(_in(1)), 2)
    scope = _odd(key_values.map(_in(3)) | st.text().map(lambda name: field(1, name.encode())), 2)
    return st.builds(
        lambda resource, scope, spans: field(
            1, field(1, resource) + field(2, field(1, scope) + b"".join(field(2, span) for span in spans))
        ),
        resource,
        scope,
        st.lists(whole, max_size=3),
    )


def _in(number: int) -> Callable[[bytes], bytes]:
    return lambda content: field(number, content)
