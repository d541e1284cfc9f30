"""The parts of the shop that need no process: faults, the queue, the visitors."""

import itertools
import random
import re
import socket
import threading
from pathlib import Path

import pytest

from collector.core.catalog import read_catalog
from collector.core.contracts import read_contract
from cpdd.testing import FakeClock
from examples.shop.broker import REDELIVER_AFTER_S, Queue
from examples.shop.directory import NAMES
from examples.shop.load import WORKERS, Visit, Visitors, visits
from examples.shop.service import Faults, InjectedFailure, Switches

SHOP = Path(__file__).parents[2] / "examples/shop"


def test_faults_change_only_in_what_is_said():
    faults = Faults(slow_ms=10, fail=0.1)

    assert faults.changed({"fail": "0.5"}) == Faults(slow_ms=10, fail=0.5)
    assert faults.changed({"down": "1"}) == Faults(slow_ms=10, fail=0.1, down=True)
    assert Faults(down=True).changed({"down": "0"}) == Faults()
    assert faults.changed({}) == faults


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"fail": "1.5"}, "fail=1.5: a share from 0 to 1"),
        ({"fail": "nan"}, "fail=nan: a share from 0 to 1"),
        ({"slow_ms": "-1"}, "slow_ms=-1: milliseconds from 0 to 60000"),
        ({"down": "maybe"}, "down=maybe: 0 or 1"),
        ({"slow": "10"}, "unknown fault 'slow': there are slow_ms, fail and down"),
        ({"fail": "often"}, "could not convert string to float: 'often'"),
    ],
)
def test_a_fault_that_cannot_be_says_why(said, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Faults().changed(said)


def test_failures_strike_as_often_as_they_were_switched():
    switches = Switches(Faults(fail=0.25))

    failed = sum(switches.plan()[1] for _ in range(4000))

    assert 900 < failed < 1100
    assert Switches().plan() == (0.0, False)
    with pytest.raises(InjectedFailure):
        Switches(Faults(fail=1)).strike()


def test_messages_come_in_the_order_they_were_sent():
    queue = Queue()

    sent = [queue.put(word) for word in ("first", "second")]

    assert [queue.take(0), queue.take(0), queue.take(0)] == [(sent[0], "first"), (sent[1], "second"), None]


def test_a_message_that_was_not_acknowledged_in_time_comes_again_first():
    clock = FakeClock()
    queue = Queue(clock.now_s)
    for word in ("lost", "done", "next"):
        queue.put(word)
    taken = [queue.take(0), queue.take(0)]
    queue.acknowledge(taken[1][0])

    clock.advance(s=REDELIVER_AFTER_S)

    assert [queue.take(0)[1], queue.take(0)[1], queue.take(0)] == ["lost", "next", None]


def test_who_waits_for_a_message_is_woken_when_it_comes():
    queue = Queue()
    received: list[object] = []
    waiting = threading.Thread(target=lambda: received.append(queue.take(wait_s=30)))
    waiting.start()

    queue.put("order")
    waiting.join(timeout=30)

    assert received == [(1, "order")]


def test_the_same_seed_makes_the_same_visits():
    first, second, other = (list(itertools.islice(visits(random.Random(seed), 20), 200)) for seed in (7, 7, 8))

    assert first == second
    assert first != other


def test_visits_come_at_the_rate_and_in_the_shares_that_were_asked_for():
    made = list(itertools.islice(visits(random.Random(1), rate=50), 5000))

    seconds = sum(pause_s for pause_s, _ in made)
    browsing = sum(visit.journey == "browse" for _, visit in made)
    assert 90 < seconds < 110
    assert 1900 < browsing < 2100
    assert {visit.journey for _, visit in made} == {"browse", "search", "add to cart", "view cart", "check out"}


def test_who_checks_out_has_a_cart_of_their_own():
    buyers = [
        visit.requests[1][1]
        for _, visit in itertools.islice(visits(random.Random(1), 20), 500)
        if len(visit.requests) == 2
    ]

    assert len(set(buyers)) == len(buyers)


def test_visitors_of_a_shop_that_hangs_are_turned_away_rather_than_piled_up():
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        visitors = Visitors(f"127.0.0.1:{hanging.getsockname()[1]}")

        for _ in range(4 * WORKERS):
            visitors.send(Visit("browse", (("GET", "/"),)))

        assert visitors.turned_away >= 2 * WORKERS


# The contract and the catalog


def test_the_contract_names_services_and_journeys_of_the_shop():
    contract = read_contract((SHOP / "contract.toml").read_text(), "contract.toml")

    calls = [call for journey in contract.journeys for rule in journey.rules for call in getattr(rule, "calls", ())]
    assert {journey.journey for journey in contract.journeys} <= {"check out", "browse", "*"}
    assert {end.text for call in calls for end in (call.caller, call.callee)} <= set(NAMES)


def test_the_catalog_is_about_services_of_the_shop():
    catalog = read_catalog((SHOP / "catalog.toml").read_text(), "catalog.toml")

    assert set(catalog.services) <= {*NAMES, "sqlite"}
