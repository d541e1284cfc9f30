"""From a trace and from a span to their logs, wherever they are kept."""

from dataclasses import replace

import pytest

from collector.store.values import TraceQuery, Window
from cpdd.setting_values import parse_logs_template
from tests.ui.conftest import SETTINGS
from tests.ui.memory import MemoryReader
from tests.ui.page_text import ReadPage
from tests.ui.shop import NOW_NS
from ui.app import create_app
from ui.views.logs_link import logs_link

TEMPLATE = "https://logs.example/explore?trace={trace_id}&span={span_id}&from={start}&to={end_ms}"


def test_a_trace_and_a_span_lead_to_their_logs(shop: MemoryReader):
    client = create_app(shop, replace(SETTINGS, logs_link=TEMPLATE), clock=lambda: NOW_NS).test_client()
    trace = shop.find(TraceQuery(Window(0, 2**62), journey="check out"))[0].trace_id
    span = client.get(f"/traces/{trace}.json").json["rows"][0]["id"]

    page = ReadPage(client.get(f"/traces/{trace}?span={span}").text)

    of_trace, of_span = (link for link in page.links if link.startswith("https://logs.example/"))
    assert f"trace={trace}&span=&from=2026-11-18T" in of_trace
    assert f"trace={trace}&span={span}&from=2026-11-18T" in of_span


def test_without_a_template_there_is_no_link(client, shop: MemoryReader):
    trace = shop.find(TraceQuery(Window(0, 2**62)))[0].trace_id

    assert client.get(f"/traces/{trace}.json").json["logs"] == ""
    assert ">Logs<" not in client.get(f"/traces/{trace}").text


def test_a_minute_around_is_looked_through():
    assert logs_link("https://l.example/{start}/{end_ms}", "", "", "", 120 * 10**9, 121 * 10**9) == (
        "https://l.example/1970-01-01T00%3A01%3A00Z/181000"
    )


@pytest.mark.parametrize("name", ['"><script>', "//evil.example", "javascript:1", "\ud800", "a b&c=d#e"])
def test_a_hostile_name_stays_a_part_of_the_address(name: str):
    address = logs_link("https://logs.example/?q={service}", "", "", name, 0, 0)

    assert address.startswith("https://logs.example/?q=")
    assert not set('<>"&# ') & set(address.partition("q=")[2])


def test_a_name_that_is_too_long_has_no_link():
    assert logs_link("https://logs.example/?q={service}", "", "", "x" * 10_000, 0, 0) == ""


@pytest.mark.parametrize("text", ["javascript:{trace_id}", "https://{service}/x", "https://l.example/{trace}", "logs"])
def test_a_template_that_could_lead_anywhere_is_refused(text: str):
    with pytest.raises(ValueError, match=r"does not begin|is one of"):
        parse_logs_template(text)
