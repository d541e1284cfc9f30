"""What the tests of the instrumentation share: one provider a process, its spans in memory, programs run apart."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

import cpdd
from cpdd.testing import MemoryExporter

Run = Callable[..., str]


@pytest.fixture(scope="session")
def exporter() -> MemoryExporter:
    exporter = MemoryExporter()
    handle = cpdd.init(service="tests", processor=SimpleSpanProcessor(exporter), instrument=False)
    assert handle.provider is trace.get_tracer_provider()
    return exporter


@pytest.fixture
def spans(exporter: MemoryExporter) -> Iterator[MemoryExporter]:
    """The spans that end during the test."""
    exporter.clear()
    yield exporter
    exporter.clear()


@pytest.fixture
def run_program() -> Run:
    """Run a program of its own, where `init` and the global provider are new; returns what it printed.

    It gets the variables given and no OTEL_ ones of ours; its words on stderr come in the message if it fails.
    """

    def run(source: str, **variables: str) -> str:
        environ = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "CPDD_"))}
        done = subprocess.run(
            [sys.executable, "-c", source], env=environ | variables, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
