"""Proposed boosts over the port: listed, accepted, made by themselves under a ceiling; budgets in spans."""

from collections.abc import Iterator
from typing import Any

import pytest

from collector.core.findings.model import JourneySeen
from collector.core.sampling.costs import Cost
from collector.core.sampling.roots import Root
from tests.control.control_server import ControlServer, control_server
from tests.core.findings.looks import edge
from tests.cpdd.sampling.policies import policy

SEEN = [
    JourneySeen(
        "check out",
        traces=10**6,
        edges=(
            edge("shop/POST /buy", "stock/reserve", more_failures=20, failed=1e5, critical_share=0.5),
            edge("shop/POST /buy", "tips/get", more_failures=20, failed=1e5, critical_share=0.1),
        ),
        weight=1e7,
    )
]
COSTS = {Root("shop", "POST /buy"): Cost(traces=10, spans=300, bytes=60_000)}


@pytest.fixture
def server() -> Iterator[ControlServer]:
    """One that sees a hundred requests a second, and keeps one."""
    with control_server(seen=SEEN, costs=COSTS, ceiling=10.0) as server:
        report(server)
        yield server


def report(server: ControlServer, **more: Any) -> None:
    count = {"name": "POST /buy", "rule": "", "seen": 100, "kept": 1} | more
    code, answer = server.ask(
        "POST", "/v1/status", {"service": "shop", "instance": "a", "interval_s": 1.0, "operations": [count]}
    )
    assert code == 200, answer


def proposals(server: ControlServer) -> list[dict[str, Any]]:
    code, answer = server.ask("GET", "/v1/proposals")
    assert code == 200
    found: list[dict[str, Any]] = answer["proposals"]
    return found


def test_a_proposal_is_accepted_by_one_call_and_is_proposed_no_more(server: ControlServer):
    first, second = proposals(server)

    code, boosted = server.ask("POST", f"/v1/proposals/{first['id']}/accept", {"author": "me"})

    assert (code, boosted["id"], boosted["max_traces"]) == (200, first["id"], first["max_traces"])
    assert boosted["targets"] == [{"service": "shop", "operation": "POST /buy"}]
    assert first["callee"] == {"service": "stock", "operation": "reserve", "kind": "server"}
    assert [each["id"] for each in proposals(server)] == [second["id"]]
    (live,) = server.ask("GET", "/v1/state")[1]["boosts"]
    assert live["cpdd"]["reason"] == first["why"]
    assert live["cpdd"]["author"] == "me"


def test_what_is_not_proposed_cannot_be_accepted(server: ControlServer):
    code, answer = server.ask("POST", "/v1/proposals/ask-0/accept", {})

    assert code == 404
    assert "ask-0" in answer["error"]


def test_boosts_that_nobody_accepted_stay_under_the_ceiling_and_come_once(server: ControlServer):
    """Each would add 6.7 traces a second, of 10."""
    server.loop.run(server.proposer.boost_by_itself())
    server.loop.run(server.proposer.boost_by_itself())

    boosts = server.ask("GET", "/v1/state")[1]["boosts"]
    assert [boost["cpdd"]["author"] for boost in boosts] == ["cpdd"]


def test_a_boost_of_its_own_that_somebody_ended_is_not_made_again(server: ControlServer):
    server.loop.run(server.proposer.boost_by_itself())
    (boost,) = server.ask("GET", "/v1/state")[1]["boosts"]

    server.ask("DELETE", f"/v1/boosts/{boost['id']}")
    server.loop.run(server.proposer.boost_by_itself())

    (other,) = server.ask("GET", "/v1/state")[1]["boosts"]
    assert other["id"] != boost["id"]


def test_a_budget_of_spans_is_kept_by_what_traces_cost(server: ControlServer):
    proposals(server)  # asks what traces cost
    server.ask("POST", "/v1/policies", policy("a", service="shop", kind="budget", spans_per_second=60))
    report(server, rule="a")

    (sent,) = server.ask("GET", "/v1/policies?service=shop")[1]["policies"]

    assert sent["trace"]["keep"]["percentage"] == pytest.approx(2.0), "2 of 100 traces, 30 spans each"
    assert server.ask("GET", "/v1/state")[1]["policies"][0]["does"] == "budget of 60 spans/s"
