"""Budgets against simulated traffic."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.core.sampling.budget import RAREST, fair_shares, follow, share_for
from tests.core.sampling.simulated_fleet import BUDGET, simulate
from tests.cpdd.sampling.policies import policy


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
