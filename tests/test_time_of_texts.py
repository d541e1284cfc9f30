"""What a stranger's text costs: time in proportion to its length, whatever stands in it.

A regular expression holds the interpreter while it runs, and receiving waits with it.
"""

import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from collector.core.contracts.names import OperationName
from collector.core.formats.otlp_json import translate_request
from collector.core.graph import GraphNode
from ui.draw.text import breakable
from ui.views.errors import BadAddress
from ui.views.jaeger_api import parse_go_duration_ns
from ui.views.search_words import MOST_CHARACTERS, read_words

LENGTH = MOST_CHARACTERS // 4
TOO_STEEP = 11
"""Times the time for four times the text: 4 in proportion, 16 if it grows with the square."""


def _cpu_s(read: Callable[[str], object], text: str) -> float:
    began = time.thread_time()
    with suppress(BadAddress):
        read(text)
    return time.thread_time() - began


def double(text: str) -> object:
    value = {"doubleValue": f"{text}x"}
    span = {"attributes": [{"key": "k", "value": value}]}
    return translate_request({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})


@pytest.mark.parametrize(
    ("read", "piece"),
    [
        (read_words, "_"),
        (read_words, 'a="'),
        (read_words, "https://a/"),
        (read_words, "trace 0000000000000000 "),
        (breakable, "/"),
        (lambda text: parse_go_duration_ns("minDuration", text), "1"),
        (double, "1"),
        (lambda text: OperationName("a*a*b").matches(GraphNode(text, "x", "server")), "a"),
    ],
)
def test_four_times_the_text_takes_about_four_times_as_long(read, piece):
    text = piece * (LENGTH // len(piece))

    assert min(_cpu_s(read, text * 4) for _ in range(3)) < TOO_STEEP * min(_cpu_s(read, text) for _ in range(5))


def test_a_number_with_more_digits_than_python_reads_is_refused():
    with pytest.raises(BadAddress):
        parse_go_duration_ns("minDuration", "1" * 5_000 + "s")


def test_the_search_box_refuses_what_is_too_long_to_be_words():
    with pytest.raises(BadAddress, match=r"10,001 characters"):
        read_words("a" * (MOST_CHARACTERS + 1))
