"""Alarms on simulated weeks: they neither flap nor sleep, and name the call that explains them."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest

from collector.core.population.regressions import (
    CallPathHours,
    Hour,
    Level,
    State,
    explain_alarm,
    hour_of,
    judge,
    past_of,
    watch_journey,
)

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
MS = 1_000_000
ROOT, CART, REDIS, PAY = 1, 2, 3, 4


def hours(count: int, seed: int, slower=lambda start: 1.0, traces: int = 200, day=lambda start: 1.0) -> list[Hour]:
    """Hours of a journey of about 100 ms, each a sample of traces with a long tail; busier at noon."""
    random = np.random.default_rng(seed)
    made = []
    for n in range(count):
        start = MONDAY + timedelta(hours=n)
        usual = 100 * MS * day(start) * random.lognormal(0, 0.03)
        sample = usual * slower(start) * random.lognormal(-0.18, 0.6, traces)
        made.append(Hour(start, traces, float(sample.mean()), float(sample.var())))
    return made


def levels(made: list[Hour], begin: int) -> list[Level]:
    """The level after each hour from `begin` on, each held against what came before it."""
    state, found = State(), []
    for n in range(begin, len(made)):
        state = judge(made[n], past_of(made[:n], made[n].start), state, made[n].mean_ns).state
        found.append(state.level)
    return found


def busy_at_noon(start: datetime) -> float:
    return 1.5 if 10 <= start.hour <= 14 else 1.0


def test_quiet_weeks_raise_next_to_no_alarm():
    raised = sum(
        level in (Level.WARN, Level.CRITICAL)
        for seed in range(3)
        for level in levels(hours(21 * 24, seed, day=busy_at_noon), begin=7 * 24)
    )

    assert raised <= 4, "of 1,008 hours"


def test_a_lasting_slowdown_is_noticed_within_three_hours_and_stays():
    release = MONDAY + timedelta(days=17, hours=9)
    for seed in range(10):
        made = hours(18 * 24, seed, slower=lambda start: 1.6 if start >= release else 1.0, day=busy_at_noon)

        found = levels(made, begin=17 * 24)

        assert Level.FINE in found[:9]
        assert all(level in (Level.WARN, Level.CRITICAL) for level in found[11:])


def test_a_level_does_not_flap_while_the_change_lies_at_its_bound():
    release = MONDAY + timedelta(days=17)
    changes = 0
    for seed in range(10):
        made = hours(18 * 24, seed, slower=lambda start: 1.22 if start >= release else 1.0)
        found = levels(made, begin=17 * 24)
        changes += sum(a != b for a, b in pairwise(found))

    assert changes <= 30, "of 230 chances"


def test_the_rush_at_noon_is_not_held_against_the_night():
    made = hours(15 * 24, seed=1, day=busy_at_noon)

    found = levels(made, begin=14 * 24)

    assert set(found) == {Level.FINE}


def test_the_first_day_is_held_against_the_hours_before():
    made = hours(12, seed=2, slower=lambda start: 3.0 if start.hour >= 8 else 1.0)

    found = levels(made, begin=3)

    assert found[:5] == [Level.FINE] * 5
    assert found[6] in (Level.WARN, Level.CRITICAL)


def test_an_improvement_is_said_too():
    release = MONDAY + timedelta(days=16)
    made = hours(17 * 24, seed=3, slower=lambda start: 0.5 if start >= release else 1.0)

    assert levels(made, begin=16 * 24)[-1] == Level.BETTER


def test_weekends_are_held_against_weekends():
    saturday = MONDAY + timedelta(days=12)
    made = hours(14 * 24, seed=4)

    past = past_of(made, saturday)

    assert {hour.start.weekday() for hour in past_of(made, saturday - timedelta(days=1))} <= {0, 1, 2, 3, 4}
    assert all(hour.start < saturday for hour in past)


def test_a_few_traces_are_not_judged():
    made = hours(10, seed=5)
    lonely = Hour(MONDAY + timedelta(hours=10), 5, 900 * MS, 1.0)

    assert judge(lonely, past_of(made, lonely.start), State(), 100 * MS).state.level == Level.FINE


def test_one_wild_hour_is_forgiven_and_a_catastrophe_is_not():
    made = hours(15 * 24, seed=6)
    now = made[-1]
    past = past_of(made[:-1], now.start)

    once = judge(Hour(now.start, 200, now.mean_ns * 1.5, now.variance), past, State(), now.mean_ns)
    disaster = judge(Hour(now.start, 200, now.mean_ns * 10, now.variance), past, State(), now.mean_ns)

    assert once.state == State(Level.FINE, beyond=1)
    assert disaster.state.level == Level.CRITICAL


def journey(slow: int, by: float, seed: int = 7) -> dict[int, CallPathHours]:
    """A root that calls cart, which calls redis, and pay; one of them slower in the last two hours."""
    random = np.random.default_rng(seed)
    parents = {ROOT: 0, CART: ROOT, REDIS: CART, PAY: ROOT}
    own = {ROOT: 20, CART: 30, REDIS: 25, PAY: 25}
    made: dict[int, list[Hour]] = {path: [] for path in parents}
    for n in range(15 * 24):
        late = n >= 15 * 24 - 2
        times = {
            path: MS * ms * (by if late and path == slow else 1.0) * random.lognormal(-0.08, 0.4, 200)
            for path, ms in own.items()
        }
        below = {REDIS: times[REDIS], PAY: times[PAY], CART: times[CART] + times[REDIS]}
        below[ROOT] = times[ROOT] + below[CART] + below[PAY]
        for path, sample in below.items():
            made[path].append(Hour(MONDAY + timedelta(hours=n), 200, float(sample.mean()), float(sample.var())))
    return {path: CallPathHours(parents[path], tuple(made[path])) for path in parents}


@pytest.mark.parametrize("slow", [ROOT, CART, REDIS, PAY])
def test_the_deepest_call_that_explains_the_others_is_named_alone(slow: int):
    paths = journey(slow, by=3.0)
    states: dict[int, State] = {}
    for last in (2, 1):
        now = MONDAY + timedelta(hours=15 * 24 - last)
        alarm, judgements = watch_journey(paths, now, states)
        states = {path: each.state for path, each in judgements.items()}

    assert alarm is not None
    assert alarm.path_id == slow
    assert alarm.level in (Level.WARN, Level.CRITICAL)
    assert alarm.explained > 0.6
    assert alarm.others == ()


def test_nothing_wrong_is_no_alarm():
    alarm, judgements = watch_journey(journey(ROOT, by=1.0), MONDAY + timedelta(hours=15 * 24 - 1), {})

    assert alarm is None
    assert len(judgements) == 4
    assert explain_alarm({}, {}) is None


def test_an_hour_begins_when_the_clock_says():
    assert hour_of(1_772_409_599_999_999_999) == datetime(2026, 3, 1, 23, tzinfo=UTC)
