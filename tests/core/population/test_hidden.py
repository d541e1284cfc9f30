"""Hidden work: identities on random traces, and figures done by hand."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings

from collector.core.assemble import Forest, assemble
from collector.core.critical_path import CriticalPaths, critical_paths
from collector.core.dependencies import find_dependencies
from collector.core.kernels.bits import BLOCKING, SELF_IN_FLIGHT
from collector.core.policy import PathPolicy
from collector.core.population import population_of
from collector.core.population.gaps import gap_callees
from collector.core.population.hidden import work_of
from collector.core.population.measures import HiddenWork, measure_hidden_work
from tests.core.drawing import make_batch, read_trace
from tests.core.trace_strategies import Trace, traces

some = settings(max_examples=150)


def walked(batch) -> tuple[Forest, CriticalPaths]:
    forest = assemble(batch, PathPolicy())
    return forest, critical_paths(forest, want_sections=True)


@some
@given(traces())
def test_work_is_time_on_the_path_and_hidden_work_and_nothing_else(spans: Trace):
    forest, paths = walked(make_batch(spans))

    work = work_of(forest, paths)

    in_flight = np.zeros(len(forest), np.int64)
    length = paths.section_end - paths.section_start
    np.add.at(in_flight, paths.section_node, np.where(paths.section_reason == SELF_IN_FLIGHT, length, 0))
    assert (work.work_ns - work.hidden_ns).tolist() == (paths.time_ns - in_flight).tolist()
    shown = int((work.work_ns - work.hidden_ns + in_flight).sum())
    assert shown == int((forest.end - forest.start)[forest.target].sum())


@some
@given(traces())
def test_the_sweep_agrees_with_asking_of_every_span_what_waits_in_it(spans: Trace):
    forest, paths = walked(make_batch(spans))

    work = work_of(forest, paths)

    assert [(w, h) for w, h in zip(work.work_ns.tolist(), work.hidden_ns.tolist(), strict=True)] == [
        slow_work(forest, paths, node) for node in range(len(forest))
    ]


def slow_work(forest: Forest, paths: CriticalPaths, node: int) -> tuple[int, int]:
    """Work and hidden work of one node: of each stretch between two moments, who is there."""
    begin, end = int(forest.start[node]), int(forest.end[node])
    blocking = [child for child in forest.children_of(node).tolist() if forest.relation[child] == BLOCKING]
    waits = [(int(forest.start[child]), int(forest.end[child])) for child in blocking]
    on_path = [
        (int(paths.section_start[at]), int(paths.section_end[at]))
        for at in np.flatnonzero(paths.section_node == node).tolist()
    ]
    moments = sorted({m for stretch in (*waits, *on_path, (begin, end)) for m in stretch if begin <= m <= end})
    work = hidden = 0
    for low, high in pairwise(moments):
        if not any(a <= low and high <= b for a, b in waits):
            work += high - low
            hidden += 0 if any(a <= low and high <= b for a, b in on_path) else high - low
    return work, hidden


def test_work_beside_a_longer_sibling_is_hidden():
    batch = read_trace("shop 0-28; price 3-12 in shop; stock 3-22 in shop")

    forest, paths = walked(batch)
    work = work_of(forest, paths)

    name = [batch.text(int(batch.service[row])) or batch.text(int(batch.name[row])) for row in forest.row]
    found = {of: each for of, *each in zip(name, work.work_ns.tolist(), work.hidden_ns.tolist(), strict=True)}
    assert found == {"shop": [9, 0], "price": [9, 9], "stock": [19, 0]}


@some
@given(traces())
def test_operations_of_a_population_have_the_work_of_their_spans(spans: Trace):
    batch = make_batch(spans)
    forest, paths = walked(batch)

    population = population_of(batch)

    is_own = gap_callees(forest, find_dependencies(forest, paths)) < 0
    work = work_of(forest, paths)
    assert population.work_ns.sum() == work.work_ns[is_own].sum()
    assert population.hidden_ns.sum() == work.hidden_ns[is_own].sum()
    assert (population.hidden_ns <= population.work_ns).all()


def test_traces_weigh_what_they_stand_for():
    buy = "shop/buy#{0} 0-28 trace {0}; stock/get#{0} 3-22 in shop/buy#{0} trace {0}"
    price = "price/get#{0} 3-{1} in shop/buy#{0} trace {0}"
    batch = read_trace("; ".join(f"{buy}; {price}".format(*each) for each in ((1, 13), (2, 7))))

    work = measure_hidden_work(population_of(batch, weight=np.array([1.0] * 3 + [3.0] * 3)))

    assert work == {("price", "get"): HiddenWork(work_ns=(10 + 3 * 4) / 4, hidden_ns=(10 + 3 * 4) / 4, traces=2)}
