"""Traces to journeys: names and failure as the journey book has them, and a bound on what is discovered.

Called by `analysis` after the calls are found; `JourneyNames` is kept by the analyzer.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from collector.core.assemble import Forest
from collector.core.dependencies import Dependencies
from collector.core.journeys import FailedWhen, JourneyBook

OTHER = "other"
"""The journey of traces whose own one would be one too many."""
MAX_JOURNEYS = 1_000
FORGOTTEN_AFTER_NS = 7 * 86_400 * 10**9
"""A discovered name makes room for another one when it was not seen for so long."""
_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Inventor:
    """A service that begins journeys under ever new names."""

    service: str
    names: int
    """Of the discovered journeys."""
    refused: int
    """Traces that were put into `other`."""
    examples: tuple[str, ...]


@dataclass(slots=True)
class JourneyNames:
    """The journeys that were discovered, at most so many. One thread at a time."""

    limit: int = MAX_JOURNEYS
    _seen: dict[str, int] = field(default_factory=dict)
    """When each name was seen last, in ns."""
    _by_service: Counter[str] = field(default_factory=Counter)
    _refused: Counter[str] = field(default_factory=Counter)
    _examples: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def load(self, names: Iterable[str], now_ns: int) -> None:
        """Take names that an earlier life of the process discovered, the newest first."""
        for name in names:
            if name != OTHER and name not in self._seen and len(self._seen) < self.limit:
                self._seen[name] = now_ns
                self._by_service[name.partition(": ")[0]] += 1  # as they are by default; given names count for nobody

    def admit(self, name: str, service: str, traces: int, now_ns: int) -> str:
        """Return the name where there is room for it, else `OTHER`."""
        if name in self._seen:
            self._seen[name] = now_ns
            return name
        if len(self._seen) >= self.limit:
            self._forget(now_ns)
        if len(self._seen) < self.limit:
            self._seen[name] = now_ns
            self._by_service[service] += 1
            return name
        self._refused[service] += traces
        known = self._examples.get(service, ())
        if name not in known:
            self._examples[service] = (name, *known)[:_EXAMPLES]
        return OTHER

    def inventor(self) -> Inventor | None:
        """Return the service with most names where there was no room for all, else None. From any thread."""
        if not self._refused:
            return None
        services = list(self._refused)  # at once: another thread adds to it
        service = max(services, key=lambda one: (self._by_service[one] + self._refused[one], one))
        return Inventor(service, self._by_service[service], self._refused[service], self._examples[service])

    def _forget(self, now_ns: int) -> None:
        for name, seen in list(self._seen.items()):
            if seen < now_ns - FORGOTTEN_AFTER_NS:
                del self._seen[name]


def name_journeys(
    forest: Forest, found: Dependencies, book: JourneyBook, names: JourneyNames, now_ns: int
) -> Dependencies:
    """Return the dependencies under the names of the book, traces failed also where it says so."""
    if not forest.traces:
        return found
    journey = _names(forest, found.journey, book, names, now_ns)
    failed = found.journey_failed | _failed_by_the_book(forest, journey, book)
    if journey == found.journey and not (failed != found.journey_failed).any():
        return found
    well = (~failed[found.calls.trace]).astype(np.uint8)
    return replace(found, journey=journey, journey_failed=failed, calls=replace(found.calls, journey_well=well))


def name_by_book(forest: Forest, found: Dependencies, book: JourneyBook) -> Dependencies:
    """Return the dependencies of the traces of files under the names of the book; there is room for all others."""
    return name_journeys(forest, found, book, JourneyNames(limit=forest.traces), 0) if book.journeys else found


def _names(
    forest: Forest, given: tuple[str, ...], book: JourneyBook, names: JourneyNames, now_ns: int
) -> tuple[str, ...]:
    batch = forest.batch
    rows = forest.row[forest.target]
    roots = list(zip(batch.service[rows].tolist(), batch.name[rows].tolist(), given, strict=True))
    chosen: dict[tuple[int, int, str], str] = {}
    for root, traces in Counter(roots).items():
        service = batch.text(root[0])
        name = book.name(service, batch.text(root[1]), root[2])
        chosen[root] = name if name in book.by_name else names.admit(name, service, traces, now_ns)
    return tuple(chosen[root] for root in roots)


def _failed_by_the_book(forest: Forest, journey: tuple[str, ...], book: JourneyBook) -> NDArray[np.bool_]:
    failed = np.zeros(forest.traces, bool)
    for name in set(journey) & book.by_name.keys():
        condition = book.by_name[name].failed_when
        if condition is not None:
            mine = np.array([name == other for other in journey])
            failed[mine] = _holds(condition, forest)[mine]
    return failed


def _holds(condition: FailedWhen, forest: Forest) -> NDArray[np.bool_]:
    rows = forest.row[forest.target]
    holds = np.zeros(forest.traces, bool)
    for low, high in condition.http_status:
        http = forest.batch.http_status[rows]
        holds |= (http >= low) & (http <= high)
    if condition.rpc_status:
        holds |= np.isin(forest.batch.rpc_status[rows], condition.rpc_status)
    if condition.slower_than_ns:
        holds |= forest.end[forest.target] - forest.start[forest.target] > condition.slower_than_ns
    return holds
