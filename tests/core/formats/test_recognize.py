"""What a file holds is told by its content."""

import pytest
from hypothesis import assume, given
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.core.formats.protobuf import varint
from collector.core.formats.recognize import SAMPLE_BYTES, Layout, NotSpans, layout_of, translate_document
from tests.core.formats.requests import large_inputs, requests
from tests.core.formats.test_jaeger import trace_of
from tests.core.formats.test_otlp_json import SPAN, request_of
from tests.core.formats.test_zipkin import SPAN as ZIPKIN_SPAN


@large_inputs
@given(requests())
def test_protobuf_with_spans_is_told_from_text_and_one_request_from_many(request):
    body = request.SerializeToString()
    assume(any(scoped.spans for group in request.resource_spans for scoped in group.scope_spans))

    assert layout_of(body[:SAMPLE_BYTES]) is Layout.ONE_REQUEST
    assert layout_of((varint(len(body)) + body)[:SAMPLE_BYTES]) is Layout.DELIMITED
    assert layout_of((varint(len(body)) + body)[:SAMPLE_BYTES] * 3) is Layout.DELIMITED


@pytest.mark.parametrize("size", range(60, 140))
def test_a_length_that_looks_like_a_bracket_or_a_line_does_not_mislead(size):
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(trace_id=b"t" * 16, span_id=b"s" * 8)
    while request.ByteSize() < size:
        span.name += "x"
    body = request.SerializeToString()

    assert layout_of(body) is Layout.ONE_REQUEST
    assert layout_of(varint(len(body)) + body) is Layout.DELIMITED


def test_a_request_that_is_larger_than_the_sample_is_told_by_its_beginning():
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for _ in range(5000):
        spans.add(trace_id=b"t" * 16, span_id=b"s" * 8, name="x" * 40)
    body = request.SerializeToString()

    assert layout_of(body[:SAMPLE_BYTES]) is Layout.ONE_REQUEST
    assert layout_of((varint(len(body)) + body)[:SAMPLE_BYTES]) is Layout.DELIMITED


@pytest.mark.parametrize("text", [b"{}", b"  [1]", b"\n\n{", "{ü".encode(), "{}".encode("utf-16"), b"hello"])
def test_text_is_text(text):
    assert layout_of(text) is Layout.TEXT


@pytest.mark.parametrize(
    ("sample", "seen"),
    [
        (b"", "the file is empty"),
        (b" \n", "the file is blank"),
        (b"PK\x03\x04\x14\x00", "the first bytes are 50 4b 03 04 14 00 (a zip archive: unpack it)"),
        (b"\x28\xb5\x2f\xfd\x01", "the first bytes are 28 b5 2f fd 01 (zstd: unpack it with zstd -d)"),
        (b"\x00\x01\x02" * 9, "the first bytes are 00 01 02 00 01 02 00 01 02 00 01 02 (unknown binary data)"),
    ],
)
def test_what_is_no_file_of_spans_is_named_with_its_first_bytes_and_what_is_accepted(sample, seen):
    with pytest.raises(NotSpans) as error:
        layout_of(sample)

    assert error.value.seen == seen
    assert "accepted: OTLP as JSON, as JSON lines or as protobuf" in str(error.value)


JAEGER = trace_of({**trace_of()["data"][0], "traceID": "1", "spanID": "1", "startTime": 1, "duration": 1})


@pytest.mark.parametrize(
    "document",
    [
        request_of(SPAN),
        [request_of(SPAN)],
        {"result": request_of(SPAN)},
        {"trace": request_of(SPAN)},
        {"batches": request_of(SPAN)["resourceSpans"]},
        {"resource_spans": [{"scope_spans": [{"spans": [SPAN]}]}]},
        JAEGER,
        JAEGER["data"],
        JAEGER["data"][0],
        [ZIPKIN_SPAN],
        [[ZIPKIN_SPAN]],
        [[], [ZIPKIN_SPAN]],
    ],
)
def test_documents_of_every_accepted_shape_are_translated(document):
    translation = translate_document(document)

    request = ExportTraceServiceRequest.FromString(translation.body)
    assert sum(len(scoped.spans) for group in request.resource_spans for scoped in group.scope_spans) == 1


def test_requests_of_a_list_stand_behind_one_another_and_an_odd_one_is_named():
    two = translate_document([request_of(SPAN), request_of(SPAN)])

    assert len(ExportTraceServiceRequest.FromString(two.body).resource_spans) == 2
    with pytest.raises(Exception, match="7 where an object is expected"):
        translate_document([request_of(SPAN), 7])


@pytest.mark.parametrize("document", [[], {"data": []}, {"resourceSpans": []}])
def test_an_answer_without_spans_is_no_error(document):
    assert translate_document(document).body == b""


@pytest.mark.parametrize(
    ("document", "seen"),
    [
        ({"resourceLogs": []}, "OTLP logs"),
        ({"resourceMetrics": []}, "OTLP metrics"),
        ({"resourceProfiles": []}, "OTLP profiles"),
        (
            [{"parent": "a", "child": "b", "callCount": 1}],
            "a list of dependencies, as Jaeger's /api/dependencies answers",
        ),
        ({"data": [{"parent": "a", "child": "b"}]}, "a list of dependencies, as Jaeger's /api/dependencies answers"),
        ({"data": ["frontend"]}, "a list of names, as Jaeger's /api/services answers"),
        ({"data": None, "errors": [{"msg": "trace not found"}]}, 'an error answer of Jaeger: "trace not found"'),
        ({"traceEvents": []}, "a Chrome trace of one process"),
        ([{"traceId": "1", "id": "1", "binaryAnnotations": []}], "Zipkin v1 JSON"),
        ([{"traceId": "1", "id": "1", "annotations": [{"endpoint": {}}]}], "Zipkin v1 JSON"),
        ({}, "a JSON object with nothing in it"),
        ({"a": 1, "b": 2}, 'a JSON object with "a", "b"'),
        ([1], "a JSON array that begins with 1"),
        ("spans", 'JSON that is "spans"'),
    ],
)
def test_json_without_spans_is_named_for_what_it_is(document, seen):
    with pytest.raises(NotSpans) as error:
        translate_document(document)

    assert error.value.seen == seen
