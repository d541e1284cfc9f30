"""Bands of latency, cells with their traces, two windows compared, what if: the pages behind a journey's numbers."""

import random
import re
from collections import defaultdict
from dataclasses import replace
from html import escape
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest

from collector.core.detail import ResourceDetail
from collector.store.values import TraceQuery, Window
from tests.ui.conftest import client_of
from tests.ui.memory import MemoryReader
from tests.ui.shop import NOW_NS, Recorder
from tests.ui.test_pages import page, twin
from ui.draw.units import duration, spelled
from ui.views.time_range import parse_moment

CHECK_OUT = "/journeys/check%20out"
MINUTE_NS = 60 * 10**9


def test_a_band_that_is_chosen_changes_what_follows(client):
    whole, slow = twin(client, CHECK_OUT), twin(client, f"{CHECK_OUT}?band=p90-99")

    assert whole["bands"][0]["name"] == "p0-50"
    assert (whole["band"], slow["band"]) == ("", "p90-99")
    assert slow["band_mean_ns"] > 1.2 * whole["band_mean_ns"]
    assert sum(row["share"] for row in slow["contributions"]) == pytest.approx(1)
    assert slow["contributions"] != whole["contributions"]
    assert slow["band_call_paths"]
    assert whole["band_call_paths"] == []


def test_one_click_under_the_answer_boosts_a_journey(client):
    head, below = client.get(CHECK_OUT).text.split('aria-label="Of this journey"')

    assert escape(twin(client, CHECK_OUT)["boost"]) in head
    assert "Boost sampling of this journey" in head
    assert "Boost sampling of this journey" not in below


@pytest.mark.parametrize("ends", ["max=1us", "min=1h", "max=1ns"])
def test_durations_that_no_trace_took_are_a_stretch_that_can_be_searched(client, ends):
    value = twin(client, f"{CHECK_OUT}?{ends}")

    assert value["stretch"]["traces"] == 0
    assert value["stretch"]["from_ns"] <= value["stretch"]["to_ns"]
    assert twin(client, value["band_search"])["traces"] == []


def test_the_histogram_is_cut_into_bands_that_links_lead_to(client):
    read = page(client, f"{CHECK_OUT}?band=p90-99")

    assert f"{CHECK_OUT}?band=p0-50#latency" in read.links
    assert f"{CHECK_OUT}#latency" in read.links, "the chosen band leads back to all traces"
    bars = [attributes for tag, attributes in read.elements if attributes.get("class", "").startswith("band-")]
    assert {bar["class"] for bar in bars} == {"band-0", "band-1", "band-2"}


def test_a_step_of_a_picture_over_time_is_a_link_to_its_minutes(client):
    value, read = twin(client, CHECK_OUT), page(client, f"{CHECK_OUT}?last=1h&band=p50-90&open=cart")

    starts = [step["start_unix_nano"] for step in value["over_time"] if step["parts"]]
    links = [link for link in read.links if link.startswith(f"{CHECK_OUT}?start=")]
    assert len(links) == 2 * len(starts), "p95, and the path by service"
    assert all(link.endswith("&band=p50-90&open=cart") for link in links)
    for link in (links[0], links[-1]):
        minute = twin(client, link)
        assert minute["range"]["window"]["start_unix_nano"] in starts
        assert minute["summary"]["traces"] > 0


def bars_of(client, address=CHECK_OUT):
    return twin(client, address)["bars"]


def test_any_run_of_bars_can_be_what_follows_is_about(client, shop):
    bars = bars_of(client)[2:5]
    address = f"{CHECK_OUT}?min={spelled(bars[0]['from_ns'])}&max={spelled(bars[-1]['to_ns'])}"

    some = twin(client, address)

    took = some["stretch"]
    inside = [
        trace
        for trace in shop.find(TraceQuery(Window(NOW_NS - 60 * MINUTE_NS, NOW_NS), journey="check out", limit=10_000))
        if took["from_ns"] < trace.duration_ns <= took["to_ns"]
    ]
    assert (took["from_ns"], took["to_ns"]) == pytest.approx((bars[0]["from_ns"], bars[-1]["to_ns"]))
    assert took["traces"] == len(inside) == sum(bar["weighted_traces"] for bar in bars)
    assert some["band_mean_ns"] == pytest.approx(sum(trace.duration_ns for trace in inside) / len(inside))
    assert sum(row["share"] for row in some["contributions"]) == pytest.approx(1)
    cart = sum(share.mean_ns for trace in inside for share in trace.path if share.service == "cart") / len(inside)
    assert sum(p["mean_ns"] for p in some["band_call_paths"] if p["service"] == "cart") == pytest.approx(cart)
    assert some["band"] == ""
    assert some["bands"] == twin(client, CHECK_OUT)["bands"]


