"""Jaeger's JSON (of its UI and its query API v1) to OTLP protobuf bytes. `jaeger_export` is the way back.

The translation is the OpenTelemetry Collector's. It differs where the way back would else not give the same: process
tags keep their names (the Collector renames `hostname` and `jaeger.version`), and an `error` tag that is text stays
beside the status it stands for. Warnings lie where Jaeger v2 has them. docs/reference/formats.md has the table.

Source: pkg/translator/jaeger of opentelemetry-collector-contrib.
"""

import base64
import binascii
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from collector.core.detail import Event, Link
from collector.core.formats import protobuf
from collector.core.formats.document import MalformedDocument, parse_json
from collector.core.formats.translation import (
    MAX_TIME_UNIX_NANO,
    Rejection,
    Rejections,
    Translation,
    Unreadable,
    array_of,
    nonzero_id,
    padded_hex,
    rejection_of,
    shown,
    text_of,
    whole_number,
)
from collector.core.spans import (
    KIND_SERVER,
    STATUS_ERROR,
    STATUS_OK,
    STATUS_UNSET,
    AttributeValue,
)

KINDS = ("", "internal", "server", "client", "producer", "consumer")
"""Values of the tag `span.kind`; the position is OTLP's number."""

SPAN_KIND = "span.kind"
ERROR = "error"
STATUS_CODE = "otel.status_code"
STATUS_DESCRIPTION = "otel.status_description"
SCOPE_NAME = "otel.scope.name"
SCOPE_VERSION = "otel.scope.version"
TRACE_STATE = "w3c.tracestate"
WARNINGS = "@jaeger@warnings"
DROPPED = ("otel.dropped_attributes_count", "otel.dropped_events_count", "otel.dropped_links_count")
EVENT = "event"
"""The field of a log that names the event."""
REF_TYPE = "opentracing.ref_type"
"""The attribute of a link that says which kind of reference it was."""

_HTTP_STATUS_CODE = "http.status_code"
_HTTP_STATUS_MESSAGE = "http.status_message"

_MEANT = frozenset(
    (
        SPAN_KIND,
        ERROR,
        STATUS_CODE,
        STATUS_DESCRIPTION,
        SCOPE_NAME,
        SCOPE_VERSION,
        TRACE_STATE,
        _HTTP_STATUS_CODE,
        *DROPPED,
    )
)
"""Tags that become something else than an attribute; most spans of services have none of them, or few."""
_NOTHING_DROPPED = [0] * len(DROPPED)

Json = dict[str, Any]
_Tags = list[tuple[str, AttributeValue]]


def translate_jaeger(body: bytes) -> Translation:
    """Return the OTLP protobuf bytes of Jaeger JSON: an answer of the API (`{"data": [...]}`), traces, or one trace.

    Raises:
        MalformedDocument: the JSON cannot be parsed, or holds no traces.
    """
    return translate_traces(parse_json(body))


def translate_traces(document: object) -> Translation:
    """Return the OTLP protobuf bytes of parsed Jaeger JSON; every process of a trace becomes a resource."""
    rejections = Rejections()
    parts: list[bytes] = []
    for place, trace in _traces(document):
        spans = trace.get("spans")
        if not isinstance(spans, list):
            raise MalformedDocument(f"{shown(spans)} where an array is expected", f"{place}.spans".removeprefix("."))
        processes = _Processes(trace.get("processes"))
        for index, span in enumerate(spans):
            try:
                processes.add(span)
            except Unreadable as odd:
                at = f"{place}.spans[{index}]".removeprefix(".")
                rejections.add(_rejection(odd, at, span, processes))
        parts += processes.resource_spans()
    return Translation(b"".join(parts), rejections.count, tuple(rejections.kept))


