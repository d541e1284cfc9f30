"""What a file holds, told by its content: the name and the ending of a file say nothing.

Pure: looks at first bytes and at parsed JSON. `collector.receive.files` reads the bytes.
"""

from collections.abc import Sequence
from enum import Enum
from typing import Any

from collector.core.formats.jaeger import translate_traces
from collector.core.formats.otlp_json import translate_request
from collector.core.formats.translation import Translation, shown
from collector.core.formats.zipkin import translate_spans
from cpdd.errors import CpddError

ACCEPTED = (
    "OTLP as JSON, as JSON lines or as protobuf (one request, or requests with a varint length before each), "
    "Jaeger JSON, Zipkin v2 JSON; gzip or not"
)
SAMPLE_BYTES = 64 * 1024
"""How much of a file's beginning is enough to tell text from protobuf."""

_SHOWN_BYTES = 12


class Layout(Enum):
    """How the bytes of a file are cut into requests."""

    TEXT = "text"
    ONE_REQUEST = "OTLP protobuf, one request"
    DELIMITED = "OTLP protobuf, requests with a varint length before each"


class NotSpans(CpddError):
    """A file that holds no spans that cpdd can read: what it is, and what would do."""

    def __init__(self, seen: str, hint: str = f"accepted: {ACCEPTED}") -> None:
        self.seen = seen
        self.hint = hint
        super().__init__(f"{self.problem}\nhint: {hint}")

    @property
    def problem(self) -> str:
        return f"no spans here: {self.seen}"


def layout_of(sample: bytes) -> Layout:
    """Return how a file is cut, by its first `SAMPLE_BYTES` (all of them, when it is shorter).

    JSON holds no control characters but white space; protobuf with spans cannot do without 0x12, the tag of field 2.

    Raises:
        NotSpans: names the first bytes and, where it is known, what they are.
    """
    if not sample.strip():
        raise NotSpans("the file is empty" if not sample else "the file is blank")
    if sample.startswith((b"\xff\xfe", b"\xfe\xff")) or len(sample.translate(None, _CONTROL)) == len(sample):
        return Layout.TEXT
    if _begins_request(sample, 0, len(sample), whole=False):
        return Layout.ONE_REQUEST
    if _begins_delimited(sample):
        return Layout.DELIMITED
    known = next((name for magic, name in _MAGIC if sample.startswith(magic)), "unknown binary data")
    raise NotSpans(f"the first bytes are {sample[:_SHOWN_BYTES].hex(' ')} ({known})")


_CONTROL = bytes(set(range(32)) - set(b"\t\n\r"))

_MAGIC = (
    (b"\x28\xb5\x2f\xfd", "zstd: unpack it with zstd -d"),
    (b"PK\x03\x04", "a zip archive: unpack it"),
    (b"BZh", "bzip2: unpack it with bunzip2"),
    (b"\xfd7zXZ\x00", "xz: unpack it with unxz"),
    (b"PAR1", "Parquet"),
    (b"ARROW1", "Arrow"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"\x89PNG", "a picture"),
)


def _begins_delimited(sample: bytes) -> bool:
    size, at = _varint(sample, 0)
    if at < 0:
        return False
    end = at + size
    return _begins_request(sample, at, end, whole=True)


def _begins_request(sample: bytes, at: int, end: int, whole: bool) -> bool:
    """Whether sample[at:end] begins as an ExportTraceServiceRequest does: ResourceSpans in field 1, and nothing else.

    Bytes beyond the sample are trusted; `whole` says that the request has to end at `end`, not before.
    """
    seen = False
    while at < min(end, len(sample)):
        tag, (size, content) = sample[at], _varint(sample, at + 1)
        if tag != 0x0A or (content < 0 and len(sample) - at > 11):
            return False
        if content < 0:
            return seen
        if not _begins_group(sample, content, content + size) or (whole and content + size > end):
            return False
        at = content + size
        seen = True
    return seen


