"""Keeps what is interesting, lets go what was released, and keeps the disk below its ceiling. One thread.

    every minute:  pins -> examples of findings -> ceiling
    every five minutes, first:  interesting traces, and those that boosts brought

What it does may be repeated, so that it needs no state but the store's. Started by `serve`.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from collector.background import ALWAYS, Turn, Worker
from collector.core.sampling.lives import Life
from collector.store.boosted import Boosted
from collector.store.ceiling import Ceiling
from collector.store.engine import Store
from collector.store.keeping import Keeping
from collector.store.schema import DAY_S, Retention
from cpdd.settings import Settings

log = logging.getLogger(__name__)

INTERVAL_S = 60.0
CHOOSE_NS = 300 * 1_000_000_000
"""Between two choices of interesting traces; each takes a few of every journey."""
LONGEST_S = 100 * 365 * DAY_S


@dataclass(slots=True)
class Retaining:
    """What was done since the start, and how full it is; read by metrics and `/status`."""

    used_bytes: int = 0
    ceiling_bytes: int = 0
    """0: none."""
    dropped_bytes: int = 0
    dropped_rows: int = 0
    last_dropped: str = ""
    """What the ceiling deleted last, and when; empty while it deleted nothing."""
    over_ceiling: bool = False
    """Nothing that may go is left, and it is still too much."""
    kept_traces: int = 0
    pinned_traces: int = 0
    failures: int = 0
    last_failure: str = ""


class Retainer(Worker):
    """Looks once a minute until it is stopped."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        clock_ns: Callable[[], int] = time.time_ns,
        steady_ns: Callable[[], int] = time.monotonic_ns,
        turn: Turn = ALWAYS,
        boosts: Callable[[], Sequence[Life]] = tuple,
    ) -> None:
        """Args:
        boosts: those of the last hour.
        """
        super().__init__("cpdd-retain", "retention", store, turn)
        self.progress = Retaining(ceiling_bytes=settings.max_disk_bytes)
        self._keeping = Keeping(store)
        self._boosted = Boosted(store)
        self._boosts = boosts
        self._ceiling = Ceiling(store, settings.max_disk_bytes)
        self._kept_s = settings.interesting_days * DAY_S or LONGEST_S
        self._is_longer = not settings.interesting_days or 0 < settings.retention_days < settings.interesting_days
        self._clock_ns = clock_ns
        self._steady_ns = steady_ns
        self._choose_due_ns = 0
        self._chosen_until: int | None = None
        self._prepared = False

    def run_once(self) -> None:
        """Keep what is to be kept, then make room."""
        if not self._prepared:
            self._ceiling.prepare()
            self._prepared = True
        self._keep()
        self._clean()

    def _round(self) -> float:
        self.run_once()
        return INTERVAL_S

    def _failed(self, error: Exception) -> float:
        self.progress.failures += 1
        self.progress.last_failure = self._rounds.failed(error, INTERVAL_S)
        return INTERVAL_S

    def _begin_anew(self) -> None:
        self._chosen_until = None

    def _keep(self) -> None:
        now = self._clock_ns()
        progress = self.progress
        progress.pinned_traces = self._keeping.keep_pinned()
        if not self._is_longer:  # everything lives as long as that
            return
        until_s = _end_of_day(now // 1_000_000_000 + self._kept_s)
        progress.kept_traces += self._keeping.keep(self._keeping.examples(), until_s)
        if self._chosen_until is None:
            self._chosen_until = self._keeping.seen()
        if self._steady_ns() >= self._choose_due_ns:
            until = self._keeping.newest()
            chosen = self._keeping.interesting(self._chosen_until, until)
            chosen += self._boosted.choose(self._boosts(), self._chosen_until, until)
            progress.kept_traces += self._keeping.keep(chosen, until_s)
            self._chosen_until = until + 1  # rows that were marked just now
            self._choose_due_ns = self._steady_ns() + CHOOSE_NS

    def _clean(self) -> None:
        progress = self.progress
        dropped = self._ceiling.clean()
        for one in dropped:
            progress.dropped_bytes += one.bytes
            progress.dropped_rows += one.rows
            when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._clock_ns() / 1e9))
            progress.last_dropped = f"{one.rows} rows of {one.table} at {when}"
            log.warning(
                "disk ceiling reached, oldest rows deleted",
                extra={"table": one.table, "rows": one.rows, "bytes": one.bytes, "ceiling": progress.ceiling_bytes},
            )
        progress.used_bytes = self._ceiling.used_bytes()
        was_over, progress.over_ceiling = progress.over_ceiling, 0 < progress.ceiling_bytes < progress.used_bytes
        if progress.over_ceiling and not was_over:
            log.error(
                "disk ceiling passed, and nothing more may be deleted",
                extra={"used": progress.used_bytes, "ceiling": progress.ceiling_bytes},
            )


def retention_of(settings: Settings) -> Retention:
    """Return how long rows live: spans and traces as long as the setting says, the far smaller minutes at least so."""
    kept_s, minutes_s = settings.retention_days * DAY_S, settings.minutes_days * DAY_S
    return Retention(kept_s, kept_s, max(kept_s, minutes_s) if kept_s and minutes_s else 0)


def _end_of_day(unix_s: int) -> int:
    """Whole days of copies end together."""
    return (unix_s // DAY_S + 1) * DAY_S
