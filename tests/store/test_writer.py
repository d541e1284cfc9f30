"""Group commit: what is answered is durable, in all three tables, and numbered; the rest is answered with a reason."""

from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from collector.store.derived import Derived
from collector.store.engine import Store, open_store, run
from collector.store.native import EncodedBatch
from collector.store.writer import BatchRefused, Committer, CommitterClosed, NotStored, Overloaded, StoreUnavailable
from tests.store.conftest import Place, serving
from tests.store.spans import NOON, Span, encode

DAY_NS = 86_400_000_000_000
SOON_S = 30.0
"""How long a test waits for an event before it fails."""


def batch(first: int, count: int = 3) -> EncodedBatch:
    return encode([Span(trace_id=first + n, span_id=n + 1) for n in range(count)])


def rows(store: Store, sql: str) -> list[tuple[object, ...]]:
    with store.client() as client:
        return [tuple(row) for row in client.query(sql).result_rows]


def counts(store: Store) -> tuple[int, ...]:
    """Rows of the three tables."""
    tables = ("otel_traces", "otel_traces_trace_id_ts", "span_arrivals")
    return tuple(int(str(rows(store, f"SELECT count() FROM {table}")[0][0])) for table in tables)


@pytest.fixture
def committer(store: Store) -> Iterator[Committer]:
    committer = Committer(store, linger_ms=0, retry_delays_s=())
    yield committer
    committer.close()


def test_an_answered_batch_is_in_all_three_tables(store: Store, committer: Committer) -> None:
    committer.submit(batch(1)).result(SOON_S)

    assert counts(store) == (3, 3, 3)


def test_batches_that_come_together_are_one_insert(store: Store) -> None:
    committer = Committer(store, lanes=1, linger_ms=60_000, max_rows=1000)
    stored = [committer.submit(batch(10 * n)) for n in range(5)]

    committer.close()  # what waits is stored at once

    assert [future.exception() for future in stored] == [None] * 5
    assert committer.stats().groups == 1
    assert counts(store) == (15, 15, 15)


def test_a_full_group_does_not_wait_for_company(store: Store) -> None:
    committer = Committer(store, lanes=1, linger_ms=60_000, max_rows=6)

    stored = [committer.submit(batch(10 * n)) for n in range(2)]

    assert [future.result(SOON_S) for future in stored] == [None, None]
    committer.close()


def test_an_empty_batch_is_answered_and_leaves_nothing(store: Store, committer: Committer) -> None:
    committer.submit(EncodedBatch(0, b"", b"", b"")).result(SOON_S)

    assert counts(store) == (0, 0, 0)


def test_a_batch_whose_sender_left_before_its_turn_is_not_stored(store: Store) -> None:
    committer = Committer(store, lanes=1, linger_ms=60_000, max_rows=1000)
    gone, stays = committer.submit(batch(1)), committer.submit(batch(10))
    gone.cancel()

    committer.close()

    assert stays.exception() is None
    assert counts(store) == (3, 3, 3)
    assert committer.stats().pending_bytes == 0


def test_more_bytes_than_may_wait_are_turned_away_with_a_time_to_come_back(store: Store) -> None:
    size = sum(map(len, (batch(1).spans, batch(1).times, batch(1).arrivals)))
    committer = Committer(store, lanes=1, linger_ms=60_000, max_rows=1000, max_pending_bytes=2 * size)
    stored = [committer.submit(batch(1)), committer.submit(batch(1))]

    with pytest.raises(Overloaded) as refused:
        committer.submit(batch(1))

    assert refused.value.retry_after_s is not None
    assert refused.value.retry_after_s >= 1
    assert f"{2 * size} may" in str(refused.value)
    committer.close()
    assert [future.exception() for future in stored] == [None, None]


def test_room_comes_back_when_a_group_is_stored(store: Store) -> None:
    size = sum(map(len, (batch(1).spans, batch(1).times, batch(1).arrivals)))
    committer = Committer(store, lanes=1, linger_ms=0, max_pending_bytes=size)
    for _ in range(3):
        committer.submit(batch(1)).result(SOON_S)

    committer.close()

    assert committer.stats().rows == 9


