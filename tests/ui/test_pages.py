"""Each page and each of its states, with its JSON twin."""

import gzip
import json
import re
from dataclasses import fields, is_dataclass, replace
from typing import get_args, get_type_hints
from urllib.parse import quote, unquote, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.core.detail import DetailedSpans, SpanDetail
from collector.core.formats.otlp_json import translate_otlp_json
from collector.store.values import TraceQuery, Window
from tests.core.drawing import EPOCH_NS, read_trace
from tests.ui.conftest import SETTINGS, client_of
from tests.ui.memory import MemoryReader
from tests.ui.page_text import ReadPage
from tests.ui.shop import NOW_NS, shop_traces
from tests.ui.test_findings import BURNING, HIDDEN, PROMISED, standing, tracked
from ui.app import PAGES, create_app
from ui.views.address import journey_address

ALL_TIME = Window(0, 2**62)


def page(client, address, status=200):
    response = client.get(address)
    assert response.status_code == status, response.text[:2_000]
    return ReadPage(response.text)


def twin(client, address):
    path, mark, query = address.partition("?")
    response = client.get(f"{path}.json{mark}{query}")
    assert response.status_code == 200
    return response.get_json()


def drawn(text, unit="ms"):
    batch = read_trace(text, unit)
    return DetailedSpans(batch, lambda row: SpanDetail())


def trace_of(shop, **query):
    return shop.find(TraceQuery(ALL_TIME, **query))[0].trace_id


@pytest.fixture(scope="session")
def failed_trace(shop):
    return trace_of(shop, journey="check out", failed_only=True)


@pytest.fixture(scope="session")
def judged(failed_trace):
    """The shop with a promise that is being broken and a finding that has a trace to show."""
    reader = MemoryReader(shop_traces())
    caller, callee = ("shop", "POST /checkout", "server"), ("payment", "POST /pay", "server")
    hidden = replace(HIDDEN, caller=caller, callee=callee, examples=(failed_trace,))
    reader.judged = [tracked(hidden), tracked(BURNING)]
    reader.promises = {"check out": (standing(0.2),)}
    return create_app(reader, replace(SETTINGS, book=PROMISED), lambda: NOW_NS).test_client()


@pytest.fixture(scope="session")
def addresses(shop, failed_trace):
    """Every page, and the states of those that have several."""
    return [
        "/",
        "/?last=15m",
        "/journeys/check%20out",
        "/journeys/browse?open=none",
        "/journeys/sign%20in?open=shop&open=accounts",
        "/journeys/check%20out?band=p90-99",
        "/compare?journey=check%20out&last=15m",
        "/what-if?journey=check%20out&set=cart%3Dx0.5",
        "/search",
        "/search?q=cart",
        "/search?service=payment&failed=1&sort=slowest&min=100ms",
        f"/traces/{failed_trace}",
        f"/traces/{failed_trace}?of=trace&show=path",
        f"/traces/{failed_trace}?show=errors&find=pay",
        f"/traces/{failed_trace}/rows?first=2&count=3",
        f"/traces/{failed_trace}/compare",
        f"/traces/{failed_trace}/compare?with=slowest",
        f"/traces/{failed_trace}/escalation",
        f"/traces/{failed_trace}?span={shop.trace(failed_trace).batch.span_id_hex(1)}",
        "/contracts?journey=check%20out",
        f"/examples?journey=check%20out&path={shop.latency('check out', ALL_TIME).whole.call_paths[0].id}",
        "/findings",
        f"/findings/{HIDDEN.id}/escalation",
        "/services",
        "/services/payment",
        "/system",
        "/sampling",
        "/sampling/boost?service=shop",
    ]


# Journeys


def test_the_first_sentence_says_which_journey_needs_somebody(client):
    said = page(client, "/")

    assert re.search(r"check out is failing: \d\d?(\.\d)? % of its traces failed\. The other 2 are fine\.", said.text)


def test_who_needs_somebody_stands_first_and_the_rule_is_said(client):
    journeys = twin(client, "/")

    assert [row["summary"]["journey"] for row in journeys["needs_you"]] == ["check out"]
    assert {row["summary"]["journey"] for row in journeys["others"]} == {"browse", "sign in"}
    assert "failing from 5 %" in page(client, "/").text


def test_the_shares_of_the_path_add_up(client):
    for row in [*twin(client, "/")["needs_you"], *twin(client, "/")["others"]]:
        assert sum(part["share"] for part in row["path"]) == pytest.approx(1, abs=1e-6)


def test_an_empty_store_teaches_how_to_send_a_span(empty):
    said = page(empty, "/")

    assert "No span has come in yet." in said.text
    assert "curl http://127.0.0.1:4318/v1/traces" in said.text
    assert "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318" in said.text
    assert said.with_class("waiting")[0]["data-live"] == "/.json"


def test_the_pasted_span_is_one_that_otlp_reads(empty):
    pasted = page(empty, "/").text
    body = re.search(r"-d '(\{.*?\]\}\]\}\]\})'", pasted)[1]
    for command, value in ((r"'\$\(openssl rand -hex 16\)'", "5b8efff798038103d269b633813fc60c"),
                           (r"'\$\(openssl rand -hex 8\)'", "eee19b7ec3c1b174"), (r"'\$\(date \+%s\)", "1795000000"),
                           (r"000000000'\"|000'\"", '000"')):  # fmt: skip
        body = re.sub(command, value, body)

    translated = translate_otlp_json(body.encode())

    assert translated.rejected == 0
    assert b"first span" in translated.body


@pytest.mark.parametrize(
    ("address", "answer"),
    [
        ("/services", "No service has sent spans yet."),
        ("/findings", "No trace has come in yet, so there is nothing to find."),
        ("/search", "No trace in the last 1 h."),
    ],
)
def test_pages_of_an_empty_store_do_not_say_that_all_is_well(empty, address, answer):
    said = page(empty, address)

    assert answer in said.text
    assert "/" in said.links


@pytest.mark.parametrize("address", ["/", "/.json"])
def test_an_answer_says_what_took_how_long(client, address):
    said = client.get(address).headers["Server-Timing"]

    assert re.fullmatch(r"store;dur=[\d.]+, view;dur=[\d.]+, draw;dur=[\d.]+", said)


