"""Calls between services, counted for Grafana's service map."""

import numpy as np

from collector.core import service_graph
from collector.core.analysis import analyze_traces
from collector.core.service_graph import SECONDS, ServiceGraph
from tests.core.drawing import read_trace

TRACES = """
    shop/buy 0-1000ms server
    shop/POST 0-300ms client in shop/buy
    pay/charge 50-200ms server in shop/POST
    pay/SQL 60-70ms client error in pay/charge db_system=mysql
    shop/GET 400-450ms client error in shop/buy calls bank
    shop/send 500-510ms producer in shop/buy messaging_system=kafka messaging_destination=orders
    mail/process 600-650ms consumer in shop/send messaging_system=kafka messaging_destination=orders
    shop/work 700-800ms in shop/buy
"""


def counted(weight: float = 1.0, counted_before: tuple[int, ...] = ()) -> dict:
    learned = analyze_traces(batch := read_trace(TRACES), ("",) * len(batch), 1, 0)
    graph = ServiceGraph()
    graph.add(learned.service_calls, np.array([weight]), counted_before)
    return dict(graph.pairs())


def test_calls_that_leave_a_service_are_counted_by_pair_and_kind():
    pairs = counted()

    assert {labels: (pair.requests, pair.failed) for labels, pair in pairs.items()} == {
        ("shop", "pay", ""): (1.0, 0.0),
        ("pay", "mysql", "database"): (1.0, 1.0),
        ("shop", "bank", "virtual_node"): (1.0, 1.0),
        ("kafka", "mail", "messaging_system"): (1.0, 0.0),
    }


def test_client_and_server_see_their_own_durations():
    pair = counted()["shop", "pay", ""]

    assert (pair.client_s, pair.server_s) == (0.3, 0.15)
    assert pair.client_buckets.tolist()[SECONDS.index(0.4)] == 1.0
    assert pair.server_buckets.tolist()[SECONDS.index(0.2)] == 1.0


def test_a_callee_without_spans_has_no_duration_of_its_own():
    pair = counted()["shop", "bank", "virtual_node"]

    assert (pair.client_s, pair.server_buckets.sum()) == (0.05, 0.0)


def test_a_sampled_trace_counts_as_often_as_it_stands_for():
    pair = counted(weight=10.0)["shop", "pay", ""]

    assert (pair.requests, pair.client_s, pair.client_buckets.sum()) == (10.0, 3.0, 10.0)


def test_traces_that_were_counted_are_left_out():
    assert counted(counted_before=(0,)) == {}


def test_pairs_beyond_the_limit_are_counted_together(monkeypatch):
    monkeypatch.setattr(service_graph, "MAX_PAIRS", 1)

    pairs = counted()

    assert len(pairs) == 2
    assert pairs["other", "other", ""].requests == 3.0
