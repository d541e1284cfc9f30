"""Budgets against simulated traffic: real samplers, the real controller, time moved by hand."""

import random
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.core.sampling.budget import RAREST, fair_shares, follow, share_for
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


def test_a_budget_is_kept_after_traffic_has_grown_tenfold():
    steady, stepped = [{"GET /": 100.0}] * 20, [{"GET /": 1_000.0}] * 60

    kept = simulate(BUDGET, steady + stepped).kept

    after = kept[20:]
    assert sum(after) <= 1.2 * 20 * 60, "over a minute"
    assert all(second <= 2 * 20 for second in after[3:]), "after three seconds"
    assert sum(after[3:]) >= 0.8 * 20 * 57


def test_a_budget_is_kept_after_traffic_has_grown_a_hundredfold():
    kept = simulate(BUDGET, [{"GET /": 100.0}] * 20 + [{"GET /": 10_000.0}] * 60).kept

    after = kept[20:]
    assert sum(after) <= 1.2 * 20 * 60
    assert all(second <= 2 * 20 for second in after[3:])


def test_a_budget_is_used_again_after_traffic_has_fallen_to_a_tenth():
    kept = simulate(BUDGET, [{"GET /": 1_000.0}] * 15 + [{"GET /": 100.0}] * 30).kept

    assert sum(kept[25:]) >= 0.8 * 20 * 20


def test_an_adaptive_policy_gives_rare_operations_their_part():
    said = policy("a", kind="adaptive", traces_per_second=10, min_traces_per_minute=6)
    traffic = {"busy": 500.0, "usual": 20.0, "rare": 0.5}

    result = simulate(said, [traffic] * 40)

    late = sum(result.kept[10:]) / 30
    assert 7 <= late <= 13
    assert result.by_operation["rare"] >= 0.8 * 0.5 * 30
    assert result.by_operation["usual"] >= 40


rates = st.dictionaries(st.text("abcdef", min_size=1, max_size=2), st.floats(0.001, 1e6), min_size=1, max_size=20)


@given(rates, st.floats(0.1, 1e4))
def test_fair_shares_use_the_budget_and_never_more(offered: dict[str, float], budget: float):
    shares = fair_shares(offered, budget)

    assert all(0 <= share <= 1 for share in shares.values())
    kept = sum(shares[name] * rate for name, rate in offered.items())
    assert kept == pytest.approx(min(budget, sum(offered.values())), rel=1e-6)


@given(rates, st.floats(0.1, 1e4))
def test_who_is_called_more_gets_at_least_as_many_traces_but_a_smaller_share(offered: dict[str, float], budget: float):
    shares = fair_shares(offered, budget)
    ordered = sorted(offered, key=lambda name: offered[name])

    for less, more in pairwise(ordered):
        assert shares[more] * offered[more] >= shares[less] * offered[less] * (1 - 1e-9)
        assert shares[more] <= shares[less] * (1 + 1e-9)


@given(rates)
def test_the_floor_is_left_to_everyone(offered: dict[str, float]):
    shares = fair_shares(offered, 0.1, min_traces_per_minute=60)

    for name, rate in offered.items():
        assert shares[name] * rate >= min(rate, 1.0) * (1 - 1e-9)


def test_an_estimate_smooths_chance_and_takes_over_steps():
    assert follow(100.0, 110.0, 1.0) == pytest.approx(103)
    assert follow(100.0, 1_000.0, 1.0) == 1_000
    assert follow(1_000.0, 100.0, 1.0) == 100
    assert follow(100.0, 0.0, 1.0) == 100, "a boost may have taken all over"
    assert follow(None, 5.0, 1.0) == 5
    assert share_for(5, 0) == 1.0


def test_an_operation_keeps_more_where_its_rarest_journey_has_to_have_its_share():
    offered = {"POST /graphql": 100.0, "GET /": 100.0}

    shares = fair_shares(offered, 0.1, min_traces_per_minute=60, rarest={"POST /graphql": 0.25})
    bounded = fair_shares(offered, 0.1, min_traces_per_minute=60, rarest={"POST /graphql": 1e-6})

    assert shares == {"POST /graphql": pytest.approx(0.04), "GET /": pytest.approx(0.01)}
    assert bounded["POST /graphql"] == pytest.approx(1 / RAREST / 100)
