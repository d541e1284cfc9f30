"""The one process: it starts in order, says where it listens, and ends in order."""

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.receive.loopback import JSON
from tests.serving import CPDD, FREE_PORTS, ServerHere, ServerProcess, server_here, server_process


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerHere]:
    with server_here(tmp_path_factory.mktemp("here")) as server:
        yield server


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with server_process(tmp_path_factory.mktemp("running")) as server:
        yield server


def some_spans() -> list[ReadableSpan]:
    """A checkout that calls a payment, as the SDK records them."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "shop"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test", "1")
    with tracer.start_as_current_span("checkout", attributes={"cart.items": 3}), tracer.start_as_current_span("pay"):
        pass
    return list(exporter.get_finished_spans())


def get(address: str) -> dict[str, object]:
    with urlopen(address, timeout=60) as answer:
        return json.loads(answer.read())


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip, Compression.Deflate])
def test_the_sdks_http_exporter_sends_and_the_spans_can_be_read(here: ServerHere, compression: Compression):
    exporter = HttpExporter(f"{here.addresses['otlp_http']}/v1/traces", compression=compression)

    assert_arrives(here, exporter)


def test_the_sdks_grpc_exporter_sends_and_the_spans_can_be_read(here: ServerHere):
    assert_arrives(here, GrpcExporter(here.addresses["otlp_grpc"], insecure=True))


def assert_arrives(here: ServerHere, exporter: SpanExporter) -> None:
    spans = some_spans()

    result = exporter.export(spans)
    exporter.shutdown()

    trace = here.reader.trace(f"{spans[0].context.trace_id:032x}")
    assert result is SpanExportResult.SUCCESS
    assert trace is not None
    assert {trace.batch.text(int(name)) for name in trace.batch.name} == {"checkout", "pay"}


def test_the_line_for_programs_says_where_things_listen(running: ServerProcess):
    assert running.addresses["pid"] == running.process.pid
    assert running.addresses["otlp_http"].startswith("http://127.0.0.1:")
    assert running.addresses["otlp_grpc"].startswith("127.0.0.1:")
    assert set(running.addresses) == {
        *("otlp_http", "otlp_grpc", "zipkin", "ui", "health", "metrics", "pid"),
        *("sampling_http", "sampling_grpc", "sampling_grpc_legacy"),
    }


def test_health_and_readiness_are_told(running: ServerProcess):
    health = running.addresses["health"]

    status = get(f"{health}/status")

    assert get(f"{health}/") == {"status": "ready", "problems": []}
    assert get(f"{health}/ready") == {"status": "ready", "problems": []}
    assert status["pid"] == running.process.pid
    assert status["addresses"]["otlp_http"] == running.addresses["otlp_http"]
    assert status["commits"]["pending_batches"] == 0
    assert status["analysis"]["failures"] == 0


def test_the_pages_are_served(running: ServerProcess):
    with urlopen(running.addresses["ui"], timeout=60) as answer:
        assert b"<html" in answer.read()


def test_the_metrics_show_commits_and_analysis(running: ServerProcess):
    with urlopen(f"{running.addresses['metrics']}/metrics", timeout=60) as answer:
        text = answer.read().decode()

    for name in ("cpdd_commits_total", "cpdd_commit_queue_bytes", "cpdd_analyzer_lag_seconds", "process_cpu_seconds"):
        assert name in text


def test_a_second_server_on_one_folder_is_told_who_has_it(running: ServerProcess, tmp_path: Path):
    folder = running.process.args[4]
    taken = str(running.otlp_http_port)  # as with the usual ports, twice

    second = subprocess.run(
        [CPDD, "serve", "--data", folder, *FREE_PORTS, "--otlp-http-port", taken],
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert second.returncode == 1
    assert "cannot listen" not in second.stderr
    assert f"process {running.process.pid} has {folder} open" in second.stderr
    assert "--data" in second.stderr


def test_zipkin_spans_are_received_and_can_be_read(here: ServerHere):
    trace_id = "5b8efff798038103d269b633813fc60c"
    span = {"traceId": trace_id, "id": "eee19b7ec3c1b174", "name": "pay", "timestamp": time.time_ns() // 1000}
    body = json.dumps([span | {"duration": 7, "localEndpoint": {"serviceName": "shop"}}]).encode()

    with urlopen(Request(f"{here.addresses['zipkin']}/api/v2/spans", body, JSON), timeout=60) as answer:
        status = answer.status

    trace = here.reader.trace(trace_id)
    assert status == 202
    assert trace is not None
    assert trace.batch.text(int(trace.batch.service[0])) == "shop"
