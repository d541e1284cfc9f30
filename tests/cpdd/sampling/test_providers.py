"""Policies from files, from Jaeger, from disk; after forks; by OTEL_TRACES_SAMPLER."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import grpc
import pytest

from cpdd.sampling.configure import Argument, ArgumentError, configured, parse_argument, sampler_for
from cpdd.sampling.jaeger import (
    GRPC_METHOD,
    Strategy,
    parameters_bytes,
    read_parameters,
    read_strategy,
    read_strategy_bytes,
    strategy_bytes,
    strategy_json,
)
from cpdd.sampling.keeper import Keeper
from cpdd.sampling.poll import FileProvider, JaegerProvider
from cpdd.sampling.sampler import DynamicSampler
from cpdd.sampling.saved import SavedPolicy
from cpdd.testing import FakeClock
from tests.control.control_server import control_server
from tests.cpdd.conftest import Run
from tests.cpdd.sampling.following import following
from tests.cpdd.sampling.policies import policy

HIGH, LOW = 0xFF << 48, 1
ALL = json.dumps({"version": 1, "policies": [policy("all", 100)]}).encode()
NONE = json.dumps({"version": 2, "policies": [policy("none", 0)]}).encode()


def keeps(sampler: DynamicSampler, trace_id: int = LOW, op: str = "GET /") -> bool:
    return sampler.should_sample(None, trace_id, op).decision.is_sampled()


def test_a_file_is_read_at_once_and_again_when_it_changes(tmp_path: Path):
    path = tmp_path / "policies.json"
    keeper = Keeper(DynamicSampler("shop", baseline=0.0))
    provider = FileProvider(path, keeper)

    provider.look()
    missing = keeper.standing.problem
    path.write_bytes(ALL)
    provider.look()
    first = keeps(keeper.sampler)
    path.write_bytes(b"{ half a file")
    provider.look()
    broken = keeps(keeper.sampler), keeper.standing.problem
    path.write_bytes(NONE)
    provider.look()

    assert "policies.json" in missing
    assert first
    assert broken[0]
    assert "not valid JSON" in broken[1]
    assert not keeps(keeper.sampler, HIGH)
    assert keeper.standing.problem == ""


def test_a_lost_server_leaves_its_last_word_until_it_is_too_old_and_then_the_baseline():
    clock = FakeClock()
    keeper = Keeper(DynamicSampler("shop", baseline=0.0), ttl_s=600, clock=clock.now_s)
    keeper.take(ALL, "server")

    clock.advance(s=599)
    keeper.lose("refused")
    before = keeps(keeper.sampler)
    clock.advance(s=1)
    keeper.lose("refused")

    assert before
    assert not keeps(keeper.sampler, HIGH)
    assert (keeper.standing.source, keeper.standing.problem) == ("baseline", "refused")


def test_a_program_starts_from_the_last_good_policies_on_disk(tmp_path: Path):
    saved = SavedPolicy(tmp_path / "deep" / "shop.json")
    first = Keeper(DynamicSampler("shop", baseline=0.0), saved)
    first.begin()
    first.take(ALL, "server")
    first.take(b"garbage", "server")

    second = Keeper(DynamicSampler("shop", baseline=0.0), saved)
    second.begin()

    assert keeps(second.sampler)
    assert (second.standing.version, second.standing.source) == (1, "saved")


def test_a_program_that_is_over_as_soon_as_it_has_policies_saves_them_for_the_next(tmp_path: Path):
    program = (
        "import pathlib, sys, threading, time\n"
        "from cpdd.sampling.keeper import Keeper\n"
        "from cpdd.sampling.sampler import DynamicSampler\n"
        "from cpdd.sampling.saved import SavedPolicy\n"
        "class SlowDisk(SavedPolicy):\n"
        "    def write(self, text):\n"
        "        time.sleep(0.2)\n"
        "        super().write(text)\n"
        "keeper = Keeper(DynamicSampler('shop', baseline=0.0), SlowDisk(pathlib.Path(sys.argv[1])))\n"
        "threading.Thread(target=keeper.take, args=(sys.argv[2].encode(), 'server'), daemon=True).start()\n"
        "while not keeper.sampler.should_sample(None, 1, 'GET /').decision.is_sampled():\n"
        "    time.sleep(0.001)\n"
    )
    path = tmp_path / "shop.json"

    subprocess.run([sys.executable, "-c", program, path, ALL.decode()], check=True, timeout=60)

    assert SavedPolicy(path).read() is not None


@pytest.mark.parametrize("garbage", [b"", b"\x00\xff", b"[]", b'{"version": 1, "policies": [{}]}'])
def test_garbage_on_disk_costs_the_start_from_disk_alone(tmp_path: Path, garbage: bytes):
    path = tmp_path / "shop.json"
    path.write_bytes(garbage)
    keeper = Keeper(DynamicSampler("shop"), SavedPolicy(path))

    keeper.begin()

    assert keeps(keeper.sampler)
    assert keeper.standing.source == "baseline"


STRATEGIES = [Strategy(0.25), Strategy(0.0), Strategy(0.5, {"GET /": 1.0, "POST /ü": 0.0})]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_jaegers_answers_are_read_as_they_were_written(strategy: Strategy):
    assert read_strategy(json.dumps(strategy_json(strategy)).encode()) == strategy
    assert read_strategy_bytes(strategy_bytes(strategy)) == strategy


def test_protobuf_is_what_the_protocol_says():
    """Bytes written down from jaeger-idl's sampling.proto: field and wire type, length, content."""
    half = bytes.fromhex("09000000000000e03f")

    assert parameters_bytes("shop") == bytes.fromhex("0a0473686f70")
    assert read_parameters(bytes.fromhex("0a0473686f70")) == "shop"
    assert strategy_bytes(Strategy(0.5)) == bytes.fromhex("1209") + half
    assert read_strategy_bytes(bytes.fromhex("08001209") + half) == Strategy(0.5)
    assert read_strategy_bytes(bytes.fromhex("08011a020805")) == Strategy(1.0, traces_per_second=5)


