"""Every statement that makes the tables of a new store, as text: for people who create them by hand, or review them."""

from collector.store.cluster import clustered, create_database
from collector.store.exporter_table import FOLLOWED
from collector.store.journal import DIRTY_MINUTES, SHARE_CURSORS
from collector.store.schema import (
    MIGRATIONS,
    PINS,
    SAMPLING_LOG,
    SAMPLING_TOLD,
    SCHEMA_VERSION,
    Retention,
    ttl_statements,
)
from collector.store.turns import CLAIMS, TURNS


def ddl(database: str, retention: Retention, cluster: str = "") -> list[str]:
    """Return the statements in order, each without its semicolon; to run them again changes nothing.

    Args:
        cluster: name in `remote_servers` of the servers' configuration; "" for one server.
    """
    statements = [
        SCHEMA_VERSION,
        *(statement for version in sorted(MIGRATIONS) for statement in MIGRATIONS[version]),
        *ttl_statements(retention, None),
        *(SAMPLING_LOG, SAMPLING_TOLD, PINS, TURNS, CLAIMS, SHARE_CURSORS, DIRTY_MINUTES, FOLLOWED),
    ]
    if not cluster:
        return [f"CREATE DATABASE IF NOT EXISTS {database}", *(text.strip() for text in statements)]
    return [
        create_database(cluster, database),
        *(text.strip() for statement in statements for text in clustered(statement, cluster, database)),
    ]
