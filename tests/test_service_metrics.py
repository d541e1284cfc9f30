"""Service graph and requirements as Prometheus reads them."""

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from collector.core.analysis import analyze_traces
from collector.core.service_graph import ServiceGraph
from collector.service_metrics import EdgeRequirementMetrics, ServiceGraphMetrics, edge_requirements
from tests.core.drawing import read_trace
from tests.core.findings.looks import edge, journey


def samples(*collectors) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    registry = CollectorRegistry(auto_describe=True)
    for collector in collectors:
        registry.register(collector)
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def test_the_service_graph_has_the_names_and_labels_that_grafana_reads():
    batch = read_trace(
        "shop/buy 0-1s server; shop/POST 0-300ms client error in shop/buy; pay/x 50-200ms server in shop/POST"
    )
    graph = ServiceGraph()
    graph.add(analyze_traces(batch, ("",) * 3, 1, 0).service_calls, np.ones(1))

    found = samples(ServiceGraphMetrics(graph))

    pair = (("client", "shop"), ("connection_type", ""), ("server", "pay"))
    assert found["traces_service_graph_request_total", pair] == 1
    assert found["traces_service_graph_request_failed_total", pair] == 1
    assert found["traces_service_graph_request_client_seconds_sum", pair] == 0.3
    assert found["traces_service_graph_request_server_seconds_count", pair] == 1
    below = (("client", "shop"), ("connection_type", ""), ("le", "0.2"), ("server", "pay"))
    assert found["traces_service_graph_request_server_seconds_bucket", below] == 1
    assert found["traces_service_graph_request_client_seconds_bucket", below] == 0


def test_two_services_have_one_requirement_in_a_journey_the_strongest_of_their_edges():
    buy = journey(
        edge("shop/buy", "pay/a", "optional"),
        edge("shop/buy", "pay/b", "mandatory"),
        edge("shop/buy", "shop/inside", "mandatory"),
        name="buy",
    )

    found = samples(EdgeRequirementMetrics(lambda: [buy]))

    assert found == {
        (
            "cpdd_edge_requirement",
            (("client", "shop"), ("journey", "buy"), ("requirement", "mandatory"), ("server", "pay")),
        ): 1
    }


@pytest.mark.parametrize(
    "words", [("optional", "undetermined"), ("undetermined", "optional"), ("optional", "optional")]
)
def test_of_two_calls_the_one_that_may_be_needed_is_told_as_on_the_page_of_the_service(words: tuple[str, str]):
    calls = [edge("shop/buy", f"pay/{number}", word) for number, word in enumerate(words)]

    (told,) = edge_requirements([journey(*calls, name="buy")])

    assert told == ("shop", "pay", "buy", "undetermined" if "undetermined" in words else "optional")
