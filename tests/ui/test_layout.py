"""The layered layout: what must hold for any graph."""

import gzip
import json
import random
import sys
from itertools import combinations, pairwise
from pathlib import Path

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ui.draw.graph import GraphBox, GraphWire, dependency_graph
from ui.draw.layout import Box, Spacing, Wire, layered

LARGE = Path(__file__).parents[2] / "../shared/data/formats/jaeger-dependencies.large.json.gz"


@st.composite
def graphs(draw, most=12):
    count = draw(st.integers(1, most))
    heights = draw(st.lists(st.floats(10, 120), min_size=count, max_size=count))
    ends = st.integers(0, count - 1)
    pairs = draw(st.lists(st.tuples(ends, ends, st.floats(0.1, 40)), max_size=3 * count))
    return [Box(i, 100.0, h) for i, h in enumerate(heights)], [Wire(a, b, w) for a, b, w in pairs]


@given(graphs())
@settings(max_examples=200)
def test_boxes_never_overlap(graph):
    boxes, wires = graph

    placed = layered(boxes, wires).boxes

    by_rank = {}
    for box in boxes:
        by_rank.setdefault(placed[box.id].rank, []).append((placed[box.id].y, placed[box.id].y + box.height))
    for column in by_rank.values():
        for (_, bottom), (top, _) in pairwise(sorted(column)):
            assert top - bottom >= Spacing().between_boxes - 0.01


@given(graphs())
@settings(max_examples=200)
def test_a_caller_stands_left_of_its_callee_unless_a_cycle_was_cut_there(graph):
    boxes, wires = graph

    layout = layered(boxes, wires)

    for i, wire in enumerate(wires):
        left, right = layout.boxes[wire.source], layout.boxes[wire.target]
        assert (left.rank < right.rank) != (i in layout.reversed)


@given(graphs())
@settings(max_examples=200)
def test_a_graph_without_cycles_has_nothing_cut(graph):
    boxes, wires = graph
    acyclic = [wire for wire in wires if wire.source < wire.target]

    assert layered(boxes, acyclic).reversed == frozenset()


@given(graphs())
@settings(max_examples=100)
def test_a_wire_runs_from_the_side_of_its_source_to_the_side_of_its_target(graph):
    boxes, wires = graph
    sizes = {box.id: (box.width, box.height) for box in boxes}

    layout = layered(boxes, wires)

    for i, (wire, route) in enumerate(zip(wires, layout.routes, strict=True)):
        if wire.source == wire.target:
            assert route == ()
            continue
        for (x, y), end, leaves in ((route[0], wire.source, True), (route[-1], wire.target, False)):
            at, (width, height) = layout.boxes[end], sizes[end]
            right_side = leaves != (i in layout.reversed)
            assert x == pytest.approx(at.x + width if right_side else at.x)
            assert y == pytest.approx(at.y + height / 2, abs=0.01)


@given(graphs())
@settings(max_examples=100)
def test_everything_lies_inside_the_picture(graph):
    boxes, wires = graph

    layout = layered(boxes, wires)

    for box in boxes:
        at = layout.boxes[box.id]
        assert at.x >= 0
        assert at.y >= 0
        assert at.x + box.width <= layout.width + 0.01
        assert at.y + box.height <= layout.height + 0.01
    for route in layout.routes:
        assert all(0 <= x <= layout.width and -0.01 <= y <= layout.height + 0.01 for x, y in route)


@given(graphs())
@settings(max_examples=50)
def test_the_same_graph_gives_the_same_picture(graph):
    assert layered(*graph) == layered(*graph)


def test_the_heavy_path_runs_straight():
    boxes = [Box(name, 100, 30) for name in "abcdefg"]
    path = [Wire("a", "d", 40), Wire("d", "g", 40)]
    others = [Wire("a", "b"), Wire("a", "c"), Wire("a", "e"), Wire("d", "f")]

    layout = layered(boxes, others + path)

    heights = [layout.boxes[name].y for name in "adg"]
    assert max(heights) - min(heights) < 8


def test_crossings_that_can_be_avoided_are_avoided():
    boxes = [Box(name, 100, 30) for name in ("a", "b", "x", "y")]
    wires = [Wire("a", "y"), Wire("b", "x")]

    layout = layered(boxes, wires)

    above_left = layout.boxes["a"].y < layout.boxes["b"].y
    above_right = layout.boxes["y"].y < layout.boxes["x"].y
    assert above_left == above_right


def test_a_cycle_is_cut_where_it_is_lightest():
    boxes = [Box(name, 100, 30) for name in "abc"]
    wires = [Wire("a", "b", 30), Wire("b", "c", 30), Wire("c", "a", 1)]

    layout = layered(boxes, wires)

    assert layout.reversed == {2}
    assert [layout.boxes[name].rank for name in "abc"] == [0, 1, 2]


def test_a_wire_between_unknown_boxes_is_an_error():
    with pytest.raises(KeyError):
        layered([Box("a", 10, 10)], [Wire("a", "nowhere")])


@pytest.mark.skipif(not LARGE.exists(), reason="../shared/data is not here")
def test_a_graph_of_1238_services_is_drawn_whole_and_without_overlap():
    calls = json.loads(gzip.decompress(LARGE.read_bytes()))
    names = sorted({call["parent"] for call in calls} | {call["child"] for call in calls})
    boxes = [GraphBox(name, name, "service", 0.0, name) for name in names]
    wires = [GraphWire(c["parent"], c["child"], -1, -1, 0.0, "undetermined", "") for c in calls]

    drawing = dependency_graph(boxes, wires, "all services")

    places = [tuple(map(float, node.attribute("transform")[10:-1].split())) for node in drawing.with_class("node")]
    assert len(places) == 1_238
    assert len(drawing.with_class("wire")) == 4_271
    columns = {}
    for x, y in places:
        columns.setdefault(x, []).append(y)
    assert all(b - a >= 30 for column in columns.values() for a, b in pairwise(sorted(column)))


def test_no_cycle_is_left_among_the_wires_that_run_forwards():
    boxes = [Box(i, 50, 20) for i in range(8)]
    wires = [Wire(a, b) for a, b in combinations(range(8), 2)] + [Wire(b, a) for a, b in combinations(range(8), 2)]

    layout = layered(boxes, wires)

    kept = nx.DiGraph((w.source, w.target) for i, w in enumerate(wires) if i not in layout.reversed)
    assert nx.is_directed_acyclic_graph(kept)


def test_work_grows_slower_than_the_square_of_the_graph():
    def calls_of(services: int) -> int:
        dice = random.Random(7)
        boxes = [Box(i, 50, 20) for i in range(services)]
        wires = [Wire(dice.randrange(services), dice.randrange(services)) for _ in range(4 * services)]
        count = 0

        def note(frame: object, event: str, argument: object) -> None:
            nonlocal count
            count += event in ("call", "c_call")

        sys.setprofile(note)
        try:
            layered(boxes, wires)
        finally:
            sys.setprofile(None)
        return count

    assert calls_of(200) < 4 * calls_of(100)
