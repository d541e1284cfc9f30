"""The supervisor: everything starts, and nothing of it is left, however it ends."""

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from examples.shop.directory import HOST, NAMES, Ports, decode, encode
from examples.shop.run import ROOT, ServiceDied, Shop, free_ports
from tests.examples.sink import Sink

needs_pidfd = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="this system cannot wait for any process's end")


@contextmanager
def running_shop(tmp_path: Path, sink: Sink, *options: str) -> Iterator[tuple[subprocess.Popen[str], dict]]:
    """The shop as a program; what it printed when it was open."""
    command = [sys.executable, "-m", "examples.shop.run", "--endpoint", sink.endpoint, "--json", *options]
    environ = os.environ | {"SHOP_STATE": str(tmp_path / "state.json")}
    program = subprocess.Popen(
        [*command, "--folder", str(tmp_path)], cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True
    )
    try:
        assert program.stdout is not None
        yield program, json.loads(program.stdout.readline())
    finally:
        program.kill()
        program.wait()


def wait_until_gone(pids: list[int], timeout_s: float = 60.0) -> list[int]:
    """Return the processes that are still there when time is up."""
    left = list(pids)
    for pid in pids:
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            left.remove(pid)
            continue
        if select.select([handle], [], [], timeout_s)[0]:
            left.remove(pid)
        os.close(handle)
    return left


@needs_pidfd
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_shop_under_load_ends_in_order_when_it_is_told_to(tmp_path, sink, number):
    with running_shop(tmp_path, sink, "--rate", "20") as (program, opened):
        sink.wait_for(lambda: opened["pids"]["shop"] in {root.resource.get("process.pid") for root in sink.roots()})

        program.send_signal(number)
        status = program.wait(timeout=60)
        left = wait_until_gone(list(opened["pids"].values()))

    assert (status, left) == (0, [])
    assert set(opened["pids"]) == {*NAMES, "load"}
    counted = json.loads((tmp_path / "load.log").read_text())
    assert sum(journey["well"] for journey in counted["journeys"].values()) > 0
    assert not (tmp_path / "state.json").exists()


@needs_pidfd
def test_no_service_outlives_a_supervisor_that_was_killed(tmp_path, sink):
    with running_shop(tmp_path, sink, "--rate", "5") as (program, opened):
        program.kill()
        program.wait()

        left = wait_until_gone(list(opened["pids"].values()))

    assert left == []


@needs_pidfd
def test_a_service_that_dies_closes_the_shop_and_is_named_with_its_log(tmp_path, sink):
    with running_shop(tmp_path, sink, "--rate", "0") as (program, opened):
        os.kill(opened["pids"]["stock"], signal.SIGKILL)

        status = program.wait(timeout=60)
        left = wait_until_gone(list(opened["pids"].values()))

    assert (status, left) == (1, [])


def test_a_port_that_is_taken_is_said_by_the_service_that_wanted_it(tmp_path, sink, monkeypatch):
    monkeypatch.setenv("SHOP_STATE", str(tmp_path / "state.json"))
    shop = Shop(sink.endpoint, tmp_path)
    with socket.create_server((HOST, shop.ports["payment"].control)), pytest.raises(ServiceDied) as error:
        shop.__enter__()

    assert error.value.name == "payment"
    assert "Address already in use" in str(error.value)
    assert str(tmp_path / "payment.log") in str(error.value)
    assert all(child.poll() is not None for child in shop._children.values())


def test_free_ports_are_different_and_below_those_of_outgoing_connections():
    found = [port for at in free_ports().values() for port in (at.port, at.control)]

    assert len(set(found)) == 2 * len(NAMES)
    assert max(found) < 32_768


def test_ports_survive_their_way_through_the_environment():
    ports = free_ports()

    assert decode(encode(ports)) == ports
    assert decode("")["shop"] == Ports(18080, 18081)


def test_the_fault_command_switches_the_running_shop(shop):
    def faults(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "examples.shop.faults", *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)

    switched = faults("shipping", "--slow", "5", "--fail", "0.5")
    refused = faults("shipping", "--fail", "2")
    shown = faults("shipping")
    off = faults("shipping", "--none")

    assert json.loads(switched.stdout) == {"slow_ms": 5.0, "fail": 0.5, "down": False}
    assert (refused.returncode, refused.stderr) == (1, "Error: fail=2: a share from 0 to 1\n")
    assert shown.stdout == switched.stdout
    assert json.loads(off.stdout) == {"slow_ms": 0.0, "fail": 0.0, "down": False}


def test_the_fault_command_says_when_no_shop_is_running(tmp_path):
    environ = os.environ | {"SHOP_STATE": str(tmp_path / "nothing.json")}

    done = subprocess.run(
        [sys.executable, "-m", "examples.shop.faults", "bank", "--down"],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 1
    assert "no shop is running" in done.stderr
    assert "hint: cpdd demo" in done.stderr


@pytest.mark.parametrize("service", sorted({*NAMES} - {"shop", "broker"}))  # which declares calls; which has no cpdd
def test_taking_cpdd_out_of_a_service_is_deleting_two_lines(tmp_path, service):
    source = (ROOT / "examples/shop" / f"{service}.py").read_text().splitlines(keepends=True)

    without = [line for line in source if line != "import cpdd\n" and not line.startswith("cpdd.init(")]

    assert len(source) - len(without) == 2
    assert "cpdd" not in "".join(without)


def test_a_service_without_its_two_lines_serves_all_the_same_and_sends_nothing(tmp_path):
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    copy = tmp_path / "examples/shop/pricing.py"
    copy.write_text("".join(line for line in copy.read_text().splitlines(True) if "cpdd" not in line))
    ports = free_ports()
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "PYTHONPATH"))}

    with Sink() as sink:
        program = subprocess.Popen(
            [sys.executable, "-m", "examples.shop.pricing"],
            cwd=tmp_path,
            env=environ | {"SHOP_PORTS": encode(ports), "OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint},
            stderr=subprocess.PIPE,
            text=True,
        )
        assert program.stderr is not None
        up = next(line for line in program.stderr if "pricing is up" in line)
        answer = json.load(urllib.request.urlopen(f"http://{HOST}:{ports['pricing'].port}/prices?skus=mug-red"))
        program.terminate()
        program.communicate(timeout=60)

    assert up
    assert answer == {"mug-red": 490}
    assert sink.spans() == []
    assert program.returncode == 0
