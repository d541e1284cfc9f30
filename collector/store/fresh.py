"""What this process stored last, kept for its analyzer, which so need not read it back.

The store stays the hand-over: what is here is in `span_arrivals` already, and wherever it is not the very next of a
lane (after a restart, a group that failed, spans of another collector, more than is kept) the analyzer reads there.
"""

import threading
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from collector.store import native
from collector.store.arrivals import Arrivals, arrivals_of

MAX_BYTES = 64 << 20
"""Kept at most: about half a million spans."""
MAX_AGE_MS = 60_000
"""Older groups are let go when others come: nobody seems to take them here."""


@dataclass(frozen=True, slots=True)
class Group:
    """The spans of one commit of one lane, with sequences from `first` on."""

    lane: int
    first: int
    rows: tuple[int, ...]
    """Of each request."""
    arrivals: tuple[bytes, ...]
    """Of each request, as in `EncodedBatch`."""
    arrived_at_unix_milli: int

    @property
    def last(self) -> int:
        return self.first + sum(self.rows) - 1

    @property
    def bytes(self) -> int:
        return sum(map(len, self.arrivals))


class Fresh:
    """Groups in order of their commit, by lane. Thread-safe."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._groups: deque[Group] = deque()
        self._bytes = 0
        self._stored: dict[int, int] = {}

    def begin(self, lane: int, first_sequence: int) -> None:
        """Note a lane of this process, and the sequence that its next span gets."""
        with self._lock:
            self._stored[lane] = first_sequence - 1

    def put(self, group: Group) -> None:
        """Keep a group that is in the store."""
        with self._lock:
            self._groups.append(group)
            self._bytes += group.bytes
            self._stored[group.lane] = group.last
            oldest_ms = group.arrived_at_unix_milli - MAX_AGE_MS
            while self._groups and (self._bytes > self._max_bytes or self._groups[0].arrived_at_unix_milli < oldest_ms):
                self._bytes -= self._groups.popleft().bytes

    def lanes(self) -> Collection[int]:
        """Return the lanes of this process."""
        with self._lock:
            return frozenset(self._stored)

    def take(self, cursor: Mapping[int, int], limit: int) -> list[Group] | None:
        """Return the groups behind `cursor`, of each lane up to the one with its `limit`-th span; None where a lane has
        spans that are not here. Those up to the cursor are let go.
        """
        with self._lock:
            self._groups = deque(group for group in self._groups if group.last > cursor.get(group.lane, 0))
            self._bytes = sum(group.bytes for group in self._groups)
            reached = {lane: cursor.get(lane, 0) for lane in self._stored}
            taken = []
            for group in self._groups:
                if group.first != reached[group.lane] + 1:
                    return None
                reached[group.lane] = group.last
                if group.first <= cursor.get(group.lane, 0) + limit:
                    taken.append(group)
            return taken if all(reached[lane] >= last for lane, last in self._stored.items()) else None


def arrivals_of_groups(groups: Sequence[Group]) -> Arrivals:
    """Return the spans of groups, in order of lane and sequence, as the store would."""
    numbers: dict[str, list[NDArray[np.generic]]] = {name: [] for name, _, _ in native.NUMBER_COLUMNS}
    texts = {name: _Texts() for name, _ in native.TEXT_COLUMNS}
    groups = sorted(groups, key=lambda group: (group.lane, group.first))
    for group in groups:
        for rows, block in zip(group.rows, group.arrivals, strict=True):
            for column in native.read_arrivals(block, rows):
                if isinstance(column.texts, list):
                    texts[column.name].add(column.texts, column.values)
                else:
                    numbers[column.name].append(column.values)
    sizes = [sum(group.rows) for group in groups]
    columns = {name: _joined(parts) for name, parts in numbers.items()}
    columns["Lane"] = np.repeat([group.lane for group in groups], sizes)
    columns["Sequence"] = _joined([np.arange(group.first, group.last + 1) for group in groups])
    arrived_ms = np.repeat([group.arrived_at_unix_milli for group in groups], sizes)
    return arrivals_of(columns, {name: column.joined() for name, column in texts.items()}, arrived_ms)


class _Texts:
    """A column of texts that grows block by block."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._codes: list[NDArray[np.int32]] = []

    def add(self, texts: list[str], codes: NDArray[np.generic]) -> None:
        numbers = self._numbers
        places = [numbers.setdefault(text, len(numbers)) for text in texts]
        self._codes.append(np.array(places, np.int32)[codes])

    def joined(self) -> tuple[list[str], NDArray[np.integer]]:
        return list(self._numbers), np.concatenate(self._codes)


def _joined(parts: Sequence[NDArray[np.generic]]) -> NDArray[np.generic]:
    return np.concatenate(parts)
