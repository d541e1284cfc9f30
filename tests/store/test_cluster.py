"""The tables spread over a cluster: what the statements are, and that everything works on Distributed tables.

The cluster has one shard, a real one: `clickhouse_http` says what it leaves out.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.core.shares import ALL
from collector.store.address import InvalidStoreAddress, parse_address
from collector.store.archive import export_store
from collector.store.ceiling import Ceiling
from collector.store.cluster import SHARDING_KEYS, clustered
from collector.store.ddl import ddl
from collector.store.derived import Derived
from collector.store.engine import NotOnCluster, Store, open_store
from collector.store.inventory import compact, take_inventory
from collector.store.journal import Journal
from collector.store.keeping import PINNED_UNTIL_S, Choice, Keeping
from collector.store.pins import Pins
from collector.store.reader import Reader
from collector.store.schema import DEFAULT_RETENTION
from collector.store.turns import Turns, open_turns
from collector.store.values import TraceQuery, Window
from tests.store.conftest import serving
from tests.store.learned import EdgeSteps, LearnedTrace, learned
from tests.store.spans import MINUTE_NS, NOON, Span
from tests.store.test_derived import NOW, commit

CALL: EdgeSteps = (("shop", "POST /checkout"), ("pay", "POST /pay"))
HOUR = Window(NOON - 3_600 * 10**9, NOON + 3_600 * 10**9)
ONE = f"{1:032x}"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("cluster") / "engine", cluster="main") as (port, _):
        yield f"clickhouse://127.0.0.1:{port}/cpdd?cluster=main"


@pytest.fixture(scope="module")
def store(place: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store with two traces of one journey, analyzed."""
    with open_store(place, tmp_path_factory.mktemp("collector")) as store:
        commit(store, [Span(trace, number, start=NOON + number) for trace in (1, 2) for number in (1, 2)])
        derived = Derived(store)
        derived.write(learned([LearnedTrace(number, edges={CALL: {"Calls": 1}}) for number in (1, 2)], NOW))
        derived.recompute_minutes([NOON // MINUTE_NS])
        yield store


def test_the_large_tables_are_distributed_and_hold_their_rows_in_local_ones(store: Store) -> None:
    with store.client() as client:
        rows = client.query("SELECT name, engine FROM system.tables WHERE database = 'cpdd'").result_rows
    engines = {str(name): str(engine) for name, engine in rows}

    assert {name for name, engine in engines.items() if engine == "Distributed"} == set(SHARDING_KEYS)
    assert {f"{name}_local" for name in SHARDING_KEYS} <= set(engines)


def test_opening_it_again_changes_nothing(store: Store, place: str, tmp_path: Path) -> None:
    with open_store(place, tmp_path) as again:
        assert len(Derived(again).read_arrivals({})) == 4


def test_pages_read_what_was_analyzed(store: Store) -> None:
    reader = Reader(store)

    (journey,) = reader.journeys(HOUR)
    detail = reader.journey(journey.journey, HOUR)
    trace = reader.trace(ONE)
    shown = reader.stored(ONE)
    found = reader.find(TraceQuery(HOUR))

    assert journey.traces == 2
    assert detail is not None
    assert [edge.calls for edge in detail.edges] == [2]
    assert trace is not None
    assert shown is not None
    assert shown.outcome is not None
    assert len(trace.batch) == len(shown.spans.batch) == 2
    assert {one.trace_id for one in found} == {ONE, f"{2:032x}"}
    assert reader.info().bytes_on_disk > 0


def test_the_analyzer_reads_shares_and_traces(store: Store) -> None:
    derived = Derived(store)

    low, high = (derived.read_arrivals({}, shares=frozenset(half)) for half in (range(1, 9), range(9, 17)))

    assert len(low) + len(high) == 4
    assert len(derived.read_trace_arrivals([ONE])) == 2
    assert [key.trace_id for key in derived.trace_keys([ONE])] == [ONE]


def test_interesting_traces_are_copied_and_let_go(store: Store) -> None:
    keeping, pins = Keeping(store), Pins(store)
    chosen = keeping.interesting(NOW - 1, NOW)
    keeping.keep([Choice(chosen[0].trace_id, "slow", NOW)], PINNED_UNTIL_S - 86_400 * 365)
    pins.pin(ONE, "somebody")

    pinned = keeping.keep_pinned()
    pins.release(ONE)

    assert chosen
    assert pinned == 1
    assert keeping.keep_pinned() == 0


def test_arrivals_that_were_analyzed_are_dropped_on_every_server(store: Store, place: str) -> None:
    derived = Derived(store, lambda: NOW + 48 * 3_600 * 10**9)
    commit(store, [Span(3, 1)], now_ns=NOON - 24 * 3_600 * 10**9)
    everything = derived.read_arrivals({})

    dropped = derived.forget_arrivals(everything.last(), kept_s=10**6)
    nothing = Derived(store, lambda: NOON).forget_arrivals({}, kept_s=0)

    assert dropped == [] or all(isinstance(hour, int) for hour in dropped)
    assert nothing == []


def test_the_line_and_the_journal_are_there(store: Store) -> None:
    turns, journal = open_turns(store), Journal(store, "one")
    assert isinstance(turns, Turns)
    for _ in range(2):
        turns.beat()
    journal.announce([NOON // MINUTE_NS], NOW)

    assert (turns.mine, turns.shares) == (True, ALL)
    assert len(journal.outstanding()) == 1


def test_it_can_be_looked_into_and_compacted(store: Store) -> None:
    before = take_inventory(store)

    compact(store)

    assert {table.name: table.rows for table in before.tables}["otel_traces_local"] >= 4
    assert take_inventory(store).bytes > 0


def test_what_one_server_does_alone_is_refused(store: Store, tmp_path: Path) -> None:
    with pytest.raises(NotOnCluster, match="a disk ceiling"):
        Ceiling(store, 1 << 30)
    with pytest.raises(NotOnCluster, match=r"export and import[\s\S]*BACKUP"):
        export_store(store, tmp_path / "archive")


def test_the_address_names_the_cluster(tmp_path: Path) -> None:
    address = parse_address("clickhouse://me:pw@host:8123/traces?cluster=main&compress=lz4", tmp_path)

    assert (address.cluster, address.server) == ("main", "clickhouse://me:pw@host:8123?compress=lz4")


@pytest.mark.parametrize("name", ["", "a b", "x'y", "1st"])
def test_a_cluster_without_a_proper_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidStoreAddress, match="no name of a cluster"):
        parse_address(f"clickhouse://host/cpdd?cluster={name}", tmp_path)


def test_a_statement_that_says_nothing_of_a_cluster_is_refused() -> None:
    with pytest.raises(ValueError, match="no statement for a cluster"):
        clustered("DROP TABLE otel_traces", "main", "cpdd")


def test_rows_of_a_trace_lie_on_one_shard_and_a_replica_has_its_own_path() -> None:
    statements = ddl("cpdd", DEFAULT_RETENTION, "main")

    (spans,) = [text for text in statements if text.startswith("CREATE TABLE IF NOT EXISTS otel_traces_local ")]
    (pins,) = [text for text in statements if text.startswith("CREATE TABLE IF NOT EXISTS pins ")]
    assert "ReplicatedMergeTree('/clickhouse/tables/{shard}/cpdd/otel_traces', '{replica}')" in spans
    assert "ReplicatedReplacingMergeTree('/clickhouse/tables/all/cpdd/pins', '{shard}-{replica}', Version)" in pins
    assert all(" ON CLUSTER 'main' " in text + " " for text in statements)


def test_the_engine_can_read_every_statement(store: Store) -> None:
    with store.client() as client:
        for statement in ddl("cpdd", DEFAULT_RETENTION, "main"):
            client.command(f"EXPLAIN AST {statement}")


ACCEPT = """
import os, sys, chdb
connection = chdb.connect(sys.argv[1])
for statement in sys.stdin.read().split(";"):
    if statement.startswith("CREATE"):
        connection.query(statement.replace(" ON CLUSTER 'main'", ""))
        connection.query("USE cpdd")
print(connection.query("SELECT count() FROM system.replicas", "TabSeparated"), flush=True)
os._exit(0)
"""
CONFIG = """<clickhouse>
<zookeeper><implementation>testkeeper</implementation></zookeeper>
<remote_servers><main><shard><replica><host>127.0.0.1</host><port>9000</port></replica></shard></main></remote_servers>
<tcp_port>9000</tcp_port><macros><shard>1</shard><replica>a</replica></macros>
<interserver_http_host>127.0.0.1</interserver_http_host><interserver_http_port>9009</interserver_http_port>
</clickhouse>"""


@pytest.mark.slow
def test_the_engine_makes_every_replicated_table(tmp_path: Path) -> None:
    """With the engine's own stand-in for Keeper, which keeps tables read-only."""
    (tmp_path / "config.xml").write_text(CONFIG)
    statements = ddl("cpdd", DEFAULT_RETENTION, "main")

    made = subprocess.run(
        [sys.executable, "-c", ACCEPT, f"{tmp_path}/engine?config-file={tmp_path}/config.xml"],
        input=";".join(statements),
        capture_output=True,
        text=True,
        timeout=300,
        env=dict(os.environ),
        check=False,
    )

    assert made.returncode == 0, made.stderr
    assert int(made.stdout) == sum("ENGINE = Replicated" in text for text in statements)