def test_a_range_without_traces_leads_to_where_the_last_ones_are(shop):
    client = client_of(shop, NOW_NS + 86_400 * 10**9)

    said = page(client, "/")
    link = twin(client, "/")["last_seen"]["address"]

    assert "No trace in the last 1 h." in said.text
    assert link in said.links
    assert "needs you" in page(client, link).text.lower()


def test_a_journey_without_any_status_is_not_called_fine():
    client = client_of(MemoryReader([drawn("shop 0-100")]), EPOCH_NS + 10**9)

    said = page(client, "/")

    assert "No span says whether it succeeded." in said.text
    assert "no status" in said.text


def test_spans_that_are_not_analyzed_yet_are_announced(empty):
    class Waiting(MemoryReader):
        def info(self):
            info = super().info()
            return type(info)(17, 0, 0, 0, 0)

    said = page(client_of(Waiting()), "/")

    assert "17 spans came in." in said.text
    assert "curl" not in said.text


def test_a_long_list_is_paged_with_the_worst_first():
    traces = [drawn(f"svc{i:03} 0-{10 + i} trace {i + 1} {'error' if i == 149 else 'ok'}") for i in range(150)]
    client = client_of(MemoryReader(traces), EPOCH_NS + 10**9)

    first, second = twin(client, "/"), twin(client, "/?page=2")

    assert len(first["needs_you"]) + len(first["others"]) == 100
    assert first["needs_you"][0]["summary"]["journey"] == "svc149: svc149"
    assert len(second["others"]) == 50
    assert "/?page=2" in page(client, "/").links


# A journey


def test_a_journey_says_where_its_time_goes_and_what_it_fails_with(client):
    said = page(client, "/journeys/check%20out")

    assert re.search(
        r", all \d+ failures with the call payment → bank\.example, which it cannot do without\.", said.text
    )
    assert re.search(r"Of [\d.]+ ms on average, \d+ % is \w+", page(client, "/journeys/browse").text)


def test_the_graph_marks_the_path_and_the_requirements(client):
    said = page(client, "/journeys/check%20out")

    assert len(said.with_class("wire-on")) > 2
    assert len(said.with_class("wire-optional")) > 0
    assert len(said.with_class("wire-undetermined")) > 0


def test_calls_are_told_with_their_evidence(client):
    rows = {
        row["edge"]["callee"]["service"]: row["requirement"] for row in twin(client, "/journeys/check%20out")["edges"]
    }

    assert rows["recommend"]["declared"] == "optional"
    assert "caller survived" in rows["recommend"]["words"]
    assert rows["redis"] == {
        "observed": "undetermined",
        "declared": "",
        "words": "none failed, so nobody knows yet",
        "badge": "",
        "around": "",
    }


def test_what_a_journey_cannot_do_without_is_in_its_twin(client):
    needs = {part["need"]: part["nodes"] for part in twin(client, "/journeys/check%20out")["needs"]["parts"]}

    assert {node["service"] for node in needs["mandatory"]} == {"shop", "payment", "bank.example"}
    assert {node["service"] for node in needs["optional"]} >= {"recommend"}
    assert "redis" in {node["service"] for node in needs["undetermined"]}


def test_a_journey_shows_only_what_it_cannot_do_without(client):
    everything = page(client, "/journeys/check%20out")
    link = next(link for link in everything.links if "need=mandatory" in link)

    said = page(client, link)

    assert {row["edge"]["callee"]["service"] for row in twin(client, link.partition("#")[0])["edges"]} == {
        "payment",
        "bank.example",
    }
    assert len(said.with_class("wire-optional")) == 1  # the key's
    assert all("need=mandatory" in link for link in said.links if "open=" in link)


def test_a_service_opens_and_closes_by_its_address(client):
    closed = page(client, "/journeys/check%20out?open=none")
    opened = page(client, next(link for link in closed.links if "open=payment" in link))

    assert closed.with_class("node-row") == []
    assert len(opened.with_class("node-row")) == 1


@pytest.mark.parametrize("address", ["/journeys/browse", "/examples?journey=browse&path=1"])
def test_a_journey_that_is_not_in_the_range_says_when_it_last_was(shop, address):
    client = client_of(shop, NOW_NS + 86_400 * 10**9)

    said = page(client, address, status=404)

    assert "No trace of browse in the last 1 h." in said.text
    link = next(link for link in said.links if link.startswith("/journeys/browse?start="))
    assert "Of " in page(client, link).text


def test_a_journey_that_never_was_is_not_found(client):
    response = client.get("/journeys/nowhere.json")

    assert response.status_code == 404
    assert response.get_json()["error"]["problem"] == "no trace of nowhere in the last 1\u00a0h"


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40))
@settings(max_examples=60)
def test_any_name_of_a_journey_survives_its_address(name):
    asked = []

    class Listening(MemoryReader):
        def journey(self, journey, *rest):
            asked.append(journey)

    client = client_of(Listening())

    client.get(journey_address(name))
    client.get(
        journey_address(name).replace("?", ".json?", 1)
        if "?" in journey_address(name)
        else journey_address(name) + ".json"
    )

    assert asked == [name, name]


# A trace


def test_a_trace_says_how_long_what_for_and_where_it_failed(client, failed_trace):
    said = page(client, f"/traces/{failed_trace}")

    assert re.search(r"It took \d+ ms and failed at payment POST → bank\.example\. \d+ % of the time was", said.text)
    assert "Completeness 100 %" in said.text
    assert "Ambiguity" in said.text


def test_sections_add_up_to_the_trace_to_the_nanosecond(client, failed_trace):
    trace = twin(client, f"/traces/{failed_trace}")

    assert sum(section["duration_ns"] for section in trace["sections"]) == trace["duration_ns"]
    assert sum(row["time_ns"] for row in trace["shares"]) == trace["duration_ns"]
    ends = [section["offset_ns"] + section["duration_ns"] for section in trace["sections"]]
    assert [section["offset_ns"] for section in trace["sections"]][1:] == ends[:-1]


