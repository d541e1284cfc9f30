"""Evidence about edges as the reader finds it: of which version, how old, compared with whom; and fallbacks."""

from dataclasses import replace

import pytest

from collector.core.requirement import MANDATORY, OPTIONAL, judge
from collector.store.engine import Store
from collector.store.graphs import graph_of
from collector.store.reader import Reader
from collector.store.values import Edge, JourneyDetail, Node, Window
from tests.store.learned import EdgeSteps, LearnedTrace
from tests.store.spans import MINUTE_NS, NOON
from tests.store.test_reader import learn

SHOP, PAY, CACHE = ("shop", "POST /checkout"), ("pay", "POST /pay"), ("cache", "GET")
EDGE: EdgeSteps = (SHOP, PAY)
DAY_NS = 24 * 60 * MINUTE_NS
HOUR = Window(NOON, NOON + 60 * MINUTE_NS)

WELL = {"Calls": 1, "Quiet": 1, "QuietWell": 1, "QuietJourneyWell": 1}
SURVIVED = {"Calls": 1, "Failed": 1, "Survived": 1, "Alone": 1, "AloneWell": 1}
DEAD = {"Calls": 1, "Failed": 1, "Alone": 1}


def traces(counts: dict[str, int], times: int, first_id: int, **more: object) -> list[LearnedTrace]:
    """So many traces whose edge has these counts."""
    start = int(str(more.pop("start", NOON)))
    trace = LearnedTrace(first_id, start, path={(SHOP,): 100}, edges={EDGE: counts}, **more)  # type: ignore[arg-type]
    return [replace(trace, trace_id=first_id + i) for i in range(times)]


def journey(store: Store) -> JourneyDetail:
    detail = Reader(store).journey("check out", HOUR)
    assert detail is not None
    return detail


def the_edge(store: Store) -> Edge:
    (edge,) = [edge for edge in journey(store).edges if edge.callee.service == "pay"]
    return edge


def test_the_current_version_counts_when_it_decides(store: Store) -> None:
    old = traces(DEAD, 40, 1, caller_version="1") + traces(WELL, 200, 101, caller_version="1")
    new = [
        *traces(SURVIVED, 40, 401, caller_version="2", start=NOON + MINUTE_NS),
        *traces(WELL, 200, 501, caller_version="2", start=NOON + MINUTE_NS),
    ]

    learn(store, [*old, *new])

    edge = the_edge(store)
    assert (edge.basis, judge(edge.evidence).verdict) == ("version 2", OPTIONAL)
    assert edge.failed == 80


def test_until_the_current_version_decides_the_past_counts(store: Store) -> None:
    old = traces(DEAD, 40, 1, caller_version="1") + traces(WELL, 200, 101, caller_version="1")
    new = traces(DEAD, 1, 401, caller_version="2", start=NOON + MINUTE_NS)

    learn(store, [*old, *new])

    edge = the_edge(store)
    assert (edge.basis, judge(edge.evidence).verdict) == ("30 days", MANDATORY)


def test_evidence_is_older_than_the_window_and_fades(store: Store) -> None:
    long_ago = traces(DEAD, 40, 1, start=NOON - 14 * DAY_NS) + traces(WELL, 40, 101, start=NOON - 14 * DAY_NS)

    learn(store, long_ago + traces(WELL, 10, 201))

    edge = the_edge(store)
    assert (edge.failed, edge.calls) == (0, 10)
    assert edge.evidence.failed.weight == pytest.approx(10, rel=0.01)
    assert edge.evidence.failed.effective == pytest.approx(40)
    assert judge(edge.evidence).verdict == MANDATORY


def test_one_trace_kept_at_one_percent_is_one_witness_with_a_hundred_calls(store: Store) -> None:
    learn(store, traces({**SURVIVED, "Alone": 1}, 3, 1, weight=100.0) + traces(DEAD, 6, 11))

    failed = the_edge(store).evidence.failed
    assert (failed.weight, failed.well) == pytest.approx((306, 300), rel=0.01)
    assert (failed.squares, failed.well_squares) == pytest.approx((30_006, 30_000), rel=0.01)


def test_callers_are_compared_with_those_of_the_minutes_of_the_failures(store: Store) -> None:
    ill = {"Calls": 1, "Quiet": 1}
    bad_minute = traces(DEAD, 10, 1) + traces(SURVIVED, 10, 21) + traces(WELL, 20, 41) + traces(ill, 20, 61)
    calm = traces(WELL, 500, 101, start=NOON + MINUTE_NS)

    learn(store, bad_minute + calm)

    verdict = judge(the_edge(store).evidence)
    assert verdict.survival == pytest.approx(1.0, abs=0.02)


def test_what_is_only_called_after_a_failure_is_its_fallback(store: Store) -> None:
    instead: EdgeSteps = (SHOP, CACHE)
    failed = [
        replace(trace, edges={EDGE: SURVIVED, instead: {"Calls": 1}}, replacements=((EDGE, instead),))
        for trace in traces(SURVIVED, 5, 1)
    ]

    learn(store, failed + traces(WELL, 50, 11))

    assert the_edge(store).fallbacks == ((Node(*CACHE, "server"), 5.0),)


def test_a_journey_becomes_a_graph_with_roots_and_verdicts(store: Store) -> None:
    learn(store, traces(DEAD, 40, 1) + traces(WELL, 200, 101))

    graph = graph_of(journey(store))

    (edge,) = graph.edges
    assert (edge.verdict.verdict, edge.calls, edge.failed, edge.p50_ns) == (MANDATORY, 240, 40, None)
    assert [(name, node.id) for name, node in graph.roots] == [("check out", "shop / POST /checkout")]
