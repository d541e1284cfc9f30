"""A store as a folder of Parquet files, and back: a backup that any program can read.

    FOLDER/manifest.json                     which tables, how many rows, which version; written last
    FOLDER/otel_traces/20261128.parquet      a file for each partition

Works on the embedded engine and through a server alike; a folder of one goes into the other.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pyarrow.parquet as pq
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import Error as EngineError

from collector.store.engine import NotOnCluster, Store, run
from collector.store.journal import Journal
from collector.store.pins import Pins
from collector.store.sampling_log import SamplingLog
from collector.store.schema import VERSION
from cpdd.errors import CpddError

MANIFEST = "manifest.json"
NOT_EXPORTED = ("schema_version", "turns", "followed", "sampling_told")
"""What the tables look like is said by the store that they go into; whose turn it is, by who is there; how far a
followed table was taken over, by the spans; what clients were told in the last hour concerns traces that are not
analyzed yet, and these only here."""
FILLED_BY_STARTING = ("lanes", "known_operations")
"""May have rows in a store that nothing was sent to."""

Tell = Callable[[str], None]


class ArchiveUnusable(CpddError):
    """A folder cannot be written as an archive, or is none that can be read."""

    def __init__(self, problem: str, place: Path, hint: str) -> None:
        self.problem = problem
        self.place = place
        self.hint = hint
        super().__init__(f"{problem}\n  at {place}\nhint: {hint}")


class StoreNotEmpty(CpddError):
    """An archive goes into an empty store only: its spans would otherwise be mistaken for those that are there."""

    def __init__(self, store: str, table: str, rows: int) -> None:
        self.store = store
        self.table = table
        self.rows = rows
        super().__init__(
            f"store not empty: {table} in {store} has {rows} rows\n"
            "hint: import into another folder (--data DIR) or database (--store clickhouse://HOST/DATABASE)"
        )


@dataclass(frozen=True, slots=True)
class Archive:
    """What an archive holds."""

    version: int
    """Of the tables."""
    rows: Mapping[str, int]
    """By table."""
    bytes: int


def export_store(store: Store, folder: Path, tell: Tell = lambda text: None) -> Archive:
    """Write every table into `folder`, which is made, and must be empty.

    Raises:
        ArchiveUnusable: the folder cannot be written, or holds something.
        NotOnCluster
    """
    _refuse_cluster(store)
    _claim(folder)
    rows: dict[str, int] = {}
    with store.client() as client:
        for table in _tables(client, store.address.database):
            rows[table] = 0
            for partition, count in _partitions(client, store.address.database, table):
                tell(f"{table} {partition}: {count} rows")
                file = folder / table / f"{partition}.parquet"
                file.parent.mkdir(exist_ok=True)
                try:
                    _write(store, client, f"SELECT * FROM {table} WHERE _partition_id = '{partition}'", file)
                except (OSError, EngineError) as error:
                    reason = str(error).partition("\n")[0]
                    raise ArchiveUnusable(f"not exported: {reason}", file, "is the disk full?") from error
                rows[table] += pq.read_metadata(file).num_rows
    archive = Archive(VERSION, rows, sum(file.stat().st_size for file in folder.rglob("*.parquet")))
    said = {"cpdd": version("cpdd"), "version": VERSION, "rows": rows}
    (folder / MANIFEST).write_text(json.dumps(said, indent=1) + "\n")
    return archive


def import_store(store: Store, folder: Path, tell: Tell = lambda text: None) -> Archive:
    """Read what `export_store` wrote into an empty store.

    Raises:
        ArchiveUnusable: no archive, one of a newer cpdd, or with files missing or cut.
        StoreNotEmpty, NotOnCluster
    """
    archive = read_manifest(folder)
    _refuse_cluster(store)
    Pins(store)  # these make their tables themselves
    SamplingLog(store)
    Journal(store)
    with store.client() as client:
        present = _tables(client, store.address.database)
        _check_empty(client, store, present)
        _check_files(archive, folder, present)
        for table, rows in archive.rows.items():
            tell(f"{table}: {rows} rows")
            run(client, f"TRUNCATE TABLE {table}")
            for file in _files(folder, table):
                _read(store, client, table, file)
    return archive


def _refuse_cluster(store: Store) -> None:
    if store.address.cluster:
        hint = "BACKUP DATABASE … ON CLUSTER of ClickHouse itself backs up every shard"
        raise NotOnCluster(store.address.shown, "export and import", hint)


def read_manifest(folder: Path) -> Archive:
    """Return what the archive in `folder` says of itself. Raises ArchiveUnusable."""
    place = folder / MANIFEST
    try:
        said = json.loads(place.read_text())
        archive = Archive(int(said["version"]), {str(k): int(v) for k, v in said["rows"].items()}, 0)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        hint = "an export that was cut off has none; export again"
        raise ArchiveUnusable(f"no archive: its manifest cannot be read: {error}", place, hint) from error
    if archive.version > VERSION:
        problem = f"tables of version {archive.version}, this cpdd knows up to {VERSION}"
        raise ArchiveUnusable(problem, place, "upgrade cpdd")
    return archive


def _claim(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        taken = any(folder.iterdir())
    except OSError as error:
        hint = "name another folder, or make this one writable"
        raise ArchiveUnusable(error.strerror or str(error), folder, hint) from error
    if taken:
        raise ArchiveUnusable("the folder is not empty", folder, "name one that is not there yet")


def _tables(client: Client, database: str) -> list[str]:
    rows = client.query(
        "SELECT name FROM system.tables WHERE database = {database:String} AND engine LIKE '%MergeTree' ORDER BY name",
        {"database": database},
    ).result_rows
    return [str(row[0]) for row in rows if row[0] not in NOT_EXPORTED]


def _partitions(client: Client, database: str, table: str) -> Iterator[tuple[str, int]]:
    rows: Sequence[Sequence[object]] = client.query(
        "SELECT partition_id, sum(rows) FROM system.parts "
        "WHERE active AND database = {database:String} AND table = {table:String} "
        "GROUP BY partition_id ORDER BY partition_id",
        {"database": database, "table": table},
    ).result_rows
    for partition, count in rows:
        yield str(partition), int(str(count))


def _write(store: Store, client: Client, query: str, file: Path) -> None:
    if store.embedded:
        run(client, f"INSERT INTO FUNCTION file({{file:String}}, 'Parquet') {query}", {"file": str(file.absolute())})
        return
    with client.raw_stream(query, fmt="Parquet") as source, file.open("wb") as sink:
        while block := source.read(1 << 20):
            sink.write(block)


def _files(folder: Path, table: str) -> list[Path]:
    return sorted((folder / table).glob("*.parquet"))


def _check_files(archive: Archive, folder: Path, tables: Sequence[str]) -> None:
    """Refuse what is not whole before anything is changed."""
    for table, expected in archive.rows.items():
        if table not in tables:
            raise ArchiveUnusable(f"the table {table!r} is not known", folder / table, "upgrade cpdd")
        found = sum(_metadata(file).num_rows for file in _files(folder, table))
        if found != expected:
            problem = f"{found} rows of {table} were found, {expected} expected"
            raise ArchiveUnusable(problem, folder / table, "files are missing; copy the whole folder again")


def _metadata(file: Path) -> pq.FileMetaData:
    try:
        return pq.read_metadata(file)
    except (OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise ArchiveUnusable(f"no Parquet: {reason}", file, "copy the file again") from error


def _read(store: Store, client: Client, table: str, file: Path) -> None:
    """Insert a file; columns go by their names, and what the table has beside them gets its default."""
    names = _metadata(file).schema.to_arrow_schema().names
    columns = ", ".join(f"`{name}`" for name in names)
    if store.embedded:
        statement = f"INSERT INTO {table} ({columns}) SELECT {columns} FROM file({{file:String}}, 'Parquet')"
        run(client, f"{statement} SETTINGS max_partitions_per_insert_block = 0", {"file": str(file.absolute())})
    else:
        with file.open("rb") as source:
            client.raw_insert(table, names, source, settings={"max_partitions_per_insert_block": "0"}, fmt="Parquet")


def _check_empty(client: Client, store: Store, tables: Sequence[str]) -> None:
    for table in tables:
        ((rows,),) = client.query(f"SELECT count() FROM {table}").result_rows
        if rows and table not in FILLED_BY_STARTING:
            raise StoreNotEmpty(store.address.shown, table, int(rows))
