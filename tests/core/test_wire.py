"""OTLP bytes to columns: the fast decoder against the obvious one, and what each refusal says."""

import gzip
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from collector.core import kernels
from collector.core.rejections import MAX_KEPT, Rejections
from collector.core.spans import DTYPES, SpanBatch, concatenate
from collector.core.wire import (
    MAX_JOINABLE_FIELDS,
    MalformedRequest,
    decode_traces,
    decode_with,
    is_joinable,
)
from tests.core.otlp_strategies import BYTES, VARINT, Field, deep_attribute, encode, fields_of, follows_from, requests
from tests.core.reference_decode import Malformed, readable, reference_decode

DATA = Path(__file__).parents[3] / "shared/data/otlp"
FILES = sorted(DATA.glob("*.pb.gz"))

IN_SCOPE = "resourceSpans[0].scopeSpans[0]"


Decoding: TypeAlias = Callable[[bytes], tuple[SpanBatch, Rejections]]


@pytest.fixture(params=["plain", "compiled"])
def decoding(request: pytest.FixtureRequest) -> Decoding:
    """`decode_traces` by one copy of the kernels, then by the other."""
    return decoding_by(request.param)


def decoding_by(mode: str) -> Decoding:
    plain, much = kernels.plain("decode"), kernels.PLAIN_LIMIT + 1
    return partial(decode_with, plain if mode == "plain" else kernels.load("decode", work=much))


def text(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))


def number(key: str, value: int) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(int_value=value))


def a_span(**fields: object) -> Span:
    return Span(**{"trace_id": b"\1" * 16, "span_id": b"\2" * 8, "name": "charge card", **fields})  # type: ignore[arg-type]


def a_request(*spans: Span, service: str = "payment") -> ExportTraceServiceRequest:
    group = ResourceSpans(scope_spans=[ScopeSpans(spans=spans)])
    group.resource.attributes.append(text("service.name", service))
    return ExportTraceServiceRequest(resource_spans=[group])


def decode(decoding: Decoding, *spans: Span) -> SpanBatch:
    batch, rejections = decoding(a_request(*spans).SerializeToString())
    assert not rejections
    return batch


def refusal(*spans: Span) -> str:
    _, rejections = decode_traces(a_request(*spans).SerializeToString())
    return str(rejections.kept[-1])


def assert_decodes_like_the_reference(decoding: Decoding, body: bytes) -> None:
    try:
        expected = reference_decode(body)
    except Malformed:
        with pytest.raises(MalformedRequest):
            decoding(body)
        return
    batch, rejections = decoding(body)
    assert readable(batch) == expected.spans
    assert [rejection.place for rejection in rejections] == expected.rejected
    assert (len(batch.resources), len(batch.scopes)) == (expected.resources, expected.scopes)
    assert len(set(batch.strings)) == len(batch.strings)
    assert {name: batch.columns()[name].dtype for name in DTYPES} == DTYPES


LAW = settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@LAW
@given(body=requests())
def test_any_request_decodes_like_the_reference(decoding: Decoding, body: bytes) -> None:
    assert_decodes_like_the_reference(decoding, body)


@pytest.mark.skipif(not FILES, reason="../shared/data is absent")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name.partition(".")[0])
def test_recorded_traces_decode_like_the_reference(path: Path) -> None:
    for body in requests_of(path):
        assert_decodes_like_the_reference(decoding_by("compiled"), body)


@pytest.mark.skipif(not FILES, reason="../shared/data is absent")
def test_plain_and_compiled_kernels_fill_the_same_columns() -> None:
    body = next(requests_of(DATA / "hotrod.otlp.pb.gz"))

    plain, _ = decoding_by("plain")(body)
    compiled, _ = decoding_by("compiled")(body)

    assert plain.strings == compiled.strings
    for name, column in plain.columns().items():
        np.testing.assert_array_equal(column, compiled.columns()[name], strict=True)


def requests_of(path: Path) -> Iterator[bytes]:
    """Requests with a varint length before each."""
    data, at = gzip.decompress(path.read_bytes()), 0
    protobuf = kernels.plain("protobuf")
    while at < len(data):
        size, at = protobuf.read_size(data, at, len(data))
        yield data[at : at + size]
        at += size


# What the columns hold -----------------------------------------------------------------------------------------------


