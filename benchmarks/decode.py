"""How fast do OTLP bytes become columns?

    python -m benchmarks.decode                 about a minute, most of it compiling
    python -m benchmarks.decode --no-start      without the start of a process: cold, and from Numba's cache

Workloads: requests of 512 spans with 10 attributes each, of five kinds of span as instrumentations write them; and the
requests of ../shared/data's nezha-ob-base. One core. Side by side: `decode_traces` (all columns, every text checked as
UTF-8, texts numbered) and protobuf's own runtime reading the same fields into lists; the two take turns. Each request
is timed alone, round after round, and its median counts, so that what else the machine does shows in the spread.
"""

import argparse
import gzip
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np
from google.protobuf import __version__ as protobuf_version  # type: ignore[import-untyped]
from google.protobuf.internal import api_implementation  # type: ignore[import-untyped]
from numpy.typing import NDArray
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collector.core import kernels
from collector.core.wire import decode_traces

RECORDED = Path(__file__).parents[1] / "../shared/data/otlp/nezha-ob-base.otlp.pb.gz"
REQUESTS, SPANS, ATTRIBUTES = 40, 512, 10
RUNTIME_EVERY = 8
"""The runtime gets each so-manieth request, since it takes so long."""
EPOCH_NS = 1_790_000_000_000_000_000

