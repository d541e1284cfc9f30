"""A ceiling for the disk: what goes first when the tables have grown beyond it.

    spans, oldest first -> rows of traces, oldest day first -> copies of interesting traces, first to end first
    -> minutes, oldest day first;  never what is pinned, nor what people wrote

Parts and partitions are dropped whole, which costs nothing. Spans go part by part, since a day may be all there is.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from clickhouse_connect.driver.client import Client

from collector.store.engine import NotOnCluster, Store, run
from collector.store.keeping import PINNED_UNTIL_S

LOW_SHARE = 0.9
"""Of the ceiling: what a cleaning leaves, so that it is not due again at once."""
MIN_PART_BYTES = 64 << 20
PARTS = 20
"""Into how many parts at least the spans are divided, where there is a ceiling: what goes at once is a part."""

_MINUTES = ("journey_minutes", "path_minutes", "edge_minutes", "replacement_minutes", "minute_versions")


@dataclass(frozen=True, slots=True)
class Dropped:
    """What a cleaning deleted of one table."""

    table: str
    bytes: int
    rows: int


@dataclass(frozen=True, slots=True)
class _Victim:
    """Something that may go: a part of a table, or a partition."""

    table: str
    statement: str
    bytes: int
    rows: int


class Ceiling:
    """Keeps the tables of one store below so many bytes. One thread at a time."""

    def __init__(self, store: Store, max_bytes: int) -> None:
        """Args:
        max_bytes: 0 for no ceiling.
        Raises:
            NotOnCluster: parts of one server are dropped; what the others hold nobody knows here.
        """
        if max_bytes and store.address.cluster:
            hint = "leave the ceiling out; retention by days, and disks of the servers, bound a cluster"
            raise NotOnCluster(store.address.shown, "a disk ceiling", hint)
        self._store = store
        self._max_bytes = max_bytes

    def prepare(self) -> None:
        """Let the engine make parts of spans small enough that dropping one is no loss of everything."""
        if self._store.address.cluster:
            return
        setting = "max_bytes_to_merge_at_max_space_in_pool"
        change = f"MODIFY SETTING {setting} = {max(self._max_bytes // PARTS, MIN_PART_BYTES)}"
        with self._store.client() as client:
            if self._max_bytes:
                run(client, f"ALTER TABLE otel_traces {change}")
            elif setting in str(client.command("SHOW CREATE TABLE otel_traces")):
                run(client, f"ALTER TABLE otel_traces RESET SETTING {setting}")

    def used_bytes(self) -> int:
        """Return what the tables take on disk; parts that are merged away and not deleted yet do not count."""
        with self._store.client() as client:
            return _used(self._store, client)

    def clean(self) -> list[Dropped]:
        """Delete, where the ceiling is passed, the least interesting until a tenth of it is free."""
        if not self._max_bytes:
            return []
        with self._store.client() as client:
            used = _used(self._store, client)
            if used <= self._max_bytes:
                return []
            return _summed(self._drop(client, used - int(self._max_bytes * LOW_SHARE)))

    def _drop(self, client: Client, excess: int) -> Iterator[_Victim]:
        for victim in _victims(client, self._store.address.database):
            if excess <= 0:
                break
            run(client, victim.statement)
            excess -= victim.bytes
            yield victim
        _drop_places(client)


def _victims(client: Client, database: str) -> Iterator[_Victim]:
    """What may go, the least interesting first; looked up as it comes to that."""
    yield from _span_parts(client, database)
    yield from _days(client, database, ("traces",), "partition_id < toString(toYYYYMMDD(now()))")
    yield from _days(
        client, database, ("kept_spans",), f"partition_id < toString(toYYYYMMDD(toDateTime({PINNED_UNTIL_S})))"
    )
    yield from _days(client, database, _MINUTES, "partition_id < toString(toYYYYMMDD(now()))")


def _span_parts(client: Client, database: str) -> Iterator[_Victim]:
    """Parts of the spans by the arrival of their newest; the last one stays, into which the next ones come."""
    rows = client.query(
        """
        SELECT _part, max(IngestedAt) AS Newest, any(P.bytes_on_disk), any(P.rows) FROM otel_traces
        INNER JOIN (
            SELECT name, bytes_on_disk, rows FROM system.parts
            WHERE active AND database = {database:String} AND table = 'otel_traces'
        ) AS P ON P.name = _part
        GROUP BY _part ORDER BY Newest, _part
        """,
        {"database": database},
    ).result_rows
    for part, _, size, count in rows[:-1]:
        yield _Victim("otel_traces", f"ALTER TABLE otel_traces DROP PART '{part}'", int(size), int(count))


def _days(client: Client, database: str, tables: tuple[str, ...], condition: str) -> Iterator[_Victim]:
    """Partitions of these tables, oldest day first."""
    rows = client.query(
        f"""
        SELECT partition_id, table, sum(bytes_on_disk), sum(rows) FROM system.parts
        WHERE active AND database = {{database:String}} AND table IN {{tables:Array(String)}} AND {condition}
        GROUP BY partition_id, table ORDER BY partition_id, table
        """,
        {"database": database, "tables": list(tables)},
    ).result_rows
    for partition, table, size, count in rows:
        yield _Victim(str(table), f"ALTER TABLE {table} DROP PARTITION ID '{partition}'", int(size), int(count))


def _drop_places(client: Client) -> None:
    """Drop the parts of the look-up table whose spans are gone: all of it arrived before the oldest that is left."""
    rows = client.query(
        """
        SELECT _part FROM otel_traces_trace_id_ts GROUP BY _part
        HAVING max(IngestedAt) < (SELECT minOrNull(IngestedAt) FROM otel_traces)
        """
    ).result_rows
    for (part,) in rows:
        run(client, f"ALTER TABLE otel_traces_trace_id_ts DROP PART '{part}'")


def _used(store: Store, client: Client) -> int:
    rows = client.query(
        f"SELECT sum(bytes_on_disk) FROM {store.system_parts} WHERE active AND database = {{database:String}}",
        {"database": store.address.database},
    ).result_rows
    return int(rows[0][0])


def _summed(victims: Iterator[_Victim]) -> list[Dropped]:
    """By table, in the order in which they had to go."""
    sums: dict[str, Dropped] = {}
    for victim in victims:
        before = sums.get(victim.table, Dropped(victim.table, 0, 0))
        sums[victim.table] = Dropped(victim.table, before.bytes + victim.bytes, before.rows + victim.rows)
    return list(sums.values())