def test_times_above_2_to_the_53_keep_every_nanosecond(decoding: Decoding) -> None:
    start = 1_790_000_000_000_000_001

    batch = decode(
        decoding,
        a_span(start_time_unix_nano=start, end_time_unix_nano=start + 1),
        a_span(start_time_unix_nano=2**53 + 1, end_time_unix_nano=2**63 - 1),
    )

    assert batch.start_time_unix_nano.tolist() == [start, 2**53 + 1]
    assert batch.end_time_unix_nano.tolist() == [start + 1, 2**63 - 1]


def test_ids_and_flags_keep_all_their_bits(decoding: Decoding) -> None:
    trace_id, span_id = bytes(range(0xF0, 0x100)), b"\xff" * 8

    batch = decode(
        decoding, a_span(trace_id=trace_id, span_id=span_id, parent_span_id=b"\x80" + b"\0" * 7, flags=2**32 - 1)
    )

    assert batch.trace_id(0) == trace_id.hex()
    assert batch.span_id_hex(0) == span_id.hex()
    assert batch.parent_span_id_hex(0) == "8000000000000000"
    assert batch.flags.tolist() == [2**32 - 1]


def test_resource_and_scope_may_follow_their_spans(decoding: Decoding) -> None:
    request = a_request(a_span())
    request.resource_spans[0].scope_spans[0].scope.name = "late"
    fields = fields_of(request)
    group = fields[0].inside
    assert isinstance(group, list)
    for frame in (group, group[1].inside):
        assert isinstance(frame, list)
        frame.reverse()

    batch, rejections = decoding(encode(fields))

    assert not rejections
    assert batch.text(int(batch.service[0])) == "payment"
    assert batch.text(int(batch.scopes.name[0])) == "late"


def test_resource_that_comes_again_replaces_the_first(decoding: Decoding) -> None:
    fields = fields_of(a_request(a_span(), service="first"))
    again = fields_of(a_request(service="second"))[0].inside
    assert isinstance(fields[0].inside, list)
    assert isinstance(again, list)
    fields[0].inside.append(again[0])

    batch, _ = decoding(encode(fields))

    assert batch.text(int(batch.service[0])) == "second"


def test_each_of_many_resources_and_scopes_keeps_its_own_head(decoding: Decoding) -> None:
    requests = [a_request(a_span(name=f"{row}"), service=f"service {row}") for row in range(100)]
    for row, request in enumerate(requests):
        request.resource_spans[0].scope_spans[0].scope.name = f"scope {row}"

    batch, _ = decoding(b"".join(encode(fields_of(request)) for request in requests))

    assert [batch.text(index) for index in batch.service.tolist()] == [f"service {row}" for row in range(100)]
    assert [batch.text(index) for index in batch.scopes.name.tolist()] == [f"scope {row}" for row in range(100)]
    assert batch.resource.tolist() == batch.scope.tolist() == list(range(100))


@pytest.mark.parametrize("service", [None, "", 7])
def test_resource_without_a_usable_name_is_an_unknown_service(service: str | int | None) -> None:
    request = a_request(a_span(attributes=[text("peer.service", "unknown_service")]))
    del request.resource_spans[0].resource.attributes[:]
    if service is not None:
        pair = text("service.name", service) if isinstance(service, str) else number("service.name", service)
        request.resource_spans[0].resource.attributes.append(pair)

    batch, _ = decode_traces(request.SerializeToString())

    assert batch.text(int(batch.service[0])) == "unknown_service"
    assert batch.strings.count("unknown_service") == 1


@pytest.mark.parametrize(
    ("attributes", "peer"),
    [
        ([text("peer.service", "old")], "old"),
        ([text("peer.service", "old"), text("service.peer.name", "new")], "new"),
        ([text("service.peer.name", "new"), text("peer.service", "old")], "new"),
        ([text("service.peer.name", "new"), text("service.peer.name", "newer")], "new"),
        ([text("service.peer.name", ""), text("peer.service", "old")], "old"),
        ([number("service.peer.name", 7), text("peer.service", "old")], "old"),
        ([number("peer.service", 7)], ""),
    ],
)
def test_first_usable_value_of_the_preferred_key_counts(attributes: list[KeyValue], peer: str) -> None:
    batch = decode(decode_traces, a_span(attributes=attributes))

    assert batch.text(int(batch.peer_service[0])) == peer


