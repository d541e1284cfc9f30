import itertools
from typing import Any

import pytest

from cpdd.sampling.resolution import resolve
from tests.cpdd.sampling.policies import document, policy

BOOST: dict[str, Any] = {"kind": "boost", "expires_unix_ms": 1}

CASES: dict[str, tuple[list[dict[str, Any]], float, str]] = {
    "nothing matches: the baseline": ([], 0.5, ""),
    "the operation before the service": ([policy("a", 1, service="s"), policy("b", 9, op="o")], 0.09, "b"),
    "the operation with an attribute before the operation": (
        [policy("a", 1, op="o"), policy("b", 9, op="o", attributes={"k": "v"})],
        0.09,
        "b",
    ),
    "the journey before the service": ([policy("a", 1, service="s"), policy("b", 9, journey="j")], 0.09, "b"),
    "the operation before the journey": ([policy("a", 1, journey="j"), policy("b", 9, op="o")], 0.09, "b"),
    "the service before everything": ([policy("a", 1), policy("b", 9, service="s")], 0.09, "b"),
    "of equals the smallest id": ([policy("b", 9, op="o"), policy("a", 1, op="o")], 0.01, "a"),
    "a budget that nobody worked out says nothing": (
        [policy("a", op="o", kind="budget", traces_per_second=1), policy("b", 9, service="s")],
        0.09,
        "b",
    ),
    "a boost raises": ([policy("a", 1, op="o"), policy("b", 80, **BOOST)], 0.8, "b"),
    "the strongest boost counts": ([policy("b", 80, **BOOST), policy("c", 90, **BOOST)], 0.9, "c"),
    "a boost never lowers": ([policy("a", 50, op="o"), policy("b", 10, **BOOST)], 0.5, "a"),
    "a limit bounds a boost": ([policy("b", 80, **BOOST), policy("l", 20, kind="limit")], 0.2, "l"),
    "the lowest limit counts": ([policy("l", 20, kind="limit"), policy("k", 5, kind="limit")], 0.05, "k"),
    "a drop beats everything": ([policy("b", 100, **BOOST), policy("d", kind="drop")], 0.0, "d"),
}


@pytest.mark.parametrize("case", CASES)
def test_policies_resolve_whatever_their_order(case: str):
    policies, probability, rule = CASES[case]

    for order in itertools.permutations(policies):
        resolved = resolve(document(*order).policies, "o", baseline=0.5)

        assert (resolved.probability, resolved.rule) == (probability, rule)


def test_an_operation_of_an_adaptive_policy_has_its_own_share():
    adaptive = document(policy("a", 50, kind="adaptive", traces_per_second=9, operations={"rare": 100, "busy": 1}))

    shares = [resolve(adaptive.policies, operation, 1.0).probability for operation in ("rare", "busy", "new")]

    assert shares == [1.0, 0.01, 0.5]


def test_a_counted_boost_without_traces_left_adds_nothing():
    policies = document(policy("a", 1), policy("b", 80, **BOOST, max_traces=5)).policies

    with_room = resolve(policies, "o", 1.0, lambda lease: True)
    without = resolve(policies, "o", 1.0, lambda lease: False)

    assert (with_room.probability, with_room.without_lease, with_room.lease) == (0.8, 0.01, "b")
    assert (without.probability, without.rule, without.lease) == (0.01, "a", "")


def test_a_counted_boost_pays_only_for_what_an_uncounted_one_does_not_add():
    policies = document(policy("a", 1), policy("b", 80, **BOOST, max_traces=5), policy("c", 40, **BOOST)).policies

    resolved = resolve(policies, "o", 1.0)

    assert (resolved.probability, resolved.without_lease) == (0.8, 0.4)


def test_the_share_of_a_boost_says_which_traces_tell_more_also_of_those_that_are_kept_anyway():
    telling = [
        policy("f", 1, kind="boost", expires_unix_ms=1, detail=["function_spans"]),
        policy("q", 20, kind="boost", expires_unix_ms=1, detail=["query_text"]),
    ]

    found = resolve(document(policy("base", 100), *telling).policies, "GET /", 0.0)

    assert (found.probability, found.rule) == (1.0, "base")
    assert found.detail == ((0.01, "qf"), (0.2, "q"))
