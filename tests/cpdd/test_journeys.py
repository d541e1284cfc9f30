"""Journeys: named once, known to every span below, here and downstream."""

import asyncio

import pytest
from opentelemetry import baggage, propagate, trace

import cpdd

tracer = trace.get_tracer("tests")


def test_the_current_span_and_every_span_below_carry_the_journey(spans):
    with (
        tracer.start_as_current_span("request"),
        cpdd.journey("check out"),
        tracer.start_as_current_span("charge"),
        tracer.start_as_current_span("bank"),
    ):
        pass

    assert {span.name: span.attributes["cpdd.journey"] for span in spans.spans} == dict.fromkeys(
        ("bank", "charge", "request"), "check out"
    )


def test_spans_after_the_journey_do_not_carry_it(spans):
    with tracer.start_as_current_span("request"):
        with cpdd.journey("check out"):
            pass
        with tracer.start_as_current_span("afterwards"):
            pass

    assert "cpdd.journey" not in spans.one("afterwards").attributes


def test_the_journey_travels_in_baggage():
    headers: dict[str, str] = {}

    with cpdd.journey("check out", criticality="critical_plus"):
        propagate.inject(headers)

    assert headers["baggage"] == "cpdd.journey=check%20out,cpdd.criticality=critical_plus"


def test_a_service_downstream_writes_the_journey_it_was_sent(spans):
    upstream = propagate.extract({"baggage": "cpdd.journey=check%20out,cpdd.criticality=critical,user=7"})

    tracer.start_span("charge", context=upstream).end()

    assert spans.one("charge").attributes["cpdd.journey"] == "check out"
    assert spans.one("charge").attributes["cpdd.criticality"] == "critical"
    assert "user" not in spans.one("charge").attributes


def test_the_first_to_name_a_journey_names_it(spans):
    with cpdd.journey("check out"), tracer.start_as_current_span("request"), cpdd.journey("pay"):
        named = baggage.get_baggage("cpdd.journey")

    assert named == "check out"
    assert spans.one("request").attributes["cpdd.journey"] == "check out"


def test_journeys_one_after_the_other_are_each_their_own(spans):
    for name in ("browse", "search"):
        with cpdd.journey(name), tracer.start_as_current_span(f"GET {name}"):
            pass

    assert spans.one("GET browse").attributes["cpdd.journey"] == "browse"
    assert spans.one("GET search").attributes["cpdd.journey"] == "search"


def test_a_function_may_be_a_journey(spans):
    @cpdd.journey("browse")
    def front_page(count: int) -> int:
        tracer.start_span("catalog").end()
        return count

    assert [front_page(1), front_page(2)] == [1, 2]
    assert [span.attributes["cpdd.journey"] for span in spans.spans] == ["browse", "browse"]
    assert front_page.__name__ == "front_page"


def test_a_coroutine_may_be_a_journey(spans):
    @cpdd.journey("browse")
    async def front_page() -> None:
        await asyncio.sleep(0)
        tracer.start_span("catalog").end()

    asyncio.run(front_page())

    assert spans.one("catalog").attributes["cpdd.journey"] == "browse"


def test_an_async_block_may_be_a_journey(spans):
    async def program() -> None:
        async with cpdd.journey("browse"):
            tracer.start_span("catalog").end()

    asyncio.run(program())

    assert spans.one("catalog").attributes["cpdd.journey"] == "browse"


def test_an_exception_passes_through_a_journey():
    with pytest.raises(KeyError), cpdd.journey("browse"):
        raise KeyError

    assert baggage.get_baggage("cpdd.journey") is None


def test_what_baggage_from_outside_may_write_is_bounded_and_checked(spans):
    upstream = propagate.extract({"baggage": f"cpdd.journey={'x' * 4000},cpdd.criticality=root"})

    tracer.start_span("charge", context=upstream).end()

    assert len(spans.one("charge").attributes["cpdd.journey"]) == 128
    assert "cpdd.criticality" not in spans.one("charge").attributes
