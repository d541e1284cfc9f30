"""JSON text to values: errors show the place, and one odd string does not cost the document."""

import pytest

from collector.core.formats.document import MalformedDocument, parse_json


def test_a_mistake_is_shown_with_its_line_column_and_a_caret():
    text = b'{\n  "resourceSpans": [\n    {"a": 1 // comment\n'

    with pytest.raises(MalformedDocument) as error:
        parse_json(text)

    assert str(error.value) == (
        "not valid JSON: unexpected character, expected ',' or '}'\n"
        "  at line 3, column 13\n"
        '        {"a": 1 // comment\n'
        "                ^"
    )


def test_of_a_long_line_only_what_is_around_the_mistake_is_shown():
    text = b'{"a": "' + b"x" * 5000 + b'" oops ' + b"y" * 5000

    with pytest.raises(MalformedDocument) as error:
        parse_json(text)

    assert "line 1, column 5,010" in str(error.value)
    assert len(error.value.snippet) < 200


@pytest.mark.parametrize("text", [b"", b" ", b"{", b"[1,]", b"NaN", b"{}{}", b"[" * 5000, b'{"a":"\xff"', b"\x00"])
def test_what_is_no_json_is_an_error_and_never_another_exception(text):
    with pytest.raises(MalformedDocument, match="not valid JSON"):
        parse_json(text)


@pytest.mark.parametrize("encoded", ['{"a":"ä"}'.encode("utf-8-sig"), '{"a":"ä"}'.encode("utf-16")])
def test_a_byte_order_mark_is_read(encoded):
    assert parse_json(encoded) == {"a": "ä"}


def test_text_that_is_not_unicode_comes_as_half_surrogate_pairs():
    assert parse_json(b'{"a": "\xff", "b": 1}') == {"a": "\udcff", "b": 1}
    assert parse_json(b'{"a": "\\ud800", "b": 1}') == {"a": "\ud800", "b": 1}
    assert parse_json(b'{"a": 1e400, "b": 1}') == {"a": float("inf"), "b": 1}
