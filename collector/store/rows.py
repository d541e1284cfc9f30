"""Rows of `otel_traces` to spans: the columns that a decoder would have made of them.

    SELECT ... -> Arrow table -> DetailedSpans        `lookup` runs the query; a row in full is read by `row_details`

Columns come from attributes by the rules of docs/reference/span-batch.md. Keys are compared as numbers, so that
Python looks only at the values that count.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from collector.core.detail import DetailedSpans, OutlinedSpans
from collector.core.distinct import number_rows
from collector.core.spans import (
    DTYPES,
    HOST_KEYS,
    LINK_RETRY,
    LINKS,
    NO_STRING,
    OUTCOME_INJECTED,
    OUTCOMES,
    REQUIREMENTS,
    IndexColumn,
    IntColumn,
    Resources,
    Scopes,
    SpanBatch,
    StringTable,
)
from collector.store.hexadecimal import ids_of
from collector.store.maps import Maps, chunk, numbers, rows_saying
from collector.store.row_details import Details, Outlines, text_of

_KINDS = pa.array([b"Internal", b"Server", b"Client", b"Producer", b"Consumer"])
_STATUSES = pa.array([b"Ok", b"Error"])
_NUMBERS = (
    *("trace_id_high", "trace_id_low", "span_id", "parent_span_id", "start_time_unix_nano", "end_time_unix_nano"),
    *("flags", "kind", "status_code"),
)
"""Columns of a SpanBatch that `_OF_NUMBERS` say, as other types."""
_OF_NUMBERS = (
    *("TraceId", "SpanId", "ParentSpanId", "Timestamp", "Duration", "EndCorrection", "TraceFlags"),
    *("SpanKind", "StatusCode"),
)
_OF_BATCH = (
    *("SpanName", "ServiceName", "SpanAttributes", "SpanAttributeTypes"),
    *("ResourceAttributes", "ResourceAttributeTypes", "ResourceSchemaUrl"),
    *("ScopeName", "ScopeVersion", "ScopeSchemaUrl"),
    *("Links.TraceId", "Links.SpanId", "Links.Attributes"),
)
_ATTRIBUTES = ("SpanAttributes", "ResourceAttributes")
_EVENT_TIMES = "Events.Timestamp"
_OF_OUTLINES = (_EVENT_TIMES,)
_OF_DETAILS = (
    *("StatusMessage", "TraceState", "ResourceDropped", "ScopeAttributes", "ScopeAttributeTypes", "ScopeDropped"),
    *("DroppedAttributes", "DroppedEvents", "DroppedLinks"),
    *("Events.Name", "Events.Attributes", "Events.AttributeTypes", "Events.Dropped"),
    *("Links.TraceState", "Links.AttributeTypes", "Links.Dropped", "Links.Flags"),
)


def _selected(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


# Columns as they lie: to have the engine make numbers of them takes a third of the time of a query about one trace.
BATCH_SELECT = _selected((*_OF_NUMBERS, *_OF_BATCH))
"""What to select from `otel_traces` for `batch_of`: half of the columns."""
OUTLINE_SELECT = _selected((*_OF_NUMBERS, *_OF_BATCH, *_OF_OUTLINES))
"""What to select from `otel_traces` for `outlined_spans`."""
SPAN_SELECT = _selected((*_OF_NUMBERS, *_OF_BATCH, *_OF_OUTLINES, *_OF_DETAILS))
"""What to select from `otel_traces` for `detailed_spans`."""

_TEXT_KEYS = {
    "journey": (b"cpdd.journey",),
    "peer_service": (b"service.peer.name", b"peer.service"),
    "server_address": (b"server.address", b"net.peer.name"),
    "db_system": (b"db.system.name", b"db.system", b"db.type"),
    "db_namespace": (b"db.namespace", b"db.name", b"db.instance"),
    "messaging_system": (b"messaging.system",),
    "messaging_destination": (b"messaging.destination.name", b"messaging.destination"),
}
_CODE_KEYS = {
    "http_status": (b"http.response.status_code", b"http.status_code"),
    "rpc_status": (b"rpc.grpc.status_code", b"rpc.response.status_code"),
    "requirement": (b"cpdd.call.requirement",),
    "outcome": (b"cpdd.call.outcome", b"response_flags"),
}
"""Attributes that become columns; the first key is preferred."""
_SPAN_KEYS = tuple(key for keys in (*_TEXT_KEYS.values(), *_CODE_KEYS.values()) for key in keys)
_RESOURCE_KEYS = (*(key.encode() for key in HOST_KEYS), b"service.version")
_LINK_TYPE = b"cpdd.link.type"
_REF_TYPE, _FOLLOWS_FROM = b"opentracing.ref_type", b"follows_from"

_GRPC_CODES = (
    *("ok", "cancelled", "unknown", "invalid_argument", "deadline_exceeded", "not_found", "already_exists"),
    *("permission_denied", "resource_exhausted", "failed_precondition", "aborted", "out_of_range"),
    *("unimplemented", "internal", "unavailable", "data_loss", "unauthenticated"),
)
_NO_RPC_STATUS = -1
_MAX_RPC_STATUS = 32_767


def detailed_spans(table: pa.Table) -> DetailedSpans:
    """Return the spans of a result of `SPAN_SELECT`; exact copies are one, copies that differ are apart."""
    table = _without_copies(_with_numbers(_in_one_piece(table)))
    details = Details(table.drop_columns(_NUMBERS))
    return DetailedSpans(_batch(table), details, details.several)


def outlined_spans(table: pa.Table) -> OutlinedSpans | None:
    """Return the spans of a result of `OUTLINE_SELECT`; None where some look like copies, which details tell apart."""
    table = _with_numbers(_in_one_piece(table))
    if len(_alike(table)):
        return None
    return OutlinedSpans(_batch(table), Outlines(table), lambda text: rows_saying(table, text, _ATTRIBUTES))


def batch_of(table: pa.Table) -> SpanBatch:
    """Return the spans of a result of `BATCH_SELECT`; copies are told apart by what is in it."""
    return _batch(_without_copies(_with_numbers(_in_one_piece(table))))


# --- numbers


def _with_numbers(table: pa.Table) -> pa.Table:
    """Put `_NUMBERS` in the place of the columns that say them, and nanoseconds in that of the times of events."""
    trace_id = ids_of(chunk(table, "TraceId"), 2)
    starts = _nanoseconds(chunk(table, "Timestamp"))
    made: dict[str, pa.Array | NDArray[Any]] = {
        "trace_id_high": trace_id[0],
        "trace_id_low": trace_id[1],
        "span_id": ids_of(chunk(table, "SpanId"))[0],
        "parent_span_id": ids_of(chunk(table, "ParentSpanId"))[0],
        "start_time_unix_nano": starts,
        "end_time_unix_nano": _ends(table, starts),
        "flags": chunk(table, "TraceFlags"),
        "kind": _place_among(_KINDS, chunk(table, "SpanKind")),
        "status_code": _place_among(_STATUSES, chunk(table, "StatusCode")),
    }
    if _EVENT_TIMES in table.column_names:
        times = chunk(table, _EVENT_TIMES)
        inside = _nanoseconds(times.flatten())
        offsets = pa.array(numbers(times.offsets) - times.offsets[0].as_py(), pa.int32())
        made[_EVENT_TIMES] = pa.ListArray.from_arrays(offsets, inside)
        table = table.drop_columns(_EVENT_TIMES)
    table = table.drop_columns(_OF_NUMBERS)
    for name, column in made.items():
        table = table.append_column(name, column if isinstance(column, pa.Array) else pa.array(column))
    return table


def _nanoseconds(times: pa.Array) -> pa.Array:
    return times.cast(pa.timestamp("ns", times.type.tz)).view(pa.int64())


def _ends(table: pa.Table, starts: pa.Array) -> IntColumn:
    """The ends of spans, as the alias `EndUnixNano` of the table has them."""
    durations, corrections = numbers(chunk(table, "Duration")), numbers(chunk(table, "EndCorrection"))
    ends: IntColumn = numbers(starts) + durations.view(np.int64) + corrections
    return ends


def _place_among(names: pa.Array, texts: pa.Array) -> pa.Array:
    """Where each text stands among the names, from 1; 0 for another."""
    return pc.add(pc.fill_null(pc.index_in(texts, value_set=names), -1), 1)


# --- copies


def _in_one_piece(table: pa.Table) -> pa.Table:
    return table if all(column.num_chunks == 1 for column in table.columns) else table.combine_chunks()


def _without_copies(table: pa.Table) -> pa.Table:
    """Drop all but the first of rows that are equal in everything; who sends again sends the same."""
    alike = _alike(table)
    if not len(alike):
        return table
    seen: set[str] = set()
    dropped = []
    for row in alike.tolist():
        content = repr(table.slice(row, 1).to_pylist())
        if content in seen:
            dropped.append(row)
        seen.add(content)
    return table.take(np.delete(np.arange(table.num_rows), dropped)).combine_chunks()


def _alike(table: pa.Table) -> IntColumn:
    """The rows that share trace, id and kind with another."""
    identity = [numbers(chunk(table, name)) for name in ("trace_id_high", "trace_id_low", "span_id", "kind")]
    order = np.lexsort(identity)
    repeated = np.ones(max(len(order) - 1, 0), bool)
    for column in identity:
        repeated &= column[order[1:]] == column[order[:-1]]
    found = np.flatnonzero(np.concatenate([repeated, [False]]) | np.concatenate([[False], repeated]))
    return np.sort(order[found])


# --- columns


def _batch(table: pa.Table) -> SpanBatch:
    rows = table.num_rows
    strings = StringTable()
    columns: dict[str, NDArray[np.generic]] = {
        name: numbers(chunk(table, name)).astype(DTYPES[name]) for name in _NUMBERS
    }
    texts = _Texts(table, strings)
    columns["name"], columns["service"] = texts.column("SpanName"), texts.column("ServiceName")
    attributes = Maps(table, "SpanAttributes", "SpanAttributeTypes", _SPAN_KEYS)
    for name, keys in _TEXT_KEYS.items():
        columns[name] = _text_column(attributes, keys, strings)
    for name, keys in _CODE_KEYS.items():
        columns[name] = _code_column(
            attributes, {key: _READERS.get(key, _CODE_READERS[name]) for key in keys}, _ABSENT[name]
        ).astype(DTYPES[name])
    columns["follows_from"] = _follows_from(table)
    columns |= _first_links(table)
    resources, columns["resource"] = _resources(table, columns["service"], texts, strings)
    scopes, columns["scope"] = _scopes(texts)
    columns["at"] = columns["size"] = np.zeros(rows, np.int64)
    return SpanBatch(
        **columns,  # type: ignore[arg-type]
        strings=strings.strings(),
        resources=resources,
        scopes=scopes,
        body=b"",
    )


def _text_column(attributes: Maps, keys: Sequence[bytes], strings: StringTable) -> IndexColumn:
    column = np.full(attributes.rows, NO_STRING, np.int32)
    for key in attributes.among(reversed(keys)):
        rows, which, values = attributes.values(key)
        indices = [strings.index(text) if letter == "s" and text else NO_STRING for letter, text in values]
        _put_first(column, rows, np.array(indices, np.int32)[which], NO_STRING)
    return column


def _code_column(
    attributes: Maps, readers: Mapping[bytes, Callable[[str, str], int | None]], absent: int
) -> NDArray[np.int64]:
    column = np.full(attributes.rows, absent, np.int64)
    for key in attributes.among(reversed(list(readers))):
        rows, which, values = attributes.values(key)
        read = readers[key]
        codes = [absent if (code := read(letter, text)) is None else code for letter, text in values]
        _put_first(column, rows, np.array(codes, np.int64)[which], absent)
    return column


def _put_first(column: NDArray[np.integer], rows: IntColumn, values: NDArray[np.integer], absent: int) -> None:
    """Write values that are not absent; of several for one row the first."""
    there = values != absent
    column[rows[there][::-1]] = values[there][::-1]


def _http_status(letter: str, text: str) -> int | None:
    code = _whole(letter, text)
    return code if code is not None and 100 <= code <= 999 else None


def _rpc_status(letter: str, text: str) -> int | None:
    if letter == "s" and text in (text.lower(), text.upper()) and text.lower() in _GRPC_CODES:
        return _GRPC_CODES.index(text.lower())
    code = _whole(letter, text)
    return code if code is not None and 0 <= code <= _MAX_RPC_STATUS else None


def _whole(letter: str, text: str) -> int | None:
    """The number of an integer attribute, or that one to five digits spell."""
    if letter == "i":
        return int(text)
    return int(text) if letter == "s" and len(text) <= 5 and text.isascii() and text.isdigit() else None


def _one_of(names: Sequence[str]) -> Callable[[str, str], int | None]:
    return lambda letter, text: names.index(text) if letter == "s" and text and text in names else None


def _injected(letter: str, text: str) -> int | None:
    """Envoy's flags, of which FI and DI are an injected fault and delay."""
    return OUTCOME_INJECTED if letter == "s" and {"FI", "DI"} & set(text.split(",")) else None


