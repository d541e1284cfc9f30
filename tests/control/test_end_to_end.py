"""A real `cpdd serve`, a real program, the real command: a boost raises what is kept, and ends on time by itself."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.request import Request, urlopen

import pytest

from tests.serving import CPDD, ServerProcess, server_process

LASTS_S = 2.0
EVERY_MS = 200.0
"""The program speaks twice as often, of what it did since."""


class Program:
    """The program's lines, as they come."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self._lines: list[dict[str, Any]] = []
        self._come = threading.Condition()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def wait_for_share(self, least: float, most: float, timeout_s: float = 60.0) -> float:
        """Return when a line says that so much is kept; its time, in ms."""
        with self._come:
            begun = len(self._lines)
            found: list[float] = []

            def holds() -> bool:
                found[:] = [
                    line["at_ms"] for line in self._lines[begun:] if least <= line["kept"] / line["seen"] <= most
                ]
                return bool(found)

            assert self._come.wait_for(holds, timeout_s), self._lines[begun:]
            return found[0]

    def kept_since(self, at_ms: float) -> int:
        with self._come:
            return sum(line["kept"] for line in self._lines if line["at_ms"] >= at_ms)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._come:
                self._lines.append(json.loads(line))
                self._come.notify_all()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One for all tests, the last of which kills it."""
    with server_process(tmp_path_factory.mktemp("serve")) as server:
        yield server


@pytest.fixture
def program(server: ServerProcess) -> Iterator[Program]:
    argument = f"endpoint={server.addresses['sampling_http']},initialSamplingRate=0,cache=off"
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.control.program", "60"],
        stdout=subprocess.PIPE,
        text=True,
        env={"OTEL_TRACES_SAMPLER": "cpdd", "OTEL_TRACES_SAMPLER_ARG": argument, "PATH": ""},
    )
    running = Program(process)
    try:
        running.wait_for_share(0, 0)
        yield running
    finally:
        process.kill()
        process.wait()


def boost(server: ServerProcess, *words: str) -> dict[str, Any]:
    done = subprocess.run(
        [CPDD, "boost", "shop", "--op", "GET /", "--json", "--sampling", server.addresses["sampling_http"], *words],
        capture_output=True,
        text=True,
        check=True,
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_a_boost_adds_no_more_traces_than_it_was_given(server: ServerProcess, program: Program):
    answer = boost(server, "--for", "10s", "--max-traces", "30")

    raised_ms = program.wait_for_share(0.05, 1)
    program.wait_for_share(0, 0)
    server_says = subprocess.run(
        [CPDD, "sampling", "show", "--json", "--sampling", server.addresses["sampling_http"]],
        capture_output=True,
        text=True,
        check=True,
    )

    assert program.kept_since(raised_ms) <= 30
    (live,) = [boost for boost in json.loads(server_says.stdout)["boosts"] if boost["id"] == answer["id"]]
    assert live["added_traces"] <= 30


def span(service: str, name: str, span_id: str, parent_id: str, now_ns: int) -> dict[str, Any]:
    """One SERVER span of OTLP/JSON, with the resource that it is of."""
    said = {
        "traceId": "4bf92f3577b34da6a3ce929d0e0e4736",
        "spanId": span_id,
        "parentSpanId": parent_id,
        "name": name,
        "kind": 2,
        "startTimeUnixNano": str(now_ns),
        "endTimeUnixNano": str(now_ns + 1_000_000),
    }
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}
    return {"resource": resource, "scopeSpans": [{"spans": [said]}]}


def test_a_boost_of_an_inner_edge_finds_its_root_says_which_and_the_program_behind_it_follows(
    server: ServerProcess, program: Program
):
    trace = [
        span("shop", "GET /", "1" * 16, "", time.time_ns()),
        span("stock", "POST /reserve", "2" * 16, "1" * 16, time.time_ns()),
    ]
    request = Request(
        f"{server.addresses['otlp_http']}/v1/traces",
        json.dumps({"resourceSpans": trace}).encode(),
        {"Content-Type": "application/json"},
    )
    with urlopen(request, timeout=60) as answer:
        assert answer.status == 200
    words = ["stock", "--op", "POST /reserve", "--from", "shop", "--for", "30s", "--id", "edge"]
    command = [CPDD, "boost", *words, "--sampling", server.addresses["sampling_http"]]

    until = time.monotonic() + 180  # each try starts a command, which on a busy machine keeps the analyzer waiting
    while (done := subprocess.run(command, capture_output=True, text=True)).returncode:
        assert "no root operation is known that reaches stock POST /reserve from shop" in done.stderr
        assert time.monotonic() < until, "the trace was never analyzed"
    program.wait_for_share(1, 1)
    subprocess.run([CPDD, "boost", "--end", "edge", *command[-2:]], check=True, capture_output=True)
    program.wait_for_share(0, 0)
    log = subprocess.run([CPDD, "sampling", "log", *command[-2:]], capture_output=True, text=True, check=True).stdout

    assert done.stdout.splitlines()[1:3] == ["by the root operations that reach it:", "  shop  GET /"]
    assert "100 % of shop GET / for 30 s" in log


@pytest.mark.parametrize("killed", [False, True], ids=["server alive", "server killed"])
def test_a_boost_raises_what_is_kept_and_ends_on_time(server: ServerProcess, program: Program, killed: bool):
    answer = boost(server, "--for", f"{LASTS_S}s", "--reason", "INC-42")

    raised_ms = program.wait_for_share(1, 1)
    if killed:
        server.process.kill()
        server.process.wait()
    ended_ms = program.wait_for_share(0, 0)

    assert raised_ms < answer["expires_unix_ms"]
    assert ended_ms > answer["expires_unix_ms"] - EVERY_MS, (
        "not before; how soon after is held by a clock moved by hand"
    )
