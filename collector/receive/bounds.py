"""Times that the store can take: a pure step between decoding and encoding.

The store keeps a partition a day. A span that is far off would open a partition of its own, and an insert that
touches very many is refused whole by the engine. Spans that were recorded years ago are welcome; what is refused
is a time that no clock showed: before 1971 (a start that is missing, a clock that counts from the boot of its
machine), more than a day ahead of ours, or spread over more days than a request can honestly hold.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from collector.core.rejections import Rejection
from collector.core.spans import SpanBatch

DAY_NS = 86_400 * 10**9
EARLIEST_UNIX_NANO = 365 * DAY_NS
"""1971-01-01."""


@dataclass(frozen=True, slots=True)
class TimeBounds:
    """What is believed of a span's start."""

    max_ahead_ns: int = DAY_NS
    """How far ahead of the collector's clock a span may start."""
    max_days: int = 64
    """Different days in one request. The store takes 100 in one insert."""


@dataclass(frozen=True, slots=True)
class Bounded:
    """The spans of a request that the store can take, and why it cannot take the others."""

    batch: SpanBatch
    rejected: int
    rejections: tuple[Rejection, ...]
    """The first few."""


def within_bounds(batch: SpanBatch, now_ns: int, bounds: TimeBounds, max_told: int = 5) -> Bounded:
    """Return the spans whose start the store can take."""
    starts = batch.start_time_unix_nano
    wrong = (starts < EARLIEST_UNIX_NANO) | (starts > now_ns + bounds.max_ahead_ns)
    wrong |= _beyond_days(starts, wrong, bounds.max_days)
    if not wrong.any():
        return Bounded(batch, 0, ())
    rows = np.flatnonzero(wrong)
    told = tuple(_rejection(batch, int(row), now_ns, bounds) for row in rows[:max_told])
    return Bounded(batch.take(np.flatnonzero(~wrong)), len(rows), told)


def _beyond_days(starts: NDArray[np.int64], wrong: NDArray[np.bool_], max_days: int) -> NDArray[np.bool_]:
    """Rows on a day beyond the first `max_days` in order of arrival; rows that are wrong already open no day."""
    days = starts // DAY_NS
    right = days[~wrong]
    if len(right) == 0 or right.max() - right.min() < max_days:
        return np.zeros(len(starts), np.bool_)
    distinct, first_row = np.unique(right, return_index=True)
    kept = distinct[np.argsort(first_row)[:max_days]]
    return ~wrong & ~np.isin(days, kept)


def _rejection(batch: SpanBatch, row: int, now_ns: int, bounds: TimeBounds) -> Rejection:
    start = int(batch.start_time_unix_nano[row])
    return Rejection(
        _problem(start, now_ns, bounds),
        f"span {batch.span_id_hex(row)} of trace {batch.trace_id(row)}",
        batch.text(int(batch.name[row])),
        batch.text(int(batch.service[row])),
        "does its clock tell the time of day?",
    )


def _problem(start: int, now_ns: int, bounds: TimeBounds) -> str:
    if start < EARLIEST_UNIX_NANO:
        return f"start_time_unix_nano is {start}, before 1971"
    ahead_s = (start - now_ns) / 1e9
    if start > now_ns + bounds.max_ahead_ns:
        return f"start_time_unix_nano is {start}, {ahead_s:.0f} s ahead of the collector's clock"
    return f"start_time_unix_nano is {start}, on a day beyond the {bounds.max_days} that one request may touch"
