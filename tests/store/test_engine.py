"""Opening the store: addresses, tables, one process a directory."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from collector.store.address import Address, InvalidStoreAddress, parse_address
from collector.store.engine import SPOOL_FOLDER, StoreClosed, StoreUnreachable, open_store, run
from collector.store.lock import LOCK_FILE, DirectoryLock, DirectoryUnusable, StoreInUse
from collector.store.schema import VERSION, ForeignTable, Retention, StoreTooNew, ttl_statements
from collector.store.spent import count_spent
from tests.store.conftest import Place

DATA = Path("/var/lib/cpdd")


def test_chdb_alone_means_the_data_directory() -> None:
    address = parse_address("chdb://", DATA)

    assert address == Address("cpdd", DATA / "store")


def test_chdb_with_a_path_means_that_path() -> None:
    address = parse_address("chdb:///srv/traces", DATA)

    assert address == Address("cpdd", Path("/srv/traces"))


def test_a_server_address_keeps_user_port_and_options_and_hides_the_password() -> None:
    address = parse_address("clickhouses://me:secret@ch.example:8443/traces?compress=lz4", DATA)

    assert address == Address("traces", None, "clickhouse://me:secret@ch.example:8443?compress=lz4", secure=True)
    assert address.shown == "clickhouse://ch.example:8443/traces"


@pytest.mark.parametrize(
    ("dsn", "reason"),
    [
        ("postgres://db", "unknown scheme 'postgres'"),
        ("/var/lib/cpdd", "it has no scheme"),
        ("chdb://traces", "'traces' stands where a host would"),
        ("clickhouse://host/a;DROP", "'a;DROP' is no name of a database"),
        ("clickhouse://host:port/a", "Port could not be cast"),
    ],
)
def test_an_address_that_names_no_store_is_refused_with_the_reason(dsn: str, reason: str) -> None:
    with pytest.raises(InvalidStoreAddress) as refused:
        parse_address(dsn, DATA)

    assert reason in str(refused.value)
    assert "hint: chdb://" in str(refused.value)


def test_a_server_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnreachable) as refused:
        open_store("clickhouse://127.0.0.1:9", tmp_path)

    assert str(refused.value).splitlines() == [
        "store unreachable: clickhouse://127.0.0.1:9/cpdd: [Errno 111] Connection refused",
        "hint: is the server up, and are user and password right?",
    ]


def test_opening_again_finds_the_tables_as_they_were(place: Place) -> None:
    with place.open() as store, store.client() as client:
        run(client, "INSERT INTO known_operations VALUES ('shop', 'GET /', 'server', now())")

    with place.open() as again, again.client() as client:
        assert client.query("SELECT Service FROM known_operations").result_rows == [("shop",)]
        assert client.query("SELECT Version FROM schema_version").result_rows == [(VERSION,)]


def test_a_crash_in_mid_migration_is_repaired_by_the_next_start(place: Place) -> None:
    with place.open() as store, store.client() as client:
        run(client, "TRUNCATE TABLE schema_version")
        run(client, "DROP TABLE lanes")

    with place.open() as again, again.client() as client:
        assert client.query("SELECT count() FROM lanes").result_rows == [(0,)]
        assert client.query("SELECT Version FROM schema_version").result_rows == [(VERSION,)]


def test_tables_of_a_newer_cpdd_are_refused(place: Place) -> None:
    with place.open() as store, store.client() as client:
        run(client, "INSERT INTO schema_version (Version, Retention) VALUES (99, '{}')")

    with pytest.raises(StoreTooNew, match=f"version 99, this cpdd knows up to {VERSION}"):
        place.open()


def test_a_table_that_another_program_made_is_refused_with_the_columns_it_lacks(place: Place) -> None:
    with place.open() as store, store.client() as client:
        run(client, "ALTER TABLE otel_traces DROP COLUMN EndUnixNano, DROP COLUMN EndCorrection")

    with pytest.raises(ForeignTable, match=r"otel_traces .* lacks the columns EndCorrection"):
        place.open()


def test_another_retention_changes_the_tables_and_none_removes_it(place: Place) -> None:
    def ttl() -> str:
        with store.client() as client:
            return str(client.command("SHOW CREATE TABLE otel_traces"))

    with place.open(retention=Retention()) as store:
        assert "TTL IngestedAt + toIntervalSecond(604800)" in ttl()

    with place.open(retention=Retention(spans_s=60)) as store:
        assert "TTL IngestedAt + toIntervalSecond(60)" in ttl()

    with place.open(retention=Retention(spans_s=0)) as store:
        assert "TTL IngestedAt" not in ttl()


def test_only_what_differs_is_altered() -> None:
    changed = ttl_statements(Retention(traces_s=5), Retention())

    assert sorted(statement.split()[2] for statement in changed) == ["known_operations", "traces"]


def test_a_closed_store_lends_no_client(place: Place) -> None:
    store = place.open()
    store.close()

    with pytest.raises(StoreClosed), store.client():
        pass


def test_closing_waits_for_the_client_that_is_lent(place: Place) -> None:
    store = place.open()
    lent, may_return, order = threading.Event(), threading.Event(), []

    def use() -> None:
        with store.client() as client:
            lent.set()
            may_return.wait()
            client.command("SELECT 1")
            order.append("used")

    def close() -> None:
        store.close()
        order.append("closed")

    user = threading.Thread(target=use)
    user.start()
    lent.wait()
    closer = threading.Thread(target=close)
    closer.start()
    may_return.set()
    closer.join()
    user.join()

    assert order == ["used", "closed"]


# One process a directory


def test_a_second_process_is_told_who_has_the_directory_and_what_to_do(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from collector.store.lock import DirectoryLock\n"
        "lock = DirectoryLock(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdout is not None
        holder.stdout.readline()

        with pytest.raises(StoreInUse) as refused:
            open_store("chdb://", tmp_path)

        holder.communicate()
    assert refused.value.pid == holder.pid
    assert str(refused.value) == (
        f"store in use: process {holder.pid} has {tmp_path} open, and one directory serves one process\n"
        f"hint: ask that process over HTTP, stop it (kill {holder.pid}), or start with another directory (--data DIR)"
    )


def test_a_directory_that_cannot_be_made_is_named_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(DirectoryUnusable, match=r"file/data: Not a directory\nhint: give another one"):
        open_store("chdb://", tmp_path / "file/data")


def test_a_file_in_the_place_of_the_directory_is_to_be_moved(tmp_path: Path) -> None:
    (tmp_path / "a file").touch()

    with pytest.raises(DirectoryUnusable, match=r"it is no directory\nhint: .*\(mv '.*a file' '.*a file\.old'\)$"):
        open_store("chdb://", tmp_path / "a file")


def test_an_embedded_store_elsewhere_is_locked_there(tmp_path: Path) -> None:
    elsewhere = tmp_path / "it's elsewhere"

    with open_store(f"chdb://{elsewhere}", tmp_path / "data") as store:
        assert store.data_dir == elsewhere
        with pytest.raises(StoreInUse) as refused:
            open_store(f"chdb://{elsewhere}", tmp_path / "other")

    assert refused.value.directory == elsewhere


def test_what_a_killed_process_left_in_the_spool_is_removed(place: Place) -> None:
    with place.open() as store:
        left = store.data_dir / SPOOL_FOLDER / "12345"
    left.write_bytes(b"half a block")

    with place.open():
        assert not left.exists()


def test_the_lock_of_a_dead_process_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / LOCK_FILE).write_text("999999999\n")

    lock = DirectoryLock(tmp_path)

    assert (tmp_path / LOCK_FILE).read_text() == f"{os.getpid()}\n"
    lock.release()


def test_a_released_lock_may_be_taken_again(tmp_path: Path) -> None:
    DirectoryLock(tmp_path).release()

    again = DirectoryLock(tmp_path)

    with pytest.raises(StoreInUse):
        DirectoryLock(tmp_path)
    again.release()


def test_who_counts_learns_how_long_clients_were_lent(place: Place) -> None:
    with place.open() as store:
        with count_spent() as spent, store.client() as client:
            client.query("SELECT 1")
        counted = spent.ns
        with store.client() as client:
            client.query("SELECT 1")

    assert 0 < counted == spent.ns