@pytest.mark.parametrize(
    ("attribute", "status"),
    [
        (number("http.response.status_code", 503), 503),
        (text("http.response.status_code", "503"), 503),
        (text("http.status_code", "503 Service Unavailable"), 0),
        (number("http.status_code", 99), 0),
        (number("http.status_code", 1000), 0),
        (number("http.status_code", -1), 0),
        (number("http.status_code", 2**63 - 1), 0),
    ],
)
def test_http_status_is_a_number_of_three_digits(attribute: KeyValue, status: int) -> None:
    assert decode(decode_traces, a_span(attributes=[attribute])).http_status.tolist() == [status]


@pytest.mark.parametrize(
    ("attribute", "status"),
    [
        (number("rpc.grpc.status_code", 0), 0),
        (number("rpc.grpc.status_code", 14), 14),
        (text("rpc.response.status_code", "UNAVAILABLE"), 14),
        (text("rpc.response.status_code", "deadline_exceeded"), 4),
        (text("rpc.response.status_code", "5"), 5),
        (text("rpc.response.status_code", "Unavailable?"), -1),
        (number("rpc.grpc.status_code", -1), -1),
        (number("rpc.grpc.status_code", 32768), -1),
    ],
)
def test_rpc_status_is_a_number_or_the_name_of_a_grpc_code(attribute: KeyValue, status: int) -> None:
    assert decode(decode_traces, a_span(attributes=[attribute])).rpc_status.tolist() == [status]


@pytest.mark.parametrize("parts", [["trace_id"], ["span_id"], ["attributes"], []])
def test_span_follows_from_its_parent_only_where_the_link_is_whole(parts: list[str]) -> None:
    link = Span.Link(trace_id=b"\1" * 16, span_id=b"\3" * 8, attributes=[follows_from()])
    for part in parts:
        link.ClearField(part)  # type: ignore[arg-type]

    batch = decode(decode_traces, a_span(parent_span_id=b"\3" * 8, links=[Span.Link(), link]))

    assert batch.follows_from.tolist() == [not parts]


def test_more_texts_than_the_hash_table_has_slots_stay_one_each(decoding: Decoding) -> None:
    keys = ("peer.service", "server.address", "db.system", "db.namespace", "messaging.system", "cpdd.journey")
    spans = [
        a_span(name=f"{row}", attributes=[text(key, f"{key} {row % 40}") for key in keys] + [text("x", f"{row}")])
        for row in range(50)
    ]

    batch = decode(decoding, *spans)

    assert len(set(batch.strings)) == len(batch.strings) == 50 + 40 * len(keys) + 1
    assert [batch.text(index) for index in batch.journey.tolist()] == [f"cpdd.journey {row % 40}" for row in range(50)]


# What is refused -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("trace_id", b"", "trace_id has 0 bytes, 16 expected"),
        ("trace_id", b"\1" * 24, "trace_id has 24 bytes, 16 expected"),
        ("trace_id", b"\0" * 16, "trace_id is all zero"),
        ("span_id", b"\1" * 7, "span_id has 7 bytes, 8 expected"),
        ("span_id", b"\0" * 8, "span_id is all zero"),
        ("parent_span_id", b"\1", "parent_span_id has 1 bytes, 8 or none expected"),
        ("start_time_unix_nano", 2**63, "start_time_unix_nano is 9223372036854775808, above 9223372036854775807"),
        ("end_time_unix_nano", 2**64 - 1, "end_time_unix_nano is 18446744073709551615, above 9223372036854775807"),
    ],
)
def test_span_with_an_impossible_value_is_refused_and_its_neighbours_stay(
    decoding: Decoding, field: str, value: object, problem: str
) -> None:
    request = a_request(a_span(name="before"), a_span(**{field: value}), a_span(name="behind"))

    batch, rejections = decoding(request.SerializeToString())

    assert [batch.text(index) for index in batch.name.tolist()] == ["before", "behind"]
    assert [rejection.problem for rejection in rejections] == [problem]


def test_refusal_tells_problem_place_owner_and_next_step() -> None:
    spans = [a_span() for _ in range(7)]

    told = refusal(*spans, a_span(span_id=b"\1" * 7))

    assert told == (
        "span rejected: span_id has 7 bytes, 8 expected\n"
        '  at resourceSpans[0].scopeSpans[0].spans[7] ("charge card" in service "payment")\n'
        'hint: is the exporter of "payment" sending base64 where OTLP/JSON asks for hex?'
    )