@pytest.mark.parametrize("broken", [b"\x12", b"\x12\x09\x09", b"\x13", b"\xff" * 12, b"\x12\x02\x09\x00", b""])
def test_broken_protobuf_is_a_value_error(broken: bytes):
    with pytest.raises(ValueError):  # noqa: PT011 - any sentence will do
        read_strategy_bytes(broken)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{}",
        b'{"probabilisticSampling": {"samplingRate": 2}}',
        b'{"probabilisticSampling": {"samplingRate": "1"}}',
    ],
)
def test_odd_json_of_jaeger_is_a_value_error(text: bytes):
    with pytest.raises(ValueError):  # noqa: PT011
        read_strategy(text)


JAEGER_ALL_IN_ONE = (
    b'{"strategyType":"PROBABILISTIC","probabilisticSampling":{"samplingRate":0},"operationSampling":'
    b'{"defaultSamplingProbability":0,"defaultLowerBoundTracesPerSecond":0,"perOperationStrategies":'
    b'[{"operation":"GET /","probabilisticSampling":{"samplingRate":1}}],"defaultUpperBoundTracesPerSecond":0}}'
)
"""What jaeger 2 answers for a service with one operation, all fields written."""


@contextmanager
def jaeger(answer: bytes) -> Iterator[tuple[str, list[str]]]:
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


class Told(Keeper):
    """Says when something was taken."""

    def __init__(self, sampler: DynamicSampler) -> None:
        super().__init__(sampler)
        self.taken = threading.Event()

    def take_document(self, document: Any, source: str) -> None:
        super().take_document(document, source)
        self.taken.set()


@pytest.mark.parametrize("path", ["", "/api/sampling"])
def test_a_jaeger_is_asked_over_http(path: str):
    with jaeger(JAEGER_ALL_IN_ONE) as (address, asked):
        keeper = Told(DynamicSampler("shop"))
        provider = JaegerProvider(address + path, keeper)
        provider.start()
        assert keeper.taken.wait(60)
        provider.stop()

    assert asked == [f"{path or '/sampling'}?service=shop"]
    assert keeps(keeper.sampler, op="GET /")
    assert not keeps(keeper.sampler, HIGH, op="POST /")


def test_a_jaeger_that_limits_rates_is_obeyed_by_a_cap():
    with jaeger(b'{"strategyType":"RATE_LIMITING","rateLimitingSampling":{"maxTracesPerSecond":2}}') as (address, _):
        keeper = Told(DynamicSampler("shop", clock=FakeClock().now_s))
        provider = JaegerProvider(address, keeper)
        provider.start()
        assert keeper.taken.wait(60)
        provider.stop()

    assert [keeps(keeper.sampler) for _ in range(3)] == [True, True, False]


