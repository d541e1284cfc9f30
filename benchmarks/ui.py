"""How long does a page take, with so many spans stored, and how much does it transfer?

    python -m benchmarks.ui                                 a million spans, idle
    python -m benchmarks.ui --spans 10000000 --ingest 100000     ten million, while 100,000 spans/s come in

A real `cpdd serve` in a process of its own; spans of `tests.load` (ten attributes, 16 a trace, four services) that end
over the last 50 minutes, sent over OTLP/HTTP until all are analyzed. Then each page is asked for over HTTP, one request
at a time, as a browser does: gzip, no ETag, another trace or another range each time, so that nothing is answered from
memory. Times are on the wire, from the request to the last byte. Wanted: journey p95 300 ms, trace by id p95 50 ms
beside drawing, search p95 500 ms, 500 kB for a page with its style and scripts.
"""

import argparse
import json
import os
import platform
import random
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import quote

from tests.load import SERVICES, RequestMaker, trace_ids
from tests.serving import ServerProcess, server_process

SPANS_PER_REQUEST = 4_096
SPREAD_NS = 50 * 60 * 10**9
QUIET_S = 600.0
"""So long the analysis may take to catch up."""
KNOWN_IDS = 20_000


def main() -> None:
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as folder, server_process(Path(folder)) as server:
        _print_workload(arguments)
        began = time.perf_counter()
        ids = _fill(server, arguments.spans)
        _await_analysis(server)
        print(f"filled    in {time.perf_counter() - began:.0f} s, analysis included", flush=True)
        pages = Pages(server.addresses["ui"], ids)
        with _ingesting(server, arguments.ingest):
            pages.ask_all(arguments.asked)
        pages.print_sizes()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spans", type=int, default=1_000_000)
    parser.add_argument("--asked", type=int, default=100, help="how often each page is asked for")
    parser.add_argument("--ingest", type=int, default=0, help="spans a second that come in meanwhile")
    return parser.parse_args()


def _print_workload(arguments: argparse.Namespace) -> None:
    processor = platform.processor() or platform.machine()
    print(f"machine   {processor}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the run")
    print(f"workload  {arguments.spans:,} spans stored, {arguments.ingest:,} spans/s meanwhile", flush=True)


class Sender:
    """Sends requests over one connection; raises for an answer other than 200."""

    def __init__(self, server: ServerProcess) -> None:
        self._connection = HTTPConnection("127.0.0.1", server.otlp_http_port, timeout=60)

    def send(self, body: bytes) -> None:
        while True:
            self._connection.request("POST", "/v1/traces", body, {"Content-Type": "application/x-protobuf"})
            answer = self._connection.getresponse()
            answer.read()
            if answer.status == 200:
                return
            if answer.status not in (429, 503):
                raise RuntimeError(f"the collector answered {answer.status}")
            time.sleep(float(answer.headers.get("Retry-After", 1)))


