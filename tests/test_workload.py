"""Workloads are what they say they are: figures of pages stand on them."""

import numpy as np
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.workload import PRESETS, UnknownPreset, Workload

NOW_NS = 1_790_000_000_123_456_789


@pytest.fixture(scope="module")
def workload() -> Workload:
    return Workload("alibaba", spans=512, pool=20_000)


def spans_of(body: bytes) -> list[Span]:
    request = ExportTraceServiceRequest.FromString(body)
    return [span for group in request.resource_spans for scoped in group.scope_spans for span in scoped.spans]


def test_a_request_holds_traces_that_end_now_below_their_roots(workload):
    body, count, ids = workload.request(NOW_NS, np.random.default_rng(1))

    spans = spans_of(body)
    traces: dict[str, list[Span]] = {}
    for span in spans:
        traces.setdefault(span.trace_id.hex(), []).append(span)
    known = {span.span_id for span in spans}
    strangers = [span for span in spans if span.parent_span_id and span.parent_span_id not in known]
    assert len(spans) == count == len(known)
    assert sorted(traces) == sorted(ids)
    assert all(max(span.end_time_unix_nano for span in trace) in (NOW_NS, NOW_NS - 1) for trace in traces.values())
    assert all(any(not span.parent_span_id for span in trace) for trace in traces.values())
    assert len(strangers) < len(traces) / 10
    assert {len(span.attributes) for span in spans} <= {10, 12}


def test_no_id_occurs_twice_over_requests(workload):
    random = np.random.default_rng(1)

    spans = [span for _ in range(5) for span in spans_of(workload.request(NOW_NS, random)[0])]

    assert len({span.span_id for span in spans}) == len(spans)


def test_sizes_are_those_of_the_preset(workload):
    random = np.random.default_rng(1)
    sizes: list[int] = []
    for _ in range(40):
        spans = spans_of(workload.request(NOW_NS, random)[0])
        _, counts = np.unique([span.trace_id.hex() for span in spans], return_counts=True)
        sizes += counts.tolist()

    assert 1 <= np.median(sizes) <= 4
    assert 4 <= np.quantile(sizes, 0.9) <= 14
    assert max(sizes) <= PRESETS["alibaba"].spans[-1] + 2


def test_a_workload_that_nobody_knows_is_refused():
    with pytest.raises(UnknownPreset, match="uber"):
        Workload("ubre")
