"""What do others make of the same spans from the same senders, one after the other on this machine?

    python -m benchmarks.peers --jaeger PATH --otelcol PATH --phoenix PYTHON

cpdd first; then Jaeger v2 with its memory and its Badger store, the OpenTelemetry Collector that forgets what it gets
and one that writes it into a file, and Arize Phoenix on its SQLite. Senders and requests are those of
`benchmarks.ingest`. A peer whose flag is missing is left out, with a word. How to get them:

    Jaeger      go get -tool github.com/jaegertracing/jaeger/cmd/jaeger@v1.76.0, go build
    Collector   benchmarks/otelcol.yaml says how it is built
    Phoenix     python -m venv phoenix; phoenix/bin/pip install arize-phoenix; PYTHON is phoenix/bin/python

An answer does not mean the same everywhere, and only cpdd and Phoenix have something to look at in the end.

    cpdd                spans are on disk, synced; it analyzes them meanwhile
    Jaeger              spans wait in a queue in memory
    Collector, nop      spans were decoded, and are forgotten: what receiving alone costs
    Collector, file     spans are in a buffer that goes into a file once a second, unsynced; no index, no query
    Phoenix             spans wait in a queue in memory, of 20,000; above it is answered 503

What each store has taken by the end of the senders is in the table, too.
"""

import argparse
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from benchmarks.ingest import WARM_UP_S, Cost, Load, run_senders
from tests.ports import free_port

TELEMETRY = """
  telemetry:
    logs: {{level: error}}
    metrics: {{readers: [{{pull: {{exporter: {{prometheus: {{host: 127.0.0.1, port: {metrics}}}}}}}}}]}}
receivers:
  otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:{port}"}}}}}}
"""
JAEGER = """
service:
  extensions: [jaeger_storage]
  pipelines:
    traces: {{receivers: [otlp], processors: [batch], exporters: [jaeger_storage_exporter]}}
{telemetry}
processors: {{batch: }}
extensions:
  jaeger_storage: {{backends: {{some: {{{store}}}}}}}
exporters:
  jaeger_storage_exporter: {{trace_storage: some}}
"""
MEMORY = "memory: {{max_traces: 10000000}}"
BADGER = "badger: {{directories: {{keys: {folder}/keys, values: {folder}/values}}, ephemeral: false}}"
OTELCOL_NOP = """
service:
  pipelines:
    traces: {{receivers: [otlp], processors: [batch], exporters: [nop]}}
{telemetry}
processors: {{batch: }}
exporters: {{nop: }}
"""
OTELCOL_FILE = """
service:
  pipelines:
    traces: {{receivers: [otlp], exporters: [file]}}
{telemetry}
exporters:
  file: {{path: {folder}/spans, format: proto}}
"""
PHOENIX_IN_FLIGHT = 8
"""With more, nearly all of its answers are 503."""
START_S = 120.0


@dataclass(frozen=True)
class Peer:
    """A program that takes OTLP/HTTP."""

    name: str
    command: Callable[[str, int, int], list[str]]
    """Of its folder, its port for spans, and that of its metrics."""
    taken: Callable[[str, int], float] | None
    """Spans that its store has, of its folder and the port of its metrics; None: it keeps none."""
    up: Callable[[int, int], str]
    """Address that answers when it is up, of its two ports."""
    environ: Callable[[str, int, int], Mapping[str, str]] = field(default=lambda folder, port, metrics: {})
    most_in_flight: int = sys.maxsize


def main() -> None:
    arguments = _arguments()
    own = ["--seconds", str(arguments.seconds), "--in-flight", str(arguments.in_flight)]
    print("cpdd", flush=True)
    subprocess.run([sys.executable, "-m", "benchmarks.ingest", *own, "--senders", str(arguments.senders)], check=True)
    for flag, peers in (("jaeger", _jaegers), ("otelcol", _collectors), ("phoenix", _phoenixes)):
        program = getattr(arguments, flag)
        if not program:
            print(f"\n{flag}: left out, --{flag} names none")
            continue
        for peer in peers(program):
            _measure(arguments, peer)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jaeger", default="", metavar="PATH", help="the program")
    parser.add_argument("--otelcol", default="", metavar="PATH", help="the program")
    parser.add_argument("--phoenix", default="", metavar="PYTHON", help="an interpreter that has arize-phoenix")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--senders", type=int, default=2)
    parser.add_argument("--in-flight", type=int, default=192)
    return parser.parse_args()


def _jaegers(program: str) -> Iterator[Peer]:
    for name, store in (("memory", MEMORY), ("badger", BADGER)):
        yield _of_collectors_kind(f"jaeger, {name} store", program, JAEGER, store)


def _collectors(program: str) -> Iterator[Peer]:
    yield replace(_of_collectors_kind("otelcol, nop exporter", program, OTELCOL_NOP), taken=None)
    yield _of_collectors_kind("otelcol, file exporter", program, OTELCOL_FILE)


