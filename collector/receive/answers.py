"""What a receiver says back: the refusals, and the OTLP 1.11 answers over HTTP and gRPC.

Called by the receivers. A refusal is an exception that knows its HTTP status and its google.rpc code, so that every
protocol tells the same story. Knows no socket.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus

import orjson
from google.protobuf.duration_pb2 import Duration  # type: ignore[import-untyped]
from google.rpc.code_pb2 import Code  # type: ignore[import-untyped]
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from cpdd.errors import CpddError

MAX_MESSAGE_CHARS = 1_500
"""Longest message of an answer: a gRPC client refuses trailers above 8 KiB, and the text travels in them twice."""

PROTOBUF_TYPE = "application/x-protobuf"
JSON_TYPE = "application/json"


class Form(Enum):
    """How the spans of a request are written."""

    OTLP_PROTOBUF = "OTLP protobuf"
    OTLP_JSON = "OTLP/JSON"
    ZIPKIN_JSON = "Zipkin v2 JSON"


@dataclass(frozen=True, slots=True)
class Rejected:
    """The spans of one request that were not taken, while their neighbours were."""

    spans: int = 0
    message: str = ""
    """Why and where, the first few of them."""
    reasons: tuple[tuple[str, int], ...] = ()
    """(reason, spans) pairs, for the counters."""


NOTHING_REJECTED = Rejected()


class Refusal(CpddError):
    """A request that was not taken as a whole. Subclasses say why; this says how to tell the sender."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR
    code = Code.INTERNAL
    reason = "internal"
    """Label of the counter of refused requests."""
    retry_after_s: int | None = None
    """Seconds after which the same request may be sent again; None: sending it again is useless."""

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """HTTP headers that belong to the answer."""
        return () if self.retry_after_s is None else (("retry-after", str(self.retry_after_s)),)


class MalformedBody(Refusal):
    """The body cannot be read; it would not be better the second time."""

    status = HTTPStatus.BAD_REQUEST
    code = Code.INVALID_ARGUMENT
    reason = "malformed"


class BodyTooLarge(Refusal):
    """The body is over the limit, which is measured after decompression."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    code = Code.RESOURCE_EXHAUSTED
    reason = "too_large"

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"request refused: its body is over the limit of {limit} bytes (measured after decompression)\n"
            "hint: send fewer spans a request (OTEL_BSP_MAX_EXPORT_BATCH_SIZE, send_batch_max_size), "
            "or raise --max-body-bytes of the collector"
        )
        self.limit = limit


class Unauthenticated(Refusal):
    """The sender shows none of the tokens that are valid here."""

    status = HTTPStatus.UNAUTHORIZED
    code = Code.UNAUTHENTICATED
    reason = "token"

    def __init__(self) -> None:
        super().__init__(
            "request refused: it shows no token that is valid here\n"
            'hint: OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20TOKEN", one of the ingest_tokens of the collector'
        )

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        return (("www-authenticate", 'Bearer realm="cpdd"'),)


class NoMessage(Refusal):
    """A call ended before it brought a message; grpcio ends it so, itself, when the message is over the limit."""

    status = HTTPStatus.BAD_REQUEST
    code = Code.INVALID_ARGUMENT
    reason = "no_message"

    def __init__(self, limit: int) -> None:
        super().__init__(f"request refused: the call brought no message, or one over the limit of {limit} bytes")
        self.limit = limit


class BatchTooLarge(Refusal):
    """The spans of a body within the limit would take far more room in the store."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    code = Code.RESOURCE_EXHAUSTED
    reason = "too_large"


class RefusedByStore(Refusal):
    """The store can place none of these spans, now or later."""

    status = HTTPStatus.BAD_REQUEST
    code = Code.INVALID_ARGUMENT
    reason = "refused_by_store"


class UnsupportedContentType(Refusal):
    """The content type is none that this address reads."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    code = Code.INVALID_ARGUMENT
    reason = "content_type"

    def __init__(self, content_type: str, expected: tuple[str, ...]) -> None:
        super().__init__(f"request refused: content-type is {content_type!r}, {' or '.join(expected)} expected")
        self.content_type = content_type
        self.expected = expected


class UnsupportedEncoding(Refusal):
    """The content encoding is none that we can undo."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    code = Code.INVALID_ARGUMENT
    reason = "content_encoding"

    def __init__(self, encoding: str, expected: tuple[str, ...]) -> None:
        super().__init__(f"request refused: content-encoding is {encoding!r}, {', '.join(expected)} expected")
        self.encoding = encoding
        self.expected = expected

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        return (("accept-encoding", ", ".join(self.expected)),)


