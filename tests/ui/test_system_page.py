"""The page of the system, over the metrics that a collector writes."""

from collections.abc import Callable

import pytest
from clickhouse_connect.driver.exceptions import OperationalError

from collector.control.state import state_of
from collector.metrics import Metrics
from collector.receive.answers import Rejected
from collector.system import System, system_of
from cpdd.testing import FakeClock
from tests.control.control_server import control_server
from tests.control.test_api import status
from tests.ui.conftest import SETTINGS
from tests.ui.memory import MemoryReader
from tests.ui.shop import NOW_NS, shop_traces
from tests.ui.test_pages import page, twin
from ui.app import create_app
from ui.views.sampling import ReadSampling

HOSTILE = "<script>alert(1)</script>"
FACTS = {
    "version": "0.1.0",
    "pid": 7,
    "uptime_s": 100.0,
    "store": "/data/store",
    "addresses": {"otlp_http": "http://x:1"},
}


def metrics_of(lag_s: float = 0.0, clock: Callable[[], float] = lambda: 0.0) -> Metrics:
    metrics = Metrics("0.1.0", clock)
    receiver = metrics.receiver("otlp_http")
    receiver.received(5_000)
    receiver.accepted(990, Rejected(10, "", (("bad id", 7), (HOSTILE, 3))))
    receiver.refused("overloaded")
    metrics.gauge("cpdd_analyzer_lag_seconds", "lag", lambda: lag_s)
    metrics.gauge("cpdd_commit_queue_bytes", "queue", lambda: 2_000.0)
    metrics.gauge("cpdd_commit_queue_batches", "queue", lambda: 1.0)
    return metrics


def client_of(lag_s: float = 0.0, problems: tuple[str, ...] = (), read_sampling: ReadSampling = lambda: None):
    metrics = metrics_of(lag_s)

    def read() -> System:
        return system_of(FACTS, "ready", problems, metrics.registry)

    reader = MemoryReader(shop_traces(5))
    return create_app(reader, SETTINGS, lambda: NOW_NS, read_sampling, read_system=read).test_client()


def test_the_page_says_what_came_in_what_was_refused_and_why():
    said, value = page(client_of(), "/system"), twin(client_of(), "/system")

    assert value["answer"].replace("\xa0", " ") == (
        "990 spans taken in 1 min 40 s, 10 rejected, 1 request refused, analysis is up to date."
    )
    (row,) = value["receivers"]
    assert row["rejected"] == [["bad id", 7.0], [HOSTILE, 3.0]]
    assert row["refused"] == [["overloaded", 1.0]]
    assert "2 kB in 1 request" in said.text.replace("\xa0", " ")
    assert not [tag for tag, of in said.elements if tag == "script" and "src" not in of]


@pytest.mark.parametrize(
    ("lag_s", "problems", "answer"),
    [
        (30.0, (), "analysis 30 s behind."),
        (0.0, ("nothing could be stored for 31 s: disk full",), "Nothing could be stored for 31 s: disk full."),
    ],
)
def test_what_is_wrong_is_in_the_first_sentence(lag_s, problems, answer):
    value = twin(client_of(lag_s, problems), "/system")

    assert value["answer"].replace("\xa0", " ").endswith(answer)


@pytest.mark.parametrize(
    ("passed_s", "lately", "answer"),
    [
        (0.0, "16.5/s", "990 spans taken in 1 min 40 s, 10 rejected"),
        (59.0, "16.5/s", "990 spans taken in 1 min 40 s, 10 rejected"),
        (720.0, "none for 12 min", "990 spans taken in 1 min 40 s, none for 12 min, 10 rejected"),
    ],
)
def test_that_nothing_comes_any_more_is_said_whatever_the_mean_says(passed_s, lately, answer):
    at = FakeClock()
    registry = metrics_of(clock=at.now_s).registry
    pages = create_app(
        MemoryReader(), SETTINGS, lambda: NOW_NS, read_system=lambda: system_of(FACTS, "ready", (), registry)
    ).test_client()
    at.advance(s=passed_s)

    value = twin(pages, "/system")

    assert value["answer"].replace("\xa0", " ").startswith(answer)
    assert value["receivers"][0]["lately"].replace("\xa0", " ") == lately


def test_programs_say_what_they_lost_and_who_lost_most_stands_first():
    with control_server() as server:
        server.ask("POST", "/v1/status", status("quiet", spans_sent=500))
        server.ask("POST", "/v1/status", status(HOSTILE, spans_sent=990, spans_lost=10))

        client = client_of(read_sampling=lambda: server.loop.run(state_of(server.service)))
        said, value = page(client, "/system"), twin(client, "/system")

    told = [(c["instance"], c["spans_sent"], c["spans_lost"], c["lost_share"]) for c in value["clients"]["rows"]]
    assert told == [(HOSTILE, 990, 10, 0.01), ("quiet", 500, 0, 0.0)]
    assert "1 program lost 10 of its spans on the way" in value["answer"].replace("\xa0", " ")
    assert HOSTILE in said.text


def test_where_no_program_reports_the_page_says_who_would():
    assert "OTEL_TRACES_SAMPLER=cpdd" in page(client_of(), "/system").text


def test_pages_without_a_collector_say_what_is_stored(client):
    value = twin(client, "/system")

    assert value["answer"].startswith("These pages are served without a collector")
    assert value["storage"][0]["name"] == "spans"


AWAY = OperationalError("HTTPConnectionPool(host='db', port=8123): Max retries ([Errno 111] Connection refused)")


class ReaderWithoutStore(MemoryReader):
    """Every read fails as it does on a server that is away."""

    def __getattribute__(self, name: str):
        if name.startswith("_"):
            return super().__getattribute__(name)

        def read(*parts: object, **named: object) -> None:
            raise AWAY

        return read


@pytest.fixture
def without_store():
    metrics = metrics_of()

    def read() -> System:
        return system_of(FACTS, "ready", (), metrics.registry)

    def read_sampling() -> None:
        raise AWAY

    reader = ReaderWithoutStore([])
    return create_app(reader, SETTINGS, lambda: NOW_NS, read_sampling, read_system=read).test_client()


def test_while_the_store_is_away_the_page_still_says_how_the_collector_fares(without_store):
    said, value = page(without_store, "/system"), twin(without_store, "/system")

    assert value["answer"] == "The store cannot be read: [Errno 111] Connection refused."
    assert value["stored"] is None
    assert value["receivers"][0]["spans"] == 990
    assert "not known" in said.text


def test_while_the_store_is_away_other_pages_say_so_and_write_no_traceback(without_store, caplog):
    shown, twin_of = without_store.get("/"), without_store.get("/.json")
    jaeger = without_store.get("/api/services")

    assert {answer.status_code for answer in (shown, twin_of, jaeger)} == {503}
    assert "The store cannot be read: [Errno 111] Connection refused." in shown.text
    assert 'href="/system"' in shown.text
    assert twin_of.json["error"]["problem"] == "the store cannot be read: [Errno 111] Connection refused"
    assert not caplog.records