def test_durations_mean_whole_bars_and_the_page_says_which(client):
    bar = bars_of(client)[3]
    low, high = bar["from_ns"], bar["to_ns"]

    exact = twin(client, f"{CHECK_OUT}?min={spelled(low)}&max={spelled(high)}")["stretch"]
    near = twin(client, f"{CHECK_OUT}?min={spelled(low * 1.05)}&max={spelled(high * 0.95)}")["stretch"]
    within = twin(client, f"{CHECK_OUT}?min={spelled(low * 1.1)}&max={spelled(low * 1.1)}")["stretch"]

    assert near == exact == within
    assert exact["words"] == f"{duration(low)} to {duration(high)}"
    said = page(client, f"{CHECK_OUT}?min={spelled(low * 1.05)}&max={spelled(high)}").text
    assert exact["words"].replace("\xa0", " ") in said


@pytest.mark.parametrize(("query", "words"), [("min=150ms", "143 ms or longer"), ("max=150ms", "143 ms or shorter")])
def test_a_stretch_may_be_open_at_one_end(client, query, words):
    took, whole = twin(client, f"{CHECK_OUT}?{query}")["stretch"], bars_of(client)

    assert took["words"].replace("\xa0", " ") == words
    assert took["from_ns"] == whole[0]["from_ns"] or took["to_ns"] == whole[-1]["to_ns"]
    assert 0 < took["traces"] < sum(bar["weighted_traces"] for bar in whole)


def test_bars_that_nobody_fell_into_are_said_to_be_empty(client):
    said = page(client, f"{CHECK_OUT}?min=3s&max=5s")

    value = twin(client, f"{CHECK_OUT}?min=3s&max=5s")
    assert (value["stretch"]["traces"], value["contributions"], value["band_call_paths"]) == (0, [], [])
    assert "No trace took 2.88 s to 5.25 s" in said.text
    assert not [at for _, at in said.elements if at.get("class") == "flame"]
    assert f"{CHECK_OUT}#latency" in said.links


@pytest.mark.parametrize("query", ["", "band=p90-99", "min=150ms", "where=enduser.id%3Du-1848&need=mandatory"])
def test_each_frame_with_time_of_its_own_leads_to_traces_behind_its_call(client, query):
    value = twin(client, f"{CHECK_OUT}?{query}")
    timed = {str(call["id"]) for call in value["band_call_paths"] or value["call_paths"] if call["mean_ns"]}
    said = page(client, f"{CHECK_OUT}?{query}")
    in_table = {row["examples"] for row in value["contributions"]}

    led = {parse_qs(urlsplit(link).query)["path"][0]: link for link in said.links if link.startswith("/examples?")}

    assert len(timed) > 3
    assert led.keys() == timed
    assert in_table <= set(led.values())
    assert all(client.get(link).status_code == 200 for link in led.values())


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("min=fast", "min=fast is no duration"),
        ("max=5parsecs", "max=5parsecs is no duration"),
        ("min=2s&max=1s", "min=2s and at most max=1s"),
        ("band=p0-50&max=1s", "band=p0-50 and max=1s both say which traces"),
    ],
)
@pytest.mark.parametrize("address", [f"{CHECK_OUT}.json?", "/examples.json?journey=check+out&path=1&"])
def test_durations_that_cannot_be_read_are_named(client, address, query, named):
    response = client.get(address + query)

    assert response.status_code == 400
    assert named in response.get_json()["error"]["problem"]


def test_a_bar_is_a_link_to_its_traces_and_back_to_all(client):
    bar = bars_of(client)[0]
    asked = f"min={spelled(bar['from_ns'])}&max={spelled(bar['to_ns'])}"

    before = page(client, f"{CHECK_OUT}?need=mandatory")
    after = page(client, f"{CHECK_OUT}?need=mandatory&{asked}")

    assert f"{CHECK_OUT}?need=mandatory&{asked}#latency" in before.links
    assert f"{CHECK_OUT}?need=mandatory&{asked}#latency" not in after.links
    assert f"{CHECK_OUT}?need=mandatory#latency" in after.links


