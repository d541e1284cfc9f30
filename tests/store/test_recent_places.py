"""Where recent traces lie is known in memory, and nothing of a trace is missed by it."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.remember import Rememberer
from collector.store import reader as reading
from collector.store import recent_places
from collector.store.derived import Derived
from collector.store.engine import Store
from collector.store.lookup import Place, find_places
from collector.store.native import TraceTimes, read_times
from collector.store.reader import Reader
from collector.store.recent_places import SKEW_S, RecentPlaces, remember_stored
from collector.store.writer import Committer
from tests.store.learned import LearnedTrace, learned
from tests.store.spans import NOON, Span, encode

SECOND_NS = 1_000_000_000
NOON_S = NOON // SECOND_NS
LONG_AGO_S = 1
"""Of the epoch: later than nothing at all, and earlier than every trace."""

Row = tuple[int, int, int]
"""Trace id, first and last start in s."""


def times(*rows: Row) -> TraceTimes:
    ids = np.array([[trace >> 64, trace & (2**64 - 1)] for trace, _, _ in rows], np.uint64).reshape(-1, 2).T
    first_s, last_s = (np.array([row[at] for row in rows], np.uint32) for at in (1, 2))
    return TraceTimes(ids, first_s, last_s)


def add_older(places: RecentPlaces, traces: range, since_s: int) -> None:
    """Add a row of each trace, all of which were stored at the same time."""
    ids = np.vstack([np.zeros(len(traces)), np.array(traces)]).astype(np.uint64)
    second = np.full(len(traces), 1_000, np.uint32)
    places.add_older(TraceTimes(ids, second, second), np.ones(len(traces), np.uint64), second, since_s)


def found(places: RecentPlaces, trace: int) -> Place | None:
    return places.find(f"{trace:032x}")


ids = st.sampled_from([0, 1, 2, 1 << 64, 1 << 64 | 1, 2**128 - 1])
rows = st.tuples(ids, st.integers(1_000, 2_000), st.integers(1_000, 2_000))


@given(st.lists(st.tuples(st.integers(1, 3), st.lists(rows, max_size=4)), max_size=100))
def test_a_trace_is_everywhere_that_rows_of_it_say(commits: list[tuple[int, list[Row]]]) -> None:
    places = RecentPlaces(0)
    for shelf, of_commit in commits:
        places.add(times(*of_commit), shelf, 5)

    for trace in {row[0] for _, of_commit in commits for row in of_commit} | {7}:
        mine = [(shelf, row) for shelf, of_commit in commits for row in of_commit if row[0] == trace]
        shelves = tuple(sorted({shelf for shelf, _ in mine}))
        expected = (
            Place(f"{trace:032x}", min(r[1] for _, r in mine), max(r[2] for _, r in mine), shelves) if mine else None
        )
        assert found(places, trace) == expected


@pytest.mark.parametrize("sizes", [[1] * 5_000, [1, 90, 7] * 600, [300] * 300])
@pytest.mark.parametrize("stored_before", [0, 1_500_000])
def test_few_runs_are_searched_however_many_commits_there_were(sizes: list[int], stored_before: int) -> None:
    places = RecentPlaces(1)
    add_older(places, range(stored_before), 0)
    begin = stored_before
    for size in sizes:
        places.add(times(*((trace, 1_000, 1_000) for trace in range(begin, begin + size))), 1, 5)
        begin += size

    assert len(places) == begin
    assert len(places._known[0]) < 50


def test_the_oldest_are_let_go_and_what_may_have_come_with_them_is_not_answered() -> None:
    places = RecentPlaces(0, max_rows=100)
    for commit in range(20):
        now_s = 10_000 + 1_000 * commit
        places.add(times(*((commit << 32 | row, now_s, now_s) for row in range(10))), 1, now_s)

    assert len(places) <= 100
    assert places.since_s > 10_000
    assert found(places, 0) is None
    assert (newest := found(places, 19 << 32)) is not None
    assert not newest.sure
    began_before = times((19 << 32, places.since_s + SKEW_S - 1, 40_000))
    places.add(began_before, 2, 30_000)
    assert found(places, 19 << 32) is None


def test_what_was_stored_before_is_not_added_behind_a_gap() -> None:
    places = RecentPlaces(10_000, max_rows=10)
    for commit in range(12):
        places.add(times(*((commit << 32 | row, 20_000, 20_000) for row in range(3))), 1, 20_000 + commit)
    assert len(places) < 10

    add_older(places, range(1), 1)

    assert places.since_s > 20_000
    assert found(places, 0) is None


def test_what_goes_wrong_costs_what_is_known_and_no_commit(caplog: pytest.LogCaptureFixture) -> None:
    places = RecentPlaces(0)
    places.add(times((1, 1_000, 1_000)), 1, 5)

    places.add_commit([encode([Span(trace_id=2, span_id=1)]).times[:-1]], 1, 6)
    places.add(times((4, 7 + SKEW_S, 1_000)), 1, 8)
    add_older(places, range(1), 0)

    assert "looked up in the store" in caplog.text
    assert (found(places, 1), found(places, 2), places.since_s) == (None, None, 7)
    assert found(places, 4) is not None


def test_before_what_was_stored_is_read_only_newer_traces_are_answered() -> None:
    places = RecentPlaces(5_000)
    places.add(times((1, 4_000, 6_000), (2, 6_000, 6_000)), 1, 6_000)

    assert found(places, 1) is None
    assert found(places, 2) == Place(f"{2:032x}", 6_000, 6_000, (1,))


def test_a_commit_of_no_rows_changes_nothing() -> None:
    places = RecentPlaces(0)
    places.add_commit([b"", b""], 1, 5)

    assert (len(places), places._known[0]) == (0, ())


def test_rows_of_several_blocks_are_read() -> None:
    first = encode([Span(trace_id=2**127 + 5, span_id=1), Span(trace_id=3, span_id=1, start=NOON + 2 * SECOND_NS)])
    second = encode([Span(trace_id=4, span_id=n, start=NOON + n * SECOND_NS) for n in range(1, 4)])

    read = read_times([first.times, b"", second.times])

    assert {
        (int(high) << 64 | int(low), int(first_s) - NOON_S, int(last_s) - NOON_S)
        for high, low, first_s, last_s in zip(*read.trace_ids, read.first_s, read.last_s, strict=True)
    } == {(2**127 + 5, 0, 0), (3, 2, 2), (4, 1, 3)}


# --- in a store


def commit(store: Store, places: RecentPlaces | None, *groups: Sequence[Span]) -> None:
    committer = Committer(store, lanes=1, linger_ms=0, places=places)
    for group in groups:
        committer.submit(encode(group)).result(30)
    committer.close()


def trace_of(trace: int, *spans: int) -> list[Span]:
    return [Span(trace_id=trace, span_id=span, service=f"s{span}", start=NOON + span * SECOND_NS) for span in spans]


def remember(store: Store, places: RecentPlaces) -> None:
    with store.client() as client:
        remember_stored(places, client)


def remember_beside(store: Store, places: RecentPlaces) -> None:
    """Do it as a collector does, in a thread, and wait until that is done."""
    rememberer = Rememberer(store, places)
    rememberer.start()
    rememberer._thread.join(30)
    rememberer.stop()


def shown(reader: Reader, trace: int) -> list[int]:
    stored = reader.stored(f"{trace:032x}")
    return stored.spans.batch.span_id.tolist() if stored else []


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The traces for whose place the store was asked."""
    asked: list[str] = []

    def noting(find: Callable[..., object]) -> Callable[..., object]:
        def ask(client: object, which: str | list[str], *rest: object) -> object:
            asked.extend([which] if isinstance(which, str) else which)
            return find(client, which, *rest)

        return ask

    for name in ("find_place", "find_places"):
        monkeypatch.setattr(reading, name, noting(getattr(reading, name)))
    return asked


