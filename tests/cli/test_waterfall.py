"""The waterfall of a trace as text: drawings of traces, and the pictures that they make."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.text import Text

from collector.core.explain import Explanation, explain
from collector.core.spans import SpanBatch
from cpdd.cli._path_text import path_lines
from cpdd.cli._rows import choose_rows
from cpdd.cli._terminal import ASCII, PATH_STYLE, Look
from cpdd.cli._waterfall import waterfall
from tests.core.drawing import read_trace
from ui.draw.units import NBSP


def explained(drawing: str, unit: str = "ms", **options: object) -> tuple[Explanation, SpanBatch]:
    batch = read_trace(drawing, unit)
    (explanation,) = explain(batch, **options)
    return explanation, batch


def picture(drawing: str, width: int = 62, most: int | None = None, look: Look | None = None) -> str:
    """The waterfall of a drawing, as plain text."""
    explanation, _ = explained(drawing)
    look = look or Look(width)
    lines = waterfall(explanation, choose_rows(explanation, most), frozenset(), look).lines
    return "\n".join(line.plain for line in lines).replace(NBSP, " ")


def whole(drawing: str, width: int = 80, **options: object) -> str:
    """All that is printed of a drawing, as plain text."""
    explanation, batch = explained(drawing, **options)
    return "\n".join(line.plain for line in path_lines(explanation, batch, Look(width)))


def test_the_path_is_one_line_down_into_calls_and_back_up():
    drawn = picture("shop 0-100; cart 20-60 in shop; redis 30-40 in cart; mail 70-90 in shop")

    assert drawn == (
        "         on path  0                     50 ms\n"
        "shop       40 ms  ━━━━━━━━━┓────────────────┏━━━━┓────────┏━━━\n"
        " cart      30 ms          ─┗━━━┓────┏━━━━━━━┛    ┃        ┃\n"
        "  redis    10 ms               ┗━━━━┛            ┃        ┃\n"
        " mail      20 ms                                ─┗━━━━━━━━┛"
    )


def test_back_to_back_calls_are_all_on_the_path():
    drawn = picture("a 0-100; b 0-50 in a; c 50-100 in a")

    assert drawn.splitlines()[2:] == [
        " b    50 ms  ━━━━━━━━━━━━━━━━━━━━━━━━━┓",
        " c    50 ms                          ─┗━━━━━━━━━━━━━━━━━━━━━━━",
    ]


def test_what_nobody_waited_for_is_dotted_and_cut_where_it_goes_far_beyond():
    drawn = picture("a 0-100; b 90-1000 in a")

    last = drawn.splitlines()[-1]
    assert "┄" in last
    assert last.endswith("›")
    assert "━" not in last


def test_ambiguous_time_is_drawn_as_such():
    drawn = picture("a 0-100; b 0-60 in a; c 10-90 in a")

    assert drawn.splitlines()[1] == "a     20 ms  ╍╍╍╍╍┓──────────────────────────────────────┏━━━━"


def test_a_stretch_shorter_than_a_column_leaves_a_speck():
    drawn = picture("a 0-1000; b 500-501 in a")

    assert "•" in drawn.splitlines()[-1]


def test_a_service_is_named_where_it_is_another_than_above():
    drawn = picture("shop/GET 0-9; shop/ask 1-8 in shop/GET; db/SELECT 2-7 in shop/ask; db/fetch 3-4 in db/SELECT")

    labels = [line[:12].rstrip() for line in drawn.splitlines()[1:]]
    assert labels == ["shop GET", " ask", "  db SELECT", "   fetch"]


def test_ascii_terminals_get_ascii():
    drawn = picture("a 0-100; b 10-60 in a; c 90-150 in a", look=Look(70, ASCII))

    assert drawn.isascii()


def test_only_so_many_rows_are_shown_and_the_longest_on_the_path_among_them():
    children = "; ".join(f"c{i} {i * 10}-{i * 10 + i} in a" for i in range(1, 10))
    explanation, _ = explained(f"a 0-100; {children}")

    rows = choose_rows(explanation, 4)

    shown = [explanation.nodes[row.node].operation for row in rows.rows]
    assert shown == ["a", "c7", "c8", "c9"]
    assert rows.hidden_on_path == 6
    assert rows.hidden_time_ns == sum(range(1, 7)) * 1_000_000
    assert rows.rows[0].hidden == 6


def test_what_lies_above_a_shown_span_is_shown_though_it_has_no_time():
    explanation, _ = explained("a 0-100; b 0-100 in a; c 0-100 in b; d 0-100 in c; e 0-1 in a")

    rows = choose_rows(explanation, 4)

    assert [explanation.nodes[row.node].operation for row in rows.rows] == ["a", "b", "c", "d"]
    assert [row.depth for row in rows.rows] == [0, 1, 2, 3]


@st.composite
def drawings(draw: st.DrawFn) -> str:
    """Traces of many shapes, with names of any width."""
    statements = ["root/an_operation_with_a_long_name#0 0-1000"]
    services = st.sampled_from(["shop", "服务", "a-service-with-a-very-long-name-indeed"])
    for i in range(1, draw(st.integers(1, 40))):
        start, length = draw(st.integers(0, 1200)), draw(st.integers(0, 400))
        parent = statements[draw(st.integers(0, i - 1))].split(" ")[0]
        label = f"{draw(services)}/op_{'x' * draw(st.integers(0, 40))}#{i}"
        statements.append(f"{label} {start}-{start + length} in {parent}")
    return "\n".join(statements)


@given(st.integers(60, 240), drawings())
@settings(max_examples=60)
def test_every_line_fits_the_terminal_whatever_the_trace(width, drawing):
    explanation, batch = explained(drawing)

    for look in (Look(width), Look(width, ASCII)):
        lines = path_lines(explanation, batch, look)

        assert [line.plain for line in lines if line.cell_len > width and not line.plain.startswith("note:")] == []


def test_the_path_alone_has_its_colour():
    explanation, _ = explained("shop 0-100; cart 20-60 in shop; late 95-900 in shop")

    lines = waterfall(explanation, choose_rows(explanation, None), frozenset(), Look(80)).lines

    for line in lines[1:]:
        coloured = {text for text in styled(line, PATH_STYLE) if text.strip()}
        assert all(set(text.strip()) <= set("━╍•┃┓┗┛┏") or "ms" in text for text in coloured)


def styled(line: Text, style: str) -> list[str]:
    return [line.plain[span.start : span.end] for span in line.spans if span.style == style]


def test_a_trace_is_told_with_its_length_its_facts_and_its_id():
    text = whole("shop/POST 0-50 error; cart/GET 10-40 in shop/POST")

    lines = text.replace(NBSP, " ").splitlines()
    assert lines[0] == "shop: POST took 50 ms and failed ✕"
    assert lines[1] == "2 spans · 2 services · 1 failed"
    assert lines[2].startswith("trace ")
    assert len(lines[2]) == len("trace ") + 32


def test_where_the_time_went_is_told_by_operation_longest_first():
    text = whole("shop 0-100; redis#1 10-25 in shop; redis#2 30-40 in shop; bank 40-90 in shop")

    lines = text.replace(NBSP, " ").split("where the time went\n")[1].splitlines()[:3]
    assert lines == [
        " 50 ms   50 %  ━━━━━━━━━━  bank bank",
        " 25 ms   25 %  ━━━━━       redis redis ×2",
        " 25 ms   25 %  ━━━━━       shop shop",
    ]


def test_network_time_of_a_client_is_called_so():
    text = whole("shop/GET 0-100 server; shop/call 0-100 client in shop/GET; bank 30-70 server in shop/call")

    assert "shop call (network or queue)" in text


def test_repairs_are_told():
    text = whole("shop 0-100 client; bank 200-250 in shop server; lost 5-6 orphan; noend 10-? in shop")

    assert "moved to fit the caller" in text
    assert "whose parent is not in the file" in text
    assert "without an end" in text


def test_names_of_strangers_cannot_harm_the_terminal():
    batch = read_trace("shop 0-100")
    batch = replace(batch, strings=tuple(text + "\x1b[31m\r\n\u202e" for text in batch.strings))
    (explanation,) = explain(batch)

    plain = "".join(line.plain for line in path_lines(explanation, batch, Look(80)))

    assert plain.replace(NBSP, " ").isprintable()


def test_a_trace_without_length_says_so():
    text = whole("a 5-5")

    assert "took 0 ms" in text.replace(NBSP, " ")
    assert "no time on the path" in text


@pytest.mark.parametrize("target", ["trace", "root"])
def test_time_in_which_nobody_worked_is_told_for_the_whole_trace(target):
    text = whole("a 0-10; b 50-60", target=target)

    assert ("nobody in this trace was working" in text) == (target == "trace")
