"""Which line of the user's own code a span comes from."""

import asyncio
import json.encoder
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import SpanKind

import cpdd
from cpdd.processors import SourceWriter, StartProcessor, write_journey
from cpdd.source import MAX_REMEMBERED, SourceFinder

tracer = trace.get_tracer("tests")

APP = ("/srv/app/shop.py", "shop")
INSTALLED = ("/srv/venv/lib/python3.11/site-packages/requests/api.py", "requests.api")
STANDARD = (json.encoder.__file__, "json.encoder")
LOOP = (asyncio.runners.__file__, "asyncio.runners")
GENERATED = ("<string>", "shop")
CONTRIB = ("/srv/src/opentelemetry/instrumentation/requests.py", "opentelemetry.instrumentation.requests")


def innermost_frame(*places: tuple[str, str]) -> FrameType:
    """The last frame of functions that call each other, each on line 2 of its file."""
    call: Callable[[], FrameType] = sys._getframe
    for path, module in reversed(places):
        scope: dict[str, Any] = {"__name__": module, "inner": call}
        exec(compile("def work():\n    return inner()", path, "exec"), scope)
        call = scope["work"]
    return call()


def source_of(span):
    return tuple(span.attributes.get(f"code.{key}") for key in ("file.path", "line.number", "function.name"))


def test_a_span_says_which_line_of_which_function_started_it(spans):
    tracer.start_span("GET").end()
    line = sys._getframe().f_lineno - 1

    this = "test_a_span_says_which_line_of_which_function_started_it"
    assert source_of(spans.one("GET")) == (__file__, line, f"{__name__}.{this}")


def test_a_mark_says_where_the_call_is_made_and_not_where_it_is_declared(spans):
    charge = cpdd.mandatory("charge")(lambda: None)

    charge()
    line = sys._getframe().f_lineno - 1

    assert source_of(spans.one("charge"))[:2] == (__file__, line)


def test_the_function_is_named_with_its_module_and_its_class(spans):
    class Cart:
        def reserve(self) -> None:
            tracer.start_span("GET").end()

    Cart().reserve()

    assert source_of(spans.one("GET"))[2].startswith(f"{__name__}.")
    assert source_of(spans.one("GET"))[2].endswith("Cart.reserve")


def test_each_call_of_one_function_gives_the_line_it_is_on(spans):
    def twice() -> None:
        tracer.start_span("first").end()
        tracer.start_span("second").end()

    twice()

    assert source_of(spans.one("second"))[1] == source_of(spans.one("first"))[1] + 1


def test_line_and_function_are_those_of_the_users_frame():
    place, line = SourceFinder().find(innermost_frame(APP))

    assert (place.path, line, place.function) == ("/srv/app/shop.py", 2, "shop.work")


@pytest.mark.parametrize("library", [INSTALLED, STANDARD, GENERATED, CONTRIB])
def test_libraries_are_passed_over(library):
    place, _ = SourceFinder().find(innermost_frame(APP, library, library))

    assert place.path == "/srv/app/shop.py"


@pytest.mark.parametrize("kind", [SpanKind.SERVER, SpanKind.CONSUMER])
def test_spans_that_a_framework_starts_for_an_arrival_have_no_source(spans, kind):
    tracer.start_span("request", kind=kind).end()

    assert source_of(spans.one("request")) == (None, None, None)


def test_whoever_runs_the_event_loop_did_not_start_the_span():
    assert SourceFinder().find(innermost_frame(APP, LOOP, INSTALLED)) is None


def test_a_package_that_is_installed_may_be_declared_the_users_own():
    place, _ = SourceFinder(["requests"]).find(innermost_frame(APP, INSTALLED))

    assert place.path == INSTALLED[0]


def test_a_package_is_not_taken_for_another_whose_name_begins_alike():
    place, _ = SourceFinder(["request"]).find(innermost_frame(APP, INSTALLED))

    assert place.path == APP[0]


def test_a_program_started_as_a_module_is_named_by_that_module(run_program, tmp_path):
    (tmp_path / "service.py").write_text(
        "import sys\nfrom cpdd.source import SourceFinder\n"
        "def serve(): return SourceFinder(['service']).find(sys._getframe())\n"
        "print(serve()[0].function)\n"
    )

    printed = run_program(
        f"import runpy, sys; sys.path.insert(0, {str(tmp_path)!r})\nrunpy.run_module('service', run_name='__main__')"
    )

    assert printed == "service.serve\n"


def test_what_is_remembered_is_bounded():
    finder = SourceFinder()

    for number in range(MAX_REMEMBERED + 10):
        place, _ = finder.find(innermost_frame((f"/srv/app/{number}.py", "made")))
        assert place.path == f"/srv/app/{number}.py"

    assert len(finder._places) <= MAX_REMEMBERED


class RecordOnly(Sampler):
    def should_sample(self, *args: object, **kwargs: object) -> SamplingResult:
        return SamplingResult(Decision.RECORD_ONLY)

    def get_description(self) -> str:
        return "records without sampling"


def test_a_span_that_is_recorded_and_not_sampled_pays_for_no_source():
    provider = TracerProvider(sampler=RecordOnly())
    provider.add_span_processor(StartProcessor(SourceWriter(SourceFinder())))

    span = provider.get_tracer("tests").start_span("GET")

    assert span.is_recording()
    assert dict(span.attributes) == {}


def test_a_finder_that_fails_costs_the_source_and_neither_the_span_nor_what_others_write(caplog, monkeypatch):
    monkeypatch.setattr("cpdd.failures._told", set())
    provider = TracerProvider()
    provider.add_span_processor(StartProcessor(SourceWriter(None), write_journey))

    with cpdd.journey("browse"):
        span = provider.get_tracer("tests").start_span("GET")

    assert dict(span.attributes) == {"cpdd.journey": "browse"}
    assert "failed, the program goes on without it" in caplog.text
