"""From spans that come in to people who are told: a whole collector, its pages' reader, its metrics and its webhook."""

from pathlib import Path
from urllib.request import urlopen

import pytest
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, Status, StatusCode

from collector import judge
from collector.core.journeys import Journey, JourneyBook, Match
from tests.hook import listening
from tests.serving import server_here

BOOK = JourneyBook((Journey("buy", (Match("shop", "POST /buy"),), owner="Storefront", availability=0.99),))
TOLD = {"budget burning", "missing nine", "hidden mandatory"}
FAILED = Status(StatusCode.ERROR)


def purchases(count: int) -> list[ReadableSpan]:
    """Purchases that fail with the bank, whose call is declared optional."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "shop"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    said = {"cpdd.call.requirement": "optional", "service.peer.name": "bank"}
    for _ in range(count):
        with tracer.start_as_current_span("POST /buy", Context(), SpanKind.SERVER) as root:
            with tracer.start_as_current_span("POST", kind=SpanKind.CLIENT, attributes=said) as call:
                call.set_status(FAILED)
            root.set_status(FAILED)
    return list(exporter.get_finished_spans())


def test_a_promise_that_breaks_is_told_is_in_the_store_and_in_the_metrics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(judge, "SHARE_OF_TIME", 1.0)  # it has the machine to itself
    fast = {"trace_quiet_s": 0.1, "trace_settle_s": 0.2, "judge_interval_s": 0.1}
    with (
        listening() as hook,
        server_here(tmp_path, BOOK, webhook_url=hook.url, public_url="http://cpdd.example", **fast) as server,
    ):
        sent = OTLPSpanExporter(f"{server.addresses['otlp_http']}/v1/traces", timeout=60).export(purchases(40))
        assert sent is SpanExportResult.SUCCESS
        while not {body["kind"] for body in hook.bodies} >= TOLD:
            hook.wait_for(1)
        findings = {one.finding.kind: one.finding for one in server.reader.findings()}
        standings = server.reader.standings()
        with urlopen(f"{server.addresses['metrics']}/metrics", timeout=60) as answer:
            metrics = answer.read().decode()

    assert {body["owner"] for body in hook.bodies} == {"Storefront"}
    assert hook.bodies[0]["address"] == f"http://cpdd.example/findings#{hook.bodies[0]['id']}"
    assert len(findings["hidden mandatory"].examples) == 3
    assert standings["buy"][0].alert is not None
    labels = 'client="shop",journey="buy",requirement="mandatory",server="bank"'
    assert f"cpdd_edge_requirement{{{labels}}} 1.0" in metrics
    assert (
        'traces_service_graph_request_failed_total{client="shop",connection_type="virtual_node",server="bank"}'
        in metrics
    )
