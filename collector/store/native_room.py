"""Room for what the kernels of `native` find in a batch: arrays that a thread keeps for its next one.

How many attributes, events and texts a body has is known only after its scan. So the scan counts on where it runs out
of room, and is repeated with enough. A thread soon has arrays that fit its batches and allocates no more.
"""

import threading
from collections.abc import Sequence
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from collector.core.kernels import native_layout as layout

KEPT_BYTES = 32 << 20
"""What a thread keeps at most; larger arrays are given back after use."""

_FIRST_CAPACITY = 1024
_INT_BYTES = 4


class Room(threading.local):
    """A thread's own arrays. `lists`, `dictionaries`, `records`: fields of the kernels' tuples of these names."""

    def __init__(self) -> None:
        self._allocate([_FIRST_CAPACITY] * layout.LISTS, [_FIRST_CAPACITY] * layout.DICTIONARIES)
        self._out = np.empty(0, np.uint8)

    def lists(self) -> tuple[object, ...]:
        return self._lists, self._attributes, self._letters, self._rare

    def dictionaries(self) -> tuple[object, ...]:
        return self._dictionaries, self._entries, self._slots

    def records(self, spans: int, resources: int, scopes: int) -> tuple[NDArray[np.generic], ...]:
        return (
            np.empty((layout.SPAN_ROWS, spans), np.int32),
            np.empty((layout.HOLDER_ROWS, resources), np.int32),
            np.empty((layout.HOLDER_ROWS, scopes), np.int32),
            self._events,
            self._event_times,
            self._links,
        )

    def rare(self) -> NDArray[np.int32]:
        """Return the rare values that the last scan found, a column each."""
        return self._rare[:, : self._lists[layout.RARE, layout.LIST_COUNT]]

    def out(self, size: int) -> NDArray[np.uint8]:
        """Return a buffer of at least `size` bytes."""
        if len(self._out) < size:
            self._out = np.empty(size + size // 4, np.uint8)
        return self._out

    def enlarge(self, max_bytes: int) -> int:
        """Make room for all that was counted, unless that takes more than `max_bytes`; return the bytes."""
        lists, dictionaries = self._lists, self._dictionaries
        list_capacities = np.maximum(lists[:, layout.LIST_CAPACITY], lists[:, layout.LIST_COUNT]).tolist()
        text_capacities = np.maximum(dictionaries[:, layout.TEXT_CAPACITY], dictionaries[:, layout.TEXT_COUNT]).tolist()
        size = _size(list_capacities, text_capacities)
        if size <= max_bytes:
            self._allocate(list_capacities, text_capacities)
        return size

    def tidy(self) -> None:
        """Give back what is too large to keep."""
        if self._size > KEPT_BYTES:
            self._allocate([_FIRST_CAPACITY] * layout.LISTS, [_FIRST_CAPACITY] * layout.DICTIONARIES)
        if len(self._out) > KEPT_BYTES:
            self._out = np.empty(0, np.uint8)

    def _allocate(self, list_capacities: Sequence[int], text_capacities: Sequence[int]) -> None:
        self._size = _size(list_capacities, text_capacities)
        self._lists = np.zeros((layout.LISTS, layout.LIST_COLUMNS), np.int64)
        self._lists[:, layout.LIST_CAPACITY] = list_capacities
        of_holders = list_capacities[: layout.HOLDERS]
        self._lists[: layout.HOLDERS, layout.LIST_BASE] = _bases(of_holders)
        self._attributes = np.empty((layout.ATTRIBUTE_ROWS, sum(of_holders)), np.int32)
        self._letters = bytearray(sum(of_holders))
        self._events = np.empty((layout.EVENT_ROWS, list_capacities[layout.EVENTS]), np.int32)
        self._event_times = np.empty(list_capacities[layout.EVENTS], np.int64)
        self._links = np.empty((layout.LINK_ROWS, list_capacities[layout.LINKS]), np.int32)
        self._rare = np.empty((layout.RARE_ROWS, list_capacities[layout.RARE]), np.int32)

        entries, slots = [capacity + 1 for capacity in text_capacities], list(map(_slots, text_capacities))
        self._dictionaries = np.zeros((layout.DICTIONARIES, layout.DICTIONARY_COLUMNS), np.int64)
        self._dictionaries[:, layout.TEXT_BASE] = _bases(entries)
        self._dictionaries[:, layout.TEXT_CAPACITY] = text_capacities
        self._dictionaries[:, layout.SLOT_BASE] = _bases(slots)
        self._dictionaries[:, layout.SLOT_CAPACITY] = slots
        self._entries = np.empty((layout.ENTRY_ROWS, sum(entries)), np.int32)
        self._slots = np.empty(sum(slots), np.int32)


def _slots(texts: int) -> int:
    """Return how many slots a hash table of `texts` needs: a power of two, at most half of them in use."""
    return max(1 << (2 * texts).bit_length(), layout.FIRST_SLOTS)


def _bases(sizes: Sequence[int]) -> list[int]:
    """Return where stretches of these sizes begin, one behind the other."""
    return [0, *accumulate(sizes)][:-1]


def _size(list_capacities: Sequence[int], text_capacities: Sequence[int]) -> int:
    """Return the bytes that `_allocate` takes."""
    attributes = sum(list_capacities[: layout.HOLDERS])
    ints = (
        attributes * layout.ATTRIBUTE_ROWS
        + list_capacities[layout.EVENTS] * (layout.EVENT_ROWS + 2)
        + list_capacities[layout.LINKS] * layout.LINK_ROWS
        + list_capacities[layout.RARE] * layout.RARE_ROWS
        + sum(capacity * layout.ENTRY_ROWS + _slots(capacity) for capacity in text_capacities)
    )
    return ints * _INT_BYTES + attributes
