"""A service's page: the journeys that go down with it, its nines, who calls it and whom it calls."""

from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from collector.core.journeys_file import parse_journeys
from collector.store.values import Window
from tests.ui.conftest import SETTINGS
from tests.ui.memory import MemoryReader
from tests.ui.page_text import ReadPage
from tests.ui.shop import NOW_NS
from ui.app import create_app
from ui.views.address import service_address
from ui.views.journey_need import needs_of, parts_of


@pytest.fixture(scope="module")
def payment(client: FlaskClient) -> dict[str, object]:
    return client.get("/services/payment.json").json  # type: ignore[no-any-return]


def test_the_first_sentence_says_what_goes_down_with_it(payment: dict[str, object]):
    assert str(payment["answer"]).startswith("Without payment, check out goes down. It belongs to nobody")


def test_every_journey_that_calls_it_says_whether_it_could_do_without(client: FlaskClient):
    needs = {
        service: {row["journey"]: row["need"] for row in client.get(f"/services/{service}.json").json["journeys"]}
        for service in ("payment", "recommend", "shop")
    }

    assert needs["payment"] == {"check out": "mandatory"}
    assert needs["recommend"] == {"check out": "optional"}
    assert set(needs["shop"].values()) == {"begins here"}


def test_the_parts_of_a_journey_are_the_same_from_its_edges_alone(shop: MemoryReader):
    journeys = shop.calls(Window(0, 2**62)).values()

    parts = [parts_of(edges) for edges in journeys]

    assert parts == [needs_of(edges, ())[0].parts for edges in journeys]
    assert any(part.need == "mandatory" and part.nodes for each in parts for part in each)


def test_callers_and_dependencies_are_added_up_over_journeys(client: FlaskClient):
    shop = client.get("/services/shop.json").json
    payment = client.get("/services/payment.json").json

    assert shop["callers"] == []
    assert {"payment", "cart", "catalog", "accounts"} <= {row["name"] for row in shop["callees"]}
    assert [(row["name"], row["address"]) for row in payment["callers"]] == [("shop", "/services/shop")]
    (bank,) = payment["callees"]
    assert (bank["name"], bank["kind"], bank["address"]) == ("bank.example", "external", "")
    assert 0 < bank["failed"] < bank["calls"]


def test_its_nine_is_held_against_what_the_journey_promises(shop: MemoryReader):
    settings = replace(SETTINGS, book=parse_journeys('[[journey]]\nname = "check out"\navailability = "99 %"'))
    client = create_app(shop, settings, clock=lambda: NOW_NS).test_client()

    (row,) = client.get("/services/payment.json").json["journeys"]

    assert row["nine"]["required"] == "99.9\u00a0%"
    assert row["nine"]["nine"]["verdict"] == "missing"


def test_the_list_of_services_names_the_journeys_that_go_down(client: FlaskClient):
    rows = {row["service"]: row["mandatory_for"] for row in client.get("/services.json").json["services"]}

    assert rows["payment"] == ["check out"]
    assert rows["recommend"] == []
    assert rows["shop"] == []


def test_a_service_that_was_never_heard_of_leads_to_the_list(client: FlaskClient):
    answer = client.get("/services/nobody.json")

    assert answer.status_code == 404
    assert answer.json["error"]["address"] == "/services"


@pytest.mark.parametrize("name", ["a/b", ".", "x.json", "käse"])
def test_a_service_of_any_name_has_an_address(client: FlaskClient, name: str):
    said = client.get(service_address(name))

    assert said.status_code == 404
    assert "has sent spans" in ReadPage(said.text).text
