"""How long from a change of policy until every program samples by it?

    python -m benchmarks.sampling_push [--clients 100] [--changes 50]
    python -m benchmarks.sampling_push --spans-per-s 100000        beside a collector at half of what it can take in

Workload: a real `cpdd serve` with an empty data folder, in a process of its own, and real clients, each with its
sampler and its threads, in `--processes` processes: not in one, whose interpreter lock they would queue for. Timed by
the one monotonic clock of the machine, from the sending of a boost until the sampler of each client keeps by it; the
change is durable in the store when it is answered. CPU seconds of the server are those of the changes alone where
nothing is ingested.
"""

import argparse
import json
import multiprocessing
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.ingest import Cost
from benchmarks.traffic import ingesting
from cpdd.sampling.document import Document
from cpdd.sampling.http import Server
from cpdd.sampling.keeper import Keeper
from cpdd.sampling.push import PushProvider
from cpdd.sampling.sampler import DynamicSampler
from tests.serving import ServerProcess, server_process

PATIENCE_S = 60.0
LOOK_EVERY_S = 0.1
PAUSE_S = 0.3
"""Between changes, so that the last one is over; the rate that a server takes is 5 a second."""


class TimedSampler(DynamicSampler):
    """Notes when each version was in force; costs its process nothing beside."""

    version = -1
    applied_s = 0.0

    def apply(self, document: Document) -> None:
        super().apply(document)
        self.applied_s = time.perf_counter()
        self.version = document.version


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--changes", type=int, default=50)
    parser.add_argument("--spans-per-s", type=float, default=0.0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, server_process(Path(folder)) as server:
        with clients(server, asked.clients, asked.processes) as told, ingesting(server, asked.spans_per_s) as reached:
            before = Cost.of(server.process.pid)
            took_ms = [each for _ in range(asked.changes) for each in change(server, told)]
            cpu_ms = 1000 * (Cost.of(server.process.pid).cpu_s - before.cpu_s) / asked.changes
        server.stop()
    for rate in reached:
        print(f"meanwhile {rate:,.0f} spans/s came in")
    load = os.getloadavg()[0]
    print(f"{platform.machine()}, Python {platform.python_version()}, load {load:.1f} on {os.cpu_count()} cores")
    cut = statistics.quantiles(took_ms, n=100)
    print(
        f"{asked.clients} clients, {asked.changes} changes, {asked.spans_per_s:,.0f} spans/s asked for: "
        f"p50 {cut[49]:.1f} ms, p99 {cut[98]:.1f} ms, least {min(took_ms):.1f} ms; server {cpu_ms:.1f} ms CPU a change"
    )


def change(server: ServerProcess, told: list[Connection]) -> list[float]:
    """Change the policies once; returns how long it took until each client went by it, in ms."""
    control = Server(server.addresses["sampling_http"], 10.0)
    begun_s = time.perf_counter()
    answer = json.loads(control.post("/v1/boosts", {"service": "shop", "id": "same"}).read())
    control.close()
    for pipe in told:
        pipe.send(answer["version"])
    took_ms = [1000 * (applied_s - begun_s) for pipe in told for applied_s in pipe.recv()]
    time.sleep(PAUSE_S)
    return took_ms


@contextmanager
def clients(server: ServerProcess, count: int, processes: int) -> Iterator[list[Connection]]:
    """So many clients, all of which have their first policies; a pipe to each process."""
    context = multiprocessing.get_context("spawn")
    pipes, running = [], []
    for number in range(processes):
        ours, theirs = context.Pipe()
        share = count // processes + (number < count % processes)
        running.append(context.Process(target=_follow, args=(theirs, server.addresses["sampling_http"], share)))
        running[-1].start()
        pipes.append(ours)
    for pipe in pipes:
        pipe.recv()
    try:
        yield pipes
    finally:
        for pipe in pipes:
            pipe.send(None)
        for process in running:
            process.join()


def _follow(pipe: Connection, address: str, count: int) -> None:
    """Be so many clients: for each version that is asked for, say when each client went by it."""
    samplers = [TimedSampler("shop", baseline=0.0) for _ in range(count)]
    providers = [PushProvider(address, Keeper(sampler)) for sampler in samplers]
    for provider in providers:
        provider.start()
    _await(samplers, 0)
    pipe.send(count)
    while (version := pipe.recv()) is not None:
        _await(samplers, version)
        pipe.send([sampler.applied_s for sampler in samplers])
    for provider in providers:
        provider.stop()


def _await(samplers: list[TimedSampler], version: int) -> None:
    """Wait until all go by this version or a later one; by looking seldom, which no client has to wait for."""
    give_up_s = time.perf_counter() + PATIENCE_S
    while any(sampler.version < version for sampler in samplers):
        assert time.perf_counter() < give_up_s, "a client was not told in time"
        time.sleep(LOOK_EVERY_S)


if __name__ == "__main__":
    main()
