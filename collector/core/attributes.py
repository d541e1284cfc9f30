"""What a span said beside its columns, read from the bytes of its batch when somebody asks.

This is the rare path (a page shows one trace), so protobuf's own runtime reads it. What `wire` accepted can be read
here: it refuses texts that are not UTF-8 and messages deeper inside one another than the runtime goes.
"""

from collections.abc import Callable, Iterable
from functools import cache, partial

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collector.core.detail import (
    Attributes,
    DetailedSpans,
    Event,
    Link,
    ResourceDetail,
    ScopeDetail,
    SpanDetail,
)
from collector.core.spans import AttributeValue, SpanBatch


def detail(batch: SpanBatch, row: int) -> SpanDetail:
    """Return all that OTLP says of the span in `row`; nothing but resource and scope names where `body` is empty."""
    return _span_detail(batch, partial(resource_detail, batch), partial(scope_detail, batch), row)


def detailed(batch: SpanBatch) -> DetailedSpans:
    """Return the batch with its details, read on demand; spans of one resource share its detail, likewise scopes."""
    resource_of, scope_of = cache(partial(resource_detail, batch)), cache(partial(scope_detail, batch))
    return DetailedSpans(batch, partial(_span_detail, batch, resource_of, scope_of))


def resource_detail(batch: SpanBatch, row: int) -> ResourceDetail:
    """Return what row `row` of `batch.resources` said."""
    resources = batch.resources
    message = Resource.FromString(_slice(batch.body, int(resources.at[row]), int(resources.size[row])))
    return ResourceDetail(
        attributes=_attributes(message.attributes),
        dropped_attributes_count=message.dropped_attributes_count,
        schema_url=batch.text(int(resources.schema_url[row])),
    )


def scope_detail(batch: SpanBatch, row: int) -> ScopeDetail:
    """Return what row `row` of `batch.scopes` said."""
    scopes = batch.scopes
    message = InstrumentationScope.FromString(_slice(batch.body, int(scopes.at[row]), int(scopes.size[row])))
    return ScopeDetail(
        name=batch.text(int(scopes.name[row])),
        version=batch.text(int(scopes.version[row])),
        attributes=_attributes(message.attributes),
        dropped_attributes_count=message.dropped_attributes_count,
        schema_url=batch.text(int(scopes.schema_url[row])),
    )


def _span_detail(
    batch: SpanBatch,
    resource_of: Callable[[int], ResourceDetail],
    scope_of: Callable[[int], ScopeDetail],
    row: int,
) -> SpanDetail:
    span = Span.FromString(_slice(batch.body, int(batch.at[row]), int(batch.size[row])))
    return SpanDetail(
        attributes=_attributes(span.attributes),
        events=tuple(_event(event) for event in span.events),
        links=tuple(_link(link) for link in span.links),
        status_message=span.status.message,
        trace_state=span.trace_state,
        dropped_attributes_count=span.dropped_attributes_count,
        dropped_events_count=span.dropped_events_count,
        dropped_links_count=span.dropped_links_count,
        resource=resource_of(int(batch.resource[row])),
        scope=scope_of(int(batch.scope[row])),
    )


def _slice(body: bytes, at: int, size: int) -> bytes:
    return body[at : at + size]


def _event(event: Span.Event) -> Event:
    return Event(event.time_unix_nano, event.name, _attributes(event.attributes), event.dropped_attributes_count)


def _link(link: Span.Link) -> Link:
    return Link(
        trace_id=link.trace_id.hex(),
        span_id=link.span_id.hex(),
        trace_state=link.trace_state,
        attributes=_attributes(link.attributes),
        dropped_attributes_count=link.dropped_attributes_count,
        flags=link.flags,
    )


def _attributes(pairs: Iterable[KeyValue]) -> Attributes:
    return tuple((pair.key, _value(pair.value)) for pair in pairs)


def _value(value: AnyValue) -> AttributeValue:
    """Return the value as Python has it; of a key that stands twice in a key-value list the last counts."""
    match value.WhichOneof("value"):
        case "string_value":
            return str(value.string_value)
        case "bool_value":
            return bool(value.bool_value)
        case "int_value":
            return int(value.int_value)
        case "double_value":
            return float(value.double_value)
        case "bytes_value":
            return bytes(value.bytes_value)
        case "array_value":
            return [_value(each) for each in value.array_value.values]
        case "kvlist_value":
            return {pair.key: _value(pair.value) for pair in value.kvlist_value.values}
        case _:
            return None  # an empty value, or one that refers to a table that traces do not have
