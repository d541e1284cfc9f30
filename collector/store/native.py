"""Blocks that ClickHouse takes as they are, straight from OTLP bytes: what the receivers hand to the committer.

    OTLP bytes --decode_traces--> SpanBatch --encode--> EncodedBatch --Committer--> INSERT ... FORMAT Native

A group's insert is its blocks put one behind the other. The bytes are walked and written by kernels; here are the
columns, the arrays between the kernels, and the few texts that Python makes: doubles, arrays and maps.
"""

import json
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np
from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped]
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy.typing import NDArray
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from collector.core.kernels import load
from collector.core.kernels import native_layout as layout
from collector.core.spans import DTYPES, NO_STRING, STRING_COLUMNS, SpanBatch
from collector.store.hexadecimal import numbers_of
from collector.store.native_room import Room
from collector.store.resources import join_facts
from cpdd.errors import CpddError

Buffer: TypeAlias = bytes | memoryview

_TEXT = "LowCardinality(String)"
_MAP = "Map(LowCardinality(String), String)"

SPAN_COLUMNS: tuple[tuple[str, str], ...] = (
    ("Timestamp", "DateTime64(9)"),
    ("TraceId", "String"),
    ("SpanId", "String"),
    ("ParentSpanId", "String"),
    ("TraceState", "String"),
    ("SpanName", _TEXT),
    ("SpanKind", _TEXT),
    ("ServiceName", _TEXT),
    ("ResourceAttributes", _MAP),
    ("ScopeName", "String"),
    ("ScopeVersion", "String"),
    ("SpanAttributes", _MAP),
    ("Duration", "UInt64"),
    ("StatusCode", _TEXT),
    ("StatusMessage", "String"),
    ("Events.Timestamp", "Array(DateTime64(9))"),
    ("Events.Name", f"Array({_TEXT})"),
    ("Events.Attributes", f"Array({_MAP})"),
    ("Events.AttributeTypes", f"Array({_TEXT})"),
    ("Events.Dropped", "Array(UInt32)"),
    ("Links.TraceId", "Array(String)"),
    ("Links.SpanId", "Array(String)"),
    ("Links.TraceState", "Array(String)"),
    ("Links.Attributes", f"Array({_MAP})"),
    ("Links.AttributeTypes", f"Array({_TEXT})"),
    ("Links.Dropped", "Array(UInt32)"),
    ("Links.Flags", "Array(UInt32)"),
    ("EndCorrection", "Int64"),
    ("TraceFlags", "UInt32"),
    ("SpanAttributeTypes", _TEXT),
    ("ResourceAttributeTypes", _TEXT),
    ("ScopeAttributeTypes", _TEXT),
    ("ScopeAttributes", _MAP),
    ("DroppedAttributes", "UInt32"),
    ("DroppedEvents", "UInt32"),
    ("DroppedLinks", "UInt32"),
    ("ResourceDropped", "UInt32"),
    ("ScopeDropped", "UInt32"),
    ("ResourceSchemaUrl", _TEXT),
    ("ScopeSchemaUrl", _TEXT),
)
"""Columns of otel_traces in a block, in order: name and type."""

TIMES_COLUMNS: tuple[tuple[str, str], ...] = (("TraceId", "String"), ("Start", "DateTime"), ("End", "DateTime"))
"""Columns of otel_traces_trace_id_ts in a block that the commit has not stamped yet."""

_SHELF_COLUMN = ("Shelf", "UInt64")

SHELVED_SPAN_COLUMNS = (_SHELF_COLUMN, *SPAN_COLUMNS)
"""Columns of otel_traces in what `shelved_spans` returns."""

STAMPED_TIMES_COLUMNS = (*TIMES_COLUMNS, ("IngestedAt", "DateTime"), _SHELF_COLUMN)
"""Columns of otel_traces_trace_id_ts in a block of `stamped_times`."""

