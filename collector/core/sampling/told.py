"""How many traces a trace without `th` counts for: by what its root's service was told to keep at that time. Pure.

Jaeger's samplers of other languages write no threshold; the server that they poll knows what it answered. Control
notes, the analyzer asks: in two threads, by single stores. What is to be known after a restart, and to other
collectors of the same store, is handed out to be written down, and taken back.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from collector.core.assemble import Forest
from collector.core.kernels import bits
from cpdd.sampling.jaeger import Strategy
from cpdd.sampling.thresholds import read_member

KEPT_NS = 3_600_000_000_000
SILENT_NS = 600_000_000_000
"""After which a service that asks no more is taken to sample by something else."""
SAID_AGAIN_NS = SILENT_NS // 2
"""After which the same answer is written down once more, so that it is known who still asks."""
MAX_SERVICES = 10_000
MAX_UNSAVED = 10_000


class Answer(NamedTuple):
    """What a client that polls was told, and when."""

    service: str
    at_ns: int
    strategy: Strategy


@dataclass(frozen=True, slots=True)
class _Answers:
    """What one service was told, and since when; times ascending."""

    since_ns: tuple[int, ...]
    strategies: tuple[Strategy, ...]
    asked_ns: int


@dataclass(slots=True)
class Told:
    """What is known of the sampling of services."""

    _answers: dict[str, _Answers] = field(default_factory=dict)
    _reporting: dict[str, int] = field(default_factory=dict)
    """When clients of a service that write `th` were last heard to drop traces, by our clock."""
    _lost: dict[str, int] = field(default_factory=dict)
    """When traces of a service last came without a weight, though they should have one."""
    _unsaved: list[Answer] = field(default_factory=list)
    _saved: dict[str, Answer] = field(default_factory=dict)
    """The last answer to each service that was handed out to be written down."""

    def note(self, service: str, strategy: Strategy, now_ns: int) -> None:
        """Take note of an answer to a client that polls."""
        answer = Answer(service, now_ns, strategy)
        if not self._take(answer):
            return
        saved = self._saved.get(service)
        if saved is None or saved.strategy != strategy or saved.at_ns <= now_ns - SAID_AGAIN_NS:
            self._saved[service] = answer
            self._unsaved.append(answer)

    def take_unsaved(self) -> list[Answer]:
        """Return what is to be written down, once; `put_back` where that fails."""
        unsaved, self._unsaved = self._unsaved, []
        return unsaved

    def put_back(self, answers: Sequence[Answer]) -> None:
        """Keep for later what could not be written down, the latest of it where it grows too much."""
        self._unsaved = [*answers, *self._unsaved][-MAX_UNSAVED:]

    def restore(self, answers: Iterable[Answer]) -> None:
        """Take note of what was written down, by a process before this one or by another collector."""
        for answer in answers:
            self._take(answer)

    def _take(self, answer: Answer) -> bool:
        """Put an answer in its place in time; returns whether there is room for its service."""
        service, at_ns, strategy = answer
        known = self._answers.get(service)
        if known is None:
            if len(self._answers) >= MAX_SERVICES:
                return False
            self._answers[service] = _Answers((at_ns,), (strategy,), at_ns)
            return True
        since, strategies, asked_ns = known.since_ns, known.strategies, max(known.asked_ns, at_ns)
        place = bisect_right(since, at_ns)
        if place == 0 or strategies[place - 1] != strategy:
            old = max(0, bisect_right(since, asked_ns - KEPT_NS) - 1)
            since = (*since[old:place], at_ns, *since[place:])
            strategies = (*strategies[old:place], strategy, *strategies[place:])
        self._answers[service] = _Answers(since, strategies, asked_ns)
        return True

    def note_dropping(self, service: str, now_ns: int) -> None:
        """Take note that clients of a service that write thresholds drop some of their traces."""
        if service in self._reporting or len(self._reporting) < MAX_SERVICES:
            self._reporting[service] = now_ns

    def asks(self, service: str, now_ns: int) -> bool:
        """Return whether clients of a service have polled lately."""
        known = self._answers.get(service)
        return known is not None and now_ns < known.asked_ns + SILENT_NS

    def rate(self, service: str, operation: str, at_ns: int) -> float | None:
        """Return the share that clients which poll kept of an operation then; None where nobody knows."""
        known = self._answers.get(service)
        if known is None or not known.since_ns[0] <= at_ns < known.asked_ns + SILENT_NS:
            return None
        strategy = known.strategies[bisect_right(known.since_ns, at_ns) - 1]
        return strategy.operations.get(operation, strategy.probability)

    def drops(self, service: str, at_ns: int) -> bool:
        """Return whether clients of a service that write thresholds dropped traces then, as far as is known."""
        return abs(self._reporting.get(service, -KEPT_NS) - at_ns) < SILENT_NS

    def unweighted(self, now_ns: int) -> list[str]:
        """Return the services whose traces lately came without the weights that their clients write."""
        return sorted(service for service, at_ns in list(self._lost.items()) if at_ns > now_ns - SILENT_NS)

    def weigh(
        self, forest: Forest, ot: Sequence[str], weights: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Return weights with those of traces without `th` filled in, and which have none though they should.

        Args:
            ot: by row of the forest's batch, the value of tracestate's `ot` member.
            weights: by trace, as thresholds say.
        """
        lost = np.zeros(forest.traces, bool)
        if not self._answers and not self._reporting:
            return weights, lost
        weights = weights.copy()
        rows = forest.row[forest.target]
        texts = [ot[row] for row in rows.tolist()]
        is_bare = {text: read_member(text).threshold is None for text in set(texts)}
        bare = np.fromiter((is_bare[text] for text in texts), bool, len(texts))
        begins = forest.root_kind[forest.target] == bits.ROOT
        starts = forest.start[forest.target]
        for trace in np.flatnonzero(bare & begins & (weights == 1.0)).tolist():
            service = forest.batch.text(int(forest.batch.service[rows[trace]]))
            if service not in self._answers and service not in self._reporting:
                continue
            operation = forest.batch.text(int(forest.batch.name[rows[trace]]))
            rate = self.rate(service, operation, int(starts[trace]))
            if rate:
                weights[trace] = 1.0 / rate
            elif rate is None and self.drops(service, int(starts[trace])):
                lost[trace] = True
                self._lost[service] = max(int(starts[trace]), self._lost.get(service, 0))
        return weights, lost
