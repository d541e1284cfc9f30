"""Opens the store: the embedded engine or a ClickHouse server, one dialect, one way in.

    with open_store("chdb://", data_dir) as store, store.client() as client: ...

Clients come from a pool, one caller at a time each: a client serializes its calls, and two clients run side by side
(chDB releases the GIL; two queries on two clients of two cores take the time of one). `close` waits until all are
back, since leaving the interpreter while a thread is inside the engine crashes the process.
"""

import logging
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from json import dumps, loads
from pathlib import Path
from types import TracebackType
from typing import Self

import clickhouse_connect
import pyarrow as pa
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import Error as EngineError

from collector.store import cluster
from collector.store.address import EMBEDDED_FOLDER, Address, parse_address
from collector.store.lock import DirectoryLock, check_free
from collector.store.merge_threads import let_merges_give_way
from collector.store.schema import (
    DEFAULT_RETENTION,
    MIGRATIONS,
    REQUIRED_COLUMNS,
    SCHEMA_VERSION,
    VERSION,
    ForeignTable,
    Retention,
    StoreTooNew,
    ttl_statements,
)
from collector.store.spent import noted
from collector.store.thread_priority import BEHIND, NICE, go_first, may_go_first
from collector.store.trouble import reason
from collector.store.waiting import Waits, reader_reads, readers_lately, who_waits
from cpdd.errors import CpddError

log = logging.getLogger(__name__)

SPOOL_FOLDER = "spool"
"""Blocks on their way into the embedded engine."""
CLOSE_TIMEOUT_S = 60.0

_CLIENT_SETTINGS: dict[str, str] = {
    "async_insert": "0",  # an insert answers for itself: committed when it returns
    "output_format_arrow_compression_method": "none",
    "output_format_arrow_string_as_string": "0",  # bytes: a table that others fill may hold what is no UTF-8
    "do_not_merge_across_partitions_select_final": "1",  # every replaced row has the partition of its successor
    "max_partitions_per_insert_block": "1000",
    "optimize_on_insert": "0",  # no row of a block replaces another; to find that out costs half of an insert
}
_IN_TURN = {
    Waits.NOBODY: {"priority": "2", "low_priority_query_wait_time_ms": "100"},
    Waits.SENDER: {"priority": "1"},
    Waits.READER: {
        "priority": "1",
        "local_filesystem_read_method": "pread",
        "load_marks_asynchronously": "0",
        "use_skip_indexes_on_data_read": "0",
    },
}
"""Of the embedded engine alone: on a server others' queries would hold ours (decision 162). What nobody waits for waits
before each block that it reads, 100 ms at most, until no other query runs. A reader's query reads its files itself:
each thread that it hands them to waits for a core first (decision 167); and it reads skip indexes before the data,
which takes less than to do both at once (decision 168)."""
_NICE = "os_threads_nice_value_query"
ONE_THREAD = "SETTINGS max_threads = 1"
"""Ends a query about little, or one that nobody waits for: what else is asked meanwhile gets the other cores."""
_ABORTED = 236
"""Code of what the embedded engine says after a fatal error."""
_ENGINE_CONFIG = Path(__file__).with_name("engine.xml")


class StoreUnreachable(CpddError):
    """The engine does not answer."""

    def __init__(self, address: Address, reason: str) -> None:
        self.store = address.shown
        self.reason = reason
        hint = (
            "is the server up, and are user and password right?"
            if address.path is None
            else "is the disk full, or was the directory made by a newer engine or copied while it was in use?"
        )
        super().__init__(f"store unreachable: {self.store}: {reason}\nhint: {hint}")


class NotOnCluster(CpddError):
    """Something that one server does, and a cluster of them does not."""

    def __init__(self, store: str, what: str, hint: str) -> None:
        self.store = store
        self.what = what
        super().__init__(f"not on a cluster: {what} of {store}\nhint: {hint}")