def test_links_of_the_page_keep_the_durations(client):
    stretch = twin(client, f"{CHECK_OUT}?min=120ms&max=210ms")["stretch"]
    kept = f"min={stretch['min']}&max={stretch['max']}"

    read = page(client, f"{CHECK_OUT}?{kept}")

    for other in (f"{kept}&open=", f"{kept}&need=mandatory", f"{kept}&last=24h"):
        assert any(other in link for link in read.links), other
    fields = [(at.get("name"), at.get("value")) for tag, at in read.elements if tag == "input"]
    assert fields.count(("min", stretch["min"])) >= 4, "forms: range twice, condition, service, its own"
    assert any(link.startswith(f"{CHECK_OUT}?band=p0-50") and kept not in link for link in read.links)


def test_a_cell_of_a_stretch_has_traces_of_these_durations_and_leads_back(client, shop):
    value = twin(client, f"{CHECK_OUT}?min=120ms&max=210ms")
    stretch = value["stretch"]

    for row in value["contributions"][:3]:
        said = page(client, row["examples"])
        ids = {link.split("/")[2][:32] for link in said.links if link.startswith("/traces/")}
        assert ids
        assert all(stretch["from_ns"] < shop.outcome(each).duration_ns <= stretch["to_ns"] for each in ids)
        assert "on the path of the traces that took 117 ms to 214 ms" in said.text
        assert f"{CHECK_OUT}?min={stretch['min']}&max={stretch['max']}" in said.links


def test_a_search_finds_the_traces_of_a_stretch_and_of_a_band(client):
    for chosen in ("min=120ms&max=210ms", "band=p50-90"):
        value = twin(client, f"{CHECK_OUT}?{chosen}")
        found = twin(client, f"{value['band_search']}&limit=500")["traces"]

        traces = value["stretch"]["traces"] if value["stretch"] else value["bands"][1]["traces"]
        assert len(found) == traces


def test_shares_of_operations_have_their_interval_and_their_traces(client):
    rows = twin(client, CHECK_OUT)["contributions"]

    assert all(row["interval_ns"][0] <= row["mean_ns"] <= row["interval_ns"][1] for row in rows)
    for row in rows[:3]:
        said = page(client, row["examples"])
        assert "Slowest" in said.text
        assert any(link.startswith("/traces/") for link in said.links)


def test_a_cell_without_a_failed_trace_says_so(client):
    rows = twin(client, "/journeys/browse")["contributions"]

    assert "no trace of this cell failed" in page(client, rows[0]["examples"]).text


@pytest.mark.parametrize(("path", "status"), [("x", 400), ("7", 404), ("99999999999999999999999", 400)])
def test_a_cell_that_is_not_there_is_an_error_that_leads_back(client, path, status):
    assert page(client, f"/examples?journey=check%20out&band=p99%2B&path={path}", status)


def test_the_path_over_time_has_a_column_a_step_with_traces(client):
    steps = twin(client, CHECK_OUT)["over_time"]

    assert len(steps) == 60
    filled = [step for step in steps if step["parts"]]
    assert filled
    assert all(sum(part["share"] for part in step["parts"]) == pytest.approx(1) for step in filled)


def slower_since(now_ns: int) -> MemoryReader:
    """A journey whose call of redis takes 30 ms longer in the last quarter of an hour."""
    reader = MemoryReader()
    for n in range(120):
        late = n >= 60
        recorder = Recorder(trace=n + 1, start_ns=now_ns - (10 if late else 25) * MINUTE_NS + n * 10**8)
        end = 40 + n % 7 + (30 if late else 0)
        root = recorder.span("shop", "GET /cart", 0, end + 5, kind=2)
        recorder.span("shop", "GET redis", 3, end, parent=root, kind=3, server_address="redis")
        reader.add(recorder.finish())
    return reader


def test_two_windows_are_compared_and_the_call_that_explains_it_is_named():
    client = client_of(slower_since(NOW_NS))

    value = twin(client, f"/compare?journey={quote('shop: GET /cart')}&last=15m")

    assert value["significant"]
    said = re.escape(" slower on average: ") + r"\S+ % of it in shop GET redis"
    assert re.search(said, value["answer"].replace("\xa0", " "))
    assert value["changes"][0]["significant"]
    assert value["changes"][0]["interval_ns"][0] > 20e6
    assert not any(change["significant"] for change in value["changes"][1:])


