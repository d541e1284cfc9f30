"""The disk stays below its ceiling, and what goes first is what interests least."""

import pytest

from collector.store.ceiling import Ceiling
from collector.store.engine import Store, run
from collector.store.keeping import PINNED_UNTIL_S
from tests.store.conftest import Place
from tests.store.test_derived import NOW

pytestmark = pytest.mark.parametrize("engine", ["embedded"], indirect=True)


def add_part(store: Store, trace_id: str, hours_ago: int) -> None:
    """A part of spans that take about a megabyte."""
    with store.client() as client:
        run(client, "SYSTEM STOP MERGES otel_traces")
        run(
            client,
            "INSERT INTO otel_traces (Timestamp, TraceId, StatusMessage, IngestedAt) "
            "SELECT now(), {id:String}, randomString(1000), now() - INTERVAL {hours:UInt32} HOUR FROM numbers(1000)",
            {"id": trace_id, "hours": hours_ago},
        )


def traces_in(store: Store, table: str) -> list[str]:
    with store.client() as client:
        rows = client.query(f"SELECT DISTINCT TraceId FROM {table} ORDER BY TraceId").result_rows
    return [str(row[0]) for row in rows]


def test_below_its_ceiling_nothing_is_deleted(place: Place) -> None:
    store = place.open()
    add_part(store, "a", 1)

    assert Ceiling(store, 0).clean() == []
    assert Ceiling(store, 1 << 30).clean() == []
    assert traces_in(store, "otel_traces") == ["a"]


def test_spans_that_arrived_first_go_first_and_their_places_with_them(place: Place) -> None:
    store = place.open()
    for trace_id, hours_ago in (("new", 1), ("old", 20), ("middle", 10)):
        add_part(store, trace_id, hours_ago)
        with store.client() as client:
            run(
                client,
                "INSERT INTO otel_traces_trace_id_ts (TraceId, Start, End, IngestedAt) "
                "SELECT {id:String}, now(), now(), now() - INTERVAL {hours:UInt32} HOUR",
                {"id": trace_id, "hours": hours_ago},
            )
    ceiling = Ceiling(store, 0)
    used = ceiling.used_bytes()

    dropped = Ceiling(store, used - 1000).clean()

    assert [(one.table, one.rows) for one in dropped] == [("otel_traces", 1000)]
    assert traces_in(store, "otel_traces") == ["middle", "new"]
    assert traces_in(store, "otel_traces_trace_id_ts") == ["middle", "new"]
    assert ceiling.used_bytes() < used * 0.9


def test_rows_and_copies_go_before_minutes_and_pins_never(place: Place) -> None:
    store = place.open()
    add_part(store, "a", 1)
    with store.client() as client:
        run(client, f"INSERT INTO traces (TraceId, Start, Version) VALUES ('old', '2025-01-01', {NOW})")
        run(client, "INSERT INTO kept_spans (TraceId, KeptUntil) VALUES ('kept', now() + INTERVAL 9 DAY)")
        run(client, f"INSERT INTO kept_spans (TraceId, KeptUntil) VALUES ('pinned', toDateTime({PINNED_UNTIL_S}))")
        run(client, f"INSERT INTO minute_versions (Minute, Version) VALUES ('2025-01-01', {NOW}), (now(), {NOW})")
        run(client, "INSERT INTO findings (Id) VALUES ('f')")

    dropped = Ceiling(store, 1).clean()

    with store.client() as client:
        assert client.query("SELECT count() FROM minute_versions").result_rows == [(1,)]
        assert client.query("SELECT count() FROM findings").result_rows == [(1,)]
    assert [one.table for one in dropped] == ["traces", "kept_spans", "minute_versions"]
    assert traces_in(store, "kept_spans") == ["pinned"]
    assert traces_in(store, "otel_traces") == ["a"]


def test_parts_of_spans_stay_small_enough_to_go_one_by_one(place: Place) -> None:
    store = place.open()

    def merged_up_to() -> str:
        with store.client() as client:
            ddl = str(client.command("SHOW CREATE TABLE otel_traces"))
        return ddl.partition("max_bytes_to_merge_at_max_space_in_pool = ")[2].partition(",")[0]

    Ceiling(store, 20_000_000_000).prepare()
    with_ceiling = merged_up_to()
    Ceiling(store, 0).prepare()

    assert with_ceiling.startswith("1000000000")
    assert merged_up_to() == ""
