"""Measures of a population: identities that hold whatever the figures, and figures done by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.core.population import population_of
from collector.core.population.levels import bands_of, levels_of
from collector.core.population.measures import (
    measure_operations,
    measure_parts,
    measure_places,
    measure_services,
    tail_groups,
)
from collector.core.population.sums import sum_up
from tests.core.drawing import read_trace
from tests.core.population.made import MadeTrace, made
from tests.core.population.test_difference import OWN, ROOT, WAY, some_traces


@given(some_traces)
@settings(max_examples=40)
def test_shares_and_contributions_of_all_parts_sum_to_one(traces):
    population = made(traces)

    parts = measure_parts(population)
    services = measure_services(population)

    for measured in (list(parts.values()), list(services.values())):
        spent = population.duration_ns.sum() > 0
        assert sum(m.share for m in measured) == pytest.approx(1.0 if spent else 0.0)
        varies = population.duration_ns.max() > 1.001 * population.duration_ns.min()
        if varies:
            assert sum(m.variance_contribution for m in measured) == pytest.approx(1.0, abs=1e-6)
        groups = tail_groups(population)
        if (groups == 2).any() and (groups == 0).any() and spent:
            slow, fast = (population.duration_ns[groups == g] for g in (2, 0))
            if slow.min() > fast.max():
                assert sum(m.tail_contribution for m in measured) == pytest.approx(1.0)


@given(some_traces, st.integers(1, 4))
@settings(max_examples=50)
def test_sums_of_groups_merge_to_the_sums_of_all(traces, groups):
    population = made(traces)
    group = np.arange(len(population)) % groups
    features = len(population.parts)

    merged = sum_up(population, population.cell_part, features, group, groups).merged()

    whole = sum_up(population, population.cell_part, features)
    for name in whole.__slots__:
        assert getattr(merged, name).ravel().tolist() == pytest.approx(getattr(whole, name).ravel().tolist())


def test_always_a_little_is_told_from_rarely_a_lot():
    always = made([MadeTrace({ROOT: 95, OWN: 5})] * 100)
    rarely = made([MadeTrace({ROOT: 95, OWN: 0})] * 99 + [MadeTrace({ROOT: 95, OWN: 500})])

    a, b = (next(m for part, m in measure_parts(p).items() if part.operation == "get") for p in (always, rarely))

    assert a.mean_ns == b.mean_ns == 5
    assert (a.participation, a.there_ns) == (1.0, 5)
    assert (b.participation, b.there_ns) == (0.01, 500)
    assert b.tail_contribution == pytest.approx(1.0)


def test_a_way_out_is_waited_for_by_its_caller():
    services = measure_services(made([MadeTrace({ROOT: 50, WAY: 30, OWN: 20})]))

    assert {name: m.mean_ns for name, m in services.items()} == {"shop": 80, "cart": 20}


def test_the_interval_of_a_share_holds_the_truth_about_as_often_as_it_says():
    random = np.random.default_rng(7)
    held = 0
    for _ in range(200):
        own = random.lognormal(0, 0.7, 60) * 5_000
        root = random.lognormal(0, 0.7, 60) * 15_000
        population = made([MadeTrace({ROOT: int(r), OWN: int(o)}) for r, o in zip(root, own, strict=True)])
        low, high = next(m for part, m in measure_parts(population).items() if part.operation == "get").share_interval
        held += low <= 0.25 <= high

    assert 178 <= held <= 199


def test_inclusive_time_counts_recursion_once():
    population = population_of(read_trace("a/x 0-100; b/y 10-90 in a/x; a/x#2 20-60 in b/y"))

    assert measure_operations(population) == {("a", "x"): 100, ("b", "y"): 80}
    assert [time.inclusive_ns for time in measure_places(population)] == [100, 80, 40]
    assert [time.self_ns for time in measure_places(population)] == [20, 40, 40]


def test_bands_split_where_the_weight_does():
    duration = np.array([10, 20, 30, 40])

    assert levels_of(duration, np.array([1.0, 1, 1, 97]), (0.5,)) == [40]
    assert bands_of(duration, np.array([97.0, 1, 1, 1])).tolist() == [0, 2, 2, 3]
    assert bands_of(np.full(5, 7), np.ones(5)).tolist() == [0] * 5
