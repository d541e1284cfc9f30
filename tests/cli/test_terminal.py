"""What a terminal can show, and text that cannot harm it."""

import doctest
import io

import pytest
from rich.cells import cell_len
from rich.text import Text

import collector.core.formats.protobuf
import cpdd.cli._otlp_http
import cpdd.cli._terminal
import cpdd.settings
from cpdd.cli._terminal import ASCII, UNICODE, Look, Printer, look_of, printable, say


@pytest.mark.parametrize(
    ("encoding", "glyphs"), [("utf-8", UNICODE), ("ascii", ASCII), ("latin-1", ASCII), ("cp437", ASCII)]
)
def test_signs_are_those_that_the_terminal_has(encoding, glyphs):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)

    assert look_of(stream).glyphs is glyphs


def test_columns_overrule_the_width_and_a_very_narrow_terminal_is_not_fitted(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")

    widths = []
    for columns in ("140", "20"):
        monkeypatch.setenv("COLUMNS", columns)
        widths.append(look_of(stream).width)

    assert widths == [140, 60]


@pytest.mark.parametrize("look", [Look(glyphs=UNICODE), Look(glyphs=ASCII)])
@pytest.mark.parametrize("text", ["short", "a rather long operation", "服务服务服务服务服务", "", "é" * 30])
@pytest.mark.parametrize("width", [0, 1, 2, 5, 11, 12, 40])
def test_cut_and_squeezed_text_has_the_width_it_was_given(look, text, width):
    for fitted in (look.cut(text, width), look.squeeze(text, width)):
        assert cell_len(fitted) <= max(width, 0)
        if cell_len(text) <= width:
            assert fitted == text


def test_squeezed_text_keeps_its_end():
    assert Look().squeeze("hipstershop.CheckoutService/PlaceOrder", 20) == "hipste…ce/PlaceOrder"


@pytest.mark.parametrize("text", ["\x1b[2J", "a\rb", "\u202eabc", "\x00", "\ud800", "a\nb", "\x9b31m"])
def test_nothing_of_a_stranger_moves_the_cursor_or_turns_the_line(text):
    assert printable(text).isprintable()


def test_no_name_looks_like_another_by_a_letter_that_nobody_sees():
    assert printable("cart\u3164 \u2800東京 café") == "cart� �東京 café"


def test_words_keep_our_line_breaks_and_lose_a_strangers_control_characters(capsys):
    say("one\n  two \x1b[31m")

    assert capsys.readouterr().err == "one\n  two �[31m\n"


def test_a_character_that_the_terminal_has_not_becomes_a_question_mark(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)
    monkeypatch.setattr("sys.stdout", stream)

    Printer().print(Text("kaffee für 服务"))

    assert stream.buffer.getvalue() == b"kaffee f?r ??\n"


@pytest.mark.parametrize(
    "module", [cpdd.settings, cpdd.cli._terminal, cpdd.cli._otlp_http, collector.core.formats.protobuf]
)
def test_examples_in_docstrings_are_true(module):
    result = doctest.testmod(module)

    assert result.failed == 0
    assert result.attempted > 0


def test_sentences_are_wrapped_and_a_number_stays_with_its_unit():
    lines = Look(60).wrapped("a sentence of some length that ends near the end of line 12\u00a0ms later, and goes on")

    assert max(map(cell_len, lines)) <= 60
    assert any("12\u00a0ms" in line for line in lines)


def test_arrows_and_units_have_ascii_forms():
    assert Look(60, ASCII).text("shop → cart: −3\u00a0µs…") == "shop -> cart: -3 us.."