class UnknownPath(Refusal):
    """Nothing is received at this path."""

    status = HTTPStatus.NOT_FOUND
    code = Code.NOT_FOUND
    reason = "path"

    def __init__(self, path: str, expected: str) -> None:
        super().__init__(f"nothing is received at {path!r}; spans go to POST {expected}")
        self.path = path


class WrongMethod(Refusal):
    """Spans are sent with POST."""

    status = HTTPStatus.METHOD_NOT_ALLOWED
    code = Code.UNIMPLEMENTED
    reason = "method"

    def __init__(self, method: str, path: str) -> None:
        super().__init__(f"request refused: method is {method}; spans go to POST {path}")
        self.method = method

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        return (("allow", "POST"),)


class BodyTooSlow(Refusal):
    """The body trickles in; its connection is given up."""

    status = HTTPStatus.REQUEST_TIMEOUT
    code = Code.DEADLINE_EXCEEDED
    reason = "too_slow"

    def __init__(self, received: int, after_s: float) -> None:
        super().__init__(f"request refused: only {received} bytes of its body came in {after_s:.0f} s")
        self.received = received

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        return (("connection", "close"),)


class UnderPressure(Refusal):
    """More comes in than can be stored now; the sender keeps its spans and sends them again."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    code = Code.UNAVAILABLE
    reason = "pressure"

    def __init__(self, problem: str, retry_after_s: int = 1) -> None:
        super().__init__(f"request refused: {problem}; send it again in {retry_after_s} s")
        self.retry_after_s = retry_after_s


class StoreBehind(UnderPressure):
    """What waits to be stored fills the room that is set aside for it."""


class SenderOverShare(UnderPressure):
    """One sender holds more than its part while others want theirs."""

    reason = "share"

    def __init__(self, held: int, part: int, senders: int) -> None:
        super().__init__(
            f"this sender would hold {held} bytes that are not stored yet, and its part among {senders} is {part}"
        )
        self.held = held
        self.part = part


class StoreUnavailable(Refusal):
    """The spans could not be made durable; the sender keeps them and sends them again."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = Code.UNAVAILABLE
    reason = "store"

    def __init__(self, problem: str, retry_after_s: int = 5) -> None:
        super().__init__(f"spans were not stored: {problem}; send them again in {retry_after_s} s")
        self.retry_after_s = retry_after_s


class InternalFault(Refusal):
    """A fault of ours. Not retried: what broke us once would break us again."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(f"request failed inside the collector ({type(error).__name__}); its log has the details")


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer."""

    status: int
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


def shorten(message: str) -> str:
    """Return `message`, cut to what fits into a trailer; what UTF-8 cannot hold (`"\\ud800"` in a body) becomes `?`."""
    message = message.encode(errors="replace").decode()
    return message if len(message) <= MAX_MESSAGE_CHARS else message[: MAX_MESSAGE_CHARS - 1] + "…"


def export_response(rejected: Rejected) -> bytes:
    """Return an ExportTraceServiceResponse: empty when every span was taken."""
    if not rejected.spans:
        return b""
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = rejected.spans
    response.partial_success.error_message = shorten(rejected.message)
    encoded: bytes = response.SerializeToString()
    return encoded


def export_reply(form: Form, rejected: Rejected) -> Reply:
    """Return the 200 of OTLP/HTTP, in the content type of the request."""
    if form is Form.OTLP_PROTOBUF:
        return Reply(HTTPStatus.OK, PROTOBUF_TYPE, export_response(rejected))
    answer: Mapping[str, object] = {}
    if rejected.spans:  # int64 is a string in JSON, as the protobuf mapping says
        partial = {"rejectedSpans": str(rejected.spans), "errorMessage": shorten(rejected.message)}
        answer = {"partialSuccess": partial}
    return Reply(HTTPStatus.OK, JSON_TYPE, orjson.dumps(answer))


def refusal_status(refusal: Refusal) -> Status:
    """Return the google.rpc.Status of a refusal, with RetryInfo where sending again helps."""
    status = Status(code=refusal.code, message=shorten(str(refusal)))
    if refusal.retry_after_s is not None:
        status.details.add().Pack(RetryInfo(retry_delay=Duration(seconds=refusal.retry_after_s)))
    return status


def refusal_reply(form: Form | None, refusal: Refusal) -> Reply:
    """Return the 4xx or 5xx of OTLP/HTTP: a Status in the content type of the request, in JSON where it had none."""
    if form is Form.OTLP_PROTOBUF:
        return Reply(refusal.status, PROTOBUF_TYPE, refusal_status(refusal).SerializeToString(), refusal.headers)
    answer = orjson.dumps({"code": int(refusal.code), "message": shorten(str(refusal))})
    return Reply(refusal.status, JSON_TYPE, answer, refusal.headers)
