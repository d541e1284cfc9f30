"""What spans around calls say of deadlines and fallbacks."""

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collector.core.said import NOTHING_SAID, Said, said_in
from collector.core.spans import SpanBatch
from collector.core.wire import decode_traces


def marks(*each: dict[str, str | int], name: str = "tips") -> SpanBatch:
    """INTERNAL spans of one name in the service shop, all declared optional."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.append(KeyValue(key="service.name", value=AnyValue(string_value="shop")))
    spans = group.scope_spans.add().spans
    for number, said in enumerate(each, start=1):
        values = [
            KeyValue(key=key, value=AnyValue(**{"int_value" if isinstance(value, int) else "string_value": value}))
            for key, value in {"cpdd.call.requirement": "optional", **said}.items()
        ]
        spans.append(
            Span(
                trace_id=b"t" * 16,
                span_id=number.to_bytes(8, "big"),
                name=name,
                kind=Span.SPAN_KIND_INTERNAL,
                start_time_unix_nano=1,
                end_time_unix_nano=2,
                attributes=values,
            )
        )
    return decode_traces(request.SerializeToString())[0]


def test_a_mark_says_how_long_its_caller_waits_and_what_it_has_instead():
    batch = marks({"cpdd.call.deadline_ms": 200, "cpdd.call.fallback": "cache"})

    assert said_in(batch) == {("shop", "tips"): Said(200_000_000, "cache")}


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"cpdd.call.fallback": "magic"},
        {"cpdd.call.deadline_ms": -5},
        {"cpdd.call.deadline_ms": "200"},
        {"cpdd.call.group": ""},
        {"cpdd.call.quorum": 2},
    ],
)
def test_what_is_no_word_and_no_time_says_nothing(said: dict[str, str | int]):
    assert said_in(marks(said)) == {}


@pytest.mark.parametrize(("quorum", "needed"), [({"cpdd.call.quorum": 2}, 2), ({"cpdd.call.quorum": 0}, 1), ({}, 1)])
def test_of_a_group_at_least_one_has_to_succeed(quorum: dict[str, str | int], needed: int):
    (said,) = said_in(marks({"cpdd.call.group": "replicas"} | quorum)).values()

    assert said == Said(group="replicas", quorum=needed)
    assert said.of_group == f"any {needed} of the group replicas are enough"


def test_the_larger_quorum_of_spans_that_differ_counts():
    (said,) = said_in(
        marks(
            {"cpdd.call.group": "replicas", "cpdd.call.quorum": 2},
            {"cpdd.call.group": "other", "cpdd.call.quorum": 3},
            {"cpdd.call.fallback": "cache"},
        )
    ).values()

    assert said == Said(fallback="cache", group="other", quorum=3)


def test_spans_of_one_mark_that_differ_have_the_longer_wait_and_the_fallback_that_there_is():
    batch = marks(
        {"cpdd.call.deadline_ms": 200, "cpdd.call.fallback": "degraded"},
        {"cpdd.call.deadline_ms": 300, "cpdd.call.fallback": "none"},
    )

    assert said_in(batch) == {("shop", "tips"): Said(300_000_000, "degraded")}


def test_none_is_said_and_is_no_fallback():
    (said,) = said_in(marks({"cpdd.call.fallback": "none"})).values()

    assert (said.fallback, said.has_fallback) == ("none", False)
    assert NOTHING_SAID.joined(said) == said
