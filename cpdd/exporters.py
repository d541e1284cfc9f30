"""Where spans go: what OTEL_TRACES_EXPORTER and OTEL_EXPORTER_OTLP_* say, else OTLP/HTTP to this machine."""

import collections
import os
import threading
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import TraceFlags

from cpdd.encoding import encode_request
from cpdd.failures import log, tell
from cpdd.losses import Losses

DEFAULT_ENDPOINT = "http://127.0.0.1:4318/v1/traces"
"""127.0.0.1 and not localhost: a name costs a look-up and may mean ::1, where `cpdd serve` does not listen."""

EXIT_LIMIT_S = 3.0
"""The longest that a program's end waits for a collector that is down; the SDK's own limit is 30 s."""

_LAST_BATCH_S = 0.2

_ENDPOINT_VARIABLES = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOL_VARIABLES = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_OTLP_HTTP = ("otlp", "otlp_proto_http")


class PromptBatchProcessor(BatchSpanProcessor):
    """Sends spans in batches like its parent, and counts what it cannot send.

    The queue is bounded, 2,048 spans unless OTEL_BSP_MAX_QUEUE_SIZE says otherwise: when it is full the oldest span is
    dropped, and no request ever waits. Its shutdown gives up on a collector that does not answer.
    """

    def __init__(self, exporter: SpanExporter) -> None:
        self.losses = Losses()
        super().__init__(_Counting(exporter, self.losses))
        self._queue = _CountedQueue(self._batch_processor._max_queue_size, self.losses)
        self._batch_processor._queue = self._queue
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._start_over)

    def on_end(self, span: ReadableSpan) -> None:
        if span.context and span.context.trace_flags & TraceFlags.SAMPLED:
            self._batch_processor.emit(span)

    def shutdown(self) -> None:
        self._batch_processor.shutdown(timeout_millis=round(EXIT_LIMIT_S * 1000))
        # the exporter is shut down now: the batch that was under way comes back at once, unless it waits for a socket
        self._batch_processor._worker_thread.join(_LAST_BATCH_S)
        self.losses.count_lost(len(self._queue), "at_exit")

    def _start_over(self) -> None:
        """In a forked child: with locks that nobody holds, and nothing counted. The parent sends what it had queued."""
        self._queue.lock = threading.Lock()
        self.losses.start_over()


class _CountedQueue(collections.deque[ReadableSpan]):
    """The queue of a batch processor, which puts in at the left and takes out at the right. Counts what falls out."""

    def __init__(self, max_spans: int, losses: Losses) -> None:
        super().__init__((), max_spans)
        self.lock = threading.Lock()
        self._losses = losses

    def appendleft(self, span: ReadableSpan) -> None:
        with self.lock:
            is_full = len(self) == self.maxlen
            super().appendleft(span)
        if is_full:
            self._losses.count_lost(1, "queue_full")

    def pop(self) -> ReadableSpan:  # type: ignore[override]  # only ever from the right
        with self.lock:
            return super().pop()


class _Counting(SpanExporter):
    """Counts what an exporter could send, and what not."""

    def __init__(self, exporter: SpanExporter, losses: Losses) -> None:
        self._exporter = exporter
        self._losses = losses

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = SpanExportResult.FAILURE
        try:
            result = self._exporter.export(spans)
        except Exception as error:
            tell("exporting spans", error)
        if result is SpanExportResult.SUCCESS:
            self._losses.count_sent(len(spans))
        else:
            self._losses.count_lost(len(spans), "not_taken")
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


class FastOTLPExporter(OTLPSpanExporter):
    """Sends what its parent sends, encoded by `cpdd.encoding`, and takes a batch that is too large in halves."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if self._shutdown:
            return SpanExportResult.FAILURE
        try:
            body = encode_request(spans)
        except Exception as error:
            tell("encoding spans", error)
            return super().export(spans)
        if 0 < self._max_request_size < len(body) and len(spans) > 1:
            middle = len(spans) // 2
            results = [self.export(half) for half in (spans[:middle], spans[middle:])]
            return max(results, key=lambda result: result.value)
        with self._metrics.export_operation(len(spans)) as result:
            answer = self._client.export(body)
            result.error = answer.error
        return SpanExportResult.SUCCESS if answer.success else SpanExportResult.FAILURE


def exporters_for(environ: Mapping[str, str], endpoint: str | None = None) -> list[SpanExporter]:
    """Return the exporters that the environment names; none for `none`.

    Args:
        endpoint: of `cpdd.init`: a collector's base address or its full `/v1/traces`; beats the environment.
    A name that is not installed is told and left out.
    """
    names = [name.strip() for name in environ.get("OTEL_TRACES_EXPORTER", "").split(",") if name.strip()]
    if "none" in names:
        return []
    found = [_exporter(name, environ, endpoint) for name in names or ["otlp"]]
    return [exporter for exporter in found if exporter is not None]


def _exporter(name: str, environ: Mapping[str, str], endpoint: str | None) -> SpanExporter | None:
    if name == "otlp" and _first(_PROTOCOL_VARIABLES, environ) == "grpc" and endpoint is None:
        name = "otlp_proto_grpc"
    if name in _OTLP_HTTP:
        return FastOTLPExporter(endpoint=_address(environ, endpoint))
    try:
        (entry_point,) = tuple(entry_points(group="opentelemetry_traces_exporter", name=name))[:1]
        exporter: SpanExporter = entry_point.load()()
    except Exception as error:
        tell(f"exporter {name!r} of OTEL_TRACES_EXPORTER or OTEL_EXPORTER_OTLP_PROTOCOL", error)
        return None
    return exporter


def _address(environ: Mapping[str, str], endpoint: str | None) -> str | None:
    """The full address; None leaves it to the exporter, which reads the variables as the specification says."""
    if endpoint is not None:
        return endpoint if endpoint.rstrip("/").endswith("/v1/traces") else f"{endpoint.rstrip('/')}/v1/traces"
    if _first(_PROTOCOL_VARIABLES, environ) == "http/json":
        log.warning("OTLP/HTTP with JSON is not what this exporter speaks, spans are sent as protobuf")
    return None if _first(_ENDPOINT_VARIABLES, environ) else DEFAULT_ENDPOINT


def _first(variables: tuple[str, ...], environ: Mapping[str, str]) -> str:
    return next((environ[name].strip() for name in variables if environ.get(name, "").strip()), "")
