"""Where spans go, as the environment says."""

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.trace.export import ConsoleSpanExporter

from cpdd.exporters import FastOTLPExporter, exporters_for


@pytest.fixture
def environ(monkeypatch):
    """The variables of the test in os.environ too, where the exporter itself looks."""

    def variables(**said: str) -> dict[str, str]:
        for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
            monkeypatch.delenv(name, raising=False)
        for name, value in said.items():
            monkeypatch.setenv(name, value)
        return said

    return variables


def address(exporters) -> str:
    (exporter,) = exporters
    assert isinstance(exporter, HttpExporter)
    return exporter._endpoint


def test_by_default_spans_go_to_this_machine_over_otlp_http(environ):
    assert address(exporters_for(environ())) == "http://127.0.0.1:4318/v1/traces"


def test_a_base_address_in_the_environment_gets_the_path_of_traces(environ):
    said = environ(OTEL_EXPORTER_OTLP_ENDPOINT="http://collector:4318")

    assert address(exporters_for(said)) == "http://collector:4318/v1/traces"


def test_the_address_of_traces_in_the_environment_is_used_as_it_is(environ):
    said = environ(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="http://collector:4318/custom")

    assert address(exporters_for(said)) == "http://collector:4318/custom"


@pytest.mark.parametrize("endpoint", ["http://here:1", "http://here:1/", "http://here:1/v1/traces"])
def test_what_init_was_told_beats_the_environment(environ, endpoint):
    said = environ(OTEL_EXPORTER_OTLP_ENDPOINT="http://collector:4318", OTEL_EXPORTER_OTLP_PROTOCOL="grpc")

    assert address(exporters_for(said, endpoint)) == "http://here:1/v1/traces"


def test_the_protocol_grpc_takes_the_grpc_exporter_where_it_is_installed(environ):
    grpc = pytest.importorskip(
        "opentelemetry.exporter.otlp.proto.grpc.trace_exporter", reason="the gRPC exporter is not installed"
    )
    said = environ(OTEL_EXPORTER_OTLP_PROTOCOL="grpc", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:4317")

    (exporter,) = exporters_for(said)

    assert isinstance(exporter, grpc.OTLPSpanExporter)
    exporter.shutdown()


def test_exporters_may_be_several_or_none(environ):
    several = exporters_for(environ(OTEL_TRACES_EXPORTER="console, otlp"))

    assert [type(exporter) for exporter in several] == [ConsoleSpanExporter, FastOTLPExporter]
    assert exporters_for(environ(OTEL_TRACES_EXPORTER="none")) == []


def test_an_exporter_that_is_not_installed_is_told_and_left_out(environ, caplog):
    assert exporters_for(environ(OTEL_TRACES_EXPORTER="carrier-pigeon")) == []
    assert "carrier-pigeon" in caplog.text
