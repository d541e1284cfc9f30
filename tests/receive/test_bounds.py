"""Which starts the store can take."""

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from collector.core.spans import DTYPES, Resources, Scopes, SpanBatch
from collector.receive.bounds import DAY_NS, EARLIEST_UNIX_NANO, TimeBounds, within_bounds

NOW_NS = 1_790_000_000 * 10**9


def batch_of(starts: Sequence[int]) -> SpanBatch:
    """Spans with these starts, ids 1, 2, 3 and so on, all named "charge card" in service "payment"."""
    n = len(starts)
    columns = {name: np.zeros(n, dtype) for name, dtype in DTYPES.items()}
    columns["span_id"] = np.arange(1, n + 1, dtype=np.uint64)
    columns["trace_id_low"] = np.full(n, 7, np.uint64)
    columns["start_time_unix_nano"] = np.array(starts, np.int64)
    columns["service"] = np.ones(n, np.int32)
    nothing = np.empty(0, np.int32), np.empty(0, np.int64)
    return SpanBatch(
        **columns,
        strings=("charge card", "payment"),
        resources=Resources(
            nothing[0], np.empty((0, 7), np.int32), nothing[0], nothing[1], nothing[1], version=nothing[0]
        ),
        scopes=Scopes(nothing[0], nothing[0], nothing[0], nothing[1], nothing[1]),
        body=b"",
    )


def test_spans_of_now_and_of_years_ago_are_taken():
    starts = [NOW_NS, NOW_NS - 8 * 365 * DAY_NS, EARLIEST_UNIX_NANO, NOW_NS + DAY_NS]

    bounded = within_bounds(batch_of(starts), NOW_NS, TimeBounds())

    assert bounded.rejected == 0
    assert bounded.batch.start_time_unix_nano.tolist() == starts


def test_an_empty_batch_has_nothing_wrong():
    assert within_bounds(batch_of([]), NOW_NS, TimeBounds()).rejected == 0


def test_a_missing_start_costs_its_span_only():
    bounded = within_bounds(batch_of([NOW_NS, 0, NOW_NS + 1]), NOW_NS, TimeBounds())

    assert bounded.batch.span_id.tolist() == [1, 3]
    assert bounded.rejected == 1
    assert str(bounded.rejections[0]).splitlines()[:2] == [
        "span rejected: start_time_unix_nano is 0, before 1971",
        '  at span 0000000000000002 of trace 00000000000000000000000000000007 ("charge card" in service "payment")',
    ]


def test_a_start_far_ahead_of_our_clock_says_how_far():
    bounded = within_bounds(batch_of([NOW_NS + DAY_NS + 1_000_000_000]), NOW_NS, TimeBounds())

    assert bounded.rejected == 1
    assert "86401 s ahead of the collector's clock" in bounded.rejections[0].problem


def test_the_latest_time_there_is_overflows_nothing():
    bounded = within_bounds(batch_of([2**63 - 1, -(2**63)]), NOW_NS, TimeBounds())

    assert (bounded.rejected, len(bounded.batch)) == (2, 0)


def test_a_request_that_touches_too_many_days_keeps_the_first_of_them():
    days = [5, 900, 5, 30, 31, 900]

    bounded = within_bounds(
        batch_of([EARLIEST_UNIX_NANO + day * DAY_NS for day in days]), NOW_NS, TimeBounds(max_days=2)
    )

    assert bounded.batch.span_id.tolist() == [1, 2, 3, 6]
    assert [r.problem.split(", ")[1] for r in bounded.rejections] == [
        "on a day beyond the 2 that one request may touch"
    ] * 2


def test_days_of_wrong_times_do_not_count():
    starts = [0, NOW_NS + 900 * DAY_NS, NOW_NS, NOW_NS - DAY_NS]

    bounded = within_bounds(batch_of(starts), NOW_NS, TimeBounds(max_days=2))

    assert bounded.batch.span_id.tolist() == [3, 4]


def test_few_rejections_are_told_and_all_are_counted():
    bounded = within_bounds(batch_of([0] * 1_000), NOW_NS, TimeBounds(), max_told=3)

    assert (bounded.rejected, len(bounded.rejections)) == (1_000, 3)


@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 2**61), max_size=40), st.integers(1, 5))
def test_what_is_taken_touches_few_days_and_believable_ones(starts: list[int], max_days: int):
    bounds = TimeBounds(max_days=max_days)

    bounded = within_bounds(batch_of(starts), NOW_NS, bounds)

    taken = bounded.batch.start_time_unix_nano.tolist()
    assert len(taken) + bounded.rejected == len(starts)
    assert all(EARLIEST_UNIX_NANO <= start <= NOW_NS + DAY_NS for start in taken)
    assert len({start // DAY_NS for start in taken}) <= max_days
    assert within_bounds(bounded.batch, NOW_NS, bounds).rejected == 0
