"""`cpdd.init`: everything that has to be in place before the first span, set up once, failing quietly."""

import logging
import os
import threading
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import Sampler
from opentelemetry.util.types import AttributeValue

from cpdd import handover
from cpdd.details import DetailProcessor
from cpdd.exporters import PromptBatchProcessor, exporters_for
from cpdd.failures import tell
from cpdd.ids import PrivateIds
from cpdd.instrumentations import Instrumentations, disabled_in, installed
from cpdd.losses import Losses, SpanCounts
from cpdd.names import SAMPLERS, ServiceCriticality
from cpdd.processors import SourceWriter, StartProcessor, write_journey, write_requirement
from cpdd.propagation import set_propagator
from cpdd.raised import raising_lines
from cpdd.resources import Service, build_resource, follow_forks
from cpdd.server_timing import turn_on_server_timing
from cpdd.source import SourceFinder

log = logging.getLogger("cpdd")

_lock = threading.Lock()
_handle: "Handle | None" = None


class Handle:
    """What `init` set up: to flush, to shut down, and to ask what is instrumented."""

    def __init__(self) -> None:
        self.provider: TracerProvider | None = None
        """None where tracing is off: OTEL_SDK_DISABLED, or a failure that was told."""
        self.instrumentations = Instrumentations()
        self._losses: list[Losses] = []

    @property
    def span_counts(self) -> SpanCounts:
        """How many spans were sent and how many were lost, and why; all 0 where something else takes them."""
        counts = [losses.counts for losses in self._losses]
        return SpanCounts(
            sum(count.sent for count in counts),
            sum(count.queue_full for count in counts),
            sum(count.not_taken for count in counts),
            sum(count.at_exit for count in counts),
        )

    def force_flush(self, timeout_s: float = 10.0) -> bool:
        """Send what has ended; True where all of it was handed to the exporter in time."""
        return self._within(timeout_s, lambda provider: provider.force_flush(round(timeout_s * 1000)))

    def shutdown(self, timeout_s: float = 10.0) -> bool:
        """Send what has ended and stop; True where it was done in time. Done at exit by itself."""
        return self._within(timeout_s, _shut_down)

    def _within(self, timeout_s: float, work: Callable[[TracerProvider], bool]) -> bool:
        """Do `work` in a thread of its own: the SDK's own limits of time do not hold while an exporter retries."""
        provider, results = self.provider, list[bool]()
        if provider is None:
            return True

        def run() -> None:
            try:
                results.append(work(provider))
            except Exception as error:
                tell("flushing or shutting down", error)

        thread = threading.Thread(target=run, name="cpdd-flush", daemon=True)
        thread.start()
        thread.join(timeout_s)
        return results == [True]


def _shut_down(provider: TracerProvider) -> bool:
    provider.shutdown()
    return True


def init(
    service: str | None = None,
    *,
    version: str | None = None,
    criticality: ServiceCriticality | None = None,
    owner: str | None = None,
    owner_contact: str | None = None,
    owner_url: str | None = None,
    attributes: Mapping[str, AttributeValue] | None = None,
    endpoint: str | None = None,
    processor: SpanProcessor | None = None,
    instrument: bool = True,
) -> Handle:
    """Trace this program: provider, export over OTLP/HTTP, propagators, and every instrumentation installed.

        import cpdd
        cpdd.init(service="checkout")

    What is not told here is taken from OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_EXPORTER_OTLP_*,
    OTEL_TRACES_EXPORTER, OTEL_TRACES_SAMPLER, OTEL_PROPAGATORS, OTEL_BSP_* and
    OTEL_PYTHON_DISABLED_INSTRUMENTATIONS as OpenTelemetry specifies them; OTEL_SDK_DISABLED=true leaves all as it is.
    Calling it again changes nothing. Raises nothing: what fails is logged and costs spans.

    Args:
        service: `service.name`; version, criticality and owner likewise.
        attributes: more resource attributes.
        endpoint: a collector's address, by default http://127.0.0.1:4318.
        processor: takes the ended spans in place of the export, for instance
            `SimpleSpanProcessor(cpdd.testing.MemoryExporter())` in a test.
        instrument: whether to turn on the contrib instrumentations; a library is instrumented when it is imported.
    """
    global _handle
    with _lock:
        if _handle is None:
            _handle = Handle()
            try:
                told = Service(service, version, criticality, owner, owner_contact, owner_url)
                _set_up(_handle, told, attributes or {}, endpoint, processor, instrument, os.environ)
            except Exception as error:
                tell("cpdd.init", error)
        return _handle


def _set_up(
    handle: Handle,
    service: Service,
    attributes: Mapping[str, AttributeValue],
    endpoint: str | None,
    processor: SpanProcessor | None,
    instrument: bool,
    environ: MutableMapping[str, str],
) -> None:
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return
    set_propagator(environ)
    present = trace.get_tracer_provider()
    if isinstance(present, TracerProvider):
        log.info("a tracer provider is set already: cpdd adds to its spans and exports none itself")
        _process(handle, present, [processor] if processor else [], environ)
        handle.provider = present
    else:
        resource = build_resource(service, attributes)
        sampler = _own_sampler(environ, resource.attributes)
        provider = TracerProvider(sampler, resource, id_generator=PrivateIds())
        follow_forks(provider)
        ends = [processor] if processor else [PromptBatchProcessor(e) for e in exporters_for(environ, endpoint)]
        handle._losses = [end.losses for end in ends if isinstance(end, PromptBatchProcessor)]
        _process(handle, provider, ends, environ)
        trace.set_tracer_provider(provider)
        handle.provider = provider
    turn_on_server_timing(environ)
    handover.activate(environ)
    if instrument:
        handle.instrumentations.turn_on(installed(), disabled_in(environ))


def _own_sampler(environ: Mapping[str, str], resource: Mapping[str, AttributeValue]) -> Sampler | None:
    """The sampler that OTEL_TRACES_SAMPLER names, where it is one of ours; else the SDK finds its own."""
    if environ.get("OTEL_TRACES_SAMPLER", "").strip().lower() not in SAMPLERS:
        return None
    from cpdd.sampling.configure import sampler_for  # noqa: PLC0415 - a program pays for what it uses

    return sampler_for(environ, resource)


def _process(
    handle: Handle, provider: TracerProvider, ends: Iterable[SpanProcessor], environ: Mapping[str, str]
) -> None:
    """Let cpdd write on spans as they start, and `ends` have them when they end."""
    own_modules = [name.strip() for name in environ.get("CPDD_SOURCE_MODULES", "").split(",") if name.strip()]
    finder = SourceFinder(own_modules)
    provider.add_span_processor(StartProcessor(write_journey, write_requirement, SourceWriter(finder)))
    if hasattr(provider.sampler, "detail"):
        sampler: Any = provider.sampler
        sampler.span_losses = lambda: (handle.span_counts.sent, handle.span_counts.lost)
        provider.add_span_processor(DetailProcessor(lambda: str(sampler.detail), provider.get_tracer("cpdd"), finder))
    raising_lines(finder).apply()
    for end in ends:
        provider.add_span_processor(end)