_COMMITTED_COLUMNS = (("Lane", "UInt32"), ("Sequence", "UInt64"), ("ArrivedAt", "DateTime64(3)"))
NUMBER_COLUMNS = (
    ("TraceIdHigh", "UInt64", "trace_id_high"),
    ("TraceIdLow", "UInt64", "trace_id_low"),
    ("SpanId", "UInt64", "span_id"),
    ("ParentSpanId", "UInt64", "parent_span_id"),
    ("Start", "Int64", "start_time_unix_nano"),
    ("End", "Int64", "end_time_unix_nano"),
    ("Flags", "UInt32", "flags"),
    ("Kind", "Int8", "kind"),
    ("Status", "Int8", "status_code"),
    ("Requirement", "Int8", "requirement"),
    ("Outcome", "Int8", "outcome"),
    ("FollowsFrom", "UInt8", "follows_from"),
    ("HttpStatus", "Int16", "http_status"),
    ("RpcStatus", "Int16", "rpc_status"),
    ("LinkType", "Int8", "link_type"),
    ("LinkTraceIdHigh", "UInt64", "link_trace_id_high"),
    ("LinkTraceIdLow", "UInt64", "link_trace_id_low"),
    ("LinkSpanId", "UInt64", "link_span_id"),
)
TEXT_COLUMNS = tuple(
    (name, _TEXT)
    for name in (
        "Name",
        "Service",
        "Journey",
        "PeerService",
        "ServerAddress",
        "DbSystem",
        "DbNamespace",
        "MessagingSystem",
        "MessagingDestination",
        "Resource",
        "TraceState",
    )
)
ARRIVAL_COLUMNS: tuple[tuple[str, str], ...] = (
    *_COMMITTED_COLUMNS,
    *((name, type_name) for name, type_name, _ in NUMBER_COLUMNS),
    *TEXT_COLUMNS,
)
"""Columns of span_arrivals in a block. `TraceState` holds the whole member, `ot=th:8`."""

SPAN_KINDS = ("Unspecified", "Internal", "Server", "Client", "Producer", "Consumer")
"""Names of the kinds in otel_traces, by OTLP's number."""
STATUS_CODES = ("Unset", "Ok", "Error")
"""Names of the status codes in otel_traces, by OTLP's number."""

MAX_BLOCK_BYTES = 1 << 29
"""Every span repeats the attributes of its resource, so a small hostile body can ask for a huge block."""

_MAX_BODY_BYTES = 2**31 - 1
_BYTES_PER_WORK = 32
_PADDING = bytes(8)
"""Behind texts that kernels copy: they read whole words."""
_LOW_CARDINALITY_VERSION = (1).to_bytes(8, "little")
_OWN_DICTIONARY = (0x600).to_bytes(8, "little")
"""Indexes of one byte into texts that the block itself brings."""
_NO_TEXTS = (bytes(8), np.zeros(1, np.int64))
_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}

_room = Room()
_SEED = secrets.randbits(62)
"""Of the hash tables: whoever prepares texts that collide does not know it. No output depends on it."""


class BlockTooLarge(CpddError):
    """The spans of one batch would become a larger block than memory is there for."""

    def __init__(self, rows: int, size: int, max_bytes: int) -> None:
        self.rows = rows
        self.size = size
        self.max_bytes = max_bytes
        super().__init__(
            f"block too large: {rows} spans would take {size} bytes, {max_bytes} may\n"
            "hint: each span repeats its resource's attributes; send fewer spans in a request"
        )


class UnreadableBatch(CpddError):
    """The body of a batch is not what its columns say; a batch of `decode_traces` is never so."""

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(f"unreadable batch: {problem}\nhint: were the columns made of this body, by decode_traces?")


@dataclass(frozen=True, slots=True)
class EncodedBatch:
    """The spans of one request, ready to insert."""

    rows: int
    spans: bytes
    """A block of otel_traces; empty when there are no rows, likewise below."""
    times: bytes
    """A block of otel_traces_trace_id_ts, a row for each trace."""
    arrivals: bytes
    """Columns of span_arrivals that are known before the commit, without the head of a block: see `arrivals_block`."""


