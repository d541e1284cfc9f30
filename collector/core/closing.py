"""Which traces are complete enough to be analyzed, and which may be forgotten. Called by the analyzer, which owns the
clock and the I/O.

Waiting is measured from the moment at which spans were read, by a clock that only goes forward: neither a machine's
time that is set nor a collector whose clock is wrong holds a trace back or closes it early.

    first span      root ended, quiet 2 s        quiet 10 s
        |---------------------| analyzed: provisional  |  settled: forgotten here, kept in the store
                                         late span: analyzed again, each time after twice as long
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from collector.core.kernels import load
from collector.core.spans import IdColumn, IntColumn, SpanBatch, concatenate

_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class ClosingPolicy:
    """When a trace is analyzed."""

    quiet_s: float = 2.0
    """Without spans, the root having ended."""
    no_root_s: float = 10.0
    """Without spans, no root having been seen."""
    settle_s: float = 10.0
    """Without spans, until a trace that was analyzed is forgotten."""
    max_age_s: float = 300.0
    """Since the first span, however busy the trace is."""
    max_repeat_s: float = 300.0
    """Longest wait between two analyses of one trace."""
    max_open_spans: int = 4_000_000
    """Spans held at most; beyond, the traces that began first are analyzed and forgotten."""


@dataclass(frozen=True, slots=True)
class Closing:
    """What is to be analyzed now."""

    spans: SpanBatch
    """All that is known here of the traces that are due, in order of arrival."""
    ot: tuple[str, ...]
    """By row: tracestate's `ot` member."""
    incomplete: NDArray[np.bool_]
    """By row: the trace may have spans that are in the store alone."""
    repeated: NDArray[np.bool_]
    """By row: the trace may have been analyzed before."""


