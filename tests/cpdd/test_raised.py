"""The line that raised, on exception events."""

import json
from pathlib import Path

import pytest
from opentelemetry import trace

import cpdd
from cpdd.raised import raised_at
from cpdd.source import SourceFinder

tracer = trace.get_tracer("tests")


def fail_inside_a_library() -> None:
    json.loads("not JSON")  # the line


LINE = 1 + [line.endswith("# the line") for line in Path(__file__).read_text().splitlines()].index(True)


def place_of(event) -> tuple[str, int, str]:
    said = event.attributes
    return said["code.file.path"], said["code.line.number"], said["code.function.name"]


def test_an_error_that_leaves_a_span_names_the_line_of_ours_it_came_through(spans):
    with pytest.raises(ValueError, match="Expecting"), tracer.start_as_current_span("work"):
        fail_inside_a_library()

    (event,) = spans.one("work").events
    assert place_of(event) == (__file__, LINE, f"{__name__}.fail_inside_a_library")


def test_the_error_of_a_declared_call_does_too(spans):
    assert cpdd.optional("tips", fallback=list)(fail_inside_a_library)() == []

    assert place_of(spans.one("tips").events[0])[1] == LINE


def test_what_the_caller_says_itself_stays(spans):
    with tracer.start_as_current_span("work") as span:
        try:
            fail_inside_a_library()
        except ValueError as error:
            span.record_exception(error, {"code.line.number": 7, "order": "1"})

    (event,) = spans.one("work").events
    assert (event.attributes["code.line.number"], event.attributes["order"]) == (7, "1")


def test_an_error_that_was_never_raised_has_no_line(spans):
    with tracer.start_as_current_span("work") as span:
        span.record_exception(ValueError("x"))

    assert "code.line.number" not in spans.one("work").events[0].attributes
    assert raised_at(ValueError("x"), SourceFinder()) == {}


def test_a_failure_of_ours_costs_the_line_and_not_the_event(spans, monkeypatch):
    def fail(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr("cpdd.raised.raised_at", fail)

    with tracer.start_as_current_span("work") as span:
        span.record_exception(ValueError("x"))

    assert spans.one("work").events[0].attributes["exception.message"] == "x"