def encode(batch: SpanBatch, max_bytes: int = MAX_BLOCK_BYTES) -> EncodedBatch:
    """Return the blocks for a batch's spans, in its order.

    Work: linear in the bytes of the batch and of the blocks.
    Raises:
        BlockTooLarge: the block of otel_traces, or what is needed to make it, would exceed `max_bytes`.
        UnreadableBatch: the body is not the one that the columns were made of.
    """
    if not len(batch.span_id):
        return EncodedBatch(0, b"", b"", b"")
    if len(batch.body) > _MAX_BODY_BYTES:
        raise BlockTooLarge(len(batch), len(batch.body), _MAX_BODY_BYTES)
    return encode_with(load("native", len(batch.span_id) + len(batch.body) // _BYTES_PER_WORK), batch, max_bytes)


def encode_with(kernels: ModuleType, batch: SpanBatch, max_bytes: int) -> EncodedBatch:
    """Do the work of `encode` for a batch that has spans, with the given copy of the kernels."""
    hosts, host_of = _hosts(batch)
    messages = _messages(kernels, batch, host_of)
    texts = _texts(kernels, batch.strings + hosts, len(batch.span_id))
    found = _find(kernels, batch, messages, texts, max_bytes)
    spans, texts_of_arrivals, times = _write(kernels, batch, found, max_bytes)
    _room.tidy()
    return EncodedBatch(
        rows=len(batch.span_id),
        spans=spans,
        times=times,
        arrivals=b"".join([*_numbers_of_arrivals(batch), texts_of_arrivals]),
    )


def arrivals_block(arrivals: bytes, rows: int, lane: int, first_sequence: int, arrived_at_unix_milli: int) -> bytes:
    """Return the block of span_arrivals for the `arrivals` of `rows` spans, `Sequence` rising by one a row."""
    if not rows:
        return b""
    columns: tuple[NDArray[np.generic], ...] = (
        np.full(rows, lane, np.uint32),
        np.arange(first_sequence, first_sequence + rows, dtype=np.uint64),
        np.full(rows, arrived_at_unix_milli, np.int64),
    )
    parts = [_varint(len(ARRIVAL_COLUMNS)), _varint(rows)]
    for (name, type_name), column in zip(_COMMITTED_COLUMNS, columns, strict=True):
        parts += (_head(name, type_name), column.tobytes())
    return b"".join([*parts, arrivals])


@dataclass(frozen=True, slots=True)
class ArrivalColumn:
    """A column of `EncodedBatch.arrivals`, by row."""

    name: str
    values: NDArray[np.generic]
    """Numbers, or positions among `texts`."""
    texts: list[str] | None = None


def read_arrivals(arrivals: bytes, rows: int) -> Iterator[ArrivalColumn]:
    """Yield the columns of the `arrivals` of `rows` spans, one at least; the numbers are views."""
    at = 0
    for head, name, dtype in _READ_NUMBERS:
        at += len(head)
        yield ArrivalColumn(name, np.frombuffer(arrivals, dtype, rows, at))
        at += rows * dtype.itemsize
    for head, name in _READ_TEXTS:
        at += len(head)
        width = np.dtype(f"<u{1 << arrivals[at]}")
        count = int.from_bytes(arrivals[at + 8 : at + 16], "little")
        at += 16
        texts = []
        for _ in range(count):
            size, at = _read_varint(arrivals, at)
            texts.append(arrivals[at : at + size].decode(errors="replace"))
            at += size
        at += 8
        yield ArrivalColumn(name, np.frombuffer(arrivals, width, rows, at), texts)
        at += rows * width.itemsize


@dataclass(frozen=True, slots=True)
class TraceTimes:
    """Rows of otel_traces_trace_id_ts, columns of equal length."""

    trace_ids: NDArray[np.uint64]
    """Shape (2, rows): the high and the low half."""
    first_s: NDArray[np.uint32]
    """The first start of a span, Unix time in s."""
    last_s: NDArray[np.uint32]
    """The last one."""


def read_times(blocks: Iterable[bytes]) -> TraceTimes:
    """Return the rows of `EncodedBatch.times`, one block behind the other."""
    columns: list[list[bytes]] = [[] for _ in TIMES_COLUMNS]
    for block in filter(None, blocks):
        rows, at = _read_varint(block, 1)
        for parts, (head, width) in zip(columns, _READ_TIMES, strict=True):
            at += head
            parts.append(block[at : at + rows * width])
            at += rows * width
    ids, first_s, last_s = (b"".join(parts) for parts in columns)
    digits = np.frombuffer(ids, np.uint8).reshape(-1, _ID_WIDTH)[:, 1:]
    return TraceTimes(numbers_of(digits), np.frombuffer(first_s, "<u4"), np.frombuffer(last_s, "<u4"))


def shelved_spans(spans: bytes, rows: int, shelf: int) -> tuple[Buffer, ...]:
    """Return a block of otel_traces whose `rows` spans lie on `shelf`, in parts: most of it is not copied."""
    if not spans:
        return ()
    counts = _varint(rows)
    head = _varint(len(SHELVED_SPAN_COLUMNS)) + counts + _SHELF_HEAD
    return head, np.full(rows, shelf, np.uint64).tobytes(), memoryview(spans)[1 + len(counts) :]


def stamped_times(times: bytes, ingested_at_unix_s: int, shelf: int) -> bytes:
    """Return a block of otel_traces_trace_id_ts that says when its rows came, by the clock of `arrivals_block`, and
    on which shelf their spans lie.
    """
    if not times:
        return b""
    rows, _ = _read_varint(times, 1)
    stamps = np.full(rows, ingested_at_unix_s, np.uint32).tobytes()
    shelves = np.full(rows, shelf, np.uint64).tobytes()
    head = _varint(len(STAMPED_TIMES_COLUMNS))
    return b"".join([head, times[1:], _INGESTED_HEAD, stamps, _SHELF_HEAD, shelves])


# --- what the kernels do


def _find(kernels: ModuleType, batch: SpanBatch, messages: Any, texts: Any, max_bytes: int) -> Any:
    """Return what the messages hold; looks again with more room where there was too little."""
    rows, resources, scopes = len(batch.span_id), len(batch.resources), len(batch.scopes)
    while True:
        records = kernels.Records(*_room.records(rows, resources, scopes))
        lists, dictionaries = kernels.Lists(*_room.lists()), kernels.Dictionaries(*_room.dictionaries())
        outcome, row = kernels.find(batch.body, _SEED, messages, texts, records, lists, dictionaries)
        if outcome == kernels.FOUND:
            break
        if row == kernels.NO_ROW:
            raise UnreadableBatch("a span leads to a string, a resource or a scope that does not exist")
        if outcome != kernels.NO_ROOM:
            raise UnreadableBatch(f"row {row} does not lead to a message that can be read (code {outcome})")
        if (size := _room.enlarge(max_bytes)) > max_bytes:
            raise BlockTooLarge(rows, size, max_bytes)
    rare = kernels.RareTexts(*_rare_texts(batch.body, _room.rare()))
    return kernels.Found(
        messages, texts, records, lists, dictionaries, rare, _shared(kernels, resources + scopes, rows)
    )


def _rare_texts(body: bytes, rare: NDArray[np.int32]) -> tuple[bytes, NDArray[np.int64]]:
    """Return the texts of the values that kernels leave to Python, and where each begins."""
    if not rare.shape[1]:
        return _NO_TEXTS
    letters, ats, sizes = rare[layout.RARE_LETTER].tolist(), rare[layout.RARE_AT], rare[layout.RARE_SIZE].tolist()
    doubles = iter(_double_texts(body, ats[rare[layout.RARE_LETTER] == layout.DOUBLE]))
    texts = []
    for letter, at, size in zip(letters, ats.tolist(), sizes, strict=True):
        texts.append(next(doubles) if letter == layout.DOUBLE else _nested_text(body[at : at + size]))
    return _joined(texts)


def _double_texts(body: bytes, ats: NDArray[np.int32]) -> list[str]:
    """Return the shortest texts that read back as the doubles at `ats`; what is no number as OTLP/JSON spells it."""
    words = np.frombuffer(body, np.uint8)[ats[:, None] + np.arange(8)]
    return [_NOT_FINITE.get(text, text) for text in map(repr, words.view("<f8").ravel().tolist())]


def _nested_text(key_value: bytes) -> str:
    """Return the value of a KeyValue as compact OTLP/JSON."""
    try:
        value = KeyValue.FromString(key_value).value
    except DecodeError as error:
        raise UnreadableBatch(f"an attribute is no KeyValue: {error}") from None
    return json.dumps(MessageToDict(value), ensure_ascii=False, separators=(",", ":"))


def _shared(kernels: ModuleType, sharers: int, rows: int) -> Any:
    return kernels.Shared(
        sizes=np.empty((2, sharers), np.int64),
        stored_at=np.empty((2, sharers), np.int64),
        taken=np.empty(rows, np.int32),
        slots=np.empty(1 << (2 * rows).bit_length(), np.int32),
        traces=np.empty((3, rows), np.int64),
    )


def _write(kernels: ModuleType, batch: SpanBatch, found: Any, max_bytes: int) -> tuple[bytes, bytes, bytes]:
    """Return the block of otel_traces, the text columns of span_arrivals, the block of otel_traces_trace_id_ts."""
    heads = [kernels.Heads(*of_table) for of_table in (_SPAN_HEADS, _TEXT_HEADS, _TIMES_HEADS)]
    out = _room.out(0)
    spans, arrivals, times, written = kernels.write(out, batch.body, _SEED, found, *heads)
    if spans > max_bytes:
        raise BlockTooLarge(len(batch), spans, max_bytes)
    if not written:
        out = _room.out(spans + arrivals + times + kernels.SLACK)
        spans, arrivals, times, written = kernels.write(out, batch.body, _SEED, found, *heads)
    assert written == spans + arrivals + times, f"{len(batch)} rows: {spans}, {arrivals}, {times} became {written}"
    return out[:spans].tobytes(), out[spans : spans + arrivals].tobytes(), out[spans + arrivals : written].tobytes()


def _numbers_of_arrivals(batch: SpanBatch) -> Iterator[bytes]:
    """Yield the columns of span_arrivals that are columns of the batch, each behind its head."""
    for head, name in _NUMBER_HEADS:
        yield head
        yield getattr(batch, name).astype(DTYPES[name], copy=False).tobytes()


# --- what the kernels read


def _messages(kernels: ModuleType, batch: SpanBatch, host_of: NDArray[np.int32]) -> Any:
    """Return where the batch's messages are and what its columns say, in arrays that always have the same types.

    Columns become the rows of one array; unsigned numbers become those with the same bits.
    """
    resources, scopes = batch.resources, batch.scopes
    numbers = (batch.resource, batch.scope, batch.flags, batch.kind, batch.status_code)
    texts = (getattr(batch, name) for name in STRING_COLUMNS)
    ids = (batch.trace_id_high, batch.trace_id_low, batch.span_id, batch.parent_span_id)
    places = (batch.start_time_unix_nano, batch.end_time_unix_nano, batch.at, batch.size)
    return kernels.Messages(
        ints=np.array((*numbers, *texts), np.int32),
        longs=np.array((*ids, *places), np.int64),
        resources=np.array((resources.at, resources.size, resources.schema_url, host_of), np.int32),
        scopes=np.array((scopes.at, scopes.size, scopes.schema_url, scopes.name, scopes.version), np.int32),
    )


def _hosts(batch: SpanBatch) -> tuple[tuple[str, ...], NDArray[np.int32]]:
    """Return texts of hosts and versions, and for each resource which of them, behind the batch's strings, is its."""
    found: dict[str, int] = {}
    host_of = np.full(len(batch.resources), NO_STRING, np.int32)
    facts = np.column_stack([batch.resources.host, batch.resources.version])
    for row, values in enumerate(facts.tolist()):
        if text := join_facts([batch.text(position) for position in values]):
            host_of[row] = found.setdefault(text, len(batch.strings) + len(found))
    return tuple(found), host_of


def _texts(kernels: ModuleType, strings: Sequence[str], rows: int) -> Any:
    text, ends = _joined(strings)
    return kernels.Texts(
        text,
        ends,
        numbers=np.empty((layout.TEXTS, rows), np.int32),
        seen=np.empty(len(strings), np.int32),
        order=np.empty((layout.TEXTS, min(len(strings), rows) + 1), np.int32),
        counts=np.empty(layout.TEXTS, np.int64),
    )


def _joined(strings: Sequence[str]) -> tuple[bytes, NDArray[np.int64]]:
    """Return the strings in UTF-8 one behind the other, and where each begins and the last ends."""
    joined = "".join(strings)
    text = joined.encode()
    parts = strings if len(text) == len(joined) else [string.encode() for string in strings]
    ends = np.zeros(len(strings) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, parts), np.int64, len(strings)), out=ends[1:])
    return text + _PADDING, ends


