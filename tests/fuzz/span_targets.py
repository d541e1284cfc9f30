"""The receivers of spans as targets: the applications that `cpdd serve` runs, before a store that takes everything.

    head and body --HttpReceiver--> inflated --Intake--> decoded, encoded for the store --> counted

An answer must be one of its protocol, with the status that it may have; what is refused must not have been stored,
what is accepted must have; and nothing may stay reserved behind it.
"""

import base64
import gzip
import json
import random
import sys
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from collector.core.redaction import Redaction, parse_rules
from collector.metrics import Metrics, ReceiverMetrics
from collector.receive.answers import JSON_TYPE, PROTOBUF_TYPE
from collector.receive.http import Dialect, HttpReceiver, OtlpDialect
from collector.receive.intake import Intake
from collector.receive.limits import InflightBytes, Limits
from collector.receive.zipkin import ZipkinDialect
from collector.store.native import EncodedBatch
from tests.fuzz.asking import Answer, OpenTarget, Request, Target
from tests.fuzz.blind import blindly
from tests.fuzz.fuzz_decode import full_request, mutated, seed_bodies
from tests.fuzz.values import HARD_TEXTS, disturbed

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Body = Callable[[random.Random], bytes]

LIMITS = Limits(max_body_bytes=4 << 20, max_inflight_bytes=16 << 20)
"""Small, so that a body that inflates to too much is soon known."""
MAX_BLOCK_BYTES = 64 << 20
RULES = parse_rules("drop password, hash user.*, mask url.full")
STATUSES = {200, 202, 400, 404, 405, 408, 411, 413, 415, 429}
ENCODINGS = ("gzip", "deflate", "zstd")


class Sink:
    """Takes what a committer would; counts rows."""

    def __init__(self) -> None:
        self.rows = 0

    def submit(self, batch: EncodedBatch) -> "Future[None]":
        self.rows += batch.rows
        done: Future[None] = Future()
        done.set_result(None)
        return done

    def counted(self) -> int:
        """Return how many rows came since this was asked last."""
        rows, self.rows = self.rows, 0
        return rows


def receiver(dialect: Dialect, content_type: str, body: Body, squeeze: bool = False) -> OpenTarget:
    """Return how to open a receiver as a target.

    Args:
        body: makes bodies, before any content encoding.
        squeeze: whether the content encoding is what is disturbed.
    """

    @asynccontextmanager
    async def opened() -> AsyncIterator[Target]:
        sink, inflight = Sink(), InflightBytes(LIMITS.max_inflight_bytes)
        intake = Intake(sink.submit, MAX_BLOCK_BYTES, redact=Redaction(RULES, b"a key").apply)
        metrics = ReceiverMetrics(Metrics("fuzz"), "fuzz")
        with ThreadPoolExecutor(1) as workers:
            app = HttpReceiver(dialect, intake, LIMITS, inflight, workers, metrics)

            def request(rng: random.Random) -> Request:
                encoding, content = _squeezed(body(rng), rng) if squeeze else _encoded(body(rng), rng)
                return _request(dialect.path, content_type, encoding, content, rng)

            def problem(request: Request, answer: Answer) -> str:
                if inflight.used:
                    return f"{inflight.used} bytes stay reserved"
                return _problem(answer, request.whole, sink.counted())

            yield Target(app, request, problem)

    return opened


def _problem(answer: Answer, whole: bool, rows: int) -> str:
    if not answer.status:
        return "no answer" if whole else ""
    if answer.status not in STATUSES:
        return f"status {answer.status}"
    stored = answer.status in (200, 202)
    if rows and not stored:
        return f"{rows} spans are stored of a request that is refused with {answer.status}"
    match answer.content_type:
        case "application/x-protobuf":
            (ExportTraceServiceResponse if stored else Status).FromString(answer.body)
        case "application/json":
            said = json.loads(answer.body)
            if not stored and not (isinstance(said["code"], int) and said["message"]):
                return "a refusal without code and message"
        case "text/plain":
            if not stored and not answer.body.decode().strip():
                return "a refusal without words"
        case other:
            return f"content-type {other!r}"
    return ""


def _request(path: str, content_type: str, encoding: str, content: bytes, rng: random.Random) -> Request:
    """The body in one to three chunks, below a head that is wrong now and then."""
    headers = {"content-type": content_type, "content-encoding": encoding, "content-length": str(len(content))}
    method, whole = "POST", True
    if rng.random() < 0.05:
        headers[rng.choice(list(headers))] = rng.choice((*HARD_TEXTS, PROTOBUF_TYPE, JSON_TYPE, *ENCODINGS))
    if rng.random() < 0.02:
        del headers[rng.choice(list(headers))]
    if rng.random() < 0.01:
        method, path = rng.choice(
            (("GET", path), ("PUT", path), ("POST", "/"), ("POST", f"{path}/%00"), ("HEAD", path))
        )
    if rng.random() < 0.02:
        content, whole = content[: rng.randrange(len(content) + 1)], False
    first, second = sorted(rng.randrange(len(content) + 1) for _ in range(2))
    chunks = (content,) if rng.random() < 0.8 else (content[:first], content[first:second], content[second:])
    return Request(method, path, tuple(headers.items()), chunks, whole)


