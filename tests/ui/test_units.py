"""How numbers look: three digits, a unit that fits, and never a false 0 or 100."""

import math
import re
from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from ui.draw.units import (
    NBSP,
    ago,
    clock,
    count,
    duration,
    exact_duration,
    exact_moment,
    moment,
    nice_ticks,
    part,
    percent,
    rate,
    size,
    weighted,
    whole_percent,
)

UNIT_NS = {"ns": 1, "µs": 10**3, "ms": 10**6, "s": 10**9, "min": 60 * 10**9, "h": 3_600 * 10**9, "d": 86_400 * 10**9}
SECOND = 1_000_000_000
NOON = 1_795_003_200 * SECOND


def value_of(text: str) -> float:
    """Read a duration back: the number of nanoseconds that a page says."""
    words = text.replace("−", "-").split(NBSP)
    return sum(float(words[i]) * UNIT_NS[words[i + 1]] for i in range(0, len(words), 2))


@given(st.integers(1, 2**63 - 1))
@example(116_481_294_236_603)
@example(int(47.51 * 3_600e9))
@example(int(48.51 * 3_600e9))
def test_a_duration_has_at_most_three_digits_and_is_right_within_half_a_percent(ns):
    text = duration(ns)

    digits = re.sub(r"\D", "", text.partition(NBSP)[0]).lstrip("0")
    assert len(digits) <= 3 or text.endswith("d") or f"{NBSP}d" in text
    assert math.isclose(value_of(text), ns, rel_tol=0.011)


@given(st.integers(0, 2**63 - 1))
def test_an_exact_duration_loses_nothing(ns):
    number, unit = exact_duration(ns).split(NBSP)
    whole, _, fraction = number.partition(".")

    scale = UNIT_NS[unit]
    assert int(whole) * scale + int(fraction.ljust(len(str(scale)) - 1, "0") or 0) == ns


def test_rounding_up_takes_the_next_unit():
    shown = [duration(n) for n in (999_949, 999_950, 99_949_000_000, 99_960_000_000, 3_599_600_000_000)]

    assert shown == [f"{t}".replace(" ", NBSP) for t in ("1 ms", "1 ms", "99.9 s", "1 min 40 s", "1 h")]


def test_a_negative_duration_has_a_minus_sign():
    assert duration(-1_500_000) == f"−1.5{NBSP}ms"


@given(st.floats(0, 1))
def test_a_share_says_nothing_only_for_nothing_and_all_only_for_all(share):
    for words in (percent(share), part(share), whole_percent(share)):
        assert (words == f"0{NBSP}%") == (share == 0)
        assert (words == f"100{NBSP}%") == (share == 1)


def test_a_count_from_a_sample_carries_its_tilde():
    assert weighted(1_200.0, 12) == "~1,200"
    assert weighted(12.0, 12) == "12"


def test_counts_rates_and_sizes_take_a_unit_that_fits():
    assert [count(n) for n in (0, 1_238, 17.26, 123.4)] == ["0", "1,238", "17.3", "123"]
    assert [rate(r) for r in (412.0, 0.4, 0.0007, 0.0)] == ["412/s", "24/min", "2.52/h", "0/d"]
    assert [size(b).replace(NBSP, " ") for b in (12, 45_300, 7.2e9)] == ["12 B", "45.3 kB", "7.2 GB"]


def test_a_moment_of_today_needs_no_date():
    assert clock(NOON, NOON) == "12:00:00"
    assert clock(NOON - 86_400 * SECOND, NOON).replace(NBSP, " ") == "17 Nov 12:00"
    assert clock(NOON - 400 * 86_400 * SECOND, NOON).replace(NBSP, " ") == "14 Oct 2025 12:00"


def test_a_moment_keeps_its_nanoseconds_where_it_is_exact():
    assert moment(NOON + 7) == "2026-11-18T12:00:00Z"
    assert exact_moment(NOON + 7).replace(NBSP, " ") == "2026-11-18 12:00:00.000000007 UTC"


def test_moments_that_no_calendar_has_do_not_break_a_page():
    for unix_nano in (-1, 0, 2**63 - 1, -(2**63)):
        assert moment(unix_nano).endswith("Z")
        assert clock(unix_nano, NOON)


def test_ago_speaks_in_one_unit():
    behind = [ago(NOON - s * SECOND, NOON).replace(NBSP, " ") for s in (0, 5, 119, 120, 7_200, 200_000)]

    assert behind == ["just now", "5 s ago", "119 s ago", "2 min ago", "2 h ago", "2 d ago"]


@given(st.integers(-(10**15), 10**15), st.integers(1, 10**18))
def test_ticks_are_round_few_and_inside(start, length):
    ticks = nice_ticks(start, start + length)

    assert 1 <= len(ticks) <= 12 or length < 10
    assert all(start <= tick <= start + length for tick in ticks)
    assert len({b - a for a, b in pairwise(ticks)}) <= 1
