"""`threading.Thread`, `Timer`, and subclasses with a `run` of their own: in the context of who called `start`."""

import threading
from collections.abc import Callable
from typing import Any

from opentelemetry.context import Context, get_current

from cpdd.handover.carry import run_inside
from cpdd.handover.patch import Method, Patch

_WORKERS = ("concurrent.futures", "multiprocessing", "opentelemetry", "cpdd")
"""Threads of these live for many callers, of whom the one who happened to start them is no more than the first."""


def _start(original: Method) -> Method:
    def start(thread: threading.Thread) -> None:
        context = get_current()
        if not context or _is_worker(thread):
            original(thread)
            return
        put_back = _shadow_run(thread, context)
        try:
            original(thread)
        except BaseException:
            put_back()
            raise

    return start


def _shadow_run(thread: threading.Thread, context: Context) -> Callable[[], None]:
    """Let the thread's own `run` begin in the context; returns what takes the shadow away, as the thread does first."""
    run, said = thread.run, vars(thread).get("run")

    def put_back() -> None:
        if said is None:
            vars(thread).pop("run", None)
        else:
            thread.run = said  # type: ignore[method-assign]

    def run_in_context() -> None:
        put_back()
        run_inside(context, run)

    thread.run = run_in_context  # type: ignore[method-assign]
    return put_back


def _is_worker(thread: threading.Thread) -> bool:
    places: tuple[Any, ...] = (type(thread), getattr(thread, "_target", None))
    return any(str(getattr(place, "__module__", "")).startswith(_WORKERS) for place in places)


PATCHES = (Patch(threading.Thread, "start", _start),)
