"""What does tracing cost a program, with cpdd and with OpenTelemetry's SDK as it comes?

In pairs, one right behind the other in one process, in CPU time of the whole process: a machine that is busy with
something else moves both alike. Spans go over HTTP to a sink in a process of its own.
"""

import gc
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

from opentelemetry import context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio
from opentelemetry.trace import SpanKind

from cpdd.exporters import FastOTLPExporter, PromptBatchProcessor
from cpdd.ids import PrivateIds
from cpdd.processors import SourceWriter, StartProcessor, write_journey, write_requirement
from cpdd.requirement import declare
from cpdd.source import SourceFinder

SPANS, ROUNDS = 2_000, 15
QUEUE = SPANS * 2
RESOURCE = Resource({"service.name": "benchmark"})
ATTRIBUTES = {
    "http.request.method": "GET",
    "url.full": "http://stock/items",
    "server.address": "stock",
    "server.port": 8080,
    "http.response.status_code": 200,
    "network.protocol.version": "1.1",
    "user.tier": "gold",
    "items.weight": 1.5,
}

SINK = """
import http.server, sys
class Sink(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200); self.send_header("Content-Length", "0"); self.end_headers()
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sink)
print(server.server_port, flush=True)
server.serve_forever()
"""


def stock(endpoint: str, ratio: float) -> TracerProvider:
    provider = TracerProvider(resource=RESOURCE, sampler=ParentBasedTraceIdRatio(ratio))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint), max_queue_size=QUEUE))
    return provider


def ours(endpoint: str, ratio: float) -> TracerProvider:
    provider = TracerProvider(resource=RESOURCE, sampler=ParentBasedTraceIdRatio(ratio), id_generator=PrivateIds())
    provider.add_span_processor(StartProcessor(write_journey, write_requirement, SourceWriter(SourceFinder())))
    provider.add_span_processor(PromptBatchProcessor(FastOTLPExporter(endpoint)))
    return provider


def cost_ns(provider: TracerProvider, declared: bool) -> float:
    """CPU time of one span from start to the sink."""
    tracer = provider.get_tracer("benchmark")
    token = context.attach(declare("mandatory") if declared else context.get_current())
    gc.collect()
    begun = time.process_time_ns()
    for _ in range(SPANS):
        tracer.start_span("GET /items", kind=SpanKind.CLIENT, attributes=ATTRIBUTES).end()
    provider.force_flush()
    spent = time.process_time_ns() - begun
    context.detach(token)
    return spent / SPANS


def compare(title: str, measure: tuple[Callable[[], float], Callable[[], float]], unit: str = "ns") -> None:
    for run in measure:
        run()
    pairs = [(measure[0](), measure[1]()) for _ in range(ROUNDS)]
    ratios = sorted(mine / theirs for theirs, mine in pairs)
    theirs, mine = (statistics.median(column) for column in zip(*pairs, strict=True))
    spread = f"{ratios[len(ratios) // 4]:.2f}-{ratios[-len(ratios) // 4]:.2f}"
    print(f"{title:<52} stock {theirs:10,.0f} {unit}   cpdd {mine:10,.0f} {unit}", end="   ")
    print(f"ratio {statistics.median(ratios):.2f} (quartiles {spread})")


def import_ms(modules: str) -> float:
    """CPU time of a new interpreter that imports the modules."""
    before = os.times()
    subprocess.run([sys.executable, "-c", f"import {modules}"], check=True)
    after = os.times()
    return (after.children_user + after.children_system - before.children_user - before.children_system) * 1000


def main() -> None:
    os.environ["OTEL_BSP_MAX_QUEUE_SIZE"] = str(QUEUE)
    load = os.getloadavg()[0]
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, load {load:.1f}; median of {ROUNDS} pairs")
    with subprocess.Popen([sys.executable, "-c", SINK], stdout=subprocess.PIPE, text=True) as sink:
        assert sink.stdout is not None
        endpoint = f"http://127.0.0.1:{int(sink.stdout.readline())}/v1/traces"
        try:
            for title, ratio in (("sampled span, sent, 8 attributes", 1.0), ("unsampled span", 0.0)):
                providers = stock(endpoint, ratio), ours(endpoint, ratio)
                compare(
                    f"{title}; source location and marks" if ratio else title,
                    (partial(cost_ns, providers[0], False), partial(cost_ns, providers[1], bool(ratio))),
                )
        finally:
            sink.terminate()
    compare(
        "import (opentelemetry.sdk.trace; with cpdd, cpdd.init)",
        (lambda: import_ms("opentelemetry.sdk.trace"), lambda: import_ms("opentelemetry.sdk.trace, cpdd; cpdd.init")),
        "ms",
    )


if __name__ == "__main__":
    main()
