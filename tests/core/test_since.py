"""Since when latency is higher: found where it rose and stayed, and nowhere else."""

from hypothesis import given
from hypothesis import strategies as st

from collector.core.population.since import LEAST_TIMES, Slowed, Steps, slowed


def series(p50: list[float], p95: list[float] | None = None, traces: float = 20.0) -> Steps:
    return Steps(range(len(p50)), [traces] * len(p50), p50, p95 or [2 * each for each in p50])


def test_a_rise_that_stays_is_found_where_it_begins():
    assert slowed(series([10, 11, 10, 12, 30, 31, 29, 30])) == Slowed(4, "p50", 10.75, 30.0)


def test_one_step_out_of_place_hides_nothing():
    found = slowed(series([10, 11, 9, 10, 12, 40, 10, 11, 30, 31, 29, 30, 35, 33, 30, 32, 31, 30]))

    assert found is not None
    assert found.since_unix_nano == 8


def test_slow_traces_that_became_slower_are_found_in_p95():
    found = slowed(series([10] * 8, [20, 21, 19, 20, 60, 61, 58, 60]))

    assert found is not None
    assert (found.quantile, found.since_unix_nano) == ("p95", 4)


def test_what_came_and_went_is_not_slow_now():
    assert slowed(series([10, 11, 30, 31, 10, 11, 10, 10])) is None


def test_what_became_faster_is_not_slow():
    assert slowed(series([30, 31, 29, 30, 10, 11, 10, 12])) is None


def test_a_small_rise_is_none():
    assert slowed(series([100, 101, 102, 100, 120, 121, 122, 120])) is None


def test_too_little_tells_nothing():
    assert slowed(series([])) is None
    assert slowed(series([10, 10, 30])) is None
    assert slowed(series([10, 10, 10, 30])) is None
    assert slowed(series([10, 11, 10, 12, 30, 31, 29, 30], traces=5)) is None


def test_traces_without_any_duration_divide_by_nothing():
    assert slowed(series([0.0] * 8)) is None
    found = slowed(series([0.0] * 4 + [9.0] * 4))
    assert found is None or found.after_ns == 9.0


@given(st.lists(st.floats(1, 1e9), min_size=2, max_size=40), st.integers(1, 200))
def test_what_is_said_is_so(p50: list[float], traces: int):
    found = slowed(series(p50, traces=float(traces)))

    if found is not None:
        at = found.since_unix_nano
        after, before = p50[at:], p50[:at]
        scale = 1.0 if found.quantile == "p50" else 2.0
        assert found.times >= LEAST_TIMES[found.quantile] * 0.999
        assert abs(found.after_ns - scale * sum(after) / len(after)) <= 1e-6 * found.after_ns
        assert sum(b < a for b in before for a in after) >= 0.85 * len(before) * len(after)