def test_windows_alike_are_not_called_different():
    client = client_of(slower_since(NOW_NS))
    middle = (NOW_NS - 25 * MINUTE_NS) // 10**9 + 3

    before = f"start={middle}&end={middle + 3}&against={middle}"
    value = twin(client, f"/compare?journey={quote('shop: GET /cart')}&{before}")

    assert value["answer"].startswith("No slower and no faster than can be chance")


@pytest.mark.parametrize("against", ["before", "1d", "7d", "2026-11-18T11:00:00Z"])
def test_a_window_without_traces_is_said_and_others_are_offered(client, against):
    value = twin(client, f"/compare?journey=nobody&against={against}")

    assert value["answer"].replace("\xa0", " ").startswith("There is no trace of nobody ")
    assert "and none in the last 1 h" in value["answer"].replace("\xa0", " ")
    assert [choice["words"] for choice in value["choices"]][:3] == ["just before", "a day earlier", "a week earlier"]


@pytest.mark.parametrize(
    ("against", "start", "end"),
    [
        ("02:41", "2026-11-18T01:41:00Z", "2026-11-18T02:41:00Z"),
        ("23:30:15", "2026-11-17T22:30:15Z", "2026-11-17T23:30:15Z"),
        ("02:41/03:10", "2026-11-18T02:41:00Z", "2026-11-18T03:10:00Z"),
        ("10:50/23:30", "2026-11-17T10:50:00Z", "2026-11-17T23:30:00Z"),
        ("23:30/00:10", "2026-11-17T23:30:00Z", "2026-11-18T00:10:00Z"),
    ],
)
def test_the_other_window_may_be_said_by_times_alone_which_are_the_latest(client, against, start, end):
    value = twin(client, f"/compare?journey=browse&against={quote(against)}&last=1h")

    window = value["before"]["window"]
    assert window["start_unix_nano"] == parse_moment("start", start)
    assert window["end_unix_nano"] == parse_moment("end", end)


def two_versions(now_ns: int) -> MemoryReader:
    """Every other trace is served by cart 2, which asks redis for longer; shop is 1 where cart is 2."""
    reader, rng = MemoryReader(), random.Random(7)
    for number in range(60):
        version = 1 + number % 2
        recorder = Recorder(trace=number + 1, start_ns=now_ns - (number + 1) * 10**9)
        length = (30 if version == 2 else 10) + rng.random()
        root = recorder.span("shop", "GET /", 0, length + 4, kind=2)
        recorder.span("cart", "HGETALL", 2, length + 2, root)
        for row, service_version in enumerate((3 - version, version)):
            said = recorder.details[row].resource.attributes
            renewed = [(key, str(service_version) if key == "service.version" else value) for key, value in said]
            recorder.details[row] = replace(recorder.details[row], resource=ResourceDetail(attributes=tuple(renewed)))
        reader.add(recorder.finish())
    return reader


def test_two_versions_that_run_side_by_side_are_compared():
    client = client_of(two_versions(NOW_NS))
    journey = quote("shop: GET /")

    choices = {choice["words"]: choice["address"] for choice in twin(client, f"/compare?journey={journey}")["choices"]}
    address = next(address for words, address in choices.items() if words.startswith("cart 1 against 2"))
    value = twin(client, address)

    assert (value["a"]["traces"], value["b"]["traces"]) == (30, 30)
    assert re.search(r"faster on average: \S+ % of it in cart HGETALL", value["answer"].replace("\xa0", " "))
    assert value["title"].replace("\xa0", " ").startswith("last 1 h with service.version=1 of cart against last 1 h")
    assert [choice["words"] for choice in value["choices"] if choice["is_chosen"]] == ["cart 1 against 2"]


def test_traces_on_both_sides_are_told():
    client = client_of(two_versions(NOW_NS))
    asked = f"journey={quote('shop: GET /')}&where={quote('service.version=2')}&against={quote('service.version=1')}"

    value = twin(client, f"/compare?{asked}")

    assert value["answer"].replace("\xa0", " ").endswith("On both sides stand 60 traces.")


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("against=service.version%3D1", "where= has to say"),
        ("where=2", "where=2 is no condition"),
        ("against=%3D1&where=a%3Db", "against==1 is no condition"),
    ],
)
def test_sides_that_cannot_be_read_are_named(client, query, named):
    response = client.get(f"/compare.json?journey=browse&{query}")

    assert response.status_code == 400
    assert named in response.get_json()["error"]["problem"]


