"""The critical path of real traces: missing parents, overflowing children and skewed clocks as they were found.

The spans are read with the protobuf runtime, not with our decoder, so that only the path is on trial.
"""

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.core.explain import PathPolicy, explain
from collector.core.spans import HOST_KEYS
from tests.core.drawing import DrawnSpan, make_batch
from tests.core.slow_path import slow_explain
from tests.core.test_path_properties import assert_fills, everything, measures, paths

DATA = Path(__file__).parents[2] / "../shared/data/otlp"
SETS = sorted(DATA.glob("*.otlp.pb.gz"))
COMPARED = [5, pytest.param(50, marks=pytest.mark.slow)]
"""Of each set, so many traces are compared, spread over the file; the slow side takes about a millisecond a span."""

pytestmark = pytest.mark.skipif(not SETS, reason=f"no trace data in {DATA}")
each_set = pytest.mark.parametrize("file", SETS, ids=lambda file: file.name.partition(".")[0])


@each_set
@pytest.mark.parametrize("overflow", ["auto", "clip"])
@pytest.mark.parametrize("compared", COMPARED)
def test_fast_and_slow_agree_on_real_traces(file: Path, overflow: str, compared: int) -> None:
    traces = [trace for trace in read_traces(file) if len(trace) < 1_500]
    if not traces:
        pytest.skip("its traces are too long for the slow side")
    some = traces[:: -(-len(traces) // compared)]
    batch = make_batch([span for trace in some for span in trace])

    fast = explain(batch, PathPolicy(overflow))

    slow = slow_explain(batch, PathPolicy(overflow))
    assert paths(fast) == paths(slow)
    assert measures(fast) == measures(slow)


@each_set
def test_real_paths_fill_their_targets_whatever_the_order_of_spans(file: Path) -> None:
    spans = [span for trace in read_traces(file)[:150] for span in trace]

    forwards, backwards = explain(make_batch(spans)), explain(make_batch(spans[::-1]))

    assert everything(forwards) == everything(backwards)
    for explanation in forwards:
        end = explanation.target_start_unix_nano + explanation.target_duration_ns
        assert_fills(explanation.sections, explanation.target_start_unix_nano, end)


def read_traces(file: Path) -> list[list[DrawnSpan]]:
    """The spans of each trace of a file, traces in order of their first span."""
    numbers: dict[bytes, int] = {}
    traces: dict[int, list[DrawnSpan]] = {}
    for request in _requests(gzip.decompress(file.read_bytes())):
        for resource in request.resource_spans:
            said = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
            hosts = tuple((key, said[key]) for key in HOST_KEYS if said.get(key))
            service = said.get("service.name") or "unknown_service"
            for scope in resource.scope_spans:
                for span in scope.spans:
                    number = numbers.setdefault(span.trace_id, len(numbers) + 1)
                    trace = traces.setdefault(number, [])
                    trace.append(
                        DrawnSpan(
                            label=f"{service}/{span.name}#{span.span_id.hex()}",
                            span_id=int.from_bytes(span.span_id, "big"),
                            parent_span_id=int.from_bytes(span.parent_span_id, "big"),
                            start_time_unix_nano=span.start_time_unix_nano,
                            end_time_unix_nano=span.end_time_unix_nano,
                            service=service,
                            operation=span.name,
                            kind=span.kind,
                            hosts=hosts,
                            trace=number,
                        )
                    )
    return list(traces.values())


def _requests(body: bytes) -> Iterator[ExportTraceServiceRequest]:
    """Messages with a varint length before each."""
    at = 0
    while at < len(body):
        size = shift = 0
        while True:
            size |= (body[at] & 0x7F) << shift
            shift += 7
            at += 1
            if body[at - 1] < 0x80:
                break
        yield ExportTraceServiceRequest.FromString(body[at : at + size])
        at += size
