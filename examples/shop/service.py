"""What every service of the shop has: a life of its own, and switches that make it fail as real ones do.

Not instrumented, and on a port of its own, so that switching a fault leaves no trace in the traces.
"""

import json
import logging
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Protocol
from urllib.parse import parse_qsl

from . import directory

log = logging.getLogger("shop")

SWITCHED_WITHIN_S = 10.0


class InjectedFailure(Exception):
    """A failure that somebody switched on."""


@dataclass(frozen=True, slots=True)
class Faults:
    """What is wrong with a service: slower by so many ms, failing so often (a share of 1), not there at all."""

    slow_ms: float = 0.0
    fail: float = 0.0
    down: bool = False

    def changed(self, said: dict[str, str]) -> "Faults":
        """Return the faults with what was said in place. Raises ValueError that names the word and what would do."""
        unknown = set(said) - {"slow_ms", "fail", "down"}
        if unknown:
            raise ValueError(f"unknown fault {min(unknown)!r}: there are slow_ms, fail and down")
        slow_ms, fail = float(said.get("slow_ms", self.slow_ms)), float(said.get("fail", self.fail))
        if not 0 <= slow_ms <= 60_000:
            raise ValueError(f"slow_ms={slow_ms:g}: milliseconds from 0 to 60000")
        if not 0 <= fail <= 1:
            raise ValueError(f"fail={fail:g}: a share from 0 to 1")
        if said.get("down", "0") not in ("0", "1"):
            raise ValueError(f"down={said['down']}: 0 or 1")
        return replace(self, slow_ms=slow_ms, fail=fail, down=said["down"] == "1" if "down" in said else self.down)


class Switches:
    """The faults of this process. A handler calls `strike()` first."""

    def __init__(self, usual: Faults = Faults(), seed: int = 0) -> None:
        self.faults = usual
        self.changed = threading.Event()
        self.applied = threading.Event()
        self._random = random.Random(seed)

    def switch(self, said: dict[str, str]) -> Faults:
        """Change what is said; return when it holds: a service that was switched down is down. Raises ValueError."""
        self.faults = self.faults.changed(said)
        self.applied.clear()
        self.changed.set()
        self.applied.wait(SWITCHED_WITHIN_S)
        return self.faults

    def strike(self) -> None:
        """Be as slow as switched; raise InjectedFailure as often as switched."""
        delay_s, fails = self.plan()
        if delay_s:
            time.sleep(delay_s)
        if fails:
            raise InjectedFailure("switched on with faults")

    def plan(self) -> tuple[float, bool]:
        """Return how long to wait, in seconds, and whether to fail: for those who must not block while they wait."""
        faults = self.faults
        return faults.slow_ms / 1000, self._random.random() < faults.fail


class Listener(Protocol):
    """What takes the requests of a service. Starts and stops any number of times, on the same port."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


def work(mean_ms: float) -> None:
    """Take about so long, as a service does that waits for its disk or thinks."""
    time.sleep(random.lognormvariate(0.0, 0.25) * mean_ms / 1000)


def run(name: str, switches: Switches, listener: Listener) -> None:
    """Serve until SIGTERM, or until whoever started this process is gone."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for noisy in ("werkzeug", "uvicorn.access", "httpx"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: _end(ending, switches))
    signal.signal(signal.SIGINT, lambda *_: _end(ending, switches))
    end_with_parent(lambda: _end(ending, switches))
    control = _start_control(directory.ports()[name].control, switches)
    try:
        _serve(name, switches, listener, ending, control)
    finally:
        control.shutdown()
    sys.exit(0)


def _serve(
    name: str, switches: Switches, listener: Listener, ending: threading.Event, control: "_ControlServer"
) -> None:
    """Listen while the service is not switched down; a service that is down refuses connections, as a dead one does."""
    listening = False
    while not ending.is_set():
        switches.changed.clear()
        wanted = not switches.faults.down
        if wanted != listening:
            listener.start() if wanted else listener.stop()
            listening = wanted
            log.info("%s is %s: %s", name, "up" if wanted else "down", switches.faults)
        control.ready.set()
        switches.applied.set()
        switches.changed.wait()
    if listening:
        listener.stop()


def _end(ending: threading.Event, switches: Switches) -> None:
    ending.set()
    switches.changed.set()


def end_with_parent(end: Callable[[], None]) -> None:
    """Call `end` when whoever started this process is gone, however it ended.

    Our standard input is then a pipe that only the parent holds (it says so in SHOP_SUPERVISED): it ends with it.
    """

    def watch() -> None:
        os.read(0, 1)  # and not sys.stdin: a lock that a thread holds there aborts the interpreter at its end
        end()

    if os.environ.get("SHOP_SUPERVISED"):
        threading.Thread(target=watch, daemon=True).start()


class _ControlServer(ThreadingHTTPServer):
    daemon_threads = True
    switches: Switches
    ready: threading.Event


class _ControlHandler(BaseHTTPRequestHandler):
    """`GET /ready`, `GET /faults`, and `POST /faults` with a form: `curl -d fail=0.5 …/faults`."""

    server: _ControlServer

    def do_GET(self) -> None:
        if self.path == "/ready":
            self._answer(200 if self.server.ready.is_set() else 503, {"ready": self.server.ready.is_set()})
        elif self.path == "/faults":
            self._answer(200, asdict(self.server.switches.faults))
        else:
            self._answer(404, {"error": f"nothing at {self.path}: there are /ready and /faults"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        try:
            faults = self.server.switches.switch(dict(parse_qsl(body)))
        except ValueError as error:
            self._answer(400, {"error": str(error)})
        else:
            self._answer(200, asdict(faults))

    def _answer(self, status: int, value: object) -> None:
        body = json.dumps(value).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        log.debug(format, *args)


def _start_control(port: int, switches: Switches) -> _ControlServer:
    server = _ControlServer((directory.HOST, port), _ControlHandler)
    server.switches, server.ready = switches, threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
