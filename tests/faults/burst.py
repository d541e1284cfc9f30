"""Ten times the usual rate for a minute, over HTTP and gRPC at once: who is too many is refused with 429, over gRPC
with UNAVAILABLE and when to come again, nothing acknowledged is lost, and a minute later it is as it was before.

    python -m tests.faults.burst --rate 20000 --seconds 60

The room for requests in work is set small (MAX_INFLIGHT_BYTES), so that a machine whose cores senders and server share
comes to its end at all. Each stretch of STRETCH_S is one row: what was answered how, and how long answers took.
"""

import argparse
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import grpc

from tests.faults.accounts import differences, found_in, tell
from tests.faults.disk_trouble import Notes, waited
from tests.load import RequestMaker, trace_ids
from tests.serving import ServerProcess, server_process

SPANS = 512
STRETCH_S = 10.0
TIMES = 10
BACK_WITHIN_S = 60.0
MAX_BODY_BYTES = 8 << 20
MAX_INFLIGHT_BYTES = 2 * MAX_BODY_BYTES
CONNECTIONS = 64
"""Of each protocol, and so many requests wait at once at most."""
EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
REFUSED = frozenset({"429", "UNAVAILABLE"})
"""gRPC's word is what every exporter sends again after (docs/reference/receivers.md)."""
TAKEN = frozenset({"200", "OK"})


@dataclass
class Stretch:
    """What became of the requests of one stretch."""

    ends: Counter[str] = field(default_factory=Counter)
    took_s: list[float] = field(default_factory=list)
    """Of those that were taken."""

    def __str__(self) -> str:
        ends = ", ".join(f"{end} {count}" for end, count in self.ends.most_common())
        return f"{ends}; p50 {_quantile(self.took_s, 0.5):.2f} s, p99 {_quantile(self.took_s, 0.99):.2f} s"

    @property
    def is_refused(self) -> bool:
        return any(self.ends[end] for end in REFUSED)


class Senders:
    """Connections that send at a common pace, and note what came of it."""

    def __init__(self, server: ServerProcess) -> None:
        self.acknowledged: set[str] = set()
        self._server = server
        self._lock = threading.Lock()
        self._maker = RequestMaker(SPANS)
        self._next_s = 0.0
        self._interval_s = 0.0

    def send(self, spans_a_s: float, seconds: float) -> Stretch:
        """Send at this rate for so long, half over each protocol."""
        stretch = Stretch()
        self._next_s, self._interval_s = time.monotonic(), SPANS / spans_a_s
        until_s = self._next_s + seconds
        with ThreadPoolExecutor(2 * CONNECTIONS) as threads:
            work = [threads.submit(way, stretch, until_s) for way in CONNECTIONS * [self._over_http, self._over_grpc]]
        for one in work:
            one.result()
        return stretch

    def _body(self, until_s: float) -> bytes | None:
        """The next request, when its time has come."""
        with self._lock:
            at_s = self._next_s
            self._next_s += self._interval_s
            body = self._maker.make(time.time_ns()) if at_s < until_s else None
        time.sleep(max(min(at_s, until_s) - time.monotonic(), 0))
        return body

    def _over_http(self, stretch: Stretch, until_s: float) -> None:
        host, _, port = self._server.addresses["otlp_http"].removeprefix("http://").partition(":")
        connection = HTTPConnection(host, int(port), timeout=60)
        while body := self._body(until_s):
            began_s = time.monotonic()
            try:
                connection.request("POST", "/v1/traces", body, {"content-type": "application/x-protobuf"})
                with connection.getresponse() as answer:
                    answer.read()
                    end = str(answer.status)
            except (HTTPException, OSError) as error:
                connection.close()
                end = type(error).__name__
            self._note(stretch, end, body, time.monotonic() - began_s)
        connection.close()

    def _over_grpc(self, stretch: Stretch, until_s: float) -> None:
        with grpc.insecure_channel(self._server.addresses["otlp_grpc"]) as channel:
            export = channel.unary_unary(EXPORT)
            while body := self._body(until_s):
                began_s = time.monotonic()
                try:
                    export(body, timeout=60)
                    end = "OK"
                except grpc.RpcError as error:
                    end = error.code().name
                self._note(stretch, end, body, time.monotonic() - began_s)

    def _note(self, stretch: Stretch, end: str, body: bytes, took_s: float) -> None:
        ids = trace_ids(body) if end in TAKEN else set()
        with self._lock:
            stretch.ends[end] += 1
            self.acknowledged |= ids
            if ids:
                stretch.took_s.append(took_s)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=20_000, help="spans/s before and after, a tenth of the burst's")
    parser.add_argument("--seconds", type=float, default=60, help="how long the burst lasts")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return check(Path(folder), arguments.rate, arguments.seconds)


def check(folder: Path, rate: float, seconds: float, stretch_s: float = STRETCH_S, *flags: str) -> int:
    """Send, burst, send; returns how many expectations failed.

    Args:
        flags: further ones of `cpdd serve`.
    """
    notes = Notes()
    limits = ("--max-body-bytes", str(MAX_BODY_BYTES), "--max-inflight-bytes", str(MAX_INFLIGHT_BYTES))
    with server_process(folder, *limits, *flags) as server:
        senders = Senders(server)
        before = senders.send(rate, stretch_s)
        print(f"before: {before}", flush=True)
        notes.expect(not before.is_refused, "at the usual rate nobody is refused")
        burst = senders.send(TIMES * rate, seconds)
        print(f"burst:  {burst}", flush=True)
        notes.expect(burst.is_refused, "in the burst, who is too many is refused")
        notes.expect(set(burst.ends) <= TAKEN | REFUSED, "with 429 or UNAVAILABLE, and nothing else")
        notes.expect(bool(burst.took_s), "and others are taken meanwhile")
        notes.expect(_is_back(senders, rate, stretch_s), f"nobody is refused any more within {BACK_WITHIN_S:.0f} s")
        notes.expect(server.process.poll() is None, "the process lives")
        notes.expect(waited(lambda: is_analyzed(server)), "what was taken is analyzed")
        notes.expect(server.stop() == 0, "SIGTERM ends it with 0")
    found = found_in("chdb://", folder)
    return len(notes.problems) + tell(found, senders.acknowledged, differences(found, senders.acknowledged))


def is_analyzed(server: ServerProcess) -> bool:
    """Tell whether everything was read, and no trace is held open."""
    return not any(metric(server, name) for name in ("cpdd_analyzer_lag_seconds", "cpdd_analyzer_open_traces"))


def metric(server: ServerProcess, name: str) -> float:
    """Return a metric without labels."""
    address = server.addresses["metrics"].removeprefix("http://")
    connection = HTTPConnection(address, timeout=60)
    connection.request("GET", "/metrics")
    lines = [line.split() for line in connection.getresponse().read().decode().splitlines()]
    connection.close()
    return next(float(line[1]) for line in lines if line[0] == name)


def _is_back(senders: Senders, rate: float, stretch_s: float) -> bool:
    """Whether there is a stretch at the usual rate without refusals soon."""
    began_s = time.monotonic()
    while time.monotonic() < began_s + BACK_WITHIN_S:
        after = senders.send(rate, stretch_s)
        print(f"after:  {after}, {time.monotonic() - began_s:.0f} s after the burst", flush=True)
        if not after.is_refused:
            return True
    return False


def _quantile(seconds: list[float], share: float) -> float:
    ordered = sorted(seconds)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else float("nan")


if __name__ == "__main__":
    failed = main()
    print(f"{failed} expectations failed")
    sys.exit(1 if failed else 0)