def test_a_batch_larger_than_all_the_room_is_taken_when_nothing_else_waits(store: Store) -> None:
    committer = Committer(store, lanes=1, linger_ms=0, max_pending_bytes=1)

    committer.submit(batch(1)).result(SOON_S)

    committer.close()


def test_nothing_is_taken_after_closing(store: Store) -> None:
    committer = Committer(store)
    committer.close()

    with pytest.raises(CommitterClosed) as refused:
        committer.submit(batch(1))

    assert refused.value.retry_after_s


# A batch at fault


def spoiled(good: EncodedBatch) -> EncodedBatch:
    """Cut off: the engine finds the block shorter than it says."""
    return EncodedBatch(good.rows, good.spans[:-40], good.times, good.arrivals)


def misnamed(good: EncodedBatch) -> EncodedBatch:
    return EncodedBatch(good.rows, good.spans.replace(b"\x08SpanName", b"\x08SpamName"), good.times, good.arrivals)


def spoiled_arrivals(good: EncodedBatch) -> EncodedBatch:
    return EncodedBatch(good.rows, good.spans, good.times, good.arrivals[:-1])


def over_many_days(days: int) -> EncodedBatch:
    return encode([Span(trace_id=500 + n, span_id=n + 1, start=NOON + n * DAY_NS) for n in range(days)])


@pytest.mark.parametrize(
    "bad",
    [spoiled(batch(50)), misnamed(batch(50)), spoiled_arrivals(batch(50)), over_many_days(101)],
    ids=["cut off", "unknown column", "arrivals cut off", "more days than one insert may touch"],
)
def test_a_batch_at_fault_is_refused_for_good_and_its_neighbours_are_stored(store: Store, bad: EncodedBatch) -> None:
    committer = Committer(store, lanes=1, linger_ms=60_000, max_rows=10_000, retry_delays_s=())
    before = [committer.submit(batch(100 * n)) for n in range(1, 4)]
    at_fault = committer.submit(bad)
    behind = [committer.submit(batch(100 * n)) for n in range(4, 8)]

    committer.close()

    assert [future.exception() for future in before + behind] == [None] * 7
    error = at_fault.exception()
    assert isinstance(error, BatchRefused)
    assert error.retry_after_s is None
    assert f"batch of {bad.rows} spans refused by the store" in str(error)
    good = [(100 * n + k,) for n in range(1, 8) for k in range(3)]
    assert rows(store, "SELECT TraceIdLow FROM span_arrivals ORDER BY TraceIdLow") == good


def test_small_batches_of_many_days_are_stored_although_their_group_touches_too_many(own_store: Store) -> None:
    committer = Committer(own_store, lanes=1, linger_ms=60_000, max_rows=10_000, retry_delays_s=())
    stored = [committer.submit(encode([Span(trace_id=n + 1, span_id=1, start=NOON + n * DAY_NS)])) for n in range(101)]

    committer.close()

    assert [future.exception() for future in stored] == [None] * 101
    assert counts(own_store) == (101, 101, 101)


def test_a_store_that_fails_tells_the_senders_to_come_back(own_store: Store) -> None:
    committer = Committer(own_store, lanes=1, linger_ms=60_000, retry_delays_s=(0,))
    stored = [committer.submit(batch(1)), committer.submit(batch(10))]
    with own_store.client() as client:
        run(client, "RENAME TABLE span_arrivals TO elsewhere")

    committer.close()

    errors = [future.exception() for future in stored]
    assert all(isinstance(error, StoreUnavailable) and error.retry_after_s for error in errors)


def test_after_a_failure_of_the_store_the_next_batch_is_stored(store: Store, committer: Committer) -> None:
    with store.client() as client:
        run(client, "RENAME TABLE otel_traces_trace_id_ts TO elsewhere")
        failed = committer.submit(batch(1)).exception(SOON_S)
        run(client, "RENAME TABLE elsewhere TO otel_traces_trace_id_ts")

    committer.submit(batch(10)).result(SOON_S)

    assert isinstance(failed, StoreUnavailable)
    assert rows(store, "SELECT count() FROM span_arrivals") == [(3,)]


