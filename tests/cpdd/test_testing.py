"""The fakes that cpdd ships for tests of instrumented code."""

import threading

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from cpdd.testing import CountingIds, FakeClock, MemoryExporter


@pytest.fixture
def memory():
    return MemoryExporter()


@pytest.fixture
def tracer(memory):
    provider = TracerProvider(id_generator=CountingIds(), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(memory))
    return provider.get_tracer("tests")


def test_spans_are_there_in_the_order_they_ended(memory, tracer):
    with tracer.start_as_current_span("request"):
        tracer.start_span("cart").end()

    assert [span.name for span in memory.spans] == ["cart", "request"]


def test_ids_count(memory, tracer):
    for name in ("first", "second"):
        with tracer.start_as_current_span(name):
            tracer.start_span("child").end()

    ids = {span.name: (span.context.trace_id, span.context.span_id) for span in memory.spans}
    assert (ids["first"], ids["second"]) == ((1, 1), (2, 3))


def test_the_only_span_of_a_name_is_found_and_anything_else_says_what_is_there(memory, tracer):
    for name in ("cart", "cart", "bank"):
        tracer.start_span(name).end()

    assert memory.one("bank").name == "bank"
    with pytest.raises(AssertionError, match="2 spans are named 'cart'"):
        memory.one("cart")
    with pytest.raises(AssertionError, match="0 spans are named 'stock', among"):
        memory.one("stock")


def test_spans_can_be_waited_for(memory, tracer):
    thread = threading.Thread(target=lambda: tracer.start_span("late").end())
    thread.start()

    memory.wait_for(lambda spans: len(spans) == 1)

    assert memory.one("late")
    thread.join()


def test_waiting_in_vain_says_what_is_there(memory, tracer):
    tracer.start_span("cart").end()

    with pytest.raises(AssertionError, match="cart"):
        memory.wait_for(lambda spans: len(spans) == 2, timeout_s=0.01)


def test_the_memory_can_be_cleared(memory, tracer):
    tracer.start_span("cart").end()

    memory.clear()

    assert memory.spans == ()


def test_the_clock_stands_still_until_it_is_moved_and_never_goes_back():
    clock = FakeClock(now_ns=5)

    clock.advance(s=1.5, ms=2, ns=1)

    assert (clock.now_ns(), clock.now_s()) == (1_502_000_006, 1.502000006)
    with pytest.raises(ValueError, match="-1000000000 ns"):
        clock.advance(s=-1)


def test_a_clock_can_be_set_back_as_that_of_a_machine():
    clock = FakeClock(now_ns=5)

    clock.set(3)

    assert clock.now_ns() == 3
