"""The tab Contracts: what is promised and declared, against what was seen, call by call."""

from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from collector.core.contracts.document import read_contract
from collector.core.requirement import Evidence, Share
from collector.core.said import Said
from collector.store.values import Edge, Node, Window
from tests.ui.page_text import ReadPage
from tests.ui.test_requirement import EDGE, failed
from ui.views.contract_text import contract_text
from ui.views.contracts import terms_of
from ui.views.time_range import range_of

AT = range_of(Window(0, 10**9), 10**9)
CHECKOUT = "/contracts?journey=check+out"
MARK = replace(EDGE, id=2, callee=Node("shop", "tips", "internal"), kind="internal", declared_optional=10.0)
INSIDE = replace(EDGE, id=3, caller=MARK.callee, callee=Node("recommend", "GET /best", "server"))


def outcomes(*edges: Edge) -> list[tuple[str, str]]:
    return [(term.outcome, term.because) for term in terms_of(edges, ["undetermined"] * len(edges), AT)]


def test_a_call_that_is_as_declared_keeps_its_contract():
    assert outcomes(failed(60, 0, declared_mandatory=9.0)) == [("kept", "declared mandatory, and is")]


def test_a_call_that_is_not_as_declared_breaks_it():
    assert outcomes(failed(60, 0, declared_optional=9.0)) == [("broken", "declared optional, is mandatory")]


def test_a_call_that_never_failed_was_not_seen_yet():
    assert outcomes(replace(EDGE, declared_optional=9.0)) == [
        ("not seen yet", "declared optional, too few failures to tell")
    ]


def test_of_a_call_that_says_nothing_stands_what_was_seen():
    assert outcomes(failed(60, 60)) == [("not declared", "nobody says whether it matters; it is optional")]


def test_broken_ones_stand_first_and_silent_ones_last():
    silent, kept = EDGE, replace(failed(60, 0, declared_mandatory=9.0), id=4)
    broken = replace(failed(60, 0, declared_optional=9.0), id=5)

    found = terms_of([silent, kept, broken], ["undetermined"] * 3, AT)

    assert [term.outcome for term in found] == ["broken", "kept", "not declared"]


def test_what_is_called_inside_a_mark_belongs_to_the_mark():
    """The mark fails with the call inside it; that is what it is for, and no contract is broken by it."""
    dying = replace(INSIDE, failed=60.0, evidence=Evidence(Share(60, 0, 60), Share(900, 900, 900)))
    surviving = replace(MARK, failed=60.0, survived=60.0, evidence=Evidence(Share(60, 60, 60), Share(900, 900, 900)))

    (term,) = terms_of([surviving, dying], ["optional", "optional"], AT)

    assert (term.outcome, term.is_mark, term.inside) == ("kept", True, (INSIDE.callee,))


def test_how_long_a_caller_waits_and_what_it_has_instead_is_said():
    said = replace(
        EDGE, said=Said(500_000_000, "cache"), fallbacks=((Node("cart", "GET /old", "server"), 12.0),), mean_ns=6e8
    )

    (term,) = terms_of([said], ["undetermined"], AT)

    assert (
        term.deadline.replace("\u00a0", " ") == "waits 500 ms at most; takes 600 ms on average, longer than it is given"
    )
    assert term.fallback == "declares an older answer in its place; seen: cart GET /old, 12×"


def test_the_page_says_what_is_broken_and_how_much_is_known(client: FlaskClient):
    page = ReadPage(client.get(CHECKOUT).text)
    value = client.get("/contracts.json?journey=check+out").json

    assert value["answer"] in page.text
    assert value["answer"].startswith("Of ")
    assert {term["outcome"] for term in value["terms"]} <= {"broken", "kept", "not seen yet", "not declared"}
    declared = {term["edge"]["callee"]["service"]: term["requirement"]["declared"] for term in value["terms"]}
    assert declared["payment"] == "mandatory"
    assert declared["recommend"] == "optional"


def test_the_contract_that_is_offered_can_be_read_and_names_what_is_needed(client: FlaskClient):
    text = client.get("/contracts.json?journey=check+out").json["contract"]

    (journey,) = read_contract(text, "offered").journeys

    assert journey.journey == "check out"
    assert "shop / POST /checkout -> payment / POST /pay" in text


def test_a_contract_holds_names_that_need_quotes():
    edge = replace(EDGE, callee=Node('pay"ment\\', "POST /p\u007fay\n\u202e", "server"))

    text = contract_text('a "b"', 1e8, [edge], ["mandatory"])

    (journey,) = read_contract(text, "quoted").journeys
    assert journey.journey == 'a "b"'
    assert 'latency = { p95 = "120ms" }' in text


@pytest.mark.parametrize("name", ["a -> b -> c", "->", "\ud800"])
def test_a_name_that_no_contract_can_hold_leaves_it_away(name: str):
    assert contract_text("x", 0.0, [replace(EDGE, callee=Node(name, "", "server"))], ["mandatory"]) == ""


def test_without_calls_there_is_nothing_to_declare(client: FlaskClient):
    assert contract_text("x", 0.0, [], []) == ""


def test_a_journey_that_was_not_there_leads_to_its_last_trace(client: FlaskClient):
    missing = client.get("/contracts.json?journey=nobody")
    none = client.get("/contracts")

    assert missing.status_code == 404
    assert (none.status_code, none.headers["Location"]) == (302, "/")


def test_every_page_of_a_journey_leads_to_its_contracts(client: FlaskClient):
    for page in ("/journeys/check%20out", "/compare?journey=check+out", "/what-if?journey=check+out", CHECKOUT):
        assert f'href="{CHECKOUT}"' in client.get(page).text
