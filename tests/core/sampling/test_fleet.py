"""Instances that report here, and those that report elsewhere."""

import pytest

from collector.core.sampling.fleet import NO_TRAFFIC, Fleet, Rate, Report
from cpdd.sampling.document import parse_policy
from tests.cpdd.sampling.policies import policy

FLEET = parse_policy(policy("b", kind="budget", traces_per_second=6))
BY_SERVICE = parse_policy(policy("b", kind="budget", traces_per_second=6, scope="service"))


def reporting(service: str, instance: str, seen: float) -> tuple[Fleet, Report]:
    fleet = Fleet()
    report = Report(service, instance, rates={("GET /", "b"): Rate(seen), ("GET /", "other"): Rate(7.0)})
    fleet.take(report, 0.0)
    fleet.look(0.0)
    return fleet, report


def test_a_budget_is_of_all_servers_together():
    (one, report), (other, _) = reporting("shop", "a", 300.0), reporting("stock", "b", 100.0)

    one.hear([other.traffic(["b"])])

    assert one.shares(FLEET, {}, report)[""].probability == pytest.approx(6 / 400)
    assert one.shares(FLEET, {}, report)[""].local_traces_per_second == 3.0
    assert one.shares(BY_SERVICE, {}, report)["shop"].probability == pytest.approx(6 / 300)


def test_what_is_not_heard_of_any_more_does_not_count():
    (one, report), (other, _) = reporting("shop", "a", 300.0), reporting("shop", "b", 300.0)
    one.hear([other.traffic(["b"])])
    before = one.is_heard("shop"), one.is_heard("stock")

    one.hear([])

    assert before == (True, False)
    assert one.shares(FLEET, {}, report)[""].probability == pytest.approx(6 / 300)


def test_traffic_is_told_of_the_rules_that_are_asked_for():
    fleet, _ = reporting("shop", "a", 300.0)

    assert fleet.traffic(["b"]).seen == {("shop", "b"): {"GET /": 300.0}}
    assert fleet.traffic([]).live == {"shop": 1}
    assert Fleet().traffic(["b"]) == NO_TRAFFIC