def test_the_path_is_one_line_in_the_picture(client, failed_trace):
    said = page(client, f"/traces/{failed_trace}")

    (line,) = [attributes for attributes in said.with_class("path-line") if attributes.get("vector-effect")]
    assert line["d"].count("M") == 1


def test_every_section_has_its_reason_in_words(client, failed_trace):
    said = page(client, f"/traces/{failed_trace}")

    assert "its own work before the first call it waited for" in said.text
    assert "between caller and callee: network, queue or connection" in said.text


def test_a_span_is_selected_by_the_address_alone(client, failed_trace):
    trace = twin(client, f"/traces/{failed_trace}")
    failing = next(row for row in trace["rows"] if row["events_ns"])

    said = page(client, f"{trace['address']}span={failing['id']}")

    assert "requests.exceptions.ReadTimeout" in said.text
    assert "of the path" in said.text
    assert "The request waited for it." in said.text
    assert f"{trace['address']}span={failing['id']}#span" in said.links


def test_an_unknown_span_leaves_the_trace_as_it_is(client, failed_trace):
    assert twin(client, f"/traces/{failed_trace}?span=00000000deadbeef")["selected"] is None


def test_the_path_of_the_whole_trace_reaches_beyond_the_request(client, shop):
    id = next(t.trace_id for t in shop.find(TraceQuery(ALL_TIME, journey="check out", limit=99)) if not t.failed)

    request, whole = twin(client, f"/traces/{id}"), twin(client, f"/traces/{id}?of=trace")

    assert whole["duration_ns"] == request["trace_duration_ns"] > request["duration_ns"]
    assert "mail" in {section["service"] for section in whole["sections"]}
    assert "mail" not in {section["service"] for section in request["sections"]}


def test_a_fragment_has_a_path_of_its_own(client, shop):
    id = next(t.trace_id for t in shop.find(TraceQuery(ALL_TIME, journey="check out", limit=99)) if not t.failed)
    (fragment,) = twin(client, f"/traces/{id}")["fragments"]

    own = twin(client, f"/traces/{id}?of={fragment['id']}")

    assert fragment["words"] == "a call that nobody waited for"
    assert own["duration_ns"] == fragment["duration_ns"]
    assert {section["service"] for section in own["sections"]} == {"mail"}


def test_ambiguity_is_drawn_and_told():
    client = client_of(
        MemoryReader([drawn("shop 0-100; cart 10-60 in shop; stock 20-90 in shop; late 80-100 in shop")])
    )
    id = "0af7651916cd43dd0000000000000001"

    trace, said = twin(client, f"/traces/{id}"), page(client, f"/traces/{id}")

    assert trace["ambiguity"] > 0
    assert any(section["reason"] == "self-in-flight" for section in trace["sections"])
    assert said.with_class("own-ambiguous")[:-1] != []
    assert "whose time it was is uncertain" in said.text


def test_oddities_are_explained_in_words():
    client = client_of(MemoryReader([drawn("shop 0-100; cart 10-? in shop; lost 20-30 orphan")]))

    said = page(client, "/traces/0af7651916cd43dd0000000000000001")

    assert "Its end is missing and was taken from the spans below it." in said.text
    assert "it is an orphan: its parent is not in the trace" in said.text


def test_finding_in_a_trace_shows_matches_and_what_is_above_them(client, failed_trace):
    trace = twin(client, f"/traces/{failed_trace}?find=hgetall")

    assert [row["operation"] for row in trace["rows"]] == ["POST /checkout", "GET", "GET /cart/{id}", "HGETALL"]


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("db.system.name=redis", "HGETALL"),
        ("bank.EXAMPLE/v2", "POST"),
        ("host.name=payment-", "POST"),
    ],
)
def test_finding_in_a_trace_looks_at_attributes_of_spans_and_of_their_resources(client, failed_trace, text, last):
    rows = twin(client, f"/traces/{failed_trace}?find={text}")["rows"]

    assert rows[0]["operation"] == "POST /checkout"
    assert rows[-1]["operation"] == last
    assert len(rows) < twin(client, f"/traces/{failed_trace}")["spans"]


def test_where_the_time_went_tells_the_way_to_a_callee_from_work():
    drawing = """
        shop 0-100 server ok journey=buy
        shop/GET 10-90 client in shop
        cart 40-60 server ok in shop/GET
        shop/batch 91-99 in shop
    """
    value = twin(
        client_of(MemoryReader([drawn(drawing)]), EPOCH_NS + 10**9), "/traces/0af7651916cd43dd0000000000000001"
    )

    ways = {row["callee"]: row["time_ns"] for row in value["shares"] if row["is_way"]}

    assert ways == {"cart": 60_000_000}
    assert "60 % of the time was the way from shop to cart" in value["answer"].replace("\u00a0", " ")


def test_two_calls_of_one_way_are_said_as_one():
    drawing = """
        shop 0-100 server ok journey=buy
        shop/GET 0-40 client in shop
        cart 19-20 server ok in shop/GET
        shop/PUT 40-90 client in shop
        cart/put 60-61 server ok in shop/PUT
    """
    value = twin(
        client_of(MemoryReader([drawn(drawing)]), EPOCH_NS + 10**9), "/traces/0af7651916cd43dd0000000000000001"
    )

    said = value["answer"].replace("\u00a0", " ")
    assert "88 % of the time was the way from shop to cart, 10 % shop shop" in said


def test_fragments_of_one_operation_are_one_line():
    calls = "".join(f"shop/log#{n} {20 + n}-{30 + 2 * n} not-awaited in shop\n" for n in range(3))
    client = client_of(MemoryReader([drawn(f"shop 0-100 server ok\n{calls}")]), EPOCH_NS + 10**9)

    value = twin(client, "/traces/0af7651916cd43dd0000000000000001")
    [group] = value["fragment_groups"]

    assert len(value["fragments"]) == group["fragments"] == 3
    assert (group["shortest_ns"], group["longest_ns"]) == (10_000_000, 12_000_000)
    assert page(client, "/traces/0af7651916cd43dd0000000000000001").text.count("has a path of its own") == 1