def test_a_jaeger_is_asked_over_grpc_where_its_port_is_one_of_grpc(monkeypatch: pytest.MonkeyPatch):
    answer = grpc.unary_unary_rpc_method_handler(lambda message, context: strategy_bytes(Strategy(1.0)))
    _, service, method = GRPC_METHOD.split("/")
    with ThreadPoolExecutor(1) as threads:
        server = grpc.server(threads)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: answer}),))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        monkeypatch.setattr("cpdd.sampling.poll.GRPC_PORTS", (port,))
        keeper = Told(DynamicSampler("shop", baseline=0.0))
        provider = JaegerProvider(f"http://127.0.0.1:{port}", keeper)
        provider.start()
        taken = keeper.taken.wait(60)
        provider.stop()
        server.stop(0).wait()

    assert taken
    assert keeps(keeper.sampler)


def test_the_argument_has_the_specifications_grammar():
    assert parse_argument(
        "endpoint=http://localhost:14250,pollingIntervalMs=5000,initialSamplingRate=0.25"
    ) == Argument(endpoint="http://localhost:14250", pollingIntervalMs=5000, initialSamplingRate=0.25)
    assert parse_argument(" mode=consistent , ") == Argument(mode="consistent")


@pytest.mark.parametrize(
    "text", ["endpont=x", "mode=sometimes", "initialSamplingRate=2", "pollingIntervalMs=soon", "alone", "maxBoostMs=-1"]
)
def test_a_part_that_cannot_be_used_is_named(text: str):
    with pytest.raises(ArgumentError, match="OTEL_TRACES_SAMPLER_ARG") as refused:
        parse_argument(text)

    assert text.partition("=")[0] in str(refused.value)


def test_an_argument_that_cannot_be_used_is_told_and_the_program_samples_by_the_defaults(
    caplog: pytest.LogCaptureFixture,
):
    sampler = configured("cpdd", "endpoint=ftp://x,cache=off", "shop", {})

    assert keeps(sampler)
    assert "ftp://x" in caplog.text


def test_the_entry_points_are_those_of_the_specification():
    names = {point.name: point.value for point in entry_points(group="opentelemetry_traces_sampler")}

    assert names["cpdd"] == "cpdd.sampling.configure:cpdd_sampler"
    assert {"jaeger_remote", "parentbased_jaeger_remote"} <= names.keys()


PROGRAM = """
import cpdd, json
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from cpdd.testing import MemoryExporter
handle = cpdd.init(service="shop", processor=SimpleSpanProcessor(MemoryExporter()), instrument=False)
print(handle.provider.sampler.get_description())
"""


@pytest.mark.parametrize(
    ("name", "described"),
    [
        ("cpdd", "cpdd.DynamicSampler{service=shop,mode=follow,baseline=1}"),
        ("jaeger_remote", "cpdd.DynamicSampler{service=shop,mode=consistent,baseline=0.001}"),
        ("parentbased_jaeger_remote", "cpdd.DynamicSampler{service=shop,mode=follow,baseline=0.001}"),
    ],
)
def test_each_name_samples_as_the_specification_says(name: str, described: str):
    environ = {"OTEL_TRACES_SAMPLER": name, "OTEL_TRACES_SAMPLER_ARG": "endpoint=http://127.0.0.1:9,cache=off"}

    sampler = sampler_for(environ, {"service.name": "shop"})

    assert sampler is not None
    assert sampler.provider is not None
    sampler.provider.stop()
    assert sampler.get_description() == described


@pytest.mark.parametrize(("name", "described"), [("cpdd", "cpdd.DynamicSampler"), ("always_off", "AlwaysOffSampler")])
def test_init_samples_by_what_the_variable_names(run_program: Run, name: str, described: str):
    argument = "endpoint=http://127.0.0.1:9,cache=off"

    printed = run_program(PROGRAM, OTEL_TRACES_SAMPLER=name, OTEL_TRACES_SAMPLER_ARG=argument)

    assert printed.startswith(described)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_listens_again_and_counts_for_itself():
    with control_server() as server, following(server.address) as (sampler, _):
        server.ask("POST", "/v1/policies", policy("all", 100))
        sampler.wait_for(sampler.keeps)
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                sampler.changed = threading.Condition()
                before = sum(count.seen for count in sampler.harvest(1.0))
                os.write(write, b"r")
                sampler.wait_for(lambda: not sampler.keeps(HIGH))
                status = 0 if before == 0 else 2
            finally:
                os._exit(status)
        os.read(read, 1)
        server.ask("POST", "/v1/policies", {"policies": [policy("none", 0)], "replace": True})
        _, ended = os.waitpid(child, 0)
        os.close(read)
        os.close(write)
        clients = {instance.name for instance in server.service.fleet.instances()}

    assert os.waitstatus_to_exitcode(ended) == 0
    assert len(clients) == 2, "each process has a name of its own"
