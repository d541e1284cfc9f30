"""Rows of `span_arrivals` to columns: what the analyzer reads. Knows no queries; `arrival_queries` runs them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from collector.core.spans import (
    DTYPES,
    NO_STRING,
    STRING_COLUMNS,
    IndexColumn,
    IntColumn,
    Resources,
    Scopes,
    SpanBatch,
    StringTable,
    empty_batch,
)
from collector.store.resources import split_facts

OT_MEMBER = "ot="

_NUMBERS = {
    "trace_id_high": "TraceIdHigh",
    "trace_id_low": "TraceIdLow",
    "span_id": "SpanId",
    "parent_span_id": "ParentSpanId",
    "start_time_unix_nano": "Start",
    "end_time_unix_nano": "End",
    "flags": "Flags",
    "kind": "Kind",
    "status_code": "Status",
    "requirement": "Requirement",
    "outcome": "Outcome",
    "follows_from": "FollowsFrom",
    "http_status": "HttpStatus",
    "rpc_status": "RpcStatus",
    "link_type": "LinkType",
    "link_trace_id_high": "LinkTraceIdHigh",
    "link_trace_id_low": "LinkTraceIdLow",
    "link_span_id": "LinkSpanId",
}
_TEXTS = {name: "".join(word.capitalize() for word in name.split("_")) for name in STRING_COLUMNS}
_ALWAYS_THERE = ("name", "service")

COLUMNS = ("Lane", "Sequence", "toUnixTimestamp64Milli(ArrivedAt) AS ArrivedMs", *_NUMBERS.values(), *_TEXTS.values())
ARRIVAL_SELECT = ", ".join((*COLUMNS, "Resource", "TraceState"))
"""What to select, with `ARRIVAL_SETTINGS`, for `arrivals`."""
ARRIVAL_SETTINGS = "output_format_arrow_low_cardinality_as_dictionary = 1"


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Spans as they arrived, without body; columns of equal length."""

    spans: SpanBatch
    lane: IntColumn
    sequence: IntColumn
    arrived_unix_nano: IntColumn
    ot: tuple[str, ...]
    """By row: the value of tracestate's `ot` member, "" where there is none."""
    ends: Mapping[int, int] = field(default_factory=dict)
    """By lane, how far was read, where that is further than these rows."""
    ends_unix_nano: int = 0
    """Arrival of the newest span up to there."""

    def __len__(self) -> int:
        return len(self.spans)

    def last(self) -> dict[int, int]:
        """Return the highest sequence by lane: a cursor behind these rows."""
        rows = {lane: int(self.sequence[self.lane == lane].max()) for lane in np.unique(self.lane).tolist()}
        return {**rows, **self.ends}


_NOTHING = np.empty(0, np.int64)
NO_ARRIVALS = Arrivals(empty_batch(), _NOTHING, _NOTHING, _NOTHING, ())


def arrivals(table: pa.Table) -> Arrivals:
    """Return the columns of a result of `ARRIVAL_SELECT`.

    Texts come as dictionaries, so that Python looks at each distinct text once and at no row.
    """
    table = table.unify_dictionaries().combine_chunks()
    numbers = {column: _numbers(table, column) for column in ("Lane", "Sequence", *_NUMBERS.values())}
    texts = {column: _dictionary(table, column) for column in (*_TEXTS.values(), "Resource", "TraceState")}
    return arrivals_of(numbers, texts, _numbers(table, "ArrivedMs"))


def arrivals_of(
    numbers: Mapping[str, NDArray[np.generic]],
    texts: Mapping[str, tuple[Sequence[str], NDArray[np.integer]]],
    arrived_ms: NDArray[np.generic],
) -> Arrivals:
    """Return the spans of columns of `span_arrivals`, by name.

    Args:
        texts: the distinct ones, one at least, and by row the position among them.
    """
    strings = StringTable()
    columns: dict[str, NDArray[np.generic]] = {
        name: numbers[column].astype(DTYPES[name], copy=False) for name, column in _NUMBERS.items()
    }
    for name, column in _TEXTS.items():
        distinct, codes = texts[column]
        places = [strings.index(text) if text or name in _ALWAYS_THERE else NO_STRING for text in distinct]
        columns[name] = np.array(places, np.int32)[codes]
    facts, fact_codes = texts["Resource"]
    resources, resource = _resources(columns["service"], facts, fact_codes, strings)
    ot, ot_codes = texts["TraceState"]
    rows = len(arrived_ms)
    zeros = np.zeros(rows, np.int64)
    return Arrivals(
        spans=SpanBatch(
            **columns,  # type: ignore[arg-type]
            resource=resource,
            scope=np.zeros(rows, np.int32),
            at=zeros,
            size=zeros,
            strings=strings.strings(),
            resources=resources,
            scopes=_no_scope(),
            body=b"",
        ),
        lane=numbers["Lane"].astype(np.int64),
        sequence=numbers["Sequence"].astype(np.int64),
        arrived_unix_nano=arrived_ms.astype(np.int64) * 1_000_000,
        ot=tuple(np.array([text.removeprefix(OT_MEMBER) for text in ot], object)[ot_codes].tolist()),
    )


def _numbers(table: pa.Table, column: str) -> NDArray[np.generic]:
    """A column as an array of our own: kernels are compiled for arrays that may be written to."""
    chunks = [np.asarray(chunk) for chunk in table.column(column).chunks]
    return np.concatenate(chunks) if chunks else np.empty(0, np.int64)


def _dictionary(table: pa.Table, column: str) -> tuple[list[str], NDArray[np.integer]]:
    """The distinct texts of a column, and by row the position among them."""
    chunks = table.column(column).chunks
    if not chunks:
        return [""], np.empty(0, np.int32)
    (chunk,) = chunks
    texts = [text.decode(errors="replace") for text in chunk.dictionary.to_pylist()]
    return texts or [""], np.asarray(chunk.indices)


def _resources(
    service: NDArray[np.generic], facts: Sequence[str], fact_codes: NDArray[np.integer], strings: StringTable
) -> tuple[Resources, IndexColumn]:
    """The distinct pairs of a service and what else is known of the resource, and by row which pair it is."""
    pairs = service.astype(np.int64) * len(facts) + fact_codes
    present = np.zeros(int(pairs.max(initial=-1)) + 1, bool)
    present[pairs] = True
    number = (np.cumsum(present) - 1).astype(np.int32)
    distinct = np.flatnonzero(present)
    fact_columns = np.array([_facts(text, strings) for text in facts], np.int32)[distinct % len(facts)]
    count = len(distinct)
    resources = Resources(
        service=(distinct // len(facts)).astype(np.int32),
        host=fact_columns[:, :-1],
        schema_url=np.full(count, NO_STRING, np.int32),
        at=np.zeros(count, np.int64),
        size=np.zeros(count, np.int64),
        version=fact_columns[:, -1],
    )
    return resources, number[pairs]


def _facts(text: str, strings: StringTable) -> list[int]:
    """Positions of the host values and the version."""
    return [strings.index(value) if value else NO_STRING for value in split_facts(text)]


def _no_scope() -> Scopes:
    none = np.full(1, NO_STRING, np.int32)
    zero = np.zeros(1, np.int64)
    return Scopes(name=none, version=none, schema_url=none, at=zero, size=zero)