def whole_request() -> bytes:
    """A request with a text in every kind of field, each of which stands once."""
    span = a_span(name="Bob", attributes=[text("Eve", "Zoe")])
    span.attributes.add(key="list").value.array_value.values.extend(
        [AnyValue(int_value=1), AnyValue(string_value="Ida")]
    )
    span.events.add(name="Max")
    span.links.add(trace_id=b"\1" * 16, span_id=b"\1" * 8, trace_state="Kay")
    span.status.message = "Tom"
    request = a_request(span, service="Ann")
    group = request.resource_spans[0]
    group.schema_url, group.scope_spans[0].schema_url = "Liz", "Sue"
    group.scope_spans[0].scope.name = "Jim"
    return encode(fields_of(request))


@pytest.mark.parametrize(
    ("spoiled", "problem"),
    [
        (b"Bob", "name"),
        (b"Eve", 'attributes[0] ("E\ufffde").key'),
        (b"Zoe", 'attributes[0] ("Eve").value.stringValue'),
        (b"Ida", 'attributes[1] ("list").value.arrayValue.values[1].stringValue'),
        (b"Max", "events[0].name"),
        (b"Kay", "links[0].traceState"),
        (b"Tom", "status.message"),
        (b"Ann", 'resourceSpans[0].resource.attributes[0] ("service.name").value.stringValue'),
        (b"Jim", "resourceSpans[0].scopeSpans[0].scope.name"),
        (b"Liz", "resourceSpans[0].schemaUrl"),
        (b"Sue", "resourceSpans[0].scopeSpans[0].schemaUrl"),
    ],
)
def test_text_that_is_not_utf8_is_refused_by_the_name_of_its_field(
    decoding: Decoding, spoiled: bytes, problem: str
) -> None:
    latin_1 = spoiled[:1] + b"\xe9" + spoiled[2:]
    body = whole_request()
    assert body.count(spoiled) == 1

    batch, rejections = decoding(body.replace(spoiled, latin_1))

    assert len(batch) == 0
    assert [rejection.problem for rejection in rejections] == [f"{problem} is not UTF-8: byte 0xe9"]
    assert rejections.kept[0].place == "resourceSpans[0].scopeSpans[0].spans[0]"
    assert "Latin-1" in rejections.kept[0].hint


def test_every_span_of_a_resource_that_cannot_be_read_is_refused_and_other_resources_stay(decoding: Decoding) -> None:
    bad = fields_of(a_request(a_span(), a_span()))
    good = fields_of(a_request(a_span(name="good")))
    assert isinstance(bad[0].inside, list)
    bad[0].inside[0] = Field(1, BYTES, b"\x0a\x7f")

    batch, rejections = decoding(encode([*bad, *good]))

    assert [batch.text(index) for index in batch.name.tolist()] == ["good"]
    assert [rejection.place[-8:] for rejection in rejections] == ["spans[0]", "spans[1]"]
    assert rejections.kept[0].problem == (
        "resourceSpans[0].resource cannot be read: a field runs past its end (byte 0 of 2)"
    )


@pytest.mark.parametrize(("number", "read"), [(1, 1), (2**32 + 1, 1), (2**53 + 2, 2), (6, 0), (2**31, 0), (-1, 0)])
def test_an_enum_is_the_low_32_bits_of_its_varint_as_protobuf_has_it(
    decoding: Decoding, number: int, read: int
) -> None:
    status = Field(15, BYTES, [Field(3, VARINT, number)])

    batch, _ = decoding(in_request([*fields_of(a_span()), Field(6, VARINT, number), status]))

    assert (batch.kind.tolist(), batch.status_code.tolist()) == ([read], [read])


def test_span_that_cannot_be_read_is_refused_with_its_byte() -> None:
    fields = fields_of(a_request(a_span()))
    body = encode(fields).replace(b"\x2a\x0bcharge card", b"\x2a\x7fcharge card")

    _, rejections = decode_traces(body)

    assert rejections.kept[0].problem == "the span cannot be read: a field runs past its end (byte 28 of 41)"


@pytest.mark.parametrize(("kind", "deepest"), [("kvlist", 32), ("array", 49)])
def test_value_nested_deeper_than_protobuf_reads_is_refused_by_its_key(
    decoding: Decoding, kind: str, deepest: int
) -> None:
    span = fields_of(a_span())

    accepted, _ = decoding(in_request([*span, deep_attribute(kind, deepest)]))
    none, rejections = decoding(in_request([*span, deep_attribute(kind, deepest + 1)]))

    assert (len(accepted), len(none)) == (1, 0)
    assert rejections.kept[0].problem.startswith(f'attributes[0] ("deep").value.{kind}Value.values[0]')
    assert rejections.kept[0].problem.endswith("… holds messages more than 100 deep")


