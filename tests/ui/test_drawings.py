"""Waterfall, flame graph, bars and graph: shapes from values."""

import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from collector.store.values import CallPath, PathShare, Point, Window
from ui.draw.bars import bar_parts, path_bar, sparkline
from ui.draw.flame import frames
from ui.draw.graph import GraphBox, GraphRow, GraphWire, dependency_graph
from ui.draw.scatter import area_of
from ui.draw.svg import Shape, picture, render, shape
from ui.draw.waterfall import Axis, Bar, Step, path_line, time_axis, waterfall

SECOND = 1_000_000_000


def corners(d: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"[ML](\S+?) (\S+?)(?=[ML]|$)", d)]


@st.composite
def sections(draw):
    """Rows that touch in time, as the sections of a path do."""
    rows = draw(st.integers(1, 30))
    lengths = draw(st.lists(st.integers(1, 10**9), min_size=1, max_size=60))
    owners = draw(st.lists(st.integers(0, rows - 1), min_size=len(lengths), max_size=len(lengths)))
    ends = [sum(lengths[: i + 1]) for i in range(len(lengths))]
    starts = [0, *ends[:-1]]
    return rows, [Step(row, start, end) for row, start, end in zip(owners, starts, ends, strict=True)]


# The path through the waterfall


@given(sections())
def test_the_path_is_one_unbroken_line_from_left_to_right(drawn):
    rows, steps = drawn

    inside, away = path_line(steps, Axis(0, steps[-1].end_ns), rows)

    assert inside.count("M") == 1
    assert away == ""
    at = corners(inside)
    assert at[0][0] == 0
    assert at[-1][0] == 100_000
    assert all(b[0] >= a[0] for a, b in pairwise(at))
    assert all(a[0] == b[0] or a[1] == b[1] for a, b in pairwise(at) if b[0] - a[0] > 25)


@given(sections())
def test_the_path_touches_only_rows_that_had_the_time(drawn):
    rows, steps = drawn

    inside, _ = path_line(steps, Axis(0, steps[-1].end_ns), rows)

    assert {y for _, y in corners(inside)} <= {step.row * 24 + 12 for step in steps}


def test_a_section_that_is_on_another_page_is_only_pointed_at():
    steps = [Step(0, 0, 40), Step(7, 40, 60), Step(1, 60, 100)]

    inside, away = path_line(steps, Axis(0, 100), rows=2)

    assert [corner[0] for corner in corners(inside)] == [0, 40_000, 60_000, 100_000]
    assert inside.count("M") == 2
    assert away.count("M") == 2


def test_ten_thousand_short_sections_share_strokes():
    steps = [Step(i % 2, i, i + 1) for i in range(100_000)]

    inside, _ = path_line(steps, Axis(0, 100_000), rows=2)

    assert inside.count("M") == 1
    assert inside.count("L") < 25_000


@given(sections())
def test_what_each_span_owns_adds_up_to_the_whole_width(drawn):
    rows, steps = drawn
    axis = Axis(0, steps[-1].end_ns)

    drawing = waterfall([Bar("", 0, axis.end_ns)] * rows, steps, [], axis, "a trace")

    owned = sum(float(rect.attribute("width").rstrip("%")) for rect in drawing.with_class("own"))
    unseen = sum((s.end_ns - s.start_ns) / axis.end_ns < 1 / 3_900 for s in steps)
    assert 100 - 0.03 * unseen - 0.006 * len(steps) <= owned <= 100 + 0.006 * len(steps)


def test_ambiguous_failed_and_optional_are_told_apart_by_more_than_colour():
    bars = [
        Bar("a", 0, 100, on_path=True),
        Bar("b", 0, 50, failed=True),
        Bar("c", 0, 50, optional=True, events_ns=(7,)),
    ]

    drawing = waterfall(bars, [Step(0, 0, 100, ambiguous=True)], [], Axis(0, 100), "a trace")

    assert len(drawing.with_class("own-ambiguous")) == 1
    assert len(drawing.with_class("cross")) == 1
    assert len(drawing.with_class("bar-optional")) == 1
    assert len(drawing.with_class("event")) == 1


def test_a_span_that_is_only_stood_for_owns_nothing_in_the_picture():
    drawing = waterfall([Bar("a", 0, 100)], [Step(0, 0, 100, owns=False)], [], Axis(0, 100), "a trace")

    assert drawing.with_class("own") == []
    assert drawing.with_class("path-line") != []


def test_a_trace_without_length_is_drawn():
    drawing = waterfall([Bar("a", 0, 0)], [], [], Axis(0, 0), "a trace")

    assert render(drawing)
    assert render(time_axis(Axis(0, 0)))


