"""Evidence of a month: the same sums, whether the past is read or remembered."""

import time
from collections.abc import Sequence

import pytest

from collector.store.derived import Derived
from collector.store.engine import Store
from collector.store.evidence_rows import (
    CHECKED_EVERY_S,
    DAY_S,
    FIRST_SUM,
    HALF_LIFE_S,
    HISTORY_S,
    OF_JOURNEY,
    SUMS,
    EvidencePast,
    EvidenceRows,
)
from tests.store.learned import EdgeSteps, LearnedTrace, edge_id, learned
from tests.store.spans import MINUTE_NS, NOON

SHOP, PAY, CACHE = ("shop", "POST /checkout"), ("pay", "POST /pay"), ("cache", "GET")
FAILS: EdgeSteps = (SHOP, PAY)
HOLDS: EdgeSteps = (SHOP, CACHE)
NOON_S = NOON // 1_000_000_000
ALONE, FADED_ALONE = FIRST_SUM, FIRST_SUM + len(OF_JOURNEY) + len(SUMS)
WELL, DEAD = {"Calls": 1, "Quiet": 1, "QuietWell": 1}, {"Calls": 1, "Failed": 1, "Alone": 1}


class Clock:
    def __init__(self) -> None:
        self.at_s = 0.0

    def __call__(self) -> float:
        return self.at_s


def traces() -> list[LearnedTrace]:
    """Failures today, yesterday, three weeks ago, and before all of the history."""
    days_and_versions = ((0, "2"), (1, "2"), (1, "1"), (21, "1"), (40, "1"))
    return [
        LearnedTrace(
            100 * number + nth,
            start=NOON - day * DAY_S * 1_000_000_000 + nth * MINUTE_NS,
            journey=journey,
            edges={FAILS: DEAD, HOLDS: WELL},
            caller_version=version,
        )
        for number, (day, version, journey) in enumerate(
            (day, version, journey) for day, version in days_and_versions for journey in ("pay", "browse")
        )
        for nth in range(2 + number)
    ]


def expected(made: Sequence[LearnedTrace], last_s: int, journey: str) -> dict[tuple[int, str], tuple[float, float]]:
    """How many failures, and how many of them are left after fading, by edge and version of the caller."""
    sums: dict[tuple[int, str], tuple[float, float]] = {}
    for trace in made:
        minute_s = trace.minute * 60
        if trace.journey == journey and last_s - HISTORY_S <= minute_s < last_s:
            for edge, counts in trace.edges.items():
                failed = float(counts.get("Alone", 0))
                before, faded = sums.get((edge_id(edge), trace.caller_version), (0.0, 0.0))
                left = failed * 0.5 ** ((last_s - minute_s) / HALF_LIFE_S)
                sums[edge_id(edge), trace.caller_version] = (before + failed, faded + left)
    return sums


def of(found: EvidenceRows, journey: str) -> dict[tuple[int, str], object]:
    return {(row[0], row[1]): pytest.approx((row[ALONE], row[FADED_ALONE])) for row in found.get(journey, ())}


@pytest.mark.parametrize("last_s", [NOON_S + 3600, NOON_S + 90, NOON_S - 3 * DAY_S, NOON_S + 10 * DAY_S])
def test_the_past_says_the_same_read_or_remembered(store: Store, last_s: int) -> None:
    made = traces()
    batch = learned(made, NOON)
    derived = Derived(store)
    derived.write(batch)
    derived.recompute_minutes(batch.minutes)
    past = EvidencePast()

    with store.client() as client:
        for _ in ("read", "remembered"):
            for journey in ("pay", "browse"):
                assert of(past.read(client, last_s, journey), journey) == expected(made, last_s, journey)
            whole, failed = past.read(client, last_s), past.read(client, last_s, failed_only=True)
            for journey in ("pay", "browse"):
                wanted = expected(made, last_s, journey)
                assert of(whole, journey) == wanted
                with_failures = {key: sums for key, sums in wanted.items() if sums[0]}
                assert {
                    key: sums for key, sums in of(failed, journey).items() if key[0] == edge_id(FAILS)
                } == with_failures
                assert {row[0] for row in failed.get(journey, ())} == {key[0] for key in with_failures}


def test_a_past_that_was_published_anew_is_read_again(store: Store) -> None:
    made, clock = traces(), Clock()
    derived = Derived(store)
    batch = learned(made, NOON)
    derived.write(batch)
    derived.recompute_minutes(batch.minutes)
    past = EvidencePast(clock)
    last_s = NOON_S + 3600
    late = LearnedTrace(9_999, NOON - 5 * DAY_S * 1_000_000_000, journey="pay", edges={FAILS: DEAD})

    with store.client() as client:
        past.read(client, last_s)
        derived.write(learned([late], NOON + 1))
        Derived(store, now_ns=lambda: time.time_ns() - 3_600 * 10**9).recompute_minutes(
            {late.minute}
        )  # another's clock
        assert of(past.read(client, last_s), "pay") == expected(made, last_s, "pay")
        clock.at_s += CHECKED_EVERY_S
        assert of(past.read(client, last_s), "pay") == expected([*made, late], last_s, "pay")


def test_who_asks_about_a_day_to_come_or_a_day_before_leaves_what_is_remembered(store: Store) -> None:
    made = traces()
    derived = Derived(store)
    batch = learned(made, NOON)
    derived.write(batch)
    derived.recompute_minutes(batch.minutes)
    past = EvidencePast(now_s=lambda: NOON_S + DAY_S)
    last_s = NOON_S + 3600
    late = LearnedTrace(9_999, NOON - 5 * DAY_S * 1_000_000_000, journey="pay", edges={FAILS: DEAD})

    with store.client() as client:
        past.read(client, last_s)
        derived.write(learned([late], NOON + 1))
        derived.recompute_minutes({late.minute})
        for moment_s in (NOON_S + 9 * DAY_S, NOON_S - 9 * DAY_S):
            past.read(client, moment_s, "pay")
        assert of(past.read(client, last_s), "pay") == expected(made, last_s, "pay")
