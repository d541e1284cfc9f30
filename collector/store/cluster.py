"""The same tables on a cluster of ClickHouse servers: a statement for one server to statements for all. Text only.

    otel_traces      Distributed, by the hash of the trace id       pins, turns, minutes, …   the same on every server
    `- otel_traces_local   Replicated…MergeTree, a shard's part

Large tables are sharded, so that all rows of a trace lie on one shard; what is read in the order of lanes, by lane.
Everything else is small and replicated to every server of every shard. Names stay, so that queries stay.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType

LOCAL = "_local"
"""Ends the name of the table that holds a shard's part."""

SHARDING_KEYS: Mapping[str, str] = MappingProxyType(
    {
        "otel_traces": "cityHash64(TraceId)",
        "otel_traces_trace_id_ts": "cityHash64(TraceId)",
        "kept_spans": "cityHash64(TraceId)",
        "traces": "cityHash64(TraceId)",
        "span_arrivals": "Lane",
    }
)
CLIENT_SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "distributed_foreground_insert": "1",  # an insert answers when the shards have it
        "distributed_product_mode": "global",
        # Who reads what was just written asks the replica that took it, wherever the question comes from.
        "load_balancing": "in_order",
        "prefer_localhost_replica": "0",
    }
)

_CREATE = re.compile(
    r"\s*CREATE TABLE IF NOT EXISTS (?P<table>\w+) (?P<columns>\(.*\n\)) "
    r"ENGINE = (?P<engine>\w*MergeTree)(\((?P<arguments>[^)]*)\))?(?P<rest>.*)",
    re.DOTALL,
)
_ALTER = re.compile(r"\s*ALTER TABLE (?P<table>\w+) (?P<rest>.*)", re.DOTALL)


def clustered(statement: str, cluster: str, database: str) -> list[str]:
    """Return what does on every server of a cluster what `statement` does on one.

    Args:
        statement: a CREATE TABLE as this package writes them, or an ALTER TABLE.
    Raises:
        ValueError: another statement; nobody could say what it means on a cluster.
    """
    if created := _CREATE.fullmatch(statement):
        return _create(created, cluster, database)
    if altered := _ALTER.fullmatch(statement):
        table, rest = altered["table"], altered["rest"]
        on_cluster = f"ALTER TABLE {_holding(table)} ON CLUSTER '{cluster}' {rest}"
        if not rest.startswith("ADD COLUMN"):
            return [on_cluster]
        return [on_cluster, *_distributed(table, cluster, database, "CREATE OR REPLACE TABLE")]
    raise ValueError(f"no statement for a cluster: {statement}")


def create_database(cluster: str, database: str) -> str:
    return f"CREATE DATABASE IF NOT EXISTS {database} ON CLUSTER '{cluster}'"


def _create(created: re.Match[str], cluster: str, database: str) -> list[str]:
    table, rest = created["table"], created["rest"]
    is_sharded = table in SHARDING_KEYS
    where = "{shard}" if is_sharded else "all"
    replica = "{replica}" if is_sharded else "{shard}-{replica}"
    arguments = [f"'/clickhouse/tables/{where}/{database}/{table}'", f"'{replica}'"]
    arguments += [created["arguments"]] if created["arguments"] else []
    return [
        f"CREATE TABLE IF NOT EXISTS {_holding(table)} ON CLUSTER '{cluster}' {created['columns']} "
        f"ENGINE = Replicated{created['engine']}({', '.join(arguments)}){rest}",
        *_distributed(table, cluster, database, "CREATE TABLE IF NOT EXISTS"),
    ]


def _distributed(table: str, cluster: str, database: str, create: str) -> list[str]:
    """The table over all shards; it holds nothing, so that it may be made anew when the others have changed."""
    if table not in SHARDING_KEYS:
        return []
    engine = f"Distributed('{cluster}', '{database}', '{table}{LOCAL}', {SHARDING_KEYS[table]})"
    return [f"{create} {table} ON CLUSTER '{cluster}' AS {database}.{table}{LOCAL} ENGINE = {engine}"]


def _holding(table: str) -> str:
    return table + LOCAL if table in SHARDING_KEYS else table
