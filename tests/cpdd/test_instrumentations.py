"""Contrib instrumentations: found, applied when their library is imported, and never a reason to stop."""

import sys
from importlib.metadata import EntryPoint
from types import SimpleNamespace

import pytest

from cpdd.instrumentations import Instrumentations, disabled_in, modules_for


class Instrumentor:
    """What an instrumentation looks like from outside; counts what is asked of it."""

    is_instrumented_by_opentelemetry = False
    asked = 0

    def instrument(self, **options: object) -> None:
        Instrumentor.asked += 1


class Elsewhere(Instrumentor):
    is_instrumented_by_opentelemetry = True


class Broken(Instrumentor):
    def instrument(self, **options: object) -> None:
        raise RuntimeError("does not fit")


@pytest.fixture(autouse=True)
def counting():
    Instrumentor.asked = 0


def entry_point(name: str, instrumentor: str, *requirements: str) -> EntryPoint:
    """An entry point of this module, in a distribution that says which libraries it is for."""
    found = EntryPoint(name, f"{__name__}:{instrumentor}", "opentelemetry_instrumentor")
    vars(found).update(dist=SimpleNamespace(requires=[f'{line}; extra == "instruments"' for line in requirements]))
    return found


def turned_on(*found: EntryPoint, disabled: frozenset[str] = frozenset()) -> Instrumentations:
    instrumentations = Instrumentations()
    instrumentations.turn_on(found, disabled)
    return instrumentations


def test_a_library_that_is_imported_already_is_instrumented_at_once():
    state = turned_on(entry_point("pytest", "Instrumentor", "pytest>=7"))

    assert (state.applied, state.waiting, Instrumentor.asked) == (["pytest"], set(), 1)


def test_an_instrumentation_that_names_no_library_is_applied_at_once():
    state = turned_on(entry_point("system", "Instrumentor"))

    assert (state.applied, Instrumentor.asked) == (["system"], 1)


def test_a_library_that_is_not_installed_is_no_failure(caplog):
    state = turned_on(entry_point("pigeon", "Instrumentor", "carrier-pigeon>=1"))

    assert (state.skipped, Instrumentor.asked) == ({"pigeon": "its library is not installed"}, 0)
    assert caplog.text == ""


