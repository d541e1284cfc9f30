"""A real `cpdd serve` for tests: in a process of its own, or in this one with its reader at hand."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Flask

from collector.core.journeys import JourneyBook
from collector.serve import Collector
from collector.store.reader import Reader
from cpdd.settings import Settings

CPDD = str(Path(sys.executable).with_name("cpdd"))
PORTS = (
    *("otlp-http", "otlp-grpc", "zipkin", "ui", "health", "metrics"),
    *("sampling-http", "sampling-grpc", "sampling-grpc-legacy"),
)
FREE_PORTS = [part for port in PORTS for part in (f"--{port}-port", "0")]


@dataclass(frozen=True)
class ServerProcess:
    """`cpdd serve`, ready."""

    addresses: dict[str, Any]
    process: "subprocess.Popen[str]"

    @property
    def otlp_http_port(self) -> int:
        return int(self.addresses["otlp_http"].rpartition(":")[2])

    def peak_rss_bytes(self) -> int:
        """Return the most memory the process ever had."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))

    def forget_peak_rss(self) -> None:
        """Let the peak begin again at what the process has now."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def stop(self) -> int:
        """Send SIGTERM and return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@contextmanager
def server_process(folder: Path, *flags: str) -> Iterator[ServerProcess]:
    """Run `cpdd serve --json` on free ports while the context lasts."""
    process = subprocess.Popen(
        [CPDD, "serve", "--json", "--data", str(folder), *FREE_PORTS, *flags],
        stdout=subprocess.PIPE,
        text=True,
        env={name: value for name, value in os.environ.items() if not name.startswith("CPDD_")},
        # A shell that runs tests in the background lets them ignore SIGINT, which children inherit.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, f"cpdd serve ended with {process.wait()} before it was ready"
        yield ServerProcess(json.loads(line), process)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@dataclass(frozen=True)
class ServerHere:
    """A collector in this process, ready."""

    collector: Collector
    reader: Reader

    @property
    def addresses(self) -> dict[str, str]:
        return self.collector.addresses

    @property
    def otlp_http_port(self) -> int:
        return int(self.addresses["otlp_http"].rpartition(":")[2])


@contextmanager
def server_here(folder: Path, book: JourneyBook = JourneyBook(), **settings: Any) -> Iterator[ServerHere]:
    """Run a collector on free ports in this process while the context lasts."""
    ports = {f"{port.replace('-', '_')}_port": 0 for port in PORTS}
    readers: list[Reader] = []

    def keep_reader(reader: Reader) -> Flask:
        readers.append(reader)
        return Flask("nothing")

    collector = Collector(Settings(data=str(folder), **{**ports, **settings}), make_web=keep_reader, book=book)
    collector.start()
    try:
        yield ServerHere(collector, readers[0])
    finally:
        collector.stop()
