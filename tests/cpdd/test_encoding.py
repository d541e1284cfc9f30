"""The bytes of spans, held to what OpenTelemetry's encoder makes of the same spans."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from cpdd import encoding
from cpdd.encoding import MAX_REMEMBERED, encode_request

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
simple = st.one_of(
    texts,
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.sampled_from([0, 0.0, -0.0, 1, 1.0, True, False, "1"]),
)
values = st.one_of(simple, st.binary(max_size=9), st.lists(simple, max_size=3).map(tuple))
attributes = st.dictionaries(texts, values, max_size=6)
times = st.integers(0, 2**63 - 1)
states = st.sampled_from([TraceState(), TraceState([("a", "1"), ("cpdd", "r:m")])])
contexts = st.builds(
    SpanContext, st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.booleans(), st.just(TraceFlags(1)), states
)
resources = [Resource({"service.name": "x", "n": 1}), Resource({}, "https://schema.example")]
scopes = [None, InstrumentationScope("x", "1"), InstrumentationScope("y", None, "https://schema.example", {"a": True})]
statuses = st.builds(Status, st.just(StatusCode.ERROR), texts) | st.sampled_from(
    [Status(StatusCode.OK), Status(StatusCode.UNSET)]
)
spans = st.builds(
    ReadableSpan,
    name=texts,
    context=contexts,
    parent=st.none() | contexts,
    resource=st.sampled_from(resources),
    attributes=attributes,
    events=st.lists(st.builds(Event, texts, attributes, times), max_size=2),
    links=st.lists(st.builds(Link, contexts, attributes), max_size=2),
    kind=st.sampled_from(SpanKind),
    status=statuses,
    start_time=times,
    end_time=times,
    instrumentation_scope=st.sampled_from(scopes),
)


@settings(max_examples=150)
@given(st.lists(spans, max_size=4))
def test_it_says_what_opentelemetrys_encoder_says(batch):
    ours = ExportTraceServiceRequest.FromString(encode_request(batch))

    assert ours == encode_spans(batch)


def span(**said: Any) -> ReadableSpan:
    return ReadableSpan(**{"name": "GET", "context": SpanContext(1, 2, False), "resource": resources[0], **said})


def attributes_of(one: ReadableSpan) -> dict[str, Any]:
    request = ExportTraceServiceRequest.FromString(encode_request([one]))
    (sent,) = request.resource_spans[0].scope_spans[0].spans
    return {pair.key: pair.value for pair in sent.attributes}


def test_equal_values_of_different_types_are_not_taken_for_each_other():
    kinds = [attributes_of(span(attributes={"a": value}))["a"].WhichOneof("value") for value in (1, True, 1.0, "1")]

    assert kinds == ["int_value", "bool_value", "double_value", "string_value"]


@pytest.mark.parametrize("value", [object(), 2**63])
def test_a_value_without_a_form_costs_itself_and_is_told(value, caplog, monkeypatch):
    monkeypatch.setattr("cpdd.failures._told", set())

    assert list(attributes_of(span(attributes={"a": value, "b": 1}))) == ["b"]
    assert "encoding attribute 'a' failed" in caplog.text


def test_a_lone_surrogate_costs_its_character_and_not_the_batch():
    assert attributes_of(span(attributes={"a": "x\ud800y"}))["a"].string_value == "x?y"


@pytest.mark.parametrize("number", [math.inf, -math.inf])
def test_numbers_that_are_none_are_sent_as_they_are(number):
    assert attributes_of(span(attributes={"a": number}))["a"].double_value == number


def test_what_is_remembered_is_bounded():
    encode_request([span(attributes={"id": number, "text": "x" * 1000 + str(number)}) for number in range(20_000)])

    assert len(encoding._remembered) <= MAX_REMEMBERED
    assert all(not isinstance(value, str) or len(value) <= 128 for _, _, value in encoding._remembered)
