"""OTLP protobuf to columns. Called by receivers and files with a request's bytes; the work is done in kernels.

    request --measure--> how many --decode--> columns, texts, what was refused --> SpanBatch, Rejections

One bad span is refused with its place and costs its neighbours nothing. Only where it cannot be told where spans begin
and end is the request refused as a whole. See docs/reference/span-batch.md.
"""

from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collector.core import kernels
from collector.core.refusals import describe_frame, describe_span
from collector.core.rejections import MAX_KEPT, Rejections
from collector.core.spans import NO_STRING, Resources, Scopes, SpanBatch
from cpdd.errors import CpddError

UNKNOWN_SERVICE = "unknown_service"
"""The service of spans whose resource has no `service.name`, as the specification's SDKs name it."""

MAX_JOINABLE_FIELDS = 100
_RESOURCE_SPANS_TAG = 0x0A
_MOST_SHIFT = 28
"""Of a varint of five bytes: no body is larger than 32 GiB."""

_BYTES_PER_WORK = 32
_SLOTS_PER_SPAN = 4
_TEXTS_PER_SPAN, _TEXTS_PER_RESOURCE, _TEXTS_PER_SCOPE = 8, 10, 3
_interning = kernels.plain("interning")
_SEED = hash(__name__) & (2**62 - 1)
"""Python's own: different in each process, and none that a sender could know."""


class MalformedRequest(CpddError):
    """A body of which it cannot be told where its spans begin and end: HTTP 400."""

    def __init__(self, problem: str, offset: int, size: int, place: str) -> None:
        self.problem = problem
        self.offset = offset
        """Of the field that cannot be read, in bytes."""
        self.size = size
        """Of the body."""
        self.place = place
        super().__init__(
            f"request malformed: {problem}\n  at {place + ', ' if place else ''}byte {offset} of {size}\n"
            "hint: is the body an OTLP ExportTraceServiceRequest in protobuf, whole and without another compression?"
        )


