"""Which sampled traces count in their journey's figures, and for how many. Pure; the analyzer keeps the `Deciders`.

Where every service follows its caller, a trace is there whole or not at all, and counts as its root's `th` says. Where
services decide by thresholds of their own, R of the trace tells which of them are missing:

    R   0 ............ T(cart, 25 %) ............ T(stock, 10 %) ...... 2^56
        nobody         cart alone: partial        both: counts for 10

A trace without stock may have called it or not; only where R is above stock's threshold, too, is that known. So a
journey counts traces with R >= T_max, the largest threshold in force among the operations that it enters and that
decide for themselves. All others are partial. Source: docs/explanation/sampling.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from collector.core.assemble import Forest
from collector.core.distinct import distinct_rows
from collector.core.kernels import bits
from collector.core.spans import IntColumn
from cpdd.sampling.thresholds import ALL, RANDOMNESS_MASK, read_member

MINUTE_NS = 60_000_000_000
KEPT_MINUTES = 60
"""How long what was learned holds: who has decided for itself, and by what, and which journeys went there."""
MAX_DECIDERS = 10_000
MAX_ENTERED = 100_000
"""Pairs of a journey and a decider that are remembered; beyond them a journey counts as if it did not go there."""

FloatColumn = NDArray[np.float64]
Decider = tuple[str, str]
"""Service and operation."""


@dataclass(slots=True)
class Deciders:
    """The operations that decide for themselves, by what, and the journeys that enter them. One thread at a time.

    Learned from traces: an operation decides for itself where its `th` is not its caller's.
    """

    _decided: dict[Decider, int] = field(default_factory=dict)
    """When somebody was last seen to decide, in minutes; likewise below."""
    _thresholds: dict[Decider, dict[int, int]] = field(default_factory=dict)
    """The largest threshold of each minute."""
    _entered: dict[str, dict[Decider, int]] = field(default_factory=dict)
    """By journey, when it last went there."""
    _pairs: int = 0
    _newest: int = 0

    def weigh(self, forest: Forest, journey: Sequence[str], ot: Sequence[str]) -> FloatColumn:
        """Return how many traces each trace of a forest counts for: 0 where it is partial, 1 where nothing is said.

        Args:
            journey: by trace.
            ot: by row of the forest's batch, the value of tracestate's `ot` member.
        Work: O(n) in spans.
        """
        members = {text: read_member(text) for text in set(ot)}
        if all(member.threshold is None for member in members.values()):
            return np.ones(forest.traces)
        threshold = _by_row({text: member.threshold for text, member in members.items()}, ot)[forest.row]
        own = threshold[forest.target]
        nodes = self._learn(forest, journey, threshold)
        if not len(nodes):
            return _counts(own)
        explicit = _by_row({text: member.randomness for text, member in members.items()}, ot)[forest.row]
        randomness = _randomness(forest, explicit)
        needed, is_known = self._needed(forest, journey, nodes, threshold)
        is_partial = is_known & (randomness < needed)
        is_partial |= _orphaned(forest, nodes)
        weights = _counts(np.where(is_known, needed, own))
        weights[is_partial] = 0.0
        return weights

    def _learn(self, forest: Forest, journey: Sequence[str], threshold: IntColumn) -> IntColumn:
        """Take note of who decides and by what; returns the nodes at which somebody decided."""
        said = threshold >= 0
        of_parent = np.where(forest.parent >= 0, threshold[np.maximum(forest.parent, 0)], threshold)
        codes, minutes = _operations(forest), _minutes(forest)[_trace_of(forest)]
        deciding = said & (threshold != of_parent)
        self._forget(int(np.median(minutes)))
        self._note_deciders(forest, codes[deciding], minutes[deciding])
        known = [code for code in np.unique(codes[said]).tolist() if _name(forest, code) in self._decided]
        nodes = np.flatnonzero(said & np.isin(codes, known))
        self._note_thresholds(forest, codes[nodes], minutes[nodes], threshold[nodes])
        self._note_entered(forest, journey, codes[nodes], _trace_of(forest)[nodes], minutes[nodes])
        return nodes

    def _note_deciders(self, forest: Forest, codes: IntColumn, minute: IntColumn) -> None:
        for code, at in zip(*(column.tolist() for column in distinct_rows((codes, minute))), strict=True):
            decider = _name(forest, code)
            if decider in self._decided or len(self._decided) < MAX_DECIDERS:
                self._decided[decider] = max(at, self._decided.get(decider, 0))

    def _note_thresholds(self, forest: Forest, codes: IntColumn, minute: IntColumn, threshold: IntColumn) -> None:
        keys, place = np.unique(np.stack([codes, minute]), axis=1, return_inverse=True)
        largest = np.zeros(keys.shape[1], np.int64)
        np.maximum.at(largest, place.reshape(-1), threshold)
        for code, at, found in zip(*keys.tolist(), largest.tolist(), strict=True):
            by_minute = self._thresholds.setdefault(_name(forest, code), {})
            by_minute[at] = max(found, by_minute.get(at, 0))

    def _note_entered(
        self, forest: Forest, journey: Sequence[str], codes: IntColumn, trace: IntColumn, minute: IntColumn
    ) -> None:
        begins = forest.root_kind[forest.target[trace]] == bits.ROOT
        names, number = np.unique(np.array(journey, object), return_inverse=True)
        keys, at = np.unique(np.stack([number[trace[begins]], codes[begins]]), axis=1, return_index=True)
        for (name, code), seen in zip(keys.T.tolist(), minute[begins][at].tolist(), strict=True):
            entered = self._entered.setdefault(str(names[name]), {})
            decider = _name(forest, code)
            if decider in entered or self._pairs < MAX_ENTERED:
                self._pairs += decider not in entered
                entered[decider] = max(seen, entered.get(decider, 0))

    def _needed(
        self, forest: Forest, journey: Sequence[str], nodes: IntColumn, threshold: IntColumn
    ) -> tuple[IntColumn, NDArray[np.bool_]]:
        """The threshold that R of each trace must reach; and whether its journey enters anybody who decides."""
        needed = np.maximum.reduceat(np.maximum(threshold, 0), forest.first[:-1])
        is_known = np.zeros(forest.traces, bool)
        minutes, of_journey = _minutes(forest), np.array(journey, object)
        trace, codes = _trace_of(forest)[nodes], _operations(forest)[nodes]
        present: dict[Decider, NDArray[np.bool_]] = {}
        for code in np.unique(codes).tolist():
            present[_name(forest, code)] = np.isin(np.arange(forest.traces), trace[codes == code])
        for name in set(journey) & self._entered.keys():
            mine = of_journey == name
            is_known |= mine
            for decider in self._entered[name]:
                missing = np.flatnonzero(mine & ~present[decider] if decider in present else mine)
                for minute in np.unique(minutes[missing]).tolist():
                    then = missing[minutes[missing] == minute]
                    needed[then] = np.maximum(needed[then], self._in_force(decider, minute))
        return needed, is_known

    def _in_force(self, decider: Decider, minute: int) -> int:
        """The largest threshold of a minute and those beside it, as clocks and lengths of traces differ; else the
        nearest."""
        by_minute = self._thresholds.get(decider)
        if not by_minute:
            return 0
        near = [by_minute[at] for at in (minute - 1, minute, minute + 1) if at in by_minute]
        return max(near) if near else by_minute[min(by_minute, key=lambda at: (abs(at - minute), at))]

    def _forget(self, minute: int) -> None:
        """Forget what is over, once a minute."""
        if minute <= self._newest:
            return
        self._newest, before = minute, minute - KEPT_MINUTES
        self._decided = {decider: seen for decider, seen in self._decided.items() if seen >= before}
        self._thresholds = {
            decider: {at: found for at, found in by_minute.items() if at >= before}
            for decider, by_minute in self._thresholds.items()
            if decider in self._decided
        }
        entered = {
            name: {decider: seen for decider, seen in seen_of.items() if decider in self._decided and seen >= before}
            for name, seen_of in self._entered.items()
        }
        self._entered = {name: seen_of for name, seen_of in entered.items() if seen_of}
        self._pairs = sum(map(len, self._entered.values()))


def _by_row(values: dict[str, int | None], ot: Sequence[str]) -> IntColumn:
    """A number for each row, -1 for none."""
    numbers = {text: -1 if value is None else value for text, value in values.items()}
    return np.fromiter((numbers[text] for text in ot), np.int64, len(ot))


def _counts(threshold: IntColumn) -> FloatColumn:
    return ALL / (ALL - np.maximum(threshold, 0)).astype(np.float64)


def _randomness(forest: Forest, explicit: IntColumn) -> IntColumn:
    """R of each trace: what `rv` says, else the low 56 bits of its id."""
    said = np.maximum.reduceat(explicit, forest.first[:-1])
    ids = forest.batch.trace_id_low[forest.row[forest.target]] & np.uint64(RANDOMNESS_MASK)
    return np.where(said >= 0, said, ids.astype(np.int64))


def _orphaned(forest: Forest, nodes: IntColumn) -> NDArray[np.bool_]:
    """Traces that begin where somebody decided who has a caller: the caller decided against them."""
    begins = forest.root_kind[forest.target] == bits.ORPHAN_ROOT
    orphaned: NDArray[np.bool_] = begins & np.isin(forest.target, nodes)
    return orphaned


def _operations(forest: Forest) -> IntColumn:
    """A number for the service and name of each node; NO_STRING has one, too."""
    service, name = (column[forest.row].astype(np.int64) + 1 for column in (forest.batch.service, forest.batch.name))
    operation: IntColumn = service * (len(forest.batch.strings) + 1) + name
    return operation


def _name(forest: Forest, code: int) -> Decider:
    service, name = divmod(code, len(forest.batch.strings) + 1)
    return forest.batch.text(service - 1), forest.batch.text(name - 1)


def _trace_of(forest: Forest) -> IntColumn:
    return np.repeat(np.arange(forest.traces), np.diff(forest.first))


def _minutes(forest: Forest) -> IntColumn:
    minutes: IntColumn = forest.start[forest.target] // MINUTE_NS
    return minutes