_CODE_READERS = {
    "http_status": _http_status,
    "rpc_status": _rpc_status,
    "requirement": _one_of(REQUIREMENTS),
    "outcome": _one_of(OUTCOMES),
}
_READERS = {b"response_flags": _injected}
"""Of keys whose values are not those of their column."""
_ABSENT = {"http_status": 0, "rpc_status": _NO_RPC_STATUS, "requirement": 0, "outcome": 0}


def _follows_from(table: pa.Table) -> NDArray[np.uint8]:
    """1 where a link leads to the parent as FOLLOWS_FROM."""
    column = np.zeros(table.num_rows, np.uint8)
    links = chunk(table, "Links.SpanId")
    for row in np.flatnonzero(np.diff(numbers(links.offsets))).tolist():
        parent = f"{table.column('parent_span_id')[row].as_py():016x}".encode()
        trace = "".join(
            f"{table.column(name)[row].as_py():016x}" for name in ("trace_id_high", "trace_id_low")
        ).encode()
        column[row] = any(
            (trace_id, span_id) == (trace, parent) and dict(attributes).get(_REF_TYPE) == _FOLLOWS_FROM
            for trace_id, span_id, attributes in zip(
                *(table.column(name)[row].as_py() for name in ("Links.TraceId", "Links.SpanId", "Links.Attributes")),
                strict=True,
            )
        )
    return column


