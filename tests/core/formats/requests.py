"""Strategies: OTLP requests as messages of the protobuf runtime, and the same as OTLP/JSON by its own JSON printer."""

import base64
from typing import Any

import hypothesis.strategies as st
from google.protobuf.json_format import MessageToDict
from hypothesis import settings
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    InstrumentationScope,
    KeyValue,
    KeyValueList,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

large_inputs = settings(max_examples=50)
"""For tests over whole requests, which take their time to draw."""

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
COUNT = st.integers(0, 2**32 - 1) | st.just(0)
TIME = st.integers(0, 2**63 - 1)


def ids(size: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=size, max_size=size).filter(any)


def any_values() -> st.SearchStrategy[AnyValue]:
    simple = st.one_of(
        st.just(AnyValue()),
        TEXT.map(lambda v: AnyValue(string_value=v)),
        st.booleans().map(lambda v: AnyValue(bool_value=v)),
        st.integers(-(2**63), 2**63 - 1).map(lambda v: AnyValue(int_value=v)),
        st.floats(allow_nan=False).map(lambda v: AnyValue(double_value=v)),
        st.binary(max_size=8).map(lambda v: AnyValue(bytes_value=v)),
    )
    return st.recursive(
        simple,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3).map(lambda v: AnyValue(array_value=ArrayValue(values=v))),
            st.lists(key_values(inner), max_size=3).map(lambda v: AnyValue(kvlist_value=KeyValueList(values=v))),
        ),
        max_leaves=6,
    )


def key_values(values: st.SearchStrategy[AnyValue]) -> st.SearchStrategy[KeyValue]:
    return st.builds(KeyValue, key=TEXT, value=values)


def attributes() -> st.SearchStrategy[list[KeyValue]]:
    return st.lists(key_values(any_values()), max_size=4)


def spans() -> st.SearchStrategy[Span]:
    event = st.builds(
        Span.Event, time_unix_nano=TIME, name=TEXT, attributes=attributes(), dropped_attributes_count=COUNT
    )
    link = st.builds(
        Span.Link,
        trace_id=ids(16),
        span_id=ids(8),
        trace_state=TEXT,
        attributes=attributes(),
        dropped_attributes_count=COUNT,
        flags=COUNT,
    )
    return st.builds(
        Span,
        trace_id=ids(16),
        span_id=ids(8),
        parent_span_id=st.just(b"") | ids(8),
        trace_state=TEXT,
        flags=COUNT,
        name=TEXT,
        kind=st.integers(0, 5),
        start_time_unix_nano=TIME,
        end_time_unix_nano=TIME,
        attributes=attributes(),
        dropped_attributes_count=COUNT,
        events=st.lists(event, max_size=2),
        dropped_events_count=COUNT,
        links=st.lists(link, max_size=2),
        dropped_links_count=COUNT,
        status=st.builds(Status, message=TEXT, code=st.integers(0, 2)),
    )


def requests() -> st.SearchStrategy[ExportTraceServiceRequest]:
    scope = st.builds(
        InstrumentationScope, name=TEXT, version=TEXT, attributes=attributes(), dropped_attributes_count=COUNT
    )
    scope_spans = st.builds(ScopeSpans, scope=scope, spans=st.lists(spans(), max_size=3), schema_url=TEXT)
    resource = st.builds(Resource, attributes=attributes(), dropped_attributes_count=COUNT)
    group = st.builds(ResourceSpans, resource=resource, scope_spans=st.lists(scope_spans, max_size=2), schema_url=TEXT)
    return st.builds(ExportTraceServiceRequest, resource_spans=st.lists(group, max_size=2))


def as_otlp_json(request: ExportTraceServiceRequest, snake_case: bool = False, names: bool = False) -> dict[str, Any]:
    """Return a request as OTLP/JSON: proto3 JSON, but ids in hex and, unless `names`, enums as numbers."""
    tree = MessageToDict(request, preserving_proto_field_name=snake_case, use_integers_for_enums=not names)
    return _hex_ids(tree)


def _hex_ids(tree: Any) -> Any:
    if isinstance(tree, list):
        return [_hex_ids(item) for item in tree]
    if not isinstance(tree, dict):
        return tree
    id_names = ("traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id")
    return {key: base64.b64decode(value).hex() if key in id_names else _hex_ids(value) for key, value in tree.items()}
