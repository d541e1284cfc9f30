"""Rows of `otel_traces` in full, each as a `SpanDetail` when somebody asks for it."""

import base64
import binascii
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import pyarrow as pa

from collector.core.detail import (
    Attributes,
    Event,
    Link,
    LinkEnd,
    ResourceDetail,
    ScopeDetail,
    SpanDetail,
    SpanOutline,
)
from collector.core.spans import AttributeValue

_Raw: TypeAlias = tuple[object, ...]
"""What columns say, as a key."""
_OUTLINED = (
    *("SpanAttributes", "SpanAttributeTypes", "ResourceAttributes", "ResourceAttributeTypes", "ScopeName"),
    *("Events.Timestamp", "Links.TraceId", "Links.SpanId"),
)


class Details:
    """Rows of a result of `rows.SPAN_SELECT`. What many have in common, a resource and a scope, is read once."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table
        self._resources: dict[_Raw, ResourceDetail] = {}
        self._scopes: dict[_Raw, ScopeDetail] = {}

    def __call__(self, row: int) -> SpanDetail:
        (span,) = self._table.slice(row, 1).to_pylist()
        return self._detail(span)

    def several(self, rows: Sequence[int]) -> list[SpanDetail]:
        """Return some rows; what costs most is the same for one row and for hundreds."""
        return [self._detail(span) for span in self._table.take(pa.array(rows, pa.int64())).to_pylist()]

    def _detail(self, span: dict[str, Any]) -> SpanDetail:
        return SpanDetail(
            attributes=_attributes(span["SpanAttributes"], span["SpanAttributeTypes"]),
            events=tuple(_events(span)),
            links=tuple(_links(span)),
            status_message=text_of(span["StatusMessage"]),
            trace_state=text_of(span["TraceState"]),
            dropped_attributes_count=span["DroppedAttributes"],
            dropped_events_count=span["DroppedEvents"],
            dropped_links_count=span["DroppedLinks"],
            resource=self._resource(span),
            scope=self._scope(span),
        )

    def _resource(self, span: dict[str, Any]) -> ResourceDetail:
        pairs, types = tuple(span["ResourceAttributes"]), span["ResourceAttributeTypes"]
        dropped, schema_url = span["ResourceDropped"], span["ResourceSchemaUrl"]
        key = (pairs, types, dropped, schema_url)
        if key not in self._resources:
            self._resources[key] = ResourceDetail(_attributes(pairs, types), dropped, text_of(schema_url))
        return self._resources[key]

    def _scope(self, span: dict[str, Any]) -> ScopeDetail:
        pairs, types = tuple(span["ScopeAttributes"]), span["ScopeAttributeTypes"]
        name, version = span["ScopeName"], span["ScopeVersion"]
        dropped, schema_url = span["ScopeDropped"], span["ScopeSchemaUrl"]
        key = (pairs, types, name, version, dropped, schema_url)
        if key not in self._scopes:
            self._scopes[key] = ScopeDetail(
                text_of(name), text_of(version), _attributes(pairs, types), dropped, text_of(schema_url)
            )
        return self._scopes[key]


class Outlines:
    """Rows of a result of `rows.OUTLINE_SELECT`, as lists show them. What a resource says is read once."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table.select(_OUTLINED)
        self._resources: dict[_Raw, Attributes] = {}

    def __call__(self, rows: Sequence[int]) -> list[SpanOutline]:
        spans = self._table.take(pa.array(rows, pa.int64())).to_pylist()
        return [self._outline(*(span[name] for name in _OUTLINED)) for span in spans]

    def _outline(
        self,
        attributes: list[tuple[bytes, bytes]],
        types: bytes,
        resource: list[tuple[bytes, bytes]],
        resource_types: bytes,
        scope: bytes,
        events: list[int],
        trace_ids: list[bytes],
        span_ids: list[bytes],
    ) -> SpanOutline:
        key = (tuple(resource), resource_types)
        if key not in self._resources:
            self._resources[key] = _attributes(resource, resource_types)
        return SpanOutline(
            _attributes(attributes, types),
            self._resources[key],
            text_of(scope),
            tuple(map(_event_time, events)),
            tuple(LinkEnd(text_of(trace), text_of(span)) for trace, span in zip(trace_ids, span_ids, strict=True)),
        )


def _events(span: dict[str, Any]) -> Iterator[Event]:
    names = ("Events.Timestamp", "Events.Name", "Events.Attributes", "Events.AttributeTypes", "Events.Dropped")
    for time, name, attributes, types, dropped in zip(*(span[column] for column in names), strict=True):
        yield Event(_event_time(time), text_of(name), _attributes(attributes, types), dropped)


def _event_time(number: int) -> int:
    """An event's time is unsigned and not bounded at receipt; above 2^63 the column holds it as a negative number."""
    return number % 2**64


def _links(span: dict[str, Any]) -> Iterator[Link]:
    names = ("TraceId", "SpanId", "TraceState", "Attributes", "AttributeTypes", "Dropped", "Flags")
    for trace_id, span_id, state, attributes, types, dropped, flags in zip(
        *(span[f"Links.{name}"] for name in names), strict=True
    ):
        yield Link(text_of(trace_id), text_of(span_id), text_of(state), _attributes(attributes, types), dropped, flags)


def _attributes(pairs: Sequence[tuple[bytes, bytes]], types: bytes) -> Attributes:
    letters = types.decode(errors="replace").ljust(len(pairs), "s")
    return tuple(
        (text_of(key), _value(letter, text_of(text))) for (key, text), letter in zip(pairs, letters, strict=False)
    )


def _value(letter: str, text: str) -> AttributeValue:
    """The value that a text of type `letter` stands for; the text itself where it is no such value."""
    read = _VALUE_READERS.get(letter)
    try:
        return read(text) if read else text
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error):
        return text


def _any_value(value: dict[str, Any]) -> AttributeValue:
    """The value of an AnyValue in OTLP/JSON."""
    match value:
        case {"arrayValue": content}:
            return [_any_value(item) for item in content.get("values", ())]
        case {"kvlistValue": content}:
            # An empty key is left out of the JSON, like every field that has its default.
            return {pair.get("key", ""): _any_value(pair.get("value", {})) for pair in content.get("values", ())}
        case {"stringValue": str() as content} | {"boolValue": bool() as content}:
            return content
        case {"intValue": content}:
            return int(content)
        case {"doubleValue": content}:
            return float(content)
        case {"bytesValue": content}:
            return base64.b64decode(content)
    return None


_VALUE_READERS: dict[str, Callable[[str], AttributeValue]] = {
    "b": lambda text: text == "true",
    "i": int,
    "d": float,
    "y": lambda text: base64.b64decode(text, validate=True),
    "a": lambda text: _any_value(json.loads(text)),
    "m": lambda text: _any_value(json.loads(text)),
    "n": lambda text: None,
}


def text_of(data: bytes) -> str:
    """Return a text of the store; bytes that are not UTF-8 become U+FFFD."""
    return data.decode(errors="replace")
