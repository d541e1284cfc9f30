"""Starts that fail say why and leave nothing behind; ends lose nothing.

Apart from `test_serve`: one process can have one embedded store open.
"""

import os
import signal
import socket
import time
from pathlib import Path
from urllib.request import urlopen

import pytest

from collector.listen import PortUnavailable
from collector.serve import Collector, LimitsContradict
from cpdd.settings import Settings
from tests.load import SPANS_PER_TRACE, RequestMaker, trace_ids
from tests.receive.loopback import head, read_until_closed
from tests.serving import PORTS, ServerProcess, server_here, server_process
from tests.store.conftest import serving

ALL_OFF = {f"{port.replace('-', '_')}_port": None for port in PORTS}


def test_a_taken_port_stops_the_start_before_anything_is_opened(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        collector = Collector(Settings(data=str(tmp_path / "data"), **{**ALL_OFF, "zipkin_port": port}))

        with pytest.raises(PortUnavailable, match=f"{port}(.|\n)*--zipkin-port"):
            collector.start()

    assert not (tmp_path / "data").exists()


def test_limits_that_contradict_each_other_are_refused():
    with pytest.raises(LimitsContradict, match="--max-inflight-bytes"):
        Collector(Settings(max_body_bytes=1_000, max_inflight_bytes=1_999))


def test_a_start_that_fails_lets_go_of_ports_and_store(tmp_path: Path):
    class NoAnalyzer(Exception):
        pass

    def fail(*_: object) -> None:
        raise NoAnalyzer

    settings = Settings(data=str(tmp_path), **{**ALL_OFF, "otlp_grpc_port": 0, "otlp_http_port": 0})
    collector = Collector(settings, make_analyzer=fail)

    with pytest.raises(NoAnalyzer):
        collector.start()

    with server_here(tmp_path) as again:
        assert again.reader.services() == []


def test_sigterm_finishes_what_was_accepted_and_the_next_start_has_it(tmp_path: Path):
    maker = RequestMaker(64)
    bodies = [maker.make(time.time_ns()) for _ in range(8)]
    with server_process(tmp_path, "--commit-linger-ms", "60000") as server:
        connections = [socket.create_connection(("127.0.0.1", server.otlp_http_port), 60) for _ in bodies]
        for count, (connection, body) in enumerate(zip(connections, bodies, strict=True), 1):
            connection.sendall(head("content-type: application/x-protobuf", f"content-length: {len(body)}") + body)
            wait_for_metric(server, "cpdd_commit_queue_batches", count)

        code = server.stop()
        answers = [read_until_closed(connection) for connection in connections]

    assert code == 0
    assert all(answer.startswith(b"HTTP/1.1 200") for answer in answers)
    with server_here(tmp_path) as again:
        for trace_id in set().union(*map(trace_ids, bodies)):
            assert len(again.reader.trace(trace_id).batch) == SPANS_PER_TRACE


def test_ctrl_c_ends_it_as_sigterm_does_whichever_thread_hears_it(tmp_path: Path):
    with server_process(tmp_path) as server:
        pid = server.process.pid
        another = next(int(thread.name) for thread in Path(f"/proc/{pid}/task").iterdir() if int(thread.name) != pid)

        os.kill(another, signal.SIGINT)

        assert server.process.wait(60) == 0


def test_a_clickhouse_server_takes_the_spans_by_the_same_code(tmp_path: Path):
    body = RequestMaker(64).make(time.time_ns())
    with serving(tmp_path / "engine") as (port, _):
        store = f"clickhouse://127.0.0.1:{port}/elsewhere"
        with server_here(tmp_path / "data", store=store) as server:
            answer = post(server.otlp_http_port, body)
            traces = [server.reader.trace(trace_id) for trace_id in trace_ids(body)]
            shown = server.collector.store_shown

    assert answer.startswith(b"HTTP/1.1 200")
    assert [len(trace.batch) for trace in traces if trace] == [SPANS_PER_TRACE] * 4
    assert shown == f"clickhouse://127.0.0.1:{port}/elsewhere"


def post(port: int, body: bytes) -> bytes:
    """Send one request of OTLP/HTTP; return the answer."""
    with socket.create_connection(("127.0.0.1", port), 60) as connection:
        lines = ("content-type: application/x-protobuf", f"content-length: {len(body)}", "connection: close")
        connection.sendall(head(*lines) + body)
        return read_until_closed(connection)


def wait_for_metric(server: ServerProcess, name: str, value: float) -> None:
    """Ask until the metric has this value."""
    deadline_s = time.monotonic() + 120
    while metrics_of(server).get(name) != value:
        assert time.monotonic() < deadline_s, f"{name} is {metrics_of(server).get(name)}, not {value}"


def metrics_of(server: ServerProcess) -> dict[str, float]:
    """Samples without labels."""
    with urlopen(f"{server.addresses['metrics']}/metrics", timeout=60) as answer:
        lines = [line.split() for line in answer.read().decode().splitlines() if "{" not in line and line[0] != "#"]
    return {line[0]: float(line[1]) for line in lines}
