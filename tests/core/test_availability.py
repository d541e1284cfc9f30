"""Availability: measured, implied, and the rule of the extra nine; small sums that can be done by hand."""

import numpy as np
import pytest

from collector.core.availability import (
    KEPT,
    MISSING,
    NOT_YET,
    Dependency,
    Operation,
    Outcome,
    availability,
    calls_to_show,
    extra_nines,
    proportion,
    required_of_dependency,
)


def op(name: str) -> Operation:
    return (name, "", "server")


def edge(
    caller: str,
    callee: str,
    own: float,
    calls: float = 1000,
    traces: float | None = None,
    failed: float | None = None,
    survival: float = 0.0,
) -> Dependency:
    return Dependency(
        op(caller),
        op(callee),
        calls if traces is None else traces,
        calls,
        own if failed is None else failed,
        own,
        survival,
    )


def implied(traces: float, edges: list[Dependency], root_failed: float = 0.0) -> float:
    found = availability(Outcome(traces, 0.0, root_failed, traces), edges)
    assert found is not None
    return found.implied


# Proportions


@pytest.mark.parametrize(
    ("well", "trials", "low", "high"),
    [(98, 100, 0.930, 0.9945), (10, 10, 0.7225, 1.0), (0, 10, 0.0, 0.2775), (500, 1000, 0.4691, 0.5309)],
)
def test_the_interval_is_wilsons(well: int, trials: int, low: float, high: float):
    found = proportion(well, trials, trials)

    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-4)


def test_the_interval_holds_the_truth_in_about_95_of_100_samples():
    draws = np.random.default_rng(1).binomial(2000, 0.995, 2000)

    holds = [found.low <= 0.995 <= found.high for found in (proportion(k, 2000, 2000) for k in draws.tolist())]

    assert 0.93 <= np.mean(holds) <= 0.97


def test_traces_kept_at_one_percent_are_single_witnesses():
    sampled = proportion(9_800, 10_000, 100 * 100**2)

    assert sampled == proportion(98, 100, 100)


def test_without_trials_nothing_is_known():
    assert proportion(0, 0, 0).low == 0.0
    assert proportion(0, 0, 0).high == 1.0


# Implied availability


def test_a_chain_of_mandatory_calls_multiplies():
    # shop -> payment -> bank; payment fails by itself in 1 of 1000, bank in 10: 0.999 x 0.99
    edges = [edge("shop", "payment", own=1, failed=11), edge("payment", "bank", own=10)]

    assert implied(1000, edges) == pytest.approx(0.999 * 0.99)


def test_an_optional_call_costs_what_is_not_survived():
    # tips fails half the time, and one failure in ten is not survived: 1 - 0.5 x 0.1
    assert implied(1000, [edge("shop", "tips", own=500, survival=0.9)]) == pytest.approx(0.95)


def test_a_call_that_is_made_in_few_traces_costs_little():
    # 100 of 1000 traces call it, and it fails in 10 of 100
    assert implied(1000, [edge("shop", "gift", own=10, calls=100)]) == pytest.approx(1 - 0.1 * 0.1)


def test_a_call_that_is_made_three_times_fails_more_often():
    # 1000 traces with 3000 calls, 30 of which fail: 1 - 0.99^3
    assert implied(1000, [edge("shop", "price", own=30, calls=3000, traces=1000)]) == pytest.approx(0.99**3)


def test_the_failures_of_the_root_itself_count():
    assert implied(1000, [], root_failed=20) == pytest.approx(0.98)


def test_of_two_ways_to_a_node_the_deadlier_counts():
    # db is reached over an optional a (h 0.1) and a mandatory b (h 1)
    edges = [
        edge("shop", "a", own=0, survival=0.9),
        edge("shop", "b", own=0),
        edge("a", "db", own=5, calls=500),
        edge("b", "db", own=5, calls=500),
    ]

    assert implied(1000, edges) == pytest.approx(0.99)


def test_a_loop_changes_nothing():
    edges = [edge("shop", "a", own=10), edge("a", "b", own=0), edge("b", "a", own=0)]

    assert implied(1000, edges) == pytest.approx(1 - 1 * (1 - (1 - 10 / 2000) ** 1.0))


