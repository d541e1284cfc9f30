"""Makes the minutes anew that the analyzers of a server say have changed, and lets go of arrivals that all have read.

One thread in each collector; the one whose turn it is works. Where one process does everything, the analyzer does this
itself.
"""

import logging
import time
from collections.abc import Callable

from collector.background import ALWAYS, Retry, Turn, Worker
from collector.core.shares import ALL
from collector.store.derived import Derived
from collector.store.engine import Store
from collector.store.journal import Journal
from cpdd.settings import Settings

log = logging.getLogger(__name__)

INTERVAL_S = 1.0
"""Between two looks at least; making minutes may take MINUTES_SHARE of the time."""
MINUTES_SHARE = 0.1
FOLD_INTERVAL_S = 60.0


class MinuteWriter(Worker):
    """Looks once a second until it is stopped."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        clock_ns: Callable[[], int] = time.time_ns,
        steady_s: Callable[[], float] = time.monotonic,
        turn: Turn = ALWAYS,
    ) -> None:
        super().__init__("cpdd-minutes", "making minutes", store, turn)
        self._retry = Retry(INTERVAL_S)
        self._derived = Derived(store, clock_ns)
        self._journal = Journal(store)
        self._arrivals_kept_s = settings.arrivals_ttl_hours * 3600
        self._steady_s = steady_s
        self._fold_due_s = 0.0

    def run_once(self) -> None:
        """Make what is outstanding; once a minute, see how far all analyzers are."""
        if dirty := self._journal.outstanding():
            self._derived.recompute_minutes({one.minute for one in dirty})
            self._journal.done(dirty)
        if self._steady_s() >= self._fold_due_s:
            self._fold()
            self._fold_due_s = self._steady_s() + FOLD_INTERVAL_S

    def _fold(self) -> None:
        """Save how far every share is as how far the lanes are, and drop the arrivals before that."""
        cursor = self._journal.load_cursor(ALL)
        before = self._derived.load_cursor()
        self._derived.save_cursor({lane: last for lane, last in cursor.items() if last > before.get(lane, 0)})
        self._derived.forget_arrivals(cursor, self._arrivals_kept_s)

    def _round(self) -> float:
        began_s = self._steady_s()
        self.run_once()
        self._retry.succeeded()
        took_s = self._steady_s() - began_s
        return max(INTERVAL_S, took_s / MINUTES_SHARE - took_s)

    def _failed(self, error: Exception) -> float:
        retry_s = self._retry.failed()
        self._rounds.failed(error, retry_s)
        return retry_s

    def _run(self) -> None:
        super()._run()
        if not self._turn.mine:
            return
        try:
            self.run_once()
        except Exception:
            log.exception("the last minutes were not made; the next collector does it")

    def _begin_anew(self) -> None:
        self._derived.look_again()