def test_what_comes_is_known_without_asking_the_store(store: Store, asked: list[str]) -> None:
    places = RecentPlaces(0)
    commit(store, places, trace_of(7, 1), trace_of(8, 1, 2), trace_of(7, 2, 3))
    reader = Reader(store, places)

    assert (shown(reader, 7), shown(reader, 8)) == ([1, 2, 3], [1, 2])
    assert asked == []


def test_what_was_stored_before_is_read(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent_places, "_ROWS_OF_A_RUN", 1)
    commit(store, None, trace_of(7, 1), trace_of(8, 1, 2), trace_of(7, 2, 3))
    places = RecentPlaces()

    remember(store, places)

    assert (places.since_s, len(places._known[0])) == (0, 3)
    with store.client() as client:
        for place in find_places(client, [f"{trace:032x}" for trace in (7, 8)]):
            assert places.find(place.trace_id) == place


def test_of_an_empty_store_everything_is_known(store: Store) -> None:
    places = RecentPlaces()

    remember(store, places)

    assert (len(places), places.since_s) == (0, 0)


def test_of_more_than_there_is_room_for_the_newest_are_read(store: Store) -> None:
    commit(store, None, *(trace_of(trace, 1) for trace in range(1, 9)))
    number = "reinterpretAsUInt64(reverse(unhex(TraceId)))"
    with store.client() as client:
        client.command("CREATE TABLE aged AS otel_traces_trace_id_ts ENGINE = Memory")
        client.command(
            f"INSERT INTO aged SELECT * REPLACE (toStartOfMinute(now()) - 60 * {number} AS IngestedAt) "
            "FROM otel_traces_trace_id_ts"
        )
        client.command("TRUNCATE TABLE otel_traces_trace_id_ts")
        client.command("INSERT INTO otel_traces_trace_id_ts SELECT * FROM aged")
        client.command("DROP TABLE aged")
        stored = "SELECT toUnixTimestamp(IngestedAt) FROM otel_traces_trace_id_ts WHERE TraceId = {id:String}"
        ((seventh_s,),) = client.query(stored, {"id": f"{7:032x}"}).result_rows
    places = RecentPlaces(max_rows=8)

    remember(store, places)

    (run,) = places._known[0]
    assert run.keys[0].tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert places.since_s == seventh_s


