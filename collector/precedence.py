"""Pages before what can wait a moment: while somebody waits for one, receiving and analysis let it have the processor.

Beside 90,000 spans/s on two cores a page is made by one thread of many, and takes several times as long as alone. A
request with spans may be answered a quarter of a second later.
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from typing import Any, ParamSpec, TypeVar

from collector.store.waiting import reader_waits
from collector.web import WsgiApplication

LONGEST_S = 0.25
"""So long a piece of work waits at most; most pages take less."""
MOST_FIRST = 2
"""So many pages at once have threads that go first."""
GOES_ON = 2.0
"""So many times as long as it has waited, a thread goes on: pages get a third of its time at most."""

_Params = ParamSpec("_Params")
_Result = TypeVar("_Result")


class Precedence:
    """Knows whether anybody waits for a page. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Args:
        clock: in s; only goes forward.
        """
        self._clock = clock
        self._lock = threading.Lock()
        self._pages = 0
        self._first = 0
        self._no_page = threading.Event()
        self._no_page.set()
        self._thread = threading.local()

    @contextmanager
    def page(self) -> Iterator[None]:
        """Somebody waits for what is done in this context. Few go first: many would take all there is."""
        with self._lock:
            self._pages += 1
            goes_first = self._first < MOST_FIRST
            self._first += goes_first
            self._no_page.clear()
        try:
            with reader_waits() if goes_first else nullcontext():
                yield
        finally:
            with self._lock:
                self._pages -= 1
                self._first -= goes_first
                if not self._pages:
                    self._no_page.set()

    def before(self, application: WsgiApplication) -> WsgiApplication:
        """Return the application of pages; each of its answers is a page."""

        def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
            with self.page():
                return application(environ, start_response)

        return answer

    def give_way(self) -> None:
        """Wait until there is no page, before a piece of work that can wait, but neither long nor again and again."""
        if self._no_page.is_set():
            return
        began = self._clock()
        if began < getattr(self._thread, "goes_on_until", began):
            return
        self._no_page.wait(LONGEST_S)
        ended = self._clock()
        self._thread.goes_on_until = ended + GOES_ON * (ended - began)


class GivingWay(ThreadPoolExecutor):
    """Threads that give way before each piece of work."""

    def __init__(self, precedence: Precedence, max_workers: int, thread_name_prefix: str) -> None:
        super().__init__(max_workers, thread_name_prefix)
        self._precedence = precedence

    def submit(
        self, fn: Callable[_Params, _Result], /, *args: _Params.args, **kwargs: _Params.kwargs
    ) -> "Future[_Result]":
        def after_pages() -> Any:
            self._precedence.give_way()
            return fn(*args, **kwargs)

        return super().submit(after_pages)
