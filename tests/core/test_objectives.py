"""Error budgets and burn alerts, minute by minute."""

import numpy as np
import pytest

from collector.core.objectives import BUDGET_S, HOUR_S, MINUTE_S, Counts, Standing, joined, no_counts, stand

NOW_S = 1_795_000_020
"""At a full minute."""
PER_MINUTE = 100.0


def traffic(minutes: int, bad_share: float, end_s: int = NOW_S, weight: float = 1.0) -> Counts:
    """So many minutes until `end_s`, with 100 traces each of which the share is bad."""
    start = end_s - MINUTE_S * np.arange(minutes, 0, -1)
    total = np.full(minutes, PER_MINUTE * weight)
    return Counts(start, total, total * bad_share, total * weight, total / weight * bad_share)


def stands(*parts: Counts, promise: float = 0.999) -> Standing:
    return stand("availability", promise, joined(parts), NOW_S)


def alerts(standing: Standing) -> list[float]:
    return [burn.rate_needed for burn in standing.burns if burn.fires]


def test_an_hour_that_burns_fourteen_times_too_fast_is_an_alert():
    calm, storm = traffic(3 * 1440 - 60, 0.0, NOW_S - HOUR_S), traffic(60, 0.0145)

    standing = stands(calm, storm)

    assert alerts(standing) == [14.4]
    assert standing.alert is not None
    assert standing.alert.severity == "failing"
    assert standing.alert.long_rate == pytest.approx(14.5)


def test_six_hours_that_burn_six_times_too_fast_are_an_alert():
    assert alerts(stands(traffic(360, 0.0061))) == [6.0, 1.0]


def test_three_days_that_burn_as_fast_as_the_promise_allows_are_an_alert():
    assert alerts(stands(traffic(3 * 1440, 0.00101))) == [1.0]


def test_less_is_none():
    assert alerts(stands(traffic(3 * 1440, 0.00099))) == []


def test_an_alert_ends_with_the_short_window_though_the_long_one_still_burns():
    storm, calm = traffic(55, 0.2, NOW_S - 5 * MINUTE_S), traffic(5, 0.0)

    standing = stands(storm, calm)

    assert standing.burns[0].long_rate > 14.4
    assert standing.burns[0].short_rate == 0
    assert not standing.burns[0].fires


def test_fewer_than_ten_failures_are_no_alert():
    few = Counts(np.array([NOW_S - 60]), np.array([20.0]), np.array([9.0]), np.array([20.0]), np.array([9.0]))
    enough = Counts(np.array([NOW_S - 60]), np.array([20.0]), np.array([10.0]), np.array([20.0]), np.array([10.0]))

    assert alerts(stands(few)) == []
    assert alerts(stands(enough)) == [14.4, 6.0, 1.0]


def test_failures_of_sampled_traces_count_as_often_as_they_were_seen():
    # 9 failed traces, each standing for a hundred
    seen = Counts(np.array([NOW_S - 60]), np.array([2e3]), np.array([900.0]), np.array([2e5]), np.array([9.0]))

    assert alerts(stands(seen)) == []


def test_a_budget_of_thirty_days_is_spent_by_what_failed():
    # a tenth of the promise's failures in each minute of 30 days
    standing = stands(traffic(30 * 1440, 0.0001))

    assert standing.budget_left == pytest.approx(0.9)
    assert standing.covered_s == BUDGET_S
    assert standing.kept.share == pytest.approx(0.9999)
    assert standing.gone_unix_nano == 0


def test_a_short_history_is_held_against_the_budget_of_thirty_days_at_its_rate():
    # One hour at 100 a minute with 36 failed. Thirty days at this rate: 4,320,000 traces, of which 4,320 may fail.
    standing = stands(traffic(60, 0.006))

    assert standing.budget_left == pytest.approx(1 - 36 / 4320)


def test_the_minute_in_which_a_budget_ran_out_is_named():
    calm, storm = traffic(30 * 1440 - 60, 0.0, NOW_S - HOUR_S), traffic(60, 1.0)

    standing = stands(calm, storm)

    # 4,320 may fail; at 100 a minute the 44th minute spends the last
    assert standing.budget_left < 0
    assert standing.gone_unix_nano == (NOW_S - HOUR_S + 43 * MINUTE_S) * 10**9


def test_what_is_older_than_thirty_days_is_forgiven():
    old, new = traffic(60, 1.0, NOW_S - BUDGET_S - HOUR_S), traffic(1440, 0.0)

    assert stands(old, new).budget_left == 1.0


def test_a_journey_without_traces_keeps_its_budget_and_alerts_nobody():
    standing = stands(no_counts())

    assert (standing.budget_left, alerts(standing), standing.covered_s) == (1.0, [], 0)