def test_what_the_environment_disables_is_left_alone():
    disabled = disabled_in({"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "flask, pytest"})

    state = turned_on(entry_point("pytest", "Instrumentor", "pytest>=7"), disabled=disabled)

    assert (list(state.skipped), Instrumentor.asked) == (["pytest"], 0)


def test_a_star_disables_all():
    state = turned_on(
        entry_point("pytest", "Instrumentor", "pytest"),
        disabled=disabled_in({"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "*"}),
    )

    assert list(state.skipped) == ["pytest"]


def test_what_somebody_else_instrumented_is_not_instrumented_twice():
    state = turned_on(entry_point("pytest", "Elsewhere", "pytest"))

    assert (state.applied, Instrumentor.asked) == (["pytest"], 0)


def test_one_that_fails_is_told_and_the_next_is_applied(caplog, monkeypatch):
    monkeypatch.setattr("cpdd.failures._told", set())

    state = turned_on(
        entry_point("broken", "Broken", "pytest"),
        entry_point("absent", "NoSuchClass", "pytest"),
        entry_point("pytest", "Instrumentor", "pytest"),
    )

    assert state.applied == ["pytest"]
    assert state.skipped["broken"] == "does not fit"
    assert "instrumentation broken failed, the program goes on without it" in caplog.text


def test_a_distribution_is_known_by_the_module_one_imports():
    assert modules_for(entry_point("grpc_client", "Instrumentor", "grpcio>=1.42")) == ["grpc"]
    assert modules_for(entry_point("sqlite3", "Instrumentor")) == ["sqlite3"]
    assert modules_for(entry_point("x", "Instrumentor", "clickhouse-connect")) == ["clickhouse_connect"]


def test_a_library_is_instrumented_when_it_is_imported_and_in_time_for_from_imports(run_program):
    printed = run_program(
        "import sys, cpdd\n"
        "state = cpdd.init(service='shop').instrumentations\n"
        "print('flask' in sys.modules, 'flask' in state.waiting)\n"
        "from flask import Flask\n"
        "print('flask' in state.applied, 'flask' in state.waiting, Flask.__name__)",
        OTEL_TRACES_EXPORTER="none",
    )

    assert printed.splitlines() == ["False True", "True False _InstrumentedFlask"]


def test_log_records_know_their_trace_and_logging_is_otherwise_as_it_was(run_program):
    printed = run_program(
        "import logging, sys, cpdd\ncpdd.init(service='shop')\nprint(logging.getLogger().handlers)\n"
        "from opentelemetry import trace\n"
        "logging.basicConfig(stream=sys.stdout, format='%(otelTraceID)s %(message)s', level=logging.INFO)\n"
        "with trace.get_tracer('x').start_as_current_span('GET') as span: logging.info('inside')\n"
        "print(f'{span.get_span_context().trace_id:032x} inside')\nlogging.info('outside')",
        OTEL_TRACES_EXPORTER="none",
    )

    handlers, said, expected, outside = printed.splitlines()
    assert handlers == "[]"
    assert said == expected
    assert outside == "0 outside"


def test_django_is_instrumented_when_its_settings_are_known_and_not_before(run_program):
    printed = run_program(
        "import cpdd\nstate = cpdd.init(service='shop').instrumentations\nimport django\n"
        "print('django' in state.waiting)\nfrom django.conf import settings\n"
        "settings.configure(MIDDLEWARE=('django.middleware.common.CommonMiddleware',))\ndjango.setup()\n"
        "print('django' in state.applied, len(settings.MIDDLEWARE))",
        OTEL_TRACES_EXPORTER="none",
    )

    assert printed.splitlines() == ["True", "True 2"]


def test_a_fastapi_request_is_one_server_span_with_starlette_instrumented_too(run_program):
    printed = run_program(
        "import cpdd\nfrom cpdd.testing import MemoryExporter\n"
        "from opentelemetry.sdk.trace.export import SimpleSpanProcessor\nexporter = MemoryExporter()\n"
        "cpdd.init(service='shop', processor=SimpleSpanProcessor(exporter))\n"
        "import asyncio, fastapi\napp = fastapi.FastAPI()\n"
        "@app.get('/')\ndef home(): return {}\n"
        "async def ask():\n"
        "    async def receive(): return {'type': 'http.request', 'body': b''}\n"
        "    async def send(message): pass\n"
        "    await app({'type': 'http', 'method': 'GET', 'path': '/', 'raw_path': b'/', 'query_string': b'',\n"
        "        'headers': [], 'scheme': 'http', 'server': ('x', 80), 'root_path': '', 'http_version': '1.1',\n"
        "        'client': ('y', 1), 'asgi': {'version': '3.0'}}, receive, send)\n"
        "asyncio.run(ask())\nprint(sum(span.kind.name == 'SERVER' for span in exporter.spans))"
    )

    assert printed == "1\n"


def test_nothing_of_ours_is_active_in_a_program_that_did_not_call_init(run_program):
    printed = run_program(
        "import cpdd, cpdd.startup, flask, requests\n"
        "print(flask.Flask.__module__, hasattr(requests.Session.send, '__wrapped__'))\n"
        "from opentelemetry import propagate, trace\n"
        "print(type(trace.get_tracer_provider()).__name__)\n"
        "print([type(p).__module__.split('.')[0] for p in propagate.get_global_textmap()._propagators])"
    )

    assert printed.splitlines() == ["flask.app False", "ProxyTracerProvider", "['opentelemetry', 'opentelemetry']"]


def test_this_suite_did_not_instrument_anything():
    assert "opentelemetry.instrumentation.flask" not in sys.modules
