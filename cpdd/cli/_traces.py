"""The traces of files, numbered in order of their first span: which of them, and explained a few at a time."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from collector.core.attributes import detail
from collector.core.detail import Link
from collector.core.explain import Explanation, PathPolicy, explain
from collector.core.spans import SpanBatch

SPANS_AT_ONCE = 25_000
"""Traces are explained together up to this size: enough for kernels to be compiled, little enough to see progress."""

Numbers = NDArray[np.int64]
Progress = Callable[[int, int], None]


class Traces:
    """Traces of a batch. They are asked for by number, in any order."""

    def __init__(self, batch: SpanBatch, policy: PathPolicy, target: str = "root") -> None:
        self.batch = batch
        self._policy = policy
        self._target = target
        self._services = frozenset(batch.strings[index] for index in np.unique(batch.service))
        number = _numbers(batch)
        self._rows = np.argsort(number, kind="stable")
        self._first = np.searchsorted(number[self._rows], np.arange(number.max(initial=-1) + 2))

    @property
    def numbers(self) -> Numbers:
        """All traces, in the order of the files."""
        return np.arange(len(self._first) - 1)

    def trace_id(self, number: int) -> str:
        return self.batch.trace_id(int(self._rows[self._first[number]]))

    def rows(self, number: int) -> Numbers:
        return self._rows[self._first[number] : self._first[number + 1]]

    def matching(self, wanted: str) -> Numbers:
        """Return the traces whose id begins or ends with the given digits."""
        wanted = wanted.lower()
        ids = [self.trace_id(number) for number in range(len(self._first) - 1)]
        return np.flatnonzero([trace_id.startswith(wanted) or trace_id.endswith(wanted) for trace_id in ids])

    def with_span(self, chosen: Numbers, span_id: str) -> Numbers:
        """Return those of `chosen` that have a span with the given id, `ID` or `ID/server`."""
        try:
            wanted = int(span_id.removesuffix("/server"), 16)
        except ValueError:
            return chosen[:0]
        if not 0 < wanted < 1 << 64:
            return chosen[:0]
        has = self.batch.span_id == np.uint64(wanted)
        return np.array([number for number in chosen if has[self.rows(number)].any()], np.int64)

    def slowest_first(self, chosen: Numbers, progress: Progress) -> Numbers:
        """Return `chosen` by the length of the target, after repair; equally long ones in the order given."""
        found = self._explained(chosen, progress)
        lengths = [(-explained.target_duration_ns, at, number) for at, (number, explained, _) in enumerate(found)]
        return np.array([number for _, _, number in sorted(lengths)], np.int64)

    def explained(self, chosen: Numbers, progress: Progress) -> Iterator[tuple[Explanation, SpanBatch]]:
        """Explain traces, in the order given; each with the batch that its rows are of.

        Args:
            progress: is told how many traces of how many are explained.
        """
        return ((explained, batch) for _, explained, batch in self._explained(chosen, progress))

    def _explained(self, chosen: Numbers, progress: Progress) -> Iterator[tuple[int, Explanation, SpanBatch]]:
        done = 0
        for some in self._groups(chosen):
            progress(done, len(chosen))
            batch = self.batch.take(np.sort(np.concatenate([self.rows(number) for number in some])))
            found = explain(batch, self._policy, self._target, self._services, partial(_links, batch))
            by_id = {explained.trace_id: explained for explained in found}
            done += len(some)
            progress(done, len(chosen))
            yield from ((n, by_id[trace_id], batch) for n in some if (trace_id := self.trace_id(n)) in by_id)

    def _groups(self, chosen: Numbers) -> Iterator[list[int]]:
        group: list[int] = []
        spans = 0
        for number in chosen.tolist():
            group.append(number)
            spans += int(self._first[number + 1] - self._first[number])
            if spans >= SPANS_AT_ONCE:
                yield group
                group, spans = [], 0
        if group:
            yield group


def _links(batch: SpanBatch, row: int) -> tuple[Link, ...]:
    return detail(batch, row).links


def _numbers(batch: SpanBatch) -> Numbers:
    """The number of each row's trace."""
    keys = np.empty(len(batch), [("high", np.uint64), ("low", np.uint64)])
    keys["high"], keys["low"] = batch.trace_id_high, batch.trace_id_low
    _, first_row, sorted_number = np.unique(keys, return_index=True, return_inverse=True)
    rank = np.empty(len(first_row), np.int64)
    rank[np.argsort(first_row)] = np.arange(len(first_row))
    return rank[sorted_number]
