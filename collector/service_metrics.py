"""The service graph and the requirement of edges as Prometheus metrics, under the names that others read.

Grafana's service map reads `traces_service_graph_*`, as Tempo writes them; `cpdd_edge_requirement` is ours. Made when
somebody asks, from what analyzer and judge keep.
"""

from collections.abc import Callable, Iterable, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from collector.core.findings.model import JourneySeen
from collector.core.mandatory import through_marks
from collector.core.requirement import BY_NEED
from collector.core.service_graph import SECONDS, ServiceGraph

LABELS = ("client", "server", "connection_type")
MAX_EDGES = 5_000
"""Edges with a metric of their own, busiest first."""
_PREFIX = "traces_service_graph_request"


class ServiceGraphMetrics(Collector):
    """Requests, failures and durations by client and server, since the process started."""

    def __init__(self, graph: ServiceGraph) -> None:
        self._graph = graph

    def collect(self) -> Iterable[Metric]:
        total, failed, client, server = _families()
        for labels, pair in self._graph.pairs():
            total.add_metric(labels, pair.requests)
            failed.add_metric(labels, pair.failed)
            client.add_metric(labels, _buckets(pair.client_buckets.tolist()), pair.client_s)
            server.add_metric(labels, _buckets(pair.server_buckets.tolist()), pair.server_s)
        yield from (total, failed, client, server)

    def describe(self) -> Iterable[Metric]:
        yield from _families()


class EdgeRequirementMetrics(Collector):
    """1 for each edge of a journey, between services, with what is known of its requirement."""

    def __init__(self, journeys: Callable[[], Sequence[JourneySeen]]) -> None:
        self._journeys = journeys

    def collect(self) -> Iterable[Metric]:
        family = _requirements()
        for labels in edge_requirements(self._journeys()):
            family.add_metric(labels, 1)
        yield family

    def describe(self) -> Iterable[Metric]:
        yield _requirements()


def edge_requirements(journeys: Sequence[JourneySeen]) -> list[tuple[str, str, str, str]]:
    """Return (client, server, journey, requirement), once for each pair of services: as their pages say, `BY_NEED`."""
    found: dict[tuple[str, str, str], tuple[str, float]] = {}
    for journey in journeys:
        for edge, requirement in zip(journey.edges, through_marks([edge.step for edge in journey.edges]), strict=True):
            client, server = edge.caller[0], edge.callee[0]
            if not client or not server or client == server:
                continue
            key = (client, server, journey.name)
            word, calls = found.get(key, (BY_NEED[-1], 0.0))
            found[key] = (min(word, requirement, key=BY_NEED.index), calls + edge.calls)
    busiest = sorted(found.items(), key=lambda item: (-item[1][1], item[0]))[:MAX_EDGES]
    return [(*key, word) for key, (word, _) in busiest]


def _families() -> tuple[CounterMetricFamily, CounterMetricFamily, HistogramMetricFamily, HistogramMetricFamily]:
    return (
        CounterMetricFamily(_PREFIX, "Calls between two services", labels=LABELS),
        CounterMetricFamily(f"{_PREFIX}_failed", "Calls that failed, retries folded", labels=LABELS),
        HistogramMetricFamily(f"{_PREFIX}_client_seconds", "Duration as the client saw it", labels=LABELS),
        HistogramMetricFamily(f"{_PREFIX}_server_seconds", "Duration as the server saw it", labels=LABELS),
    )


def _requirements() -> GaugeMetricFamily:
    return GaugeMetricFamily(
        "cpdd_edge_requirement",
        "1; the labels say whether the client needs the server in a journey",
        labels=("client", "server", "journey", "requirement"),
    )


def _buckets(counts: list[float]) -> list[tuple[str, float]]:
    """Upper bounds with the calls at or below them, as Prometheus wants."""
    total = 0.0
    found = []
    for bound, count in zip((*map(str, SECONDS), "+Inf"), counts, strict=True):
        total += count
        found.append((bound, total))
    return found
