"""Spans in a table that the ClickHouse exporter of the OpenTelemetry Collector fills, as what they were. Reads only.

    ids (which spans are there between two times)  ->  spans (those of them that somebody wants)

The exporter writes no time of arrival: whoever follows the table looks back over a while, and knows spans by their id.
What the exporter does not keep (types of attributes, flags, dropped counts) is as if it had not been sent.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Self
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import clickhouse_connect
import numpy as np
from clickhouse_connect.driver.exceptions import Error as EngineError

from collector.core.detail import DetailedSpans
from collector.core.spans import IdColumn, IntColumn
from collector.store.address import Address, InvalidStoreAddress, parse_address
from collector.store.engine import StoreUnreachable, read_arrow
from collector.store.rows import SPAN_SELECT, detailed_spans
from cpdd.errors import CpddError

DEFAULT_TABLE = "otel_traces"
DEFAULT_DATABASE = "default"

_SETTINGS = {"output_format_arrow_compression_method": "none", "output_format_arrow_string_as_string": "0"}
_KIND = "if(startsWith(t.SpanKind, 'SPAN_KIND_'), initcap(substring(lower(t.SpanKind), 11)), t.SpanKind)"
_STATUS = "if(startsWith(t.StatusCode, 'STATUS_CODE_'), initcap(substring(lower(t.StatusCode), 13)), t.StatusCode)"
"""Exporters of before 0.83 wrote OTLP's long names."""
SPAN_ID = "cityHash64(TraceId, SpanId, toString(SpanKind))"
"""By which a span is known, of our own tables, too."""

_MAPS = ("ResourceAttributes", "SpanAttributes", "Events.Attributes", "Links.Attributes")
_KEPT = (
    *("Timestamp", "TraceId", "SpanId", "ParentSpanId", "TraceState", "SpanName", "ServiceName", "ScopeName"),
    *("ScopeVersion", "Duration", "StatusMessage", "Events.Timestamp", "Events.Name"),
    *("Links.TraceId", "Links.SpanId", "Links.TraceState", *_MAPS),
)
_NOT_KEPT = {
    "EndCorrection": "toInt64(0)",
    **dict.fromkeys(("SpanAttributeTypes", "ResourceAttributeTypes", "ScopeAttributeTypes"), "''"),
    **dict.fromkeys(("ResourceSchemaUrl", "ScopeSchemaUrl"), "''"),
    **dict.fromkeys(("TraceFlags", "ResourceDropped", "ScopeDropped"), "toUInt32(0)"),
    **dict.fromkeys(("DroppedAttributes", "DroppedEvents", "DroppedLinks"), "toUInt32(0)"),
    "ScopeAttributes": "CAST(map(), 'Map(String, String)')",
    "Events.AttributeTypes": "arrayMap(name -> '', t.`Events.Name`)",
    "Events.Dropped": "arrayMap(name -> toUInt32(0), t.`Events.Name`)",
    "Links.AttributeTypes": "arrayMap(id -> '', t.`Links.TraceId`)",
    "Links.Dropped": "arrayMap(id -> toUInt32(0), t.`Links.TraceId`)",
    "Links.Flags": "arrayMap(id -> toUInt32(0), t.`Links.TraceId`)",
}


FOLLOWED = """
CREATE TABLE IF NOT EXISTS followed (
    Source String,
    UntilNs Int64,
    Version UInt64
) ENGINE = ReplacingMergeTree(Version)
ORDER BY Source
SETTINGS fsync_after_insert = 1
"""
"""How far each table was taken over; created and used by `follow` alone."""


class NotExporterTable(CpddError):
    """What is to be followed has not the columns that the exporter writes."""

    def __init__(self, table: str, problem: str) -> None:
        self.table = table
        self.problem = problem
        super().__init__(
            f"cannot follow {table}: {problem}\n"
            "hint: name the traces table of the exporter, with its Map columns (json: false): "
            "clickhouse://user:password@host/database?table=otel_traces"
        )


