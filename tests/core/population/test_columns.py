"""Traces as columns: what belongs to a trace adds up to it."""

import numpy as np
from hypothesis import given, settings

from collector.core.population import population_of
from tests.core.drawing import make_batch, read_trace
from tests.core.trace_strategies import Trace, batches


@given(batches())
@settings(max_examples=40)
def test_the_cells_of_a_trace_add_up_to_its_duration(drawn: Trace) -> None:
    population = population_of(make_batch(drawn))

    by_trace = np.zeros(len(population), np.int64)
    np.add.at(by_trace, population.cell_trace, population.cell_ns)
    assert by_trace.tolist() == population.duration_ns.tolist()
    assert (population.cell_ns > 0).all()
    assert (population.superseded_ns + population.failed_ns <= population.duration_ns).all()


@given(batches())
@settings(max_examples=50)
def test_callers_stand_before_their_callees(drawn: Trace) -> None:
    population = population_of(make_batch(drawn))

    assert all(place.parent < i for i, place in enumerate(population.places))
    assert all(population.places[i].kind for i in population.cell_place.tolist())


def test_a_selection_is_what_the_selected_traces_alone_would_be():
    text = """
        shop/a 0-100 trace=1; cart/b 10-40 in shop/a trace=1
    """.replace(" trace=1", "")
    both = population_of(read_trace(text + "; pay/c 0-50 trace 2"))
    alone = population_of(read_trace(text))

    chosen = both.of_journey(alone.journeys[0])

    assert chosen.duration_ns.tolist() == alone.duration_ns.tolist()
    assert [both.parts[i] for i in chosen.cell_part.tolist()] == [alone.parts[i] for i in alone.cell_part.tolist()]
    assert chosen.cell_ns.tolist() == alone.cell_ns.tolist()


def test_a_trace_weighs_what_its_target_says():
    batch = read_trace("shop/a 0-100; cart/b 10-40 in shop/a")

    population = population_of(batch, weight=np.array([4.0, 1.0]))

    assert population.weight.tolist() == [4.0]


def test_kinds_of_request_differ_by_what_the_root_calls():
    population = population_of(
        read_trace(
            "gate/all 0-100; cart/get 10-40 in gate/all;"
            "gate/all#2 0-90 trace 2; cart/get#2 10-30 in gate/all#2 trace 2;"
            "gate/all#3 0-90 trace 3; pay/post 10-30 in gate/all#3 trace 3"
        )
    )

    first, second, third = population.request.tolist()
    assert first == second != third
    assert len(population.journeys) == 1


def test_no_spans_are_a_population_without_traces():
    population = population_of(make_batch([]))

    assert len(population) == len(population.parts) == len(population.places) == 0