def _traces(document: object) -> Iterator[tuple[str, Json]]:
    """The traces of a document, each with its place."""
    place, traces = "", document
    if isinstance(document, dict):
        if "spans" in document:
            yield "", document
            return
        place, traces = "data", document.get("data")
    if not isinstance(traces, list):
        raise MalformedDocument(f"{shown(traces)} where an array of Jaeger traces is expected", place)
    for index, trace in enumerate(traces):
        if not isinstance(trace, dict):
            raise MalformedDocument(f"{shown(trace)} where a Jaeger trace is expected", f"{place}[{index}]")
        yield f"{place}[{index}]", trace


def _rejection(odd: Unreadable, place: str, span: object, processes: "_Processes") -> Rejection:
    name = span.get("operationName") if isinstance(span, dict) else ""
    return rejection_of(odd, place, name, processes.service(span))


@dataclass(slots=True)
class _Process:
    """One process of a trace, and its spans by scope."""

    resource: bytes
    scopes: dict[tuple[str, str], list[bytes]] = field(default_factory=dict)


class _Processes:
    """Collects the spans of one trace by process."""

    def __init__(self, table: object) -> None:
        self._table: Json = table if isinstance(table, dict) else {}
        self._read: dict[str, _Process] = {}

    def add(self, span: object) -> None:
        if not isinstance(span, dict):
            raise Unreadable(f"span is {shown(span)}, an object expected")
        try:
            scope, content = _span(span)
            self._of(span).scopes.setdefault(scope, []).append(content)
        except UnicodeEncodeError as error:
            raise Unreadable(f"{shown(error.object)} is not UTF-8") from None

    def service(self, span: object) -> object:
        """What the process of a span calls itself, unchecked."""
        process = self._find(span)[1] if isinstance(span, dict) else None
        return process.get("serviceName") if isinstance(process, dict) else None

    def resource_spans(self) -> list[bytes]:
        return [
            protobuf.resource_spans(
                process.resource, *(protobuf.scope_spans(*scope, spans) for scope, spans in process.scopes.items())
            )
            for process in self._read.values()
        ]

    def _find(self, span: Json) -> tuple[str, object]:
        """A key, and the process that `processID` names in the trace, or else the one that the span carries."""
        named = span.get("processID")
        if isinstance(named, str) and named in self._table:
            return named, self._table[named]
        process = span.get("process")
        return repr(process), process

    def _of(self, span: Json) -> _Process:
        key, process = self._find(span)
        if key not in self._read:
            self._read[key] = _Process(_resource(process))
        return self._read[key]


def _resource(process: object) -> bytes:
    if process is None:
        return b""
    if not isinstance(process, dict):
        raise Unreadable(f"its process is {shown(process)}, an object expected")
    name = text_of(process, "serviceName")
    service: _Tags = [("service.name", name)] if name else []
    return protobuf.resource((*service, *_tags(process.get("tags"))))


def _span(span: Json) -> tuple[tuple[str, str], bytes]:
    """The scope of a span, and the content of its Span message."""
    trace_id = nonzero_id("traceID", span.get("traceID"), 32)
    span_id = nonzero_id("spanID", span.get("spanID"), 16)
    start, end = _times(span)
    parent, links = _references(span, trace_id)
    tags = _tags(span.get("tags"))
    kind, status, message, dropped, scope, trace_state = "", STATUS_UNSET, "", _NOTHING_DROPPED, ("", ""), ""
    if not _MEANT.isdisjoint([key for key, _ in tags]):
        kind = _take_text(tags, SPAN_KIND)
        status, message = _take_status(tags, KINDS.index(kind) if kind in KINDS else 0)
        dropped = [_take_count(tags, key) for key in DROPPED]
        scope = (_take_text(tags, SCOPE_NAME), _take_text(tags, SCOPE_VERSION))
        trace_state = _take_text(tags, TRACE_STATE)
    number = KINDS.index(kind) if kind in KINDS else 0
    if warnings := [warning for warning in array_of(span, "warnings") if isinstance(warning, str)]:
        tags.append((WARNINGS, [*warnings]))
    "".join(scope).encode()
    return scope, b"".join(
        (
            protobuf.sized(b"\x0a", bytes.fromhex(trace_id)),
            protobuf.sized(b"\x12", bytes.fromhex(span_id)),
            protobuf.text(b"\x1a", trace_state) if trace_state else b"",
            protobuf.sized(b"\x22", bytes.fromhex(parent)) if parent else b"",
            protobuf.text(b"\x2a", text_of(span, "operationName")),
            protobuf.number(b"\x30", number) if number else b"",
            protobuf.fixed64(b"\x39", start),
            protobuf.fixed64(b"\x41", end),
            protobuf.attributes(b"\x4a", tuple(tags)),
            *(protobuf.number(tag, n) for tag, n in zip((b"\x50", b"\x60", b"\x70"), dropped, strict=True) if n),
            *(protobuf.event(_event(log)) for log in array_of(span, "logs")),
            *map(protobuf.link, links),
            protobuf.status(status, message),
            protobuf.fixed32(b"\x85\x01", 1) if _is_sampled(span) else b"",
        )
    )


