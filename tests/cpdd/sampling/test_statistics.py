"""Sampling against known truth: rates, counts, completeness, and no torn decision."""

import math

import pytest

from tests.cpdd.sampling.truth import kept_of, relative_error_of_counts, swaps_without_a_torn_decision, whole_of


def test_no_decision_is_torn_by_a_change_of_policies():
    assert swaps_without_a_torn_decision(100_000, 200) == 0


@pytest.mark.slow
def test_no_decision_of_ten_million_is_torn_by_a_thousand_changes():
    assert swaps_without_a_torn_decision(10_000_000, 1_000) == 0


def rate_is_kept(probability: float, number: int) -> None:
    kept = kept_of(probability, number)

    sigma = math.sqrt(number * probability * (1 - probability))
    assert abs(kept - number * probability) <= 3 * sigma + number * probability * 2**-13


@pytest.mark.parametrize("probability", [1.0, 0.1, 0.01, 0.001])
def test_the_rate_that_was_asked_for_is_kept(probability: float):
    rate_is_kept(probability, 100_000)


@pytest.mark.slow
@pytest.mark.parametrize("probability", [1.0, 0.1, 0.01, 0.001])
def test_the_rate_that_was_asked_for_is_kept_over_a_million(probability: float):
    rate_is_kept(probability, 1_000_000)


def counts_are_unbiased(seeds: int, number: int, most: float) -> None:
    errors = [relative_error_of_counts(seed, number) for seed in range(seeds)]

    mean = sum(errors) / seeds
    standard_error = math.sqrt(sum((error - mean) ** 2 for error in errors) / (seeds - 1) / seeds)
    assert abs(mean) <= 3 * standard_error
    assert abs(mean) < most


def test_adjusted_counts_are_unbiased_while_rates_change():
    counts_are_unbiased(seeds=20, number=30_000, most=0.03)


@pytest.mark.slow
def test_adjusted_counts_are_unbiased_over_a_hundred_seeds_of_two_million():
    counts_are_unbiased(seeds=100, number=2_000_000, most=0.002)


def test_three_services_at_25_50_and_10_percent_keep_a_tenth_of_traces_whole():
    number = 50_000

    whole = whole_of((0.25, 0.5, 0.1), number)

    assert abs(whole - 0.1 * number) <= 3 * math.sqrt(number * 0.1 * 0.9)