class OpenTraces:
    """Holds the spans of traces that are not settled yet. Bounded by `max_open_spans`; not thread-safe.

    A trace is a slot in columns of state; spans stay in the chunks in which they came, with a column of slots.
    """

    def __init__(self, policy: ClosingPolicy = ClosingPolicy()) -> None:
        self.policy = policy
        self._slot_of: dict[int, int] = {}
        self._state = _TraceState(1024)
        self._free = list(range(1023, -1, -1))
        self._chunks: list[_Chunk] = []
        self._recent = _RecentIds()

    def __len__(self) -> int:
        """Number of spans held."""
        return sum(chunk.alive for chunk in self._chunks)

    @property
    def traces(self) -> int:
        return len(self._slot_of)

    def oldest(self) -> dict[int, int]:
        """Return, by lane, the first sequence that is still held; where a restart has to begin."""
        oldest: dict[int, int] = {}
        for chunk in self._chunks:
            held = chunk.slot >= 0
            for lane in np.unique(chunk.lane[held]).tolist():
                first = int(chunk.sequence[held & (chunk.lane == lane)].min())
                oldest[lane] = min(first, oldest.get(lane, first))
        return oldest

    def add(
        self,
        spans: SpanBatch,
        ot: tuple[str, ...],
        lane: IntColumn,
        sequence: IntColumn,
        now_ns: int,
        seen_before_unix_nano: int = 0,
    ) -> None:
        """Take spans in, in order of arrival.

        Args:
            ot: by row, tracestate's `ot` member.
            now_ns: by the clock that `close` is told as well; it never goes back.
            seen_before_unix_nano: traces that began before this may have been analyzed in another life of the process.
        """
        if not len(spans):
            return
        with np.errstate(over="ignore"):
            order, first = load("group", len(spans)).group_rows(
                spans.trace_id_high, spans.trace_id_low, np.uint64(0x5EED)
            )
        heads = order[first[:-1]]
        ids = [
            high << 64 | low
            for high, low in zip(spans.trace_id_high[heads].tolist(), spans.trace_id_low[heads].tolist(), strict=True)
        ]
        slots = np.array([self._slot_of.get(trace_id, -1) for trace_id in ids], np.int64)
        state = self._state
        for place in np.flatnonzero(slots < 0).tolist():
            if not self._free:
                self._free.extend(range(state.grow(), state.size // 2 - 1, -1))
            slot = self._free.pop()
            self._slot_of[ids[place]] = slot
            slots[place] = slot
        fresh = state.first_arrival[slots] < 0
        # reduceat over rows grouped by trace
        rooted = np.maximum.reduceat((spans.parent_span_id[order] == 0).astype(np.int8), first[:-1]) > 0
        state.key_low[slots] = spans.trace_id_low[heads]
        state.key_high[slots] = spans.trace_id_high[heads]
        state.first_arrival[slots[fresh]] = now_ns
        state.last_arrival[slots] = now_ns
        state.has_root[slots] |= rooted
        state.changed[slots] = True
        began = np.minimum.reduceat(spans.start_time_unix_nano[order], first[:-1])
        state.incomplete[slots] |= began < seen_before_unix_nano  # its root may come after spans that began later
        state.incomplete[slots[fresh]] |= self._recent.contain(spans.trace_id_low[heads[fresh]])
        slot_column = np.empty(len(spans), np.int64)
        slot_column[order] = np.repeat(slots, np.diff(first))
        self._chunks.append(_Chunk(spans, slot_column, ot, lane, sequence, len(spans)))

    def remember(self, ids_low: IdColumn) -> None:
        """Take in the lower halves of ids of traces that another life of the process has analyzed."""
        self._recent.add(ids_low)

    def close(self, now_ns: int, everything: bool = False) -> Closing | None:
        """Return the traces that are due, and forget those that are settled; None when nothing is due."""
        policy = self.policy
        state = self._state
        slots = np.fromiter(self._slot_of.values(), np.int64, len(self._slot_of))
        quiet = now_ns - state.last_arrival[slots]
        age = now_ns - state.first_arrival[slots]
        wait = np.where(state.has_root[slots], policy.quiet_s, policy.no_root_s) * _SECOND
        due = (quiet >= wait) | (age >= policy.max_age_s * _SECOND)
        due &= state.changed[slots] & (now_ns >= state.not_before[slots])
        due |= everything & state.changed[slots]
        if (excess := len(self) - policy.max_open_spans) > 0:
            due |= self._oldest_slots(slots, excess)
        chosen = slots[due]
        closing = self._gather(chosen)
        state.changed[chosen] = False
        delay = np.minimum(policy.quiet_s * 2.0 ** state.repeats[chosen], policy.max_repeat_s) * _SECOND
        state.not_before[chosen] = now_ns + delay.astype(np.int64)
        state.repeats[chosen] = np.minimum(state.repeats[chosen] + 1, 16)
        settled = ~state.changed[slots] & (quiet >= policy.settle_s * _SECOND)
        if excess > 0:
            settled |= due
        self._forget(slots[settled])
        return closing

    def _oldest_slots(self, slots: IntColumn, excess: int) -> NDArray[np.bool_]:
        """The traces that began first and hold at least `excess` spans together."""
        held = np.concatenate([chunk.slot[chunk.slot >= 0] for chunk in self._chunks])
        sizes = np.bincount(held, minlength=self._state.size)[slots]
        order = np.argsort(self._state.first_arrival[slots], kind="stable")
        enough = int(np.searchsorted(np.cumsum(sizes[order]), excess)) + 1
        chosen = np.zeros(len(slots), bool)
        chosen[order[:enough]] = True
        return chosen

    def _gather(self, slots: IntColumn) -> Closing | None:
        if not len(slots):
            return None
        wanted = np.zeros(self._state.size + 1, bool)  # the last entry is slot -1's
        wanted[slots] = True
        parts: list[SpanBatch] = []
        ot: list[str] = []
        slots_of_rows: list[IntColumn] = []
        for chunk in self._chunks:
            rows = np.flatnonzero(wanted[chunk.slot])
            if len(rows):
                parts.append(chunk.spans.take(rows))
                ot.extend([chunk.ot[row] for row in rows.tolist()] if any(chunk.ot) else [""] * len(rows))
                slots_of_rows.append(chunk.slot[rows])
        if not parts:
            return None
        row_slots = np.concatenate(slots_of_rows)
        incomplete = self._state.incomplete[row_slots]
        return Closing(concatenate(parts), tuple(ot), incomplete, incomplete | (self._state.repeats[row_slots] > 0))

    def _forget(self, slots: IntColumn) -> None:
        if not len(slots):
            return
        state = self._state
        gone = np.zeros(state.size + 1, bool)
        gone[slots] = True
        keys = zip(state.key_high[slots].tolist(), state.key_low[slots].tolist(), strict=True)
        for high, low in keys:
            del self._slot_of[high << 64 | low]
        self._recent.add(state.key_low[slots])
        self._free.extend(slots.tolist())
        state.clear(slots)
        kept = []
        for chunk in self._chunks:
            chunk.slot[gone[chunk.slot]] = -1
            rows = np.flatnonzero(chunk.slot >= 0)
            chunk.alive = len(rows)
            if 0 < chunk.alive < len(chunk.slot) // 2:
                kept.append(chunk.take(rows))
            elif chunk.alive:
                kept.append(chunk)
        self._chunks = kept


@dataclass(slots=True)
class _Chunk:
    """Spans that came together; slot -1 stands for a trace that was forgotten."""

    spans: SpanBatch
    slot: IntColumn
    ot: tuple[str, ...]
    lane: IntColumn
    sequence: IntColumn
    alive: int

    def take(self, rows: IntColumn) -> "_Chunk":
        return _Chunk(
            self.spans.take(rows),
            self.slot[rows],
            tuple(self.ot[row] for row in rows.tolist()),
            self.lane[rows],
            self.sequence[rows],
            len(rows),
        )


class _TraceState:
    """Columns of state, one row a slot."""

    def __init__(self, size: int) -> None:
        self.size = 0
        self.key_high: IdColumn = np.empty(0, np.uint64)
        self.key_low: IdColumn = np.empty(0, np.uint64)
        self.first_arrival: IntColumn = np.empty(0, np.int64)
        self.last_arrival: IntColumn = np.empty(0, np.int64)
        self.not_before: IntColumn = np.empty(0, np.int64)
        self.repeats: IntColumn = np.empty(0, np.int64)
        self.has_root: NDArray[np.bool_] = np.empty(0, bool)
        self.changed: NDArray[np.bool_] = np.empty(0, bool)
        self.incomplete: NDArray[np.bool_] = np.empty(0, bool)
        self._resize(size)

    def grow(self) -> int:
        """Double the number of slots; returns the last one's number."""
        self._resize(self.size * 2)
        return self.size - 1

    def clear(self, slots: IntColumn) -> None:
        self.first_arrival[slots] = -1
        self.last_arrival[slots] = -1
        for column in (self.not_before, self.repeats, self.has_root, self.changed, self.incomplete):
            column[slots] = 0

    def _resize(self, size: int) -> None:
        old = self.size
        for name in ("key_high", "key_low", "first_arrival", "last_arrival", "not_before", "repeats"):
            column = getattr(self, name)
            setattr(self, name, np.concatenate([column, np.zeros(size - old, column.dtype)]))
        for name in ("has_root", "changed", "incomplete"):
            setattr(self, name, np.concatenate([getattr(self, name), np.zeros(size - old, bool)]))
        self.size = size
        self.first_arrival[old:] = -1
        self.last_arrival[old:] = -1


class _RecentIds:
    """Remembers about the last two million trace ids that were forgotten, 8 B each.

    Half an id is kept, so that a stranger may be taken for a known one: it then costs a look into the store.
    """

    def __init__(self, capacity: int = 2_000_000) -> None:
        self._capacity = capacity
        self._runs: list[IdColumn] = []

    def add(self, ids: IdColumn) -> None:
        if not len(ids):
            return
        self._runs.append(np.sort(ids))
        # Runs of like size are merged, so that there are few to search; the oldest goes when there are too many ids.
        while len(self._runs) > 1 and len(self._runs[-1]) * 2 >= len(self._runs[-2]):
            if len(self._runs[-2]) >= self._capacity // 4:
                break
            last = self._runs.pop()
            self._runs[-1] = np.sort(np.concatenate([self._runs[-1], last]))
        while len(self._runs) > 1 and sum(map(len, self._runs)) > self._capacity:
            self._runs.pop(0)

    def contain(self, ids: IdColumn) -> NDArray[np.bool_]:
        found = np.zeros(len(ids), bool)
        for run in self._runs:
            place = np.minimum(np.searchsorted(run, ids), len(run) - 1)
            found |= run[place] == ids
        return found
