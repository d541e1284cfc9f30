"""The SDK's own exporters against our answers: what may be sent again is sent again, what may not is given up."""

import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from collector.receive.answers import MalformedBody, Refusal, StoreUnavailable, UnderPressure
from tests.receive.loopback import HOST, PATH, FakePipeline, serve_grpc, serve_http

LATER = [UnderPressure("the queue is full", retry_after_s=1), StoreUnavailable("no space left", retry_after_s=1)]


def a_span() -> list[ReadableSpan]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    provider.get_tracer("test").start_span("checkout").end()
    return list(exporter.get_finished_spans())


@pytest.mark.parametrize("refusal", LATER, ids=["pressure", "store"])
def test_the_http_exporter_sends_again_when_it_is_asked_to(refusal: Refusal):
    pipeline = FakePipeline(fail_commit=refusal, fail_times=1)
    with serve_http(pipeline) as served:
        exporter = HttpExporter(f"http://{HOST}:{served.port}{PATH}", timeout=60)

        result = exporter.export(a_span())

        exporter.shutdown()
    assert result is SpanExportResult.SUCCESS
    assert len(pipeline.bodies) == 2


@pytest.mark.parametrize("refusal", LATER, ids=["pressure", "store"])
def test_the_grpc_exporter_sends_again_when_it_is_asked_to(refusal: Refusal):
    pipeline = FakePipeline(fail_commit=refusal, fail_times=1)
    with serve_grpc(pipeline) as served:
        exporter = GrpcExporter(f"{HOST}:{served.port}", insecure=True, timeout=60)

        result = exporter.export(a_span())

        exporter.shutdown()
    assert result is SpanExportResult.SUCCESS
    assert len(pipeline.bodies) == 2


def test_the_exporters_give_up_what_cannot_get_better():
    pipeline = FakePipeline(fail_prepare=MalformedBody("no spans in it"))
    with serve_http(pipeline) as over_http, serve_grpc(pipeline) as over_grpc:
        exporters = (
            HttpExporter(f"http://{HOST}:{over_http.port}{PATH}", timeout=60),
            GrpcExporter(f"{HOST}:{over_grpc.port}", insecure=True, timeout=60),
        )

        results = [exporter.export(a_span()) for exporter in exporters]

        for exporter in exporters:
            exporter.shutdown()
    counts = [
        served.count("cpdd_receiver_requests_total", receiver=name, answer="malformed")
        for served, name in ((over_http, "otlp_http"), (over_grpc, "otlp_grpc"))
    ]
    assert results == [SpanExportResult.FAILURE] * 2
    assert counts == [1, 1]
