"""`queue.Queue` and `asyncio.Queue`: a worker that takes items goes on in the context in which each was put.

The contexts lie beside the queue's items, by the id of the item, which stays while the queue holds it: what
programs find in a queue is what they put. Queues that hold connections hand nothing over: the last in, first out
ones of urllib3, redis and kombu, and any other whose items mostly come back. `SimpleQueue` is written in C and
cannot be patched.
"""

import asyncio
import queue
import threading
import weakref
from collections import deque
from typing import Any

from opentelemetry.context import Context, get_current

from cpdd.handover.carry import let_go, take_over
from cpdd.handover.patch import Method, Patch

_SIDE = "_cpdd_side"
_POOLS = (queue.LifoQueue, asyncio.LifoQueue)


class Side:
    """What lies beside a queue: the context of each item, and how many of the items had been in it before."""

    def __init__(self) -> None:
        self.contexts: dict[int, deque[Context]] = {}
        self._fresh = 0
        self._again = 0
        self._seen: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()

    def put(self, item: object) -> None:
        """Keep the current context for the item."""
        if self._seen.get(id(item)) is item:
            self._again += 1
        else:
            self._fresh += 1
        self.contexts.setdefault(id(item), deque()).append(get_current())

    def take(self, item: object) -> Context | None:
        """Return the context for the item, None for an item that brings none."""
        waiting = self.contexts.get(id(item))
        context = waiting.popleft() if waiting else None
        if not waiting:
            self.contexts.pop(id(item), None)
        try:
            self._seen[id(item)] = item
        except TypeError:  # a number or a text is no connection
            return context
        return None if self._again > self._fresh else context


class _Last(threading.local):
    """The context of the item that this thread has just taken out, on its way from `_get` to `get`."""

    context: Context | None = None


_last = _Last()


def _put(original: Method) -> Method:
    def _put(self: Any, item: Any) -> None:
        original(self, item)
        side: Side | None = vars(self).get(_SIDE)
        if side is None:
            side = vars(self)[_SIDE] = Side()
        side.put(item)

    return _put


def _get(original: Method) -> Method:
    def _get(self: Any) -> Any:
        item = original(self)
        side: Side | None = vars(self).get(_SIDE)
        if side is not None:
            _last.context = side.take(item)
            if side.contexts and _is_empty(self):
                side.contexts.clear()  # of items that somebody took out by another way
        return item

    return _get


def _is_empty(self: Any) -> bool:
    """Asked from inside, where queue.Queue holds the lock that its `qsize` would ask for."""
    return not (self.qsize() if isinstance(self, asyncio.Queue) else self._qsize())


def _take(original: Method) -> Method:
    """For the method that calls `_get`, in the thread or task that the item is for."""

    def get(self: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(self, _POOLS):
            return original(self, *args, **kwargs)
        let_go(self)
        _last.context = None
        item = original(self, *args, **kwargs)
        if _last.context is not None:
            take_over(_last.context, self)
            _last.context = None
        return item

    return get


def _wait(original: Method) -> Method:
    """For asyncio's `get`, which takes by `get_nowait` when there is something to take."""

    async def get(self: Any) -> Any:
        if not isinstance(self, _POOLS):
            let_go(self)
        return await original(self)

    return get


PATCHES = (
    *(Patch(kind, "_put", _put) for kind in (queue.Queue, queue.PriorityQueue)),
    *(Patch(kind, "_get", _get) for kind in (queue.Queue, queue.PriorityQueue)),
    Patch(queue.Queue, "get", _take),
    *(Patch(kind, "_put", _put) for kind in (asyncio.Queue, asyncio.PriorityQueue)),
    *(Patch(kind, "_get", _get) for kind in (asyncio.Queue, asyncio.PriorityQueue)),
    Patch(asyncio.Queue, "get_nowait", _take),
    Patch(asyncio.Queue, "get", _wait),
)