# Flame graph


def call(id: int, parent: int, mean: float, name: str = "x") -> CallPath:
    return CallPath(id, parent, name, "", "server", mean, 1.0)


def test_a_frame_is_as_wide_as_itself_and_all_below_it():
    made = {f.call.id: f for f in frames([call(1, 0, 10), call(2, 1, 30), call(3, 1, 40), call(4, 3, 20)])}

    assert made[1].total_ns == 100
    assert made[3].total_ns == 60
    assert [made[i].depth for i in (1, 2, 3, 4)] == [0, 1, 1, 2]


@given(st.lists(st.tuples(st.integers(0, 20), st.floats(0, 1e9)), min_size=1, max_size=25))
def test_frames_of_a_caller_lie_inside_it_side_by_side(drawn):
    calls = [call(i + 1, min(parent, i), mean) for i, (parent, mean) in enumerate(drawn)]

    made = frames(calls)

    by_id = {frame.call.id: frame for frame in made}
    assert len(made) == len(calls)
    for frame in made:
        inside = [f for f in made if f.call.parent == frame.call.id]
        assert sum(f.total_ns for f in inside) <= frame.total_ns * (1 + 1e-9) + 1e-6
        if frame.depth:
            above = by_id[frame.call.parent]
            assert frame.start_ns >= above.start_ns
            assert frame.start_ns + frame.total_ns <= (above.start_ns + above.total_ns) * (1 + 1e-9) + 1e-6


# Bars


def test_the_path_bar_names_the_largest_and_sums_up_the_rest():
    shares = [PathShare(f"s{i}", "", 10.0, share, 1.0) for i, share in enumerate((0.4, 0.3, 0.1, 0.1, 0.06, 0.04))]

    parts = bar_parts(shares)

    assert [part.name for part in parts] == ["s0", "s1", "s2", "s3", "2 others"]
    assert [part.shade for part in parts] == ["path-1", "path-2", "path-3", "path-4", "path-rest"]
    assert abs(sum(part.share for part in parts) - 1) < 1e-9
    widths = [float(r.attribute("width")[:-1]) for r in path_bar(parts).walk() if r.tag == "rect"]
    assert abs(sum(widths) - 100) < 0.05


def test_a_single_further_service_keeps_its_name():
    shares = [PathShare(name, "", 1.0, 0.2, 1.0) for name in "abcde"]

    assert [part.name for part in bar_parts(shares)] == list("abcde")


def test_a_sparkline_has_a_gap_where_no_trace_was_and_a_mark_where_one_failed():
    series = [
        Point(i * 60 * SECOND, traces, failed, 1e6, 2e6)
        for i, (traces, failed) in enumerate(((5, 0), (5, 1), (0, 0), (3, 0), (3, 0)))
    ]

    drawing = sparkline(series)

    assert len(drawing.with_class("spark-line")) == 2
    assert len(drawing.with_class("spark-failed")) == 1


def test_a_time_without_neighbours_is_a_dot():
    series = [Point(i * 60 * SECOND, int(i == 1), 0, 1e6, 2e6) for i in range(4)]

    (dot,) = sparkline(series).with_class("spark-dot")

    assert dot.attribute("d") == "M1.5 2h0"


def test_marks_of_failed_traces_stay_within_a_sparkline():
    series = [Point(i, 10.0, 1.0, 5.0, 9.0) for i in range(3)]

    marks = sparkline(series).with_class("spark-failed")

    assert [(float(mark.attribute("x")), float(mark.attribute("width"))) for mark in marks] == [
        (0.0, 1.0),
        (1.0, 1.0),
        (2.0, 1.0),
    ]


# Graph


def graph_of(requirement: str, share: float = 0.0, badge: str = "") -> Shape:
    boxes = [
        GraphBox("a", "shop", "service", 0.4, "", rows=(GraphRow("POST /checkout", 0.4),)),
        GraphBox("b", "bank", "external", 0.6, ""),
    ]
    return dependency_graph(boxes, [GraphWire("a", "b", 0, -1, share, requirement, "words", badge)], "a journey")


def test_each_requirement_is_drawn_its_own_way():
    assert graph_of("mandatory").with_class("arrow-filled") != []
    assert graph_of("optional").with_class("arrow-filled") == []
    assert [mark.children[0].children for mark in graph_of("undetermined").with_class("unknown-mark")] == [("words",)]
    for requirement in ("mandatory", "optional", "mixed", "undetermined"):
        assert len(graph_of(requirement).with_class(f"wire-{requirement}")) == 1