def test_finding_nothing_says_so(client, failed_trace):
    assert (
        "no span has this in its service, name, id or attributes"
        in page(client, f"/traces/{failed_trace}?find=zebra").text
    )


@pytest.mark.parametrize("id", ["zz", "0" * 32, "1" * 33, "%00", "é"])
def test_what_is_no_trace_id_is_a_bad_address(client, id):
    assert "trace=" in (said := page(client, f"/traces/{id}", status=400)).text  # as it was asked, not "Trace="
    assert "is no trace id" in said.text


def test_an_unknown_trace_is_not_found_and_says_why_that_may_be(client):
    said = page(client, "/traces/4bf92f3577b34da6a3ce929d0e0e4736", status=404)

    assert "No span of trace 4bf92f3577b34da6a3ce929d0e0e4736 is stored." in said.text
    assert "sampled away" in said.text


@pytest.mark.parametrize(
    ("address", "waits"),
    [
        ("/traces/4bf92f3577b34da6a3ce929d0e0e4736?of=trace", True),
        ("/services/nobody", True),
        ("/journeys/nowhere?last=15m", True),
        ("/journeys/nowhere?start=2020-01-01T00:00:00Z&end=2020-01-02T00:00:00Z", False),
        ("/nowhere", False),
        ("/traces/x", False),
    ],
)
def test_a_page_looks_again_for_what_may_still_come(client, address, waits):
    html = client.get(address).get_data(as_text=True)

    path, _, query = address.partition("?")
    twin = f'data-live="{path}.json{"?" + query if query else ""}"'
    assert (twin in html) == waits
    assert ("Looking again every 5 s: the page opens when something comes." in html) == waits


def test_jaegers_way_of_writing_a_trace_address_leads_here(client, failed_trace):
    assert client.get(f"/trace/{failed_trace}").headers["Location"] == f"/traces/{failed_trace}"


def test_a_trace_downloads_as_otlp_and_as_jaeger(client, failed_trace, shop):
    spans = {shop.trace(failed_trace).batch.span_id_hex(row) for row in range(len(shop.trace(failed_trace).batch))}

    otlp, jaeger = (client.get(f"/traces/{failed_trace}.{form}.json") for form in ("otlp", "jaeger"))

    sent = [s for r in otlp.get_json()["resourceSpans"] for scope in r["scopeSpans"] for s in scope["spans"]]
    assert {span["spanId"] for span in sent} == spans
    assert {span["spanID"] for span in jaeger.get_json()["data"][0]["spans"]} == spans
    assert otlp.headers["Content-Disposition"] == f'attachment; filename="{failed_trace}.otlp.json"'


# Large traces


@pytest.fixture(scope="session")
def large():
    calls = "; ".join(f"svc{i % 7}/op{i} {i}-{i + 1} in root" for i in range(9_999))
    return client_of(MemoryReader([drawn(f"root 0-9999; {calls}", "us")]))


def test_a_trace_of_ten_thousand_spans_shows_500_rows_and_stays_small(large):
    response = large.get("/traces/0af7651916cd43dd0000000000000001?show=all")
    said = ReadPage(response.text)

    assert len(said.with_class("who")) == 500
    assert len(response.data) < 1_000_000
    assert "10,000 rows page 1 of 20" in said.text


def test_a_large_trace_opens_with_its_path(large):
    trace = twin(large, "/traces/0af7651916cd43dd0000000000000001")

    assert trace["show"] == "path"
    assert [row["operation"] for row in trace["rows"] if not row["on_path"]] == ["root"]


def test_no_row_is_on_two_pages(large):
    pages = [twin(large, f"/traces/0af7651916cd43dd0000000000000001?show=all&page={n}") for n in (1, 2, 19, 20)]

    ids = [row["id"] for page in pages for row in page["rows"]]
    assert len(ids) == len(set(ids)) == 2_000


def test_windows_of_rows_make_up_all_rows_and_nothing_lies_beyond_them(large):
    address = "/traces/0af7651916cd43dd0000000000000001/rows?show=all"

    windows = [twin(large, f"{address}&first={first}&count=500") for first in range(0, 10_500, 500)]

    ids = [row["id"] for window in windows for row in window["rows"]]
    assert len(ids) == len(set(ids)) == windows[0]["total_rows"] == 10_000
    assert windows[-1]["rows"] == windows[-1]["line"] == []
    owned = sum(step["duration_ns"] for window in windows for step in window["line"] if step["shown"])
    assert owned == twin(large, "/traces/0af7651916cd43dd0000000000000001")["duration_ns"]
    assert all(window["axis_end_ns"] - window["axis_start_ns"] <= 500_000 for window in windows[:-1])


def test_a_large_trace_is_seen_as_a_whole_above_its_rows(large):
    address = "/traces/0af7651916cd43dd0000000000000001?show=all&page=7"

    trace = twin(large, address)
    said = ReadPage(large.get(address).text)

    seen = trace["overview"]
    assert (seen["start_ns"], seen["end_ns"]) == (0, trace["duration_ns"])
    assert sum(sum(each["times_ns"]) + each["rest_ns"] for each in seen["slices"]) == trace["duration_ns"]
    assert len(said.with_class("slice")) == len(seen["slices"])


def test_a_moment_of_the_whole_leads_to_whose_time_it_was(large):
    address = "/traces/0af7651916cd43dd0000000000000001?show=all"
    there = twin(large, address)["overview"]["slices"][60]

    trace = twin(large, f"{address}&span={there['span']}&section={there['section']}")

    assert [row["id"] for row in trace["rows"] if row["selected"]] == [there["span"]]
    assert trace["selected"]["offset_ns"] == pytest.approx(trace["duration_ns"] / 2, rel=0.01)


def test_a_trace_whose_rows_fit_on_a_page_has_no_second_picture(client, failed_trace):
    assert twin(client, f"/traces/{failed_trace}")["overview"] is None


