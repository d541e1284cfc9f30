"""A store to Parquet and back: nothing is lost, and what is no archive is told apart."""

import json
from pathlib import Path

import pytest

from collector.store.archive import MANIFEST, ArchiveUnusable, StoreNotEmpty, export_store, import_store
from collector.store.derived import Derived
from collector.store.engine import Store, open_store, run
from collector.store.inventory import compact, take_inventory
from collector.store.pins import Pins
from collector.store.reader import Reader
from collector.store.schema import VERSION
from tests.store.learned import LearnedTrace, learned
from tests.store.spans import NOON, Span
from tests.store.test_derived import NOW, commit


def contents(store: Store) -> dict[str, object]:
    """Every row of every table as the engine writes it."""
    with store.client() as client:
        tables = client.query(
            "SELECT name FROM system.tables WHERE database = {database:String} AND name != 'schema_version'",
            {"database": store.address.database},
        ).result_rows
        return {
            str(table): client.query(f"SELECT cityHash64(toString(tuple(*))) AS H FROM {table} ORDER BY H").result_rows
            for (table,) in tables
        }


def fill(store: Store) -> None:
    attributes = {"http.route": "/cart", "empty": ""}
    commit(store, [Span(1, 1, attributes=attributes, resource={"host.name": "a"}), Span(1, 2, start=NOON + 7)])
    commit(store, [Span(2, 1, start=NOW)])
    with store.client() as client:
        run(
            client,
            "INSERT INTO otel_traces (Timestamp, TraceId, `Events.Timestamp`, `Events.Name`, `Events.Attributes`, "
            "`Events.AttributeTypes`, `Events.Dropped`) "
            "VALUES (now64(9), 'e', [now64(9)], ['x'], [{'k': 'v'}], ['s'], [1])",
        )
    derived = Derived(store)
    derived.write(learned([LearnedTrace(1, path={(("shop", "GET /"),): 5})], NOW))
    derived.recompute_minutes([NOON // 60_000_000_000])
    Pins(store).pin(f"{1:032x}", "ada", "INC-42")


def test_what_was_exported_is_there_again_after_an_import(own_store: Store, tmp_path: Path) -> None:
    fill(own_store)

    exported = export_store(own_store, tmp_path / "archive")

    if own_store.embedded:
        own_store.close()
    with open_store("chdb://", tmp_path / "restored") as restored:
        imported = import_store(restored, tmp_path / "archive")
        found = contents(restored)
        trace = Reader(restored).trace(f"{1:032x}")
        again = export_store(restored, tmp_path / "again")
        with pytest.raises(StoreNotEmpty):
            import_store(restored, tmp_path / "archive")
    assert imported.rows == exported.rows
    assert again.rows == {**exported.rows, "sampling_log": 0, "dirty_minutes": 0, "share_cursors": 0}
    assert trace is not None
    assert len(trace.batch) == 2
    assert len(found["otel_traces"]) == 4  # type: ignore[arg-type]
    assert len(found["pins"]) == 1  # type: ignore[arg-type]


def test_rows_are_the_same_to_the_last_bit(tmp_path: Path) -> None:
    with open_store("chdb://", tmp_path / "here") as store:
        fill(store)
        before = contents(store)
        export_store(store, tmp_path / "archive")
    with open_store("chdb://", tmp_path / "restored") as restored:
        import_store(restored, tmp_path / "archive")
        after = contents(restored)

    assert {table for table in before if before[table] != after[table]} == set()


@pytest.mark.parametrize(
    ("manifest", "problem"),
    [
        (None, "no archive"),
        ("{", "no archive"),
        (json.dumps({"version": VERSION + 1, "rows": {}}), f"tables of version {VERSION + 1}"),
    ],
)
def test_what_is_no_archive_is_refused(tmp_path: Path, manifest: str | None, problem: str) -> None:
    if manifest is not None:
        (tmp_path / MANIFEST).write_text(manifest)

    with pytest.raises(ArchiveUnusable, match=problem):
        import_store(None, tmp_path)  # type: ignore[arg-type]


def test_a_missing_file_a_cut_one_and_a_folder_in_use_are_told(tmp_path: Path) -> None:
    with open_store("chdb://", tmp_path / "here") as store:
        commit(store, [Span(1, 1)])
        export_store(store, tmp_path / "archive")
        with pytest.raises(ArchiveUnusable, match="not empty"):
            export_store(store, tmp_path / "archive")
    (file,) = (tmp_path / "archive" / "otel_traces").glob("*.parquet")
    content = file.read_bytes()

    with open_store("chdb://", tmp_path / "restored") as restored:
        file.write_bytes(content[: len(content) // 2])
        with pytest.raises(ArchiveUnusable, match="no Parquet"):
            import_store(restored, tmp_path / "archive")
        file.unlink()
        with pytest.raises(ArchiveUnusable, match="0 rows of otel_traces were found, 1 expected"):
            import_store(restored, tmp_path / "archive")


def test_compacting_leaves_one_part_a_partition_and_the_inventory_says_so(tmp_path: Path) -> None:
    with open_store("chdb://", tmp_path) as store:
        for number in (1, 2, 3):
            commit(store, [Span(number, 1)])

        compact(store)

        spans = next(table for table in take_inventory(store).tables if table.name == "otel_traces")
    assert (spans.rows, spans.parts) == (3, 1)
