"""Marks: what is recorded of declared calls, and that the program behaves as declared."""

import contextvars
import threading

import pytest
from opentelemetry import trace
from opentelemetry.trace import StatusCode

import cpdd


def requirement_and_outcome(span):
    return span.attributes["cpdd.call.requirement"], span.attributes["cpdd.call.outcome"]


def answer():
    return 42


def fail():
    raise ValueError("out of stock")


def test_a_mandatory_block_is_a_span_that_says_so_and_ends_ok(spans):
    with cpdd.mandatory("reserve"):
        pass

    assert requirement_and_outcome(spans.one("reserve")) == ("mandatory", "ok")
    assert spans.one("reserve").kind is trace.SpanKind.INTERNAL
    assert spans.one("reserve").status.status_code is StatusCode.UNSET


def test_the_requirement_is_there_when_the_span_starts(spans):
    with cpdd.mandatory("reserve"):
        at_start = dict(trace.get_current_span().attributes)

    assert at_start["cpdd.call.requirement"] == "mandatory"
    assert "cpdd.call.outcome" not in at_start


def test_a_failure_in_a_mandatory_block_goes_on_and_is_recorded(spans):
    with pytest.raises(ValueError, match="out of stock"), cpdd.mandatory("reserve"):
        fail()

    span = spans.one("reserve")
    assert requirement_and_outcome(span) == ("mandatory", "failed")
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] == "ValueError"
    assert [event.name for event in span.events] == ["exception"]


def test_a_block_without_a_name_is_named_after_the_function_around_it(spans):
    with cpdd.mandatory():
        pass

    spans.one("mandatory in test_a_block_without_a_name_is_named_after_the_function_around_it")


def test_a_decorated_function_keeps_its_name_its_answer_and_its_arguments(spans):
    @cpdd.mandatory()
    def total(price: int, *, count: int) -> int:
        """Sum."""
        return price * count

    result = total(3, count=2)

    assert result == 6
    assert (total.__name__, total.__doc__) == ("total", "Sum.")
    assert requirement_and_outcome(spans.one("total")) == ("mandatory", "ok")


def test_an_optional_call_without_a_fallback_changes_nothing_of_the_program(spans):
    with pytest.raises(ValueError, match="out of stock"):
        cpdd.optional("tips")(fail)()

    span = spans.one("tips")
    assert requirement_and_outcome(span) == ("optional", "failed")
    assert span.attributes["cpdd.call.fallback"] == "none"


def test_a_fallback_answers_in_place_of_a_failure_and_the_span_tells_both(spans):
    tips = cpdd.optional("tips", fallback=list)(fail)()

    span = spans.one("tips")
    assert tips == []
    assert requirement_and_outcome(span) == ("optional", "fallback_used")
    assert span.attributes["cpdd.call.fallback"] == "default"
    assert span.attributes["error.type"] == "ValueError"
    assert span.status.status_code is StatusCode.UNSET
    assert [event.name for event in span.events] == ["exception"]


def test_a_fallback_is_not_asked_when_the_call_answers(spans):
    asked = []

    result = cpdd.optional("tips", fallback=lambda: asked.append(1))(answer)()

    assert (result, asked) == (42, [])
    assert requirement_and_outcome(spans.one("tips")) == ("optional", "ok")


@pytest.mark.parametrize("value", [None, 0, "none today", ()])
def test_a_fallback_may_be_a_plain_value(spans, value):
    assert cpdd.optional("tips", fallback=value)(fail)() == value


def test_the_kind_of_fallback_is_recorded(spans):
    cpdd.optional("tips", fallback=list, fallback_kind="cache")(fail)()

    assert spans.one("tips").attributes["cpdd.call.fallback"] == "cache"


def test_a_fallback_that_fails_is_a_failed_call(spans):
    with pytest.raises(KeyError, match="no bestsellers"):
        cpdd.optional("tips", fallback=lambda: {}["no bestsellers"])(fail)()

    span = spans.one("tips")
    assert requirement_and_outcome(span) == ("optional", "failed")
    assert span.attributes["error.type"] == "KeyError"


def test_what_the_fallback_calls_is_inside_the_span_of_the_call(spans):
    tracer = trace.get_tracer("tests")

    def bestsellers():
        with tracer.start_as_current_span("bestsellers"):
            return ["tea"]

    cpdd.optional("tips", fallback=bestsellers)(fail)()

    assert spans.one("bestsellers").parent.span_id == spans.one("tips").context.span_id


def test_in_a_block_the_fallback_ends_the_exception_and_gives_the_value(spans):
    with cpdd.optional("tips", fallback=list) as call:
        fail()

    assert call.value == []
    assert requirement_and_outcome(spans.one("tips")) == ("optional", "fallback_used")


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_no_fallback_holds_up_the_end_of_the_program(spans, error):
    with pytest.raises(error), cpdd.optional("tips", fallback=list):
        raise error

    assert requirement_and_outcome(spans.one("tips")) == ("optional", "cancelled")


def test_a_timeout_of_the_call_itself_is_a_call_that_timed_out(spans):
    with pytest.raises(TimeoutError), cpdd.mandatory("charge"):
        raise TimeoutError("the bank's socket")

    assert requirement_and_outcome(spans.one("charge")) == ("mandatory", "timed_out")


def test_a_block_may_say_what_became_of_its_call(spans):
    with cpdd.optional("price") as call:
        call.record("fallback_used", fallback="cache")
    with cpdd.optional("audit") as call:
        call.record("not_awaited")

    assert requirement_and_outcome(spans.one("price")) == ("optional", "fallback_used")
    assert spans.one("price").attributes["cpdd.call.fallback"] == "cache"
    assert requirement_and_outcome(spans.one("audit")) == ("optional", "not_awaited")