def _is_sampled(span: Json) -> bool:
    """Bit 0 of Jaeger's flags means what bit 0 of OTLP's means; the others (debug, firehose) have no counterpart."""
    flags = span.get("flags")
    return isinstance(flags, int) and bool(flags & 1)


def _times(span: Json) -> tuple[int, int]:
    """Start and end; the sum is checked, so that nothing behind overflows."""
    start = _nanoseconds("startTime", span.get("startTime"))
    end = start + _nanoseconds("duration", span.get("duration", 0))
    for name, time in (("startTime", start), ("startTime + duration", end)):
        if not 0 <= time <= MAX_TIME_UNIX_NANO:
            raise Unreadable(f"{name} is {time} ns, 0 to {MAX_TIME_UNIX_NANO} expected")
    return start, end


def _nanoseconds(name: str, value: object) -> int:
    """Microseconds to nanoseconds, exactly."""
    if isinstance(value, float) and math.isfinite(value):
        return round(Fraction(value) * 1000)
    return whole_number(name, value) * 1000


def _references(span: Json, trace_id: str) -> tuple[str, list[Link]]:
    """The parent's id, "" for none, and the links: every other reference, and one of FOLLOWS_FROM to the parent.

    The parent is the first CHILD_OF, else the first FOLLOWS_FROM, of the same trace (CRITICAL_PATH rule 2).
    """
    references = [_reference(item) for item in array_of(span, "references")]
    own = sorted((ref for ref in references if ref.trace_id == trace_id), key=lambda ref: not ref.is_child_of)
    if not references and span.get("parentSpanID"):
        parent = padded_hex("parentSpanID", span["parentSpanID"], 16)
        return (parent if parent.strip("0") else ""), []
    parent = own[0].span_id if own else ""
    links = [ref for ref in references if not (ref.is_child_of and (ref.trace_id, ref.span_id) == (trace_id, parent))]
    return parent, [ref.link() for ref in links]


@dataclass(frozen=True, slots=True)
class _Reference:
    is_child_of: bool
    trace_id: str
    span_id: str

    def link(self) -> Link:
        kind = "child_of" if self.is_child_of else "follows_from"
        return Link(self.trace_id, self.span_id, attributes=((REF_TYPE, kind),))


def _reference(item: object) -> _Reference:
    if not isinstance(item, dict):
        raise Unreadable(f"reference is {shown(item)}, an object expected")
    trace_id = padded_hex("traceID of a reference", item.get("traceID"), 32)
    span_id = padded_hex("spanID of a reference", item.get("spanID"), 16)
    return _Reference(str(item.get("refType")).upper() != "FOLLOWS_FROM", trace_id, span_id)


def _event(log: object) -> Event:
    if not isinstance(log, dict):
        raise Unreadable(f"log is {shown(log)}, an object expected")
    fields = _tags(log.get("fields"))
    time = _nanoseconds("timestamp of a log", log.get("timestamp"))
    if not 0 <= time <= MAX_TIME_UNIX_NANO:
        raise Unreadable(f"timestamp of a log is {time} ns, 0 to {MAX_TIME_UNIX_NANO} expected")
    dropped = _take_count(fields, DROPPED[0])
    return Event(time, _take_text(fields, EVENT), tuple(fields), dropped)


