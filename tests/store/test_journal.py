"""What one analyzer announces is done by whoever writes minutes; each share of a lane is followed by itself."""

from collections.abc import Sequence

import pytest

from collector.core.shares import ALL
from collector.core.spans import concatenate
from collector.store.derived import Derived
from collector.store.engine import Store
from collector.store.journal import Dirty, Journal
from collector.store.writer import Committer
from tests.store.spans import Span, encode

NOW = 2_000_000_000_000_000_000
"""A version; rows of long ago would go by their TTL."""
LOW, HIGH = frozenset(range(1, 9)), frozenset(range(9, 17))


@pytest.fixture
def journal(store: Store) -> Journal:
    return Journal(store, "one")


def test_what_was_announced_is_outstanding_until_it_is_done(store: Store, journal: Journal) -> None:
    journal.announce([7, 8], version=NOW)
    before = journal.outstanding()

    Journal(store).done(before)

    assert sorted(before, key=lambda dirty: dirty.minute) == [Dirty(7, "one", NOW), Dirty(8, "one", NOW)]
    assert journal.outstanding() == []


def test_what_was_announced_again_meanwhile_is_not_done(journal: Journal) -> None:
    journal.announce([7], version=NOW)
    seen = journal.outstanding()
    journal.announce([7], version=NOW + 1)

    journal.done(seen)

    assert journal.outstanding() == [Dirty(7, "one", NOW + 1)]


def test_one_does_not_settle_what_another_has_announced(store: Store, journal: Journal) -> None:
    other = Journal(store, "other")
    journal.announce([7], version=NOW + 5)
    seen = journal.outstanding()
    other.announce([7], version=NOW)

    journal.done(seen)

    assert journal.outstanding() == [Dirty(7, "other", NOW)]


def test_a_minute_beyond_the_calendar_is_not_announced(journal: Journal) -> None:
    journal.announce([-1, 2**40], version=1)

    assert journal.outstanding() == []


def test_a_lane_is_as_far_as_the_slowest_of_the_shares_that_are_asked_for(journal: Journal) -> None:
    journal.save_cursor({1: 50, 2: 5}, LOW, version=1)
    journal.save_cursor({1: 30}, HIGH, version=2)

    assert journal.load_cursor(LOW) == {1: 50, 2: 5}
    assert journal.load_cursor(HIGH) == {1: 30, 2: 0}
    assert journal.load_cursor(ALL) == {1: 30, 2: 0}


def test_what_was_saved_for_a_lane_as_a_whole_counts_for_each_share(store: Store, journal: Journal) -> None:
    Derived(store).save_cursor({1: 40})
    journal.save_cursor({1: 50}, LOW, version=1)

    assert (journal.load_cursor(LOW), journal.load_cursor(HIGH)) == ({1: 50}, {1: 40})


def test_every_span_is_in_one_share_and_a_trace_is_in_one(store: Store) -> None:
    derived = Derived(store)
    store_spans(store, [Span(trace, trace * 10 + n) for trace in range(1, 40) for n in range(3)])

    low, high = (derived.read_arrivals({}, shares=shares) for shares in (LOW, HIGH))

    of_low, of_high = (set(one.spans.trace_id_low.tolist()) for one in (low, high))
    assert of_low | of_high == set(range(1, 40))
    assert not of_low & of_high
    assert len(concatenate([low.spans, high.spans])) == 117


def test_reading_a_share_goes_on_behind_spans_of_the_others(store: Store) -> None:
    derived = Derived(store)
    store_spans(store, [Span(trace, trace * 10) for trace in range(1, 40)])
    everything = derived.read_arrivals({}).last()
    one = frozenset({1})

    cursor: dict[int, int] = {}
    rows = 0
    while len(read := derived.read_arrivals(cursor, 5, one)) or read.last():
        cursor.update(read.last())
        rows += len(read)

    assert cursor == everything
    assert rows == len(derived.read_arrivals({}, shares=one))


def store_spans(store: Store, spans: Sequence[Span]) -> None:
    committer = Committer(store, linger_ms=0)
    committer.submit(encode(spans)).result()
    committer.close()
