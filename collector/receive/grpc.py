"""OTLP/gRPC: `opentelemetry.proto.collector.trace.v1.TraceService/Export`, on grpcio.

Messages stay bytes: the collector's own decoder reads them, not the protobuf runtime. A call holds a thread from its
first byte to its answer, so the number of threads bounds how many messages are in memory at once; further calls wait
unread, held back by HTTP/2's flow control. The call is handled as a stream of requests, of which only the first is
read: on the wire this is the same as a single request, and it lets us watch the time that reading takes.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, NoReturn
from urllib.parse import unquote

import grpc

from collector.listen import Endpoint, PortUnavailable, address, bind
from collector.metrics import ReceiverMetrics
from collector.receive.answers import (
    Form,
    InternalFault,
    NoMessage,
    Refusal,
    Unauthenticated,
    export_response,
    refusal_status,
)
from collector.receive.limits import InflightBytes, Limits
from collector.receive.pipeline import EncodedT, Pipeline, Prepared
from collector.receive.senders import Senders
from collector.tls import Tls
from collector.tokens import ANYBODY, Tokens

log = logging.getLogger(__name__)

SERVICE = "opentelemetry.proto.collector.trace.v1.TraceService"
_CODES = {code.value[0]: code for code in grpc.StatusCode}


class GrpcReceiver(Generic[EncodedT]):
    """The server: bound on construction, taking calls from `start` to `stop`."""

    _pipeline: Pipeline[EncodedT]

    def __init__(
        self,
        endpoint: Endpoint,
        host: str,
        port: int,
        limits: Limits,
        inflight: InflightBytes,
        metrics: ReceiverMetrics,
        tokens: Tokens = ANYBODY,
        tls: Tls | None = None,
        senders: Senders | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._senders = senders or Senders(limits.max_inflight_bytes)
        self._limits = limits
        self._inflight = inflight
        self._metrics = metrics
        self._tokens = tokens
        self._clock = clock
        self._readers = Readers(limits.read_timeout_s, clock)
        self._threads = ThreadPoolExecutor(limits.grpc_threads, thread_name_prefix="cpdd-grpc")
        self._server = grpc.server(self._threads, options=_options(limits))
        self._server.add_generic_rpc_handlers((_service(self._export),))
        self.port = bind_server(self._server, endpoint, host, port, tls)

    def start(self, pipeline: Pipeline[EncodedT]) -> None:
        self._pipeline = pipeline
        self._readers.start()
        self._server.start()

    def stop(self, drain_s: float) -> None:
        """Take no more calls; those in work have `drain_s` to finish."""
        self._server.stop(drain_s).wait()
        self._readers.stop()
        self._threads.shutdown()

    def _export(self, messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        started = self._clock()
        with self._metrics.in_work():
            try:
                prepared = self._store(messages, context)
            except Refusal as refusal:
                self._metrics.refused(refusal.reason)
                _abort(context, refusal)
            except grpc.RpcError:  # the sender went away, or was too slow
                self._metrics.disconnected()
                raise
            except _Cancelled:
                self._metrics.disconnected()
                return b""
            except Exception as error:
                log.exception("call failed")
                self._metrics.refused(InternalFault.reason)
                _abort(context, InternalFault(error))
        self._metrics.accepted(prepared.spans, prepared.rejected)
        self._metrics.answered(self._clock() - started)
        return export_response(prepared.rejected)

    def _store(self, messages: Iterator[bytes], context: grpc.ServicerContext) -> Prepared[EncodedT]:
        if not self._tokens.allow(_authorization(context)):
            raise Unauthenticated
        with self._senders.enter(_host(context.peer())) as share:
            with self._inflight.reserve() as held:
                with self._readers.watch(context) as reading:
                    body = next(messages, None)
                if body is None:
                    raise NoMessage(self._limits.max_body_bytes) if reading.goes_on else _Cancelled
                held.grow(len(body))
                share.grow(len(body))
                self._metrics.received(len(body))
                prepared = self._pipeline.prepare(body, Form.OTLP_PROTOBUF)
                del body
            if prepared.encoded is not None:
                self._pipeline.commit(prepared).result()
        return prepared


class _Cancelled(Exception):
    """The call ended before its message came; grpcio may tell that as a stream that holds none."""


@dataclass(slots=True)
class Reading:
    """A call whose message is being read."""

    context: grpc.ServicerContext
    started_s: float
    overdue: bool = False

    @property
    def goes_on(self) -> bool:
        return not self.overdue and self.context.is_active()


class Readers:
    """Cancels calls whose message takes too long to arrive: a thread that waits for one serves nobody else."""

    def __init__(self, timeout_s: float, clock: Callable[[], float]) -> None:
        self._timeout_s = timeout_s
        self._clock = clock
        self._lock = threading.Lock()
        self._reading: dict[grpc.ServicerContext, Reading] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="cpdd-grpc-readers", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join()

    @contextmanager
    def watch(self, context: grpc.ServicerContext) -> Iterator[Reading]:
        """Watch a call inside the context."""
        reading = Reading(context, self._clock())
        with self._lock:
            self._reading[context] = reading
        try:
            yield reading
        finally:
            with self._lock:
                del self._reading[context]

    def cancel_overdue(self) -> None:
        latest_start = self._clock() - self._timeout_s
        with self._lock:
            overdue = [reading for reading in self._reading.values() if reading.started_s < latest_start]
            for reading in overdue:
                reading.overdue = True
        for reading in overdue:
            reading.context.cancel()

    def _run(self) -> None:
        while not self._stopped.wait(1.0):
            self.cancel_overdue()


def _abort(context: grpc.ServicerContext, refusal: Refusal) -> NoReturn:
    """Answer with a status; RetryInfo travels in the details."""
    status = refusal_status(refusal)
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(_CODES[status.code], status.message)
    raise AssertionError("abort always raises")


def _authorization(context: grpc.ServicerContext) -> str:
    said = dict(context.invocation_metadata() or ()).get("authorization", "")
    return said if isinstance(said, str) else ""


def _host(peer: str) -> str:
    """The address in grpcio's word for a peer, spelled as over HTTP.

    >>> _host("ipv4:10.0.0.1:5123"), _host("ipv6:%5B::1%5D:5123"), _host("unix:")
    ('10.0.0.1', '::1', '')
    """
    return unquote(peer).partition(":")[2].rpartition(":")[0].strip("[]")


def _service(export: Callable[[Iterator[bytes], grpc.ServicerContext], bytes]) -> grpc.GenericRpcHandler:
    handler: grpc.GenericRpcHandler = grpc.method_handlers_generic_handler(
        SERVICE, {"Export": grpc.stream_unary_rpc_method_handler(export)}
    )
    return handler


def _options(limits: Limits) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", limits.max_body_bytes),
        ("grpc.so_reuseport", 0),  # otherwise a second process would quietly share the port
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),  # senders may keep their connections alive
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.keepalive_time_ms", 60_000),  # and we notice when they are gone
    ]


def bind_server(server: grpc.Server, endpoint: Endpoint, host: str, port: int, tls: Tls | None = None) -> int:
    """Let the server listen; grpcio says of a failure only that it was one, so a socket of our own asks why."""
    try:
        where = address(host, port)
        bound: int = server.add_secure_port(where, _credentials(tls)) if tls else server.add_insecure_port(where)
    except RuntimeError as error:
        bind(endpoint, host, port).close()
        raise PortUnavailable(endpoint.what, endpoint.setting, host, port, str(error)) from error
    return bound


def _credentials(tls: Tls) -> grpc.ServerCredentials:
    return grpc.ssl_server_credentials([(tls.key.read_bytes(), tls.certificate.read_bytes())])