def test_what_there_is_no_room_for_is_looked_up_in_the_store(store: Store, asked: list[str]) -> None:
    commit(store, None, trace_of(7, 1), trace_of(8, 1))
    places = RecentPlaces(max_rows=1)
    remember(store, places)
    reader = Reader(store, places)

    assert len(places) == 0
    assert places.since_s > NOON_S
    assert (shown(reader, 7), shown(reader, 8)) == ([1], [1])
    assert set(asked) == {f"{7:032x}", f"{8:032x}"}


@pytest.mark.parametrize("analyzed", [True, False])
def test_spans_that_came_before_all_that_is_remembered_are_not_missed(store: Store, analyzed: bool) -> None:
    commit(store, None, trace_of(7, 1, 2))
    places = RecentPlaces(LONG_AGO_S)
    commit(store, places, trace_of(7, 3))
    if analyzed:
        path = {(("s1", "GET /"), ("s2", "GET /"))[:depth]: 50 for depth in (1, 2)}
        Derived(store).write(learned([LearnedTrace(7, path=path)], NOON))

    assert (at := found(places, 7)) is not None
    assert (at.first_s, at.sure) == (NOON_S + 3, False)
    assert shown(Reader(store, places), 7) == [1, 2, 3]


def test_a_trace_whose_spans_are_gone_is_not_there(store: Store) -> None:
    places = RecentPlaces(0)
    commit(store, places, trace_of(7, 1))
    with store.client() as client:
        client.command("TRUNCATE TABLE otel_traces")
        client.command("TRUNCATE TABLE otel_traces_trace_id_ts")

    assert Reader(store, places).stored(f"{7:032x}") is None


def test_reading_what_was_stored_goes_on_beside_everything_else(store: Store) -> None:
    commit(store, None, trace_of(7, 1))
    places = RecentPlaces()

    remember_beside(store, places)

    assert places.since_s == 0
    assert found(places, 7) is not None


def test_a_store_that_does_not_answer_is_said_and_pages_ask_it_themselves(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(recent_places, "ONE_THREAD", "NO SUCH THING")
    commit(store, None, trace_of(7, 1))
    places = RecentPlaces()

    remember_beside(store, places)

    assert "looked up in the store" in caplog.text
    assert shown(Reader(store, places), 7) == [1]