def _begins_group(sample: bytes, at: int, end: int) -> bool:
    """Whether sample[at:end] consists of the fields of a ResourceSpans: 1, 2 and 3, each with a size."""
    while at < min(end, len(sample)):
        size, content = _varint(sample, at + 1)
        if sample[at] not in (0x0A, 0x12, 0x1A) or (content >= 0 and content + size > end):
            return False
        if content < 0:
            return len(sample) - at <= 11
        at = content + size
    return True


def _varint(sample: bytes, at: int) -> tuple[int, int]:
    """The number at a position and the position behind it, negative where the sample ends or the number does not."""
    number = 0
    for shift, byte in enumerate(sample[at : at + 10]):
        number |= (byte & 127) << (7 * shift)
        if byte < 128:
            return number, at + shift + 1
    return 0, -1


# JSON


def translate_document(document: object, accept_base64: bool = True) -> Translation:
    """Return the OTLP bytes of a parsed JSON document of any accepted format.

    Raises:
        NotSpans: it is something else; says what.
        MalformedDocument: its frame is damaged.
    """
    match document:
        case {"resourceSpans": _} | {"resource_spans": _} | {"batches": _}:
            return translate_request(document, accept_base64)
        case [{"resourceSpans": _}, *_] | [{"resource_spans": _}, *_]:
            return translate_request({"resourceSpans": _groups(document)}, accept_base64)
        case {"result": {"resourceSpans": _} as request} | {"trace": {"resourceSpans": _} as request}:
            return translate_request(request, accept_base64)
        case {"traceID": _, "spans": _} | {"data": [] | [{"spans": _}, *_]} | [{"traceID": _, "spans": _}, *_]:
            return translate_traces(document)
        case [] | [{"traceId": _, "id": _}, *_] | [[] | [{"traceId": _, "id": _}, *_], *_]:
            if not _is_zipkin_v1(document):
                return translate_spans(document)
    raise _not_spans(document)


def _groups(requests: Sequence[object]) -> list[Any]:
    """The groups of several requests behind one another; anything odd among them is left for the translator to name."""
    groups: list[Any] = []
    for request in requests:
        found = request.get("resourceSpans", request.get("resource_spans")) if isinstance(request, dict) else None
        groups += found if isinstance(found, list) else [request]
    return groups


def _is_zipkin_v1(document: object) -> bool:
    match document:
        case [{"binaryAnnotations": _}, *_] | [{"annotations": [{"endpoint": _}, *_]}, *_]:
            return True
    return False


_TRACES_PLEASE = "cpdd reads traces: the file of spans begins with resourceSpans"
_JAEGER_TRACES_PLEASE = "save the answer to /api/traces?service=NAME instead"


def _not_spans(document: object) -> NotSpans:
    """What a document is that holds no spans."""
    match document:
        case {"resourceLogs": _} | {"resource_logs": _}:
            return NotSpans("OTLP logs", _TRACES_PLEASE)
        case {"resourceMetrics": _} | {"resource_metrics": _}:
            return NotSpans("OTLP metrics", _TRACES_PLEASE)
        case {"resourceProfiles": _} | {"resource_profiles": _}:
            return NotSpans("OTLP profiles", _TRACES_PLEASE)
        case [{"parent": _, "child": _}, *_] | {"data": [{"parent": _, "child": _}, *_]}:
            return NotSpans("a list of dependencies, as Jaeger's /api/dependencies answers", _JAEGER_TRACES_PLEASE)
        case {"data": [str(), *_]}:
            return NotSpans("a list of names, as Jaeger's /api/services answers", _JAEGER_TRACES_PLEASE)
        case {"errors": [{"msg": message}, *_]}:
            return NotSpans(f"an error answer of Jaeger: {shown(message)}")
        case {"traceEvents": _}:
            return NotSpans("a Chrome trace of one process")
        case list() if _is_zipkin_v1(document):
            return NotSpans("Zipkin v1 JSON", "ask Zipkin for /api/v2/trace/ID")
        case dict():
            keys = ", ".join(shown(key) for key in list(document)[:5])
            return NotSpans(f"a JSON object with {keys or 'nothing in it'}")
        case [first, *_]:
            return NotSpans(f"a JSON array that begins with {shown(first)}")
    return NotSpans(f"JSON that is {shown(document)}")
