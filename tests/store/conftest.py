"""One contract, two engines: inside this process, and behind ClickHouse's HTTP interface."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from collector.store.engine import Store, open_store
from collector.store.schema import Retention

FOR_EVER = Retention(0, 0, 0)
"""Without a TTL a store opens a third faster, and there are hundreds of them."""

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
def serving(directory: Path, port: int = 0) -> Iterator[tuple[int, "subprocess.Popen[bytes]"]]:
    """The port of a ClickHouse HTTP interface, and its process."""
    command = [sys.executable, "-m", "tests.store.clickhouse_http", str(directory), str(port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        yield int(server.stdout.readline()), server
        server.communicate()


@pytest.fixture(scope="session")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a ClickHouse HTTP interface in a process of its own."""
    with serving(tmp_path_factory.mktemp("clickhouse")) as (port, _):
        yield port


@pytest.fixture(params=["embedded", "served"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """An empty store on each engine."""
    dsn = "chdb://"
    if request.param == "served":
        dsn = f"clickhouse://127.0.0.1:{request.getfixturevalue('clickhouse')}/contract_{next(_databases)}"
    place = Place(dsn, tmp_path)
    yield place
    place.close()


@pytest.fixture
def store(place: Place) -> Store:
    """An open, empty store on each engine."""
    return place.open()
