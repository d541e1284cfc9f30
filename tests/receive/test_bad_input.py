"""Hostile and broken input over the wire, into a real server with a real store.

Each test sends something bad beside something good: the answer is the one that the specification asks for and names
the place, the neighbour is stored, memory stays bounded, and the process lives.
"""

import gzip
import json
import time
import zlib
from collections.abc import Callable, Iterator
from http.client import HTTPConnection

import grpc
import numpy as np
import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.receive.loopback import EXPORT, HOST, JSON, PATH, PROTOBUF, Answer
from tests.serving import ServerHere, ServerProcess, server_here, server_process

NOW_NS = time.time_ns()
MIB = 1 << 20
_ids = iter(range(1, 1 << 62))


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerHere]:
    with server_here(tmp_path_factory.mktemp("here")) as server:
        yield server


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with server_process(tmp_path_factory.mktemp("running")) as server:
        yield server


def good_span(**fields: object) -> Span:
    """A span of a trace of its own, or with other fields."""
    number = next(_ids)
    return Span(
        **{
            "trace_id": number.to_bytes(16, "big"),
            "span_id": number.to_bytes(8, "big"),
            "name": "charge card",
            "start_time_unix_nano": NOW_NS,
            "end_time_unix_nano": NOW_NS + 1_000_000,
            **fields,
        }
    )


def request_of(*spans: Span) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.append(KeyValue(key="service.name", value=AnyValue(string_value="payment")))
    group.scope_spans.add().spans.extend(spans)
    return request


def post(server: ServerHere | ServerProcess, body: bytes, headers: dict[str, str]) -> Answer:
    connection = HTTPConnection(HOST, server.otlp_http_port, timeout=120)
    connection.request("POST", PATH, body, headers)
    response = connection.getresponse()
    answer = Answer(response.status, response.headers, response.read())
    connection.close()
    return answer


def partial_success(answer: Answer) -> ExportTracePartialSuccess:
    assert answer.status == 200
    return ExportTraceServiceResponse.FromString(answer.content).partial_success


def spans_in(here: ServerHere, *spans: Span) -> int:
    """How many spans the store has of the traces of these."""
    found = [here.reader.trace(trace_id) for trace_id in {span.trace_id.hex() for span in spans}]
    return sum(len(trace.batch) for trace in found if trace)


def assert_takes_spans(server: ServerHere | ServerProcess) -> None:
    """The process lives and does its work."""
    assert partial_success(post(server, request_of(good_span()).SerializeToString(), PROTOBUF)).rejected_spans == 0


# The request as a whole


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"\x0a\x05\x12", "byte 0 of 3"),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "byte 0"),
        (b"\x08\x01", "byte 0"),
        (b"\xff" * 20, "byte 0"),
        (b'{"resourceSpans": []}', "byte"),
        (gzip.compress(b"spans"), "byte 0"),
    ],
    ids=["truncated", "size of 2^63", "wrong wire type", "no tag", "JSON", "gzip that is not announced"],
)
def test_malformed_protobuf_is_a_bad_request_with_the_byte(here: ServerHere, body: bytes, problem: str):
    answer = post(here, body, PROTOBUF)

    assert answer.status == 400
    assert problem in Status.FromString(answer.content).message
    assert Status.FromString(answer.content).code == 3


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b'{"resourceSpans": [', "line 1, column 20"),
        (b'{\n"resourceSpans": nothing}', "line 2"),
        (b"", "line 1"),
        (b"[]", ""),
        (b'{"resourceSpans": 7}', "resourceSpans"),
        (b"[" * 100_000, "line 1"),
        (b"\xff\xfe\x00", ""),
    ],
    ids=["truncated", "no value", "empty", "an array", "no array inside", "very deep", "half of UTF-16"],
)
def test_malformed_json_is_a_bad_request_with_the_place(here: ServerHere, body: bytes, place: str):
    answer = post(here, body, JSON)

    assert answer.status == 400
    assert place in json.loads(answer.content)["message"]