def _heads(
    columns: Sequence[tuple[str, str]], dictionaries: dict[str, Sequence[str]]
) -> tuple[bytes, NDArray[np.int64]]:
    """Return what stands before the values of each column; for those in `dictionaries` that is the texts, too."""
    heads = [_head(name, type_name) + _dictionary(dictionaries.get(name, ())) for name, type_name in columns]
    return b"".join(heads) + _PADDING, np.array([0, *accumulate(map(len, heads))], np.int64)


def _head(name: str, type_name: str) -> bytes:
    version = _LOW_CARDINALITY_VERSION if "LowCardinality" in type_name else b""
    return _string(name) + _string(type_name) + version


def _dictionary(texts: Sequence[str]) -> bytes:
    if not texts:
        return b""
    return _OWN_DICTIONARY + len(texts).to_bytes(8, "little") + b"".join(map(_string, texts))


def _string(text: str) -> bytes:
    return _varint(len(text)) + text.encode()


def _varint(value: int) -> bytes:
    groups = bytearray()
    while value >= 0x80:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    """Return a number and where it ends."""
    value, shift = data[at] & 0x7F, 7
    while data[at] >= 0x80:
        at += 1
        value |= (data[at] & 0x7F) << shift
        shift += 7
    return value, at + 1


_SPAN_HEADS = _heads(SPAN_COLUMNS, {"SpanKind": SPAN_KINDS, "StatusCode": STATUS_CODES})
_TIMES_HEADS = _heads(TIMES_COLUMNS, {})
_ID_WIDTH = 33
"""A trace id's size, and its digits."""
_READ_TIMES = tuple(
    (len(_head(*column)), width) for column, width in zip(TIMES_COLUMNS, (_ID_WIDTH, 4, 4), strict=True)
)
"""Of each column the size of its head, and of a value."""
_INGESTED_HEAD = _head("IngestedAt", "DateTime")
_SHELF_HEAD = _head(*_SHELF_COLUMN)
_TEXT_HEADS = _heads(TEXT_COLUMNS, {})
_NUMBER_HEADS = tuple((_head(name, type_name), column) for name, type_name, column in NUMBER_COLUMNS)
_READ_NUMBERS = tuple((_head(*column[:2]), column[0], np.dtype(DTYPES[column[2]])) for column in NUMBER_COLUMNS)
_READ_TEXTS = tuple((_head(name, type_name), name) for name, type_name in TEXT_COLUMNS)
