"""Blocks of spans: what the engine reads from them is what the protobuf runtime reads from the request."""

import gzip
import importlib
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from clickhouse_connect.driver.client import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collector.core.kernels.messages import MAX_DEPTH
from collector.core.spans import SpanBatch, concatenate, empty_batch
from collector.core.wire import decode_traces
from collector.store import native
from collector.store.engine import open_store
from collector.store.schema import Retention
from tests.store.native_requests import NOON, field, odd_requests, requests
from tests.store.reference_rows import (
    Row,
    arrival_rows,
    in_order,
    insert,
    requests_of,
    span_rows,
    stored_rows,
    times_rows,
)

DATA = Path(__file__).parents[2] / "../shared/data/otlp"
TABLES = {
    "otel_traces": native.SPAN_COLUMNS,
    "otel_traces_trace_id_ts": native.TIMES_COLUMNS,
    "span_arrivals": native.ARRIVAL_COLUMNS,
}
LANE, SEQUENCE, ARRIVED_AT = 7, 2**53 + 1, 1_760_000_400_123


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    """From here on `encode` runs compiled; plain kernels are compared with it in test_native_kernels."""
    importlib.import_module("collector.core.kernels.decode")
    importlib.import_module("collector.core.kernels.native")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """The real engine with the real tables, and their twins in memory, which cost no file for each of many inserts."""
    for_ever = Retention(0, 0, 0)
    with open_store("chdb://", tmp_path_factory.mktemp("native"), for_ever) as store, store.client() as client:
        client.command("CREATE DATABASE memory")
        for table in TABLES:
            client.command(f"CREATE TABLE memory.{table} AS {table} ENGINE = Memory")
        yield client


def stored(client: Client, *batches: SpanBatch, database: str = "memory") -> dict[str, list[Row]]:
    """Encode, insert together and read back, by table."""
    blocks: dict[str, list[bytes]] = {table: [] for table in TABLES}
    for batch in batches:
        encoded = native.encode(batch)
        arrivals = native.arrivals_block(encoded.arrivals, encoded.rows, LANE, SEQUENCE, ARRIVED_AT)
        for table, block in zip(TABLES, (encoded.spans, encoded.times, arrivals), strict=True):
            blocks[table].append(block)
    found = {}
    for table, columns in TABLES.items():
        place = f"{database}.{table}"
        client.command(f"TRUNCATE TABLE {place}")
        if body := b"".join(blocks[table]):
            insert(client, place, columns, body)
        found[table] = stored_rows(client, place, columns)
    return found


def expected(batch: SpanBatch, body: bytes) -> dict[str, list[Row]]:
    arrivals = arrival_rows(batch, body, LANE, SEQUENCE, ARRIVED_AT)
    return {"otel_traces": span_rows(body), "otel_traces_trace_id_ts": times_rows(body), "span_arrivals": arrivals}


def check(client: Client, *bodies: bytes, database: str = "memory") -> None:
    decoded = [decode_traces(body) for body in bodies]
    assert [rejections.count for _, rejections in decoded] == [0] * len(bodies)
    batches = [batch for batch, _ in decoded]

    found = stored(client, *batches, database=database)

    wanted = [expected(batch, body) for batch, body in zip(batches, bodies, strict=True)]
    for table in TABLES:
        assert in_order(found[table]) == in_order(row for rows in wanted for row in rows[table])


def request_of(spans: list[Span], *resource: KeyValue) -> bytes:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.extend(resource)
    group.scope_spans.add().spans.extend(spans)
    encoded: bytes = request.SerializeToString()
    return encoded


def span(number: int = 1, name: str = "GET /", attributes: tuple[KeyValue, ...] = ()) -> Span:
    return Span(
        trace_id=(1).to_bytes(16, "big"),
        span_id=number.to_bytes(8, "big"),
        name=name,
        start_time_unix_nano=NOON,
        end_time_unix_nano=NOON + 1,
        attributes=attributes,
    )


def text(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))


@pytest.mark.parametrize("table", TABLES)
def test_columns_of_a_block_are_those_that_the_table_stores(client: Client, table: str) -> None:
    described = client.query(f"DESCRIBE TABLE {table}").result_rows

    needed = tuple((name, type_name) for name, type_name, default, *_ in described if default == "")

    assert TABLES[table] == needed


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(body=requests())
def test_rows_are_what_the_protobuf_runtime_reads(client: Client, body: bytes) -> None:
    check(client, body)


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(body=odd_requests())
def test_messages_in_pieces_are_merged_as_the_protobuf_runtime_does(client: Client, body: bytes) -> None:
    check(client, body)


@pytest.mark.parametrize(
    "name",
    [
        "nezha-ob-base",
        "nezha-tt-base",
        "hotrod",
        "smartthings-mobile",
        "zipkin-small",
        "dsb-socialnetwork",
        "opensearch-orders-1",
    ],
)
def test_recorded_traces_come_back_as_they_were_sent(client: Client, name: str) -> None:
    path = DATA / f"{name}.otlp.pb.gz"
    if not path.exists():
        pytest.skip(f"no trace data beside the repository: {path.name}")

    check(client, *list(requests_of(gzip.decompress(path.read_bytes())))[:40], database="cpdd")


@pytest.mark.parametrize("count", [1, 255, 256, 65_535, 65_536, 70_000])
def test_dictionaries_of_any_size_are_read_right(client: Client, count: int) -> None:
    keys = tuple(text(f"key {number}", str(number)) for number in range(count))

    check(client, request_of([span(attributes=keys)]))


