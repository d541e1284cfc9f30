"""Hidden and needless mandatory calls."""

import pytest

from collector.core.findings.declared import hidden_mandatory, needless_mandatory
from collector.core.said import Said
from tests.core.findings.looks import disproved, edge, found, journey, look, only


def test_a_call_declared_optional_whose_caller_fails_with_it_is_hidden_mandatory():
    pricing = edge("shop/POST /checkout", "pricing/POST /discounts", "mandatory", "optional")

    finding = only(found(hidden_mandatory, look(journey(pricing))))

    assert finding.kind == "hidden mandatory"
    assert finding.title == ("shop POST /checkout fails with pricing POST /discounts, which it declares optional")
    assert finding.service == "shop"
    assert [fact.name for fact in finding.facts] == ["calls", "failed", "survival"]


def test_one_that_its_caller_often_fails_with_is_too_and_says_so():
    finding = only(found(hidden_mandatory, look(journey(edge("shop/x", "pricing/y", "mixed", "optional")))))

    assert "often fails with" in finding.title


def test_a_declared_fallback_that_does_not_help_is_named():
    pricing = edge("shop/buy", "shop/discounts", "mandatory", "optional", kind="internal", said=Said(fallback="cache"))

    advice = only(found(hidden_mandatory, look(journey(pricing)))).advice

    assert advice.startswith("It declares an older answer in its place, which does not help")


@pytest.mark.parametrize(
    ("verdict", "declared"), [("optional", "optional"), ("mandatory", ""), ("mandatory", "mandatory")]
)
def test_other_calls_are_not_hidden_and_disprove_it(verdict: str, declared: str):
    hidden = look(journey(edge("shop/x", "pricing/y", "mandatory", "optional")))
    other = look(journey(edge("shop/x", "pricing/y", verdict, declared)))

    assert found(hidden_mandatory, other) == []
    assert only(found(hidden_mandatory, hidden)).id in disproved(hidden_mandatory, other)


def test_while_nothing_fails_nothing_is_disproved():
    hidden = look(journey(edge("shop/x", "pricing/y", "mandatory", "optional")))
    calm = look(journey(edge("shop/x", "pricing/y", "undetermined", "optional")))

    assert only(found(hidden_mandatory, hidden)).id not in disproved(hidden_mandatory, calm)


def test_a_call_declared_mandatory_that_is_survived_is_needless():
    finding = only(found(needless_mandatory, look(journey(edge("shop/x", "ship/y", "optional", "mandatory")))))

    assert finding.title == "shop x does without ship y, which it declares mandatory"


def test_a_survived_failure_of_one_of_a_group_does_not_make_it_needless():
    replica = edge("shop/x", "shop/replica", "optional", "mandatory", said=Said(group="replicas", quorum=2))

    assert found(needless_mandatory, look(journey(replica))) == []


@pytest.mark.parametrize("verdict", ["mandatory", "mixed"])
def test_one_that_its_caller_fails_with_is_needed(verdict: str):
    needless = only(found(needless_mandatory, look(journey(edge("shop/x", "ship/y", "optional", "mandatory")))))
    needed = look(journey(edge("shop/x", "ship/y", verdict, "mandatory")))

    assert found(needless_mandatory, needed) == []
    assert needless.id in disproved(needless_mandatory, needed)


def test_the_same_edge_in_two_journeys_makes_two_findings():
    both = [journey(edge("shop/x", "p/y", "mandatory", "optional"), name=name) for name in ("buy", "gift")]

    assert len({finding.id for finding in found(hidden_mandatory, look(*both))}) == 2
