"""Programs as people run them follow a change of policy: gunicorn with preload, uvicorn, a Celery worker, a script."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.control.control_server import ControlServer, control_server
from tests.ports import free_port

PROGRAM = "tests.control.real_program"
LIMIT_S = 60.0
Answer = tuple[str, bool]
"""Of which process, and whether the trace was kept."""


@pytest.fixture
def server() -> Iterator[ControlServer]:
    with control_server() as server:
        yield server


def environ_for(server: ControlServer, **more: str) -> dict[str, str]:
    """Nothing is kept without a policy that says so, and nothing is known from an earlier run."""
    own = {name: text for name, text in os.environ.items() if not name.startswith(("OTEL_", "CPDD_"))}
    argument = f"endpoint={server.address},initialSamplingRate=0,cache=off"
    return {**own, "OTEL_TRACES_SAMPLER": "cpdd", "OTEL_TRACES_SAMPLER_ARG": argument} | more


@contextmanager
def running(*words: str, environ: dict[str, str]) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-m", *words], env=environ, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


def read(text: str) -> Answer:
    process, kept = text.split()
    return process, kept == "1"


def get(port: int) -> Answer | None:
    """Ask once; None while nobody listens."""
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", "/")
        return read(connection.getresponse().read().decode())
    except OSError:
        return None
    finally:
        connection.close()


def wait_for(ask: Callable[[], Answer | None], kept: bool, processes: int = 1) -> set[str]:
    """Ask until so many processes have answered that they keep, or do not; returns which."""
    found: set[str] = set()
    until = time.monotonic() + LIMIT_S
    while len(found) < processes:
        assert time.monotonic() < until, f"only {found} said so"
        answer = ask()
        if answer is not None and answer[1] is kept:
            found.add(answer[0])
    return found


def follows(server: ControlServer, ask: Callable[[], Answer | None], processes: int = 1) -> None:
    before = wait_for(ask, False, processes)
    boost = server.boost(service="shop", duration_s=600)
    assert wait_for(ask, True, processes) == before
    server.ask("DELETE", f"/v1/boosts/{boost['id']}")
    assert wait_for(ask, False, processes) == before


def test_both_workers_of_a_preloaded_gunicorn_follow(server: ControlServer):
    port = free_port()
    words = ("gunicorn", "--preload", "--workers", "2", "--bind", f"127.0.0.1:{port}", f"{PROGRAM}:wsgi")

    with running(*words, environ=environ_for(server)):
        follows(server, lambda: get(port), processes=2)


@pytest.mark.slow
def test_a_program_under_uvicorn_follows(server: ControlServer):
    port = free_port()

    with running("uvicorn", "--port", str(port), f"{PROGRAM}:asgi", environ=environ_for(server)):
        follows(server, lambda: get(port))


@pytest.mark.slow
def test_the_child_of_a_celery_worker_follows(server: ControlServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("queue", "results"):
        (tmp_path / name).mkdir()
    celery = pytest.importorskip("celery")
    sender = celery.Celery("shop", broker="filesystem://", backend=f"file://{tmp_path}/results")
    sender.conf.broker_transport_options = {
        "data_folder_in": f"{tmp_path}/queue",
        "data_folder_out": f"{tmp_path}/queue",
        "control_folder": f"{tmp_path}/control",
    }
    words = ("celery", "-A", PROGRAM, "worker", "--pool", "prefork", "--concurrency", "1", "--loglevel", "ERROR")

    with running(*words, environ=environ_for(server, CELERY_FOLDER=str(tmp_path))):
        follows(server, lambda: read(sender.send_task("serve").get(timeout=LIMIT_S, interval=0.05)))


def test_a_script_that_is_over_in_no_time_goes_by_what_the_last_run_learned(server: ControlServer, tmp_path: Path):
    environ = environ_for(server)
    environ["OTEL_TRACES_SAMPLER_ARG"] = environ["OTEL_TRACES_SAMPLER_ARG"].replace("off", f"{tmp_path}/policies.json")

    def run() -> Answer:
        done = subprocess.run([sys.executable, "-m", PROGRAM], env=environ, capture_output=True, text=True, check=True)
        return read(done.stdout)

    wait_for(run, False)
    server.ask("POST", "/v1/policies", {"id": "all", "trace": {"match": [EVERYTHING], "keep": {"percentage": 100}}})
    wait_for(run, True)

    dead = environ["OTEL_TRACES_SAMPLER_ARG"].replace(server.address, "http://127.0.0.1:1")
    environ["OTEL_TRACES_SAMPLER_ARG"] = dead
    assert run()[1], "with the server dead, too"


def test_no_thread_of_ours_imports_a_module(server: ControlServer):
    """A fork in the middle of it, as gunicorn with preload makes one, would leave the module locked for ever."""
    program = (
        "import sys, threading\n"
        "from cpdd.sampling import configure\n"
        "from cpdd.sampling.sampler import DynamicSampler\n"
        "known, reported, grant = set(sys.modules), threading.Event(), DynamicSampler.grant\n"
        "DynamicSampler.grant = lambda *args: (grant(*args), reported.set())\n"
        f"sampler = configure.configured('cpdd', 'endpoint={server.address},cache=off', 'shop', {{}})\n"
        "assert reported.wait(30)\n"
        "print(*sorted(set(sys.modules) - known))\n"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "\n"


EVERYTHING = {"resource_attribute": ["service.name"], "exists": True}
