"""Rows summed here say what the engine's sums say, and of each minute those of its published version alone."""

import doctest

import numpy as np
import pytest

from collector.store import hexadecimal, minute_rows
from collector.store.derived import Derived
from collector.store.engine import Store
from collector.store.reader import Reader
from collector.store.values import Durations, Window
from collector.store.which_minutes import Minutes, with_versions
from tests.store.learned import EdgeSteps, LearnedTrace, edge_id, learned
from tests.store.spans import MINUTE_NS, NOON
from tests.store.test_bands import assert_alike
from tests.store.test_derived import NOW

SHOP, CART, STOCK, CACHE = ("shop", "POST /checkout"), ("cart", "get"), ("stock", "get"), ("cache", "get")
GETS: EdgeSteps = (SHOP, CART)
ASKS: EdgeSteps = (CART, STOCK)
INSTEAD: EdgeSteps = (CART, CACHE)
JOURNEY = "check out"
HOURS = Window(NOON, NOON + 150 * MINUTE_NS)
MS = 1_000_000


def traces(seed: int) -> list[LearnedTrace]:
    """Of two journeys and three versions; stock fails now and then, and a cache is asked in its place."""
    random = np.random.default_rng(seed)
    return [
        LearnedTrace(
            n + 1,
            start=NOON + n * 7 % 150 * MINUTE_NS,
            duration_ns=own + called,
            journey=JOURNEY if n % 5 else "other",
            failed=n % 9 == 0,
            weight=4.0 if n % 7 == 0 else 1.0,
            path={(SHOP,): own, (SHOP, CART): called},
            edges={
                GETS: {"Calls": 1, "Quiet": 1, "QuietWell": int(n % 9 > 0), "QuietJourneyWell": 1, "PathNs": called},
                ASKS: {"Calls": 2, "Failed": n % 2, "Alone": n % 2, "AloneWell": int(n % 4 == 1), "Quiet": n % 3},
                **({INSTEAD: {"Calls": 1}} if n % 2 else {}),
            },
            caller_version=str(n % 3),
            replacements=((ASKS, INSTEAD),) if n % 2 else (),
        )
        for n in range(160)
        for own, called in [(int(random.lognormal(2, 0.3) * MS), int(random.lognormal(2, 1.5) * MS))]
    ]


@pytest.fixture
def filled(store: Store) -> Store:
    """Every minute was published twice, and what it had before is not merged away."""
    derived = Derived(store)
    for version, seed in ((NOW, 1), (NOW + 1, 2)):
        batch = learned(traces(seed), version)
        derived.write(batch)
        derived.recompute_minutes(range(NOON // MINUTE_NS, NOON // MINUTE_NS + 150))
    return store


def test_few_rows_are_summed_as_the_engine_sums_many(filled: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Durations(5 * MS, 40 * MS)
    here = Reader(filled).journey(JOURNEY, HOURS, None, 3, asked)
    monkeypatch.setattr(minute_rows, "MOST_ROWS", 0)
    by_engine = Reader(filled).journey(JOURNEY, HOURS, None, 3, asked)

    assert here is not None
    assert by_engine is not None
    assert here.summary.traces > 100
    assert any(edge.evidence.failed.weight for edge in here.edges)
    assert any(edge.fallbacks for edge in here.edges)
    assert_alike(here, by_engine)


def test_the_median_of_one_journey_is_that_of_all_journeys(filled: Store) -> None:
    reader = Reader(filled)

    medians = {summary.journey: summary.p50_ns for summary in reader.journeys(HOURS)}

    assert {name: reader.median_ns(name, HOURS) for name in (JOURNEY, "other")} == medians
    assert reader.median_ns("nobody's", HOURS) is None


def test_chosen_traces_are_summed_like_all(filled: Store) -> None:
    reader = Reader(filled)
    every = tuple(trace.hex_id for trace in traces(2) if trace.journey == JOURNEY)

    chosen, whole = reader.journey(JOURNEY, HOURS, every), reader.journey(JOURNEY, HOURS)

    assert chosen is not None
    assert whole is not None
    assert_alike(chosen.summary, whole.summary)
    assert_alike(chosen.latency, whole.latency)


def test_rows_that_are_not_published_do_not_count(filled: Store) -> None:
    made = [trace for trace in traces(2) if trace.journey == JOURNEY]
    with filled.client() as client:
        minutes = with_versions(client, Minutes.of(HOURS))
        rows = minute_rows.read_rows(client, minutes, "edge_minutes", ("EdgeId", "Calls"), JOURNEY)

    calls = {
        edge: sum(minute_rows.numeric(rows, "Calls")[minute_rows.numeric(rows, "EdgeId") == edge_id(edge)])
        for edge in (GETS, ASKS)
    }
    assert calls == {edge: sum(trace.weight * trace.edges[edge]["Calls"] for trace in made) for edge in (GETS, ASKS)}
    assert set(minute_rows.numeric(rows, "Minute").tolist()) == {trace.minute * 60 for trace in made}


def test_ids_are_numbers_as_documented() -> None:
    assert doctest.testmod(hexadecimal).failed == 0
