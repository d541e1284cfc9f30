"""Spans that the OpenTelemetry Collector's exporter writes are taken over once, however late and however often read."""

from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client

from collector.follow import FIRST_LOOK_NS, Follower
from collector.receive.intake import Intake
from collector.store.address import InvalidStoreAddress
from collector.store.engine import Store, open_store
from collector.store.exporter_table import ExporterTable, NotExporterTable
from collector.store.reader import Reader
from collector.store.writer import Committer
from cpdd.settings import Settings
from cpdd.testing import FakeClock
from tests.store.conftest import serving

SECOND_NS = 10**9
EXPORTER = """
CREATE TABLE {name} (
    Timestamp DateTime64(9), TraceId String, SpanId String, ParentSpanId String, TraceState String,
    SpanName LowCardinality(String), SpanKind LowCardinality(String), ServiceName LowCardinality(String),
    ResourceAttributes {map}, ScopeName String, ScopeVersion String, SpanAttributes {map}, Duration UInt64,
    StatusCode LowCardinality(String), StatusMessage String,
    Events Nested (Timestamp DateTime64(9), Name LowCardinality(String), Attributes {map}),
    Links Nested (TraceId String, SpanId String, TraceState String, Attributes {map})
) ENGINE = MergeTree PARTITION BY toDate(Timestamp) ORDER BY (ServiceName, SpanName, toDateTime(Timestamp))
"""
MAP = "Map(LowCardinality(String), String)"


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with serving(tmp_path_factory.mktemp("clickhouse") / "engine") as (port, _):
        yield port


@pytest.fixture
def exporter(port: int) -> Iterator[Client]:
    """The database of the exporter, with its table, empty."""
    client = clickhouse_connect.get_client(host="127.0.0.1", port=port, compress=False)
    client.command("CREATE DATABASE IF NOT EXISTS otel")
    client.command("DROP TABLE IF EXISTS otel.otel_traces")
    client.command(EXPORTER.format(name="otel.otel_traces", map=MAP))
    yield client
    client.close()


class Following:
    """A store and a follower; clocks moved by hand."""

    def __init__(self, folder: Path, port: int, clock: FakeClock) -> None:
        self.store: Store = open_store("chdb://", folder)
        self.committer = Committer(self.store, linger_ms=0)
        settings = Settings(follow=f"clickhouse://127.0.0.1:{port}/otel")
        self.steady = FakeClock()
        intake = Intake(self.committer.submit, 1 << 26, now_ns=clock.now_ns)
        self.follower = Follower(self.store, intake, settings, clock.now_ns, self.steady.now_s)
        self.clock = clock

    def look(self, after_s: float = 0.0) -> None:
        """Let time pass, then look until nothing is behind."""
        self.clock.advance(s=after_s)
        self.steady.advance(s=after_s)
        while self.follower.run_once():
            pass

    def rows(self) -> list[tuple[str, str]]:
        """Trace and span id of every row that is stored, copies included."""
        with self.store.client() as client:
            return sorted(
                (str(a), str(b)) for a, b in client.query("SELECT TraceId, SpanId FROM otel_traces").result_rows
            )

    def end(self) -> None:
        self.follower.stop()
        self.committer.close()
        self.store.close()


@pytest.fixture
def following(exporter: Client, port: int, tmp_path: Path, clock: FakeClock) -> Iterator[Following]:
    following = Following(tmp_path, port, clock)
    yield following
    following.end()


def write(
    client: Client, clock: FakeClock, span_id: int, began_s_ago: float = 1.0, **others: object
) -> tuple[str, str]:
    """Write a span as the exporter does; return its ids."""
    row = {
        "Timestamp": clock.now_ns() - int(began_s_ago * SECOND_NS),
        "TraceId": f"{1:032x}",
        "SpanId": f"{span_id:016x}",
        "ParentSpanId": "",
        "SpanName": "GET /",
        "SpanKind": "Server",
        "ServiceName": "shop",
        "ResourceAttributes": {"service.name": "shop", "host.name": "a"},
        "SpanAttributes": {"http.response.status_code": "500"},
        "Duration": 5_000_000,
        "StatusCode": "Error",
        **others,
    }
    client.insert("otel.otel_traces", [list(row.values())], column_names=list(row))
    return f"{1:032x}", f"{span_id:016x}"


