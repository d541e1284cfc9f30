"""What this process stored last reaches its analyzer as if it had been read from the store."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from collector.core.spans import SpanBatch
from collector.core.wire import decode_traces
from collector.store import native
from collector.store.arrivals import Arrivals
from collector.store.derived import Derived
from collector.store.engine import Store
from collector.store.fresh import Fresh, Group, arrivals_of_groups
from collector.store.writer import Committer
from tests.store import native_requests
from tests.store.spans import Span, encode
from tests.store.test_writer import spoiled_arrivals

ARRIVED_AT_MS = 1_760_000_400_123


def group(first: int, rows: int = 10, lane: int = 1, size: int = 100, at_ms: int = ARRIVED_AT_MS) -> Group:
    return Group(lane, first, (rows,), (bytes(size),), at_ms)


def fresh_with(*groups: Group, max_bytes: int = 1_000) -> Fresh:
    fresh = Fresh(max_bytes)
    fresh.begin(1, 1)
    for one in groups:
        fresh.put(one)
    return fresh


def firsts(taken: list[Group] | None) -> list[int] | None:
    return None if taken is None else [one.first for one in taken]


def columns(batch: SpanBatch) -> list[tuple[object, ...]]:
    """Rows of what the store keeps of a batch, texts in words."""
    texts = ("name", "service", "journey", "peer_service", "server_address", "db_system", "messaging_destination")
    numbers = [name for name, column in batch.columns().items() if column.dtype != np.int32 and name not in PLACES]
    return [
        (
            *(getattr(batch, name)[row] for name in numbers),
            *(batch.text(int(getattr(batch, name)[row])) for name in texts),
            *(batch.text(int(place)) for place in batch.resources.host[batch.resource[row]]),
            batch.text(int(batch.resources.version[batch.resource[row]])),
        )
        for row in range(len(batch))
    ]


PLACES = ("at", "size")


def everything(found: Arrivals) -> tuple[object, ...]:
    stamps = (found.lane.tolist(), found.sequence.tolist(), found.arrived_unix_nano.tolist())
    return columns(found.spans), found.ot, stamps


# Which groups


def test_groups_behind_the_cursor_are_taken_in_order() -> None:
    fresh = fresh_with(group(1), group(11), group(21))

    assert firsts(fresh.take({1: 10}, 1_000)) == [11, 21]


def test_a_lane_that_is_read_to_its_end_has_nothing_more() -> None:
    fresh = fresh_with(group(1))

    assert fresh.take({1: 10}, 1_000) == []


def test_no_more_is_taken_than_asked_for_but_for_the_rest_of_a_group() -> None:
    fresh = fresh_with(group(1), group(11), group(21))

    assert firsts(fresh.take({}, 11)) == [1, 11]


def test_spans_before_those_that_are_here_are_in_the_store() -> None:
    fresh = fresh_with(group(11))

    assert fresh.take({}, 1_000) is None


def test_spans_between_those_that_are_here_are_in_the_store() -> None:
    fresh = fresh_with(group(1), group(12))

    assert fresh.take({}, 1_000) is None


def test_a_cursor_within_a_group_leads_to_the_store() -> None:
    fresh = fresh_with(group(1))

    assert fresh.take({1: 5}, 1_000) is None


def test_spans_of_an_earlier_life_are_in_the_store() -> None:
    fresh = Fresh()
    fresh.begin(1, 100)

    assert fresh.take({1: 98}, 1_000) is None
    assert fresh.take({1: 99}, 1_000) == []


def test_the_other_lane_is_not_passed_over() -> None:
    fresh = fresh_with(group(1))
    fresh.begin(2, 50)

    assert fresh.take({}, 1_000) is None
    assert firsts(fresh.take({2: 49}, 1_000)) == [1]


def test_the_oldest_groups_go_when_there_is_no_room() -> None:
    fresh = fresh_with(group(1), group(11), max_bytes=150)

    assert fresh.take({}, 1_000) is None
    assert firsts(fresh.take({1: 10}, 1_000)) == [11]


def test_a_group_larger_than_the_room_is_not_kept() -> None:
    fresh = fresh_with(group(1, size=2_000))

    assert fresh.take({}, 1_000) is None


def test_groups_that_nobody_took_for_a_minute_go() -> None:
    fresh = fresh_with(group(1), group(11, at_ms=ARRIVED_AT_MS + 60_001))

    assert fresh.take({}, 1_000) is None
    assert firsts(fresh.take({1: 10}, 1_000)) == [11]


# What is in them


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(native_requests.requests())
def test_any_request_is_here_as_it_was_decoded(body: bytes) -> None:
    batch, _ = decode_traces(body)
    if not len(batch):
        return

    encoded = native.encode(batch)
    found = arrivals_of_groups([Group(3, 7, (len(batch),), (encoded.arrivals,), ARRIVED_AT_MS)])

    assert columns(found.spans) == columns(batch)
    assert found.sequence.tolist() == list(range(7, 7 + len(batch)))
    assert set(found.arrived_unix_nano.tolist()) == {ARRIVED_AT_MS * 1_000_000}


@pytest.fixture
def committed(store: Store) -> Iterator[tuple[Committer, Fresh]]:
    fresh = Fresh()
    committer = Committer(store, lanes=2, linger_ms=0, retry_delays_s=(), fresh=fresh)
    yield committer, fresh
    committer.close()


def test_what_is_here_is_what_the_store_has(store: Store, committed: tuple[Committer, Fresh]) -> None:
    committer, fresh = committed
    spans = [
        Span(trace, span, service=f"s{trace % 2}", resource={"host.name": f"h{span}"}, trace_state="ot=th:8")
        for trace in range(1, 4)
        for span in range(1, 4)
    ]
    for begin in range(0, len(spans), 2):
        committer.submit(encode(spans[begin : begin + 2])).result(60)
    derived = Derived(store)
    stored = derived.read_arrivals({})
    derived.read_first(fresh)

    with store.client() as client:
        client.command("TRUNCATE TABLE span_arrivals")
    here = derived.read_arrivals({})

    assert everything(here) == everything(stored)


def test_after_a_gap_the_store_is_read_and_then_memory_again(store: Store, committed: tuple[Committer, Fresh]) -> None:
    committer, fresh = committed
    derived = Derived(store)
    derived.read_first(fresh)
    committer.submit(spoiled_arrivals(encode([Span(9, 9)]))).exception(60)
    for number in (1, 2, 3):
        committer.submit(encode([Span(number, 1)])).result(60)

    first = derived.read_arrivals({})
    committer.submit(encode([Span(4, 1)])).result(60)
    with store.client() as client:
        client.command("TRUNCATE TABLE span_arrivals")
    then = derived.read_arrivals(first.last())

    assert sorted(first.spans.trace_id_low.tolist()) == [1, 2, 3]
    assert then.spans.trace_id_low.tolist() == [4]
