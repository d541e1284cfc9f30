"""Whose the time between a caller and a callee is."""

import pytest

from collector.core.population import population_of
from tests.core.drawing import read_trace


def times(drawing: str) -> dict[str, int]:
    """Time on the path by part: "cart GET" for an operation's own, "shop -> cart" for a gap."""
    population = population_of(read_trace(drawing))
    found: dict[str, int] = {}
    for part, time in zip(population.cell_part.tolist(), population.cell_ns.tolist(), strict=True):
        whose = population.parts[part]
        name = f"{whose.caller_service} -> {whose.service}" if whose.is_gap else f"{whose.service} {whose.operation}"
        found[name] = found.get(name, 0) + time
    return found


def test_a_client_around_its_server_is_the_gap_of_their_edge():
    found = times(
        "shop/buy 0-100 server; shop/GET 10-90 client in shop/buy; cart/get 30-60 server in shop/GET",
    )

    assert found == {"shop buy": 20, "shop -> cart": 50, "cart get": 30}


def test_a_client_of_a_callee_without_spans_is_work_of_its_own():
    assert times("shop/buy 0-100 server; shop/SELECT 10-90 client in shop/buy") == {"shop buy": 20, "shop SELECT": 80}


def test_without_kinds_the_gap_lies_where_the_service_changes():
    found = times(
        "shop/buy 0-100 unspecified; shop/GET 10-90 unspecified in shop/buy; cart/get 30-60 unspecified in shop/GET",
    )

    assert found == {"shop buy": 20, "shop -> cart": 50, "cart get": 30}


def test_without_kinds_a_span_with_another_child_keeps_its_time():
    found = times(
        "shop/buy 0-100 unspecified; cart/get 10-40 unspecified in shop/buy; shop/sum 50-60 unspecified in shop/buy",
    )

    assert found == {"shop buy": 60, "cart get": 30, "shop sum": 10}


@pytest.mark.parametrize("kind", ["server", "consumer"])
def test_with_kinds_an_entry_without_a_client_below_keeps_its_time(kind: str):
    found = times(f"shop/buy 0-100 {kind}; cart/get 30-60 server in shop/buy")

    assert found == {"shop buy": 70, "cart get": 30}


def test_the_caller_of_a_gap_is_the_operation_that_entered_its_service():
    population = population_of(
        read_trace(
            "shop/buy 0-100 server; shop/inner 5-95 in shop/buy; shop/GET 10-90 client in shop/inner;"
            "cart/get 30-60 server in shop/GET"
        )
    )

    (gap,) = (part for part in population.parts if part.is_gap)
    assert gap.to_json() == {
        "kind": "edge",
        "caller": {"service": "shop", "operation": "buy"},
        "callee": {"service": "cart", "operation": "get"},
        "what": "gap",
    }
