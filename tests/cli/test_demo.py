"""`cpdd demo`: real collector, real shop, and nothing left of them."""

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import pytest

import cpdd
from cpdd.cli import _guard, demo
from cpdd.settings import Settings

needs_pidfd = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="this system cannot wait for any process's end")
ANY_PORTS = {f"CPDD_{name.upper()}": "0" for name in demo._PORTS}
PAUSE = threading.Event()
"""Never set: between two looks at a server that has better things to do."""
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
THROUGH_NGINX = ["--nginx"] if NGINX else []
SERVICES = {"shop", "catalog", "pricing", "stock", "shipping", "cart", "recommendations", "payment", "bank", "mailer"}


@contextmanager
def running_demo(tmp_path: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """The demo as a program, on any free ports; what it printed when it was ready."""
    environ = os.environ | ANY_PORTS | {"SHOP_STATE": str(tmp_path / "state.json"), "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", "from cpdd.cli import main; main()", "demo", "--json", *options]
    program = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    try:
        assert program.stdout is not None
        yield program, json.loads(program.stdout.readline())
    finally:
        program.kill()
        program.wait()


def left_of(facts: dict[str, Any], timeout_s: float = 30.0) -> list[int]:
    """The demo's processes that are still there when time is up."""
    left = []
    for pid in [facts["pid"], *facts["pids"].values()]:
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        if not select.select([handle], [], [], timeout_s)[0]:
            left.append(pid)
        os.close(handle)
    return left


def services_seen(facts: dict[str, Any]) -> set[str]:
    with urllib.request.urlopen(f"{facts['ui']}/api/services", timeout=60) as answer:
        return set(json.load(answer)["data"])


@needs_pidfd
def test_the_demo_shows_the_shop_and_ends_on_ctrl_c_without_leaving_anything(tmp_path):
    wanted = SERVICES | ({"nginx"} if NGINX else set())
    with running_demo(tmp_path, *THROUGH_NGINX) as (program, facts):
        seen: set[str] = set()
        until_s = time.monotonic() + 120
        while not seen >= wanted and time.monotonic() < until_s and program.poll() is None:
            seen = services_seen(facts)
            PAUSE.wait(0.1)
        program.send_signal(signal.SIGINT)
        status = program.wait(timeout=60)
        left = left_of(facts)

    assert seen >= wanted
    assert (status, left) == (0, [])
    assert not Path(facts["folder"]).exists()


@needs_pidfd
def test_a_demo_that_is_killed_leaves_no_process(tmp_path):
    nginx = tmp_path / "kept/shop/edge/nginx.pid"
    with running_demo(tmp_path, "--rate", "2", "--data", str(tmp_path / "kept"), *THROUGH_NGINX) as (program, facts):
        facts["pids"] |= {"nginx": int(nginx.read_text())} if NGINX else {}
        program.kill()
        program.wait()

        assert left_of(facts) == []


@needs_pidfd
def test_a_demo_ends_by_itself_when_its_time_is_up_and_keeps_the_folder_it_was_given(tmp_path):
    kept = tmp_path / "kept"
    with running_demo(tmp_path, "--duration", "0.5", "--data", str(kept)) as (program, facts):
        status = program.wait(timeout=60)
        left = left_of(facts)

    assert (status, left) == (0, [])
    assert (kept / "data").is_dir()
    assert (kept / "shop/payment.log").is_file()


def test_usual_ports_that_are_taken_are_replaced_by_free_ones():
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        settings = Settings(
            otlp_http_port=taken.getsockname()[1],
            ui_port=None,
            otlp_grpc_port=None,
            zipkin_port=0,
            health_port=None,
            metrics_port=None,
            sampling_http_port=None,
            sampling_grpc_port=None,
            sampling_grpc_legacy_port=None,
        )

        flags = demo.port_flags(settings)

    assert flags == [
        *("--otlp-http-port", "0"),
        *("--otlp-grpc-port", "off"),
        *("--zipkin-port", "0"),
        *("--ui-port", "0"),
        *("--health-port", "off"),
        *("--metrics-port", "off"),
        *("--sampling-http-port", "off"),
        *("--sampling-grpc-port", "off"),
        *("--sampling-grpc-legacy-port", "off"),
    ]


def test_a_port_is_taken_while_somebody_listens_on_it():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        assert demo.is_taken("127.0.0.1", port)

    assert not demo.is_taken("127.0.0.1", port)


def test_the_shop_is_found_beside_us_in_a_checkout_and_inside_us_once_installed(tmp_path, monkeypatch):
    in_checkout = demo.find_shop()
    installed = tmp_path / "site-packages/cpdd"
    (installed / "_examples/shop").mkdir(parents=True)
    (installed / "_examples/shop/run.py").touch()
    monkeypatch.setattr(cpdd, "__file__", str(installed / "__init__.py"))

    assert in_checkout == (Path(demo.__file__).parents[2], "examples.shop")
    assert demo.find_shop() == (tmp_path / "site-packages", "cpdd._examples.shop")


def test_without_a_shop_the_message_says_where_it_was_looked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(cpdd, "__file__", str(tmp_path / "cpdd/__init__.py"))

    with pytest.raises(click.ClickException) as error:
        demo.find_shop()

    assert str(tmp_path / "examples/shop") in error.value.message
    assert "hint: clone the repository" in error.value.message


def test_a_package_that_is_missing_is_named_with_what_to_install(monkeypatch):
    monkeypatch.setattr(demo, "_NEEDED", ("json", "no_such_package", "no_such.module"))

    with pytest.raises(click.ClickException) as error:
        demo.check_packages()

    assert "no_such_package, no_such.module" in error.value.message
    assert 'pip install "cpdd[collector,examples]"' in error.value.message


def test_nginx_that_is_missing_is_said_with_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr("shutil.which", lambda name, path: None)

    with pytest.raises(click.ClickException, match="nginx is not installed") as error:
        demo.find_nginx()

    assert "apt-get install nginx-light" in error.value.message


def test_a_part_that_dies_is_named_with_the_end_of_its_log(tmp_path):
    program = [sys.executable, "-c", "import sys; sys.exit('the port is taken')"]

    with pytest.raises(demo.DemoFailed) as error, demo.Part("the collector", program, tmp_path / "x.log") as part:
        part.facts(threading.Event())

    assert str(error.value) == f"the collector ended with status 1\n  at {tmp_path / 'x.log'}\nthe port is taken"


def test_who_waits_is_told_that_it_goes_on(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(demo, "PATIENCE_S", 0.0)
    says_it_late = "import sys; sys.stdin.readline(); print('{}', flush=True); sys.stdin.read()"

    with demo.Part("the collector", [sys.executable, "-c", says_it_late], tmp_path / "x.log") as part:
        ready = threading.Thread(target=part.facts, args=(threading.Event(),))
        ready.start()
        while "is still starting" not in capsys.readouterr().err:
            ready.join(0.05)
        part._process.stdin.write("\n")
        part._process.stdin.flush()
        ready.join(30)

    assert not ready.is_alive()


def test_a_part_that_is_never_ready_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "READY_S", 0.0)

    with (
        pytest.raises(demo.DemoFailed, match="the shop is not ready after 0 s"),
        demo.Part("the shop", [sys.executable, "-c", "import sys; sys.stdin.read()"], tmp_path / "x.log") as part,
    ):
        part.facts(threading.Event())


def test_who_presses_ctrl_c_while_it_starts_does_not_wait(tmp_path):
    ending = threading.Event()
    ending.set()

    with demo.Part("the shop", [sys.executable, "-c", "import sys; sys.stdin.read()"], tmp_path / "x.log") as part:
        assert part.facts(ending) is None


def test_a_folder_of_our_own_is_deleted_unless_a_message_names_a_log_in_it(tmp_path):
    with demo.kept_or_deleted(None) as folder:
        assert folder.is_dir()
    assert not folder.exists()

    with pytest.raises(demo.DemoFailed), demo.kept_or_deleted(None) as folder:
        raise demo.DemoFailed("the shop", "ended with status 1", folder / "shop.log")
    assert folder.exists()
    folder.rmdir()


def test_what_people_are_told_has_a_line_to_paste_for_each_fault():
    control = {name: f"http://127.0.0.1:{port}" for port, name in enumerate(SERVICES, 20000)}
    facts = {
        "ui": "http://u",
        "shop": "http://s",
        "otlp_http": "http://o",
        "folder": "/srv/my demo",
        "control": control,
    }

    told = demo.announcement(facts, 20.0, kept=False)

    assert f"  curl -d fail=0.3 {control['pricing']}/faults" in told
    assert "pages   http://u" in told
    assert "'/srv/my demo' (deleted at the end)" in told


@contextmanager
def guarded(*program: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, _guard.__file__, sys.executable, "-c", *program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as guard:
        yield guard
        guard.kill()


WAITS = "import os, threading; print(os.getpid(), flush=True); threading.Event().wait()"


@needs_pidfd
def test_what_is_guarded_ends_when_the_pipe_of_its_starter_does():
    with guarded(WAITS) as guard:
        child = os.pidfd_open(int(guard.stdout.readline()))

        guard.stdin.close()

        assert select.select([child], [], [], 20)[0]
        assert guard.wait(timeout=60) == 1
        os.close(child)


@needs_pidfd
def test_what_is_guarded_ends_when_the_guard_is_told_to():
    with guarded(WAITS) as guard:
        child = os.pidfd_open(int(guard.stdout.readline()))

        guard.terminate()

        assert select.select([child], [], [], 20)[0]
        os.close(child)


def test_the_status_of_what_is_guarded_is_the_guards():
    with guarded("raise SystemExit(3)") as guard:
        assert guard.wait(timeout=60) == 3
