"""Since when a journey is slow, and where the added time lies: said first, on the journey and on the first page."""

import re
from dataclasses import replace

from collector.core.availability import proportion
from collector.core.objectives import Burn, Standing
from collector.core.population.difference import Compared
from collector.core.population.since import Slowed
from collector.store.values import CallPath, JourneyDifference, JourneySummary, PathChange, Point
from tests.ui.conftest import client_of
from tests.ui.memory import MemoryReader
from tests.ui.page_text import ReadPage
from tests.ui.shop import NOW_NS, Recorder, call
from ui.draw.units import NBSP
from ui.views.health import health_of, since_words, slowed_since
from ui.views.slower import added_words, places_of, ways_of

MINUTE_NS = 60 * 10**9
SINCE = Slowed(NOW_NS - 20 * MINUTE_NS, "p50", 100e6, 240e6)
CALM = JourneySummary("buy", 100, 100.0, 0.0, True, 1.0, 1e8, 1e8, 2e8, 3e8, 4 * 10**8, "", (), ())
CHANGES = (
    PathChange(
        2, "", "shop", "GET cart", "client", Compared(90e6, 0.9, (80e6, 99e6), True, (10e6, 100e6), (90, 90), 1.0)
    ),
    PathChange(
        3, "shop", "cart", "GET /cart", "server", Compared(8e6, 0.08, (1e6, 15e6), True, (10e6, 18e6), (90, 90), 0.1)
    ),
)
WHOLE = Compared(100e6, 1.0, (80e6, 120e6), True, (100e6, 200e6), (90, 90), 1.0)
PATHS = (
    CallPath(1, 0, "shop", "POST /buy", "server", 1.0, 1.0),
    CallPath(2, 1, "shop", "GET cart", "client", 1.0, 1.0),
    CallPath(3, 2, "cart", "GET /cart", "server", 1.0, 1.0),
)


def slow_shop() -> MemoryReader:
    """An hour with three visits a minute; for the last twenty minutes cart is far away."""

    def visit(number: int) -> object:
        back_ns = (180 - number) * MINUTE_NS // 3
        recorder = Recorder(trace=number + 1, start_ns=NOW_NS - back_ns - MINUTE_NS)
        far = 90 if back_ns < 20 * MINUTE_NS else 0
        root = recorder.span("shop", "POST /buy", 0, 100 + far, 0, kind=2, journey="buy", http_status=200)
        call(recorder, root, "shop", "cart", "GET /cart", 10, 60 + far)
        return recorder.finish()

    return MemoryReader(visit(number) for number in range(180))  # type: ignore[misc]


def test_the_added_time_is_said_to_be_on_the_way_where_a_call_does_nothing_but_call():
    found = JourneyDifference(CALM, CALM, WHOLE, CHANGES)

    assert added_words(found, ways_of(PATHS)).replace(NBSP, " ") == (
        "Of the 100 ms added on average, 90 % is on the way from shop to cart (GET cart)."
    )
    assert added_words(found, {}).replace(NBSP, " ") == "Of the 100 ms added on average, 90 % is in shop GET cart."


def test_ways_between_two_services_are_one_place():
    again = replace(CHANGES[0], id=5, operation="PUT cart", figures=replace(CHANGES[0].figures, share_of_change=0.05))
    paths = (
        *PATHS,
        CallPath(5, 1, "shop", "PUT cart", "client", 1.0, 1.0),
        CallPath(6, 5, "cart", "PUT", "server", 1, 1),
    )

    assert places_of((*CHANGES, again), ways_of(paths)) == [(0.9 + 0.05, "on the way from shop to cart")]


def test_what_may_be_chance_is_not_explained():
    chance = JourneyDifference(CALM, CALM, replace(WHOLE, significant=False), CHANGES)

    assert added_words(chance, {}) == ""
    assert added_words(None, {}) == ""


def test_a_root_that_calls_one_service_is_no_way():
    batch = (CallPath(1, 0, "nightly", "batch", "internal", 90.0, 1.0), CallPath(2, 1, "api", "GET", "server", 1, 1))

    assert ways_of(batch) == {}


