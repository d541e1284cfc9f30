"""Spans to Jaeger's JSON: the answers of the query API v1. `jaeger` reads it back to the same spans.

Times are microseconds there; scopes have no attributes, references none either. Those are lost on this way.
"""

import base64
import math
from collections.abc import Iterable
from typing import Any

import orjson

from collector.core.detail import Attributes, DetailedSpans, Event, ResourceDetail, SpanDetail
from collector.core.formats.jaeger import (
    DROPPED,
    ERROR,
    EVENT,
    KINDS,
    REF_TYPE,
    SCOPE_NAME,
    SCOPE_VERSION,
    SPAN_KIND,
    STATUS_CODE,
    STATUS_DESCRIPTION,
    TRACE_STATE,
    WARNINGS,
)
from collector.core.spans import STATUS_ERROR, STATUS_OK, AttributeValue, SpanBatch

MAX_SAFE_INTEGER = 2**53 - 1
"""JavaScript reads larger integers inexactly: they are written as text, as Jaeger does; the type stays int64."""

Json = dict[str, Any]


def to_jaeger(traces: Iterable[DetailedSpans]) -> Json:
    """Return an answer of Jaeger's API (`{"data": [...]}`) with the given traces."""
    return {
        "data": [trace for spans in traces for trace in _traces(spans)],
        "total": 0,
        "limit": 0,
        "offset": 0,
        "errors": None,
    }


def _traces(spans: DetailedSpans) -> list[Json]:
    builders: dict[str, _TraceBuilder] = {}
    for row in range(len(spans.batch)):
        trace_id = spans.batch.trace_id(row)
        builders.setdefault(trace_id, _TraceBuilder()).add(spans.batch, row, spans.detail(row))
    return [builder.trace(trace_id) for trace_id, builder in builders.items()]


class _TraceBuilder:
    """Collects the spans of one trace; equal processes are one."""

    def __init__(self) -> None:
        self._spans: list[Json] = []
        self._processes: dict[bytes, tuple[str, Json]] = {}

    def add(self, batch: SpanBatch, row: int, detail: SpanDetail) -> None:
        service = batch.text(int(batch.service[row]))
        process = {"serviceName": service, "tags": _process_tags(detail.resource)}
        new = (f"p{len(self._processes) + 1}", process)
        process_id, _ = self._processes.setdefault(orjson.dumps(process), new)
        self._spans.append(_span(batch, row, detail, process_id))

    def trace(self, trace_id: str) -> Json:
        return {
            "traceID": trace_id,
            "spans": self._spans,
            "processes": dict(self._processes.values()),
            "warnings": None,
        }


def _process_tags(resource: ResourceDetail) -> list[Json]:
    return [_tag(key, value) for key, value in resource.attributes if key != "service.name"]


def _span(batch: SpanBatch, row: int, detail: SpanDetail, process_id: str) -> Json:
    start, end = int(batch.start_time_unix_nano[row]), int(batch.end_time_unix_nano[row])
    trace_id = batch.trace_id(row)
    sampled = int(batch.flags[row]) & 1
    return {
        "traceID": trace_id,
        "spanID": batch.span_id_hex(row),
        **({"flags": 1} if sampled else {}),
        "operationName": batch.text(int(batch.name[row])),
        "references": _references(trace_id, batch.parent_span_id_hex(row), detail),
        "startTime": start // 1000,
        "duration": max(end - start, 0) // 1000,
        "tags": _span_tags(int(batch.kind[row]), int(batch.status_code[row]), detail),
        "logs": [_log(event) for event in detail.events],
        "processID": process_id,
        "warnings": next((value for key, value in detail.attributes if _is_warnings(key, value)), None),
    }


def _is_warnings(key: str, value: AttributeValue) -> bool:
    return key == WARNINGS and isinstance(value, list) and all(isinstance(item, str) for item in value)


def _references(trace_id: str, parent: str | None, detail: SpanDetail) -> list[Json]:
    """The parent first, since readers take the first CHILD_OF; a link to the parent says what kind of parent it is."""
    references = [{"refType": "CHILD_OF", "traceID": trace_id, "spanID": parent}] if parent else []
    for link in detail.links:
        kind = "CHILD_OF" if (REF_TYPE, "child_of") in link.attributes else "FOLLOWS_FROM"
        if parent and (link.trace_id, link.span_id) == (trace_id, parent):
            references[0]["refType"] = kind
        else:
            references.append({"refType": kind, "traceID": link.trace_id, "spanID": link.span_id})
    return references


def _span_tags(kind: int, status_code: int, detail: SpanDetail) -> list[Json]:
    """Scope, attributes, then what OTLP has in fields of its own; an attribute that says the same is not said twice."""
    attributes = tuple(pair for pair in detail.attributes if not _is_warnings(*pair))
    status = {STATUS_OK: "OK", STATUS_ERROR: "ERROR"}.get(status_code, "")
    dropped = (detail.dropped_attributes_count, detail.dropped_events_count, detail.dropped_links_count)
    said = {key for key, _ in attributes}
    before = ((SCOPE_NAME, detail.scope.name), (SCOPE_VERSION, detail.scope.version))
    behind: Attributes = (
        (SPAN_KIND, KINDS[kind]),
        (STATUS_CODE, status),
        (ERROR, status_code == STATUS_ERROR),
        (STATUS_DESCRIPTION, detail.status_message),
        (TRACE_STATE, detail.trace_state),
        *zip(DROPPED, dropped, strict=True),
    )
    return [
        *(_tag(key, value) for key, value in before if value),
        *(_tag(key, value) for key, value in attributes),
        *(_tag(key, value) for key, value in behind if value and key not in said),
    ]


def _log(event: Event) -> Json:
    fields = [_tag(key, value) for key, value in event.attributes]
    if event.name and not any(key == EVENT for key, _ in event.attributes):
        fields.insert(0, _tag(EVENT, event.name))
    if event.dropped_attributes_count:
        fields.append(_tag(DROPPED[0], event.dropped_attributes_count))
    return {"timestamp": event.time_unix_nano // 1000, "fields": fields}


def _tag(key: str, value: AttributeValue) -> Json:
    """A tag with its type; what Jaeger has no type for becomes its JSON text, as the Collector does it."""
    match value:
        case str():
            return {"key": key, "type": "string", "value": value}
        case bool():
            return {"key": key, "type": "bool", "value": value}
        case int():
            return {"key": key, "type": "int64", "value": value if abs(value) <= MAX_SAFE_INTEGER else str(value)}
        case float():
            return {"key": key, "type": "float64", "value": value if math.isfinite(value) else str(value)}
        case bytes():
            return {"key": key, "type": "binary", "value": base64.b64encode(value).decode()}
        case None:
            return {"key": key, "type": "string", "value": ""}
        case _:
            return {"key": key, "type": "string", "value": orjson.dumps(value, default=_base64).decode()}


def _base64(value: object) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(f"{type(value)} is no attribute value")
