"""A fleet under a budget, simulated: real samplers, the real controller, time moved by hand, traffic that is known."""

import random
from dataclasses import dataclass

from collector.core.sampling.fleet import Fleet, Rate, Report
from collector.core.sampling.policies import Book, Shares, document_for
from cpdd.sampling.document import parse_policy
from cpdd.sampling.sampler import DynamicSampler
from cpdd.testing import FakeClock
from tests.cpdd.sampling.policies import policy

STEPS_PER_S = 20


@dataclass
class Simulation:
    """A fleet under one policy: traces kept in each second."""

    kept: list[int]
    by_operation: dict[str, int]


def simulate(said: dict[str, object], traffic: list[dict[str, float]], instances: int = 3, seed: int = 1) -> Simulation:
    """Run a second for each item of `traffic` (decisions per second by operation, the fleet's in all)."""
    draw = random.Random(seed)
    clock, fleet = FakeClock(), Fleet()
    of = parse_policy(said)
    book = Book().put([of], 0)
    told: dict[str, Shares] = {}
    samplers = [DynamicSampler("shop", clock=clock.now_s) for _ in range(instances)]

    def push() -> None:
        shares = told.get("") or Shares(1.0, {}, of.traces_per_second)
        document = document_for(book, "shop", {of.id: shares}, 0)
        for sampler in samplers:
            sampler.apply(document)

    push()
    result = Simulation([], {})
    reports_at = {index: draw.randrange(STEPS_PER_S) for index in range(instances)}
    for second in traffic:
        kept = 0
        for step in range(STEPS_PER_S):
            clock.advance(s=1 / STEPS_PER_S)
            for operation, rate in second.items():
                for _ in range(_poisson(draw, rate / STEPS_PER_S)):
                    result_of = draw.choice(samplers).should_sample(None, draw.getrandbits(128), operation)
                    if result_of.decision.is_sampled():
                        kept += 1
                        result.by_operation[operation] = result.by_operation.get(operation, 0) + 1
            for index, sampler in enumerate(samplers):
                if reports_at[index] == step:
                    counts = sampler.harvest(1.0)
                    rates = {(count.operation, count.rule): Rate(count.seen, count.kept) for count in counts}
                    report = Report("shop", f"i{index}", rates=rates)
                    fleet.take(report, clock.now_s())
                    fleet.look(clock.now_s())
                    before = dict(told)
                    told |= fleet.shares(of, told, report)
                    if told != before:
                        push()
        result.kept.append(kept)
    return result


def _poisson(draw: random.Random, mean: float) -> int:
    if mean > 50:
        return max(0, round(draw.gauss(mean, mean**0.5)))
    count, left = 0, draw.expovariate(1.0)
    while left < mean:
        count, left = count + 1, left + draw.expovariate(1.0)
    return count


BUDGET = policy("b", op="GET /", kind="budget", traces_per_second=20)