@pytest.mark.parametrize("count", [255, 256, pytest.param(70_000, marks=pytest.mark.slow)])
def test_names_of_any_number_are_read_right(client: Client, count: int) -> None:
    check(client, request_of([span(number + 1, f"operation {number}") for number in range(count)]))


def test_request_without_spans_is_an_empty_block() -> None:
    encoded = native.encode(empty_batch())

    assert encoded == native.EncodedBatch(0, b"", b"", b"")
    assert native.arrivals_block(encoded.arrivals, 0, LANE, SEQUENCE, ARRIVED_AT) == b""


@settings(max_examples=20, suppress_health_check=list(HealthCheck))
@given(bodies=st.lists(requests(), min_size=1, max_size=3), data=st.data())
def test_rows_taken_from_several_requests_keep_what_is_theirs(
    client: Client, bodies: list[bytes], data: st.DataObject
) -> None:
    batch = concatenate([decode_traces(body)[0] for body in bodies])
    rows = data.draw(st.permutations(range(len(batch))))[: len(batch) // 2 + 1]

    found = stored(client, batch.take(np.array(rows, np.int64)))

    whole = [row for body in bodies for row in span_rows(body)]
    assert in_order(found["otel_traces"]) == in_order(whole[row] for row in rows)


def test_blocks_of_several_requests_are_one_insert(client: Client) -> None:
    bodies = [request_of([span(number, f"name {number}")], text("service.name", f"s{number}")) for number in (1, 2, 3)]
    client.command("TRUNCATE TABLE otel_traces")

    insert(
        client,
        "otel_traces",
        native.SPAN_COLUMNS,
        b"".join(native.encode(decode_traces(body)[0]).spans for body in bodies),
    )

    assert in_order(stored_rows(client, "otel_traces", native.SPAN_COLUMNS)) == in_order(
        row for body in bodies for row in span_rows(body)
    )


def test_spans_of_a_batch_without_body_have_no_attributes(client: Client) -> None:
    body = request_of([span(attributes=(text("k", "v"),))], text("service.name", "shop"))
    batch = decode_traces(body)[0]
    none = np.zeros(1, np.int64)
    resources = replace(batch.resources, at=none, size=none)

    found = stored(client, replace(batch, at=none, size=none, resources=resources, body=b""))

    assert found["otel_traces"] == [
        {**span_rows(body)[0], "SpanAttributes": [], "ResourceAttributes": []},
    ]


def test_times_before_1970_and_after_2106_are_kept_within_what_a_datetime_holds() -> None:
    batch = decode_traces(request_of([span(1), span(2)]))[0]
    early_and_late = np.array([-(2**63), 2**63 - 1], np.int64)

    encoded = native.encode(replace(batch, start_time_unix_nano=early_and_late))

    assert encoded.times.endswith(
        (0).to_bytes(4, "little") + b"\x03End\x08DateTime" + (2**32 - 1).to_bytes(4, "little")
    )


def test_deepest_value_that_is_accepted_is_stored(client: Client) -> None:
    lists = (MAX_DEPTH - 2) // 2
    value = AnyValue(string_value="deep").SerializeToString()
    for _ in range(lists):
        value = field(5, field(1, value))
    attribute = field(9, field(1, b"k") + field(2, value))
    batch, rejections = decode_traces(field(1, field(2, field(2, span().SerializeToString() + attribute))))

    found = stored(client, batch)["otel_traces"]

    assert rejections.count == 0
    assert [len(list(re.finditer("arrayValue", str(row["SpanAttributes"])))) for row in found] == [lists]


def test_texts_that_collide_cost_second_entries_and_no_row(client: Client) -> None:
    interning = importlib.import_module("collector.core.kernels.interning")
    keys: list[KeyValue] = []
    number = 0
    while len(keys) < 100:
        key = f"key {number}".encode()
        if interning.hash_text(key, 0, len(key), native._SEED) & 0xFFF == 0:
            keys.append(text(key.decode(), str(number)))
        number += 1
    body = request_of([span(1, attributes=tuple(keys)), span(2, attributes=tuple(reversed(keys)))])

    check(client, body)

    assert native.encode(decode_traces(body)[0]).spans.count(keys[-1].key.encode()) > 1


def test_block_larger_than_allowed_is_refused_before_it_is_made() -> None:
    resource = [text(f"k{number}", "x" * 100) for number in range(1000)]
    batch = decode_traces(request_of([span(number + 1) for number in range(1000)], *resource))[0]

    with pytest.raises(native.BlockTooLarge, match="block too large: 1000 spans would take 1") as refused:
        native.encode(batch, max_bytes=1 << 20)

    assert refused.value.size > 100_000_000


def test_room_that_the_attributes_alone_would_take_is_refused_too() -> None:
    batch = decode_traces(request_of([span(attributes=(KeyValue(),) * 50_000)]))[0]

    with ThreadPoolExecutor() as fresh_thread, pytest.raises(native.BlockTooLarge):
        fresh_thread.submit(native.encode, batch, max_bytes=1 << 19).result()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        *((column, 2**31 - 1) for column in ("at", "size", "resource", "scope", "name", "journey")),
        *((column, -5) for column in ("at", "size", "resource", "scope")),
    ],
)
def test_columns_that_lead_nowhere_are_an_error(column: str, value: int) -> None:
    batch = decode_traces(request_of([span()]))[0]
    wrong = replace(batch, **{column: np.array([value], getattr(batch, column).dtype)})  # type: ignore[arg-type]

    with pytest.raises(native.UnreadableBatch, match="unreadable batch"):
        native.encode(wrong)