def parse_table(dsn: str) -> tuple[Address, str]:
    """Return the server and the table that `dsn` means. Raises InvalidStoreAddress."""
    parts = urlsplit(dsn)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    table = options.pop("table", DEFAULT_TABLE)
    if not table.isidentifier() or parts.scheme not in ("clickhouse", "clickhouses"):
        raise InvalidStoreAddress(dsn, "a table of a ClickHouse server is followed: clickhouse://…?table=otel_traces")
    path = parts.path if parts.path.strip("/") else f"/{DEFAULT_DATABASE}"
    return parse_address(urlunsplit((parts.scheme, parts.netloc, path, urlencode(options), "")), Path()), table


class ExporterTable:
    """An open table. One thread at a time."""

    def __init__(self, dsn: str) -> None:
        """Args:
        dsn: `clickhouse://user:password@host:8123/DATABASE?table=TABLE`, or `clickhouses://…` for TLS.
        Raises:
            InvalidStoreAddress, StoreUnreachable, NotExporterTable
        """
        address, table = parse_table(dsn)
        self.shown = f"{address.shown}, table {table}"
        """For messages, without the password."""
        self._table = table
        try:
            self._client = clickhouse_connect.get_client(
                dsn=address.server,
                database=address.database,
                secure=address.secure,
                settings=dict(_SETTINGS),
                autogenerate_session_id=False,
            )
            self._check()
        except EngineError as error:
            raise StoreUnreachable(address, str(error).partition("\n")[0]) from error

    def ids(self, first_ns: int, last_ns: int) -> tuple[IdColumn, IntColumn]:
        """Return what spans that began from `first_ns` to before `last_ns` are known by, and their starts in ns."""
        found = read_arrow(
            self._client,
            f"""
            SELECT cityHash64(t.TraceId, t.SpanId, toString({_KIND})) AS Id, toUnixTimestamp64Nano(t.Timestamp) AS Start
            FROM {self._table} AS t WHERE {_WITHIN}
            """,
            {"first": first_ns, "last": last_ns},
        )
        return found.column("Id").to_numpy().astype(np.uint64), found.column("Start").to_numpy().astype(np.int64)

    def spans(self, ids: Sequence[int], first_ns: int, last_ns: int) -> DetailedSpans:
        """Return the spans with these ids that began from `first_ns` to before `last_ns`; copies once."""
        kept = ", ".join(f"t.`{name}` AS `{name}`" for name in _KEPT)
        added = ", ".join(f"{sql} AS `{name}`" for name, sql in _NOT_KEPT.items())
        found = read_arrow(
            self._client,
            f"""
            SELECT {SPAN_SELECT} FROM (
                SELECT {kept}, {_KIND} AS SpanKind, {_STATUS} AS StatusCode, {added}
                FROM {self._table} AS t
                WHERE {_WITHIN} AND cityHash64(t.TraceId, t.SpanId, toString({_KIND})) IN {{ids:Array(UInt64)}}
            )
            """,
            {"ids": list(ids), "first": first_ns, "last": last_ns},
        )
        return detailed_spans(found)

    def close(self) -> None:
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check(self) -> None:
        rows = self._client.query(f"DESCRIBE TABLE {self._table}").result_rows
        types = {str(row[0]): str(row[1]) for row in rows}
        missing = [name for name in (*_KEPT, "SpanKind", "StatusCode") if name not in types]
        if missing:
            raise NotExporterTable(self.shown, f"it lacks the columns {', '.join(missing)}")
        odd = [name for name in _MAPS if "Map(" not in types[name]]
        if odd:
            raise NotExporterTable(self.shown, f"{', '.join(odd)} are {types[odd[0]]}, Map expected")


_WITHIN = (
    "t.Timestamp >= fromUnixTimestamp64Nano({first:Int64}) AND t.Timestamp < fromUnixTimestamp64Nano({last:Int64})"
)
