"""The page of sampling, over a real sampling service."""

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from collector.control.state import state_of
from tests.control.control_server import ControlServer, control_server
from tests.cpdd.sampling.policies import policy
from tests.ui.conftest import SETTINGS
from tests.ui.memory import MemoryReader
from tests.ui.page_text import ReadPage
from tests.ui.shop import NOW_NS
from tests.ui.test_pages import check
from ui.app import create_app

HOSTILE = "<script>alert(1)</script>\u202e"


@pytest.fixture(scope="module")
def server() -> Iterator[ControlServer]:
    with control_server() as server:
        server.ask("POST", "/v1/policies", {"policies": [policy("base", 10, service="shop")], "author": "ann"})
        server.boost(service="shop", operation=HOSTILE, id="inc", max_traces=500, reason=HOSTILE, author="bob")
        counts = [{"name": "GET /", "rule": "base", "seen": 400, "kept": 40}]
        server.ask("POST", "/v1/status", {"service": "shop", "instance": "host:1", "operations": counts})
        yield server


@pytest.fixture(scope="module")
def pages(server: ControlServer) -> FlaskClient:
    app = create_app(MemoryReader(), SETTINGS, lambda: NOW_NS, lambda: server.loop.run(state_of(server.service)))
    return app.test_client()


def test_its_twin_is_what_openapi_says(pages: FlaskClient):
    described, value = pages.get("/openapi.json").get_json(), pages.get("/sampling.json").get_json()

    schema = described["paths"]["/sampling.json"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]

    assert value["changes"]
    check(value, schema, described["components"]["schemas"], "/sampling")


def test_the_page_says_first_what_is_kept(pages: FlaskClient):
    page = pages.get("/sampling").get_data(as_text=True)

    assert "10 % of 400 traces begun a second are kept; 1 boost live." in page
    assert "keeps 100 %" in page
    assert "cpdd boost --end inc" in page
    assert "of 500" in page


def test_the_same_value_is_at_the_same_address_as_json(pages: FlaskClient):
    value = pages.get("/sampling.json").get_json()

    assert [(row["service"], row["operation"], row["kept_share"]) for row in value["rates"]] == [("shop", "GET /", 0.1)]
    assert [boost["id"] for boost in value["boosts"]] == ["inc"]
    assert [(change["action"], change["author"]) for change in value["changes"]] == [("boost", "bob"), ("set", "ann")]


def test_what_is_kept_leads_to_the_traces_behind_it(pages: FlaskClient):
    (row,) = pages.get("/sampling.json").get_json()["rates"]

    assert row["address"] == "/search?service=shop&operation=GET+%2F"
    filters = pages.get(row["address"].replace("/search?", "/search.json?")).get_json()["filters"]
    assert (filters["service"], filters["operation"]) == ("shop", "GET /")
    assert row["address"] in ReadPage(pages.get("/sampling").get_data(as_text=True)).links


def test_names_of_others_are_shown_and_never_run(pages: FlaskClient):
    page = pages.get("/sampling", query_string={"service": HOSTILE, "operation": HOSTILE}).get_data(as_text=True)

    assert "<script>alert" not in page
    assert "\u202e" not in page


def test_the_form_shows_command_and_cost_and_changes_nothing(pages: FlaskClient, server: ControlServer):
    version = server.service.book.version

    asked = {"service": "shop", "operation": "GET /", "to": "50", "for": "15m"}
    proposal = pages.get("/sampling.json", query_string=asked).get_json()["proposal"]

    assert proposal["command"] == "cpdd boost shop --op 'GET /' --to 50% --for 15m"
    assert proposal["cost"] == "about 160 traces a second more, 144,000 in all"
    assert pages.post("/sampling", data=asked).status_code == 405
    assert server.service.book.version == version


def test_a_command_is_quoted_for_the_shell(pages: FlaskClient):
    asked = {"service": "a; rm -rf ~", "operation": "$(x) `y`"}

    proposal = pages.get("/sampling.json", query_string=asked).get_json()["proposal"]

    assert proposal["command"] == "cpdd boost 'a; rm -rf ~' --op '$(x) `y`' --to 100% --for 5m"


def test_without_a_sampling_service_the_page_says_so(client: FlaskClient):
    page = client.get("/sampling").get_data(as_text=True)

    assert "No sampling service runs in this process." in page
