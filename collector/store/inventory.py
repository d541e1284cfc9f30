"""What a store holds, altogether and table by table, and what compacting it gives back. For pages and `cpdd store`."""

from dataclasses import dataclass

from clickhouse_connect.driver.client import Client

from collector.store.boosted import BOOSTED
from collector.store.engine import Store, run
from collector.store.values import StoreInfo


@dataclass(frozen=True, slots=True)
class TableSize:
    """One table on disk; on a cluster all copies of it."""

    name: str
    rows: int
    """Rows that were replaced and are not merged away yet count."""
    bytes: int
    parts: int


@dataclass(frozen=True, slots=True)
class Inventory:
    """One store."""

    store: str
    version: int
    tables: tuple[TableSize, ...]
    """Largest first."""
    oldest_unix_s: int
    """Arrival of the oldest span that is left, 0 where there is none; likewise below."""
    newest_unix_s: int
    kept: tuple[tuple[str, int], ...]
    """Traces that are kept longer, by reason; those of all boosts together."""

    @property
    def bytes(self) -> int:
        return sum(table.bytes for table in self.tables)


def take_inventory(store: Store) -> Inventory:
    """Return what the store holds."""
    with store.client() as client:
        tables = _tables(store, client)
        oldest, newest = client.query(
            "SELECT toUnixTimestamp(min(IngestedAt)), toUnixTimestamp(max(IngestedAt)) FROM otel_traces"
        ).result_rows[0]
        kept = client.query(
            "SELECT if(startsWith(Reason, {boosted:String}), 'boosted', Reason) AS Why, uniqExact(TraceId) "
            "FROM kept_traces WHERE KeptUntil > now() GROUP BY Why ORDER BY Why",
            {"boosted": BOOSTED},
        ).result_rows
        ((version,),) = client.query("SELECT max(Version) FROM schema_version").result_rows
    return Inventory(
        store.address.shown,
        int(version),
        tuple(tables),
        int(oldest),
        int(newest),
        tuple((str(reason), int(count)) for reason, count in kept),
    )


def store_info(store: Store) -> StoreInfo:
    """Return how much is stored; copies of spans that are not dropped yet count."""
    with store.client() as client:
        spans, oldest, newest = client.query(
            "SELECT count(), toUnixTimestamp64Nano(min(Timestamp)), toUnixTimestamp64Nano(max(Timestamp)) "
            "FROM otel_traces"
        ).result_rows[0]
        ((traces,),) = client.query("SELECT count() FROM traces FINAL").result_rows
        ((size,),) = client.query(
            f"SELECT sum(bytes_on_disk) FROM {store.system_parts} WHERE active AND database = {{database:String}}",
            {"database": store.address.database},
        ).result_rows
    none = not spans
    return StoreInfo(int(spans), int(traces), int(size), 0 if none else int(oldest), 0 if none else int(newest))


def compact(store: Store) -> None:
    """Merge the parts of every table, partition by partition, and with them drop what was replaced or is too old.

    Takes a while, and for that time as much room as the largest partition.
    """
    with store.client() as client:
        everywhere = f"ON CLUSTER '{store.address.cluster}' " if store.address.cluster else ""
        for table in _tables(store, client):
            run(client, f"OPTIMIZE TABLE {table.name} {everywhere}FINAL")


def _tables(store: Store, client: Client) -> list[TableSize]:
    rows = client.query(
        f"""
        SELECT table, sum(rows), sum(bytes_on_disk) AS Bytes, count() FROM {store.system_parts}
        WHERE active AND database = {{database:String}} GROUP BY table ORDER BY Bytes DESC, table
        """,
        {"database": store.address.database},
    ).result_rows
    return [TableSize(str(name), int(count), int(size), int(parts)) for name, count, size, parts in rows]
