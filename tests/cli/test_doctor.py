"""`cpdd doctor`: says what is instrumented, and finds its span again through a real collector."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from click.testing import CliRunner

from cpdd.cli import _probe, cli
from cpdd.cli._libraries import KNOWN, TRIED, _brought_by, libraries
from cpdd.exporters import DEFAULT_ENDPOINT
from cpdd.instrumentations import installed
from tests.cli.endpoint import Endpoint, endpoint, refusal


@contextmanager
def query_api(status: int, body: bytes) -> Iterator[str]:
    """A query API that always answers the same."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def served() -> Iterator[Endpoint]:
    with endpoint() as found:
        yield found


def doctor(*arguments: str) -> tuple[int, dict[str, object]]:
    result = CliRunner().invoke(cli, ["doctor", "--json", *arguments])
    return result.exit_code, json.loads(result.stdout)


def test_the_test_span_is_sent_and_found_again(served):
    with query_api(200, b'{"data": [{}]}') as ui:
        _, facts = doctor("--endpoint", served.url, "--ui", ui)

    (span,) = served.spans()
    assert span.trace_id.hex() == facts["probe"]["trace_id"]
    assert (facts["probe"]["is_sent"], facts["probe"]["is_found"], facts["probe"]["problem"]) == (True, True, "")
    assert facts["endpoint"] == served.url


def test_without_a_word_said_spans_go_where_init_sends_them(monkeypatch):
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)

    _, facts = doctor("--no-probe")

    assert facts["endpoint"] == DEFAULT_ENDPOINT


def test_a_span_that_cannot_be_found_is_a_failure_that_names_the_place(served, monkeypatch):
    monkeypatch.setattr(_probe, "LOOK_FOR_S", 0.3)
    with query_api(404, b"{}") as ui:
        code, facts = doctor("--endpoint", served.url, "--ui", ui)

    assert code == 1
    assert f"not to be found at {ui}" in facts["probe"]["problem"]


@pytest.mark.parametrize("body", [b"not JSON", b"[]"])
def test_an_answer_that_is_no_query_apis_is_said(served, body):
    with query_api(500, body) as ui:
        code, facts = doctor("--endpoint", served.url, "--ui", ui)

    assert code == 1
    assert f"cannot ask {ui}" in facts["probe"]["problem"]


def test_a_collector_that_is_not_there_is_a_failure_with_the_next_step():
    result = CliRunner().invoke(cli, ["doctor", "--endpoint", "http://127.0.0.1:1"])

    assert result.exit_code == 1
    assert "the test span did not arrive: cannot send: Connection refused" in result.stdout
    assert "is it running?" in result.stdout


def test_a_collector_that_refuses_is_a_failure_that_says_why(served):
    served.answers = [refusal(401, "who are you")]

    _, facts = doctor("--endpoint", served.url)

    assert "who are you" in facts["probe"]["problem"]


def test_nothing_is_sent_when_told_so(served):
    _, facts = doctor("--endpoint", served.url, "--no-probe")

    assert facts["probe"] is None
    assert served.bodies == []


def test_a_library_without_its_instrumentation_is_missing_and_the_command_to_paste_is_there():
    versions = {"flask": "3.1.3", "requests": "2.32", "opentelemetry-instrumentation-requests": TRIED}

    here = libraries({}, lambda name: versions.get(name, ""), lambda name: frozenset())
    found = {library.instrumentation: library for library in here}

    assert set(found) == {"flask", "requests", "logging", "sqlite3", "urllib"}
    assert found["flask"].state == "missing"
    assert found["flask"].next_step() == f"pip install opentelemetry-instrumentation-flask=={TRIED}"
    assert (found["requests"].state, found["requests"].next_step()) == ("ready", "")
    assert found["logging"].state == "not needed"


@pytest.mark.parametrize(
    ("by", "state", "next_step"),
    [
        ({"cpdd"}, "not needed", "comes with cpdd"),
        ({"requests", "opentelemetry-exporter-x"}, "not needed", "comes with opentelemetry-exporter-x, requests"),
        ({"cpdd", "the-shop"}, "missing", f"pip install opentelemetry-instrumentation-urllib3=={TRIED}"),
        (set(), "missing", f"pip install opentelemetry-instrumentation-urllib3=={TRIED}"),
    ],
)
def test_a_library_that_only_came_along_is_not_needed(by: set[str], state: str, next_step: str):
    versions = {"urllib3": "2.8", "requests": "2.32", "opentelemetry-instrumentation-requests": TRIED}

    brought = {"urllib3": by}
    here = libraries({}, lambda name: versions.get(name, ""), lambda name: frozenset(brought.get(name, ())))

    (found,) = [library for library in here if library.library == "urllib3"]
    assert (found.state, found.next_step()) == (state, next_step)


def test_what_came_along_with_something_that_came_along_is_not_needed_either():
    versions = {"urllib3": "2.8"}
    brought = {"urllib3": {"clickhouse-connect"}, "clickhouse-connect": {"cpdd", "urllib3"}}

    here = libraries({}, lambda name: versions.get(name, ""), lambda name: frozenset(brought.get(name, ())))

    assert {library.state for library in here} == {"not needed"}


def test_what_brought_a_library_along_is_read_from_what_is_installed():
    assert {"flask", "cpdd"} & _brought_by("werkzeug") == {"flask"}


def test_what_the_environment_disables_and_what_was_not_tried_is_said():
    versions = {"requests": "2.32", "opentelemetry-instrumentation-requests": "0.99"}

    (other,) = [one for one in libraries({}, lambda name: versions.get(name, "")) if one.library == "requests"]
    (disabled,) = [
        one
        for one in libraries({"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "requests"}, lambda name: versions.get(name, ""))
        if one.library == "requests"
    ]

    assert other.next_step() == f"cpdd is tested with {TRIED}"
    assert disabled.state == "disabled"


def test_every_instrumentation_that_is_tested_here_is_known_to_the_doctor_and_pinned():
    here = {point.dist.name.removeprefix("opentelemetry-instrumentation-"): point.dist.version for point in installed()}

    assert set(here) - {"asgi", "wsgi", "dbapi", "asyncio", "threading"} <= set(KNOWN)
    assert set(here.values()) == {TRIED}
