"""Threads that fetch policies: not traced themselves, and begun again in a forked child (gunicorn preload, uwsgi)."""

import threading
from collections.abc import Callable

from opentelemetry import context
from opentelemetry.context import _SUPPRESS_HTTP_INSTRUMENTATION_KEY, _SUPPRESS_INSTRUMENTATION_KEY

from cpdd.failures import tell
from cpdd.sampling.hooks import after_fork

Work = Callable[[threading.Event], None]
"""Runs until the event is set, or until there is nothing more to do."""


class Worker:
    """One thread of ours, by name."""

    def __init__(self, name: str, work: Work) -> None:
        self._name = name
        self._work = work
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        after_fork(self, Worker._restart)

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, args=(self._stopped,), name=self._name, daemon=True)
        self._thread.start()

    def ask_to_stop(self) -> None:
        self._stopped.set()

    def stop(self, timeout_s: float = 1.0) -> None:
        """Ask the thread to end, and wait a little for it."""
        self.ask_to_stop()
        if self._thread is not None:
            self._thread.join(timeout_s)
            self._thread = None

    def _restart(self) -> None:
        if self._thread is not None:
            self._stopped = threading.Event()
            self.start()

    def _run(self, stopped: threading.Event) -> None:
        own = context.set_value(_SUPPRESS_INSTRUMENTATION_KEY, True)
        context.attach(context.set_value(_SUPPRESS_HTTP_INSTRUMENTATION_KEY, True, own))
        try:
            self._work(stopped)
        except Exception as error:
            tell(self._name, error)