# --- bodies


def protobuf_bodies() -> Body:
    seeds = seed_bodies()
    return lambda rng: mutated(seeds, rng)


def json_bodies(documents: Sequence[Any]) -> Body:
    """Bodies of documents, disturbed as values and, less often, as bytes."""
    seeds = [json.dumps(document).encode() for document in documents]

    def body(rng: random.Random) -> bytes:
        value = disturbed(rng.choice(documents), rng, rng.choice((0.0, 0.0, 0.005, 0.02, 0.1)))
        content = json.dumps(value, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")
        return blindly(content, rng, seeds, _JSON_PIECES) if rng.random() < 0.3 else content

    return body


_JSON_PIECES = (
    *(b'"', b"\\", b"\\u", b"\\ud800", b"\\u0000", b"{", b"}", b"[", b"]", b",", b":", b"null", b"NaN", b"-Infinity"),
    *(
        b"1e999",
        b"-0",
        b"9" * 400,
        b"[" * 2_000,
        b'{"a":' * 2_000,
        b"\xff",
        b"\xed\xa0\x80",
        b"\xef\xbb\xbf",
        b"\0",
        b"//",
    ),
)


def otlp_document() -> Any:
    """The request in which every field occurs, as OTLP/JSON: ids in hex, 64-bit numbers as text."""

    def in_hex(value: Any) -> Any:
        match value:
            case dict():
                return {name: _hex(part) if name in _IDS else in_hex(part) for name, part in value.items()}
            case list():
                return [in_hex(part) for part in value]
        return value

    message = ExportTraceServiceRequest.FromString(full_request())
    return in_hex(MessageToDict(message, use_integers_for_enums=True))


_IDS = ("traceId", "spanId", "parentSpanId")


def _hex(in_base64: str) -> str:
    return base64.b64decode(in_base64).hex()


ZIPKIN = [
    {
        "traceId": "0af7651916cd43dd8448eb211c80319c",
        "id": "00f067aa0ba902b7",
        "parentId": "0102030405060708",
        "kind": kind,
        "name": "get /cart",
        "timestamp": 1_760_000_400_000_000 + number,
        "duration": 1_500,
        "shared": kind == "SERVER",
        "debug": True,
        "localEndpoint": {"serviceName": "shop", "ipv4": "10.0.0.1", "port": 80},
        "remoteEndpoint": {"serviceName": "cart", "ipv6": "2001:db8::1", "port": 8080},
        "annotations": [{"timestamp": 1_760_000_400_000_100, "value": "wire send"}],
        "tags": {"http.method": "GET", "http.status_code": "503", "error": "declined", "peer.service": "cart"},
    }
    for number, kind in enumerate(("CLIENT", "SERVER", "PRODUCER", "CONSUMER"))
]


def zipkin_documents() -> list[Any]:
    return [ZIPKIN, ZIPKIN[:1], []]


# --- content encodings


def _encode(content: bytes, encoding: str) -> bytes:
    match encoding:
        case "gzip":
            return gzip.compress(content, 1, mtime=0)
        case "deflate":
            return zlib.compress(content, 1)
        case "zstd":
            return zstd.compress(content, 1)
    return content


def _encoded(content: bytes, rng: random.Random) -> tuple[str, bytes]:
    encoding = rng.choice(("", "", "", "identity", *ENCODINGS))
    return encoding, _encode(content, encoding)


def _squeezed(content: bytes, rng: random.Random) -> tuple[str, bytes]:
    """A body in pieces, inflated beyond the limit, or disturbed after it was compressed."""
    encoding = rng.choice(ENCODINGS)
    squeezed = _encode(content, encoding)
    match rng.randrange(10):
        case 0:
            squeezed = b"".join(_encode(content[at : at + 400], encoding) for at in range(0, len(content), 400))
        case 1:
            squeezed += rng.choice((b"\0" * 20, squeezed, b"\x1f\x8b", _encode(b"", encoding) * 11_000))
        case 2:
            squeezed = _encode(bytes(LIMITS.max_body_bytes * rng.choice((1, 4))), encoding)
        case 3:
            squeezed = _encode(squeezed, encoding)
        case 4 | 5 | 6 | 7:
            squeezed = blindly(squeezed, rng, [_encode(b"another", each) for each in ENCODINGS])
    return encoding, squeezed


def span_targets() -> dict[str, OpenTarget]:
    """Return the targets by name."""
    otlp, zipkin = OtlpDialect(), ZipkinDialect()
    protobuf = protobuf_bodies()
    return {
        "otlp-protobuf": receiver(otlp, PROTOBUF_TYPE, protobuf),
        "otlp-json": receiver(otlp, JSON_TYPE, json_bodies([otlp_document()])),
        "zipkin": receiver(zipkin, JSON_TYPE, json_bodies(zipkin_documents())),
        "gzip": receiver(otlp, PROTOBUF_TYPE, protobuf, squeeze=True),
    }
