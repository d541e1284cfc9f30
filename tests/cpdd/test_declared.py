"""Declarative configuration finds the sampler, the propagators and the id generator."""

from pathlib import Path

FILE = """
file_format: "1.0"
resource:
  attributes:
    - name: service.name
      value: shop
propagator:
  composite:
    - cpdd:
tracer_provider:
  processors:
    - simple:
        exporter:
          console:
  id_generator:
    cpdd:
  sampler:
    SAMPLER
"""
PROGRAM = """
from opentelemetry import propagate, trace
from opentelemetry.sdk._configuration import _OTelSDKConfigurator

_OTelSDKConfigurator().configure()
provider = trace.get_tracer_provider()
headers = {}
with trace.get_tracer("x").start_as_current_span("GET"):
    propagate.inject(headers)
sampler = getattr(provider.sampler, "_root", provider.sampler)
print(type(sampler).__name__, sampler.service, sampler.baseline, sampler.mode)
propagators = [type(each).__name__ for each in propagate.get_global_textmap()._propagators]
print(type(provider.id_generator).__name__, *propagators, *sorted(headers))
"""
SAID = "{endpoint: 'http://127.0.0.1:1', initial_sampling_rate: 1.0, mode: consistent, cache: 'off'}"


def test_a_file_names_the_sampler_and_the_propagators(run_program, tmp_path: Path):
    path = tmp_path / "otel.yaml"
    path.write_text(FILE.replace("SAMPLER", f"cpdd: {SAID}"))

    sampler, propagators = run_program(PROGRAM, OTEL_CONFIG_FILE=str(path)).splitlines()[-2:]  # behind the span

    assert sampler == "ConfiguredSampler shop 1.0 consistent"
    assert propagators == "PrivateIds W3CPropagator traceparent tracestate"