def test_an_exception_says_it_better_than_the_block_did(spans):
    def block():
        with cpdd.optional("price") as call:
            call.record("fallback_used")
            fail()

    with pytest.raises(ValueError, match="out of stock"):
        block()

    assert requirement_and_outcome(spans.one("price")) == ("optional", "failed")


def test_marks_nest_and_the_current_span_is_restored(spans):
    outside = trace.get_current_span()

    with cpdd.optional("tips"), cpdd.mandatory("user"):
        pass

    assert spans.one("user").parent.span_id == spans.one("tips").context.span_id
    assert trace.get_current_span() is outside


def test_one_mark_serves_several_threads_at_once_each_with_its_own_call(spans):
    tips = cpdd.optional("tips", fallback=str)
    everybody_is_inside = threading.Barrier(3)
    left_with = {}

    def use(name: str, error: Exception | None) -> None:
        with trace.get_tracer("tests").start_as_current_span(name), tips as call:
            everybody_is_inside.wait()
            if error:
                raise error
            call.value = name
        left_with[name] = call.value, trace.get_current_span()

    threads = [
        threading.Thread(target=contextvars.Context().run, args=(use, name, error))
        for name, error in (("a", None), ("b", ValueError("b")), ("c", None))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    parents = {span.context.span_id: span.name for span in spans.spans}
    outcomes = {
        parents[span.parent.span_id]: span.attributes["cpdd.call.outcome"]
        for span in spans.spans
        if span.name == "tips"
    }
    assert outcomes == {"a": "ok", "b": "fallback_used", "c": "ok"}
    assert {name: value for name, (value, _) in left_with.items()} == {"a": "a", "b": "", "c": "c"}
    assert {span for _, span in left_with.values()} == {trace.INVALID_SPAN}


def test_a_block_left_in_another_context_than_it_was_entered_still_ends_its_span(spans):
    mark = cpdd.mandatory("dependency")

    contextvars.copy_context().run(mark.__enter__)
    contextvars.copy_context().run(mark.__exit__, None, None, None)

    assert requirement_and_outcome(spans.one("dependency")) == ("mandatory", "ok")


def test_a_block_cannot_have_a_deadline_and_the_message_says_what_can():
    with pytest.raises(TypeError) as error, cpdd.optional("tips", deadline_s=0.2):
        raise AssertionError("the block must not run")

    assert "0.2" in str(error.value)
    assert "hint: decorate a function, or use `async with`" in str(error.value)


def test_a_generator_cannot_be_marked_because_its_work_comes_later():
    def pages():
        yield 1

    with pytest.raises(TypeError) as error:
        cpdd.mandatory()(pages)

    assert "'pages' is a generator" in str(error.value)
    assert "hint: mark the function that loops over it" in str(error.value)


def test_marks_behave_the_same_in_a_program_that_never_called_init(run_program):
    printed = run_program(
        "import cpdd\n"
        "def fail(): raise ValueError\n"
        "print(cpdd.optional(fallback=list)(fail)())\n"
        "print(cpdd.optional(fallback=dict, deadline_s=5)(lambda: 'in time')())\n"
        "with cpdd.journey('check out'), cpdd.mandatory() as call: print('inside')\n"
        "import sys; print('opentelemetry.sdk.trace.export' in sys.modules)"
    )

    assert printed.splitlines() == ["[]", "in time", "inside", "False"]


class BrokenTracer:
    def start_span(self, *args: object, **kwargs: object) -> trace.Span:
        raise RuntimeError("a tracer of somebody's own")


class BrokenSpan(trace.NonRecordingSpan):
    def set_attribute(self, key: str, value: object) -> None:
        raise RuntimeError("a span of somebody's own")

    def end(self, end_time: int | None = None) -> None:
        raise RuntimeError("a span of somebody's own")


class BreakingTracer:
    def start_span(self, *args: object, **kwargs: object) -> trace.Span:
        return BrokenSpan(trace.INVALID_SPAN_CONTEXT)


@pytest.mark.parametrize("tracer", [BrokenTracer(), BreakingTracer()])
def test_a_failure_of_ours_costs_the_span_and_never_the_call(monkeypatch, caplog, tracer):
    monkeypatch.setattr("cpdd.calls._tracer", tracer)
    monkeypatch.setattr("cpdd.failures._told", set())
    before = trace.get_current_span()

    with cpdd.mandatory("reserve"):
        result = cpdd.optional("tips", fallback=list)(fail)()

    assert result == []
    assert cpdd.optional("tips", fallback=list)(answer)() == 42
    assert trace.get_current_span() is before
    assert "the program goes on without it" in caplog.text


def test_calls_of_a_group_say_how_many_have_to_succeed(spans):
    with cpdd.mandatory("ask a replica", group="replicas", quorum=2, attempt=3):
        pass

    said = spans.one("ask a replica").attributes
    assert (said["cpdd.call.group"], said["cpdd.call.quorum"], said["cpdd.call.attempt"]) == ("replicas", 2, 3)


def test_of_a_group_one_is_enough_where_no_quorum_is_given(spans):
    with cpdd.optional("ask a mirror", group="mirrors"):
        pass

    assert spans.one("ask a mirror").attributes["cpdd.call.quorum"] == 1


@pytest.mark.parametrize("said", [{"quorum": 2}, {"group": ""}, {"group": "replicas", "quorum": 0}, {"attempt": 0}])
@pytest.mark.parametrize("mark", [cpdd.mandatory, cpdd.optional])
def test_a_group_that_cannot_be_is_refused_where_it_is_declared(mark, said):
    with pytest.raises(ValueError, match=r"group|quorum|attempt"):
        mark("ask a replica", **said)