def test_the_critical_path_has_its_colour_and_a_width_by_its_share():
    thin, thick, off = (graph_of("mandatory", share).with_class("wire-line")[0] for share in (0.1, 0.9, 0.0))

    assert float(thin.attribute("stroke-width")) < float(thick.attribute("stroke-width"))
    assert float(off.attribute("stroke-width")) < float(thin.attribute("stroke-width"))
    assert graph_of("mandatory", 0.5).with_class("wire-on") != []
    assert graph_of("mandatory", 0.0).with_class("wire-on") == []


def test_a_path_over_broken_lines_stays_continuous():
    assert graph_of("undetermined", 0.5).with_class("wire-under") != []
    assert graph_of("undetermined", 0.0).with_class("wire-under") == []


def test_a_difference_between_declared_and_observed_is_a_badge():
    assert len(graph_of("mandatory", badge="declared optional, is mandatory").with_class("wire-badge")) == 1


def test_calls_that_fail_say_so_beside_their_arrow():
    boxes = [GraphBox("a", "shop", "service", 0.4, ""), GraphBox("b", "bank", "external", 0.6, "")]

    def marks(failed_share: float) -> list[Shape]:
        wire = GraphWire("a", "b", -1, -1, 0.5, "mandatory", "", failed_share=failed_share)
        return dependency_graph(boxes, [wire], "a journey").with_class("wire-failed")

    assert [mark.children for mark in marks(0.21)] == [("✕ 21\u00a0%",)]
    assert marks(0.005) == []


def test_words_beside_an_arrow_stand_on_the_side_that_the_wire_does_not_come_from():
    boxes = [GraphBox(name, name, "service", 0.2, "") for name in "abcde"]
    wires = [GraphWire("a", name, -1, -1, 0.2, "mandatory", "", failed_share=0.5) for name in "bcde"]

    drawn = dependency_graph(boxes, wires, "a journey")

    ends = [float(re.findall(r"[\d.]+", arrow.attribute("d"))[3]) for arrow in drawn.with_class("arrow-filled")]
    beside = sorted(float(words.attribute("y")) for words in drawn.with_class("path-share"))
    highest, lowest = min(ends), max(ends)
    assert beside[0] < highest
    assert beside[-1] > lowest
    further = zip(drawn.with_class("wire-failed"), beside, strict=True)
    assert {round(float(mark.attribute("y")) - at) for mark, at in further} == {-12, 12}


def test_a_service_that_calls_itself_is_drawn_as_a_loop():
    boxes = [GraphBox("a", "shop", "service", 1.0, "")]
    wires = [GraphWire("a", "a", -1, -1, 0.0, "mandatory", "")]

    drawing = dependency_graph(boxes, wires, "a journey")

    assert "C" in drawing.with_class("wire-line")[0].attribute("d")


# Markup


@given(st.text(max_size=60))
def test_no_text_becomes_markup(text):
    markup = str(render(picture(shape("text", text, x=1, y=2), view=(10, 10), name=text, description=text)))

    inside = re.sub(r"</?(svg|text|title|desc)( [^<>]*)?>", "", markup)
    assert "<" not in inside
    assert ">" not in inside


def test_an_attribute_cannot_be_left():
    markup = str(render(shape("a", href='"><script>alert(1)</script>')))

    assert "<script>" not in markup
    assert markup.count('"') == 2


# Scatter


def test_a_short_burst_gets_the_width_of_the_plot_for_itself():
    hour = Window(0, 3_600 * SECOND)

    burst = area_of([1_800 * SECOND, 1_860 * SECOND], [5, 5], hour)
    spread = area_of([600 * SECOND, 2_400 * SECOND], [5, 5], hour)
    single = area_of([1_800 * SECOND], [5], hour)

    assert (burst.start_unix_nano, burst.end_unix_nano) == (1_797 * SECOND, 1_863 * SECOND)
    assert (spread.start_unix_nano, spread.end_unix_nano) == (0, 3_600 * SECOND)
    assert single.start_unix_nano < 1_800 * SECOND < single.end_unix_nano


@given(st.lists(st.integers(0, 999), max_size=5), st.integers(1, 1_000))
def test_every_trace_of_a_window_is_inside_the_plot(starts, length):
    window = Window(0, length)

    area = area_of([start for start in starts if start < length], [1] * len(starts), window)

    assert 0 <= area.start_unix_nano < area.end_unix_nano
    assert all(area.start_unix_nano <= start <= area.end_unix_nano for start in starts if start < length)
