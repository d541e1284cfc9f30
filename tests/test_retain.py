"""Retention round by round: what is kept, what goes, and what is said about it."""

import logging
from pathlib import Path

import pytest

from collector.core.sampling.lives import Life
from collector.retain import CHOOSE_NS, Retainer
from collector.store.derived import Derived
from collector.store.engine import open_store, run
from collector.store.inventory import take_inventory
from cpdd.sampling.document import parse_policy
from cpdd.settings import Settings
from tests.cpdd.sampling.policies import policy
from tests.store.learned import LearnedTrace, learned
from tests.store.spans import Span
from tests.store.test_derived import NOW, FakeClock, commit


def test_a_round_keeps_what_is_interesting_and_says_what_the_ceiling_deleted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    clock = FakeClock(NOW + 1)
    with open_store("chdb://", tmp_path) as store:
        commit(store, [Span(1, 1)])
        commit(store, [Span(2, 1, start=NOW)])
        Derived(store).write(learned([LearnedTrace(1)], NOW))
        retainer = Retainer(store, Settings(max_disk_bytes=1), clock, clock)

        retainer.run_once()
        at_first = retainer.progress.kept_traces
        clock.now_ns += CHOOSE_NS
        retainer.run_once()

        with store.client() as client:
            run(client, "SELECT 1")  # the store still answers
    said = [record for record in caplog.records if record.getMessage() == "disk ceiling reached, oldest rows deleted"]
    assert at_first == 1
    assert retainer.progress.kept_traces == 1
    assert retainer.progress.dropped_rows > 0
    assert retainer.progress.over_ceiling
    assert {record.table for record in said} >= {"otel_traces"}  # type: ignore[attr-defined]
    assert "rows of" in retainer.progress.last_dropped


def test_traces_that_a_boost_brought_are_kept_beside_the_interesting_ones(tmp_path: Path) -> None:
    traces = [LearnedTrace(number, duration_ns=number) for number in range(1, 21)]
    life = Life(parse_policy(policy("inc", 100, service="shop", kind="boost", expires_unix_ms=1)), 0, NOW // 10**6)
    with open_store("chdb://", tmp_path) as store:
        commit(store, [Span(trace.trace_id, 1) for trace in traces])
        Derived(store).write(learned(traces, NOW))
        clock = FakeClock(NOW + 1)
        one = Retainer(store, Settings(), clock, clock, boosts=lambda: [life])

        one.run_once()

        kept = dict(take_inventory(store).kept)
    assert kept == {"boosted": 20, "slow": 3}
    assert one.progress.kept_traces == 20


def test_nothing_is_copied_where_everything_lives_as_long(tmp_path: Path) -> None:
    with open_store("chdb://", tmp_path) as store:
        commit(store, [Span(1, 1)])
        Derived(store).write(learned([LearnedTrace(1)], NOW))
        retainer = Retainer(store, Settings(retention_days=30, interesting_days=7), FakeClock(NOW + 1))

        retainer.run_once()

    assert retainer.progress.kept_traces == 0
    assert retainer.progress.dropped_bytes == 0
    assert retainer.progress.used_bytes > 0