def test_a_span_is_taken_over_with_what_the_exporter_keeps(following: Following, exporter: Client) -> None:
    write(exporter, following.clock, 1)

    following.look()

    found = Reader(following.store).trace(f"{1:032x}")
    assert found is not None
    detail = found.detail(0)
    batch = found.batch
    assert (batch.text(int(batch.service[0])), batch.text(int(batch.name[0]))) == ("shop", "GET /")
    assert (int(batch.kind[0]), int(batch.status_code[0]), int(batch.http_status[0])) == (2, 2, 500)
    assert int(batch.end_time_unix_nano[0] - batch.start_time_unix_nano[0]) == 5_000_000
    assert dict(detail.attributes) == {"http.response.status_code": "500"}


def test_every_span_is_taken_over_once_however_often_it_is_read(following: Following, exporter: Client) -> None:
    one = write(exporter, following.clock, 1)
    following.look()
    two = write(exporter, following.clock, 2)
    for _ in range(4):
        following.look(after_s=30)

    assert following.rows() == [one, two]


def test_a_span_that_comes_minutes_after_its_start_is_taken_over(following: Following, exporter: Client) -> None:
    following.look()
    late = write(exporter, following.clock, 1, began_s_ago=600.0)

    following.look(after_s=90)

    assert following.rows() == [late]


def test_a_restart_goes_on_where_the_last_life_was_and_takes_nothing_twice(
    exporter: Client, port: int, tmp_path: Path, clock: FakeClock
) -> None:
    first = Following(tmp_path, port, clock)
    one = write(exporter, clock, 1)
    first.look()
    first.end()
    two = write(exporter, clock, 2, began_s_ago=30.0)
    second = Following(tmp_path, port, clock)

    second.look(after_s=5)
    rows = second.rows()
    second.end()

    assert rows == [one, two]


def test_the_first_look_of_all_goes_back_an_hour(following: Following, exporter: Client) -> None:
    write(exporter, following.clock, 1, began_s_ago=2 * FIRST_LOOK_NS / SECOND_NS)
    there = write(exporter, following.clock, 2, began_s_ago=FIRST_LOOK_NS / SECOND_NS / 2)

    following.look()

    assert following.rows() == [there]


def test_a_clock_that_is_set_back_an_hour_holds_nothing_up(following: Following, exporter: Client) -> None:
    following.look()
    following.clock.set(following.clock.now_ns() - 3_600 * SECOND_NS)
    span = write(exporter, following.clock, 1)

    following.look(after_s=2)
    following.look(after_s=2)

    assert following.rows() == [span]


def test_long_names_of_old_exporters_are_understood(following: Following, exporter: Client) -> None:
    write(exporter, following.clock, 1, SpanKind="SPAN_KIND_CLIENT", StatusCode="STATUS_CODE_ERROR")

    following.look()

    found = Reader(following.store).trace(f"{1:032x}")
    assert found is not None
    assert (int(found.batch.kind[0]), int(found.batch.status_code[0])) == (3, 2)


def test_a_table_of_another_form_is_refused_with_what_it_lacks(exporter: Client, port: int) -> None:
    exporter.command("CREATE OR REPLACE TABLE otel.other (Timestamp DateTime64(9), TraceId String) ENGINE = Memory")

    with pytest.raises(NotExporterTable, match=r"cannot follow .*, table other: it lacks the columns SpanId, "):
        ExporterTable(f"clickhouse://127.0.0.1:{port}/otel?table=other")


def test_attributes_that_are_no_maps_are_refused(exporter: Client, port: int) -> None:
    exporter.command("DROP TABLE IF EXISTS otel.typed")
    exporter.command(EXPORTER.format(name="otel.typed", map="String"))

    with pytest.raises(NotExporterTable, match="are String, Map expected"):
        ExporterTable(f"clickhouse://127.0.0.1:{port}/otel?table=typed")


@pytest.mark.parametrize("dsn", ["chdb://", "clickhouse://host/otel?table=a;b", "http://host/otel"])
def test_what_is_no_table_of_a_server_is_refused(dsn: str) -> None:
    with pytest.raises(InvalidStoreAddress, match="a table of a ClickHouse server is followed"):
        ExporterTable(dsn)


def test_a_start_that_names_no_table_is_refused_at_once(tmp_path: Path) -> None:
    with open_store("chdb://", tmp_path) as store, pytest.raises(InvalidStoreAddress):
        Follower(store, Intake(lambda batch: Future(), 1 << 26), Settings(follow="http://host/otel"))
