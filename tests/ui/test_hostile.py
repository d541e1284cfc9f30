"""Spans are other people's text: nothing in them may act on a page, break it, or make it huge."""

import re
from dataclasses import replace
from urllib.parse import urlencode

import pytest

from collector.core.detail import DetailedSpans, Event, Link, ResourceDetail, ScopeDetail, SpanDetail
from tests.core.drawing import EPOCH_NS, DrawnSpan, make_batch
from tests.ui.conftest import client_of
from tests.ui.memory import MemoryReader
from tests.ui.page_text import ReadPage
from ui.views.address import journey_address, search_address, service_address

TRACE = "0af7651916cd43dd0000000000000001"
OTHER = "0af7651916cd43dd0000000000000002"
NAMES = {
    "script": "<script>alert(1)</script>",
    "attribute": '" onmouseover="alert(1)" x="\' onfocus=\'alert(2)',
    "closing": "</title></svg></text></a><img src=x onerror=alert(1)>",
    "comment": "--><!--<![CDATA[",
    "template": "{{ 7 * 7 }}{% include '/etc/passwd' %}",
    "bidi": "pay\u202egnp.exe\u2066x",
    "controls": "a\x00b\x1b[31mc\x07\x85\u2028d",
    "megabyte": "M" * 1_000_000,
    "json": '\\u003cscript\\u003e"},{"',
    "slashes": "../../..//%2e%2e/?x=1#y;z.json",
    "emoji": "👩‍👩‍👧 paid\ufeff",
    "blank": " ",
}
VALUES = {
    "javascript address": "javascript:alert(document.domain)",
    "data address": "data:text/html,<script>alert(1)</script>",
    "shifty address": "https://good.example\u202e@evil.example/",
    "long address": "https://x.example/" + "a" * 100_000,
    "markup": "<a href=javascript:alert(1)>click</a>",
    "megabytes": "v" * 3_000_000,
    "nested": {"<b>": [1, {"x": "</script><script>alert(1)</script>"}]},
    "bytes": b"\x00\xff<script>",
    "lines": "<i>one</i>\n\u202etwo\x00",
}


def hostile(name: str) -> MemoryReader:
    """Two traces of two services whose every text is `name`, with every value as an attribute."""
    attributes = tuple((f"{name[:100]} {key}", value) for key, value in VALUES.items())
    detail = SpanDetail(
        attributes=attributes,
        events=(Event(EPOCH_NS + 5, name, attributes),),
        links=(Link("b" * 32, "c" * 16, attributes=attributes),),
        status_message=name,
        trace_state=name,
        resource=ResourceDetail(attributes),
        scope=ScopeDetail(name, name, attributes),
    )
    spans = [
        DrawnSpan(
            "a", 1, EPOCH_NS, EPOCH_NS + 10**8, name, name, kind=2, columns=(("status_code", 2), ("journey", name))
        ),
        DrawnSpan("b", 2, EPOCH_NS + 10, EPOCH_NS + 10**7, name, name, 1, kind=3, columns=(("server_address", name),)),
    ]
    again = [replace(span, trace=2, end_time_unix_nano=span.end_time_unix_nano + 10**8) for span in spans]
    return MemoryReader([DetailedSpans(make_batch(each), lambda row: detail) for each in (spans, again)])


def addresses(name: str) -> list[str]:
    return [
        "/",
        journey_address(name[:2_000]),
        f"/traces/{TRACE}",
        f"/traces/{TRACE}?span=0000000000000001",
        search_address({"q": name[:2_000]}),
        search_address({"service": name[:2_000], "operation": name[:2_000], "min": "1ms"}),
        "/search",
        f"/traces/{TRACE}/escalation",
        f"/traces/{TRACE}/compare?{urlencode({'with': OTHER})}",
        f"/compare?{urlencode({'journey': name[:2_000]})}",
        f"/what-if?{urlencode({'journey': name[:2_000]})}",
        f"/contracts?{urlencode({'journey': name[:2_000]})}",
        f"/examples?{urlencode({'journey': name[:2_000], 'path': '1'})}",
        f"/sampling/boost?{urlencode({'service': name[:2_000]})}",
        "/findings",
        "/system",
        "/services",
        service_address(name[:2_000]),
    ]


@pytest.fixture(scope="module", params=NAMES)
def pages(request):
    name = NAMES[request.param]
    client = client_of(hostile(name), EPOCH_NS + 10**9)
    return [client.get(address) for address in addresses(name)]


def test_no_text_becomes_an_element_or_an_attribute_that_acts(pages):
    for response in pages:
        if response.status_code == 302:
            continue
        for tag, attributes in ReadPage(response.text).elements:
            assert tag not in ("img", "iframe", "object", "embed", "i" * 2)
            assert tag != "script" or attributes["src"].startswith("/static/")
            assert not [name for name in attributes if name.startswith("on")]
            for name in ("href", "src", "action", "formaction"):
                assert not attributes.get(name, "").lower().lstrip().startswith(("javascript:", "data:", "vbscript:"))


