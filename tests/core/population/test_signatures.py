"""Which ways the path takes, and what of it bought nothing."""

import pytest

from collector.core.population import Population, population_of
from collector.core.population.signatures import count_signatures
from tests.core.drawing import read_trace


def ways(drawing: str) -> list[tuple[str, float]]:
    p = population_of(read_trace(drawing))
    found = count_signatures(p.signature, p.signatures, p.weight, p.duration_ns, p.trace_id)
    return [("-".join(operation for _, operation in way.steps), way.share) for way in found.ways]


def of(population: Population, name: str) -> list[int]:
    return getattr(population, name).tolist()


def test_a_way_names_operations_in_the_order_in_which_the_path_reaches_them():
    assert ways("a 0-100; c 50-90 in a; b 10-40 in a") == [("a-b-c", 1.0)]


def test_a_loop_that_turns_more_often_is_the_same_way():
    found = ways("a 0-100; b 10-40 in a; a#2 0-100 trace 2; b#2 10-40 in a#2 trace 2; b#3 50-70 in a#2 trace 2")

    assert found == [("a-b", 1.0)]


def test_a_speck_is_not_part_of_a_way():
    assert ways("a 0-1000; b 10-900 in a; c 900-905 in a") == [("a-b", 1.0)]


def test_ways_are_counted_and_their_variety_measured():
    drawing = "; ".join(
        f"a#{i} 0-100 trace {i}; {'b' if i < 3 else 'c'}#{i} 10-90 in a#{i} trace {i}" for i in (1, 2, 3, 4)
    )
    p = population_of(read_trace(drawing))

    found = count_signatures(p.signature, p.signatures, p.weight, p.duration_ns, p.trace_id)

    assert [(way.share, way.traces) for way in found.ways] == [(0.5, 2), (0.5, 2)]
    assert found.entropy_bits == 1.0
    assert found.coverage(1) == 0.5


def test_an_attempt_that_another_followed_is_waste():
    population = population_of(
        read_trace(
            "shop/buy 0-100 server; shop/GET 10-30 client error in shop/buy calls cart;"
            "shop/GET#2 40-70 client in shop/buy calls cart"
        )
    )

    assert of(population, "superseded_ns") == [20]
    assert of(population, "failed_ns") == [0]


def test_a_call_that_failed_for_good_is_waste_with_all_below_it():
    population = population_of(
        read_trace(
            "shop/buy 0-100 server; shop/GET 10-60 client error in shop/buy; cart/get 20-50 server error in shop/GET;"
            "cart/SELECT 25-35 client error in cart/get"
        )
    )

    assert of(population, "failed_ns") == [50]
    assert of(population, "superseded_ns") == [0]


def test_waste_within_waste_counts_once():
    population = population_of(
        read_trace(
            "shop/buy 0-100 server; shop/GET 10-60 client error in shop/buy; cart/get 10-60 server error in shop/GET;"
            "cart/q 10-30 client error in cart/get calls db; cart/q#2 40-60 client error in cart/get calls db"
        )
    )

    assert of(population, "failed_ns")[0] + of(population, "superseded_ns")[0] == pytest.approx(50)
