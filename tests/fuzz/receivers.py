"""Throw mutated requests at a receiver, in this process, and hold each answer to its protocol.

    python -m tests.fuzz.receivers --target zipkin --seconds 600

A finding is a status that is no answer of the protocol (every 5xx), a body that is not what its content type says, an
exception, a request that takes more than MAX_CPU_S of processor time or has no answer, and memory that grows.
"""

import argparse
import asyncio
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.asking import Answer, OpenTarget, Request, ask
from tests.fuzz.control_target import control
from tests.fuzz.grpc_target import otlp_grpc
from tests.fuzz.query_target import query
from tests.fuzz.span_targets import span_targets

MAX_CPU_S = 5.0
"""Of one request: a hundred times what the slowest takes, so that other threads of the process may work beside."""
MAX_GROWTH_BYTES = 192 << 20
"""Of the process, after what is compiled and cached at first."""
WARM_UP = 100
_PAGE_BYTES = 4096


@dataclass
class Report:
    executions: int = 0
    answers: Counter[int] = field(default_factory=Counter)
    """By status; 0 where the sender went away first."""
    slowest_cpu_s: float = 0.0
    growth_bytes: int = 0
    """The most that the process had more than after the warm-up."""
    findings: list[tuple[str, Request]] = field(default_factory=list)


def targets() -> dict[str, OpenTarget]:
    return {**span_targets(), "otlp-grpc": otlp_grpc, "control": control, "query": query}


async def fuzz(open_target: OpenTarget, rng: random.Random, go_on: Callable[[int], bool]) -> Report:
    """Ask and judge as long as `go_on(executions)` says so."""
    report, at_first = Report(), 0
    async with open_target() as target:
        while go_on(report.executions):
            request = target.request(rng)
            started_s = time.process_time()
            try:
                answer = await ask(target.app, request)
                problem = target.problem(request, answer)
            except Exception as error:
                answer, problem = Answer(), f"{type(error).__name__}: {error}"
            cpu_s = time.process_time() - started_s
            report.executions += 1
            report.answers[answer.status] += 1
            if report.executions <= WARM_UP:
                at_first = resident_bytes()
            else:
                report.slowest_cpu_s = max(report.slowest_cpu_s, cpu_s)
                report.growth_bytes = max(report.growth_bytes, resident_bytes() - at_first)
                problem = problem or _cost(cpu_s, report.growth_bytes)
            if problem:
                report.findings.append((problem, request))
            if "Timeout" in problem or "memory" in problem:
                break
    return report


def _cost(cpu_s: float, growth_bytes: int) -> str:
    if cpu_s > MAX_CPU_S:
        return f"{cpu_s:.1f} s of processor time"
    if growth_bytes > MAX_GROWTH_BYTES:
        return f"memory has grown by {growth_bytes >> 20} MiB"
    return ""


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES


def main() -> int:
    opened = targets()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", choices=opened, required=True)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=None, help="of the random numbers; one is chosen and printed")
    options = parser.parse_args()
    seed = random.SystemRandom().getrandbits(32) if options.seed is None else options.seed

    started_s: list[float] = []

    def go_on(executions: int) -> bool:
        if not executions:
            started_s.append(time.monotonic())
        return time.monotonic() - started_s[0] < float(options.seconds)

    report = asyncio.run(fuzz(opened[options.target], random.Random(seed), go_on))

    print(f"{options.target}: {report.executions} executions in {options.seconds:.0f} s, seed {seed}")
    print(", ".join(f"{status or 'gone'}: {count}" for status, count in report.answers.most_common()))
    print(f"slowest {report.slowest_cpu_s:.2f} s of processor time, memory grew by {report.growth_bytes >> 20} MiB")
    print(f"{len(report.findings)} findings")
    for problem, request in report.findings[:10]:
        print(f"- {problem}\n  {str(request)[:4_000]}")
    return 1 if report.findings else 0


if __name__ == "__main__":
    sys.exit(main())
