"""Zipkin v2 JSON to OTLP protobuf bytes.

The translation is the OpenTelemetry Collector's, with current names of attributes (docs/reference/formats.md). A
shared id stays shared: assembly makes two nodes of it (CRITICAL_PATH rule 1).

Source: https://zipkin.io/zipkin-api/ (v2); pkg/translator/zipkin of opentelemetry-collector-contrib.
"""

import ipaddress
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from collector.core.detail import Event
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
    KIND_CLIENT,
    KIND_CONSUMER,
    KIND_INTERNAL,
    KIND_PRODUCER,
    KIND_SERVER,
    KIND_UNSPECIFIED,
    STATUS_ERROR,
    STATUS_OK,
    STATUS_UNSET,
    AttributeValue,
)

START_TIME_ABSENT = "otel.zipkin.absentField.startTime"
"""The Collector's mark of a span that came without a timestamp."""

_KINDS = {"CLIENT": KIND_CLIENT, "SERVER": KIND_SERVER, "PRODUCER": KIND_PRODUCER, "CONSUMER": KIND_CONSUMER}
_SCOPE_NAME = "otel.scope.name"
_SCOPE_VERSION = "otel.scope.version"
_STATUS_CODE = "otel.status_code"
_STATUS_DESCRIPTION = "otel.status_description"
_TRACE_STATE = "w3c.tracestate"
_SPAN_KIND = "span.kind"
_ERROR = "error"

_Json = dict[str, Any]
_Tags = dict[str, str]
_Resource = tuple[tuple[str, AttributeValue], ...]
_Scope = tuple[str, str]


def translate_zipkin(body: bytes) -> Translation:
    """Return the OTLP protobuf bytes of Zipkin v2 JSON: a list of spans, or of traces that are lists of spans.

    Raises:
        MalformedDocument: the JSON cannot be parsed, or is no list.
    """
    return translate_spans(parse_json(body))


def translate_spans(document: object) -> Translation:
    """Return the OTLP protobuf bytes of parsed Zipkin v2 JSON; endpoints become resources."""
    if not isinstance(document, list):
        raise MalformedDocument(f"{shown(document)} where an array of Zipkin spans is expected")
    rejections = Rejections()
    heads: list[_Head] = []
    groups: dict[tuple[str, _Resource, _Scope], list[bytes]] = defaultdict(list)
    for place, span in _spans(document):
        try:
            heads.append(_head(place, span))
        except Unreadable as odd:
            rejections.add(_rejection(odd, place, span))
    starts = _Starts(heads)
    for head in heads:
        try:
            resource = _resource(head.span)
            scope, content = _span(head, starts.of(head))
            groups[head.trace_id, resource, scope].append(content)
        except Unreadable as odd:
            rejections.add(_rejection(odd, head.place, head.span))
        except UnicodeEncodeError as error:
            rejections.add(_rejection(Unreadable(f"{shown(error.object)} is not UTF-8"), head.place, head.span))
    parts = [
        protobuf.resource_spans(protobuf.resource(resource), protobuf.scope_spans(*scope, spans))
        for (_, resource, scope), spans in groups.items()
    ]
    return Translation(b"".join(parts), rejections.count, tuple(rejections.kept))


def _spans(document: list[Any]) -> Iterator[tuple[str, object]]:
    """The spans of a list, or of a list of traces, each with its place."""
    for i, item in enumerate(document):
        if isinstance(item, list):
            yield from ((f"[{i}][{k}]", span) for k, span in enumerate(item))
        else:
            yield f"[{i}]", item


def _rejection(odd: Unreadable, place: str, span: object) -> Rejection:
    name = span.get("name") if isinstance(span, dict) else ""
    endpoint = span.get("localEndpoint") if isinstance(span, dict) else None
    service = endpoint.get("serviceName") if isinstance(endpoint, dict) else ""
    return rejection_of(odd, place, name, service)


# Place and time


