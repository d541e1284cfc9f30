"""The replay with other work agrees with the slow one that judges slack and drag, and with drawings done by hand."""

import importlib

import numpy as np
import pytest
from hypothesis import given, settings

from benchmarks.critical_path import single
from collector.core.assemble import assemble
from collector.core.critical_path import critical_paths
from collector.core.dependencies import find_dependencies
from collector.core.explain import explain
from collector.core.kernels import load, plain
from collector.core.population.whatif import _Jobs
from tests.core.drawing import make_batch, read_trace
from tests.core.trace_strategies import Trace, traces


def lengths(drawing: str, **changes: dict[str, float]) -> tuple[float, ...]:
    """Length of the first target under the cautious, bold and learned graph; `scale` and `shift` by operation."""
    batch = read_trace(drawing)
    forest = assemble(batch)
    names = [batch.text(int(batch.name[row])) for row in forest.row.tolist()]
    scale, shift = changes.get("scale", {}), changes.get("shift", {})
    found = change(
        forest,
        np.array([scale.get(name, 1.0) for name in names]),
        np.array([float(shift.get(name, 0.0)) for name in names]),
    )
    return tuple(found[0].tolist())


def change(forest, scale, shift):
    paths = critical_paths(forest)
    jobs = _Jobs.of(forest, find_dependencies(forest, paths).path_id)
    return load("whatif", len(forest)).change_targets(
        jobs.nodes, jobs.kids, jobs.first, jobs.low, jobs.high, forest.tick, forest.span_id, jobs.wait_first,
        jobs.waits, scale, shift,
    )  # fmt: skip


@given(traces())
@settings(max_examples=40)
def test_nothing_changed_takes_as_long_as_it_took(drawn: Trace) -> None:
    forest = assemble(make_batch(drawn))

    found = change(forest, np.ones(len(forest)), np.zeros(len(forest)))

    observed = (forest.end - forest.start)[forest.target].tolist()
    assert found.T.tolist() == [observed] * 3


@given(traces())
@settings(max_examples=40)
def test_no_work_of_one_span_saves_its_drag(drawn: Trace) -> None:
    batch = make_batch(drawn)
    forest = assemble(batch)
    (explained,) = explain(batch)
    by_id = {(node.id, node.row): node for node in explained.nodes}
    length = int((forest.end - forest.start)[forest.target][0])

    for node in range(len(forest)):
        scale = np.ones(len(forest))
        scale[node] = 0.0
        ((cautious, bold, learned),) = change(forest, scale, np.zeros(len(forest)))

        row = int(forest.row[node])
        name = batch.span_id_hex(row) + ("/server" if forest.server_half[node] else "")
        known = by_id[name, row]
        assert min(known.time_ns, length - cautious) == known.drag_ns
        assert min(known.time_ns, length - bold) == known.drag_max_ns
        assert 0 <= learned <= length


def test_work_before_between_and_after_calls_shrinks_in_proportion():
    drawing = "root 0-100; a 20-40 in root; b 50-80 in root"

    assert lengths(drawing, scale={"root": 0.5}) == (75, 75, 75)
    assert lengths(drawing, shift={"root": -25}) == (75, 75, 75)
    assert lengths(drawing, shift={"root": -500}) == (50, 50, 50)


def test_another_path_takes_over_where_siblings_run_at_once():
    drawing = "root 0-100; slow 0-100 in root; other 0-70 in root"

    assert [lengths(drawing, scale={"slow": each})[0] for each in (0.9, 0.8, 0.7, 0.5, 0)] == [90, 80, 70, 70, 70]


def test_what_began_after_two_waits_for_both_or_for_the_last_alone():
    drawing = "root 0-100; x 0-50 in root; y 0-45 in root; z 50-100 in root"

    assert lengths(drawing, scale={"x": 0.0}) == (95, 50, 95)


def test_more_work_comes_at_the_end_of_a_span_however_small_its_own_was():
    drawing = "root 0-100; a 0-60 in root; b 60-99 in root"

    assert lengths(drawing, shift={"root": 40}) == (140, 140, 140)
    assert lengths(drawing, shift={"a": 40, "b": 1}) == (141, 141, 141)


def test_slower_work_off_the_path_matters_from_where_it_becomes_the_path():
    drawing = "root 0-100; slow 0-100 in root; other 0-70 in root"

    assert [lengths(drawing, shift={"other": each})[0] for each in (10, 30, 50)] == [100, 100, 120]


def test_an_order_that_another_trace_contradicts_is_no_dependency():
    drawing = """
        root 0-100; x 0-50 in root; y 0-45 in root; z 50-100 in root
        root#2 0-100 trace 2; x#2 0-60 in root#2 trace 2; y#2 0-45 in root#2 trace 2; z#2 45-100 in root#2 trace 2
    """

    cautious, bold, learned = lengths(drawing, shift={"x": 20})

    assert (cautious, bold) == (120, 120)
    assert learned == 100, "the second trace shows that z does not wait for x"


def test_an_order_without_contradiction_is_a_dependency_in_every_turn_of_a_loop():
    drawing = "root 0-100; a 0-20 in root; b 20-40 in root; a#2 40-60 in root; b#2 60-100 in root"

    assert lengths(drawing, scale={"a": 0.5}) == (80, 80, 80)


def test_more_children_than_are_learned_wait_for_all_that_ended():
    drawing = "root 0-400; " + "; ".join(f"c#{i} {10 * i}-{10 * i + 10} in root" for i in range(40))

    assert lengths(drawing, scale={"c": 0.5}) == (200, 200, 200)


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["deep", "wide", "parallel"])
def test_the_compiled_kernels_agree_with_the_plain_ones_on_large_traces(shape: str):
    forest = assemble(single(shape, 30_000))
    scale = np.where(np.arange(len(forest)) % 3 == 0, 0.5, 1.0)
    importlib.import_module("collector.core.kernels.whatif")

    compiled = change(forest, scale, np.zeros(len(forest)))

    jobs = _Jobs.of(forest, find_dependencies(forest, critical_paths(forest)).path_id)
    by_hand = plain("whatif").change_targets(
        jobs.nodes, jobs.kids, jobs.first, jobs.low, jobs.high, forest.tick, forest.span_id, jobs.wait_first,
        jobs.waits, scale, np.zeros(len(forest)),
    )  # fmt: skip
    assert compiled.tolist() == by_hand.tolist()
