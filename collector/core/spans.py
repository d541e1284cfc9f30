"""Spans as columns: the one form in which spans travel inside the collector.

Bytes become a `SpanBatch` once, at the edge (`wire`); later code trusts it. Knows no I/O and no clock.
The columns are described in docs/reference/span-batch.md.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import NewType, Self, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

TraceId = NewType("TraceId", str)
"""32 lower-case hex digits."""
SpanId = NewType("SpanId", str)
"""16 lower-case hex digits."""

AttributeValue: TypeAlias = "str | bool | int | float | bytes | list[AttributeValue] | dict[str, AttributeValue] | None"

IdColumn = NDArray[np.uint64]
IntColumn = NDArray[np.int64]
IndexColumn = NDArray[np.int32]
EnumColumn = NDArray[np.int8]
FlagColumn = NDArray[np.uint8]

NO_STRING = -1
"""An index column's value where there is no string."""

KIND_UNSPECIFIED, KIND_INTERNAL, KIND_SERVER, KIND_CLIENT, KIND_PRODUCER, KIND_CONSUMER = range(6)
STATUS_UNSET, STATUS_OK, STATUS_ERROR = range(3)
REQUIREMENTS = ("", "mandatory", "optional")
"""`cpdd.call.requirement`; the column holds the position, 0 where it is unset."""
OUTCOMES = ("", "ok", "failed", "timed_out", "cancelled", "fallback_used", "not_awaited", "injected")
"""`cpdd.call.outcome`; the column holds the position, 0 where it is unset. The last also stands for Envoy's
`response_flags` with FI or DI: somebody injected a fault or a delay to see what becomes of it."""
OUTCOME_INJECTED = OUTCOMES.index("injected")
OUTCOME_NOT_AWAITED = OUTCOMES.index("not_awaited")
LINKS = ("", "link", "retry", "hedge", "adopted")
"""What a span's link says: of none, of another span, and by `cpdd.link.type` of the first attempt of the same call, or
of the root that this span called before either knew of the other's trace."""
LINK_RETRY, LINK_ADOPTED = LINKS.index("retry"), LINKS.index("adopted")

HOST_KEYS = (
    "host.id",
    "host.name",
    "k8s.pod.name",
    "container.id",
    "service.instance.id",
    "hostname",
    "ip",
)
"""Resource attributes that say on which host a span ran, strongest first (CRITICAL_PATH rule 5)."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Equal-length columns; row i of every column is one thing."""

    def __len__(self) -> int:
        return len(getattr(self, fields(self)[0].name))

    def columns(self) -> dict[str, NDArray[np.generic]]:
        """Return the array fields by name."""
        return {f.name: v for f in fields(self) if isinstance(v := getattr(self, f.name), np.ndarray)}

    def _take(self, rows: NDArray[np.integer] | slice) -> Self:
        return replace(self, **{name: column[rows] for name, column in self.columns().items()})


@dataclass(frozen=True, slots=True)
class Resources(Columns):
    """What sent the spans, shape (r,). `at` and `size` give the Resource message inside `SpanBatch.body`."""

    service: IndexColumn
    host: IndexColumn
    """Shape (r, 7): the values of HOST_KEYS, NO_STRING where absent."""
    schema_url: IndexColumn
    at: IntColumn
    size: IntColumn
    version: IndexColumn
    """`service.version`."""

    def __len__(self) -> int:
        return len(self.service)


@dataclass(frozen=True, slots=True)
class Scopes(Columns):
    """Instrumentation scopes, shape (s,). `at` and `size` give the InstrumentationScope message."""

    name: IndexColumn
    version: IndexColumn
    schema_url: IndexColumn
    at: IntColumn
    size: IntColumn

    def __len__(self) -> int:
        return len(self.name)


@dataclass(frozen=True, slots=True)
class SpanBatch(Columns):
    """Spans as columns, shape (n,) each; row i of every column is one span.

    Names and units are OTLP's. Columns of int32 are positions in `strings` (NO_STRING where absent), except
    `resource` and `scope`, which are rows of `resources` and `scopes`. What else the span said (attributes,
    events, links, status message, tracestate) stays in `body` until `attributes.detail` reads it; a batch that
    came from the store's narrow table has an empty `body`.
    """

    trace_id_high: IdColumn
    trace_id_low: IdColumn
    span_id: IdColumn
    parent_span_id: IdColumn
    start_time_unix_nano: IntColumn
    end_time_unix_nano: IntColumn
    flags: NDArray[np.uint32]
    kind: EnumColumn
    status_code: EnumColumn
    requirement: EnumColumn
    outcome: EnumColumn
    follows_from: FlagColumn
    http_status: NDArray[np.int16]
    rpc_status: NDArray[np.int16]
    link_type: EnumColumn
    link_trace_id_high: IdColumn
    link_trace_id_low: IdColumn
    link_span_id: IdColumn
    name: IndexColumn
    service: IndexColumn
    journey: IndexColumn
    peer_service: IndexColumn
    server_address: IndexColumn
    db_system: IndexColumn
    db_namespace: IndexColumn
    messaging_system: IndexColumn
    messaging_destination: IndexColumn
    resource: IndexColumn
    scope: IndexColumn
    at: IntColumn
    size: IntColumn
    strings: tuple[str, ...]
    resources: Resources
    scopes: Scopes
    body: bytes

    def __len__(self) -> int:
        return len(self.span_id)

    def take(self, rows: NDArray[np.integer] | slice) -> Self:
        """Return the given rows, in the given order; strings, resources, scopes and body are shared."""
        return self._take(rows)

    def text(self, index: int) -> str:
        """Return the string at `index`, "" for NO_STRING."""
        return "" if index < 0 else self.strings[index]

    def trace_id(self, row: int) -> TraceId:
        return TraceId(f"{int(self.trace_id_high[row]):016x}{int(self.trace_id_low[row]):016x}")

    def span_id_hex(self, row: int) -> SpanId:
        return SpanId(f"{int(self.span_id[row]):016x}")

    def parent_span_id_hex(self, row: int) -> SpanId | None:
        """Return the parent's id, None for a root."""
        parent = int(self.parent_span_id[row])
        return SpanId(f"{parent:016x}") if parent else None