# Tags


def _tags(items: object) -> _Tags:
    if items is None:
        return []
    if not isinstance(items, list):
        raise Unreadable(f"tags is {shown(items)}, an array expected")
    return [_tag(item) for item in items]


def _tag(item: object) -> tuple[str, AttributeValue]:
    if not isinstance(item, dict) or not isinstance(key := item.get("key"), str):
        raise Unreadable(f"tag is {shown(item)}, an object with a key expected")
    value = item.get("value")
    if type(value) is str and item.get("type") == "string":
        return key, value
    try:
        return key, _READERS.get(str(item.get("type")).lower(), _untyped)(value)
    except Unreadable as odd:
        raise Unreadable(f"tag {shown(key)}: {odd.problem}") from None


def _untyped(value: object) -> AttributeValue:
    """A value of which only JSON says the type; what no tag can hold becomes its JSON text."""
    if value is None or isinstance(value, (str, bool, float)):
        return value
    return whole_number("value", value) if isinstance(value, int) else json.dumps(value, ensure_ascii=False)


def _string(value: object) -> AttributeValue:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _bool(value: object) -> AttributeValue:
    known = {"true": True, "false": False, True: True, False: False}
    if not isinstance(value, (str, bool)) or value not in known:
        raise Unreadable(f"value is {shown(value)}, true or false expected")
    return known[value]


def _float(value: object) -> AttributeValue:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise Unreadable(f"value is {shown(value)}, a number expected") from None


def _binary(value: object) -> AttributeValue:
    try:
        return base64.b64decode(value, validate=True)  # type: ignore[arg-type]
    except (TypeError, ValueError, binascii.Error):
        raise Unreadable(f"value is {shown(value)}, base64 expected") from None


_READERS: dict[str, Callable[[object], AttributeValue]] = {
    "string": _string,
    "bool": _bool,
    "int64": lambda value: whole_number("value", value),
    "float64": _float,
    "binary": _binary,
}


def _find(tags: _Tags, key: str) -> AttributeValue:
    for name, value in tags:
        if name == key:
            return value
    return None


def _take_text(tags: _Tags, key: str) -> str:
    """Remove a tag of text and return it, "" where there is none."""
    value = _find(tags, key)
    if not isinstance(value, str):
        return ""
    tags.remove((key, value))
    return value


def _take_count(tags: _Tags, key: str) -> int:
    value = _find(tags, key)
    if type(value) is not int or not 0 <= value < 2**32:
        return 0
    tags.remove((key, value))
    return value


def _take_status(tags: _Tags, kind: int) -> tuple[int, str]:
    """Status code and message. The tag `error` decides, then `otel.status_code`, then the HTTP status."""
    error = _find(tags, ERROR)
    said = _take_text(tags, STATUS_CODE).upper()
    if error is True or error == "true":
        if error is True:
            tags.remove((ERROR, True))
        return STATUS_ERROR, _take_text(tags, STATUS_DESCRIPTION) or _message(tags)
    if said:
        code = {"OK": STATUS_OK, "ERROR": STATUS_ERROR}.get(said, STATUS_UNSET)
        return code, _take_text(tags, STATUS_DESCRIPTION)
    if _failed_by_http(_find(tags, _HTTP_STATUS_CODE), kind):
        return STATUS_ERROR, _message(tags)
    return STATUS_UNSET, ""


def _message(tags: _Tags) -> str:
    message = _find(tags, _HTTP_STATUS_MESSAGE)
    return message if isinstance(message, str) else ""


def _failed_by_http(value: AttributeValue, kind: int) -> bool:
    """Whether an HTTP status is an error by OpenTelemetry's conventions: 4xx is no error of a server."""
    if isinstance(value, str) and value.isdecimal() and len(value) == 3:
        value = int(value)
    return type(value) is int and (500 <= value < 600 or (400 <= value < 500 and kind != KIND_SERVER))