def test_a_call_with_work_of_its_own_is_no_way():
    inner = CallPath(4, 2, "shop", "sign", "internal", 1.0, 1.0)

    assert ways_of(PATHS) == {2: "cart"}
    assert ways_of((*PATHS, inner)) == {}


def test_a_journey_that_takes_much_longer_than_before_needs_somebody():
    assert health_of(CALM, (), SINCE, NOW_NS).word == "slow"
    assert health_of(CALM, (), replace(SINCE, after_ns=140e6), NOW_NS).word == "fine"
    assert health_of(replace(CALM, failed=20.0), (), SINCE, NOW_NS).word == "failing"


def test_a_promise_of_latency_decides_where_there_is_one():
    promise = _kept("latency")

    assert health_of(CALM, (promise,), SINCE, NOW_NS).word == "fine"
    assert health_of(CALM, (_kept("availability"),), SINCE, NOW_NS).word == "slow"


def test_a_latency_promise_that_breaks_slowly_does_not_hide_failures_nor_an_availability_promise_a_slowdown():
    burning = Burn(1.0, 3 * 86_400, 6 * 3600, 1.5, 1.5, 300.0, "burning", True)
    late, failing = (replace(_kept(what), burns=(burning,)) for what in ("latency", "availability"))

    assert health_of(CALM, (late,), SINCE, NOW_NS).can_wait
    assert health_of(replace(CALM, failed=20.0), (late,), SINCE, NOW_NS).word == "failing"
    assert health_of(CALM, (failing,), None, NOW_NS).can_wait
    assert health_of(CALM, (failing,), SINCE, NOW_NS) == health_of(CALM, (), SINCE, NOW_NS)


def _kept(what: str) -> Standing:
    return Standing(what, 0.99, 0, proportion(100, 100, 100), 1.0, 0, 86_400, ())


def test_few_failures_of_a_journey_that_promises_are_no_alert_and_are_said_all_the_same():
    near = Burn(14.4, 3600, 300, 33.3, 33.3, 3.0, "failing", False)

    health = health_of(CALM, (replace(_kept("availability"), burns=(near,)),), None, NOW_NS)

    assert (health.word, health.because) == ("fine", "no promise is known to be broken")
    assert health.doubt.replace(NBSP, " ") == (
        "3 failures in the last hour are 33.3 times what it promises, too few to be sure"
    )


def test_failures_that_are_over_cast_no_doubt():
    over = Burn(14.4, 3600, 300, 33.3, 0.0, 3.0, "failing", False)

    assert not health_of(CALM, (replace(_kept("availability"), burns=(over,)),), None, NOW_NS).doubt


def test_the_moment_is_said_to_the_minute():
    assert since_words(SINCE, NOW_NS).replace(NBSP, " ") == (
        "a typical trace takes 240 ms since 10:46 UTC, 2.4× the 100 ms before"
    )


def test_steps_without_traces_say_nothing():
    points = [Point(i * MINUTE_NS, 0.0, 0.0, 0.0, 0.0) for i in range(60)]

    assert slowed_since(replace(CALM, series=tuple(points))) is None


def test_both_pages_say_it_first_and_lead_to_what_changed():
    client = client_of(slow_shop())

    first, journey = client.get("/.json").json, client.get("/journeys/buy.json").json
    page = ReadPage(client.get("/journeys/buy").text)
    changed = client.get(journey["slower"]["address"])

    said = r"typical trace takes \d+ ms since 10:\d\d UTC, 1.9× the \d+ ms before\."
    assert re.match(f"buy is slow: a {said}", first["answer"].replace(NBSP, " "))
    assert re.match(f"A {said} Of the", journey["answer"].replace(NBSP, " "))
    assert "added on average, 100\u00a0% is in cart GET /cart." in journey["answer"]
    assert "What changed, call by call" in page.text
    assert "slower on average" in ReadPage(changed.text).text
    assert "1.9× since 10:" in ReadPage(client.get("/").text).text