STRING_COLUMNS = (
    "name",
    "service",
    "journey",
    "peer_service",
    "server_address",
    "db_system",
    "db_namespace",
    "messaging_system",
    "messaging_destination",
)
"""Columns of a SpanBatch that hold positions in `strings`."""

DTYPES: dict[str, type[np.generic]] = {
    "trace_id_high": np.uint64,
    "trace_id_low": np.uint64,
    "span_id": np.uint64,
    "parent_span_id": np.uint64,
    "start_time_unix_nano": np.int64,
    "end_time_unix_nano": np.int64,
    "flags": np.uint32,
    "kind": np.int8,
    "status_code": np.int8,
    "requirement": np.int8,
    "outcome": np.int8,
    "follows_from": np.uint8,
    "http_status": np.int16,
    "rpc_status": np.int16,
    "link_type": np.int8,
    "link_trace_id_high": np.uint64,
    "link_trace_id_low": np.uint64,
    "link_span_id": np.uint64,
    **dict.fromkeys(STRING_COLUMNS, np.int32),
    "resource": np.int32,
    "scope": np.int32,
    "at": np.int64,
    "size": np.int64,
}
"""The type of each column of a SpanBatch, in the order of its fields."""


class StringTable:
    """Collects strings once each; `index` gives a string's position."""

    def __init__(self, strings: Iterable[str] = ()) -> None:
        self._index = {text: position for position, text in enumerate(dict.fromkeys(strings))}

    def index(self, text: str) -> int:
        return self._index.setdefault(text, len(self._index))

    def strings(self) -> tuple[str, ...]:
        return tuple(self._index)


def concatenate(batches: Sequence[SpanBatch]) -> SpanBatch:
    """Return one batch with the rows of all, in order; strings are merged, bodies put one behind the other."""
    if len(batches) == 1:
        return batches[0]
    table = StringTable()
    maps = [_renumbering(batch.strings, table) for batch in batches]
    bodies = np.cumsum([0] + [len(batch.body) for batch in batches])
    resources = np.cumsum([0] + [len(batch.resources) for batch in batches])
    scopes = np.cumsum([0] + [len(batch.scopes) for batch in batches])

    columns: dict[str, NDArray[np.generic]] = {}
    for name, dtype in DTYPES.items():
        parts = [getattr(batch, name) for batch in batches]
        if name in STRING_COLUMNS:
            parts = [numbers[part] for numbers, part in zip(maps, parts, strict=True)]
        elif name in ("resource", "scope", "at"):
            shifts = {"resource": resources, "scope": scopes, "at": bodies}[name]
            parts = [part + shift for part, shift in zip(parts, shifts, strict=False)]
        columns[name] = np.concatenate(parts or [np.empty(0, dtype)]).astype(dtype, copy=False)
    return SpanBatch(
        **columns,  # type: ignore[arg-type]
        strings=table.strings(),
        resources=_concatenate_table(Resources, [b.resources for b in batches], maps, bodies),
        scopes=_concatenate_table(Scopes, [b.scopes for b in batches], maps, bodies),
        body=b"".join(batch.body for batch in batches),
    )


def _renumbering(strings: tuple[str, ...], table: StringTable) -> IndexColumn:
    """Positions of `strings` in `table`; the last entry maps NO_STRING to itself."""
    return np.array([*map(table.index, strings), NO_STRING], np.int32)


_Table = TypeVar("_Table", Resources, Scopes)


def _concatenate_table(
    kind: type[_Table], tables: list[_Table], maps: list[IndexColumn], bodies: NDArray[np.int64]
) -> _Table:
    merged = {}
    for field in fields(kind):
        parts: list[NDArray[np.integer]] = [getattr(table, field.name) for table in tables]
        if field.name == "at":
            parts = [part + shift for part, shift in zip(parts, bodies, strict=False)]
        elif field.name != "size":
            parts = [numbers[part] for numbers, part in zip(maps, parts, strict=True)]
        wide = (0, len(HOST_KEYS)) if field.name == "host" else (0,)
        dtype = np.int64 if field.name in ("at", "size") else np.int32
        merged[field.name] = np.concatenate([np.empty(wide, dtype), *parts])
    return kind(**merged)


def empty_batch() -> SpanBatch:
    """Return a batch without spans."""
    return concatenate([])
