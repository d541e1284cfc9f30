"""Other people's text, made fit to be shown."""

import doctest
import importlib
import pkgutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ui.draw
import ui.views
from ui.draw.text import LABEL_LENGTH, count_of, in_a_row, shown

MODULES = [
    m.name for package in (ui.draw, ui.views) for m in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_docstrings_are_true(name):
    failures, _ = doctest.testmod(importlib.import_module(name))

    assert failures == 0


@given(st.text(st.characters(), max_size=300))
def test_shown_text_can_neither_turn_the_line_around_nor_hide(text):
    said = shown(text)

    assert not set(said) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200b\u200e\u200f\x00\x1b\ufeff")
    said.encode("utf-8")


@pytest.mark.parametrize(
    "unseen", ["\u3164", "\u115f", "\u1160", "\uffa0", "\u2800", "\xad", "\u034f", "\U000e0041", "\U000e007f", "\u200b"]
)
def test_names_that_look_the_same_do_not(unseen):
    assert shown(f"cart{unseen}") == f"cart{unseen.encode('unicode_escape').decode()}"


def test_a_megabyte_is_cut_and_its_length_said():
    said = shown("x" * 1_000_000)

    assert said.endswith("… (1,000,000 characters)")
    assert len(said) < LABEL_LENGTH + 40


def test_ordinary_text_stays_as_it_is():
    for text in ("GET /cart/{id}", "Zürich → 東京", "שלום", "a\nb\tc"):
        assert shown(text) == text


def test_words_in_a_row():
    assert in_a_row([]) == ""
    assert in_a_row(["a"]) == "a"
    assert in_a_row(["a", "b", "c"]) == "a, b and c"
    assert [count_of(n, "span") for n in (0, 1, 1_200)] == ["0 spans", "1 span", "1,200 spans"]
