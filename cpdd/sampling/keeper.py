"""What became of the policies that were fetched: applied and saved, refused, or lost with their server.

Every provider tells its keeper what it got. Fail safe: a document that is refused leaves the old one in force, a
server that is lost leaves its last word until `ttl_s`, and then the baseline.
"""

import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from cpdd.sampling.document import EMPTY, Document, document_json, read_document
from cpdd.sampling.fields import PolicyError
from cpdd.sampling.hooks import after_fork, at_exit
from cpdd.sampling.sampler import DynamicSampler
from cpdd.sampling.saved import SavedPolicy

log = logging.getLogger(__name__)

SAVE_EVERY_S = 60.0
"""Shares of budgets change every other second; changes that people made are saved at once."""

EXIT_WAITS_S = 1.0
"""How long a program that is over waits for policies that it went by to be on disk."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What this program samples by, and why it is nothing newer."""

    version: int = 0
    hash: str = ""
    source: str = "baseline"
    """`baseline`, `saved`, or the address that the policies came from."""
    problem: str = ""
    """Empty while all is well."""


class Keeper:
    """Between a provider and the sampler. Thread-safe."""

    def __init__(
        self,
        sampler: DynamicSampler,
        saved: SavedPolicy | None = None,
        ttl_s: float = 600.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.sampler = sampler
        self._saved = saved
        self._ttl_s = ttl_s
        self._clock = clock
        self._heard_s = clock()
        self._saved_s = self._heard_s
        self._lock = threading.Lock()
        self._standing = Standing()
        after_fork(self, Keeper._renew_lock)
        at_exit(self, Keeper._finish)

    @property
    def standing(self) -> Standing:
        return self._standing

    def begin(self) -> None:
        """Start from the last good policy on disk, where there is one."""
        text = self._saved.read() if self._saved else None
        if text is None:
            return
        try:
            document = replace(read_document(text), sent_unix_ms=None)  # ends of boosts by the clock on the wall
        except PolicyError as error:
            log.warning("saved policies are not used: %s", error)
            return
        self.sampler.apply(document)
        self._standing = Standing(document.version, document.hash, "saved", "nothing heard from the server yet")

    def take(self, text: bytes, source: str) -> bool:
        """Apply what came; returns whether it was taken. A refusal is told once, and the old policies stay."""
        try:
            document = read_document(text)
        except PolicyError as error:
            self.refuse(str(error))
            return False
        self.take_document(document, source)
        return True

    def take_document(self, document: Document, source: str) -> None:
        """Apply a document that is known to be good, and save it: both under the lock that the exit waits for."""
        with self._lock:
            self._heard_s = self._clock()
            before, self._standing = self._standing, Standing(document.version, document.hash, source)
            self.sampler.apply(document)
            is_new = (document.version, source) != (before.version, before.source)
            is_due = document.hash != before.hash and self._heard_s >= self._saved_s + SAVE_EVERY_S
            if self._saved and (is_new or is_due):
                self._saved_s = self._heard_s
                self._saved.write(json.dumps(document_json(document)).encode())
        if is_new:
            log.info("sampling by policies of version %d from %s", document.version, source)

    def hear(self) -> None:
        """Take note that the source lives and has nothing new."""
        with self._lock:
            self._heard_s = self._clock()
            if self._standing.problem:
                self._standing = replace(self._standing, problem="")

    def stay(self) -> None:
        """Take note that the source is there and unchanged: what was wrong with it still is."""
        with self._lock:
            self._heard_s = self._clock()

    def refuse(self, problem: str) -> None:
        """Take note that what came cannot be used."""
        with self._lock:
            if self._standing.problem != problem:
                log.warning("policies are not taken, those before stay in force: %s", problem)
                self._standing = replace(self._standing, problem=problem)

    def lose(self, problem: str) -> None:
        """Take note that the source cannot be reached; after `ttl_s` without a word, go back to the baseline."""
        with self._lock:
            silent_s = self._clock() - self._heard_s
            if not self._standing.problem:
                log.warning("policies cannot be fetched, the last ones stay for %.0f s: %s", self._ttl_s, problem)
            self._standing = replace(self._standing, problem=problem)
            if silent_s >= self._ttl_s and self._standing.source != "baseline":
                log.warning("no word of the sampling server for %.0f s: sampling by the baseline", silent_s)
                self.sampler.apply(EMPTY)
                self._standing = Standing(problem=problem)

    def _finish(self) -> None:
        """At exit: what was applied just now may not be saved yet, and is what the next run begins with."""
        if self._lock.acquire(timeout=EXIT_WAITS_S):
            self._lock.release()

    def _renew_lock(self) -> None:
        """In a forked child: the lock may be held by a thread that is not there."""
        self._lock = threading.Lock()
