"""How much of the path lies on the way of a call: what its caller waits for, and its callee does not do."""

from dataclasses import replace

import pytest

from collector.store.values import CallPath, Edge, Node
from tests.ui.conftest import client_of
from tests.ui.memory import MemoryReader
from tests.ui.page_text import ReadPage
from tests.ui.shop import NOW_NS, Recorder
from tests.ui.test_requirement import EDGE
from tests.ui.test_slower import MINUTE_NS
from ui.views.way_share import way_shares

SHOP, CART = Node("shop", "POST /buy", "server"), Node("cart", "GET /cart", "server")
TO_CART = replace(EDGE, caller=SHOP, callee=CART)
PATHS = (
    CallPath(1, 0, "shop", "POST /buy", "server", 10.0, 1.0),
    CallPath(2, 1, "shop", "GET cart", "unspecified", 70.0, 1.0),
    CallPath(3, 2, "cart", "GET /cart", "server", 20.0, 1.0),
)


def test_the_own_time_of_a_span_that_does_nothing_but_call_is_the_call_s():
    assert way_shares([TO_CART], PATHS) == {TO_CART.id: pytest.approx(0.7)}


def test_the_edge_has_the_time_of_a_span_that_says_it_is_a_client():
    assert way_shares([TO_CART], (PATHS[0], replace(PATHS[1], kind="client"), PATHS[2])) == {}


def test_a_callee_without_spans_has_no_way_of_its_own():
    bare: Edge = replace(TO_CART, callee=Node("", "sqlite", "database"))

    assert way_shares([bare], PATHS[:2]) == {}


def test_the_nearest_caller_above_has_the_way():
    mark = replace(TO_CART, id=2, caller=Node("shop", "charge", "internal"))
    marked = (PATHS[0], CallPath(4, 1, "shop", "charge", "internal", 0.0, 1.0), replace(PATHS[1], parent=4), PATHS[2])

    assert way_shares([TO_CART, mark], marked) == {mark.id: pytest.approx(0.7)}


def test_a_call_that_is_slow_on_its_way_is_on_the_path_of_the_picture():
    recorder = Recorder(trace=1, start_ns=NOW_NS - MINUTE_NS)
    root = recorder.span("shop", "POST /buy", 0, 100, 0, kind=2, journey="buy")
    client = recorder.span("shop", "GET cart", 10, 90, root, kind=1)
    recorder.span("cart", "GET /cart", 49.9, 50.1, client, kind=1)
    pages = client_of(MemoryReader([recorder.finish()]))

    row = pages.get("/journeys/buy.json").json["edges"][0]
    page = ReadPage(pages.get("/journeys/buy").text)

    assert row["edge"]["critical_share"] == pytest.approx(0.002)
    assert row["way_share"] == pytest.approx(0.798)
    assert len(page.with_class("path-share")) == 1
    assert "cart GET /cart: 80 % of the path in it, 79.8 % on the way to it; 1 calls" in page.text
