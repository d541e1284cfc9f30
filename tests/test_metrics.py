"""The metrics page: text that Prometheus reads, names that begin with ours."""

from concurrent.futures import ThreadPoolExecutor
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from collector.listen import Endpoint, bind, port_of
from collector.loop import LoopThread
from collector.metrics import Metrics, MetricsPage
from collector.receive.answers import Rejected
from collector.receive.limits import Limits
from collector.receive.protocol import uvicorn_config
from tests.receive.loopback import HOST


@pytest.fixture
def metrics():
    return Metrics("1.2.3")


@pytest.fixture
def page(metrics: Metrics):
    thread = LoopThread()
    thread.start()
    listener = bind(Endpoint("metrics", "metrics"), HOST, 0)
    url = f"http://{HOST}:{port_of(listener)}"
    server = thread.serve(uvicorn_config(MetricsPage(metrics), Limits(), drain_s=5), listener)
    yield url
    server.stop()
    thread.stop()


def samples(url: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    with urlopen(f"{url}/metrics", timeout=60) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def test_the_page_is_text_that_prometheus_parses(metrics: Metrics, page: str):
    receiver = metrics.receiver("otlp_http")
    receiver.accepted(512, Rejected(3, "3 spans rejected", (("span_id", 2), ("utf8", 1))))
    receiver.refused("malformed")
    receiver.answered(0.12)

    found = samples(page)

    here = ("receiver", "otlp_http")
    assert found["cpdd_build_info", (("version", "1.2.3"),)] == 1
    assert found["cpdd_receiver_accepted_spans_total", (here,)] == 512
    assert found["cpdd_receiver_rejected_spans_total", (("reason", "span_id"), here)] == 2
    assert found["cpdd_receiver_requests_total", (("answer", "malformed"), here)] == 1
    assert found["cpdd_receiver_answer_seconds_bucket", (("le", "0.15"), here)] == 1
    assert all(name.startswith(("cpdd_", "process_")) for name, _ in found)


def test_what_is_kept_elsewhere_is_read_when_somebody_asks(metrics: Metrics, page: str):
    state = {"lag": 1.5, "commits": 4.0}
    metrics.gauge("cpdd_analyzer_lag_seconds", "Age of the oldest span that is not analyzed", lambda: state["lag"])
    metrics.counter("cpdd_commits", "Groups that were committed", lambda: state["commits"])
    before = samples(page)
    state.update(lag=9.0, commits=5.0)

    after = samples(page)

    assert (before["cpdd_analyzer_lag_seconds", ()], after["cpdd_analyzer_lag_seconds", ()]) == (1.5, 9.0)
    assert (before["cpdd_commits_total", ()], after["cpdd_commits_total", ()]) == (4.0, 5.0)


def test_other_parts_add_families_of_their_own(metrics: Metrics, page: str):
    class ServiceGraph(Collector):
        def collect(self):
            family = HistogramMetricFamily(
                "traces_service_graph_request_server_seconds", "Duration of calls", labels=["client", "server"]
            )
            family.add_metric(["shop", 'pay"ment\n'], buckets=[("0.1", 2), ("+Inf", 3)], sum_value=1.25)
            yield family

    metrics.add(ServiceGraph())

    found = samples(page)

    labels = (("client", "shop"), ("le", "0.1"), ("server", 'pay"ment\n'))
    assert found["traces_service_graph_request_server_seconds_bucket", labels] == 2
    own = [family.name for family in metrics.registry.collect()]
    assert "cpdd_receiver_requests" in own
    assert "traces_service_graph_request_server_seconds" not in own  # the system's page would wait for all of them


def test_the_cost_of_the_process_is_there(page: str):
    found = samples(page)

    assert found["process_resident_memory_bytes", ()] > 1_000_000
    assert ("process_cpu_seconds_total", ()) in found


def test_a_scraper_that_asks_for_openmetrics_gets_it(page: str):
    request = Request(f"{page}/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})

    with urlopen(request, timeout=60) as answer:
        assert answer.headers["content-type"].startswith("application/openmetrics-text")
        assert answer.read().endswith(b"# EOF\n")


def test_other_paths_say_where_the_metrics_are(page: str):
    with pytest.raises(HTTPError, match="404") as refusal:
        urlopen(f"{page}/", timeout=60)

    assert b"/metrics" in refusal.value.read()


def test_many_threads_lose_no_count(metrics: Metrics):
    receiver = metrics.receiver("zipkin")

    with ThreadPoolExecutor(8) as threads:
        for _ in range(2_000):
            threads.submit(receiver.received, 3)

    assert metrics.registry.get_sample_value("cpdd_receiver_bytes_total", {"receiver": "zipkin"}) == 6_000
