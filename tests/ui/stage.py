"""Systems to look at: the shop under load, and recorded traces of other systems, each behind a real collector.

Used by `tests.ui.looks` and `tests.ui.walks`, which are run by hand; everything is on free ports and ends with them.
"""

import json
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collector.receive.files import read_requests
from cpdd.cli._requests import moved, newest_time
from tests.serving import CPDD, PORTS, server_process

DATA = Path(__file__).parents[2] / "../shared/data/otlp"
MINUTE_NS = 60 * 10**9
READY_S = 900.0
STEP_S = 1.0


@dataclass(frozen=True)
class Site:
    """A collector, ready."""

    addresses: dict[str, Any]

    @property
    def pages(self) -> str:
        return str(self.addresses["ui"])

    def get(self, address: str) -> Any:
        """Return the value of a page's twin."""
        with urlopen(self.pages + address, timeout=READY_S) as answer:
            return json.load(answer)

    def wait_for_traces(self, number: int) -> None:
        """Return when the journeys of the last day have so many traces with each other, or raise TimeoutError."""
        until = time.monotonic() + READY_S
        while time.monotonic() < until:
            page = self.get("/.json?last=24h")
            if sum(row["summary"]["traces"] for row in (*page["needs_you"], *page["others"])) >= number:
                return
            time.sleep(STEP_S)
        raise TimeoutError(f"{self.pages} shows less than {number} traces after {READY_S:g} s")

    def wait_for_finding(self, kind: str) -> None:
        """Return when there is an open finding of a kind, or raise TimeoutError."""
        until = time.monotonic() + READY_S
        while time.monotonic() < until:
            groups = self.get("/findings.json")["groups"]
            if any(one["kind"] == kind for group in groups for one in group["findings"]):
                return
            time.sleep(STEP_S)
        raise TimeoutError(f"{self.pages} has no finding {kind!r} after {READY_S:g} s")

    def change(self, address: str, said: object) -> None:
        """Change sampling."""
        body, headers = json.dumps(said).encode(), {"content-type": "application/json"}
        urlopen(Request(self.addresses["sampling_http"] + address, body, headers), timeout=READY_S).close()

    def send(self, bodies: Sequence[bytes]) -> None:
        for body in bodies:
            headers = {"content-type": "application/x-protobuf"}
            urlopen(Request(f"{self.addresses['otlp_http']}/v1/traces", body, headers), timeout=READY_S).close()

    def switch(self, service: str, **faults: float) -> None:
        """Switch faults of a service of the shop."""
        data = "&".join(f"{name}={value}" for name, value in faults.items()).encode()
        urlopen(f"{self.addresses['control'][service]}/faults", data, timeout=READY_S).close()


@contextmanager
def shop(folder: Path, rate: float) -> Iterator[Site]:
    """Run `cpdd demo` on free ports."""
    ports = {f"CPDD_{port.upper().replace('-', '_')}_PORT": "0" for port in PORTS}
    command = [CPDD, "demo", "--json", "--rate", str(rate), "--data", str(folder)]
    with (folder / "demo.log").open("wb") as log:
        environ = {**os.environ, **ports, "SHOP_STATE": str(folder / "state.json")}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environ)
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, (folder / "demo.log").read_text()
        yield Site(json.loads(line))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(READY_S)
        process.stdout.close()


@contextmanager
def recorded(folder: Path) -> Iterator[Site]:
    """Run a collector with nothing in it."""
    with server_process(folder) as server:
        yield Site(server.addresses)


def recording(name: str, end_unix_nano: int) -> list[bytes]:
    """Return the requests of a set, moved so that its newest span ends then, with trace ids of their own."""
    bodies = [request.body for request in read_requests(DATA / f"{name}.otlp.pb.gz")]
    by_ns = end_unix_nano - newest_time(bodies)
    mask = secrets.token_bytes(16)
    return [moved(body, by_ns, mask) for body in bodies]


def large_trace(spans: int) -> list[bytes]:
    """Return one trace of a batch job that ended now: items one by one, each a call and a query; some overlap."""
    trace_id, now = secrets.token_bytes(16), time.time_ns()
    length_ns = spans * 250_000
    services = ("importer", "catalog", "pricing", "stock", "search")
    requests = {name: ExportTraceServiceRequest() for name in services}
    scopes = {}
    for name, request in requests.items():
        group = request.resource_spans.add()
        attribute = group.resource.attributes.add()
        attribute.key, attribute.value.string_value = "service.name", name
        scopes[name] = group.scope_spans.add()

    def add(number: int, parent: int, service: str, name: str, kind: int, start: int, end: int) -> None:
        span = scopes[service].spans.add()
        span.trace_id, span.span_id, span.name, span.kind = trace_id, number.to_bytes(8, "big"), name, kind
        span.parent_span_id = parent.to_bytes(8, "big") if parent else b""
        span.start_time_unix_nano, span.end_time_unix_nano = start, end
        span.status.code = 2 if number % 9_973 == 0 else 0

    begin = now - length_ns
    add(1, 0, "importer", "import items", Span.SPAN_KIND_CONSUMER, begin, now)
    items = (spans - 1) // 4
    each = length_ns // items
    for item in range(items):
        at, first = begin + item * each, 2 + item * 4
        service = services[1 + item % 4]
        end = at + each * (95 if item % 50 else 240) // 100  # every fiftieth runs on beside the next ones
        add(first, 1, "importer", "POST", Span.SPAN_KIND_CLIENT, at, end)
        add(
            first + 1,
            first,
            service,
            f"POST /{service}/items",
            Span.SPAN_KIND_SERVER,
            at + each // 20,
            end - each // 20,
        )
        add(first + 2, first + 1, service, "validate", Span.SPAN_KIND_INTERNAL, at + each // 10, at + each // 4)
        add(first + 3, first + 1, service, "INSERT items", Span.SPAN_KIND_CLIENT, at + each // 4, end - each // 8)
    return [request.SerializeToString() for request in requests.values()]