def test_rows_do_not_shift_under_who_scrolls_and_a_page_that_is_opened_anew_is_new():
    spans = drawn("root 0-100; " + "; ".join(f"a/op{i} {i}-{i + 1} in root" for i in range(40)))
    more = drawn("root 0-100; " + "; ".join(f"a/op{i} {i}-{i + 1} in root" for i in range(50)))
    reader = MemoryReader([spans])
    client = client_of(reader, EPOCH_NS)
    address = "/traces/0af7651916cd43dd0000000000000001"
    assert twin(client, address)["total_rows"] == 41

    reader.trace = lambda *asked: more

    assert twin(client, f"{address}/rows?first=10")["total_rows"] == 41
    assert twin(client, address)["total_rows"] == 51
    assert twin(client, f"{address}/rows?first=10")["total_rows"] == 51


def test_a_selected_span_opens_the_page_that_has_it(large):
    trace = twin(large, "/traces/0af7651916cd43dd0000000000000001?show=all&span=0000000000001770")

    assert trace["page"] == 12
    assert [row["id"] for row in trace["rows"] if row["selected"]] == ["0000000000001770"]


def test_a_page_that_does_not_exist_is_the_last_one(large):
    assert twin(large, "/traces/0af7651916cd43dd0000000000000001?show=all&page=999999")["page"] == 20


# Search


def test_the_box_leads_to_a_trace_whatever_way_it_is_named(client, failed_trace):
    for words in (
        failed_trace,
        failed_trace.upper(),
        f"00-{failed_trace}-00f067aa0ba902b7-01",
        f"https://jaeger.example/trace/{failed_trace}",
        f"trace_id={failed_trace} level=error",
    ):
        response = client.get("/search", query_string={"q": words})
        assert urlsplit(response.headers["Location"]).path == f"/traces/{failed_trace}", words


def test_a_traceparent_selects_its_span(client, failed_trace):
    response = client.get("/search", query_string={"q": f"00-{failed_trace}-00f067aa0ba902b7-01"})

    assert response.headers["Location"] == f"/traces/{failed_trace}?span=00f067aa0ba902b7"


def test_the_box_leads_to_a_journey_by_its_name(client):
    assert unquote(client.get("/search?q=Check+out").headers["Location"]) == "/journeys/check out"


def test_the_address_of_a_request_finds_its_traces_by_whichever_attribute_has_it(client):
    whole, route = "https://bank.example/v2/authorize", "https://shop.example/checkout?from=mail"

    found = twin(client, f"/search?q={quote(whole, safe='')}")
    assert found["filters"]["attributes"] == [["url.full", whole]]
    assert f"with url.full={whole}" in found["answer"]
    by_route = twin(client, f"/search?q={quote(route, safe='')}")
    assert by_route["filters"]["attributes"] == [["http.route", "/checkout"]]
    assert {example["trace"]["journey"] for example in by_route["traces"]} == {"check out"}


def test_an_id_in_the_address_of_a_request_leads_to_a_trace_only_where_one_is_stored(client, failed_trace):
    order = "550e8400-e29b-41d4-a716-446655440000"

    stored = client.get("/search", query_string={"q": f"https://shop.example/orders/{failed_trace}"})
    answers = [
        twin(client, f"/search?q={quote(words, safe='')}")["answer"]
        for words in (f"https://shop.example/orders/{order}", f"https://shop.example/{order.replace('-', '')}", order)
    ]

    assert stored.headers["Location"] == f"/traces/{failed_trace}"
    assert answers == [
        f"Nothing is called “{said}”, and no error in the last 1\u00a0h says it."
        for said in (f"/orders/{order}", f"/{order.replace('-', '')}", order)
    ]
    assert client.get("/search", query_string={"q": "1" * 32}).headers["Location"] == f"/traces/{'1' * 32}"


def test_the_address_of_a_request_that_no_span_has_is_looked_for_among_names(client):
    found = twin(client, "/search?q=https%3A%2F%2Fshop.example%2Fcart%2F")

    assert {s["name"] for s in found["suggestions"]} == {"GET /cart/{id}"}


@pytest.mark.parametrize(
    ("pasted", "to"),
    [
        ("http://localhost/journeys/check%20out?last=15m", "/journeys/check%20out?last=15m"),
        ("http://localhost/findings", "/findings"),
        ("https://localhost/findings", "/findings"),
        ("localhost/findings", ""),
        ("http://localhost//evil.example/findings", ""),
        ("http://localhost/\\evil.example", ""),
        ("http://elsewhere.example/findings", ""),
    ],
)
def test_the_address_of_a_page_of_ours_leads_to_it_and_to_no_other_site(client, pasted, to):
    assert client.get("/search", query_string={"q": pasted}).headers.get("Location", "") == to


def test_behind_a_proxy_the_public_address_is_ours_and_the_one_behind_it_stays_so(shop):
    public = create_app(shop, replace(SETTINGS, public_url="https://cpdd.example/"), lambda: NOW_NS).test_client()

    for pasted in ("https://cpdd.example/findings", "http://localhost/findings"):
        assert public.get("/search", query_string={"q": pasted}).headers.get("Location") == "/findings"


def test_a_service_by_its_name_lists_its_traces(client):
    found = twin(client, "/search?q=payment")

    assert found["filters"]["service"] == "payment"
    assert {example["trace"]["journey"] for example in found["traces"]} == {"check out"}


def test_a_span_name_in_part_offers_what_has_it(client):
    found = twin(client, "/search?q=price")

    names = {(s["kind"], s["name"], s["of"]) for s in found["suggestions"]}
    assert ("service", "price", "") in names
    assert ("operation", "GET /price/{id}", "price") in names
    assert ("operation", "price items", "cart") in names


def test_an_attribute_finds_the_traces_that_have_it(client):
    found = twin(client, "/search?q=server.address%3Dbank.example")

    assert {example["trace"]["journey"] for example in found["traces"]} == {"check out"}
    assert found["filters"]["attributes"] == [["server.address", "bank.example"]]


def test_filters_narrow_and_stay_in_the_form(client):
    address = "/search?service=payment&failed=1&sort=slowest&min=200ms&max=10s"
    found, said = twin(client, address), page(client, address)

    took = [example["trace"]["duration_ns"] for example in found["traces"]]
    assert took == sorted(took, reverse=True)
    assert min(took) >= 200_000_000
    assert all(example["trace"]["failed"] for example in found["traces"])
    assert ("input", "200ms") in {(tag, attributes.get("value")) for tag, attributes in said.elements}


