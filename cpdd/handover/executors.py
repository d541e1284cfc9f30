"""`ThreadPoolExecutor.submit`, with it `map` and asyncio's `run_in_executor`, and the callbacks of futures."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from cpdd.handover.carry import Bound
from cpdd.handover.patch import Method, Patch


def _submit(original: Method) -> Method:
    def submit(pool: ThreadPoolExecutor, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = original(pool, Bound(function), *args, **kwargs)
        return future

    return submit


def _add_done_callback(original: Method) -> Method:
    def add_done_callback(future: Future[Any], fn: Callable[[Future[Any]], object]) -> None:
        original(future, Bound(fn))

    return add_done_callback


PATCHES = (
    Patch(ThreadPoolExecutor, "submit", _submit),
    Patch(Future, "add_done_callback", _add_done_callback),
)