def test_no_text_turns_the_line_around_or_hides(pages):
    for response in pages:
        assert not re.search("[\u202a-\u202e\u2066-\u2069\x00\x1b\x07]", response.text)


def test_pages_stay_small(pages):
    for response in pages:
        assert response.status_code in (200, 302, 400, 404)
        assert len(response.data) < 300_000


def test_a_template_in_a_name_is_text():
    client = client_of(hostile(NAMES["template"]), EPOCH_NS + 10**9)

    said = ReadPage(client.get("/").text).text

    assert "{{ 7 * 7 }}" in said
    assert "49" not in said


def test_only_web_addresses_become_links():
    detail = SpanDetail(attributes=(*VALUES.items(), ("good", "https://runbook.example/cart?x=1&y=2")))
    batch = make_batch([DrawnSpan("a", 1, EPOCH_NS, EPOCH_NS + 100, "s", "o")])
    client = client_of(MemoryReader([DetailedSpans(batch, lambda row: detail)]))

    said = ReadPage(client.get(f"/traces/{TRACE}?span=0000000000000001").text)

    elsewhere = [
        attributes for tag, attributes in said.elements if tag == "a" and not attributes["href"].startswith(("/", "#"))
    ]
    assert [attributes["href"] for attributes in elsewhere] == ["https://runbook.example/cart?x=1&y=2"]
    assert elsewhere[0]["rel"] == "noopener noreferrer nofollow"


def test_a_million_attributes_are_cut_and_counted():
    detail = SpanDetail(attributes=tuple((f"key.{i}", i) for i in range(1_000_000)))
    batch = make_batch([DrawnSpan("a", 1, EPOCH_NS, EPOCH_NS + 100, "s", "o")])
    client = client_of(MemoryReader([DetailedSpans(batch, lambda row: detail)]))

    response = client.get(f"/traces/{TRACE}?span=0000000000000001")

    assert "999,800 more are in the download" in ReadPage(response.text).text
    assert len(response.data) < 200_000


@pytest.mark.parametrize("value", ["<" * 8_000, "\U000e0041" * 8_000, "東" * 8_000, "\n" * 8_000, "x" * 60])
def test_a_span_that_says_all_that_it_may_stays_within_a_page_and_what_is_left_out_is_said(value):
    many = tuple((f"key.{i}", value) for i in range(200))
    detail = SpanDetail(
        attributes=many,
        events=tuple(Event(EPOCH_NS + i, "retry", many) for i in range(100)),
        links=tuple(Link("b" * 32, "c" * 16, attributes=many) for _ in range(100)),
        resource=ResourceDetail(many),
        scope=ScopeDetail("scope", "1", many),
    )
    batch = make_batch([DrawnSpan("a", 1, EPOCH_NS, EPOCH_NS + 100, "s", "o")])
    client = client_of(MemoryReader([DetailedSpans(batch, lambda row: detail)]))

    response = client.get(f"/traces/{TRACE}?span=0000000000000001")
    said = ReadPage(response.text)

    assert len(response.data) < 500_000
    assert re.search(r"[\d,]+ more are in the download", said.text)
    assert f"/traces/{TRACE}.otlp.json" in said.links
    panel = client.get(f"/traces/{TRACE}.json?span=0000000000000001").get_json()["selected"]
    tables = [panel["attributes"], panel["resource"], panel["scope"], *(e["attributes"] for e in panel["events"])]
    assert all(len(table["rows"]) + table["left_out"] == 200 for table in tables)


def test_of_a_hundred_retries_every_one_says_what_failed_though_not_every_stack_fits():
    failed = (("exception.type", "TimeoutError"), ("exception.stacktrace", "at <line>\n" * 800))
    detail = SpanDetail(events=tuple(Event(EPOCH_NS + i, "exception", failed) for i in range(100)))
    batch = make_batch([DrawnSpan("a", 1, EPOCH_NS, EPOCH_NS + 100, "s", "o")])
    client = client_of(MemoryReader([DetailedSpans(batch, lambda row: detail)]))

    response = client.get(f"/traces/{TRACE}?span=0000000000000001")

    assert len(response.data) < 200_000
    assert ReadPage(response.text).text.count("TimeoutError") == 100
    assert 3 < response.text.count("at &lt;line&gt;") / 800 < 100
    assert "1 more is in the download" in ReadPage(response.text).text


def test_the_query_itself_is_only_text():
    client = client_of(MemoryReader())

    for words in NAMES.values():
        response = client.get("/search", query_string={"q": words[:5_000]})
        if response.status_code == 200:
            assert "<script>alert" not in response.text
            ReadPage(response.text)


def test_an_address_cannot_leave_the_site():
    client = client_of(MemoryReader())

    for path in (
        "//evil.example/",
        "/trace//evil.example",
        "/journeys//evil.example",
        "/traces/..%2f..%2f",
        "/%0d%0aX: y",
    ):
        response = client.get(path)
        assert not response.headers.get("Location", "/x").startswith(("//", "http:", "https:", "\\"))
        assert "X" not in response.headers


def test_only_reading_is_possible(client):
    for method in ("post", "put", "delete", "patch"):
        assert getattr(client, method)("/").status_code == 405