def _first_links(table: pa.Table) -> dict[str, NDArray[np.generic]]:
    """The link that counts of each span: the first with a `cpdd.link.type` we know, else the first."""
    ids = np.zeros((3, table.num_rows), np.uint64)
    types = np.zeros(table.num_rows, np.int8)
    links = chunk(table, "Links.SpanId")
    for row in np.flatnonzero(np.diff(numbers(links.offsets))).tolist():
        found = zip(
            *(table.column(name)[row].as_py() for name in ("Links.TraceId", "Links.SpanId", "Links.Attributes")),
            strict=True,
        )
        for trace_id, span_id, attributes in found:
            kind = _link_type(attributes)
            usable = len(trace_id) == 32 and len(span_id) == 16 and span_id.strip(b"0")
            if usable and kind > types[row]:
                types[row] = kind
                ids[:, row] = [int(text, 16) for text in (trace_id[:16], trace_id[16:], span_id)]
            if types[row] >= LINK_RETRY:
                break
    names = ("link_trace_id_high", "link_trace_id_low", "link_span_id")
    return {"link_type": types, **dict(zip(names, ids, strict=True))}


def _link_type(attributes: Sequence[tuple[bytes, bytes]]) -> int:
    named = [text_of(text) for key, text in attributes if key == _LINK_TYPE]
    return next((LINKS.index(text) for text in named if text in LINKS[LINK_RETRY:]), LINKS.index("link"))