def in_request(*spans: list[Field]) -> bytes:
    """Spans taken apart, in a request without resource and scope."""
    return encode([Field(1, BYTES, [Field(2, BYTES, [Field(2, BYTES, span) for span in spans])])])


def test_a_million_refused_spans_are_counted_and_a_hundred_are_told() -> None:
    empty_spans = encode([Field(1, BYTES, [Field(2, BYTES, [Field(2, BYTES, b"")] * 1_000_000)])])

    batch, rejections = decode_traces(empty_spans)

    assert len(batch) == 0
    assert rejections.count == 1_000_000
    assert len(rejections.kept) == MAX_KEPT


# What is malformed as a whole ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "problem", "offset", "place"),
    [
        (b"\x0a\x05abc", "a field runs past its end", 0, ""),
        (b"\x08\x01", "a field that holds spans is not written as a message", 0, ""),
        (b"\x0a\x02\x12\x05", "a field runs past its end", 2, "resourceSpans[0]"),
        (
            b"\x0a\x04\x12\x02\x10\x01",
            "a field that holds spans is not written as a message",
            4,
            "resourceSpans[0].scopeSpans[0]",
        ),
        (
            b"\x0a\x06\x12\x04\x12\x00\x12\x05",
            "a field runs past its end",
            6,
            "resourceSpans[0].scopeSpans[0].spans[0]",
        ),
        (b"\x0b\x0c", "a field is a group or of a wire type that does not exist", 0, ""),
        (b"\x0a" + b"\xff" * 11, "a number is longer than 10 bytes", 0, ""),
        (b'{"resourceSpans": []}', "a field is a group or of a wire type that does not exist", 0, ""),
    ],
)
def test_request_whose_frame_cannot_be_read_is_malformed(
    decoding: Decoding, body: bytes, problem: str, offset: int, place: str
) -> None:
    with pytest.raises(MalformedRequest) as caught:
        decoding(body)

    error = caught.value
    assert (error.problem, error.offset, error.size, error.place) == (problem, offset, len(body), place)
    assert str(error).startswith(f"request malformed: {problem}\n  at {place}{', ' if place else ''}byte {offset} of")


def test_empty_request_has_no_spans() -> None:
    batch, rejections = decode_traces(b"")

    assert len(batch) == len(batch.resources) == len(batch.scopes) == 0
    assert not rejections
    assert batch.columns().keys() >= DTYPES.keys()


# One request behind another ------------------------------------------------------------------------------------------


@settings(suppress_health_check=list(HealthCheck))
@given(one=requests(), other=requests())
def test_joinable_requests_decode_together_as_they_do_alone(one: bytes, other: bytes) -> None:
    if not is_joinable(one):
        return
    try:
        alone = concatenate([decode_traces(body)[0] for body in (one, other)])
    except MalformedRequest:
        return

    together = decode_traces(one + other)[0]

    for name in ("trace_id_low", "span_id", "parent_span_id", "start_time_unix_nano", "kind", "http_status"):
        assert getattr(together, name).tolist() == getattr(alone, name).tolist()
    assert [together.text(int(row)) for row in together.name] == [alone.text(int(row)) for row in alone.name]


def test_a_request_of_the_runtime_is_joinable_and_no_beginning_of_it() -> None:
    body = a_request(a_span()).SerializeToString()

    assert is_joinable(body + body)
    assert is_joinable(b"")
    assert [size for size in range(1, len(body)) if is_joinable(body[:size])] == []


@pytest.mark.parametrize(
    "odd", [b"\x12\x00", b"\x0a", b"\x0a\x80", b"\x0a" + b"\xff" * 9 + b"\x01", b"\x0b\x0c", b"\x0a\x01"]
)
def test_what_is_odd_is_not_joinable(odd: bytes) -> None:
    assert not is_joinable(odd)


def test_very_many_fields_are_not_looked_at() -> None:
    assert is_joinable(b"\x0a\x00" * MAX_JOINABLE_FIELDS)
    assert not is_joinable(b"\x0a\x00" * (MAX_JOINABLE_FIELDS + 1))