def test_failures_that_come_together_make_the_journey_better_than_implied():
    # a and b fail in the same 100 of 1000 traces: measured 0.9, implied 0.81
    found = availability(Outcome(1000, 100, 0, 1000), [edge("shop", "a", own=100), edge("shop", "b", own=100)])

    assert found is not None
    assert found.measured.share == pytest.approx(0.9)
    assert found.implied == pytest.approx(0.81)
    assert found.difference_interval[0] > 0
    assert "come together" in found.says


def test_a_journey_that_its_calls_explain_differs_by_nothing_that_counts():
    found = availability(Outcome(1000, 30, 10, 1000), [edge("shop", "a", own=20)])

    assert found is not None
    low, high = found.difference_interval
    assert low <= 0 <= high
    assert low <= found.difference <= high


def test_a_journey_that_fails_for_no_reason_in_its_calls_does_worse_than_implied():
    found = availability(Outcome(1000, 200, 0, 1000), [edge("shop", "a", own=1)])

    assert found is not None
    assert found.difference_interval[1] < 0


def test_injected_faults_count_as_measured_and_in_nothing_that_is_said_of_the_calls():
    # 300 of 1000 were made to fail; without them, 20 of 700 failed as the call explains
    found = availability(Outcome(1000, 320, 0, 1000, injected=300), [edge("shop", "a", own=20, calls=700)])

    assert found is not None
    assert (found.measured.share, found.injected) == pytest.approx((0.68, 0.3))
    assert found.implied == pytest.approx(1 - 0.7 * 20 / 700)
    low, high = found.difference_interval
    assert low <= 0 <= high


@pytest.mark.parametrize("seed", range(5))
def test_implied_availability_of_a_simulated_journey_is_the_simulated_one(seed: int):
    draws = np.random.default_rng(seed)
    n = 20_000
    bank = draws.random(n) < 0.02
    payment = draws.random(n) < 0.01
    tips = draws.random(n) < 0.1
    killed_by_tips = tips & (draws.random(n) < 0.3)
    failed = bank | payment | killed_by_tips
    edges = [
        edge("shop", "payment", own=float((payment & ~bank).sum()), calls=n, failed=float((payment | bank).sum())),
        edge("payment", "bank", own=float(bank.sum()), calls=n),
        Dependency(
            op("shop"), op("tips"), n, n, float(tips.sum()), float(tips.sum()), 0.7, 0.7 * tips.sum(), tips.sum()
        ),
    ]

    found = availability(Outcome(n, float(failed.sum()), 0.0, n), edges)

    assert found is not None
    assert found.implied == pytest.approx(1 - failed.mean(), abs=0.004)
    assert found.difference_interval[0] <= 0 <= found.difference_interval[1]


def test_a_journey_without_traces_has_no_availability():
    assert availability(Outcome(0, 0, 0, 0), []) is None


# The extra nine


def test_three_nines_need_four_of_a_mandatory_dependency():
    assert required_of_dependency(0.999) == pytest.approx(0.9999)


def test_a_dependency_that_fails_too_often_lacks_a_nine_and_the_worst_comes_first():
    nines = extra_nines(0.999, [edge("shop", "a", own=50, calls=100_000), edge("shop", "b", own=900, calls=100_000)])

    assert [(nine.node[0], nine.verdict) for nine in nines] == [("b", MISSING), ("a", MISSING)]


def test_too_few_calls_say_nothing_yet_and_how_many_it_takes():
    (nine,) = extra_nines(0.999, [edge("shop", "a", own=0, calls=1000)])

    assert nine.verdict == NOT_YET
    assert nine.calls_needed == 38_411  # z^2 x 0.9999 / 0.0001


def test_enough_calls_without_a_failure_show_that_it_is_kept():
    (nine,) = extra_nines(0.999, [edge("shop", "a", own=0, calls=38_411)])

    assert nine.verdict == KEPT


def test_a_failure_that_happened_makes_it_take_more_calls():
    assert calls_to_show(0.999, calls=1000, failed=1) > calls_to_show(0.999)
    assert proportion(calls_to_show(0.999, 1000, 1) - 1, *(calls_to_show(0.999, 1000, 1),) * 2).low >= 0.999
