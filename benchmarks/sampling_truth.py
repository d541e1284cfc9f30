"""Does sampling keep what it says it keeps?

    python -m benchmarks.sampling_truth [--seeds 100] [--traces 2000000] [--processes 2]

Workload: simulations whose truth is known, those of `tests/cpdd/sampling/truth.py` and of
`tests/core/sampling/simulated_fleet.py`, which the tests judge on fewer traces; and one real server that is killed
under live boosts. Nothing here depends on how fast the machine is, but for the last.
"""

import argparse
import json
import math
import multiprocessing
import os
import platform
import signal
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path

from cpdd.sampling.http import Server
from cpdd.sampling.keeper import Keeper
from cpdd.sampling.push import PushProvider
from cpdd.sampling.sampler import DynamicSampler
from tests.core.sampling.simulated_fleet import BUDGET, simulate
from tests.cpdd.sampling.truth import kept_of, relative_error_of_counts, swaps_without_a_torn_decision, whole_of
from tests.serving import server_process

BUDGET_PER_S = 20.0
WINDOW_S = 3
SIGMAS = 4.0
"""Of a Poisson count: what is outside is off the budget. Shares that are not worth telling stay, up to 5 % off."""
PATIENCE_S = 60.0
LASTS_S = 30.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--traces", type=int, default=2_000_000)
    parser.add_argument("--processes", type=int, default=2)
    asked = parser.parse_args()
    print(f"{platform.machine()}, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}")
    tell_rates(asked.traces // 2)
    tell_whole_traces(asked.traces // 2)
    tell_torn(5 * asked.traces)
    tell_budgets()
    tell_ends()
    tell_bias(asked.seeds, asked.traces, asked.processes)


def tell_rates(number: int) -> None:
    for probability in (1.0, 0.1, 0.01, 0.001):
        kept = kept_of(probability, number)
        sigma = math.sqrt(number * probability * (1 - probability)) or 1.0
        off = (kept - number * probability) / sigma
        print(f"rate {probability:g}: {kept:,} of {number:,} kept, {off:+.1f} sigma", flush=True)


def tell_whole_traces(number: int) -> None:
    whole = whole_of((0.25, 0.5, 0.1), number)
    off = (whole - 0.1 * number) / math.sqrt(number * 0.1 * 0.9)
    print(f"25 %, 50 % and 10 %, consistent: {100 * whole / number:.2f} % of {number:,} whole, {off:+.1f} sigma")


def tell_torn(decisions: int, swaps: int = 1_000) -> None:
    torn = swaps_without_a_torn_decision(decisions, swaps)
    print(f"torn: {torn} of {decisions:,} decisions in 2 threads over {swaps:,} changes or more", flush=True)


def tell_budgets(seeds: int = 5) -> None:
    """A budget of 20 traces/s in 3 instances that report once a second, after a step of its traffic."""
    for words, before, after in (("x10", 100.0, 1_000.0), ("x100", 100.0, 10_000.0), ("/10", 1_000.0, 100.0)):
        traffic = [{"GET /": before}] * 20 + [{"GET /": after}] * 60
        runs = [simulate(BUDGET, traffic, seed=seed).kept[20:] for seed in range(1, seeds + 1)]
        used = [sum(run) / (60 * BUDGET_PER_S) for run in runs]
        settled = [settled_s(run) for run in runs]
        print(
            f"budget, traffic {words}: {statistics.median(used):.2f} ({min(used):.2f}..{max(used):.2f}) times the "
            f"budget over 60 s; on it after {statistics.median(settled):g} s (worst of {seeds} seeds {max(settled)} s)",
            flush=True,
        )


def settled_s(kept: list[int]) -> int:
    """Return after how many seconds no three together are off the budget by more than chance."""
    within = SIGMAS * math.sqrt(WINDOW_S * BUDGET_PER_S)
    sums = [sum(kept[second : second + WINDOW_S]) for second in range(len(kept) - WINDOW_S + 1)]
    return max(
        (second + 1 for second, found in enumerate(sums) if abs(found - WINDOW_S * BUDGET_PER_S) > within), default=0
    )


def tell_ends(boosts: int = 40) -> None:
    """Boosts whose server is killed: how long after its end was a trace still kept by one?"""
    sampler = DynamicSampler("shop", baseline=0.0)
    with tempfile.TemporaryDirectory() as folder, server_process(Path(folder)) as server:
        provider = PushProvider(server.addresses["sampling_http"], Keeper(sampler))
        provider.start()
        control = Server(server.addresses["sampling_http"], PATIENCE_S)
        ends_s: dict[str, float] = {}
        for number in range(boosts):
            boost = {"service": "shop", "operation": f"GET /{number}", "duration_s": LASTS_S + number / 10}
            answer = json.loads(control.post("/v1/boosts", boost).read())
            ends_s[boost["operation"]] = answer["expires_unix_ms"] / 1000  # type: ignore[index]
        control.close()
        give_up_s = time.monotonic() + PATIENCE_S
        while not all(_keeps(sampler, operation) for operation in ends_s):
            assert time.monotonic() < give_up_s, "not every boost came in time"
            time.sleep(0.01)
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
        assert time.time() < min(ends_s.values()), "the machine is too busy: a boost ended before the server"
        kept_s: dict[str, float] = {}
        while time.time() < max(ends_s.values()) + 1:
            for operation in ends_s:
                now_s = time.time()
                if _keeps(sampler, operation):
                    kept_s[operation] = now_s
        provider.stop()
    late_ms = [1000 * (kept_s[operation] - end_s) for operation, end_s in ends_s.items()]
    print(
        f"end of a boost, server killed: the last trace by it {statistics.median(late_ms):+.1f} ms from its end "
        f"({min(late_ms):+.1f}..{max(late_ms):+.1f} of {boosts} boosts)",
        flush=True,
    )


def _keeps(sampler: DynamicSampler, operation: str) -> bool:
    return sampler.should_sample(None, 1, operation).decision.is_sampled()


def tell_bias(seeds: int, traces: int, processes: int) -> None:
    """Counts of kept traces, while rates change, boosts run out and budgets slow down, against the truth."""
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        errors = pool.map(partial(relative_error_of_counts, number=traces), range(seeds), chunksize=1)
    mean = statistics.mean(errors)
    error = statistics.stdev(errors) / math.sqrt(seeds)
    print(f"bias of counts over {seeds} seeds of {traces:,}: {100 * mean:+.4f} %, {mean / error:+.1f} standard errors")


if __name__ == "__main__":
    main()