def test_traces_are_found_by_whether_they_failed(client):
    def found(query):
        return {
            (t["trace"]["trace_id"], t["trace"]["failed"]) for t in twin(client, f"/search?limit=500{query}")["traces"]
        }

    everything, ok = found(""), found("&status=ok")

    assert ok == {each for each in everything if not each[1]}
    assert ok < everything
    assert found("&status=failed") == found("&failed=1") == everything - ok
    assert "traces that did not fail in the last 1\xa0h" in twin(client, "/search?status=ok")["answer"]
    said = page(client, "/search?status=ok")
    assert ("option", "ok") in {(tag, of.get("value")) for tag, of in said.elements if "selected" in of}
    assert any("status=ok" in link and "last=15m" in link for link in said.links), "another range keeps it"
    assert client.get("/search.json?status=fine").status_code == 400


def test_the_text_of_an_error_finds_the_traces_that_say_it(client):
    found = twin(client, "/search?q=read+TIMED+out")

    assert found["traces"]
    assert found["filters"]["error"] == "read TIMED out"
    assert "with an error that says “read TIMED out”" in found["answer"]
    assert all(example["trace"]["failed"] for example in found["traces"])


def test_a_service_that_nobody_waits_for_is_on_no_path(client):
    anywhere, on_path = (twin(client, f"/search?service=mail{more}&limit=500") for more in ("", "&on_path=1"))

    assert anywhere["traces"]
    assert on_path["traces"] == []


def test_traces_are_found_by_whether_their_callers_needed_what_failed(client):
    def ids(query):
        return {example["trace"]["trace_id"] for example in twin(client, f"/search?limit=500{query}")["traces"]}

    needed, survived = ids("&call=mandatory-failed"), ids("&call=optional-failed")

    assert needed == ids("&journey=check+out&failed=1")
    assert survived - needed
    assert survived & needed
    assert ids("&call=mandatory-failed&service=bank.example") == needed, "which sends no spans of its own"
    assert ids("&call=mandatory-failed&service=recommend") == set()
    assert ids("&call=optional-failed&service=recommend") == survived
    assert ids("&call=mandatory-on-path&service=payment") == ids("&journey=check+out")
    assert (
        "traces in which a mandatory call failed in the last 1 h" in page(client, "/search?call=mandatory-failed").text
    )
    assert ("option", "mandatory-failed") in {
        (tag, attributes.get("value"))
        for tag, attributes in page(client, "/search?call=mandatory-failed").elements
        if "selected" in attributes
    }


def test_where_no_call_has_the_requirement_the_search_says_so(client):
    found = twin(client, "/search?call=mandatory-failed&service=accounts")

    assert found["answer"].replace("\xa0", " ") == (
        "No call that is known, or declared, to be mandatory failed in the last 1 h."
    )


def test_what_calls_cannot_be_asked_is_said(client):
    answer = client.get("/search.json?call=sometimes")

    assert answer.status_code == 400
    assert "mandatory-failed" in answer.get_json()["error"]["hint"]


def test_traces_are_points_over_time_that_lead_to_them(client):
    found, said = twin(client, "/search?service=payment"), page(client, "/search?service=payment")

    drawn = said.with_class("dot") + said.with_class("cross")
    assert len(drawn) == len(found["traces"])
    durations = [example["trace"]["duration_ns"] for example in found["traces"]]
    assert found["low_ns"] < min(durations)
    assert found["high_ns"] > max(durations)


def test_a_plot_is_about_the_range_and_not_the_list(client, shop):
    found, said = twin(client, "/search?limit=5"), page(client, "/search?limit=5")

    all_of_it = twin(client, "/search?limit=500")["traces"]
    plot = found["plot"]
    assert (plot["shows"], plot["of_about"], len(found["traces"])) == ("all", len(all_of_it), 5)
    assert {point["trace_id"] for point in plot["points"]} == {trace["trace"]["trace_id"] for trace in all_of_it}
    assert len(said.with_class("dot") + said.with_class("cross")) == len(all_of_it)
    assert f"all {len(all_of_it)} traces" in said.text
    assert twin(client, plot["points"][-1]["address"])["trace_id"] == plot["points"][-1]["trace_id"]


def test_a_plot_of_very_many_is_a_sample_that_says_so():
    reader = MemoryReader(shop_traces(400))
    reader.most_points = 40
    busy = client_of(reader)

    found, said = twin(busy, "/search?last=24h"), page(busy, "/search?last=24h")

    plot = found["plot"]
    newest, points = found["traces"][-1]["trace"]["start_unix_nano"], plot["points"]
    assert (plot["shows"], plot["sampled"]) == ("sample", 40)
    assert sum(point["start_unix_nano"] < newest for point in points[:40]) > 20, "most are older than the list"
    (slowest,) = twin(busy, "/search?last=24h&sort=slowest&limit=1")["traces"]
    assert slowest["trace"]["trace_id"] in {point["trace_id"] for point in points}
    about = f"40 of ~{plot['of_about']:,} traces, a sample, and {len(points) - 40} more that failed or took longest"
    assert about in said.text
    listed = [
        attributes["href"] for tag, attributes in said.elements if tag == "a" and "sort=slowest" in str(attributes)
    ]
    assert twin(busy, listed[0])["filters"]["sort"] == "slowest"


def test_a_plot_that_would_take_too_long_is_of_the_list_and_says_so():
    reader = MemoryReader(shop_traces(100))
    reader.points = lambda query: None
    busy = client_of(reader)

    found, said = twin(busy, "/search?last=24h&limit=5"), page(busy, "/search?last=24h&limit=5")

    assert (found["plot"]["shows"], len(found["plot"]["points"])) == ("listed", 5)
    assert "the 5 traces below" in said.text


