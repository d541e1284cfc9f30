import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpdd.sampling.document import (
    MAX_SHARED_PREDICATES,
    Document,
    document_json,
    parse_document,
    parse_policy,
    policy_json,
    read_document,
)
from cpdd.sampling.fields import PolicyError
from tests.cpdd.sampling.policies import document, policy

EXAMPLE = """
{"version": 17, "policies": [
 {"id": "base", "trace": {"match": [{"resource_attribute": ["service.name"], "exact": "checkout"}],
                          "keep": {"percentage": 1.0}}},
 {"id": "pay", "trace": {"match": [{"trace_field": "NAME", "exact": "POST /pay"}]},
  "cpdd": {"kind": "budget", "traces_per_second": 5, "scope": "fleet"}},
 {"id": "inc42", "trace": {"match": [{"span_attribute": ["tenant"], "exact": "acme"}], "keep": {"percentage": 100}},
  "cpdd": {"kind": "boost", "expires_unix_ms": 1795222000000, "max_traces": 500, "reason": "INC-42"}}]}
"""


def test_the_documents_of_the_plan_are_read():
    read = read_document(EXAMPLE)

    assert [policy.kind for policy in read.policies] == ["fixed", "budget", "boost"]
    assert read.policies[2].max_traces == 500


def test_a_document_is_read_back_as_it_was_written():
    read = read_document(EXAMPLE)

    assert parse_document(json.loads(json.dumps(document_json(read)))) == read


def test_a_document_that_was_changed_on_its_way_is_refused():
    value = document_json(read_document(EXAMPLE))
    value["policies"][0]["trace"]["keep"]["percentage"] = 100.0

    with pytest.raises(PolicyError, match="hash"):
        parse_document(value)


BOOST = {"kind": "boost", "expires_unix_ms": 1}
NAMED = {"trace_field": "NAME", "exact": "x"}
REFUSED: list[tuple[Any, str]] = [
    ([], "the document"),
    ({"version": -1}, "version"),
    ({"version": True}, "version"),
    ({"policies": {}}, "policies"),
    ({"polices": []}, "polices"),
    ({"policies": [policy("a", 1), policy("a", 1)]}, "policies[1].id"),
    ({"policies": [policy("", 1)]}, "policies[0].id"),
    ({"policies": [policy("a\n", 1)]}, "policies[0].id"),
    ({"policies": [policy("a")]}, "policies[0].trace.keep"),
    ({"policies": [policy("a", 101)]}, "policies[0].trace.keep.percentage"),
    ({"policies": [policy("a", float("nan"))]}, "policies[0].trace.keep.percentage"),
    ({"policies": [policy("a", 1, kind="bost")]}, "policies[0].cpdd.kind"),
    ({"policies": [policy("a", 1, kind="boost")]}, "policies[0].cpdd.expires_unix_ms"),
    ({"policies": [policy("a", 1, max_traces=5)]}, "policies[0].cpdd.max_traces"),
    ({"policies": [policy("a", 1, **BOOST, max_traces=0)]}, "policies[0].cpdd.max_traces"),
    ({"policies": [policy("a", kind="budget")]}, "policies[0].cpdd.traces_per_second"),
    ({"policies": [policy("a", kind="budget", traces_per_second=1, spans_per_second=1)]}, "policies[0].cpdd"),
    ({"policies": [policy("a", 1, bytes_per_second=1)]}, "policies[0].cpdd.bytes_per_second"),
    ({"policies": [policy("a", 5, kind="drop")]}, "policies[0].trace.keep.percentage"),
    ({"policies": [{"id": "a", "trace": {"match": []}}]}, "policies[0].trace.match"),
    ({"policies": [{"id": "a", "trace": {"match": [{**NAMED, "regex": "(a+)+"}]}}]}, "policies[0].trace.match[0]"),
    (
        {"policies": [{"id": "a", "trace": {"match": [{"trace_field": "NAME", "regex": "(a+)+"}]}}]},
        "policies[0].trace.match[0].regex",
    ),
    ({"policies": [{"id": "a", "trace": {"match": [{"exact": "x"}]}}]}, "policies[0].trace.match[0]"),
    (
        {"policies": [{"id": "a", "trace": {"match": [{"span_attribute": [], "exact": "x"}]}}]},
        "policies[0].trace.match[0].span_attribute",
    ),
    (
        {"policies": [{"id": "a", "trace": {"match": [{"span_status": "ERROR"}]}}]},
        "policies[0].trace.match[0].span_status",
    ),
    ({"policies": [{"id": "a", "trace": {"match": [{"span_kind": "X"}]}}]}, "policies[0].trace.match[0].span_kind"),
    ({"policies": [policy("a", 1, op="x" * 300)]}, "policies[0].trace.match[0].exact"),
]


@pytest.mark.parametrize(("value", "place"), REFUSED, ids=[place for _, place in REFUSED])
def test_a_refusal_names_the_field(value: Any, place: str):
    with pytest.raises(PolicyError) as refused:
        parse_document(value)

    assert refused.value.place.startswith(place)
    assert place in str(refused.value)


def test_more_predicates_than_a_decision_may_evaluate_are_refused():
    many = [policy(f"p{n}", 1, attributes={"tenant": str(n)}) for n in range(MAX_SHARED_PREDICATES + 1)]

    document(*many[:-1])
    with pytest.raises(PolicyError, match=r"policies\[32\]"):
        document(*many)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"version": NaN}', "\ud800", b"\xff", '{"version": 1e999}'])
def test_garbage_is_refused_and_never_crashes(text: str | bytes):
    with pytest.raises(PolicyError):
        read_document(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(json_values, st.sampled_from(["version", "hash", "policies", "id", "trace", "cpdd", "match", "keep", "kind"]))
def test_whatever_is_put_in_place_of_a_field_is_read_or_refused(value: Any, field: str):
    whole: dict[str, Any] = {"version": 1, "policies": [policy("a", 1, kind="fixed")]}
    for part in (whole, whole["policies"][0], whole["policies"][0]["trace"], whole["policies"][0]["cpdd"]):
        if field in part:
            part[field] = value

    try:
        read = parse_document(whole)
    except PolicyError:
        return
    assert isinstance(read, Document)


def test_a_policy_says_only_what_is_not_as_by_default():
    said = policy("a", 5.0, service="shop", op="GET /")

    assert policy_json(parse_policy(said)) == said


@pytest.mark.parametrize(
    ("how", "value", "holds"),
    [
        ({"exact": "acme"}, "acme", True),
        ({"exact": "acme"}, "Acme", False),
        ({"exact": "acme", "case_insensitive": True}, "ACME", True),
        ({"exact": "5"}, 5, True),
        ({"exact": "true"}, True, True),
        ({"exact": "acme", "negate": True}, "other", True),
        ({"exact": "acme", "negate": True}, None, True),
        ({"starts_with": "ac"}, "acme", True),
        ({"ends_with": "me"}, "acme", True),
        ({"contains": "cm"}, "acme", True),
        ({"contains": "cm"}, None, False),
        ({"exists": True}, ("a", "b"), True),
        ({"exists": False}, "x", False),
        ({"exists": False}, None, True),
        ({"exact": "a"}, ("a",), False),
    ],
)
def test_matchers_compare_as_they_say(how: dict[str, Any], value: object, holds: bool):
    read = parse_policy({"id": "a", "trace": {"match": [{"span_attribute": ["k"], **how}], "keep": {"percentage": 1}}})

    assert read.matchers[0].test()(value) is holds