def decode_traces(body: bytes) -> tuple[SpanBatch, Rejections]:
    """Return the spans of an ExportTraceServiceRequest, and those that were refused.

    Args:
        body: the protobuf bytes, decompressed. The batch holds on to them: attributes are read from there.
    Returns:
        Spans in the order of the bytes. The kernels run as plain Python where the body is small (`kernels.load`).
    Raises:
        MalformedRequest: the frame of messages around the spans cannot be read.
    """
    return decode_with(kernels.load("decode", work=len(body) // _BYTES_PER_WORK), body)


def decode_with(decoder: ModuleType, body: bytes) -> tuple[SpanBatch, Rejections]:
    """Do the work of `decode_traces` with this copy of the kernels: both give the same answer."""
    counts, place = np.empty(decoder.COUNTS, np.int64), np.empty(3, np.int64)
    scratch = decoder.Scratch(*[np.empty(shape, np.int64) for shape in decoder.SCRATCH])
    problem, offset = decoder.measure(body, counts, place, scratch.surveys)
    if problem != 0:
        raise MalformedRequest(describe_frame(problem), int(offset), len(body), _place(place))
    out = _room(decoder, counts)
    decoder.decode(body, _SEED, counts, place, out, scratch)
    rejected = int(counts[decoder.REJECTED_COUNT])
    rejections = Rejections()
    if rejected:
        rejections.extend(rejected, (describe_span(body, facts) for facts in out.rejected[:rejected].tolist()))
    return _batch(body, decoder, counts, out), rejections


def is_joinable(body: bytes) -> bool:
    """Tell whether a request, put before another, leaves that one as it is: nothing in it ends behind its own end.

    Only what consists of a moderate number of ResourceSpans is looked at; of others it says False.
    """
    at = fields = 0
    while at < len(body):
        if body[at] != _RESOURCE_SPANS_TAG or fields == MAX_JOINABLE_FIELDS:
            return False
        size = shift = 0
        while True:
            at += 1
            if at == len(body) or shift > _MOST_SHIFT:
                return False
            size |= (body[at] & 0x7F) << shift
            shift += 7
            if body[at] < 0x80:
                break
        at += 1 + size
        fields += 1
    return at == len(body)


def _place(indexes: NDArray[np.int64]) -> str:
    """The place as in OTLP/JSON, as deep as it is known."""
    names = ("resourceSpans", "scopeSpans", "spans")
    return ".".join(f"{name}[{index}]" for name, index in zip(names, indexes.tolist(), strict=True) if index >= 0)


def _room(decoder: ModuleType, counts: NDArray[np.int64]) -> Any:
    """Arrays for what `measure` counted. Rows that stay empty are never touched, and so take no memory."""
    spans, resources, scopes = counts[decoder.SPAN_COUNT : decoder.SCOPE_COUNT + 1].tolist()
    texts = _TEXTS_PER_SPAN * spans + _TEXTS_PER_RESOURCE * resources + _TEXTS_PER_SCOPE * scopes
    return decoder.Output(
        longs=np.empty((decoder.LONGS, spans), np.int64),
        ints=np.empty((decoder.INTS, spans), np.int32),
        shorts=np.empty((decoder.SHORTS, spans), np.int16),
        tinies=np.empty((decoder.TINIES, spans), np.int8),
        resources=np.empty((resources, 2), np.int64),
        resource_texts=np.empty((resources, decoder.RESOURCE_TEXTS), np.int32),
        scopes=np.empty((scopes, 2), np.int64),
        scope_texts=np.empty((scopes, decoder.SCOPE_TEXTS), np.int32),
        texts=np.empty((3, texts), np.int64),
        slots=np.zeros(1 << (_SLOTS_PER_SPAN * spans + 63).bit_length(), np.int32),
        rejected=np.empty((MAX_KEPT, decoder.REJECTION_FACTS), np.int64),
    )


def _batch(body: bytes, decoder: ModuleType, counts: NDArray[np.int64], out: Any) -> SpanBatch:
    spans, resources, scopes = counts[decoder.SPAN_COUNT : decoder.SCOPE_COUNT + 1].tolist()
    ints, resource_texts, scope_texts = out.ints[:, :spans], out.resource_texts[:resources], out.scope_texts[:scopes]
    strings, numbers = _strings(body, counts, out)
    if numbers is not None:
        for texts in (ints[1:3], ints[5:], resource_texts, scope_texts):
            texts[:] = numbers[texts]
    if NO_STRING in resource_texts[:, 1].tolist():  # a list: resources are few
        if UNKNOWN_SERVICE not in strings:
            strings += (UNKNOWN_SERVICE,)
        for services in (resource_texts[:, 1], ints[2]):
            services[services == NO_STRING] = strings.index(UNKNOWN_SERVICE)

    trace_id_high, trace_id_low, span_id, parent_span_id = out.longs[:4, :spans].view(np.uint64)
    start, end, at, size = out.longs[4:8, :spans]
    link_trace_id_high, link_trace_id_low, link_span_id = out.longs[8:, :spans].view(np.uint64)
    flags, name, service, resource, scope, journey, peer_service, server_address, *rest = ints
    db_system, db_namespace, messaging_system, messaging_destination = rest
    resource_at, resource_size = out.resources[:resources].T
    scope_at, scope_size = out.scopes[:scopes].T
    http_status, rpc_status = out.shorts[:, :spans]
    kind, status_code, requirement, outcome, follows_from, link_type = out.tinies[:, :spans]
    return SpanBatch(
        trace_id_high,
        trace_id_low,
        span_id,
        parent_span_id,
        start,
        end,
        flags.view(np.uint32),
        kind,
        status_code,
        requirement,
        outcome,
        follows_from.view(np.uint8),
        http_status,
        rpc_status,
        link_type,
        link_trace_id_high,
        link_trace_id_low,
        link_span_id,
        name,
        service,
        journey,
        peer_service,
        server_address,
        db_system,
        db_namespace,
        messaging_system,
        messaging_destination,
        resource,
        scope,
        at,
        size,
        strings,
        Resources(
            service=resource_texts[:, 1],
            host=resource_texts[:, 2:-1],
            schema_url=resource_texts[:, 0],
            at=resource_at,
            size=resource_size,
            version=resource_texts[:, -1],
        ),
        Scopes(scope_texts[:, 1], scope_texts[:, 2], scope_texts[:, 0], scope_at, scope_size),
        body,
    )


def _strings(body: bytes, counts: NDArray[np.int64], out: Any) -> tuple[tuple[str, ...], NDArray[np.int32] | None]:
    """Return the texts, each once, and the new numbers of those that the kernel may have numbered twice, if any.

    The last of the new numbers keeps NO_STRING what it is.
    """
    first, behind = out.texts[: _interning.TEXT_END + 1, : counts[_interning.TEXT_COUNT]].tolist()
    strings = [body[at:end].decode() for at, end in zip(first, behind, strict=True)]
    if counts[_interning.UNMERGED] == 0:
        return tuple(strings), None
    positions: dict[str, int] = {}
    numbers = [positions.setdefault(text, len(positions)) for text in strings]
    return tuple(positions), np.array([*numbers, NO_STRING], np.int32)