def _fill(server: ServerProcess, spans: int) -> list[str]:
    """Send spans that end over the last minutes, on four connections; return ids of some of their traces."""
    requests = max(spans // SPANS_PER_REQUEST, 1)
    begin = time.time_ns() - SPREAD_NS
    ids: list[str] = []
    numbers = iter(range(requests))
    lock = threading.Lock()

    def work() -> None:
        maker, sender = RequestMaker(SPANS_PER_REQUEST), Sender(server)
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            body = maker.make(begin + number * SPREAD_NS // requests)
            if len(ids) < KNOWN_IDS:
                ids.extend(sorted(trace_ids(body)))
            sender.send(body)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return ids


def _await_analysis(server: ServerProcess) -> None:
    """Wait until no trace is open and nothing waits to be read."""
    until = time.monotonic() + QUIET_S
    while time.monotonic() < until:
        values = json.loads(_get(server.addresses["ui"], "/system.json")[1])["values"]
        if not values.get("analyzer_open_traces") and values.get("analyzer_lag_seconds", 0.0) < 1:
            return
        time.sleep(1)
    raise RuntimeError(f"the analysis is not done after {QUIET_S:.0f} s")


@contextmanager
def _ingesting(server: ServerProcess, spans_per_s: int) -> Iterator[None]:
    """Send spans of now at a rate while the context lasts."""
    ended = threading.Event()

    def work() -> None:
        maker, sender = RequestMaker(SPANS_PER_REQUEST), Sender(server)
        began, sent = time.monotonic(), 0
        while not ended.is_set():
            sender.send(maker.make(time.time_ns()))
            sent += SPANS_PER_REQUEST
            ended.wait(max(0.0, sent / spans_per_s - (time.monotonic() - began)))
        print(f"meanwhile {sent / (time.monotonic() - began):,.0f} spans/s came in")

    thread = threading.Thread(target=work)
    if spans_per_s:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        if spans_per_s:
            thread.join()


def _get(base: str, path: str) -> tuple[float, bytes, int]:
    """Return the milliseconds of a request, its body as it came, and its status."""
    connection = HTTPConnection(base.partition("://")[2], timeout=120)
    began = time.perf_counter()
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    took = (time.perf_counter() - began) * 1e3
    connection.close()
    return took, body, answer.status


class Pages:
    """Asks for pages, and keeps what they weigh."""

    def __init__(self, base: str, ids: Sequence[str]) -> None:
        self._host = base.partition("://")[2]
        self._connection = HTTPConnection(self._host, timeout=120)
        self._chance = random.Random(1)
        self._ids = ids
        self._weights: dict[str, int] = {}
        self._example: dict[str, str] = {}
        journeys = json.loads(_get(base, "/.json")[1])
        self._journey = (journeys["needs_you"] + journeys["others"])[0]["summary"]["journey"]

    def ask_all(self, times: int) -> None:
        journey = quote(self._journey, safe="")
        self._ask("journeys", times, lambda: f"/?{self._range()}")
        self._ask("journey", times, lambda: f"/journeys/{journey}?{self._range()}")
        self._ask("compare", times, lambda: f"/compare?journey={journey}&{self._range(20)}")
        self._ask("what if", max(times // 10, 1), lambda: f"/what-if?journey={journey}&{self._range()}")
        self._ask("trace by id", times, lambda: f"/traces/{self._chance.choice(self._ids)}")
        self._ask("trace compared", times, lambda: f"/traces/{self._chance.choice(self._ids)}/compare")
        self._ask("search, newest", times, lambda: f"/search?{self._range()}")
        self._ask("search, service and duration", times, lambda: f"/search?{self._of_service()}&min=1ms")
        self._ask("search, on the path", times, lambda: f"/search?{self._of_service()}&on_path=1&sort=slowest")
        self._ask("search, attribute", max(times // 10, 1), lambda: f"/search?{self._of_session()}")
        self._ask("services", times, lambda: f"/services?{self._range()}")

    def _range(self, least_min: int = 40) -> str:
        """A range that ends now and was never asked for: a second more or less."""
        return f"last={least_min * 60 + self._chance.randrange(1_200)}s"

    def _of_service(self) -> str:
        return f"service={self._chance.choice(SERVICES)}&{self._range()}"

    def _of_session(self) -> str:
        return f"q=session.id%3D{self._chance.getrandbits(64):016x}&{self._range()}"

    def _ask(self, name: str, times: int, address: Callable[[], str]) -> None:
        took = []
        for _ in range(times + 1):
            self._example[name] = address()
            began = time.perf_counter()
            self._connection.request("GET", self._example[name], headers={"Accept-Encoding": "gzip"})
            answer = self._connection.getresponse()
            body = answer.read()
            took.append((time.perf_counter() - began) * 1e3)
            if answer.status != 200:
                raise RuntimeError(f"{self._example[name]} answered {answer.status}")
            self._weights[name] = max(len(body), self._weights.get(name, 0))
        ordered = sorted(took[1:])  # the first compiles the template
        p50, p95 = ordered[len(ordered) // 2], ordered[min(int(len(ordered) * 0.95), len(ordered) - 1)]
        print(f"{name:30} p50 {p50:7.1f} ms   p95 {p95:7.1f} ms   most {ordered[-1]:7.1f} ms   of {times}", flush=True)

    def print_sizes(self) -> None:
        """Print what each page transfers before anybody touches it: itself, its style, its scripts."""
        for name, weight in self._weights.items():
            _, body, _ = _get(f"http://{self._host}", self._example[name])
            parts = set(re.findall(rb'(?:src|href)="(/static/[^"]+)"', body))
            whole = weight + sum(self._weight(part.decode()) for part in parts)
            print(f"{name:30} {whole / 1e3:6.0f} kB with {len(parts)} files of style and script")

    def _weight(self, path: str) -> int:
        self._connection.request("GET", path, headers={"Accept-Encoding": "gzip"})
        return len(self._connection.getresponse().read())


if __name__ == "__main__":
    main()