@dataclass(frozen=True, slots=True)
class _Head:
    """Where a span belongs, and when; `start` is None where the span does not say."""

    place: str
    span: _Json
    trace_id: str
    span_id: str
    parent_id: str
    start: int | None

    @property
    def key(self) -> tuple[str, str]:
        return self.trace_id, self.span_id

    @property
    def parent_key(self) -> tuple[str, str]:
        return self.trace_id, self.parent_id


def _head(place: str, span: object) -> _Head:
    if not isinstance(span, dict):
        raise Unreadable(f"span is {shown(span)}, an object expected")
    trace_id = nonzero_id("traceId", span.get("traceId"), 32)
    span_id = nonzero_id("id", span.get("id"), 16)
    parent = span.get("parentId")
    parent_id = padded_hex("parentId", parent, 16) if parent else ""
    start = _nanoseconds("timestamp", span["timestamp"]) if span.get("timestamp") else None
    return _Head(place, span, trace_id, span_id, parent_id if parent_id.strip("0") else "", start)


def _nanoseconds(name: str, value: object) -> int:
    return whole_number(name, value, 0, MAX_TIME_UNIX_NANO // 1000) * 1000


class _Starts:
    """The starts of spans; for one without a timestamp the earliest start below it.

    Zipkin takes reports in pieces, and a piece may have no time. Where another report of the id has one, nothing is
    inferred: the piece would be a second span.
    """

    def __init__(self, heads: list[_Head]) -> None:
        timed = [head for head in heads if head.start is not None]
        self._timed = {head.key for head in timed}
        self._inferred: dict[tuple[str, str], int] = {}
        parents = {head.key: head.parent_key for head in heads if head.key not in self._timed}
        for head in sorted(timed, key=lambda head: head.start or 0) if parents else ():
            above = head.parent_key
            while above in parents and above not in self._inferred:
                self._inferred[above] = head.start or 0
                above = parents[above]

    def of(self, head: _Head) -> int:
        """Return the start of a span; raises Unreadable."""
        if head.start is not None:
            return head.start
        if head.key in self._timed:
            raise Unreadable("timestamp is missing; another report of this id has one, and is taken")
        if head.key not in self._inferred:
            raise Unreadable("timestamp is missing, and no span below has one")
        return self._inferred[head.key]


# Spans


def _span(head: _Head, start: int) -> tuple[_Scope, bytes]:
    """The scope of a span, and the content of its Span message."""
    span = head.span
    tags = _tags(span)
    kind = _kind(span, tags)
    scope = (tags.pop(_SCOPE_NAME, ""), tags.pop(_SCOPE_VERSION, ""))
    "".join(scope).encode()
    trace_state = tags.pop(_TRACE_STATE, "")
    status, message = _take_status(tags)
    attributes: dict[str, AttributeValue] = {**dict(_endpoints(span, kind)), **_database(tags), **tags}
    if head.start is None:
        attributes[START_TIME_ABSENT] = True
    return scope, b"".join(
        (
            protobuf.sized(b"\x0a", bytes.fromhex(head.trace_id)),
            protobuf.sized(b"\x12", bytes.fromhex(head.span_id)),
            protobuf.text(b"\x1a", trace_state) if trace_state else b"",
            protobuf.sized(b"\x22", bytes.fromhex(head.parent_id)) if head.parent_id else b"",
            protobuf.text(b"\x2a", text_of(span, "name")),
            protobuf.number(b"\x30", kind) if kind else b"",
            protobuf.fixed64(b"\x39", start),
            protobuf.fixed64(b"\x41", _end(span, start)),
            protobuf.attributes(b"\x4a", tuple(attributes.items())),
            *(protobuf.event(_event(annotation)) for annotation in array_of(span, "annotations")),
            protobuf.status(status, message),
        )
    )


def _end(span: _Json, start: int) -> int:
    """The end, 0 (missing, as OTLP has it) where no duration was reported."""
    if span.get("duration") is None:
        return 0
    end = start + _nanoseconds("duration", span["duration"])
    if end > MAX_TIME_UNIX_NANO:
        raise Unreadable(f"timestamp + duration is {end} ns, above {MAX_TIME_UNIX_NANO}")
    return end


def _kind(span: _Json, tags: _Tags) -> int:
    kind = _KINDS.get(str(span.get("kind")).upper(), KIND_UNSPECIFIED)
    if kind == KIND_UNSPECIFIED and tags.get(_SPAN_KIND) == "internal":
        del tags[_SPAN_KIND]
        return KIND_INTERNAL
    return kind


def _take_status(tags: _Tags) -> tuple[int, str]:
    """Status code and message. A tag `error` means failure, whatever it says but "false"; its text is the message."""
    said = tags.pop(_STATUS_CODE, "").upper()
    message = tags.pop(_STATUS_DESCRIPTION, "") if said else ""
    error = tags.get(_ERROR)
    if error is not None and error.lower() != "false":
        return STATUS_ERROR, message or ("" if error.lower() == "true" else error)
    return {"OK": STATUS_OK, "ERROR": STATUS_ERROR}.get(said, STATUS_UNSET), message


def _tags(span: _Json) -> _Tags:
    """Tags are text; what is not becomes its JSON text."""
    tags = span.get("tags")
    if tags is None:
        return {}
    if not isinstance(tags, dict):
        raise Unreadable(f"tags is {shown(tags)}, an object expected")
    return {key: value if type(value) is str else json.dumps(value, ensure_ascii=False) for key, value in tags.items()}


def _database(tags: _Tags) -> _Tags:
    """What a statement says of its database: Brave's instrumentations tag the statement and not the system."""
    if "cassandra.query" in tags:
        keyspace = tags.get("cassandra.keyspace")
        return {"db.system.name": "cassandra", **({"db.namespace": keyspace} if keyspace else {})}
    return {"db.system.name": "other_sql"} if "sql.query" in tags else {}


def _event(annotation: object) -> Event:
    if not isinstance(annotation, dict):
        raise Unreadable(f"annotation is {shown(annotation)}, an object expected")
    time = _nanoseconds("timestamp of an annotation", annotation.get("timestamp"))
    return Event(time, text_of(annotation, "value"))


# Endpoints


def _resource(span: _Json) -> _Resource:
    """The local endpoint: the service, and the address that tells hosts apart (rule 5). Loopback tells nothing."""
    endpoint = _endpoint(span, "localEndpoint")
    resource: list[tuple[str, AttributeValue]] = []
    if name := text_of(endpoint, "serviceName"):
        resource.append(("service.name", name))
    if (ip := _ip(endpoint)) and not _is_loopback(ip):
        resource.append(("ip", ip))
    for _, value in resource:
        str(value).encode()
    return tuple(resource)


def _endpoints(span: _Json, kind: int) -> Iterator[tuple[str, AttributeValue]]:
    """The remote endpoint, and the local port, as attributes."""
    local, remote = _endpoint(span, "localEndpoint"), _endpoint(span, "remoteEndpoint")
    side = "client" if kind == KIND_SERVER else "server"
    if name := text_of(remote, "serviceName"):
        yield "peer.service", name
    if ip := _ip(remote):
        yield f"{side}.address", ip
    if port := _port(remote):
        yield f"{side}.port", port
    if port := _port(local):
        yield "network.local.port", port


def _endpoint(span: _Json, name: str) -> _Json:
    endpoint = span.get(name)
    if endpoint is None:
        return {}
    if not isinstance(endpoint, dict):
        raise Unreadable(f"{name} is {shown(endpoint)}, an object expected")
    return endpoint


def _ip(endpoint: _Json) -> str:
    return text_of(endpoint, "ipv4") or text_of(endpoint, "ipv6")


def _port(endpoint: _Json) -> int:
    port = endpoint.get("port")
    return 0 if port is None else whole_number("port", port, 0, 65535)


def _is_loopback(ip: str) -> bool:
    try:
        return ipaddress.ip_address(ip).is_loopback
    except ValueError:
        return False
