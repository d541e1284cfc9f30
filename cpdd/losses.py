"""What became of the spans of this process: counted always, said when losses begin and when they end."""

import threading
from dataclasses import dataclass, replace
from typing import Literal

from cpdd.failures import log

Reason = Literal["queue_full", "not_taken", "at_exit"]

_WORDS: dict[Reason, str] = {
    "queue_full": "they end faster than they can be sent",
    "not_taken": "the collector cannot be reached, does not answer in time, or refuses them",
    "at_exit": "the program ended before they could be sent",
}


@dataclass(frozen=True, slots=True)
class SpanCounts:
    """Sampled spans since the start: `sent` were taken by the collector; the others nobody will see."""

    sent: int = 0
    queue_full: int = 0
    not_taken: int = 0
    at_exit: int = 0

    @property
    def lost(self) -> int:
        return self.queue_full + self.not_taken + self.at_exit


class Losses:
    """Counts the spans of one way out. Thread-safe, and cheap enough for every span that is dropped."""

    def __init__(self) -> None:
        self.start_over()

    def start_over(self) -> None:
        """Count from nothing."""
        self.counts = SpanCounts()
        self._told_of = 0
        self._is_losing = False
        self._lock = threading.Lock()

    def count_sent(self, spans: int) -> None:
        """Spans arrived; says so where some were lost before."""
        with self._lock:
            self.counts = counts = replace(self.counts, sent=self.counts.sent + spans)
            if not self._is_losing:
                return
            # the sentence names those since the one before
            lost, self._told_of, self._is_losing = counts.lost - self._told_of, counts.lost, False
        log.warning("spans arrive again, %d were lost", lost, extra={"lost": lost})

    def count_lost(self, spans: int, reason: Reason) -> None:
        """Spans are lost; says so where none were before."""
        if not spans:
            return
        with self._lock:
            self.counts = replace(self.counts, **{reason: getattr(self.counts, reason) + spans})
            if self._is_losing:
                return
            self._is_losing = True
        log.warning("spans are lost: %s", _WORDS[reason], extra={"reason": reason})
