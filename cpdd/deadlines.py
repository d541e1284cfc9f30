"""Plain functions under a deadline: run in a bounded pool of daemon threads, and abandoned when time is up."""

import collections
import contextlib
import contextvars
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any, Generic, TypeVar

from cpdd.errors import CpddError

MAX_THREADS = 64
"""Abandoned calls hold a thread until they return; when all are held, a call waits for one until its own deadline."""

_Result = TypeVar("_Result")


class DeadlineExceeded(CpddError, TimeoutError):
    """A call that gave no answer by its deadline: `call` names it, `deadline_s` is how long it had."""

    def __init__(self, call: str, deadline_s: float) -> None:
        self.call = call
        self.deadline_s = deadline_s
        super().__init__(f"{call}: no answer within {deadline_s * 1000:g} ms")


class Work(Generic[_Result]):
    """A function to run in the context of its caller, and its outcome."""

    def __init__(self, function: Callable[[], _Result]) -> None:
        self.outcome: Future[_Result] = Future()
        self._function = function
        self._context = contextvars.copy_context()

    def carry_out(self) -> None:
        """Run the function, unless the caller has given up already."""
        if not self.outcome.set_running_or_notify_cancel():
            return
        try:
            self.outcome.set_result(self._context.run(self._function))
        except BaseException as error:
            self.outcome.set_exception(error)


class DaemonPool:
    """At most `max_threads` threads, started as they are needed.

    Daemons, unlike those of ThreadPoolExecutor: a call that was abandoned must not keep the program from ending.
    What waits for a thread is dropped at its deadline, so that calls which never return cost threads and no more.
    """

    def __init__(self, max_threads: int = MAX_THREADS) -> None:
        self._max_threads = max_threads
        self._start_empty()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._start_empty)

    def run(self, function: Callable[[], _Result], call: str, deadline_s: float) -> _Result:
        """Return what `function` returns, in this context; raise what it raises, or DeadlineExceeded."""
        work = Work(function)
        with self._changed:
            self._waiting.append(work)
            self._start_thread_if_needed()
            self._changed.notify()
        wait((work.outcome,), deadline_s)
        if not work.outcome.done():
            self._abandon(work)
            raise DeadlineExceeded(call, deadline_s)
        return work.outcome.result()

    def _abandon(self, work: Work[Any]) -> None:
        work.outcome.cancel()
        with self._changed, contextlib.suppress(ValueError):  # a thread has it
            self._waiting.remove(work)

    def _start_empty(self) -> None:
        """Begin without threads, also in a forked child, where the parent's do not exist."""
        self._waiting: collections.deque[Work[Any]] = collections.deque()
        self._changed = threading.Condition()
        self._idle = 0
        self._threads = 0

    def _start_thread_if_needed(self) -> None:
        if len(self._waiting) > self._idle and self._threads < self._max_threads:
            self._threads += 1
            threading.Thread(target=self._serve, name=f"cpdd-deadline-{self._threads}", daemon=True).start()

    def _serve(self) -> None:
        while True:
            self._take().carry_out()

    def _take(self) -> Work[Any]:
        """The next work, as soon as there is one."""
        with self._changed:
            self._idle += 1
            self._changed.wait_for(lambda: self._waiting)
            self._idle -= 1
            return self._waiting.popleft()


pool = DaemonPool()
