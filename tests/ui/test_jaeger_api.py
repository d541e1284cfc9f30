"""Jaeger's query API v1: its addresses, parameters, shapes and errors."""

import json

import pytest

from collector.store.values import TraceQuery, Window
from tests.ui.shop import NOW_NS
from ui.views.errors import BadAddress
from ui.views.jaeger_api import parse_go_duration_ns, read_dependency_window, read_jaeger_id, read_search

NOW_US = NOW_NS // 1_000
ALL_TIME = Window(0, 2**62)


def data(client, address):
    response = client.get(address)
    assert response.status_code == 200, response.text
    assert response.get_json()["errors"] is None
    return response.get_json()["data"]


def test_services_and_operations_are_lists_of_names(client):
    services = client.get("/api/services").get_json()

    assert services["data"] == sorted(services["data"])
    assert services["total"] == len(services["data"])
    assert data(client, "/api/services/shop/operations") == [
        "GET",
        "GET /",
        "POST",
        "POST /checkout",
        "POST /session",
        "send orders",
    ]


def test_operations_come_with_their_kind_and_can_be_asked_for_by_it(client):
    assert {"name": "POST /checkout", "spanKind": "server"} in data(client, "/api/operations?service=shop")
    assert data(client, "/api/operations?service=shop&spanKind=producer") == [
        {"name": "send orders", "spanKind": "producer"}
    ]


def test_a_service_with_a_slash_in_its_name_is_asked_for_by_it(client):
    assert data(client, "/api/services/team%2Fshop/operations") == []


def test_a_trace_is_found_by_its_id_with_or_without_its_zeros(client, shop):
    id = shop.find(TraceQuery(ALL_TIME, limit=1))[0].trace_id

    (trace,) = data(client, f"/api/traces/{id}")

    assert trace["traceID"] == id
    assert {span["traceID"] for span in trace["spans"]} == {id}
    assert set(trace["processes"]) == {span["processID"] for span in trace["spans"]}
    assert data(client, f"/api/traces/{id.lstrip('0').upper()}") == [trace]


def test_an_unknown_trace_is_jaegers_404(client):
    response = client.get("/api/traces/4bf92f3577b34da6a3ce929d0e0e4736")

    assert response.status_code == 404
    assert response.get_json() == {
        "data": None,
        "total": 0,
        "limit": 0,
        "offset": 0,
        "errors": [{"code": 404, "msg": "trace not found"}],
    }


def test_traces_are_searched_by_service_operation_duration_and_time(client):
    query = (
        f"service=payment&operation=POST%20%2Fpay&minDuration=150ms&limit=3&start={NOW_US - 3_600_000_000}&end={NOW_US}"
    )

    found = data(client, f"/api/traces?{query}")

    assert len(found) == 3
    for trace in found:
        assert any(span["operationName"] == "POST /pay" for span in trace["spans"])
        root = next(span for span in trace["spans"] if not span["references"])
        assert root["duration"] >= 150_000


def test_tags_narrow_to_spans_that_have_all_of_them(client):
    tags = json.dumps({"server.address": "bank.example"})
    around = f"start={NOW_US - 3_600_000_000}&end={NOW_US}"

    found = data(client, f"/api/traces?service=payment&tags={tags}&limit=2&{around}")

    assert len(found) == 2
    assert data(client, f"/api/traces?service=payment&tag=server.address:bank.example&limit=2&{around}") == found
    assert data(client, f"/api/traces?service=payment&tag=server.address:nowhere&{around}") == []


def test_the_error_tag_finds_traces_with_a_failed_span(client):
    found = data(client, f"/api/traces?service=shop&tags=%7B%22error%22%3A%22true%22%7D&limit=5&end={NOW_US}")

    assert len(found) == 5
    for trace in found:
        assert any(
            tag == {"key": "error", "type": "bool", "value": True} for span in trace["spans"] for tag in span["tags"]
        )


def test_traces_are_fetched_by_several_ids(client, shop):
    ids = [trace.trace_id for trace in shop.find(TraceQuery(ALL_TIME, limit=3))]

    found = data(client, "/api/traces?" + "&".join(f"traceID={id}" for id in ids))

    assert [trace["traceID"] for trace in found] == ids


def test_dependencies_count_calls_between_services(client):
    found = data(client, f"/api/dependencies?endTs={NOW_NS // 10**6}&lookback=3600000")

    calls = {(edge["parent"], edge["child"]): edge["callCount"] for edge in found}
    assert calls["shop", "catalog"] * 3 == calls["shop", "price"]
    assert set(found[0]) == {"parent", "child", "callCount"}


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("/api/traces", "parameter 'service' is required"),
        ("/api/operations", "parameter 'service' is required"),
        ("/api/traces?service=a&minDuration=fast", "unable to parse param 'minDuration'"),
        ("/api/traces?service=a&minDuration=2s&maxDuration=1s", "'maxDuration' should be greater than 'minDuration'"),
        ("/api/traces?service=a&limit=many", "unable to parse param 'limit'"),
        ("/api/traces?service=a&start=yesterday", "unable to parse param 'start'"),
        ("/api/traces?service=a&tags=x", "malformed 'tags' parameter"),
        ("/api/traces?service=a&tags=%5B1%5D", "malformed 'tags' parameter"),
        ("/api/traces?service=a&tag=x", "malformed 'tag' parameter, expecting key:value, received: x"),
        ("/api/traces/xyz", "error parsing trace ID"),
        ("/api/dependencies", "unable to parse 'endTs'"),
        ("/api/dependencies?endTs=1&lookback=x", "unable to parse 'lookback'"),
    ],
)
def test_what_cannot_be_read_is_jaegers_400(client, address, message):
    response = client.get(address)

    assert response.status_code == 400
    assert response.get_json()["data"] is None
    assert response.get_json()["errors"][0]["code"] == 400
    assert message in response.get_json()["errors"][0]["msg"]


def test_an_unknown_address_of_the_api_answers_in_its_shape(client):
    assert client.get("/api/v9/nothing").get_json()["errors"][0]["code"] == 404


def test_durations_are_gos():
    read = [parse_go_duration_ns("x", text) for text in ("", "100ms", "1.5s", "1h2m3s", "250us", "3µs", ".5s", "7ns")]

    assert read == [0, 10**8, 1_500_000_000, 3_723 * 10**9, 250_000, 3_000, 5 * 10**8, 7]


def test_a_search_without_a_range_looks_two_days_back_and_a_lookback_is_obeyed():
    plain = read_search({"service": "a"}, [], NOW_NS).query.window
    hour = read_search({"service": "a", "lookback": "1h"}, [], NOW_NS).query.window

    assert plain == Window(NOW_NS - 2 * 86_400 * 10**9, NOW_NS)
    assert hour == Window(NOW_NS - 3_600 * 10**9, NOW_NS)


def test_the_limit_is_100_unless_said_and_bounded():
    assert read_search({"service": "a"}, [], NOW_NS).query.limit == 100
    assert read_search({"service": "a", "limit": "999999"}, [], NOW_NS).query.limit == 1_500


def test_dependencies_look_a_day_back_unless_said():
    assert read_dependency_window({"endTs": "86400000"}) == Window(0, 86_400 * 10**9)


def test_ids_are_padded_and_checked():
    assert read_jaeger_id("ABC") == "0" * 29 + "abc"
    with pytest.raises(BadAddress):
        read_jaeger_id("1" * 33)
