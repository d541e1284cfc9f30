"""The gRPC receiver as a target: grpcio's own server and client, a loopback socket between.

A call is a stream of messages, as the receiver takes it. Its end is told as the status that HTTP would have, so that
all targets are judged and counted alike.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from collector.listen import Endpoint
from collector.metrics import Metrics, ReceiverMetrics
from collector.receive.asgi import Receive, Scope, Send
from collector.receive.grpc import GrpcReceiver
from collector.receive.intake import Intake
from collector.receive.limits import InflightBytes
from collector.store.native import EncodedBatch
from tests.fuzz.asking import HANGS_S, Answer, Request, Target
from tests.fuzz.span_targets import LIMITS, MAX_BLOCK_BYTES, Sink, protobuf_bodies
from tests.fuzz.values import HARD_TEXTS

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
STATUSES = {
    grpc.StatusCode.OK: 200,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.UNIMPLEMENTED: 404,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 413,
    grpc.StatusCode.UNAVAILABLE: 429,
    grpc.StatusCode.CANCELLED: 0,
}
"""Of the ends that a call may have; any other is a finding."""
COMPRESSION = "compression"
"""Not sent: says how grpcio compresses the messages."""


@asynccontextmanager
async def otlp_grpc() -> AsyncIterator[Target]:
    """A receiver before a store that takes everything."""
    sink, inflight, bodies = Sink(), InflightBytes(LIMITS.max_inflight_bytes), protobuf_bodies()
    metrics = ReceiverMetrics(Metrics("fuzz"), "fuzz")
    endpoint = Endpoint("otlp_grpc", "OTLP/gRPC", scheme="")
    receiver: GrpcReceiver[EncodedBatch] = GrpcReceiver(endpoint, "127.0.0.1", 0, LIMITS, inflight, metrics)
    receiver.start(Intake(sink.submit, MAX_BLOCK_BYTES))
    options = [("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(f"127.0.0.1:{receiver.port}", options=options) as channel:

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            """Make the call that the scope and the messages say."""
            messages, whole = await _messages(receive)
            answer = await asyncio.to_thread(_call, channel, scope, messages, whole)
            await send({"type": "http.response.start", "status": answer.status, "headers": []})
            await send({"type": "http.response.body", "body": answer.body})

        def request(rng: random.Random) -> Request:
            return _request([bodies(rng) for _ in range(rng.choice((0, 1, 1, 1, 1, 1, 1, 1, 2)))], rng)

        away = 0

        def problem(request: Request, answer: Answer) -> str:
            nonlocal away
            rows = sink.counted()
            away += not answer.status
            if rows and answer.status not in (0, 200) and away:  # of a call whose sender went away before: stored late
                away, rows = away - 1, 0
            if inflight.used and answer.status:  # who went away may still be read
                return f"{inflight.used} bytes stay reserved"
            if answer.status == 200:
                ExportTraceServiceResponse.FromString(answer.body)
            elif answer.status not in STATUSES.values():
                return f"status {answer.status}: {answer.body.decode(errors='replace')}"
            elif answer.status and rows:
                return f"{rows} spans are stored of a call that is refused with {answer.status}"
            elif answer.status and not answer.body:
                return "a refusal without words"
            return ""

        yield Target(app, request, problem)
    await asyncio.to_thread(receiver.stop, 0)


def _request(messages: list[bytes], rng: random.Random) -> Request:
    """A call of these messages, with odd metadata, method or compression now and then."""
    headers = [(COMPRESSION, rng.choice(("none", "none", "gzip", "deflate")))]
    if rng.random() < 0.05:
        headers.append((rng.choice(("authorization", "x-tenant", "grpc-trace-bin")), rng.choice(HARD_TEXTS)))
    if rng.random() < 0.02:
        messages = [bytes(LIMITS.max_body_bytes + rng.randrange(-1, 2))]
    address = EXPORT if rng.random() < 0.99 else rng.choice(("/x/Export", f"{EXPORT}s", "/"))
    return Request("POST", address, tuple(headers), tuple(messages), whole=rng.random() < 0.98)


async def _messages(receive: Receive) -> tuple[list[bytes], bool]:
    """The messages of a call, and whether its sender stays for the answer."""
    messages: list[bytes] = []
    while (message := await receive())["type"] == "http.request":
        if not message["more_body"]:
            return messages, True
        messages.append(bytes(message["body"]))
    return messages, False


def _call(channel: grpc.Channel, scope: Scope, messages: list[bytes], whole: bool) -> Answer:
    metadata, compression = [], grpc.Compression.NoCompression
    for name, value in scope["headers"]:
        match name.decode(), value.decode("latin-1"):
            case "compression", "gzip":
                compression = grpc.Compression.Gzip
            case "compression", "deflate":
                compression = grpc.Compression.Deflate
            case "compression", _:
                continue
            case key, text:
                metadata.append((key, text.encode() if key.endswith("-bin") else _printable(text)))
    export = channel.stream_unary(scope["path"])
    call = export.future(iter(messages), timeout=HANGS_S, metadata=metadata, compression=compression)
    if not whole:
        call.cancel()
    try:
        return Answer(200, {}, call.result())
    except grpc.FutureCancelledError:
        return Answer()
    except grpc.RpcError as error:
        return Answer(STATUSES.get(error.code(), 500), {}, f"{error.code()}: {error.details()}".encode())


def _printable(text: str) -> str:
    """What grpcio lets a client send; more it refuses itself."""
    return "".join(_ascii(text)).strip()


def _ascii(text: str) -> Iterator[str]:
    return (character for character in text if " " <= character <= "~")
