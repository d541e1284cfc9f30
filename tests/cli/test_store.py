"""`cpdd store`: what people see of it."""

import json
from pathlib import Path

from click.testing import CliRunner

from collector.store.engine import open_store
from collector.store.inventory import Inventory, TableSize
from cpdd.cli import cli
from cpdd.cli.store import info_lines, size
from tests.store.spans import Span
from tests.store.test_derived import commit


def run(*words: str) -> str:
    result = CliRunner().invoke(cli, ["store", *words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_backup_is_taken_and_read_back_by_three_commands(tmp_path: Path):
    here, there = ("--data", str(tmp_path / "here")), ("--data", str(tmp_path / "there"))
    with open_store("chdb://", tmp_path / "here") as store:
        commit(store, [Span(1, 1), Span(1, 2)])

    exported = run("export", str(tmp_path / "archive"), *here)
    imported = run("import", str(tmp_path / "archive"), *there)
    found = json.loads(run("info", "--json", *there))

    rows = exported.split()[1]
    assert imported.startswith(f"imported {rows} rows of ")
    assert {table["name"]: table["rows"] for table in found["tables"]}["otel_traces"] == 2


def test_an_inventory_reads_as_a_table():
    table = TableSize("otel_traces", 1_000, 45_000, 2)

    lines = info_lines(Inventory("/data/store", 2, (table,), 0, 1, (("slow", 3),)))

    assert lines[0] == "/data/store: 45 kB, tables of version 2"
    assert lines[1] == "spans arrived 1970-01-01 00:00:00 UTC to 1970-01-01 00:00:01 UTC"
    assert lines[4].split() == ["otel_traces", "1,000", "45", "kB", "45.0", "B", "2"]
    assert lines[-1] == "kept longer: 3 slow"


def test_sizes_have_three_digits():
    assert [size(count) for count in (0, 999, 1_000, 45_678)] == ["0 B", "999 B", "1 kB", "45.7 kB"]


def test_the_statements_that_make_the_tables_are_printed_for_a_server_and_for_a_cluster():
    one = run("ddl", "--store", "clickhouse://host/traces")
    by_flag = run("ddl", "--cluster", "main", "--store", "clickhouse://host/traces")
    by_address = run("ddl", "--store", "clickhouse://host/traces?cluster=main")

    assert one.startswith("CREATE DATABASE IF NOT EXISTS traces;\n\nCREATE TABLE IF NOT EXISTS schema_version (")
    assert "ON CLUSTER" not in one
    assert by_flag == by_address
    assert "Distributed('main', 'traces', 'otel_traces_local', cityHash64(TraceId));" in by_flag


def test_retention_is_in_the_statements():
    assert "IngestedAt + INTERVAL 259200 SECOND" in run("ddl", "--retention-days", "3")
