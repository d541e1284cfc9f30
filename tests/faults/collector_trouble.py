"""What becomes of the shop while its collector is in trouble? `python -m tests.faults.collector_trouble --seconds 20`

The whole shop, visitors that come one behind the other, and a collector that is well in between: stopped, slow, silent,
answering 503, answering garbage. Prints for each how visits fared, how large the processes are, and what they say that
they lost; `docs/records/collector-trouble.md` has a run.
"""

import collections
import os
import random
import re
import statistics
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import click

from examples.shop.directory import HOST
from examples.shop.faults import switch
from examples.shop.load import request, visits
from examples.shop.run import Shop

TROUBLES = ("stopped", "slow", "silent", "503", "garbage")
SLOW_S = 3.0
VISITORS = 2


class Collector:
    """Listens on one port all the time that it is not stopped, and behaves as it is told."""

    def __init__(self) -> None:
        self.behaviour = "well"
        self.requests: collections.Counter[str] = collections.Counter()
        self.changed = threading.Event()
        self._server = self._listening(0)
        self.port = self._server.server_port

    def behave(self, how: str) -> None:
        if self.behaviour == "stopped":
            self._server = self._listening(self.port)
        self.behaviour = how
        self.changed.set()
        self.changed = threading.Event()
        if how == "stopped":
            self.close()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _listening(self, port: int) -> ThreadingHTTPServer:
        server = _Server((HOST, port), _handler(self))
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return server


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_: object) -> None:
        """Who gives up on a silent collector hangs up."""


def _handler(collector: Collector) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            collector.requests[collector.behaviour] += 1
            if collector.behaviour == "silent":
                collector.changed.wait()
                return
            if collector.behaviour == "garbage":
                self.wfile.write(b"\x00\xff\xfe not HTTP at all \r\n\r\n")
                return
            if collector.behaviour == "slow":
                collector.changed.wait(SLOW_S)
            self.send_response(503 if collector.behaviour == "503" else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    return Handler


@dataclass(frozen=True)
class Phase:
    """How visits fared while the collector behaved so."""

    behaviour: str
    visits: int
    failed: int
    p50_ms: float
    p95_ms: float
    max_ms: float
    asked: int
    """Requests that the collector got."""
    rss_mb: dict[str, float]
    """By service, at the end."""


class Visiting:
    """Journeys, one behind the other for each visitor, the same ones for the same seed."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._visits = visits(random.Random(1), 1.0)
        self._lock = threading.Lock()

    def go(self, seconds: float) -> list[tuple[bool, float]]:
        """Return of each visit whether it went well, and how long it took, in ms."""
        until_s = time.monotonic() + seconds

        def visitor(_: int) -> list[tuple[bool, float]]:
            made = []
            while time.monotonic() < until_s:
                with self._lock:
                    _, visit = next(self._visits)
                began_s = time.monotonic()
                well = all(self._ask(*what) for what in visit.requests)
                made.append((well, (time.monotonic() - began_s) * 1000))
            return made

        with ThreadPoolExecutor(VISITORS) as visitors:
            return [one for made in visitors.map(visitor, range(VISITORS)) for one in made]

    def _ask(self, method: str, path: str) -> bool:
        with suppress(OSError):
            return request(self._shop.entrance, method, path) < 400
        return False


def run(seconds: float, queue: int, folder: Path) -> tuple[list[Phase], dict[str, int]]:
    """Return the phases, and how many spans each service said that it lost."""
    collector = Collector()
    variables = {"OTEL_BSP_MAX_QUEUE_SIZE": str(queue), "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": str(queue // 4)}
    phases = []
    with Shop(f"http://{HOST}:{collector.port}", folder, variables) as shop:
        switch(shop.ports["bank"].control, {"fail": 0})  # what fails now fails for the collector's sake
        visiting = Visiting(shop)
        visiting.go(seconds / 2)
        for behaviour in [how for trouble in TROUBLES for how in ("well", trouble)] + ["well"]:
            collector.behave(behaviour)
            before = collector.requests.total()
            made = visiting.go(seconds)
            took = sorted(ms for _, ms in made)
            phases.append(
                Phase(
                    behaviour,
                    len(made),
                    sum(not well for well, _ in made),
                    statistics.median(took),
                    took[len(took) * 95 // 100],
                    took[-1],
                    collector.requests.total() - before,
                    {name: _rss_mb(pid) for name, pid in shop.pids().items()},
                )
            )
            tell(phases[-1])
    collector.close()
    return phases, {path.stem: _lost(path.read_text()) for path in sorted(folder.glob("*.log"))}


def tell(phase: Phase) -> None:
    largest = max(phase.rss_mb, key=lambda name: phase.rss_mb[name])
    print(
        f"{phase.behaviour:<8} {phase.visits:5} visits, {phase.failed} failed, p50 {phase.p50_ms:5.0f} ms,"
        f" p95 {phase.p95_ms:5.0f}, max {phase.max_ms:5.0f} ms; collector asked {phase.asked:4} times;"
        f" memory of all {sum(phase.rss_mb.values()):5.0f} MB, {largest} {phase.rss_mb[largest]:.0f} MB",
        flush=True,
    )


def _rss_mb(pid: int) -> float:
    (kilobytes,) = re.findall(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(kilobytes) / 1024


def _lost(log: str) -> int:
    return sum(map(int, re.findall(r"spans arrive again, (\d+) were lost", log)))


@click.command()
@click.option("--seconds", default=20.0, show_default=True, help="Of each trouble, and of each time without.")
@click.option("--queue", default=256, show_default=True, help="OTEL_BSP_MAX_QUEUE_SIZE; small, so that it overflows.")
def command(seconds: float, queue: int) -> None:
    """Run the shop through every trouble; exit 1 where a visit failed."""
    print(
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {VISITORS} visitors, {seconds:g} s each, queue {queue}"
    )
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SHOP_STATE"] = f"{folder}/state.json"
        phases, lost = run(seconds, queue, Path(folder) / "shop")
    print("said to be lost: " + ", ".join(f"{name} {count:,}" for name, count in lost.items() if count))
    sys.exit(1 if any(phase.failed for phase in phases) else 0)


if __name__ == "__main__":
    command()