class StoreClosed(CpddError):
    """Somebody asked for a client after `close`."""

    def __init__(self, store: str) -> None:
        self.store = store
        super().__init__(f"store closed: {store}")


class Store:
    """An open store: hands out clients, and takes them all back before it closes."""

    def __init__(self, address: Address, lock: DirectoryLock) -> None:
        self.address = address
        self.data_dir = lock.directory
        self._lock = lock
        self._idle: dict[Waits, list[Client]] = {waits: [] for waits in Waits}
        """By who waits for their queries."""
        self._lent = 0
        self._closed = False
        self._returned = threading.Condition()
        _empty(self.data_dir / SPOOL_FOLDER)

    @property
    def embedded(self) -> bool:
        return self.address.path is not None

    @contextmanager
    def client(self) -> Iterator[Client]:
        """Lend a client to the calling thread; its queries go before others or after as the thread does (`waiting`).

        Raises:
            StoreClosed: after `close`.
            StoreUnreachable: a new connection was needed and failed.
        """
        with noted():
            waits = who_waits()
            client = self._take(waits)
            if waits is Waits.READER:
                reader_reads()
            try:
                yield client
            except EngineError as error:
                if self.embedded and error.code == _ABORTED:
                    _end_process(error)
                raise
            finally:
                if waits is Waits.READER:
                    reader_reads()
                with self._returned:
                    self._idle[waits].append(client)
                    self._lent -= 1
                    self._returned.notify_all()

    @property
    def system_parts(self) -> str:
        """What to read instead of `system.parts`: that of every server."""
        name = self.address.cluster
        return f"clusterAllReplicas('{name}', system.parts)" if name else "system.parts"

    def define(self, client: Client, statement: str, parameters: Mapping[str, object] | None = None) -> None:
        """Run a CREATE TABLE or ALTER TABLE, on a cluster for every server."""
        for one in _defining(self.address, statement):
            run(client, one, parameters)

    def catch_up(self, client: Client, *tables: str) -> None:
        """Return when the server asked has what any server of a cluster had of these tables, which are not sharded."""
        if self.address.cluster:
            for table in tables:
                run(client, f"SYSTEM SYNC REPLICA {table} LIGHTWEIGHT")

    def insert(
        self,
        client: Client,
        table: str,
        columns: Sequence[str],
        blocks: Sequence[bytes | memoryview],
        data_format: str,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """Insert `blocks`, which put together are in `data_format`; durable when this returns.

        The embedded engine reads them from a file. It is ours, and not one of the client's in the system's temporary
        folder, so that it is on the disk that is meant for data and a killed process leaves nothing there for ever.
        While somebody reads pages its threads go behind others, since those of a page's query begin among the others
        (decision 167).
        """
        if not self.embedded:
            client.raw_insert(table, columns, b"".join(blocks), settings=dict(settings or {}), fmt=data_format)
            return
        names = ", ".join(f"`{name}`" for name in columns)
        # From behind, too, only who may go first comes back.
        behind = {_NICE: str(BEHIND)} if readers_lately() and may_go_first() else {}
        clause = ", ".join(f"{name} = {value}" for name, value in {**behind, **(settings or {})}.items())
        with self._spooled(blocks) as path:
            client.command(
                f"INSERT INTO {table} ({names}) FROM INFILE {_quoted(str(path))} "
                f"{'SETTINGS ' + clause if clause else ''} FORMAT {data_format}"
            )

    def close(self) -> None:
        """Wait until every client is back, close them, and let the next process in."""
        with self._returned:
            self._closed = True
            if not self._returned.wait_for(lambda: self._lent == 0, CLOSE_TIMEOUT_S):
                log.error("store closed while in use", extra={"clients": self._lent})
            idle = [client for clients in self._idle.values() for client in clients]
            self._idle = {waits: [] for waits in Waits}
        for client in idle:
            client.close()
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _spooled(self, blocks: Sequence[bytes | memoryview]) -> Iterator[Path]:
        path = self.data_dir / SPOOL_FOLDER / str(threading.get_ident())
        with path.open("wb") as file:
            file.writelines(blocks)
        try:
            yield path
        finally:
            path.unlink()

    def _take(self, waits: Waits) -> Client:
        with self._returned:
            if self._closed:
                raise StoreClosed(self.address.shown)
            self._lent += 1
            if self._idle[waits]:
                return self._idle[waits].pop()
        try:
            client = _connect(self.address, self.address.database, _in_turn(waits))
            if self.address.path is not None:
                let_merges_give_way()
                if waits is Waits.READER:
                    _keep_first(client)
            return client
        except BaseException:
            with self._returned:
                self._lent -= 1
                self._returned.notify_all()
            raise


def open_store(dsn: str, data_dir: Path, retention: Retention | None = DEFAULT_RETENTION) -> Store:
    """Open the store, with its tables in place.

    Args:
        dsn: `chdb://` (inside `data_dir`), `chdb:///path`, `clickhouse://host/database` or `clickhouses://…`.
        data_dir: Belongs to this process alone while the store is open, for a server too: it holds the
            collector's identity.
        retention: None leaves it as it is; for a new store that is the default.
    Raises:
        InvalidStoreAddress, StoreInUse, StoreUnreachable, StoreTooNew, ForeignTable
    """
    address = parse_address(dsn, data_dir)
    lock = DirectoryLock(_locked_folder(address, data_dir))
    try:
        _prepare(address, retention)
        return Store(address, lock)
    except (EngineError, OSError) as error:
        lock.release()
        raise StoreUnreachable(address, reason(error, address.shown)) from error
    except BaseException:
        lock.release()
        raise


def check_unused(dsn: str, data_dir: Path) -> None:
    """Raise StoreInUse where another process has this store, or this data folder, open now; touches nothing.

    Raises:
        InvalidStoreAddress, StoreInUse
    """
    check_free(_locked_folder(parse_address(dsn, data_dir), data_dir))


def _locked_folder(address: Address, data_dir: Path) -> Path:
    own = address.path is None or address.path == (data_dir / EMBEDDED_FOLDER).absolute()
    return data_dir if own or address.path is None else address.path


_ONE_READER = pa.ipc.IpcReadOptions(use_threads=False)
"""Results are of one piece and little: other threads would be waited for, and have nothing to do."""


def read_arrow(client: Client, sql: str, parameters: Mapping[str, object] | None = None) -> pa.Table:
    """Return the result of a query as an Arrow table; its String columns are binary.

    Values only ever travel as `parameters` (`{name:Type}` in `sql`).
    """
    data = client.raw_query(sql, dict(parameters or {}), fmt="ArrowStream")
    with pa.ipc.open_stream(data, options=_ONE_READER) as stream:
        return stream.read_all()


def run(client: Client, sql: str, parameters: Mapping[str, object] | None = None) -> None:
    """Run a statement that has no result."""
    client.command(sql, dict(parameters or {}))


def _end_process(error: EngineError) -> None:
    """End at once, for a supervisor to start anew: an engine that hit a fatal error answers nothing any more, and its
    handler of signals may keep the process for minutes. What was acknowledged is on disk.
    """
    log.critical("the engine has aborted, the process ends", extra={"reason": str(error).partition("\n")[0]})
    logging.shutdown()
    os._exit(os.EX_SOFTWARE)


def _in_turn(waits: Waits) -> dict[str, str]:
    """Return the settings of queries that somebody waits for; a reader's go first where they may (decision 163)."""
    first = {_NICE: str(NICE)} if waits is Waits.READER and may_go_first() else {}
    return {**_IN_TURN[waits], **first}


def _keep_first(client: Client) -> None:
    """Put the thread of each query first again after it: the engine puts its own threads back, and the caller's too."""

    def kept(asked: Callable[..., object]) -> Callable[..., object]:
        def ask(*args: object, **named: object) -> object:
            try:
                return asked(*args, **named)
            finally:
                go_first()

        return ask

    for name in ("query", "raw_query", "command"):
        setattr(client, name, kept(getattr(client, name)))


def _empty(folder: Path) -> None:
    """Make the folder, without what a killed process left in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _connect(address: Address, database: str | None, embedded: Mapping[str, str] = {}) -> Client:
    """Open a connection; `embedded` are settings of queries for the embedded engine alone."""
    try:
        if address.path is not None:
            return clickhouse_connect.get_client(
                interface="chdb",
                path=str(address.path),
                database=database,
                settings={**_CLIENT_SETTINGS, **embedded},
                chdb_options={"config-file": str(_ENGINE_CONFIG)},
            )
        return clickhouse_connect.get_client(
            dsn=address.server,
            database=database,
            secure=address.secure,
            settings={**_CLIENT_SETTINGS, **(cluster.CLIENT_SETTINGS if address.cluster else {})},
            autogenerate_session_id=False,  # no session: any replica may answer, and no query waits for another
        )
    except EngineError as error:
        raise StoreUnreachable(address, reason(error, address.shown)) from error


def _prepare(address: Address, retention: Retention | None) -> None:
    """Create the database and bring its tables to VERSION."""
    admin = _connect(address, None)
    try:
        databases = admin.query("SELECT name FROM system.databases").result_rows
        if (address.database,) not in {tuple(row) for row in databases}:
            name = address.cluster
            create = f"CREATE DATABASE IF NOT EXISTS {address.database}"
            admin.command(cluster.create_database(name, address.database) if name else create)
    except EngineError as error:
        raise StoreUnreachable(address, reason(error, address.shown)) from error
    finally:
        admin.close()
    client = _connect(address, address.database)
    try:
        _migrate(client, address, retention)
    finally:
        client.close()


def _migrate(client: Client, address: Address, retention: Retention | None) -> None:
    """Run what leads from the version found to VERSION; a crash in between repeats it at the next start."""
    for statement in _defining(address, SCHEMA_VERSION):
        run(client, statement)
    rows = client.query("SELECT Version, Retention FROM schema_version ORDER BY AppliedAt DESC LIMIT 1").result_rows
    found, applied = (int(rows[0][0]), Retention(**loads(rows[0][1]))) if rows else (0, None)
    retention = retention or applied or DEFAULT_RETENTION
    if found > VERSION:
        raise StoreTooNew(address.shown, found)
    for version in range(found + 1, VERSION + 1):
        for migration in MIGRATIONS[version]:
            for statement in _defining(address, migration):
                run(client, statement)
    _check_columns(client, address)
    if found == VERSION and applied == retention:
        return
    for change in ttl_statements(retention, applied, found):
        for statement in _defining(address, change):
            run(client, statement)
    run(
        client,
        # The newest row counts, after a clock was set back as well.
        "INSERT INTO schema_version (Version, Retention, AppliedAt) SELECT {version:UInt32}, {retention:String}, "
        "greatest(now64(6), (SELECT max(AppliedAt) FROM schema_version) + INTERVAL 1 MICROSECOND)",
        {"version": VERSION, "retention": dumps(asdict(retention))},
    )
    if found != VERSION:
        log.info("tables brought up to date", extra={"from": found, "to": VERSION})


def _defining(address: Address, statement: str) -> list[str]:
    return cluster.clustered(statement, address.cluster, address.database) if address.cluster else [statement]


def _check_columns(client: Client, address: Address) -> None:
    """Refuse tables that another program made under our names."""
    rows: Sequence[Sequence[str]] = client.query(
        "SELECT table, name FROM system.columns WHERE database = {database:String}", {"database": address.database}
    ).result_rows
    present = {(table, name) for table, name in rows}
    for table, columns in REQUIRED_COLUMNS.items():
        missing = [name for name in columns if (table, name) not in present]
        if missing:
            raise ForeignTable(address.shown, table, missing)
