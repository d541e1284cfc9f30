import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpdd.sampling.thresholds import (
    ALL,
    Member,
    is_kept_by_both,
    probability_of,
    read_member,
    threshold_of,
    threshold_text,
)

SPECIFICATION = {
    1: ("0", "0", "0"),
    2: ("8", "8", "8"),
    3: ("aab", "aaab", "aaaab"),
    4: ("c", "c", "c"),
    5: ("ccd", "cccd", "ccccd"),
    8: ("e", "e", "e"),
    10: ("e66", "e666", "e6666"),
    16: ("f", "f", "f"),
    100: ("fd71", "fd70a", "fd70a4"),
    1_000: ("ffbe7", "ffbe77", "ffbe76d"),
    10_000: ("fff972", "fff9724", "fff97247"),
    100_000: ("ffff584", "ffff583a", "ffff583a5"),
    1_000_000: ("ffffef4", "ffffef39", "ffffef391"),
}
"""1-in-N to the thresholds of precision 3, 4 and 5: the table of tracestate-probability-sampling.md."""


@pytest.mark.parametrize(
    ("one_in", "precision", "text"),
    [(n, precision, text) for n, texts in SPECIFICATION.items() for precision, text in enumerate(texts, 3)],
)
def test_the_specifications_table_comes_out_exactly(one_in: int, precision: int, text: str):
    assert threshold_text(threshold_of(1 / one_in, precision)) == text


@given(st.floats(0, 1))
def test_a_threshold_keeps_nearly_the_probability_it_was_made_of(probability: float):
    threshold = threshold_of(probability)

    assert 0 <= threshold <= ALL
    if probability >= 2.0**-56:
        assert probability_of(threshold) == pytest.approx(probability, rel=2**-12, abs=2.0**-56)


@pytest.mark.parametrize("odd", [-1.0, 0.0, 2.0**-57, float("nan")])
def test_what_cannot_be_kept_is_not_kept(odd: float):
    assert threshold_of(odd) == ALL


@given(st.integers(0, ALL - 1))
def test_a_threshold_is_read_back_as_it_was_written(threshold: int):
    text = f"th:{threshold_text(threshold)}"

    assert read_member(text).threshold == threshold


@given(st.integers(0, ALL - 1), st.integers(0, ALL - 1))
def test_digits_compare_as_their_numbers_do(threshold: int, randomness: int):
    text = f"th:{threshold_text(threshold)};rv:{randomness:014x}"

    assert is_kept_by_both(text) is (randomness >= threshold)


@pytest.mark.parametrize("said", ["+1", "1_0", " 1", "1 ", "AB", "", "0x1", "123456789012345", "g", "１"])
def test_a_threshold_that_is_not_exactly_as_specified_is_not_there(said: str):
    member = read_member(f"th:{said};rv:0123456789abcd;x:y")

    assert member.threshold is None
    assert member.is_said
    assert member.randomness == 0x0123456789ABCD
    assert member.others == ("x:y",)


@pytest.mark.parametrize("said", ["123", "0123456789ABCD", "0123456789abcde", "+123456789abcd"])
def test_a_randomness_that_is_not_exactly_as_specified_is_not_there(said: str):
    assert read_member(f"rv:{said};th:8") == Member(threshold=1 << 55, is_said=True)


def test_a_member_that_says_a_thing_twice_or_is_too_long_says_nothing():
    assert read_member("th:8;th:c").threshold is None
    assert read_member("th:8;" + "x:y" * 100).threshold is None


def test_another_threshold_leaves_randomness_and_other_keys_as_they_came():
    member = read_member("rv:0123456789abcd;p:8;th:c")

    assert member.with_threshold(1 << 55) == "th:8;rv:0123456789abcd;p:8"
    assert member.with_threshold(None) == "rv:0123456789abcd;p:8"


def test_a_threshold_that_would_make_the_member_too_long_is_left_out():
    member = read_member("a:" + "x" * 250)

    assert member.with_threshold(threshold_of(0.01)) == "a:" + "x" * 250
