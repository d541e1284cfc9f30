"""The graph about one service: what leads to it and what it calls, by address; and what a script adds to it."""

from flask.testing import FlaskClient

from tests.ui.page_text import ReadPage

CHECKOUT = "/journeys/check%20out"


def graph_text(client: FlaskClient, query: str) -> str:
    text = client.get(f"{CHECKOUT}?{query}").text
    return text[text.index('class="graph"') : text.index('class="key"')]


def test_a_service_in_the_middle_keeps_its_callers_and_what_it_calls(client: FlaskClient):
    graph = graph_text(client, "focus=payment")

    assert "bank.example" in graph
    assert "POST /checkout" in graph
    assert "recommend" not in graph
    assert "redis" not in graph


def test_the_page_says_so_and_leads_back_to_all(client: FlaskClient):
    page = ReadPage(client.get(f"{CHECKOUT}?focus=payment&last=15m").text)

    assert "Only what leads to payment and what it calls." in page.text
    assert f"{CHECKOUT}?last=15m#graph" in page.links
    assert any("focus=payment" in link and "band=" in link for link in page.links)


def test_a_name_that_is_not_there_shows_all_and_says_so(client: FlaskClient):
    page = ReadPage(client.get(f"{CHECKOUT}?focus=nobody").text)

    assert "Nothing here is called “nobody”." in page.text
    assert "recommend" in graph_text(client, "focus=nobody")


def test_calls_in_the_tables_stay_whatever_the_graph_is_about(client: FlaskClient):
    whole, focused = (client.get(f"{CHECKOUT}.json?{query}").json for query in ("", "focus=payment"))

    assert [row["edge"]["id"] for row in whole["edges"]] == [row["edge"]["id"] for row in focused["edges"]]
    assert "payment" in focused["boxes"]