def _of_collectors_kind(name: str, program: str, config: str, store: str = "") -> Peer:
    """A program made of the Collector's parts: configured by YAML, telling in its metrics what went out."""

    def command(folder: str, port: int, metrics: int) -> list[str]:
        parts = {"folder": folder, "port": port, "metrics": metrics}
        file = Path(folder, "config.yaml")
        text = config.format(telemetry=TELEMETRY.format(**parts), store=store.format(**parts), **parts)
        file.write_text(text)
        return [program, "--config", str(file)]

    return Peer(name, command, _sent_by_exporter, up=lambda port, metrics: f"http://127.0.0.1:{metrics}/metrics")


def _phoenixes(python: str) -> Iterator[Peer]:
    def environ(folder: str, port: int, metrics: int) -> Mapping[str, str]:
        return {
            "PHOENIX_PORT": str(port),
            "PHOENIX_GRPC_PORT": str(metrics),  # has to be one that is free
            "PHOENIX_HOST": "127.0.0.1",
            "PHOENIX_WORKING_DIR": folder,
            "PHOENIX_TELEMETRY_ENABLED": "false",
            "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false",
        }

    yield Peer(
        "phoenix, sqlite",
        lambda folder, port, metrics: [str(Path(python).with_name("phoenix")), "serve"],
        _rows_of_phoenix,
        up=lambda port, metrics: f"http://127.0.0.1:{port}/healthz",
        environ=environ,
        most_in_flight=PHOENIX_IN_FLIGHT,
    )


def _measure(arguments: argparse.Namespace, peer: Peer) -> None:
    in_flight = min(arguments.in_flight, peer.most_in_flight)
    port, metrics = free_port(), free_port()
    with tempfile.TemporaryDirectory() as folder, _running(peer, folder, port, metrics) as pid:
        before = Cost.of(pid)
        load = Load(arguments.seconds, senders=arguments.senders, in_flight=in_flight)
        sent = run_senders(load, f"http://127.0.0.1:{port}")
        after = Cost.of(pid)
        taken = peer.taken(folder, metrics) if peer.taken else None
        disk = sum(512 * file.stat().st_blocks for file in Path(folder).rglob("*") if file.is_file())
    cpu_s, kept = after.cpu_s - before.cpu_s, "none" if taken is None else f"{taken:,.0f}"
    rows = (
        ("answered", f"{sent['spans'] / arguments.seconds:,.0f} spans/s over {arguments.seconds:.0f} s"),
        ("in flight", f"{in_flight} requests"),
        ("answers", f"p50 {sent['p50_s'] * 1e3:.0f} ms, p99 {sent['p99_s'] * 1e3:.0f} ms"),
        ("other ends", str(sent["others"])),
        ("in its store by the end", f"{kept} of {sent['all_spans']:,} answered"),
        ("server", f"{cpu_s / (arguments.seconds + WARM_UP_S):.2f} cores, peak RSS {after.peak_rss_bytes >> 20:,} MiB"),
        ("CPU a span", f"server {cpu_s * 1e6 / max(sent['all_spans'], 1):.2f} us"),
        ("disk", f"{disk / taken:.1f} B a span" if taken else "–"),
        ("load of the machine", f"{os.getloadavg()[0]:.1f}"),
    )
    print(f"\n{peer.name}", *(f"{name:26} {text}" for name, text in rows), sep="\n", flush=True)


@contextmanager
def _running(peer: Peer, folder: str, port: int, metrics: int) -> Iterator[int]:
    """Run it until the context ends; yields its pid."""
    command = peer.command(folder, port, metrics)
    environ = {**os.environ, **peer.environ(folder, port, metrics)}
    address = peer.up(port, metrics)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environ)
    try:
        deadline_s = time.monotonic() + START_S
        while True:
            with suppress(URLError, ConnectionError), urlopen(address, timeout=5):
                break
            if process.poll() is not None or time.monotonic() > deadline_s:
                sys.exit(f"{peer.name}: {command[0]} does not answer at {address}")
            time.sleep(0.2)
        yield process.pid
    finally:
        process.kill()  # some write for long what waits in their queues
        process.wait()


def _sent_by_exporter(folder: str, metrics: int) -> float:
    """Spans that an exporter has handed over."""
    with urlopen(f"http://127.0.0.1:{metrics}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    return sum(float(number) for number in re.findall(r"^otelcol_exporter_sent_spans\S* (\S+)$", text, re.MULTILINE))


def _rows_of_phoenix(folder: str, metrics: int) -> float:
    with closing(sqlite3.connect(f"file:{folder}/phoenix.db?mode=ro", uri=True)) as store:
        return float(store.execute("SELECT count(*) FROM spans").fetchone()[0])


if __name__ == "__main__":
    main()
