"""The page of services: owners, versions, and the catalog against what was seen."""

from dataclasses import replace

import pytest

from collector.core.catalog import read_catalog
from collector.core.detail import DetailedSpans, ResourceDetail, SpanDetail
from tests.core.drawing import EPOCH_NS, read_trace
from tests.ui.conftest import SETTINGS
from tests.ui.memory import MemoryReader
from tests.ui.page_text import ReadPage
from ui.app import create_app

CATALOG = """
[service.shop]
depends_on = ["pay", "ledger"]

[service.gone]
depends_on = ["pay"]

[service.mail]
owner = "Post office"
criticality = "low"
"""
TRACE = """
    shop/buy 0-100 server trace {trace}
    pay/charge 10-40 server in shop/buy trace {trace}
    mail/send 50-60 server in shop/buy trace {trace}
"""


def traces(versions: dict[int, str]) -> MemoryReader:
    """A trace for each number, with the version of pay."""

    def spans(number: int, version: str) -> DetailedSpans:
        batch = read_trace(TRACE.format(trace=number))
        said = {"pay": (("service.version", version), ("service.owner.name", "Payments"))}

        def detail(row: int) -> SpanDetail:
            service = batch.text(int(batch.service[row]))
            return SpanDetail(resource=ResourceDetail((("service.name", service), *said.get(service, ()))))

        return DetailedSpans(batch, detail)

    return MemoryReader([spans(number, version) for number, version in versions.items()])


def client_of(reader: MemoryReader, catalog: str):
    settings = replace(SETTINGS, catalog=read_catalog(catalog, "c.toml"))
    return create_app(reader, settings, clock=lambda: EPOCH_NS + 60 * 10**9).test_client()


@pytest.fixture
def page():
    return client_of(traces({1: "1.0"}), CATALOG).get("/services.json").get_json()


def test_owners_come_from_spans_and_the_catalog_fills_in(page):
    rows = {row["service"]: (row["owner"]["name"], row["version"], row["criticality"]) for row in page["services"]}

    assert rows == {"mail": ("Post office", "", "low"), "pay": ("Payments", "1.0", ""), "shop": ("", "", "")}


def test_where_catalog_and_calls_disagree_is_listed_and_said_first(page):
    assert page["differences"] == [
        {"service": "gone", "never_seen": ["pay"], "never_declared": [], "is_seen": False},
        {"service": "shop", "never_seen": ["ledger"], "never_declared": ["mail"], "is_seen": True},
    ]
    assert page["answer"] == (
        "3 services have sent spans. Nobody is named as the owner of 1. "
        "The catalog and the traces disagree about whom gone and shop called."
    )


def test_the_page_says_what_the_value_says():
    said = ReadPage(client_of(traces({1: "1.0"}), CATALOG).get("/services").text)

    assert "Declared and seen" in said.text
    assert "gone sent no spans" in said.text
    assert "/services/pay" in said.links


def test_a_catalog_that_agrees_is_said_to():
    catalog = '[service.shop]\ndepends_on = ["pay", "mail"]'

    assert client_of(traces({1: "1"}), catalog).get("/services.json").get_json()["answer"].endswith(
        "What was called is what the catalog says."
    )  # fmt: skip


def test_an_empty_store_has_no_services(empty):
    assert "No service has sent spans yet." in ReadPage(empty.get("/services").text).text
