"""Spans to OTLP/JSON: what a download holds. `otlp_json` reads it back to the same spans.

Source: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding.
"""

import base64
import math
from typing import Any

from collector.core.detail import Attributes, DetailedSpans, Event, Link, ResourceDetail, ScopeDetail, SpanDetail
from collector.core.spans import AttributeValue, SpanBatch

Json = dict[str, Any]


def to_otlp_json(spans: DetailedSpans) -> Json:
    """Return a request (`{"resourceSpans": [...]}`) with all spans, by resource and scope in order of their first span.

    64-bit numbers are text, ids hex, enums numbers; what is unset is absent.
    """
    groups: dict[int, tuple[Json, dict[int, Json]]] = {}
    for row in range(len(spans.batch)):
        detail = spans.detail(row)
        resource, scope = int(spans.batch.resource[row]), int(spans.batch.scope[row])
        if resource not in groups:
            groups[resource] = (_resource_spans(detail.resource), {})
        group, scopes = groups[resource]
        if scope not in scopes:
            scopes[scope] = _scope_spans(detail.scope)
            group["scopeSpans"].append(scopes[scope])
        scopes[scope]["spans"].append(_span(spans.batch, row, detail))
    return {"resourceSpans": [group for group, _ in groups.values()]}


def _resource_spans(resource: ResourceDetail) -> Json:
    content = _set(
        attributes=_attributes(resource.attributes), droppedAttributesCount=resource.dropped_attributes_count
    )
    return {"resource": content, "scopeSpans": [], **_set(schemaUrl=resource.schema_url)}


def _scope_spans(scope: ScopeDetail) -> Json:
    content = _set(
        name=scope.name,
        version=scope.version,
        attributes=_attributes(scope.attributes),
        droppedAttributesCount=scope.dropped_attributes_count,
    )
    return {**_set(scope=content), "spans": [], **_set(schemaUrl=scope.schema_url)}


def _span(batch: SpanBatch, row: int, detail: SpanDetail) -> Json:
    return {
        "traceId": batch.trace_id(row),
        "spanId": batch.span_id_hex(row),
        **_set(
            traceState=detail.trace_state,
            parentSpanId=batch.parent_span_id_hex(row),
            flags=int(batch.flags[row]),
            name=batch.text(int(batch.name[row])),
            kind=int(batch.kind[row]),
        ),
        "startTimeUnixNano": str(batch.start_time_unix_nano[row]),
        "endTimeUnixNano": str(batch.end_time_unix_nano[row]),
        **_set(
            attributes=_attributes(detail.attributes),
            droppedAttributesCount=detail.dropped_attributes_count,
            events=[_event(event) for event in detail.events],
            droppedEventsCount=detail.dropped_events_count,
            links=[_link(link) for link in detail.links],
            droppedLinksCount=detail.dropped_links_count,
            status=_set(message=detail.status_message, code=int(batch.status_code[row])),
        ),
    }


def _event(event: Event) -> Json:
    return {
        "timeUnixNano": str(event.time_unix_nano),
        **_set(
            name=event.name,
            attributes=_attributes(event.attributes),
            droppedAttributesCount=event.dropped_attributes_count,
        ),
    }


def _link(link: Link) -> Json:
    return _set(
        traceId=link.trace_id,
        spanId=link.span_id,
        traceState=link.trace_state,
        attributes=_attributes(link.attributes),
        droppedAttributesCount=link.dropped_attributes_count,
        flags=link.flags,
    )


def _set(**fields: object) -> Json:
    """The fields that are not at their default: proto3 leaves the others out."""
    return {name: value for name, value in fields.items() if value}


def _attributes(pairs: Attributes) -> list[Json]:
    return [{"key": key, "value": _any_value(value)} for key, value in pairs]


def _any_value(value: AttributeValue) -> Json:
    match value:
        case str():
            return {"stringValue": value}
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value if math.isfinite(value) else _NOT_FINITE[str(value)]}
        case bytes():
            return {"bytesValue": base64.b64encode(value).decode()}
        case list():
            return {"arrayValue": {"values": [_any_value(item) for item in value]}}
        case dict():
            return {"kvlistValue": {"values": _attributes(tuple(value.items()))}}
        case None:
            return {}


_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
