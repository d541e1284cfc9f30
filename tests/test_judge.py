"""The judge on a real store: what it finds, remembers after a restart, and tells."""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from collector.core.catalog import Catalog, CatalogService, Owner
from collector.core.findings.tracking import CLEARS_AFTER_NS, Tracked
from collector.core.journeys import Journey, JourneyBook, Latency
from collector.core.queue_promises import Queue, QueuePromise
from collector.core.requirement import MANDATORY, judge
from collector.core.said import NOTHING_SAID, Said
from collector.judge import Judge
from collector.store.derived import Derived
from collector.store.engine import Store, open_store
from collector.store.reader import Reader
from collector.store.values import Window
from collector.store.writer import Committer
from cpdd.settings import Settings
from cpdd.testing import FakeClock
from tests.store.learned import EdgeSteps, LearnedTrace, learned
from tests.store.spans import MINUTE_NS, Span, encode

BOOK = JourneyBook(
    (
        Journey(
            "check out", owner="Storefront", availability=0.99, latency=Latency(0.9, 500_000_000), criticality="high"
        ),
    )
)
PRICING: EdgeSteps = (("shop", "POST /checkout"), ("pricing", "POST /discounts"))


class Court:
    """A store with traces, and a judge with a clock moved by hand."""

    def __init__(self, folder: Path) -> None:
        self.store: Store = open_store("chdb://", folder)
        self.clock = FakeClock(time.time_ns() // MINUTE_NS * MINUTE_NS)
        self.told: list[Tracked] = []
        self._derived = Derived(self.store)
        self._count = 0
        self.judge = self.new_judge()

    def new_judge(self, catalog: Catalog = Catalog(), book: JourneyBook = BOOK) -> Judge:
        return Judge(self.store, Settings(), book, notify=self.told.extend, clock_ns=self.clock.now_ns, catalog=catalog)

    def happens(self, traces: int, failed: bool = False, minutes_ago: int = 1, version: str = "", **edge: int) -> None:
        """Traces of a minute whose call of pricing was declared optional."""
        start = self.clock.now_ns() - minutes_ago * MINUTE_NS
        alone = {"Alone": edge.get("Failed", 0), "AloneWell": edge.get("Survived", 0)}
        calls = {"Calls": 1, "Waited": 1, "DeclaredOptional": 1, **alone, **edge}
        made = [
            LearnedTrace(
                self._count + i + 1,
                start=start,
                failed=failed,
                path={(PRICING[0],): 50},
                edges={PRICING: calls},
                caller_version=version,
            )
            for i in range(traces)
        ]
        self._count += traces
        self.learns(made)

    def learns(self, made: Sequence[LearnedTrace]) -> None:
        self._derived.write(learned(made, version=self.clock.now_ns()))
        self._derived.recompute_minutes({trace.minute for trace in made})

    def open_kinds(self) -> set[str]:
        return {one.finding.kind for one in Reader(self.store).findings() if one.is_open}


@pytest.fixture
def court(tmp_path: Path) -> Iterator[Court]:
    court = Court(tmp_path)
    yield court
    court.store.close()


def calm(court: Court) -> None:
    court.happens(300, Quiet=1, QuietWell=1)


def storm(court: Court) -> None:
    court.happens(60, failed=True, Failed=1, OwnFailed=1, Blamed=1)


def test_a_call_that_is_declared_optional_and_takes_the_journey_down_is_found_with_traces_and_owner(court: Court):
    calm(court)
    storm(court)

    court.judge.run_once()

    hidden = next(one.finding for one in court.told if one.finding.kind == "hidden mandatory")
    assert hidden.title == "shop POST /checkout fails with pricing POST /discounts, which it declares optional"
    assert (len(hidden.examples), hidden.owner) == (3, "Storefront")
    assert "hidden mandatory" in court.open_kinds()


def test_the_catalog_says_who_owns_a_service_and_how_critical_it_is(court: Court):
    calm(court)
    storm(court)
    catalog = Catalog({"pricing": CatalogService(Owner("Pricing", "#pricing"), "low")})

    court.new_judge(catalog).run_once()

    inversion = next(one.finding for one in court.told if one.finding.kind == "criticality inversion")
    assert (inversion.service, inversion.owner) == ("pricing", "Pricing #pricing")


def test_a_promise_that_burns_is_found_with_the_call_that_is_to_blame(court: Court):
    calm(court)
    storm(court)

    court.judge.run_once()

    burning = next(one.finding for one in court.told if one.finding.kind == "budget burning")
    assert (burning.urgency, burning.service) == ("failing", "pricing")
    standings = Reader(court.store).standings()["check out"]
    assert [one.what for one in standings] == ["availability", "latency"]
    assert standings[0].kept.share == pytest.approx(300 / 360)
    assert standings[0].alert is not None


def test_a_journey_that_keeps_what_it_promises_has_a_budget_and_no_findings(court: Court):
    calm(court)

    court.judge.run_once()

    assert court.told == []
    assert [one.budget_left for one in Reader(court.store).standings()["check out"]] == [1.0, 1.0]


def test_after_a_restart_findings_are_the_same_and_nobody_is_told_again(court: Court):
    calm(court)
    storm(court)
    court.judge.run_once()
    before = {one.finding.id: one.since_unix_nano for one in Reader(court.store).findings()}
    court.told.clear()
    court.clock.advance(s=60)

    court.judge = court.new_judge()
    court.judge.run_once()

    assert court.told == []
    assert {one.finding.id: one.since_unix_nano for one in Reader(court.store).findings()} == before


def test_when_the_storm_is_over_the_promise_clears_and_the_structure_stays(court: Court):
    calm(court)
    storm(court)
    court.judge.run_once()
    court.clock.advance(s=7 * 3600)
    court.happens(300, Quiet=1, QuietWell=1)
    court.judge.run_once()
    court.clock.advance(ns=CLEARS_AFTER_NS)
    court.judge.run_once()

    assert "budget burning" not in court.open_kinds()
    assert "hidden mandatory" in court.open_kinds()
    assert court.told[-1].finding.kind == "budget burning"
    assert not court.told[-1].is_open


def test_failures_that_are_survived_later_disprove_the_structure(court: Court):
    calm(court)
    storm(court)
    court.judge.run_once()
    court.clock.advance(s=3600)
    court.happens(300, Quiet=1, QuietWell=1, version="2")
    court.happens(60, Failed=1, OwnFailed=1, Survived=1, JourneySurvived=1, version="2")

    court.judge.run_once()

    assert "hidden mandatory" not in court.open_kinds()
    changed = [one.finding for one in court.told if one.finding.kind == "changed requirement"]
    assert [finding.title for finding in changed] == [
        "pricing POST /discounts was mandatory for shop POST /checkout and is optional now"
    ]


def test_the_judge_and_the_page_give_the_same_verdict_whenever_the_failures_were(court: Court):
    calm(court)
    storm(court)
    court.clock.advance(s=5 * 86_400)
    court.happens(300, Quiet=1, QuietWell=1)

    court.judge.run_once()

    now = court.clock.now_ns()
    shown = Reader(court.store).journey("check out", Window(now - 3600 * 10**9, now))
    assert shown is not None
    (page,), (judged,) = shown.edges, court.judge.journeys[0].edges
    assert page.failed == judged.failed == 0
    assert judge(page.evidence).verdict == judged.verdict == MANDATORY


def test_a_queue_whose_name_promises_what_it_does_not_keep_is_late(court: Court):
    start = court.clock.now_ns() - MINUTE_NS
    queue: EdgeSteps = (("kafka", "mails_within_10s"), ("mailer", "send"))
    waits_s = [5] * 40 + [15] * 20
    court.learns(
        [
            LearnedTrace(30_000 + i, start=start, edges={queue: {"Calls": 1, "Delivered": 1, "WaitNs": s * 10**9}})
            for i, s in enumerate(waits_s)
        ]
    )

    court.judge.run_once()

    (late,) = [one.finding for one in court.told if one.finding.kind == "queue late"]
    assert late.title == "mailer send takes messages of kafka mails_within_10s later than promised"
    assert {fact.name: fact.value for fact in late.facts}["in time"] == pytest.approx(40 / 60)
    assert set(late.examples) <= {f"{30_000 + i:032x}" for i, s in enumerate(waits_s) if s == 15}


def test_what_cpdd_toml_says_of_a_queue_counts_before_its_name(court: Court):
    start = court.clock.now_ns() - MINUTE_NS
    queue: EdgeSteps = (("kafka", "mails_within_10s"), ("mailer", "send"))
    counts = {"Calls": 1, "Delivered": 1, "WaitNs": 15 * 10**9}
    court.learns([LearnedTrace(30_000 + i, start=start, edges={queue: counts}) for i in range(60)])
    lenient = JourneyBook(queues=(Queue("mails*", QueuePromise(0.9, 20 * 10**9)),))

    court.new_judge(book=lenient).run_once()

    assert "queue late" not in court.open_kinds()


def test_a_deadline_that_a_span_declares_is_held_against_the_calls_below_it(court: Court):
    start = court.clock.now_ns() - MINUTE_NS
    mark: EdgeSteps = (("shop", "POST /checkout"), ("shop", "mark prices"))
    below: EdgeSteps = (("shop", "mark prices"), ("pricing", "POST /discounts"))
    spent = {"Calls": 1, "Waited": 1, "Attempts": 2}
    court.learns(
        [
            LearnedTrace(
                40_000 + i,
                start=start,
                edges={mark: {**spent, "DurationNs": 10**8}, below: {**spent, "DurationNs": 3 * 10**8}},
            )
            for i in range(40)
        ]
    )
    said = {"cpdd.call.deadline_ms": "200", "cpdd.call.fallback": "cache", "cpdd.call.group": "prices"}
    with closing(Committer(court.store, linger_ms=0)) as committer:
        committer.submit(encode([Span(1, 1, name="mark prices", kind=1, start=start, attributes=said)])).result(30)

    court.judge.run_once()

    (found,) = [one.finding for one in court.told if one.finding.kind == "timeout incoherent"]
    assert found.title == (
        "pricing POST /discounts takes longer with its retries than shop POST /checkout waits for mark prices"
    )
    detail = Reader(court.store).journey("check out", Window(start, start + 2 * MINUTE_NS))
    assert detail is not None
    assert {edge.callee.operation: edge.said for edge in detail.edges} == {
        "mark prices": Said(200_000_000, "cache", "prices", 1),
        "POST /discounts": NOTHING_SAID,
    }


def test_a_journey_of_several_steps_is_held_against_its_promise_session_by_session(court: Court):
    start = court.clock.now_ns() - 32 * MINUTE_NS
    steps = [("cart", False), ("pay", True), ("cart", False), ("pay", False)]
    made, spans = [], []
    for number in range(60):
        step, fails = steps[number % 4]
        trace_id, at = 50_000 + number, start + number % 4 * 10**9
        made.append(LearnedTrace(trace_id, start=at, journey=step, failed=fails, path={(PRICING[0],): 50}))
        said = {"session.id": f"s{number // 2}"}
        spans.append(Span(trace_id, 0xAA, name="POST /checkout", start=at, attributes=said))
    court.learns(made)
    with closing(Committer(court.store, linger_ms=0)) as committer:
        committer.submit(encode(spans)).result(30)
    buy = Journey("buy", steps=("cart", "pay"), availability=0.99)

    court.new_judge(book=JourneyBook((buy,))).run_once()

    whole = Reader(court.store).sessions(buy, Window(start - MINUTE_NS, court.clock.now_ns()))
    assert (whole.sessions, whole.kept, whole.completed) == (30, 15, 15)
    assert [(step.journey, step.sessions, step.kept) for step in whole.steps] == [("cart", 30, 30), ("pay", 30, 15)]
    (found,) = [one.finding for one in court.told if one.finding.kind == "budget burning"]
    assert found.title == "buy fails more often than it promises: most of it at pay"
    assert found.examples == whole.examples
    assert Reader(court.store).standings()["buy"][0].kept.share == 0.5


def test_an_edge_that_was_not_there_for_hundreds_of_traces_is_new(court: Court):
    court.happens(300, minutes_ago=120)
    start = court.clock.now_ns() - MINUTE_NS
    new: EdgeSteps = (("shop", "POST /checkout"), ("gifts", "GET /"))
    made = [LearnedTrace(10_000 + i, start=start, edges={new: {"Calls": 1}}) for i in range(50)]
    derived = Derived(court.store)
    derived.write(learned(made, version=time.time_ns()))
    derived.recompute_minutes({trace.minute for trace in made})

    court.judge.run_once()

    assert [one.finding.title for one in court.told if one.finding.kind == "new edge"] == [
        "shop POST /checkout calls gifts GET /, which it did not before"
    ]


def test_traces_that_begin_at_an_inner_operation_have_lost_their_context(court: Court):
    court.happens(300)
    start = court.clock.now_ns() - MINUTE_NS
    lost = [LearnedTrace(20_000 + i, start=start, journey="pricing: POST /discounts") for i in range(12)]
    derived = Derived(court.store)
    derived.write(learned(lost, version=time.time_ns()))
    derived.recompute_minutes({trace.minute for trace in lost})

    court.judge.run_once()

    (broken,) = [one.finding for one in court.told if one.finding.kind == "broken context"]
    assert broken.title == "traces begin at pricing POST /discounts, which shop POST /checkout calls"
    assert len(broken.examples) == 3


def test_a_round_that_fails_is_counted_and_the_next_one_begins_anew(court: Court):
    judge = court.new_judge()
    court.store.close()

    judge.start()
    while judge._thread.is_alive() and not judge.progress.failures:
        judge._thread.join(0.02)
    judge.stop()

    assert judge.progress.failures >= 1
    assert "store closed" in judge.progress.last_failure
