"""The load is what it says it is: benchmarks and the kill -9 test stand on it."""

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.load import SPANS_PER_TRACE, RequestMaker

NOW_NS = 1_790_000_000_123_456_789


def spans_of(body: bytes) -> list[Span]:
    request = ExportTraceServiceRequest.FromString(body)
    return [span for group in request.resource_spans for scoped in group.scope_spans for span in scoped.spans]


def test_a_request_holds_whole_traces_that_end_now():
    spans = spans_of(RequestMaker(512).make(NOW_NS))

    traces: dict[bytes, list[Span]] = {}
    for span in spans:
        traces.setdefault(span.trace_id, []).append(span)
    assert len(spans) == len({span.span_id for span in spans}) == 512
    assert [len(trace) for trace in traces.values()] == [SPANS_PER_TRACE] * 32
    for trace in traces.values():
        by_id = {span.span_id: span for span in trace}
        roots = [span for span in trace if not span.parent_span_id]
        assert len(roots) == 1
        assert roots[0].end_time_unix_nano == NOW_NS
        for span in trace:
            if span.parent_span_id:
                parent = by_id[span.parent_span_id]
                assert parent.start_time_unix_nano <= span.start_time_unix_nano
                assert span.end_time_unix_nano <= parent.end_time_unix_nano


def test_every_span_has_ten_attributes_of_which_one_is_its_own():
    spans = spans_of(RequestMaker(512).make(NOW_NS))

    sessions = {attribute.value.string_value for span in spans for attribute in span.attributes[-1:]}
    assert {len(span.attributes) for span in spans} == {10}
    assert len(sessions) == 512


def test_no_id_occurs_twice_over_requests_and_makers():
    makers = [RequestMaker(64), RequestMaker(64)]

    spans = [span for maker in makers for _ in range(20) for span in spans_of(maker.make(NOW_NS))]

    assert len({span.span_id for span in spans}) == len(spans) == 2 * 20 * 64
    assert len({span.trace_id for span in spans}) == len(spans) // SPANS_PER_TRACE
