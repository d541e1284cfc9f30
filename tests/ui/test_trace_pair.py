"""A trace beside another."""

import pytest

from collector.core.detail import DetailedSpans, SpanDetail
from tests.core.drawing import EPOCH_NS, read_trace
from tests.ui.conftest import client_of
from tests.ui.memory import MemoryReader
from tests.ui.test_pages import page, trace_of, twin

NOW_NS = EPOCH_NS + 60 * 10**9
CHECKOUT = "shop/buy 0-{end}ms; cart/GET /cart 10-{cart}ms in shop/buy"


def drawn(*texts: str) -> MemoryReader:
    """Traces 1, 2, … of one journey."""
    batches = [
        read_trace("; ".join(f"{span} trace {i}" for span in text.split("; "))) for i, text in enumerate(texts, 1)
    ]
    return MemoryReader([DetailedSpans(batch, lambda row: SpanDetail()) for batch in batches])


def id_of(number: int) -> str:
    return f"0af7651916cd43dd{number:016x}"


@pytest.fixture(scope="module")
def client():
    ends = (90, 100, 110, 400)
    return client_of(drawn(*(CHECKOUT.format(end=end, cart=end - 20) for end in ends)), NOW_NS)


def test_the_first_sentence_says_how_much_longer_and_where(client):
    said = page(client, f"/traces/{id_of(4)}/compare")

    assert "It took 400 ms, 300 ms longer than the typical one (100 ms)." in said.text
    assert "100 % of that is cart GET /cart." in said.text


def test_a_call_that_grew_by_more_than_the_trace_is_said_in_time():
    calls = "shop/buy 0-{end}ms; cart/GET /cart 0-{cart}ms in shop/buy; ads/GET /ads {cart}-{end}ms in shop/buy"
    client = client_of(drawn(calls.format(end=100, cart=20), calls.format(end=120, cart=70)), NOW_NS)

    said = page(client, f"/traces/{id_of(2)}/compare?with={id_of(1)}")

    assert "It took 120 ms, 20 ms longer than the other (100 ms)." in said.text
    assert "cart GET /cart took 50 ms longer, the rest made up for 30 ms." in said.text


def test_the_typical_one_is_nearest_to_the_median_and_another(client):
    assert twin(client, f"/traces/{id_of(4)}/compare")["other"]["trace_id"] == id_of(2)
    assert twin(client, f"/traces/{id_of(2)}/compare")["other"]["trace_id"] in (id_of(1), id_of(3))
    assert twin(client, f"/traces/{id_of(1)}/compare?with=slowest")["other"]["trace_id"] == id_of(4)


def test_what_the_rows_differ_by_is_what_the_traces_differ_by(client):
    said = twin(client, f"/traces/{id_of(4)}/compare?with={id_of(1)}")

    assert sum(row["delta_ns"] for row in said["changes"]) == said["difference_ns"] == 310_000_000
    assert sum(row["share_of_difference"] for row in said["changes"]) == pytest.approx(1)


@pytest.mark.parametrize(
    "words", [id_of(1), f"https://jaeger.example/trace/{id_of(1)}", f"00-{id_of(1)}-00f067aa0ba902b7-01"]
)
def test_the_other_may_be_an_id_an_address_or_a_traceparent(client, words):
    response = client.get(f"/traces/{id_of(4)}/compare.json", query_string={"with": words})

    assert response.get_json()["other"]["trace_id"] == id_of(1)


@pytest.mark.parametrize(("words", "status"), [("nonsense", 400), (id_of(4), 400), ("f" * 32, 404)])
def test_what_is_no_other_trace_is_said(client, words, status):
    page(client, f"/traces/{id_of(4)}/compare?with={words}", status)


def test_without_another_the_page_says_so_and_offers_to_name_one(client):
    said = page(client, f"/traces/{id_of(4)}/compare?with=1d")

    assert "A day earlier there was no trace of shop: buy." in said.text
    assert [attributes for tag, attributes in said.elements if attributes.get("name") == "with"]


def test_two_that_took_the_same_are_alike():
    client = client_of(drawn(*[CHECKOUT.format(end=100, cart=80)] * 2), NOW_NS)

    said = page(client, f"/traces/{id_of(1)}/compare")

    assert "It took 100 ms, about as long as the typical one (100 ms)." in said.text


def test_calls_of_one_trace_alone_are_marked():
    client = client_of(drawn("a 0-100; b 10-60 in a", "a 0-100; c 10-60 in a"), NOW_NS)

    said = page(client, f"/traces/{id_of(1)}/compare")

    assert "(only here)" in said.text
    assert "(only there)" in said.text
    assert "It has 1 call that the other has not." in said.text


def test_of_very_many_calls_those_that_differ_most_are_drawn():
    many = [f"s{i}/x {i}-{i + 1} in root" for i in range(1, 3_000)]
    slow = [*many[:1_500], "s1500/x 1500-4000 in root"]
    client = client_of(drawn("; ".join(["root 0-5000", *slow]), "; ".join(["root 0-5000", *many])), NOW_NS)

    said = twin(client, f"/traces/{id_of(1)}/compare")

    assert len(said["rows"]) == 120
    assert "s1500" in {row["service"] for row in said["rows"]}
    assert len(said["changes"]) == 200
    assert len(client.get(f"/traces/{id_of(1)}/compare").data) < 500_000


def test_a_trace_s_page_leads_there(shop):
    trace = trace_of(shop, journey="check out")

    said = page(client_of(shop), f"/traces/{trace}")

    assert f"/traces/{trace}/compare?with=typical" in said.links
