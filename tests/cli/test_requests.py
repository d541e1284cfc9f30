"""OTLP requests as bytes: counted, cut, moved. The judge is the protobuf runtime."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from cpdd.cli._requests import BadFrame, count_spans, cut, moved, newest_time
from tests.core.formats.requests import large_inputs, requests

ZEROS = bytes(16)


def flat(request: ExportTraceServiceRequest) -> list[bytes]:
    """Every span with all that stands around it, as bytes."""
    return [
        group.resource.SerializeToString()
        + group.schema_url.encode()
        + scoped.scope.SerializeToString()
        + scoped.schema_url.encode()
        + span.SerializeToString()
        for group in request.resource_spans
        for scoped in group.scope_spans
        for span in scoped.spans
    ]


def read(body: bytes) -> ExportTraceServiceRequest:
    return ExportTraceServiceRequest.FromString(body)


def spans_of(request: ExportTraceServiceRequest) -> list:
    return [span for group in request.resource_spans for scoped in group.scope_spans for span in scoped.spans]


@large_inputs
@given(requests())
def test_spans_are_counted(request):
    assert count_spans(request.SerializeToString()) == len(spans_of(request))


@large_inputs
@given(requests(), st.integers(1, 2000))
def test_cutting_keeps_every_span_and_what_stands_around_it(request, most_bytes):
    pieces = cut(request.SerializeToString(), most_bytes)

    assert [each for piece in pieces for each in flat(read(piece))] == flat(request)


def test_pieces_are_no_larger_than_asked_for():
    request = ExportTraceServiceRequest()
    for _ in range(3):
        group = request.resource_spans.add(schema_url="https://opentelemetry.io/schemas/1.4.0")
        group.resource.attributes.add(key="service.name").value.string_value = "shop"
        scoped = group.scope_spans.add()
        scoped.scope.name = "lib"
        for number in range(500):
            scoped.spans.add(trace_id=b"t" * 16, span_id=number.to_bytes(8, "big"), name="x" * (number % 90))

    pieces = cut(request.SerializeToString(), 10_000)

    assert max(map(len, pieces)) <= 10_000
    assert len(pieces) < 2 * len(request.SerializeToString()) / 10_000
    assert [each for piece in pieces for each in flat(read(piece))] == flat(request)


def test_a_small_request_stays_as_it_is():
    body = b"\x0a\x02\x12\x00"

    assert cut(body, 100) == [body]


@pytest.mark.parametrize("body", [b"\x0a\x7f", b"\x0b", b"\xff" * 20, b"\x0a\x02\x12\x09"])
def test_bytes_that_are_no_messages_are_an_error(body):
    with pytest.raises(BadFrame):
        count_spans(body)


@given(st.binary(max_size=200))
def test_no_bytes_do_more_harm_than_that(body):
    try:
        count_spans(body)
        cut(body, 20)
    except BadFrame:
        pass
    moved(body, 5, ZEROS)


@large_inputs
@given(requests(), st.integers(-(2**62), 2**62))
def test_moving_moves_all_times_by_the_same_and_back(request, by_ns):
    body = request.SerializeToString()

    later = read(moved(body, by_ns, ZEROS))

    assert times_of(later) == [max(time + by_ns, 1) if time else 0 for time in times_of(request)]


def times_of(request: ExportTraceServiceRequest) -> list[int]:
    return [
        time
        for span in spans_of(request)
        for time in (
            span.start_time_unix_nano,
            span.end_time_unix_nano,
            *(event.time_unix_nano for event in span.events),
        )
    ]


@large_inputs
@given(requests(), st.binary(min_size=16, max_size=16))
def test_new_trace_ids_are_the_same_where_the_old_were(request, mask):
    body = request.SerializeToString()

    there = moved(body, 0, mask)

    assert read(moved(there, 0, mask)) == request
    ids = [span.trace_id for span in spans_of(request)]
    new = [span.trace_id for span in spans_of(read(there))]
    assert len(set(ids)) == len(set(new))
    assert (ids == new) == (mask == ZEROS or not ids)


def test_a_missing_time_stays_missing():
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add(start_time_unix_nano=5, end_time_unix_nano=0)

    (span,) = spans_of(read(moved(request.SerializeToString(), 10, ZEROS)))

    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (15, 0)


@large_inputs
@given(st.lists(requests(), max_size=3))
def test_the_newest_time_is_that_of_the_last_start_or_end(some):
    bodies = [request.SerializeToString() for request in some]

    newest = newest_time(bodies)

    times = [t for r in some for s in spans_of(r) for t in (s.start_time_unix_nano, s.end_time_unix_nano)]
    assert newest == max(times, default=0)