def test_nothing_found_says_what_the_box_understands(client):
    said = page(client, "/search?q=zebra")

    assert "Nothing is called “zebra”" in said.text
    assert "traceparent" in said.text


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("journey=check+out&failed=1", "The last like that was"),
        ("q=http.route%3D%2Fpay", "The last like that was"),
        ("q=read+timed+out", "The last like that was"),
        ("", "The last like that was"),
    ],
)
def test_a_search_that_finds_nothing_says_when_there_was_something(shop, query, words):
    tomorrow = client_of(shop, NOW_NS + 26 * 3_600 * 10**9)

    found = twin(tomorrow, f"/search?{query}")

    assert words in page(tomorrow, f"/search?{query}").text
    assert twin(tomorrow, found["last"]["address"])["traces"]


def test_the_last_of_a_search_for_the_slowest_is_the_newest(shop):
    tomorrow = client_of(shop, NOW_NS + 26 * 3_600 * 10**9)

    newest, slowest = (twin(tomorrow, f"/search?sort={sort}")["last"] for sort in ("newest", "slowest"))

    assert slowest["words"] == newest["words"]
    assert slowest["address"].replace("sort=slowest&", "") == newest["address"]


def test_a_search_for_an_attribute_that_no_trace_has_says_when_the_last_of_all_came(shop):
    tomorrow = client_of(shop, NOW_NS + 26 * 3_600 * 10**9)

    assert "The last of all came" in page(tomorrow, "/search?q=http.route%3D%2Fnowhere").text


@pytest.mark.parametrize("traces", [0, 20])
def test_the_first_page_says_first_that_nothing_is_stored_any_more(traces):
    trouble = ["nothing could be stored for 31 s: the disk of /data is full; make room"]
    app = create_app(MemoryReader(shop_traces(traces)), SETTINGS, lambda: NOW_NS, read_trouble=lambda: trouble)

    said = twin(app.test_client(), "/")

    assert said["answer"].startswith("Nothing could be stored for 31 s: the disk of /data is full; make room. ")
    assert (said["trouble"], said["is_in_trouble"]) == (trouble[0], True)
    assert ("What was stored before says: " in said["answer"]) == bool(traces)
    assert twin(client_of(MemoryReader()), "/")["trouble"] == ""


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("start=2030-01-01T00:00:00Z&end=2030-01-01T01:00:00Z", "that is in the future"),
        ("service=paymet", "no service is called “paymet”; there is payment"),
        ("service=payment&operation=POST+/charge", "payment has no span called “POST /charge”"),
        ("service=payment&min=1h", "No trace in the last 1 h is like that."),
    ],
)
def test_a_search_that_finds_nothing_says_which_of_its_words_cannot_be_right(client, query, words):
    assert words in twin(client, f"/search?{query}")["answer"].replace("\xa0", " ")


def test_a_search_for_what_never_was_promises_nothing(client):
    assert twin(client, "/search?journey=nobody")["last"] is None


def test_what_if_says_when_the_last_trace_was(shop):
    tomorrow = client_of(shop, NOW_NS + 26 * 3_600 * 10**9)

    said = page(tomorrow, "/what-if?journey=check+out", status=404).text

    assert "No trace of check out in the last 1 h." in said.replace("\xa0", " ")
    assert "The last was 26 h ago" in said.replace("\xa0", " ")


def test_more_results_are_one_link_away(client):
    found = twin(client, "/search?limit=5")

    assert len(found["traces"]) == 5
    assert found["answer"].startswith("The newest 5 traces")
    assert len(twin(client, found["more"])["traces"]) == 20


@pytest.mark.parametrize(
    "query",
    ["min=fast", "last=1y", "last=0h", "start=yesterday", "start=2026-11-18T12:00Z&end=2026-11-18T11:00Z", "max=1e9s"],
)
def test_what_cannot_be_read_is_said_with_the_way_out(client, query):
    response = client.get(f"/search.json?{query}")

    assert response.status_code == 400
    assert response.get_json()["error"]["problem"]
    assert response.get_json()["error"]["hint"]


@pytest.mark.parametrize(
    ("address", "named"),
    [
        ("/search.json?tag=http.route", "tag=http.route is no attribute"),
        ("/search.json?sort=fastest", "sort=fastest is no choice"),
        ("/search.json?limit=many", "limit=many is no whole number"),
        ("/search.json?min=2s&max=1s", "at least min=2s and at most max=1s"),
        ("/search.json?call=failed", "call=failed is no choice"),
        ("/journeys/check%20out.json?band=p99", "band=p99 is no choice"),
        ("/journeys/check%20out.json?need=most", "need=most is no choice"),
        ("/.json?page=last", "page=last is no whole number"),
    ],
)
def test_a_wrong_parameter_is_named_rather_than_passed_over(client, address, named):
    response = client.get(address)

    assert response.status_code == 400
    assert named in response.get_json()["error"]["problem"]


def test_more_results_keep_every_attribute(client):
    tags = "tag=http.route%3D%2Fpay&tag=http.request.method%3DPOST"

    found = twin(client, f"/search?{tags}&limit=5")

    assert found["tags"] == ["http.route=/pay", "http.request.method=POST"]
    assert tags in found["more"]


# What every page keeps


def test_every_page_has_a_twin_with_the_same_value(judged, addresses):
    for address in addresses:
        value = twin(judged, address)
        if "answer" in value:
            assert " ".join(value["answer"].replace("\u00a0", " ").split()) in page(judged, address).text


def test_every_twin_is_what_openapi_says(judged, addresses):
    described = judged.get("/openapi.json").get_json()
    schemas = described["components"]["schemas"]

    met = set()
    for address in addresses:
        met.add(template := template_of(f"{urlsplit(address).path}.json", described["paths"]))
        schema = described["paths"][template]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        check(twin(judged, address), schema, schemas, address)

    operations = {get["get"]["operationId"] for template, get in described["paths"].items() if template in met}
    assert operations == {described.name for described in PAGES}, "addresses has every page"


