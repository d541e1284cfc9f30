"""Which spans lie together in the span table."""

from pathlib import Path

from collector.store import schema
from collector.store.engine import Store, open_store
from collector.store.reader import Reader
from collector.store.shelves import ALONE_ROWS, SHELF_MS, SHELF_ROWS, Shelves
from tests.store.spans import Span
from tests.store.test_derived import commit

NOW_MS = 1_760_000_400_123


def test_small_groups_share_a_shelf_until_it_is_full() -> None:
    shelves, rows = Shelves(), ALONE_ROWS // 2
    to_a_shelf = SHELF_ROWS // rows

    places = [shelves.place(rows, NOW_MS + number) for number in range(2 * to_a_shelf + 1)]

    assert places == [NOW_MS] * to_a_shelf + [NOW_MS + to_a_shelf] * to_a_shelf + [NOW_MS + 2 * to_a_shelf]


def test_a_large_group_has_a_shelf_to_itself() -> None:
    shelves = Shelves()
    groups = (1, ALONE_ROWS, ALONE_ROWS, 1, 1, SHELF_ROWS)

    places = [shelves.place(rows, NOW_MS + number) for number, rows in enumerate(groups)]

    assert [place - NOW_MS for place in places] == [0, 1, 2, 3, 3, 5]


def test_a_shelf_ends_with_its_time() -> None:
    shelves = Shelves()

    places = [shelves.place(1, NOW_MS + late_ms) for late_ms in (0, SHELF_MS - 1, SHELF_MS)]

    assert places == [NOW_MS, NOW_MS, NOW_MS + SHELF_MS]


def test_a_clock_that_goes_back_begins_a_shelf() -> None:
    shelves = Shelves()

    assert [shelves.place(1, NOW_MS + late_ms) for late_ms in (0, -3_600_000, -3_599_999)] == [
        NOW_MS,
        NOW_MS - 3_600_000,
        NOW_MS - 3_600_000,
    ]


def test_a_trace_on_several_shelves_is_read_whole(store: Store) -> None:
    commit(store, [Span(1, 1), Span(2, 1)])
    commit(store, [Span(1, 2), Span(3, 1)])

    with store.client() as client:
        shelves = client.query("SELECT uniqExact(Shelf) FROM otel_traces").result_rows[0][0]
    spans = Reader(store).trace(f"{1:032x}")

    assert shelves == 2
    assert spans is not None
    assert spans.batch.span_id.tolist() == [1, 2]


def test_a_table_that_was_made_before_there_were_shelves_is_read_and_filled(tmp_path: Path) -> None:
    old_order = "ORDER BY (ServiceName, toStartOfFiveMinutes(Timestamp), TraceId)"
    with open_store("chdb://", tmp_path) as store, store.client() as client:
        for table, order in (("otel_traces", old_order), ("otel_traces_trace_id_ts", "ORDER BY (TraceId, Start)")):
            client.command(f"DROP TABLE {table}")
            columns = schema.SPANS if table == "otel_traces" else schema.TIMES
            head, _, settings = columns.replace(f",\n    {schema._SHELF}", "").partition("ORDER BY")
            client.command(f"{head} {order} {settings.partition(chr(10))[2]}")
        client.command("TRUNCATE TABLE schema_version")
        client.command("INSERT INTO schema_version (Version, Retention) SELECT 4, '{}'")
        client.command(
            "INSERT INTO otel_traces (Timestamp, TraceId, SpanId, SpanKind, StatusCode, ServiceName) "
            f"SELECT fromUnixTimestamp64Nano({NOW_MS * 1_000_000}), '{1:032x}', '{1:016x}', 'Server', 'Unset', 'old'"
        )
        client.command(
            "INSERT INTO otel_traces_trace_id_ts (TraceId, Start, End) "
            f"SELECT '{1:032x}', toDateTime({NOW_MS // 1000}), toDateTime({NOW_MS // 1000})"
        )

    with open_store("chdb://", tmp_path) as store, store.client() as client:
        commit(store, [Span(1, 2), Span(2, 1)])
        spans = Reader(store).trace(f"{1:032x}")
        table = str(client.command("SHOW CREATE TABLE otel_traces"))

    assert old_order in table
    assert spans is not None
    assert sorted(spans.batch.span_id.tolist()) == [1, 2]
