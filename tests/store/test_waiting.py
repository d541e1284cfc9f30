"""Who waits for what a thread does, and what that does to its queries and to itself."""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from collector.background import Background
from collector.store import thread_priority, waiting
from collector.store.engine import Store, open_store, read_arrow
from collector.store.side_by_side import Asked
from collector.store.thread_priority import BEHIND, NICE, may_go_first
from collector.store.waiting import Waits, reader_waits, who_waits

needs_the_right = pytest.mark.skipif(not may_go_first(), reason="this process may not put a thread before others")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store("chdb://", tmp_path) as opened:
        yield opened


def setting(store: Store, name: str) -> int:
    with store.client() as client:
        return int(client.command(f"SELECT value FROM system.settings WHERE name = '{name}'"))


def priority() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def in_background(work: Callable[[], None]) -> None:
    class Once(Background):
        def _run(self) -> None:
            work()

    once = Once("once")
    once.start()
    once.stop()


def test_of_whom_nothing_is_said_waits_as_senders_do(store: Store) -> None:
    assert who_waits() is Waits.SENDER
    assert setting(store, "priority") == 1
    assert setting(store, "os_threads_nice_value_query") == 0


def test_queries_of_a_background_thread_let_others_go_first(store: Store) -> None:
    seen: list[int] = []
    in_background(lambda: seen.append(setting(store, "priority")))

    assert seen == [2]


@needs_the_right
def test_a_page_and_its_queries_go_first_also_where_several_threads_ask(store: Store) -> None:
    with reader_waits():
        assert who_waits() is Waits.READER
        assert setting(store, "os_threads_nice_value_query") == NICE
        with store.client() as client:
            read_arrow(client, "SELECT count() FROM traces")
            after_a_query = priority()
        aside = Asked(lambda: (setting(store, "os_threads_nice_value_query"), priority())).answer()
    assert after_a_query == NICE
    assert aside == (NICE, NICE)
    assert priority() == 0
    assert who_waits() is Waits.SENDER


def nice_of_an_insert(store: Store) -> int:
    """What the engine was told of the threads of an insert, as the table of the insert sees it."""
    with store.client() as client:
        default = "toInt64(getSetting('os_threads_nice_value_query'))"
        client.command(f"CREATE TABLE told (A UInt8, Nice Int64 DEFAULT {default}) ENGINE = Memory")
        store.insert(client, "told", ["A"], [b"1\n"], "CSV")
        return int(client.command("SELECT Nice FROM told"))


@needs_the_right
def test_while_somebody_reads_pages_inserts_go_behind_others_and_their_callers_do_not(store: Store) -> None:
    with reader_waits(), store.client():
        pass

    assert nice_of_an_insert(store) == BEHIND
    assert priority() == 0


def test_inserts_are_among_the_others_when_nobody_read_lately(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with reader_waits(), store.client():
        pass
    monkeypatch.setattr(waiting, "_read_at_s", time.monotonic() - waiting.LATELY_S)

    assert nice_of_an_insert(store) == 0


@pytest.mark.usefixtures("without_the_right")
def test_without_the_right_nothing_goes_behind(store: Store) -> None:
    """It could not come back."""
    with reader_waits(), store.client():
        pass

    assert nice_of_an_insert(store) == 0


@needs_the_right
def test_a_page_that_fails_gives_its_place_back() -> None:
    with pytest.raises(ZeroDivisionError), reader_waits():
        raise ZeroDivisionError
    assert priority() == 0


@pytest.mark.usefixtures("without_the_right")
def test_without_the_right_pages_are_made_like_everything_else(store: Store) -> None:
    with reader_waits():
        assert setting(store, "os_threads_nice_value_query") == 0
        assert setting(store, "priority") == 1
        assert priority() == 0


@pytest.mark.skipif(sys.platform != "linux", reason="threads have a priority of their own on Linux alone")
@pytest.mark.usefixtures("without_the_right")
def test_a_process_without_the_right_says_so() -> None:
    assert not may_go_first()


@needs_the_right
def test_a_thread_that_asks_beside_a_page_steps_back_for_others() -> None:
    with reader_waits():
        of_a_page = Asked(priority).answer()

    assert of_a_page == NICE
    assert Asked(priority).answer() == 0


@pytest.fixture
def without_the_right(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As where CAP_SYS_NICE is missing: putting a thread before others is refused."""
    set_priority = os.setpriority

    def refuse(which: int, who: int, wanted: int) -> None:
        if wanted < 0:
            raise PermissionError(13, "Permission denied")
        set_priority(which, who, wanted)

    monkeypatch.setattr(thread_priority.os, "setpriority", refuse)
    may_go_first.cache_clear()
    yield
    monkeypatch.undo()
    may_go_first.cache_clear()