def test_every_file_is_at_the_address_and_of_the_kind_that_openapi_says(judged, failed_trace):
    described = judged.get("/openapi.json").get_json()["paths"]
    named = {"trace_id": failed_trace, "finding_id": HIDDEN.id}
    files = {t: of["get"] for t, of in described.items() if t.endswith((".md", ".otlp.json", ".jaeger.json"))}

    assert len(files) == 4, "two forms of a trace, two packets"
    for template, described_file in files.items():
        found = judged.get(template.format(**named))
        nothing = judged.get(template.format(trace_id="1" * 32, finding_id="0"))
        assert (found.status_code, nothing.status_code) == (200, 404)
        assert [found.mimetype] == list(described_file["responses"]["200"]["content"])
        assert nothing.mimetype in described_file["responses"]["404"]["content"]
        assert [each["name"] for each in described_file["parameters"]] == re.findall(r"\{(\w+)\}", template)


def template_of(path, templates):
    """Return the address of openapi.json that a path is of, the one that says most of it."""
    fits = [t for t in templates if re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(t)), path)]
    return max(fits, key=lambda template: len(re.sub(r"\{\w+\}", "", template)))


def check(value, schema, schemas, place):
    """A small judge of JSON schemas: what openapi.json uses, and no more."""
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        options = [s for s in schema["anyOf"] if (s.get("type") == "null") == (value is None)]
        return check(value, options[0], schemas, place)
    kinds = {
        "string": str,
        "boolean": bool,
        "integer": int,
        "number": (int, float),
        "array": list,
        "object": dict,
        "null": type(None),
    }
    assert isinstance(value, kinds[schema["type"]]), f"{place}: {value!r} is no {schema['type']}"
    if schema["type"] == "object" and "properties" in schema:
        assert set(value) == set(schema["properties"]), place
        for name, inner in schema["properties"].items():
            check(value[name], inner, schemas, f"{place}.{name}")
    for i, item in enumerate(value if schema["type"] == "array" else []):
        inner = schema["prefixItems"][i] if "prefixItems" in schema else schema["items"]
        check(item, inner, schemas, f"{place}[{i}]")


def test_every_page_has_a_value_that_is_a_dataclass():
    for described in PAGES:
        assert is_dataclass(described.value)
        assert fields(described.value)


def test_no_two_values_of_pages_share_a_name_in_openapi():
    seen: dict[str, type] = {}
    waiting: list[object] = [page.value for page in PAGES]
    while waiting:
        kind = waiting.pop()
        if is_dataclass(kind) and seen.get(kind.__name__) is not kind:
            assert kind.__name__ not in seen, (kind, seen[kind.__name__])
            seen[kind.__name__] = kind
            waiting += get_type_hints(kind).values()
        waiting += get_args(kind)

    assert len(seen) > len(PAGES)


def test_pages_may_not_run_or_load_anything_from_elsewhere(judged, addresses):
    for address in addresses:
        response = judged.get(address)

        policy = dict(part.strip().split(" ", 1) for part in response.headers["Content-Security-Policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == "'self'"
        assert "unsafe" not in response.headers["Content-Security-Policy"]
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "same-origin"


def test_no_page_has_inline_script_or_style(judged, addresses):
    for address in addresses:
        said = page(judged, address)

        for tag, attributes in said.elements:
            assert "style" not in attributes, (tag, attributes)
            assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
            assert tag != "style"
            assert tag != "script" or attributes["src"].startswith("/static/")


def test_ids_are_there_once_and_labels_have_their_fields(judged, addresses):
    for address in addresses:
        said = page(judged, address)

        assert len(said.ids) == len(set(said.ids)), address
        for tag, attributes in said.elements:
            if tag == "label" and "for" in attributes:
                assert attributes["for"] in said.ids


def test_every_picture_has_a_name_and_every_link_an_address_of_ours(judged, addresses):
    for address in addresses:
        said = page(judged, address)

        pictures = [attributes for tag, attributes in said.elements if tag == "svg" and attributes.get("role") == "img"]
        assert len(pictures) <= [tag for tag, _ in said.elements].count("title") - 1
        assert all(link.startswith(("/", "#")) for link in said.links)


def test_every_link_of_a_page_leads_somewhere(judged, addresses):
    links = {link.partition("#")[0] for address in addresses for link in page(judged, address).links}

    for link in sorted(links - {""})[:400]:
        assert judged.get(link, follow_redirects=True).status_code == 200, link


def test_a_page_that_has_not_changed_is_not_sent_again(judged, addresses):
    for address in addresses:
        for asked in (address, address.replace("?", ".json?", 1) if "?" in address else f"{address}.json"):
            first = judged.get(asked)

            again = judged.get(asked, headers={"If-None-Match": first.headers["ETag"]})

            assert again.status_code == 304
            assert again.data == b""


def test_large_answers_are_compressed_for_those_who_take_it(client, failed_trace):
    plain = client.get(f"/traces/{failed_trace}")

    packed = client.get(f"/traces/{failed_trace}", headers={"Accept-Encoding": "gzip, br"})

    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.headers["Vary"] == "Accept-Encoding"
    assert gzip.decompress(packed.data) == plain.data
    assert "Content-Encoding" not in plain.headers


def test_an_unknown_address_says_so_as_a_page_and_as_json(client):
    assert "No page is at /nowhere." in page(client, "/nowhere", status=404).text
    assert client.get("/nowhere.json").get_json()["error"]["problem"] == "no page is at /nowhere"


def test_a_store_that_fails_gives_a_page_that_says_so():
    class Broken(MemoryReader):
        def newest_trace_unix_nano(self):
            raise OSError("disk gone")

    client = client_of(Broken())

    assert "This page could not be built: OSError." in page(client, "/", status=500).text
    assert client.get("/.json").status_code == 500


def test_an_absolute_range_stays_on_every_link_of_the_page(client):
    query = "start=2026-11-18T10:00:00Z&end=2026-11-18T12:00:00Z"

    links = [unquote(link) for link in page(client, f"/?{query}").links if link.startswith("/journeys/")]

    assert links
    assert all(query in link for link in links)


def test_numbers_of_a_page_are_exact_in_its_twin(client):
    row = twin(client, "/")["needs_you"][0]["summary"]

    assert isinstance(row["max_ns"], int)
    assert json.dumps(row["max_ns"]) == str(row["max_ns"])
