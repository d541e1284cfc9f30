"""The whole of a large trace above its rows."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.core.explain import Explanation, explain
from tests.core.drawing import make_batch, read_trace
from tests.core.trace_strategies import traces
from ui.draw.overview import HEIGHT, Slice, funnel, overview
from ui.draw.svg import render
from ui.draw.waterfall import Axis, Bar, time_axis, waterfall
from ui.views.trace_overview import Overview, Timeline, draw_overview, overview_of

MS = 1_000_000


def overview_of_path(explained: Explanation, failed_ns: tuple[int, ...] = ()) -> Overview:
    """Return the overview of the target of an explanation."""
    begin = explained.target_start_unix_nano
    return overview_of(
        Timeline(explained, begin),
        Axis(0, explained.target_duration_ns),
        explained.nodes,
        np.array(failed_ns, np.int64),
    )


@settings(max_examples=50)
@given(traces())
def test_slices_add_up_to_the_time_of_each_service_on_the_path(spans):
    explained = explain(make_batch(spans))[0]

    seen = overview_of_path(explained)

    own = dict.fromkeys(seen.services, 0)
    rest = 0
    for node in explained.nodes:
        if node.service in own:
            own[node.service] += node.time_ns
        else:
            rest += node.time_ns
    assert [sum(each.times_ns[i] for each in seen.slices) for i in range(len(own))] == list(own.values())
    assert sum(each.rest_ns for each in seen.slices) == rest


def test_a_slice_names_the_span_that_had_most_of_it_and_counts_failures():
    (explained,) = explain(read_trace("shop 0-120; cart 30-80 in shop; bank 90-110 in shop", "ns"))

    seen = overview_of_path(explained, failed_ns=(30, 90, 90))

    named = {node.id: node.service for node in explained.nodes}
    assert [named[seen.slices[at].span] for at in (0, 29, 30, 79, 80, 100, 119)] == [
        *("shop", "shop", "cart", "cart", "shop", "bank", "shop"),
    ]
    assert [(at, each.failed) for at, each in enumerate(seen.slices) if each.failed] == [(30, 1), (90, 2)]
    assert seen.services == ("shop", "cart", "bank")


def test_a_slice_of_services_beyond_those_named_says_others():
    calls = "; ".join(f"{name} {at}-{at + 20} in shop" for at, name in zip(range(0, 100, 20), "abcde", strict=True))
    (explained,) = explain(read_trace(f"shop 0-120; {calls}", "ns"))
    seen = overview_of_path(explained)
    (at,) = {i for i, each in enumerate(seen.slices) if each.rest_ns and not seen.slices[i - 1].rest_ns}

    drawn = render(draw_overview(seen, "/traces/1?", Axis(0, 120))["overview"])

    assert f"from {at}\u202fns: others 100\u202f%" in drawn.replace("\xa0", "\u202f")
    assert "not on the path" not in drawn


def test_the_strip_is_full_where_the_path_has_time_and_marks_the_rows_and_failures():
    slices = [Slice((3, 1), "first", "/first"), Slice((0, 4), "second"), Slice((0, 0), "third", failed=2)]

    drawn = overview(slices, ["path-1", "path-rest"], Axis(0, 90), Axis(30, 60), "the whole")

    (layer,) = drawn.with_class("path-1")
    assert layer.attribute("d").startswith(f"M0 {HEIGHT / 4:g}L333.33 {HEIGHT / 4:g}L333.33 {HEIGHT}")
    (lens,) = drawn.with_class("lens")
    assert (lens.attribute("x"), lens.attribute("width")) == ("33.33%", "33.33%")
    assert len(drawn.with_class("cross")) == 1
    assert 'href="/first"' in render(drawn)
    assert funnel(0.25, 0.5) == "M0 14L250 0M500 0L1000 14"


def test_a_bar_that_goes_on_outside_the_rows_window_says_so_and_its_events_there_are_left_out():
    bars = [Bar("root", 0, 100, events_ns=(5, 50, 95)), Bar("inside", 42, 58)]

    drawn = waterfall(bars, [], [], Axis(40, 60), "some rows")

    assert len(drawn.with_class("goes-on")) == 2
    assert [event.attribute("x1") for event in drawn.with_class("event")] == ["50%"]


@pytest.mark.parametrize(
    ("axis", "words"),
    [
        (Axis(0, 25_000 * MS), ["0", "5 s", "10 s", "15 s", "20 s", "25 s"]),
        (Axis(12_500 * MS, 12_510 * MS), ["12.5 s", "+2 ms", "+4 ms", "+6 ms", "+8 ms", "+10 ms"]),
    ],
)
def test_moments_of_an_axis_are_named_so_that_they_differ(axis, words):
    said = [
        shape.children[0].replace("\u202f", " ").replace("\xa0", " ") for shape in time_axis(axis).with_class("axis")
    ]

    assert said == words


@given(st.integers(0, 10**15), st.integers(1, 10**12))
def test_no_two_moments_of_an_axis_have_the_same_name(start_ns, length_ns):
    axis = Axis(start_ns, start_ns + length_ns)

    ticks = axis.ticks()

    assert all(axis.words(a) != axis.words(b) for a, b in pairwise(ticks))
    assert all(start_ns <= tick <= axis.end_ns for tick in ticks)