def test_a_server_that_goes_away_costs_no_answer_and_its_return_is_enough(tmp_path: Path) -> None:
    with serving(tmp_path / "server") as (port, server):
        store = open_store(f"clickhouse://127.0.0.1:{port}", tmp_path / "collector")
        committer = Committer(store, lanes=1, linger_ms=0, retry_delays_s=())
        committer.submit(batch(1)).result(SOON_S)
        server.kill()
        server.wait()

        failed = committer.submit(batch(10)).exception(SOON_S)

        assert isinstance(failed, StoreUnavailable)
        assert failed.retry_after_s
    with serving(tmp_path / "server", port):
        committer.submit(batch(10)).result(SOON_S)

        assert counts(store) == (6, 6, 6)
        committer.close()
        store.close()


# Lanes and sequences


def test_spans_of_a_lane_are_numbered_in_order_of_commit(store: Store) -> None:
    committer = Committer(store, lanes=1, linger_ms=0)
    for n in range(3):
        committer.submit(batch(10 * n)).result(SOON_S)
    committer.close()

    numbered = rows(store, "SELECT Sequence, TraceIdLow FROM span_arrivals ORDER BY Sequence")

    assert numbered == [(3 * n + k + 1, 10 * n + k) for n in range(3) for k in range(3)]


def test_a_restart_keeps_the_lanes_and_goes_on_counting(place: Place) -> None:
    def commit() -> list[tuple[object, ...]]:
        with place.open() as store:
            committer = Committer(store, lanes=2, linger_ms=0)
            committer.submit(batch(1)).result(SOON_S)
            committer.close()
            return rows(
                store, "SELECT Lane, count(), uniqExact(Sequence) FROM span_arrivals GROUP BY Lane ORDER BY Lane"
            )

    commit()
    commit()
    lanes = commit()

    assert len(lanes) <= 2
    assert sum(int(str(row[1])) for row in lanes) == 9
    assert all(row[1] == row[2] for row in lanes)


def test_counting_goes_on_behind_the_cursor_when_the_arrivals_are_gone(place: Place) -> None:
    with place.open() as store:
        committer = Committer(store, lanes=1, linger_ms=0)
        committer.submit(batch(1)).result(SOON_S)
        committer.close()
        derived = Derived(store)
        derived.save_cursor(derived.read_arrivals({}).last())
        with store.client() as client:
            run(client, "TRUNCATE TABLE span_arrivals")

    with place.open() as store:
        committer = Committer(store, lanes=1, linger_ms=0)
        committer.submit(batch(10)).result(SOON_S)
        committer.close()
        derived = Derived(store)

        assert len(derived.read_arrivals(derived.load_cursor())) == 3


def test_a_number_is_not_used_again_after_a_failed_insert(store: Store) -> None:
    committer = Committer(store, lanes=1, linger_ms=0, retry_delays_s=())
    committer.submit(spoiled_arrivals(batch(1))).exception(SOON_S)
    committer.submit(batch(10)).result(SOON_S)
    committer.close()

    assert rows(store, "SELECT min(Sequence) FROM span_arrivals") == [(4,)]


def test_two_collectors_of_one_server_have_lanes_of_their_own(place: Place) -> None:
    if place.dsn.startswith("chdb"):
        pytest.skip("one process, one collector, in an embedded store")
    one, other = place.open("one"), place.open("other")
    committers = [Committer(one, lanes=2, linger_ms=0), Committer(other, lanes=2, linger_ms=0)]
    stored: list[Future[None]] = [committer.submit(batch(1)) for committer in committers for _ in range(4)]

    for committer in committers:
        committer.close()

    assert [future.exception() for future in stored] == [None] * 8
    assert rows(one, "SELECT uniqExact(Lane) FROM lanes") == [(4,)]
    assert rows(one, "SELECT count() = uniqExact(Lane, Sequence) FROM span_arrivals") == [(1,)]


def test_every_reason_not_to_store_is_one_kind_of_error() -> None:
    assert all(issubclass(error, NotStored) for error in (Overloaded, StoreUnavailable, BatchRefused, CommitterClosed))
