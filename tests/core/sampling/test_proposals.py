"""Which boosts the critical path asks for."""

from types import SimpleNamespace
from typing import Any

import pytest

from collector.core.findings.model import JourneySeen
from collector.core.sampling.costs import Cost, cost_of, traces_per_second
from collector.core.sampling.fleet import Rate
from collector.core.sampling.proposals import Proposal, propose
from collector.core.sampling.roots import Root
from cpdd.sampling.document import parse_policy
from tests.core.findings.looks import edge, journey
from tests.cpdd.sampling.policies import policy

BUY = Root("shop", "POST /buy")
COSTS = {BUY: Cost(traces=10, spans=300, bytes=60_000), Root("shop", "GET /"): Cost(90, 90, 9_000)}
ALL_SEEN = {"traces": 100_000}
"""Enough for the tail of a journey."""


def proposed(*journeys: JourneySeen, seen: float = 100.0, kept: float = 1.0, longest_s: float = 3600) -> list[Proposal]:
    return propose(journeys, {BUY: Rate(seen, kept)}, COSTS, longest_s)


def buying(*edges: Any, traces: int = 100_000, **more: Any) -> JourneySeen:
    return JourneySeen("check out", traces, edges, weight=100.0 * traces, **more)


def open_edge(**more: Any) -> Any:
    return edge("shop/POST /buy", "stock/reserve", **({"more_failures": 20} | more))


def test_an_edge_that_nobody_can_judge_is_proposed_with_its_roots_and_its_cost():
    (found,) = proposed(buying(open_edge(failed=100_000.0)))  # in 10^7 traces: one in a hundred

    assert found.kind == "undetermined edge"
    assert found.roots == (BUY,)
    assert found.traces_needed == found.max_traces == 2_000
    assert (found.percentage, found.traces_per_second) == (7.7, pytest.approx(6.7)), "2,000 traces in 5 minutes"
    assert found.duration_s == pytest.approx(2_000 / 6.7, abs=1)
    assert (found.spans, found.spans_per_second) == (60_000, pytest.approx(30 * 6.7))
    assert "20 more failures" in found.why
    assert found.decides_in_s == pytest.approx(2_000 / 6.7, abs=1)
    assert found.otherwise_in_s == 2_000, "one a second is kept now"


def test_where_the_traffic_is_too_little_all_is_kept_for_longer_and_the_rest_is_said():
    (found,) = proposed(buying(open_edge(failed=1_000.0)), seen=1.0, kept=0.1)

    assert found.percentage == 100.0
    assert found.duration_s == 3600
    assert found.traces_needed == 200_000
    assert found.max_traces == 3_240
    assert found.decides_in_s == pytest.approx(200_000 / 0.9, abs=1), "56 boosts of an hour"


def test_an_edge_that_never_failed_is_taken_to_fail_as_often_as_that_allows():
    (found,) = proposed(buying(open_edge(failed=0.0)))

    assert found.traces_needed == pytest.approx(20 * 1e7 / 3, rel=1e-6)


def test_nothing_is_proposed_where_all_is_kept_or_nothing_begins_or_all_is_known():
    assert proposed(buying(open_edge()), kept=100.0) == []
    assert propose([buying(open_edge())], {}, COSTS, 3600) == []
    assert proposed(buying(edge("shop/POST /buy", "stock/reserve", "mandatory"))) == []


def test_a_broken_promise_comes_first_then_edges_by_their_share_of_the_path_then_few_traces():
    standing = SimpleNamespace(what="availability", alert="fires")
    edges = (open_edge(critical_share=0.1), edge("shop/POST /buy", "tips/get", more_failures=5, critical_share=0.4))

    found = proposed(buying(*edges, traces=500, standings=(standing,)))

    assert [each.kind for each in found] == ["broken promise", "undetermined edge", "undetermined edge", "few traces"]
    assert found[1].callee == ("tips", "get", "server")
    assert found[0].duration_s == 600
    assert found[0].percentage == 100.0
    assert found[3].traces_needed == 1_500


def test_the_same_question_has_the_same_id_whatever_the_traffic():
    assert proposed(buying(open_edge()))[0].id == proposed(buying(open_edge(more_failures=3)), seen=9.0)[0].id


def test_a_journey_without_calls_begins_where_its_name_says():
    (found,) = proposed(journey(name="shop: POST /buy"))

    assert (found.kind, found.roots) == ("few traces", (BUY,))


@pytest.mark.parametrize(
    ("matched", "said", "comes_to"),
    [
        ({"op": "POST /buy"}, {"spans_per_second": 60}, 2.0),
        ({"op": "POST /buy"}, {"bytes_per_second": 60_000}, 10.0),
        ({"service": "shop"}, {"spans_per_second": 39}, 10.0),
        ({"service": "unseen"}, {"spans_per_second": 39}, 10.0),
        ({"service": "shop"}, {"traces_per_second": 5}, 5),
    ],
)
def test_a_budget_of_spans_or_bytes_comes_to_traces_by_what_these_cost(
    matched: dict[str, str], said: dict[str, float], comes_to: float
):
    of = parse_policy(policy("a", kind="budget", **matched, **said))

    assert traces_per_second(of, COSTS) == pytest.approx(comes_to)


def test_before_anything_was_stored_the_cost_is_guessed():
    of = parse_policy(policy("a", kind="budget", spans_per_second=100))

    assert cost_of({}, of).spans_a_trace == 20
    assert traces_per_second(of, {}) == 5