def _resources(
    table: pa.Table, service: NDArray[np.generic], texts: "_Texts", strings: StringTable
) -> tuple[Resources, NDArray[np.int32]]:
    """The distinct resources as far as columns tell them apart, and by row which it is."""
    attributes = Maps(table, "ResourceAttributes", "ResourceAttributeTypes", _RESOURCE_KEYS)
    hosts = [_text_column(attributes, (key,), strings) for key in _RESOURCE_KEYS]
    schema_url = texts.column("ResourceSchemaUrl", absent=True)
    distinct, number = _distinct([service.astype(np.int32), schema_url, *hosts])
    nowhere = np.zeros(len(distinct), np.int64)
    return Resources(distinct[:, 0], distinct[:, 2:-1], distinct[:, 1], nowhere, nowhere, distinct[:, -1]), number


def _scopes(texts: "_Texts") -> tuple[Scopes, NDArray[np.int32]]:
    columns = [texts.column(name, absent=True) for name in ("ScopeName", "ScopeVersion", "ScopeSchemaUrl")]
    distinct, number = _distinct(columns)
    nowhere = np.zeros(len(distinct), np.int64)
    return Scopes(distinct[:, 0], distinct[:, 1], distinct[:, 2], nowhere, nowhere), number


def _distinct(columns: Sequence[IndexColumn]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The distinct rows of columns, shape (d, columns), and by row which it is."""
    example, number = number_rows(columns)
    return np.stack(columns, axis=1)[example], number.astype(np.int32)


class _Texts:
    """Columns of texts, all of which are looked through together."""

    NAMES = ("SpanName", "ServiceName", "ResourceSchemaUrl", "ScopeName", "ScopeVersion", "ScopeSchemaUrl")

    def __init__(self, table: pa.Table, strings: StringTable) -> None:
        encoded = pa.concat_arrays([chunk(table, name) for name in self.NAMES]).dictionary_encode()
        self._texts = [text_of(text) for text in encoded.dictionary.to_pylist()]
        self._codes = numbers(encoded.indices).reshape(len(self.NAMES), table.num_rows)
        self._strings = strings

    def column(self, name: str, absent: bool = False) -> IndexColumn:
        """Return positions of a column's texts in `strings`; "" is absent if `absent` says so."""
        codes = self._codes[self.NAMES.index(name)]
        positions = np.full(len(self._texts), NO_STRING, np.int32)
        for code in dict.fromkeys(codes.tolist()):
            text = self._texts[code]
            if text or not absent:
                positions[code] = self._strings.index(text)
        column: IndexColumn = positions[codes]
        return column
