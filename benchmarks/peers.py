"""What do others make of the same spans from the same senders, one after the other on this machine?

    python -m benchmarks.peers --jaeger PATH        cpdd, then Jaeger v2 with its memory and its Badger store

Jaeger is a program of its own: `go get -tool github.com/jaegertracing/jaeger/cmd/jaeger@v1.76.0`, `go build`; it is
left out, with a word, where there is none. Senders and requests are those of `benchmarks.ingest`.

An answer does not mean the same everywhere. cpdd's says that the spans are on disk, synced, and it analyzes them
meanwhile. Jaeger's says that they wait in a queue in memory; what its store has taken by the end is in the table, too.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from benchmarks.ingest import WARM_UP_S, Cost, Load, run_senders
from tests.ports import free_port

STORES = {
    "memory": "memory: {{max_traces: 10000000}}",
    "badger": "badger: {{directories: {{keys: {folder}/keys, values: {folder}/values}}, ephemeral: false}}",
}
CONFIG = """
service:
  extensions: [jaeger_storage]
  pipelines:
    traces: {{receivers: [otlp], processors: [batch], exporters: [jaeger_storage_exporter]}}
  telemetry:
    logs: {{level: error}}
    metrics: {{readers: [{{pull: {{exporter: {{prometheus: {{host: 127.0.0.1, port: {metrics}}}}}}}}}]}}
extensions:
  jaeger_storage: {{backends: {{some: {{{store}}}}}}}
receivers:
  otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:{port}"}}}}}}
processors:
  batch:
exporters:
  jaeger_storage_exporter: {{trace_storage: some}}
"""
START_S = 30.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jaeger", default="", help="the program")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--senders", type=int, default=2)
    parser.add_argument("--in-flight", type=int, default=192)
    arguments = parser.parse_args()
    own = ["--seconds", str(arguments.seconds), "--in-flight", str(arguments.in_flight)]
    print("cpdd", flush=True)
    subprocess.run([sys.executable, "-m", "benchmarks.ingest", *own], check=True)
    if not arguments.jaeger:
        print("jaeger: left out, --jaeger PATH names none")
        return
    for store in STORES:
        _measure(arguments, store)


def _measure(arguments: argparse.Namespace, store: str) -> None:
    with tempfile.TemporaryDirectory() as folder, _jaeger(arguments.jaeger, store, folder) as (address, metrics, pid):
        before = Cost.of(pid)
        sent = run_senders(Load(arguments.seconds, senders=arguments.senders, in_flight=arguments.in_flight), address)
        after = Cost.of(pid)
        taken = _taken(metrics)
        disk = sum(512 * file.stat().st_blocks for file in Path(folder).rglob("*") if file.is_file())
    wall_s = arguments.seconds + WARM_UP_S
    print(f"\njaeger, {store} store")
    print(f"{'answered':26} {sent['spans'] / arguments.seconds:,.0f} spans/s over {arguments.seconds:.0f} s")
    print(f"{'answers':26} p50 {sent['p50_s'] * 1e3:.0f} ms, p99 {sent['p99_s'] * 1e3:.0f} ms")
    print(f"{'other ends':26} {sent['others']}")
    print(f"{'in its store by the end':26} {taken:,.0f} of {sent['all_spans']:,} answered")
    print(
        f"{'server':26} {(after.cpu_s - before.cpu_s) / wall_s:.2f} cores, peak RSS {after.peak_rss_bytes >> 20:,} MiB"
    )
    print(f"{'disk':26} {disk / max(taken, 1):.1f} B a span", flush=True)


@contextmanager
def _jaeger(program: str, store: str, folder: str) -> Iterator[tuple[str, str, int]]:
    """Run it until the context ends; yields the address for spans, that of its metrics, and its pid."""
    port, metrics = free_port(), free_port()
    config = Path(folder, "config.yaml")
    config.write_text(CONFIG.format(port=port, metrics=metrics, store=STORES[store].format(folder=folder)))
    process = subprocess.Popen([program, "--config", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{metrics}/metrics"
    try:
        deadline_s = time.monotonic() + START_S
        while True:
            with suppress(URLError, ConnectionError), urlopen(address, timeout=5):
                break
            if process.poll() is not None or time.monotonic() > deadline_s:
                sys.exit(f"{os.path.basename(program)} with its {store} store does not answer at {address}")
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}", address, process.pid
    finally:
        process.terminate()
        process.wait()


def _taken(address: str) -> float:
    """Spans that its exporter has handed to its store."""
    with urlopen(address, timeout=30) as answer:
        text = answer.read().decode()
    return sum(float(number) for number in re.findall(r"^otelcol_exporter_sent_spans\S* (\S+)$", text, re.MULTILINE))


if __name__ == "__main__":
    main()
