"""Journeys against their past, on a real store: found, remembered over a restart, over when it is over."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from collector.core.findings.model import SLOWER, Look, PastSeen
from collector.core.findings.past import slower_journeys
from collector.core.findings.tracking import CLEARS_AFTER_NS, Tracked
from collector.core.journeys import JourneyBook
from collector.core.population.regressions import CallPathHours, Hour
from collector.judge import Judge
from collector.past import joined, latest_judged
from collector.store.derived import Derived
from collector.store.engine import Store, open_store
from collector.store.reader import Reader
from cpdd.settings import Settings
from cpdd.testing import FakeClock
from tests.store.learned import LearnedTrace, learned
from tests.store.spans import MINUTE_NS

HOUR_NS = 60 * MINUTE_NS
MS = 1_000_000
SHOP, PAY, BANK = ("shop", "buy"), ("payment", "charge"), ("bank", "POST /charge")
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


class Watch:
    """A store with hours of traces, and a judge whose clock is moved by hand."""

    def __init__(self, folder: Path) -> None:
        self.store: Store = open_store("chdb://", folder)
        self.clock = FakeClock(time.time_ns() // HOUR_NS * HOUR_NS + HOUR_NS // 2)
        self.told: list[Tracked] = []
        self.judge = self.new_judge()
        self._derived = Derived(self.store)
        self._count = 0

    def new_judge(self) -> Judge:
        return Judge(self.store, Settings(), JourneyBook(), notify=self.told.extend, clock_ns=self.clock.now_ns)

    def traces(self, ago_ns: int, bank_ms: int, number: int = 40) -> None:
        """Traces of one minute that wait for the bank below payment; no two are equally long."""
        start = self.clock.now_ns() - ago_ns
        made = []
        for n in range(number):
            bank = (bank_ms + n % 5) * MS
            path = {(SHOP,): 5 * MS, (SHOP, PAY): 5 * MS, (SHOP, PAY, BANK): bank}
            self._count += 1
            made.append(LearnedTrace(self._count, start=start, duration_ns=bank + 10 * MS, path=path))
        self._derived.write(learned(made, version=self.clock.now_ns()))
        self._derived.recompute_minutes({trace.minute for trace in made})

    def minutes_pass(self, minutes: int) -> None:
        for _ in range(minutes):
            self.clock.advance(s=60)
            self.judge.run_once()

    def open(self) -> list[str]:
        return [one.finding.kind for one in Reader(self.store).findings() if one.is_open]


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    watch = Watch(tmp_path)
    yield watch
    watch.store.close()


def test_a_journey_that_became_slower_is_found_once_with_the_call_that_explains_it(watch: Watch):
    for hours in (3, 2, 1):
        watch.traces(hours * HOUR_NS, bank_ms=50)
    watch.traces(2 * MINUTE_NS, bank_ms=52)
    watch.minutes_pass(3)
    assert watch.told == []

    watch.traces(MINUTE_NS, bank_ms=250, number=200)
    watch.minutes_pass(3)

    (told,) = [one.finding for one in watch.told]
    assert told.title == "check out is much slower than it used to be at this hour: most of it in bank POST /charge"
    assert (told.kind, told.service, told.caller) == (SLOWER, "bank", ("payment", "charge", "server"))
    assert told.examples


def test_after_a_restart_a_journey_that_is_still_slow_is_neither_told_again_nor_forgotten(watch: Watch):
    for hours in (3, 2, 1):
        watch.traces(hours * HOUR_NS, bank_ms=50)
    watch.traces(MINUTE_NS, bank_ms=250)
    watch.minutes_pass(2)
    assert [one.finding.kind for one in watch.told] == [SLOWER]

    watch.judge = watch.new_judge()
    watch.minutes_pass(4)

    assert len(watch.told) == 1
    assert watch.open() == [SLOWER]


def test_a_journey_that_is_what_it_was_again_clears(watch: Watch):
    for hours in (3, 2, 1):
        watch.traces(hours * HOUR_NS, bank_ms=50)
    watch.traces(MINUTE_NS, bank_ms=250)
    watch.minutes_pass(2)

    watch.clock.advance(s=3600)
    watch.traces(MINUTE_NS, bank_ms=50)
    watch.minutes_pass(3 + CLEARS_AFTER_NS // MINUTE_NS)

    assert [one.is_open for one in watch.told] == [True, False]
    assert watch.open() == []


def seen(**facts: object) -> PastSeen:
    given = {
        "journey": "check out", "is_critical": False, "caller": ("shop", "buy", "server"),
        "callee": ("bank", "charge", "client"), "delta_ns": 5e6, "past_ns": 50e6, "spreads": 4.5, "hours": 9,
        "explained": 0.8, "others": 0,
    }  # fmt: skip
    return PastSeen(**{**given, **facts})  # type: ignore[arg-type]


def test_a_journey_whose_own_work_became_slower_is_said_to_be_slower_itself():
    (finding,) = slower_journeys(Look(1, pasts=(seen(caller=None),)))

    assert finding.title == "check out is slower than it used to be at this hour: most of it in its own work"


def test_the_same_finding_stays_when_another_call_explains_it():
    one, other = slower_journeys(Look(1, pasts=(seen(), seen(callee=("cart", "get", "client"), others=2))))

    assert one.id == other.id
    assert other.facts[-1].value == 2


def hour(ago: int, mean_ns: float = 1.0, effective: float = 100.0) -> Hour:
    return Hour(NOW - timedelta(hours=ago), effective, mean_ns, 0.0)


def test_an_hour_read_again_replaces_the_one_read_before():
    past = {1: CallPathHours(0, (hour(2), hour(1))), 2: CallPathHours(1, (hour(2),))}

    found = joined(past, {1: CallPathHours(0, (hour(1, mean_ns=9.0), hour(0))), 3: CallPathHours(1, (hour(0),))})

    assert [(each.start, each.mean_ns) for each in found[1].hours] == [
        (NOW - timedelta(hours=2), 1.0),
        (NOW - timedelta(hours=1), 9.0),
        (NOW, 1.0),
    ]
    assert found.keys() == {1, 2, 3}


def test_an_hour_that_just_began_is_not_judged_by_its_first_few_traces():
    begun = {1: CallPathHours(0, (hour(1), hour(0, effective=3.0)))}

    assert latest_judged(begun, NOW) == NOW - timedelta(hours=1)
    assert latest_judged({1: CallPathHours(0, (hour(2),))}, NOW) is None