@pytest.mark.parametrize("query", ["against=yesterday", "against=1"])
def test_a_window_that_cannot_be_read_is_a_bad_address(client, query):
    assert client.get(f"/compare?journey=browse&{query}").status_code == 400


def test_what_to_make_faster_first_is_ranked_and_each_row_is_a_wish(client):
    value = twin(client, "/what-if?journey=check%20out")

    halved = [row["halved_ns"] for row in value["candidates"]]
    assert halved == sorted(halved, reverse=True)
    assert "faster first" in value["answer"]
    wished = twin(client, value["candidates"][0]["address"])
    mean = wished["predicted"][0]
    assert mean["before_ns"] - mean["after_ns"] == pytest.approx(halved[0])
    assert wished["answer"].startswith("It would take")


@pytest.mark.parametrize("wish", ["nonsense", "cart=fast", "nobody=x0.5"])
def test_a_wish_that_cannot_be_read_says_how_one_looks(client, wish):
    response = client.get("/what-if.json", query_string={"journey": "check out", "set": wish})

    assert response.status_code == 400
    assert response.get_json()["error"]["hint"]


def test_a_wish_that_changes_no_figure_is_said_to_hardly_matter(client):
    value = twin(client, "/what-if?journey=check%20out&set=cart%3Dx1")

    assert value["answer"].replace("\xa0", " ").startswith("It would hardly matter: 0 ms of ")


def test_what_if_without_traces_leads_back(client):
    assert client.get("/what-if?journey=nobody").status_code == 404


def test_a_condition_leaves_its_traces_alone_in_all_figures(client, shop):
    (key, value), those = attribute_of_some(shop)
    whole, some = twin(client, CHECK_OUT), twin(client, f"{CHECK_OUT}?where={quote(f'{key}={value}')}")

    assert 0 < some["summary"]["traces"] == len(those) < whole["summary"]["traces"] == some["traces_of_all"]
    assert some["where"] == f"{key}={value}"
    assert some["contributions"] != whole["contributions"]
    assert {example["trace"]["trace_id"] for group in some["examples"] for example in group["traces"]} <= those
    for row in some["contributions"][:3]:
        links = page(client, row["examples"]).links
        assert {link.split("/")[2][:32] for link in links if link.startswith("/traces/")} <= those


def attribute_of_some(shop):
    """An attribute that some of the traces of check out have, not all, and their ids."""
    window = Window(NOW_NS - 24 * 60 * MINUTE_NS, NOW_NS)
    found = shop.find(TraceQuery(window, journey="check out", limit=10_000))
    having = defaultdict(set)
    for summary in found:
        spans = shop.trace(summary.trace_id)
        for row in range(len(spans.batch)):
            for name, value in spans.detail(row).attributes:
                having[name, str(value)].add(summary.trace_id)
    return next((pair, ids) for pair, ids in sorted(having.items()) if len(ids) < len(found))


def test_links_of_the_page_keep_the_condition_until_it_is_taken_away(client, shop):
    (key, value), _ = attribute_of_some(shop)
    asked = urlencode({"where": f"{key}={value}"})

    read = page(client, f"{CHECK_OUT}?{asked}")

    assert f"{CHECK_OUT}" in read.links
    assert any("band=p0-50" in link and asked in link for link in read.links)
    assert "Promises, findings and whether calls are needed are about all." in read.text


@pytest.mark.parametrize(("where", "status"), [("region", 400), ("=x", 400), ("region=nowhere", 404), ("", 200)])
def test_a_condition_that_is_none_or_that_no_trace_meets_says_so(client, where, status):
    assert page(client, f"{CHECK_OUT}?where={where}", status)


@pytest.mark.parametrize("asked", [f"{CHECK_OUT}?", "/examples?journey=check+out&path=7&"])
def test_where_no_trace_meets_the_condition_the_page_names_it(client, asked):
    read = page(client, f"{asked}where=region%3Dnowhere", 404)

    assert "no trace of check out in the last 1 h has region=nowhere" in read.text
    assert any(link.startswith(CHECK_OUT) and "where" not in link for link in read.links)
