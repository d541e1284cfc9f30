"""One contract, two engines: inside this process, and behind ClickHouse's HTTP interface.

To start an engine and make the tables takes a quarter of a second of work, most tests less, and there are hundreds.
So `store` is one that is open already, emptied; a test that closes it, opens it twice, changes a table or fills a
hundred partitions (which take seconds to empty) asks for `own_store` or `place`.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from collector.store.engine import Store, open_store, run
from collector.store.lock import DirectoryLock
from collector.store.schema import Retention

EMBEDDED = "chdb://"
FOR_EVER = Retention(0, 0, 0)
"""Without a TTL a store opens a third faster."""

_databases = count()


class Place:
    """Where a store is; what a test opened there is closed after it."""

    def __init__(self, dsn: str, folder: Path) -> None:
        self.dsn = dsn
        self._folder = folder
        self._opened: list[Store] = []

    def open(self, collector: str = "collector", retention: Retention = FOR_EVER) -> Store:
        """Open the store as the collector with this name."""
        store = open_store(self.dsn, self._folder / collector, retention)
        self._opened.append(store)
        return store

    def close(self) -> None:
        for store in self._opened:
            store.close()


@contextmanager
def serving(directory: Path, port: int = 0, cluster: str = "") -> Iterator[tuple[int, "subprocess.Popen[bytes]"]]:
    """The port of a ClickHouse HTTP interface, and its process; of one that is alone in a cluster, if it is named."""
    command = [sys.executable, "-m", "tests.store.clickhouse_http", str(directory), str(port), *cluster.split()]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        yield int(server.stdout.readline()), server
        server.communicate()


@pytest.fixture(scope="session")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a ClickHouse HTTP interface in a process of its own."""
    with serving(tmp_path_factory.mktemp("clickhouse")) as (port, _):
        yield port


class Engines:
    """The tables of each engine, open from test to test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[str, Store] = {}

    def emptied(self, dsn: str, data_dir: Path) -> Store:
        """Open the tables at `dsn`, without rows, for the collector of `data_dir`."""
        if dsn not in self._open:
            self._open[dsn] = open_store(dsn, self._folder / urlsplit(dsn).scheme, FOR_EVER)
        tables = self._open[dsn]
        with tables.client() as client:
            run(client, f"TRUNCATE ALL TABLES FROM {tables.address.database} NOT LIKE 'schema_version'")
        return Store(tables.address, DirectoryLock(data_dir))

    def close_embedded(self) -> None:
        """Let this process open another directory: the embedded engine knows one at a time."""
        if tables := self._open.pop(EMBEDDED, None):
            tables.close()

    def close(self) -> None:
        while self._open:
            self._open.popitem()[1].close()


@pytest.fixture(params=["embedded", "served"])
def engine(request: pytest.FixtureRequest) -> str:
    """EMBEDDED, or the address of a server."""
    return (
        EMBEDDED if request.param == "embedded" else f"clickhouse://127.0.0.1:{request.getfixturevalue('clickhouse')}"
    )


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    engines = Engines(tmp_path_factory.mktemp("engines"))
    yield engines
    engines.close()


@pytest.fixture(autouse=True)
def one_embedded_engine(request: pytest.FixtureRequest, engines: Engines) -> None:
    """A test that does not ask for `store` may open an embedded engine of its own."""
    if "store" not in request.fixturenames:
        engines.close_embedded()


@pytest.fixture
def store(engine: str, engines: Engines, tmp_path: Path) -> Iterator[Store]:
    """An open, empty store on each engine."""
    with engines.emptied(_dsn(engine, "contract"), tmp_path / "collector") as store:
        yield store


@pytest.fixture
def place(engine: str, tmp_path: Path) -> Iterator[Place]:
    """Where nobody has opened a store yet, on each engine."""
    place = Place(_dsn(engine, f"contract_{next(_databases)}"), tmp_path)
    yield place
    place.close()


@pytest.fixture
def own_store(place: Place) -> Store:
    """An open, empty store on each engine, of tables that may be changed."""
    return place.open()


def _dsn(engine: str, database: str) -> str:
    return EMBEDDED if engine == EMBEDDED else f"{engine}/{database}"
