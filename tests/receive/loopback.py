"""Real servers on loopback, port 0, for tests of the wire; the pipeline behind them is a fake that obeys the test."""

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPMessage

import grpc

from collector.listen import Endpoint, address, bind, port_of
from collector.loop import LoopThread
from collector.metrics import Metrics
from collector.receive.answers import NOTHING_REJECTED, Form, Refusal, Rejected
from collector.receive.grpc import SERVICE, GrpcReceiver
from collector.receive.http import Dialect, HttpReceiver, OtlpDialect
from collector.receive.limits import InflightBytes, Limits
from collector.receive.pipeline import Prepared
from collector.receive.protocol import uvicorn_config
from collector.tokens import ANYBODY, Tokens

HOST = "127.0.0.1"
WAIT_S = 60.0
PATH = "/v1/traces"
EXPORT = f"/{SERVICE}/Export"
PROTOBUF = {"content-type": "application/x-protobuf"}
JSON = {"content-type": "application/json"}


@dataclass(frozen=True)
class Answer:
    status: int
    headers: HTTPMessage
    content: bytes


@dataclass
class FakePipeline:
    """Takes every body as one span; `hold` makes commits wait for `release`."""

    hold: bool = False
    rejected: Rejected = NOTHING_REJECTED
    spans: int = 1
    fail_prepare: Exception | None = None
    fail_commit: Exception | None = None
    fail_times: int = 1_000_000
    """How many commits fail, where they do."""
    bodies: list[tuple[bytes, Form]] = field(default_factory=list)
    waiting: "list[Future[None]]" = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def prepare(self, body: bytes, form: Form) -> Prepared[bytes]:
        if self.fail_prepare:
            raise self.fail_prepare
        self.bodies.append((body, form))
        return Prepared(body if self.spans else None, self.spans, self.rejected)

    def prepare_together(self, bodies: Sequence[bytes]) -> list[Prepared[bytes]] | None:
        return None

    def commit(self, prepared: Prepared[bytes]) -> "Future[None]":
        fails = self.fail_commit if self.fail_times > 0 else None
        self.fail_times -= 1
        if isinstance(fails, Refusal):
            raise fails
        done: Future[None] = Future()
        if fails:
            done.set_exception(fails)
        elif self.hold:
            with self.changed:
                self.waiting.append(done)
                self.changed.notify_all()
        else:
            done.set_result(None)
        return done

    def wait_for_waiting(self, commits: int) -> None:
        """Return when so many commits wait."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.waiting) == commits, WAIT_S)

    def release(self) -> None:
        self.hold = False
        while self.waiting:
            self.waiting.pop().set_result(None)


class WatchedBytes(InflightBytes):
    """Bytes in flight that a test can wait for."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self._changed = threading.Condition()

    def take(self, size: int) -> bool:
        with self._changed:
            taken = super().take(size)
            self._changed.notify_all()
        return taken

    def give_back(self, size: int) -> None:
        with self._changed:
            super().give_back(size)
            self._changed.notify_all()

    def wait_for(self, used: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.used == used, WAIT_S)


@dataclass
class Served:
    """A running HTTP receiver and what a test may look at."""

    port: int
    pipeline: FakePipeline
    inflight: WatchedBytes
    metrics: Metrics
    limits: Limits
    stop: Callable[[], None]

    def post(self, body: bytes, headers: dict[str, str] | None = None, path: str = PATH, sender: str = HOST) -> Answer:
        """Send one request on a connection of its own; the answer's body is in `.content`."""
        return self.request("POST", body, PROTOBUF if headers is None else headers, path, sender)

    def request(
        self, method: str, body: bytes | None, headers: dict[str, str], path: str = PATH, sender: str = HOST
    ) -> Answer:
        connection = HTTPConnection(HOST, self.port, timeout=WAIT_S, source_address=(sender, 0))
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        answer = Answer(response.status, response.headers, response.read())
        connection.close()
        return answer

    def connect(self) -> socket.socket:
        return socket.create_connection((HOST, self.port), timeout=WAIT_S)

    def count(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


@contextmanager
def serve_http(
    pipeline: FakePipeline, limits: Limits | None = None, dialect: Dialect | None = None, tokens: Tokens = ANYBODY
) -> Iterator[Served]:
    """Serve a dialect on loopback while the context lasts."""
    limits = limits or Limits()
    metrics = Metrics("test")
    inflight = WatchedBytes(limits.max_inflight_bytes)
    thread = LoopThread()
    thread.start()
    with ThreadPoolExecutor(2) as workers:
        receiver = HttpReceiver(
            dialect or OtlpDialect(), pipeline, limits, inflight, workers, metrics.receiver("otlp_http"), tokens
        )
        listener = bind(Endpoint("otlp_http", "OTLP/HTTP"), HOST, 0)
        port = port_of(listener)
        server = thread.serve(uvicorn_config(receiver, limits, drain_s=5), listener)
        try:
            yield Served(port, pipeline, inflight, metrics, limits, server.stop)
        finally:
            pipeline.release()
            server.stop()
            thread.stop()


@dataclass
class ServedGrpc:
    """A running OTLP/gRPC receiver and what a test may look at."""

    port: int
    pipeline: FakePipeline
    inflight: WatchedBytes
    metrics: Metrics
    receiver: GrpcReceiver[bytes]

    @contextmanager
    def channel(self, **options: int) -> "Iterator[grpc.Channel]":
        with grpc.insecure_channel(
            address(HOST, self.port), [(name.replace("__", "."), value) for name, value in options.items()]
        ) as channel:
            yield channel

    def export(self, body: bytes, compression: grpc.Compression = grpc.Compression.NoCompression) -> bytes:
        """Send one request on a channel of its own; raises grpc.RpcError."""
        with self.channel(grpc__max_send_message_length=-1) as channel:
            call = channel.unary_unary(EXPORT)
            answer: bytes = call(body, timeout=WAIT_S, compression=compression)
        return answer

    def count(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


@contextmanager
def serve_grpc(pipeline: FakePipeline, limits: Limits | None = None, tokens: Tokens = ANYBODY) -> Iterator[ServedGrpc]:
    """Serve OTLP/gRPC on loopback while the context lasts."""
    limits = limits or Limits()
    metrics = Metrics("test")
    inflight = WatchedBytes(limits.max_inflight_bytes)
    endpoint = Endpoint("otlp_grpc", "OTLP/gRPC", scheme="")
    receiver: GrpcReceiver[bytes] = GrpcReceiver(
        endpoint, HOST, 0, limits, inflight, metrics.receiver("otlp_grpc"), tokens
    )
    receiver.start(pipeline)
    try:
        yield ServedGrpc(receiver.port, pipeline, inflight, metrics, receiver)
    finally:
        pipeline.release()
        receiver.stop(drain_s=5)


def read_until_closed(connection: socket.socket) -> bytes:
    received = bytearray()
    while chunk := connection.recv(1 << 16):
        received += chunk
    return bytes(received)


def wait_until_closed(port: int) -> None:
    """Return when nobody listens at the port any more."""
    while True:
        try:
            socket.create_connection((HOST, port), WAIT_S).close()
        except ConnectionRefusedError:
            return
        except ConnectionResetError:  # it closed while we connected
            continue


def chunked(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def head(*lines: str, path: str = PATH) -> bytes:
    return "\r\n".join([f"POST {path} HTTP/1.1", "host: test", *lines, "", ""]).encode()
