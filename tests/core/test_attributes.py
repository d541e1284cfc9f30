"""What a span said beside its columns, read from the bytes of its batch."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, reject, settings
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collector.core.attributes import detail, detailed
from collector.core.detail import Event, Link, ResourceDetail, ScopeDetail, SpanDetail
from collector.core.spans import SpanBatch, concatenate
from collector.core.wire import MalformedRequest, decode_traces
from tests.core.otlp_strategies import BYTES, Field, deep_attribute, encode, fields_of, requests

EMPTY = KeyValue(key="b")


def a_request() -> ExportTraceServiceRequest:
    """Two resources of one scope and one span each, the first of which says something in every field."""
    request = ExportTraceServiceRequest()
    for number in (1, 2):
        group = request.resource_spans.add(schema_url=f"https://resource/{number}")
        group.resource.attributes.add(key="service.name").value.string_value = f"service {number}"
        group.resource.dropped_attributes_count = number
        scoped = group.scope_spans.add(schema_url=f"https://scope/{number}")
        scoped.scope.name, scoped.scope.version = f"library {number}", f"{number}.0"
        scoped.scope.attributes.add(key="short").value.bool_value = True
        scoped.scope.dropped_attributes_count = number
        scoped.spans.add(trace_id=bytes([number]) * 16, span_id=bytes([number]) * 8, name=f"operation {number}")
    span = request.resource_spans[0].scope_spans[0].spans[0]
    span.trace_state = "ot=th:8"
    span.status.message = "card declined"
    span.dropped_attributes_count, span.dropped_events_count, span.dropped_links_count = 1, 2, 3
    span.attributes.add(key="amount").value.double_value = 9.5
    event = span.events.add(time_unix_nano=2**63, name="retry", dropped_attributes_count=4)
    event.attributes.add(key="attempt").value.int_value = -2
    link = span.links.add(trace_id=b"\xab" * 16, span_id=b"\xcd" * 8, trace_state="a=b", flags=0x301)
    link.attributes.add(key="why").value.string_value = "batch"
    link.dropped_attributes_count = 5
    return request


def decode(request: ExportTraceServiceRequest) -> SpanBatch:
    batch, rejections = decode_traces(encode(fields_of(request)))
    assert not rejections
    return batch


def test_detail_holds_everything_that_a_span_said() -> None:
    batch = decode(a_request())

    assert detail(batch, 0) == SpanDetail(
        attributes=(("amount", 9.5),),
        events=(Event(2**63, "retry", (("attempt", -2),), 4),),
        links=(Link("ab" * 16, "cd" * 8, "a=b", (("why", "batch"),), 5, 0x301),),
        status_message="card declined",
        trace_state="ot=th:8",
        dropped_attributes_count=1,
        dropped_events_count=2,
        dropped_links_count=3,
        resource=ResourceDetail((("service.name", "service 1"),), 1, "https://resource/1"),
        scope=ScopeDetail("library 1", "1.0", (("short", True),), 1, "https://scope/1"),
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (AnyValue(string_value="naïve"), "naïve"),
        (AnyValue(string_value=""), ""),
        (AnyValue(bool_value=False), False),
        (AnyValue(int_value=-(2**63)), -(2**63)),
        (AnyValue(double_value=0.1), 0.1),
        (AnyValue(double_value=math.inf), math.inf),
        (AnyValue(bytes_value=b"\xff\0"), b"\xff\0"),
        (AnyValue(), None),
        (AnyValue(string_value_strindex=7), None),
        (AnyValue(array_value=ArrayValue(values=[AnyValue(int_value=1), AnyValue()])), [1, None]),
        (AnyValue(array_value=ArrayValue()), []),
        (
            AnyValue(kvlist_value=KeyValueList(values=[KeyValue(key="a", value=AnyValue(int_value=1)), EMPTY])),
            {"a": 1, "b": None},
        ),
    ],
)
def test_values_keep_their_types(value: AnyValue, expected: object) -> None:
    request = a_request()
    request.resource_spans[0].scope_spans[0].spans[0].attributes.append(KeyValue(key="value", value=value))

    ((_, _), (key, read)) = detail(decode(request), 0).attributes

    assert (key, read, type(read)) == ("value", expected, type(expected))


def test_attributes_keep_their_order_and_keys_that_stand_twice() -> None:
    request = a_request()
    span = request.resource_spans[0].scope_spans[0].spans[0]
    for key, number in (("z", 1), ("a", 2), ("z", 3)):
        span.attributes.add(key=key).value.int_value = number

    assert detail(decode(request), 0).attributes[1:] == (("z", 1), ("a", 2), ("z", 3))


def test_spans_of_one_resource_share_its_detail() -> None:
    request = a_request()
    group = request.resource_spans[0]
    group.scope_spans.add(spans=[Span(trace_id=b"\3" * 16, span_id=b"\3" * 8)])

    spans = detailed(decode(request))

    assert spans.detail(0).resource is spans.detail(1).resource
    assert spans.detail(0).resource != spans.detail(2).resource
    assert spans.detail(1).scope == ScopeDetail()


def test_details_follow_their_rows_through_take_and_concatenate() -> None:
    batch = decode(a_request())

    moved = concatenate([batch, batch]).take(np.array([3, 0]))

    assert [detail(moved, row) for row in range(2)] == [detail(batch, 1), detail(batch, 0)]


def test_batch_without_body_has_details_of_names_alone() -> None:
    batch = decode(a_request())
    resources = replace(batch.resources, size=np.zeros(2, np.int64))
    scopes = replace(batch.scopes, size=np.zeros(2, np.int64))

    bare = replace(batch, body=b"", size=np.zeros(2, np.int64), resources=resources, scopes=scopes)

    assert detail(bare, 1) == SpanDetail(
        resource=ResourceDetail(schema_url="https://resource/2"),
        scope=ScopeDetail("library 2", "2.0", schema_url="https://scope/2"),
    )


@pytest.mark.parametrize(("kind", "depth"), [("kvlist", 32), ("array", 49)])
def test_deepest_value_that_is_accepted_can_be_read(kind: str, depth: int) -> None:
    span = [*fields_of(a_request().resource_spans[1].scope_spans[0].spans[0]), deep_attribute(kind, depth)]
    body = encode([Field(1, BYTES, [Field(2, BYTES, [Field(2, BYTES, span)])])])
    batch, _ = decode_traces(body)

    ((_, value),) = detail(batch, 0).attributes

    for _ in range(depth):
        value = value["k"] if isinstance(value, dict) else value[0]  # type: ignore[index]
    assert value == "bottom"


@settings(max_examples=40)
@given(body=requests())
def test_every_span_that_is_accepted_has_a_detail(body: bytes) -> None:
    try:
        batch, _ = decode_traces(body)
    except MalformedRequest:
        reject()

    spans = detailed(batch)

    assert [spans.detail(row) for row in range(len(batch))] == [detail(batch, row) for row in range(len(batch))]
