"""How long from a change of policy until every program samples by it?

    python benchmarks/sampling_push.py [--clients 100] [--changes 50]

Workload: a sampling port (its log in memory) and so many real clients, each with its sampler and its threads, in this
one process, which makes them compete for one core's interpreter: an upper bound. Timed from the sending of a boost
until `should_sample` of each client keeps.
"""

import argparse
import os
import platform
import statistics
import threading
import time

from cpdd.sampling.document import Document
from cpdd.sampling.keeper import Keeper
from cpdd.sampling.push import PushProvider
from cpdd.sampling.sampler import DynamicSampler
from tests.control.control_server import control_server


class TimedSampler(DynamicSampler):
    """Notes when policies were applied."""

    version = 0
    applied_s = 0.0
    came: threading.Condition | None = None

    def apply(self, document: Document) -> None:
        super().apply(document)
        self.applied_s = time.perf_counter()
        if self.came is not None:
            with self.came:
                self.version = document.version
                self.came.notify_all()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--changes", type=int, default=50)
    asked = parser.parse_args()
    came = threading.Condition()
    took_ms: list[float] = []
    with control_server() as server:
        samplers = [TimedSampler("shop", baseline=0.0) for _ in range(asked.clients)]
        providers = []
        for sampler in samplers:
            sampler.came = came
            providers.append(PushProvider(server.address, Keeper(sampler)))
            providers[-1].start()
        with came:
            assert came.wait_for(lambda: all(sampler.applied_s for sampler in samplers), 60)
        for change in range(1, asked.changes + 1):
            begun = time.perf_counter()
            server.boost(service="shop", id="same", percentage=change)
            with came:
                assert came.wait_for(lambda: all(s.version >= change for s in samplers), 60)  # noqa: B023
            took_ms += [1000 * (sampler.applied_s - begun) for sampler in samplers]
            time.sleep(0.25)
        for provider in providers:
            provider.stop()
    load = os.getloadavg()[0]
    print(f"{platform.machine()}, Python {platform.python_version()}, load {load:.1f} on {os.cpu_count()} cores")
    cut = statistics.quantiles(took_ms, n=100)
    print(f"{asked.clients} clients, {asked.changes} changes: p50 {cut[49]:.1f} ms, p99 {cut[98]:.1f} ms")


if __name__ == "__main__":
    main()
