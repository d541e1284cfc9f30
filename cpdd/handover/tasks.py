"""asyncio's tasks take their context along by themselves; here they remember that it is not their own.

A worker that lives longer than the request that started it takes over the context of each item from its queue.
"""

import asyncio
import contextvars
from collections.abc import Coroutine
from typing import Any

from opentelemetry.context import get_current

from cpdd.handover.carry import mark_given
from cpdd.handover.patch import Method, Patch


def _create_task(original: Method) -> Method:
    def create_task(loop: asyncio.BaseEventLoop, coro: Coroutine[Any, Any, Any], **said: Any) -> "asyncio.Task[Any]":
        if said.get("context") is None and get_current():
            said["context"] = contextvars.copy_context()
            said["context"].run(mark_given)
        task: asyncio.Task[Any] = original(loop, coro, **said)
        return task

    return create_task


PATCHES = (Patch(asyncio.BaseEventLoop, "create_task", _create_task),)
