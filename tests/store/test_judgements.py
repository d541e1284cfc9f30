"""Findings, standings and verdicts come back as they were written, on both engines."""

import time
from dataclasses import replace

import numpy as np

from collector.core.findings.model import Fact, Finding
from collector.core.findings.tracking import Tracked
from collector.core.journeys import Journey, Latency
from collector.core.objectives import Counts, stand
from collector.store.derived import Derived
from collector.store.engine import Store
from collector.store.judgements import STALE_AFTER_S, EdgeVerdict, Judgements
from collector.store.promises import promise_counts
from collector.store.reader import Reader
from tests.store.learned import LearnedTrace, learned
from tests.store.spans import MINUTE_NS, NOON

FINDING = Finding(
    kind="hidden mandatory",
    journey="check out",
    subject="7",
    title='shop "fails" with ☕',
    advice="Fix it.",
    service="shop",
    urgency="failing",
    caller=("shop", "POST", "server"),
    callee=("", "", "external"),
    edge_id=2**64 - 1,
    facts=(Fact("calls", 3.0, "count"), Fact("survival", 0.5, "share", (0.25, 0.75))),
    owner="Payments",
    examples=("a" * 32, "b" * 32),
    version="1.2",
)
OPEN = Tracked(FINDING, 1_000, 2_000)


def test_a_finding_comes_back_as_it_was_written(store: Store):
    judgements = Judgements(store)

    judgements.save_findings([OPEN], now_ns=1)

    assert judgements.findings() == {FINDING.id: OPEN}
    assert Reader(store).findings() == [OPEN]


def test_a_later_state_of_a_finding_replaces_the_earlier_one(store: Store):
    judgements = Judgements(store)
    cleared = replace(OPEN, cleared_unix_nano=3_000, because="its failures are survived")
    judgements.save_findings([OPEN], now_ns=1)

    judgements.save_findings([cleared], now_ns=2)

    assert judgements.findings() == {FINDING.id: cleared}


def test_standings_come_back_and_are_left_out_when_nobody_judges_any_more(store: Store):
    counts = Counts(np.array([600]), np.array([100.0]), np.array([20.0]), np.array([100.0]), np.array([20.0]))
    standing = stand("availability", 0.99, counts, now_s=660)
    now = time.time_ns()
    judgements = Judgements(store)

    judgements.save_standings({"old": [standing]}, now - (STALE_AFTER_S + 60) * 10**9)
    judgements.save_standings({"check out": [standing]}, now)

    assert Reader(store).standings() == {"check out": (standing,)}


def test_a_finding_that_is_written_after_the_clock_was_set_back_replaces_the_earlier_one(store: Store):
    Judgements(store).save_findings([OPEN], now_ns=3_600 * 10**9)
    cleared = replace(OPEN, cleared_unix_nano=9)

    Judgements(store).save_findings([cleared], now_ns=5)

    assert Judgements(store).findings() == {OPEN.finding.id: cleared}


def test_verdicts_come_back_by_journey_and_edge_however_large_its_id(store: Store):
    judgements = Judgements(store)
    verdict = EdgeVerdict("mandatory", "optional", 5)
    judgements.save_verdicts({("buy", 2**64 - 1): EdgeVerdict("optional", "", 4)}, now_ns=1)

    judgements.save_verdicts({("buy", 2**64 - 1): verdict}, now_ns=2)

    assert judgements.verdicts() == {("buy", 2**64 - 1): verdict}


def test_promises_are_counted_by_minute_with_weights_and_by_what_was_too_slow(store: Store):
    slow, fast = 600_000_000, 400_000_000
    traces = [
        LearnedTrace(1, duration_ns=fast),
        LearnedTrace(2, duration_ns=slow, weight=10.0, failed=True),
        LearnedTrace(3, duration_ns=slow, start=NOON + MINUTE_NS),
        LearnedTrace(4, duration_ns=slow, journey="browse", failed=True),
    ]
    derived = Derived(store)
    derived.write(learned(traces, version=time.time_ns()))  # rows live some days from their version
    derived.recompute_minutes({trace.minute for trace in traces})
    journeys = [Journey("check out", availability=0.99, latency=Latency(0.9, 500_000_000)), Journey("search")]
    noon_s = NOON // 10**9

    with store.client() as client:
        found = promise_counts(client, journeys, noon_s, noon_s + 120, 60)

    assert set(found) == {"check out"}
    kept = found["check out"]
    assert kept.availability.start_s.tolist() == [noon_s, noon_s + 60]
    assert kept.availability.total.tolist() == [11.0, 1.0]
    assert kept.availability.bad.tolist() == [10.0, 0.0]
    assert kept.availability.squares.tolist() == [101.0, 1.0]
    assert kept.availability.bad_traces.tolist() == [1.0, 0.0]
    assert kept.latency.bad.tolist() == [10.0, 1.0]
    assert kept.status_known


def test_promises_of_journeys_without_traces_are_left_out(store: Store):
    with store.client() as client:
        assert promise_counts(client, [Journey("buy", availability=0.9)], NOON // 10**9, NOON // 10**9 + 600, 60) == {}
        assert promise_counts(client, [], NOON // 10**9, NOON // 10**9 + 600, 60) == {}