def test_malformed_grpc_is_an_invalid_argument(here: ServerHere):
    with grpc.insecure_channel(here.addresses["otlp_grpc"]) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(EXPORT)(b"\x0a\x05\x12", timeout=60)

    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "byte 0 of 3" in caught.value.details()


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_truncated_compressed_body_is_a_bad_request(here: ServerHere, encoding: str):
    deflate: Callable[[bytes], bytes] = {"gzip": gzip.compress, "deflate": zlib.compress}[encoding]
    body = deflate(request_of(*(good_span() for _ in range(100))).SerializeToString())

    answer = post(here, body[: len(body) // 2], PROTOBUF | {"content-encoding": encoding})

    assert answer.status == 400
    assert "ends in the middle" in Status.FromString(answer.content).message


# Spans beside good ones


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"trace_id": b""}, "trace_id has 0 bytes, 16 expected"),
        ({"trace_id": b"abc"}, "trace_id has 3 bytes, 16 expected"),
        ({"trace_id": bytes(16)}, "trace_id is all zero"),
        ({"span_id": b"1234567"}, "span_id has 7 bytes, 8 expected"),
        ({"span_id": bytes(8)}, "span_id is all zero"),
        ({"parent_span_id": b"123456789"}, "parent_span_id has 9 bytes"),
        ({"start_time_unix_nano": 2**63}, "start_time_unix_nano"),
        ({"end_time_unix_nano": 2**64 - 1}, "end_time_unix_nano"),
        ({"start_time_unix_nano": 0}, "start_time_unix_nano is 0, before 1971"),
        ({"start_time_unix_nano": NOW_NS + 200_000 * 10**9}, "ahead of the collector's clock"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_a_bad_span_is_named_and_its_neighbours_are_stored(here: ServerHere, fields: dict[str, object], problem: str):
    before, bad, behind = good_span(), good_span(**fields), good_span()

    answer = post(here, request_of(before, bad, behind).SerializeToString(), PROTOBUF)

    partial = partial_success(answer)
    assert partial.rejected_spans == 1
    assert problem in partial.error_message
    assert '"charge card" in service "payment"' in partial.error_message
    assert spans_in(here, before, behind) == 2


def test_the_place_of_a_bad_span_is_in_the_message(here: ServerHere):
    answer = post(here, request_of(good_span(), good_span(), good_span(span_id=b"")).SerializeToString(), PROTOBUF)

    assert "resourceSpans[0].scopeSpans[0].spans[2]" in partial_success(answer).error_message


def test_a_bad_span_in_json_is_named_with_its_place(here: ServerHere):
    good, bad = good_span(), good_span()
    spans = [as_json(good), as_json(bad) | {"spanId": "xyz"}]

    answer = post(here, json_request(*spans), JSON)

    partial = json.loads(answer.content)["partialSuccess"]
    assert answer.status == 200
    assert partial["rejectedSpans"] == "1"
    assert "resourceSpans[0].scopeSpans[0].spans[1]" in partial["errorMessage"]
    assert spans_in(here, good) == 1


def as_json(span: Span) -> dict[str, object]:
    return {
        "traceId": span.trace_id.hex(),
        "spanId": span.span_id.hex(),
        "name": span.name,
        "startTimeUnixNano": str(span.start_time_unix_nano),
        "endTimeUnixNano": str(span.end_time_unix_nano),
    }


def json_request(*spans: dict[str, object]) -> bytes:
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": list(spans)}]}]}).encode()


def test_a_name_that_is_no_utf8_costs_its_span_only(here: ServerHere):
    good, bad = good_span(name="good name"), good_span(name="!bad name")
    body = request_of(good, bad).SerializeToString().replace(b"!bad name", b"\xffbad name")

    partial = partial_success(post(here, body, PROTOBUF))

    assert partial.rejected_spans == 1
    assert "UTF-8" in partial.error_message
    assert spans_in(here, good, bad) == 1


def test_an_end_before_its_start_is_stored_as_it_came(here: ServerHere):
    span = good_span(end_time_unix_nano=NOW_NS - 5)

    partial = partial_success(post(here, request_of(span).SerializeToString(), PROTOBUF))

    stored = here.reader.trace(span.trace_id.hex())
    assert partial.rejected_spans == 0
    assert stored.batch.end_time_unix_nano.tolist() == [NOW_NS - 5]


def test_a_cycle_of_parents_is_stored_as_it_came(here: ServerHere):
    first = good_span()
    second = good_span(trace_id=first.trace_id, parent_span_id=first.span_id)
    first.parent_span_id = second.span_id

    partial = partial_success(post(here, request_of(first, second).SerializeToString(), PROTOBUF))

    assert partial.rejected_spans == 0
    assert spans_in(here, first) == 2


def test_the_same_spans_sent_again_are_read_once(here: ServerHere):
    span = good_span()
    body = request_of(span, span).SerializeToString()

    for _ in range(3):
        assert partial_success(post(here, body, PROTOBUF)).rejected_spans == 0

    assert spans_in(here, span) == 1


def test_a_million_attributes_on_one_span_are_stored(here: ServerHere):
    many = good_span()
    attribute = KeyValue(key="k1234567", value=AnyValue(int_value=1)).SerializeToString()
    encoded = b"\x4a" + bytes([len(attribute)]) + attribute
    blob = many.SerializeToString() + b"".join(
        encoded.replace(b"k1234567", b"k%07d" % number) for number in range(1_000_000)
    )
    good = good_span()
    body = frame(1, frame(2, frame(2, blob) + frame(2, good.SerializeToString())))

    answer = post(here, body, PROTOBUF)

    assert partial_success(answer).rejected_spans == 0
    assert spans_in(here, good) == 1
    assert spans_in(here, many) == 1


def frame(field: int, content: bytes) -> bytes:
    """A field of bytes."""
    return bytes([field << 3 | 2]) + varint(len(content)) + content


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def test_spans_of_very_many_days_in_one_request_cost_those_beyond_the_limit_only(here: ServerHere):
    days = [good_span(start_time_unix_nano=NOW_NS - day * 86_400 * 10**9) for day in range(100)]

    partial = partial_success(post(here, request_of(*days).SerializeToString(), PROTOBUF))

    assert partial.rejected_spans == 100 - 64
    assert spans_in(here, *days[:64]) == 64


def test_old_spans_are_taken(here: ServerHere):
    span = good_span(start_time_unix_nano=1_530_000_000 * 10**9, end_time_unix_nano=1_530_000_001 * 10**9)

    assert partial_success(post(here, request_of(span).SerializeToString(), PROTOBUF)).rejected_spans == 0
    assert spans_in(here, span) == 1


# What could cost memory, against a process of its own


HOSTILE: dict[str, tuple[Callable[[], bytes], dict[str, str], set[int]]] = {
    "gzip bomb of 512 MiB": (
        lambda: gzip.compress(bytes(512 * MIB), 1),
        PROTOBUF | {"content-encoding": "gzip"},
        {413},
    ),
    "64 MiB of empty resource spans": (lambda: b"\x0a\x00" * (32 * MIB), PROTOBUF, {200}),
    "64 MiB of empty spans": (lambda: frame(1, frame(2, b"\x12\x00" * (32 * MIB - 8))), PROTOBUF, {200}),
    "a million spans without anything but ids": (
        lambda: frame(1, frame(2, smallest_spans(1_000_000))),
        PROTOBUF,
        {200},
    ),
    "a resource of 1 MiB for a million spans": (
        lambda: frame(1, frame(1, large_resource(MIB)) + frame(2, smallest_spans(1_000_000))),
        PROTOBUF,
        {413},
    ),
    "64 MiB of empty arrays in JSON": (
        lambda: b'{"resourceSpans":[' + b"[]," * (21 * MIB) + b"[]]}",
        JSON,
        {413},
    ),
    "64 MiB of short strings in JSON": (
        lambda: b'{"resourceSpans":[],"more":[' + b'"aa",' * (12 * MIB) + b'""]}',
        JSON,
        {200},
    ),
    "64 MiB of zeros": (lambda: bytes(64 * MIB), PROTOBUF, {400}),
    "a body over the limit": (lambda: bytes(64 * MIB + 1), PROTOBUF, {413}),
}


def smallest_spans(count: int) -> bytes:
    """Spans of ids and a start, each its own."""
    one = frame(2, frame(1, b"T" * 16) + frame(2, b"S" * 8) + b"\x39" + NOW_NS.to_bytes(8, "little"))
    spans = np.tile(np.frombuffer(one, np.uint8), (count, 1))
    at = one.index(b"S")
    spans[:, at : at + 8] = np.arange(1, count + 1, dtype=">u8")[:, None].view(np.uint8)
    return spans.tobytes()


def large_resource(size: int) -> bytes:
    attribute = KeyValue(key="blob", value=AnyValue(string_value="x" * size))
    return frame(1, attribute.SerializeToString())


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bodies_are_answered_within_bounded_memory(running: ServerProcess, name: str):
    make, headers, statuses = HOSTILE[name]
    body = make()
    running.forget_peak_rss()

    answer = post(running, body, headers)

    assert answer.status in statuses
    assert running.peak_rss_bytes() < 3_000 * MIB
    assert_takes_spans(running)
