"""How many spans a second become durable, end to end, and how long do senders wait for their answers?

    python -m benchmarks.ingest                        as fast as answers come
    python -m benchmarks.ingest --rate 100000          at half of what we aim at: how long do answers take?
    python -m benchmarks.ingest --analysis off         receiving and storing alone
    python -m benchmarks.ingest --preset mixed         traces of all sizes, with defects, after published measurements

Real OTLP/HTTP over loopback, from processes of their own, into a `cpdd serve` of its own with an empty data folder.
Every request holds 512 spans of ten attributes, or whole traces of a preset of `tests.workload`, about so many spans;
it counts when it was answered with 200 and nothing rejected. After the run the server is stopped and its store counted
by SQL: what was acknowledged must be there, once.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

from benchmarks.traffic import maker
from tests.sender import Plan, send
from tests.workload import MIXES, Workload

SPANS_PER_REQUEST = 512
POOL_SPANS = 50_000
"""Of a preset: its requests repeat the shapes of so many."""
WARM_UP_S = 3.0
"""Before the clock starts: connections, first commits, first parts."""

_PORTS = (
    *("otlp-http", "otlp-grpc", "zipkin", "ui", "health", "metrics"),
    *("sampling-http", "sampling-grpc", "sampling-grpc-legacy"),
)


@dataclass(frozen=True)
class Cost:
    """What a process has used so far."""

    cpu_s: float
    peak_rss_bytes: int

    @classmethod
    def of(cls, pid: int) -> "Cost":
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        cpu_s = (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")
        return cls(cpu_s, int(status["VmHWM"].split()[0]) * 1024)


@dataclass(frozen=True, slots=True)
class Load:
    """What senders are to send."""

    seconds: float
    """Beside WARM_UP_S."""
    rate: float = 0.0
    """Spans/s over all senders; 0: as fast as answers come."""
    senders: int = 2
    in_flight: int = 192
    """Requests that wait for their answer, over all senders."""
    preset: str = ""

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> "Load":
        return cls(**{field.name: getattr(arguments, field.name) for field in fields(cls)})


def main() -> None:
    arguments = _arguments()
    match arguments.role:
        case "sender":
            _be_sender(arguments)
        case "server":
            _be_server_without_analysis(arguments)
        case _:
            _measure(arguments)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--senders", type=int, default=2, help="processes that send")
    parser.add_argument(
        "--in-flight", type=int, default=192, help="requests that wait for their answer, over all senders"
    )
    parser.add_argument("--rate", type=float, default=0.0, help="spans/s over all senders; 0: as fast as answers come")
    parser.add_argument("--preset", choices=("", *MIXES), default="", help="traces like those of a fleet")
    parser.add_argument("--analysis", choices=("on", "off"), default="on")
    parser.add_argument("--data", default="", help="folder for the data; a temporary one when empty")
    parser.add_argument("--role", default="", help=argparse.SUPPRESS)
    parser.add_argument("--address", default="", help=argparse.SUPPRESS)
    return parser.parse_args()


def _measure(arguments: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(dir=arguments.data or None) as folder:
        with _server(arguments, folder) as (addresses, process):
            before = Cost.of(process.pid)
            sent = run_senders(Load.of(arguments), addresses["otlp_http"])
            after = Cost.of(process.pid)
            metrics = _metrics(addresses["metrics"])
        stored = _count(folder)
    _print(arguments, sent, before, after, metrics, stored)
    missing = sent["all_spans"] - stored["distinct"]
    if missing > 0:
        sys.exit(f"{missing} acknowledged spans are not in the store")


@contextmanager
def _server(arguments: argparse.Namespace, folder: str) -> Iterator[tuple[dict[str, str], "subprocess.Popen[str]"]]:
    """A server of our own; it is told to stop, and must do so with 0, when the context ends."""
    if arguments.analysis == "on":
        flags = [part for port in _PORTS for part in (f"--{port}-port", "0")]
        command = [str(Path(sys.executable).with_name("cpdd")), "serve", "--json", "--data", folder, *flags]
    else:
        command = [sys.executable, __file__, "--role", "server", "--data", folder]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline()), process
    finally:
        process.terminate()
        if code := process.wait():
            sys.exit(f"the server ended with {code}")


def _be_server_without_analysis(arguments: argparse.Namespace) -> None:
    """`cpdd serve` without analyzer and pages, until SIGTERM."""
    from collector.serve import Collector  # noqa: PLC0415 - this process alone loads the engine
    from cpdd.settings import Settings  # noqa: PLC0415

    settings = Settings(
        data=arguments.data,
        otlp_http_port=0,
        metrics_port=0,
        otlp_grpc_port=None,
        zipkin_port=None,
        health_port=None,
        sampling_http_port=None,
        sampling_grpc_port=None,
        sampling_grpc_legacy_port=None,
    )
    told_to_stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: told_to_stop.set())
    serving = Collector(settings, make_analyzer=None)
    serving.start()
    print(json.dumps(serving.addresses), flush=True)
    told_to_stop.wait()
    serving.stop()


def run_senders(load: Load, address: str) -> dict[str, float]:
    """Let every sender run; add up what they say."""
    command = [sys.executable, __file__, "--role", "sender", "--address", address]
    command += ["--seconds", str(load.seconds)]
    command += ["--in-flight", str(load.in_flight // load.senders)]
    command += ["--rate", str(load.rate / load.senders), "--preset", load.preset]
    senders = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(load.senders)]
    with ThreadPoolExecutor(len(senders)) as readers:  # side by side: a full pipe takes no more, and loses what follows
        reports = [json.loads(out) for out, _ in readers.map(subprocess.Popen.communicate, senders)]
    seconds = sorted(second for report in reports for second in report["seconds"])
    others: dict[str, int] = {}
    for report in reports:
        for end, count in report["others"].items():
            others[end] = others.get(end, 0) + count
    return {
        "all_spans": sum(report["all_spans"] for report in reports),
        "spans": sum(report["spans"] for report in reports),
        "requests": len(seconds),
        "p50_s": _quantile(seconds, 0.5),
        "p99_s": _quantile(seconds, 0.99),
        "max_s": seconds[-1] if seconds else float("nan"),
        "cpu_s": sum(report["cpu_s"] for report in reports),
        "others": others,  # type: ignore[dict-item]
    }


def _be_sender(arguments: argparse.Namespace) -> None:
    parts = urlsplit(arguments.address)
    workload = Workload(arguments.preset, SPANS_PER_REQUEST, POOL_SPANS) if arguments.preset else None
    begin = time.monotonic() + WARM_UP_S
    end = begin + arguments.seconds
    plan = Plan(
        host=parts.hostname or "",
        port=parts.port or 0,
        connections=arguments.in_flight,
        spans_per_request=round(workload.spans_a_request) if workload else SPANS_PER_REQUEST,
        make=maker(workload) if workload else None,
        spans_per_s=arguments.rate,
        until=lambda: time.monotonic() >= end,
    )
    sent = send(plan)
    counted = [answer for answer in sent.answers if begin <= answer.at_s < end]
    seconds = [answer.took_s for answer in counted]
    spans = sum(answer.spans for answer in counted)
    report = {
        "all_spans": sent.spans,
        "spans": spans,
        "seconds": [round(second, 5) for second in seconds],
        "others": sent.others,
        "cpu_s": time.process_time(),
    }
    # Not by print: where PYTHONUNBUFFERED is set, it loses what a pipe does not take at once.
    with open(sys.stdout.fileno(), "wb", closefd=False) as out:
        out.write(json.dumps(report).encode())


def _metrics(address: str) -> dict[str, float]:
    """Samples without labels."""
    with urlopen(f"{address}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    return {line.split()[0]: float(line.split()[1]) for line in lines if not line.startswith("#") and "{" not in line}


def _count(folder: str) -> dict[str, int]:
    """What lies in the store now that nobody else has it open."""
    from collector.store.engine import open_store  # noqa: PLC0415 - loads the engine

    with open_store("chdb://", Path(folder)) as store, store.client() as client:
        spans, distinct, traces = client.query(
            "SELECT count(), uniqExact(SpanId), uniqExact(TraceId) FROM otel_traces"
        ).result_rows[0]
        analyzed = client.query("SELECT count() FROM traces FINAL").result_rows[0][0]
        disk = client.query(
            "SELECT table, sum(bytes_on_disk) FROM system.parts WHERE active AND database = 'cpdd' GROUP BY table"
        ).result_rows
    sizes = {f"disk_{table}": int(size) for table, size in disk}
    return {"spans": spans, "distinct": distinct, "traces": traces, "analyzed": analyzed, **sizes}


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else float("nan")


def _requests(arguments: argparse.Namespace, sent: dict[str, float]) -> str:
    if arguments.preset:
        return (
            f"traces like those of {arguments.preset}, {sent['spans'] / max(sent['requests'], 1):,.0f} spans a request"
        )
    return f"{SPANS_PER_REQUEST} spans a request, 10 attributes"


def _print(
    arguments: argparse.Namespace,
    sent: dict[str, float],
    before: Cost,
    after: Cost,
    metrics: dict[str, float],
    stored: dict[str, int],
) -> None:
    wall_s = arguments.seconds + WARM_UP_S
    rate = f"{arguments.rate:,.0f} spans/s" if arguments.rate else "as fast as answers come"
    us = 1e6 / max(sent["all_spans"], 1)
    disk = sum(size for name, size in stored.items() if name.startswith("disk_"))
    rows = [
        (
            "workload",
            f"{_requests(arguments, sent)}, {arguments.in_flight} in flight of {arguments.senders} senders, {rate}",
        ),
        ("machine", f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}"),
        ("analysis", arguments.analysis),
        ("durable", f"{sent['spans'] / arguments.seconds:,.0f} spans/s over {arguments.seconds:.0f} s"),
        (
            "answers",
            f"p50 {sent['p50_s'] * 1e3:.0f} ms, p99 {sent['p99_s'] * 1e3:.0f} ms, max {sent['max_s'] * 1e3:.0f} ms",
        ),
        ("other ends", json.dumps(sent["others"])),
        ("stored", f"{stored['spans']:,} rows, {stored['distinct']:,} spans, {sent['all_spans']:,} acknowledged"),
        ("analyzed", f"{stored['analyzed']:,} of {stored['traces']:,} traces when the server had stopped"),
        (
            "server",
            f"{(after.cpu_s - before.cpu_s) / wall_s:.2f} cores, peak RSS {after.peak_rss_bytes / 2**20:,.0f} MiB",
        ),
        ("senders", f"{sent['cpu_s'] / wall_s:.2f} cores"),
        ("CPU a span", f"server {(after.cpu_s - before.cpu_s) * us:.2f} us, senders {sent['cpu_s'] * us:.2f} us"),
        (
            "disk",
            f"{stored['disk_otel_traces'] / stored['spans']:.1f} B a span, all tables {disk / stored['spans']:.1f} B",
        ),
    ]
    for name in ("cpdd_commits_total", "cpdd_analyzer_lag_seconds"):
        if name in metrics:
            rows.append((name, f"{metrics[name]:,.1f}"))
    for name, text in rows:
        print(f"{name:26} {text}")


if __name__ == "__main__":
    main()
