"""Questions that threads answer side by side: a page has more of them than one thread answers in time."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Generic, TypeVar

from collector.store.thread_priority import go_first
from collector.store.waiting import out_of_turn

Answer = TypeVar("Answer")

THREADS = 4
"""For all pages together."""
_POOL = ThreadPoolExecutor(THREADS, thread_name_prefix="cpdd-read", initializer=go_first)
"""Its threads go first where they may, so that a page's question is taken up at once; for others they step back."""


class Asked(Generic[Answer]):
    """A question that a thread may already work on."""

    def __init__(self, question: Callable[[], Answer]) -> None:
        self._question = question
        in_context = copy_context().run  # who counts the time counts this, too
        self._future: Future[Answer] = _POOL.submit(in_context, self._ask)

    def answer(self) -> Answer:
        """Return the answer, or raise what the question raised, however often somebody wants it. One thread at a time.

        Where no thread has begun it is answered here: threads that ask never wait for each other in a circle.
        """
        if self._future.cancel():
            self._future = Future()
            try:
                self._future.set_result(self._question())
            except BaseException as error:
                self._future.set_exception(error)
        return self._future.result()

    def _ask(self) -> Answer:
        with out_of_turn():
            return self._question()
