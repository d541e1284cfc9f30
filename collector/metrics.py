"""The collector's own metrics, in Prometheus text. Names begin with `cpdd_`; `process_*` say what the process costs.

Written by prometheus_client: escaping and both text formats are its business. Every collector has a registry of its
own, so that a second one in the same process (a test) counts for itself. What is not known here (the store, the
analyzer, the service graph) is registered from outside: `Metrics.gauge`, `Metrics.counter` and `Metrics.add`.
"""

import asyncio
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from http import HTTPStatus

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from collector.core.last_minute import LastMinute
from collector.receive.answers import Rejected, Reply
from collector.receive.asgi import Receive, Scope, Send, header, respond

ANSWER_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the histograms: finest around the 100 ms that a commit waits for more spans."""


class Metrics:
    """The registry of one collector, and the metrics that receivers write."""

    def __init__(self, version: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry(auto_describe=True)
        """What this process does."""
        self._added = CollectorRegistry(auto_describe=True)
        ProcessCollector(registry=self.registry)
        Gauge("cpdd_build_info", "1; the label says what runs", ["version"], registry=self.registry).labels(
            version
        ).set(1)
        self.requests = Counter(
            "cpdd_receiver_requests",
            "Requests by answer: ok, partial, disconnected, or the reason of the refusal",
            ["receiver", "answer"],
            registry=self.registry,
        )
        self.spans_accepted = Counter(
            "cpdd_receiver_accepted_spans",
            "Spans that were durable before the answer",
            ["receiver"],
            registry=self.registry,
        )
        self.spans_rejected = Counter(
            "cpdd_receiver_rejected_spans",
            "Spans that were not taken while their neighbours were, by reason",
            ["receiver", "reason"],
            registry=self.registry,
        )
        self.bytes = Counter(
            "cpdd_receiver_bytes", "Bytes of bodies, after decompression", ["receiver"], registry=self.registry
        )
        self.in_work = Gauge(
            "cpdd_receiver_requests_in_work", "Requests that have no answer yet", ["receiver"], registry=self.registry
        )
        self.last_minute = Gauge(
            "cpdd_receiver_last_minute_spans",
            "Spans that were durable before the answer, in the last minute",
            ["receiver"],
            registry=self.registry,
        )
        self.idle = Gauge(
            "cpdd_receiver_idle_seconds",
            "How long ago the last span came; not a number before the first",
            ["receiver"],
            registry=self.registry,
        )
        self.answer_seconds = Histogram(
            "cpdd_receiver_answer_seconds",
            "From the headers of a request to its answer, the commit included",
            ["receiver"],
            buckets=ANSWER_SECONDS,
            registry=self.registry,
        )

        self._commit_seconds = Histogram(
            "cpdd_commit_seconds",
            "How long requests waited until their spans were durable",
            buckets=ANSWER_SECONDS,
            registry=self.registry,
        )

    def committed(self, seconds: float) -> None:
        """Count how long a request waited for its commit."""
        self._commit_seconds.observe(seconds)

    def receiver(self, name: str) -> "ReceiverMetrics":
        """Return what the receiver `name` writes."""
        return ReceiverMetrics(self, name)

    def gauge(self, name: str, documentation: str, read: Callable[[], float]) -> None:
        """Add a gauge that is read when somebody asks."""
        Gauge(name, documentation, registry=self.registry).set_function(read)

    def counter(self, name: str, documentation: str, read: Callable[[], float]) -> None:
        """Add a counter that is kept elsewhere and read when somebody asks."""
        self.registry.register(_ReadCounter(name, documentation, read))

    def add(self, collector: Collector) -> None:
        """Add families of metrics that `collector` makes when somebody asks for all, the service graph for example.

        There may be many thousands of them: who wants to know of the process reads `registry` alone.
        """
        self._added.register(collector)

    def all(self) -> CollectorRegistry:
        """Return what `/metrics` shows."""
        return _Together(self.registry, self._added)


class _Together(CollectorRegistry):
    """The metrics of several registries, one after the other."""

    def __init__(self, *registries: CollectorRegistry) -> None:
        super().__init__()
        self._registries = registries

    def collect(self) -> Iterator[Metric]:
        for registry in self._registries:
            yield from registry.collect()


class _ReadCounter(Collector):
    def __init__(self, name: str, documentation: str, read: Callable[[], float]) -> None:
        self._name = name
        self._documentation = documentation
        self._read = read

    def collect(self) -> Iterable[Metric]:
        yield CounterMetricFamily(self._name, self._documentation, value=self._read())

    def describe(self) -> Iterable[Metric]:
        yield CounterMetricFamily(self._name, self._documentation)


class ReceiverMetrics:
    """What one receiver counts. Thread-safe."""

    def __init__(self, metrics: Metrics, receiver: str) -> None:
        self._receiver = receiver
        self._requests = metrics.requests
        self._rejected = metrics.spans_rejected
        self._ok = metrics.requests.labels(receiver, "ok")
        self._partial = metrics.requests.labels(receiver, "partial")
        self._disconnected = metrics.requests.labels(receiver, "disconnected")
        self._spans = metrics.spans_accepted.labels(receiver)
        self._bytes = metrics.bytes.labels(receiver)
        self._in_work = metrics.in_work.labels(receiver)
        self._answer_seconds = metrics.answer_seconds.labels(receiver)
        self._clock = metrics.clock
        self._lately, self._changing = LastMinute(), threading.Lock()
        metrics.last_minute.labels(receiver).set_function(self._last_minute)
        metrics.idle.labels(receiver).set_function(self._idle_s)

    @contextmanager
    def in_work(self) -> Iterator[None]:
        """Count a request as in work inside the context."""
        self._in_work.inc()
        try:
            yield
        finally:
            self._in_work.dec()

    def received(self, size: int) -> None:
        """Count the bytes of a body, after decompression."""
        self._bytes.inc(size)

    def accepted(self, spans: int, rejected: Rejected) -> None:
        """Count a request that was answered with success."""
        (self._partial if rejected.spans else self._ok).inc()
        self._spans.inc(spans)
        if spans:
            with self._changing:
                self._lately.add(spans, self._clock())
        for reason, count in rejected.reasons:
            self._rejected.labels(self._receiver, reason).inc(count)

    def _last_minute(self) -> float:
        with self._changing:
            return self._lately.count(self._clock())

    def _idle_s(self) -> float:
        idle_s = self._lately.idle_s(self._clock())
        return math.nan if idle_s is None else idle_s

    def refused(self, reason: str) -> None:
        """Count a request that was refused as a whole."""
        self._requests.labels(self._receiver, reason).inc()

    def disconnected(self) -> None:
        """Count a sender that went away before its request was whole."""
        self._disconnected.inc()

    def answered(self, seconds: float) -> None:
        """Count how long an answer took."""
        self._answer_seconds.observe(seconds)


class MetricsPage:
    """The ASGI application of `GET /metrics`; the text is made in a thread, so that the loop goes on."""

    def __init__(self, metrics: Metrics) -> None:
        self._registry = metrics.all()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != "/metrics":
            await respond(send, Reply(HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", b"metrics are at /metrics\n"))
            return
        encode, content_type = choose_encoder(header(scope, b"accept"))
        text = await asyncio.to_thread(encode, self._registry)
        await respond(send, Reply(HTTPStatus.OK, content_type, text))
