"""OTLP requests as bytes: count their spans, cut them smaller, move them in time. Pure.

Counting and cutting look at frames alone, whatever the spans hold; moving goes through the protobuf runtime.
"""

from collections.abc import Iterable, Iterator

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collector.core.formats.protobuf import sized

_GROUPS, _SCOPES, _SPANS = 1, 2, 2
"""Field numbers: ResourceSpans in a request, ScopeSpans in those, Span in those."""
_BYTES = 2
"""The wire type of texts and messages."""


class BadFrame(ValueError):
    """Bytes of which it cannot be told where spans begin and end."""


def count_spans(body: bytes) -> int:
    """Return how many spans a request holds; raises BadFrame."""
    return sum(
        1
        for group in _contents(body, _GROUPS)
        for scoped in _contents(group, _SCOPES)
        for number, _, _ in _fields(scoped)
        if number == _SPANS
    )


def cut(body: bytes, most_bytes: int) -> list[bytes]:
    """Return requests of at most `most_bytes` with the spans of one, in order; one that holds a larger span is larger.

    Raises BadFrame.
    """
    if len(body) <= most_bytes:
        return [body]
    return _packed((part for group in _contents(body, _GROUPS) for part in _cut_group(group, most_bytes)), most_bytes)


def _cut_group(group: bytes, most_bytes: int) -> Iterator[bytes]:
    """ResourceSpans fields with some of the spans each, resource and scope repeated."""
    if len(group) < most_bytes:
        yield sized(b"\x0a", group)
        return
    frame = b"".join(field for number, field, _ in _fields(group) if number != _SCOPES)
    for scoped in _contents(group, _SCOPES):
        scope_frame = b"".join(field for number, field, _ in _fields(scoped) if number != _SPANS)
        spans = (field for number, field, _ in _fields(scoped) if number == _SPANS)
        for some in _packed(spans, most_bytes - len(frame) - len(scope_frame) - 30):
            yield sized(b"\x0a", frame + sized(b"\x12", scope_frame + some))


def _packed(fields: Iterable[bytes], most_bytes: int) -> list[bytes]:
    """Fields behind one another, as many together as there is room for."""
    packs: list[bytes] = []
    pack: list[bytes] = []
    size = 0
    for field in fields:
        if pack and size + len(field) > most_bytes:
            packs.append(b"".join(pack))
            pack, size = [], 0
        pack.append(field)
        size += len(field)
    return [*packs, b"".join(pack)]


def _contents(message: bytes, number: int) -> Iterator[bytes]:
    return (content for found, _, content in _fields(message) if found == number)


def _fields(message: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Number, whole field and content of each field; content only where it is a text or a message."""
    at = 0
    while at < len(message):
        tag, value_at = _varint(message, at)
        match tag & 7:
            case 0:
                _, end = _varint(message, value_at)
                content_at = end
            case 1 | 5 as wire_type:
                content_at = end = value_at + (8 if wire_type == 1 else 4)
            case 2:
                size, content_at = _varint(message, value_at)
                end = content_at + size
            case _:
                raise BadFrame(f"wire type {tag & 7} at byte {at} of a message")
        if end > len(message):
            raise BadFrame(f"a field at byte {at} ends beyond its message")
        yield tag >> 3 if tag & 7 == _BYTES else 0, message[at:end], message[content_at:end]
        at = end


def _varint(message: bytes, at: int) -> tuple[int, int]:
    number = 0
    for shift, byte in enumerate(message[at : at + 10]):
        number |= (byte & 127) << (7 * shift)
        if byte < 128:
            return number, at + shift + 1
    raise BadFrame(f"no number at byte {at} of a message")


def newest_time(bodies: Iterable[bytes]) -> int:
    """Return the latest start or end of any span, 0 where there is none; what cannot be read is passed over."""
    spans = (span for body in bodies for span in _spans(_parsed(body)))
    return max((max(span.start_time_unix_nano, span.end_time_unix_nano) for span in spans), default=0)


def moved(body: bytes, by_ns: int, trace_mask: bytes) -> bytes:
    """Return a request with all times later by `by_ns`, and other trace ids: the same ones where they were the same.

    Times that are missing (0) stay missing; what cannot be read stays as it is.

    Args:
        trace_mask: 16 bytes that every trace id is combined with; zeros keep the ids.
    """
    request = _parsed(body)
    if request is None:
        return body
    for span in _spans(request):
        span.trace_id = _masked(span.trace_id, trace_mask)
        span.start_time_unix_nano = _later(span.start_time_unix_nano, by_ns)
        span.end_time_unix_nano = _later(span.end_time_unix_nano, by_ns)
        for event in span.events:
            event.time_unix_nano = _later(event.time_unix_nano, by_ns)
        for link in span.links:
            link.trace_id = _masked(link.trace_id, trace_mask)
    return bytes(request.SerializeToString())


def _parsed(body: bytes) -> ExportTraceServiceRequest | None:
    request = ExportTraceServiceRequest()
    try:
        request.ParseFromString(body)
    except DecodeError:
        return None
    return request


def _spans(request: ExportTraceServiceRequest | None) -> Iterator[Span]:
    if request is not None:
        yield from (s for group in request.resource_spans for scoped in group.scope_spans for s in scoped.spans)


def _later(time: int, by_ns: int) -> int:
    return min(max(time + by_ns, 1), 2**64 - 1) if time else 0


def _masked(trace_id: bytes, mask: bytes) -> bytes:
    """Ids of a wrong length stay: the receiver is to see them."""
    return bytes(a ^ b for a, b in zip(trace_id, mask, strict=True)) if len(trace_id) == len(mask) else trace_id