COLUMN_OF_KEY = {
    "cpdd.journey": 0,
    "service.peer.name": 1,
    "peer.service": 1,
    "server.address": 2,
    "net.peer.name": 2,
    "db.system.name": 3,
    "db.system": 3,
    "db.namespace": 4,
    "db.name": 4,
    "messaging.system": 5,
    "messaging.destination.name": 6,
    "messaging.destination": 6,
    "http.response.status_code": 7,
    "http.status_code": 7,
    "rpc.grpc.status_code": 8,
    "rpc.response.status_code": 8,
    "cpdd.call.requirement": 9,
    "cpdd.call.outcome": 10,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--start", action=argparse.BooleanOptionalAction, default=True)
    options = parser.parse_args()
    print(_machine())
    kernels.load("decode", work=kernels.PLAIN_LIMIT + 1)
    workloads = {f"{REQUESTS} requests of {SPANS} spans, {ATTRIBUTES} attributes": generated()}
    if RECORDED.exists():
        workloads[RECORDED.name] = recorded()
    else:
        print(f"{RECORDED.name} is not there: only generated requests are measured")
    for name, bodies in workloads.items():
        measure(name, bodies, options.rounds)
    if options.start:
        measure_start()


def measure(name: str, bodies: list[bytes], rounds: int) -> None:
    """Print the rates of both decoders over one workload."""
    spans = np.array([len(decode_traces(body)[0]) for body in bodies])
    print(f"{name}: {spans.sum():,} spans, {sum(map(len, bodies)) / spans.sum():.0f} bytes a span")
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append([_seconds(decode_traces, body) for body in bodies])
        theirs.append([_seconds(read_by_runtime, body) for body in bodies[::RUNTIME_EVERY]])
    _print_rates("decode_traces", spans, ours)
    _print_rates("protobuf runtime", spans[::RUNTIME_EVERY], theirs)


def _print_rates(decoder: str, spans: NDArray[np.int64], seconds: list[list[float]]) -> None:
    """Print rates from the times of each request: the median's, then those of the fast and slow tenth."""
    median, fast, slow = (spans.sum() / np.percentile(seconds, percent, axis=0).sum() for percent in (50, 10, 90))
    print(f"  {decoder:17} {median:11,.0f} spans/s, median of {len(seconds)} rounds (p90 {slow:,.0f}, p10 {fast:,.0f})")


def _seconds(decoder: Callable[[bytes], object], body: bytes) -> float:
    """How long one request takes whose bytes have just been received, which is what the copy stands for."""
    received = bytes(bytearray(body))
    started = time.perf_counter()
    decoder(received)
    return time.perf_counter() - started


def read_by_runtime(body: bytes) -> list[list[object]]:
    """Return the same fields as a batch's columns, as a program that uses protobuf's runtime would get them."""
    rows: list[list[object]] = []
    for group in ExportTraceServiceRequest.FromString(body).resource_spans:
        service = next((a.value.string_value for a in group.resource.attributes if a.key == "service.name"), "")
        for scoped in group.scope_spans:
            scope = scoped.scope.name
            for span in scoped.spans:
                columns: list[object] = [None] * 11
                for attribute in span.attributes:
                    column = COLUMN_OF_KEY.get(attribute.key)
                    if column is not None and columns[column] is None:
                        value = attribute.value
                        columns[column] = value.string_value or value.int_value
                rows.append(
                    [
                        span.trace_id,
                        span.span_id,
                        span.parent_span_id,
                        span.start_time_unix_nano,
                        span.end_time_unix_nano,
                        span.flags,
                        span.kind,
                        span.status.code,
                        span.name,
                        service,
                        scope,
                        *columns,
                    ]
                )
    return rows


# Workloads -----------------------------------------------------------------------------------------------------------


def recorded() -> list[bytes]:
    data, at, bodies = gzip.decompress(RECORDED.read_bytes()), 0, []
    while at < len(data):
        size, at = kernels.plain("protobuf").read_size(data, at, len(data))
        bodies.append(data[at : at + size])
        at += size
    return bodies


def generated() -> list[bytes]:
    """Requests as a batch processor sends them: one service each, two scopes, spans of several traces."""
    rng = random.Random(2018)
    bodies = []
    for number in range(REQUESTS):
        request = ExportTraceServiceRequest()
        group = request.resource_spans.add(schema_url="https://opentelemetry.io/schemas/1.37.0")
        service = rng.choice(("frontend", "checkout", "payment", "recommendation", "cart"))
        group.resource.attributes.extend(
            _attributes(
                {
                    "service.name": service,
                    "service.version": "2024.11.3",
                    "host.name": f"ip-10-0-{number}-17",
                    "k8s.pod.name": f"{service}-7d9f4b6c5-x{number:04}",
                    "telemetry.sdk.language": "python",
                    "telemetry.sdk.name": "opentelemetry",
                    "telemetry.sdk.version": "1.45.0",
                }
            )
        )
        for name in ("opentelemetry.instrumentation.flask", "opentelemetry.instrumentation.requests"):
            scoped = group.scope_spans.add()
            scoped.scope.name, scoped.scope.version = name, "0.66b1"
            scoped.spans.extend(_span(rng) for _ in range(SPANS // 2))
        bodies.append(bytes(request.SerializeToString()))
    return bodies


def _span(rng: random.Random) -> Span:
    make = rng.choice((_http_server, _http_server, _http_client, _database, _messaging, _internal))
    name, kind, attributes = make(rng)
    assert len(attributes) == ATTRIBUTES, name
    start = EPOCH_NS + rng.randrange(10**12)
    span = Span(
        trace_id=rng.randbytes(16),
        span_id=rng.randbytes(8),
        parent_span_id=rng.randbytes(8),
        name=name,
        kind=kind,
        flags=0x101,
        start_time_unix_nano=start,
        end_time_unix_nano=start + rng.randrange(10**8),
        attributes=_attributes(attributes),
    )
    if rng.random() < 0.03:
        span.status.code, span.status.message = span.status.STATUS_CODE_ERROR, "upstream timed out"
    else:
        span.status.SetInParent()
    return span


def _attributes(values: dict[str, str | int]) -> list[KeyValue]:
    return [
        KeyValue(key=key, value=AnyValue(string_value=value) if isinstance(value, str) else AnyValue(int_value=value))
        for key, value in values.items()
    ]


Made = tuple[str, "Span.SpanKind.ValueType", dict[str, str | int]]


def _http_server(rng: random.Random) -> Made:
    method, route = rng.choice((("GET", "/cart/{id}"), ("POST", "/checkout"), ("GET", "/product/{id}")))
    return (
        f"{method} {route}",
        Span.SPAN_KIND_SERVER,
        {
            "http.request.method": method,
            "http.route": route,
            "http.response.status_code": rng.choice((200, 200, 200, 404, 503)),
            "url.path": route.replace("{id}", str(rng.randrange(10**6))),
            "url.scheme": "http",
            "server.address": "shop.example.com",
            "server.port": 8080,
            "client.address": f"10.4.{rng.randrange(256)}.{rng.randrange(256)}",
            "network.protocol.version": "1.1",
            "user_agent.original": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
        },
    )


def _http_client(rng: random.Random) -> Made:
    host = rng.choice(("cart", "payment", "stock")) + ".shop.svc.cluster.local"
    return (
        "GET",
        Span.SPAN_KIND_CLIENT,
        {
            "http.request.method": "GET",
            "http.response.status_code": 200,
            "url.full": f"http://{host}:8080/v1/items/{rng.randrange(10**6)}?expand=price",
            "server.address": host,
            "server.port": 8080,
            "network.protocol.version": "1.1",
            "cpdd.call.requirement": rng.choice(("mandatory", "optional")),
            "cpdd.journey": "check out",
            "code.function.name": "shop.clients.fetch",
            "thread.id": rng.randrange(2**31),
        },
    )


def _database(rng: random.Random) -> Made:
    return (
        "SELECT orders",
        Span.SPAN_KIND_CLIENT,
        {
            "db.system.name": "postgresql",
            "db.namespace": "shop",
            "db.collection.name": "orders",
            "db.operation.name": "SELECT",
            "db.query.text": "SELECT id, total, state FROM orders WHERE customer = ? ORDER BY id DESC LIMIT 20",
            "db.response.returned_rows": rng.randrange(20),
            "server.address": "orders-db",
            "server.port": 5432,
            "thread.id": rng.randrange(2**31),
            "thread.name": f"worker-{rng.randrange(16)}",
        },
    )


def _messaging(rng: random.Random) -> Made:
    return (
        "publish order-events",
        Span.SPAN_KIND_PRODUCER,
        {
            "messaging.system": "kafka",
            "messaging.destination.name": "order-events",
            "messaging.operation.name": "publish",
            "messaging.operation.type": "send",
            "messaging.destination.partition.id": str(rng.randrange(12)),
            "messaging.kafka.offset": rng.randrange(10**9),
            "messaging.message.body.size": rng.randrange(4_000),
            "messaging.client.id": "checkout-1",
            "server.address": "kafka-0.kafka",
            "server.port": 9092,
        },
    )


def _internal(rng: random.Random) -> Made:
    return (
        "price basket",
        Span.SPAN_KIND_INTERNAL,
        {
            "code.function.name": "shop.pricing.price_basket",
            "code.file.path": "/app/shop/pricing.py",
            "code.line.number": rng.randrange(500),
            "thread.id": rng.randrange(2**31),
            "thread.name": "MainThread",
            "basket.items": rng.randrange(40),
            "basket.currency": "EUR",
            "customer.tier": rng.choice(("gold", "silver")),
            "feature.flags": "new-pricing,free-shipping",
            "cpdd.journey": "check out",
        },
    )


# Start of a process --------------------------------------------------------------------------------------------------

_START = """
import time
started, cpu_started = time.perf_counter(), time.process_time()
import numba
imported, cpu_imported = time.perf_counter(), time.process_time()
from collector.core import kernels
from collector.core.wire import decode_traces
from tests.fuzz.fuzz_decode import full_request
body = full_request()
ready, cpu_ready = time.perf_counter(), time.process_time()
kernels.load("decode", work=kernels.PLAIN_LIMIT + 1)
decode_traces(body)
print(time.perf_counter() - ready, time.process_time() - cpu_ready, imported - started, cpu_imported - cpu_started)
"""


def measure_start() -> None:
    """Print how long a new process waits for its first columns: without Numba's cache, and with it."""
    with tempfile.TemporaryDirectory() as cache:
        for name in ("compiling, no cache", "from the cache", "from the cache"):
            environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
            ran = subprocess.run(
                [sys.executable, "-c", _START], env=environment, capture_output=True, text=True, check=True
            )
            first_s, first_cpu_s, import_s, import_cpu_s = map(float, ran.stdout.split())
            print(f"first request in a new process, {name}: {first_s:.2f} s, of the CPU {first_cpu_s:.2f} s")
        print(f"  before that, importing numba: {import_s:.2f} s, of the CPU {import_cpu_s:.2f} s")


def _machine() -> str:
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.processor(),
    )
    return (
        f"{model}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; Python {platform.python_version()}, "
        f"NumPy {np.__version__}, Numba {numba.__version__}, protobuf {protobuf_version} ({api_implementation.Type()})"
    )


if __name__ == "__main__":
    main()
