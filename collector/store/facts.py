"""Who sends spans: facts about services, noted as requests come in and written beside the spans.

    request -> note: a look at each resource, read once an hour -> a thread -> service_facts

A resource that was seen costs a digest of its bytes; nothing is done for a span. What waits is bounded: facts that
were lost to a failure are noted again within the hour.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import astuple
from hashlib import blake2b

import pyarrow as pa
from clickhouse_connect.driver.exceptions import Error as EngineError

from collector.core.attributes import resource_detail
from collector.core.detail import ResourceDetail
from collector.core.facts import Facts, facts_of
from collector.core.spans import SpanBatch
from collector.store.engine import Store
from collector.store.trouble import explain

log = logging.getLogger(__name__)

MAX_KNOWN = 50_000
"""Resources remembered; a fleet that makes more in an hour is read again from the start."""
MAX_FACTS = 10_000
"""Distinct facts an hour; versions without end are noted up to here."""
NEW_AT_ONCE = 100
"""Resources read of one request; more are left to the next."""
WRITE_INTERVAL_S = 1.0

_HOUR_S = 3600
_COLUMNS = (
    "Service",
    "Version",
    "Revision",
    "Repository",
    "Owner",
    "OwnerContact",
    "OwnerUrl",
    "Criticality",
)


class Notebook:
    """Facts that are new this hour. Thread-safe."""

    def __init__(self, read: Callable[[SpanBatch, int], ResourceDetail] = resource_detail) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._seen: dict[bytes, int] = {}
        self._facts: dict[Facts, int] = {}
        self._waiting: list[Facts] = []

    def note(self, batch: SpanBatch, hour: int) -> None:
        """Take in who sent these spans."""
        for row, digest in self._unseen(batch, hour):
            facts = facts_of(self._read(batch, row).attributes)
            with self._lock:
                self._seen[digest] = hour
                if facts.service and self._facts.get(facts) != hour and len(self._facts) < MAX_FACTS:
                    self._facts[facts] = hour
                    self._waiting.append(facts)

    def take(self) -> list[Facts]:
        """Return what was noted since the last time."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
        return waiting

    def put_back(self, facts: list[Facts]) -> None:
        with self._lock:
            self._waiting = facts + self._waiting

    def _unseen(self, batch: SpanBatch, hour: int) -> list[tuple[int, bytes]]:
        """Rows of resources that were not read this hour."""
        starts, sizes = batch.resources.at.tolist(), batch.resources.size.tolist()
        unseen: list[tuple[int, bytes]] = []
        for row, (at, size) in enumerate(zip(starts, sizes, strict=True)):
            digest = blake2b(batch.body[at : at + size], digest_size=16).digest()
            if self._seen.get(digest) != hour and len(unseen) < NEW_AT_ONCE:
                unseen.append((row, digest))
        if unseen and len(self._seen) + len(unseen) > MAX_KNOWN:
            self._forget(hour)
        return unseen

    def _forget(self, hour: int) -> None:
        with self._lock:
            self._seen = {}
            self._facts = {facts: at for facts, at in self._facts.items() if at == hour}


class FactsKeeper:
    """Notes facts from any thread; writes them from one of its own, started by `start`."""

    def __init__(
        self, store: Store, now_ns: Callable[[], int] = time.time_ns, notebook: Notebook | None = None
    ) -> None:
        self._store = store
        self._now_ns = now_ns
        self._notebook = notebook or Notebook()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="cpdd-facts")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, and return when nothing runs any more."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def note(self, batch: SpanBatch) -> None:
        """Take in who sent these spans. Raises nothing: a resource that cannot be read costs facts, not a request."""
        try:
            self._notebook.note(batch, self._now_ns() // 1_000_000_000 // _HOUR_S)
        except Exception:
            log.exception("facts about services not noted")

    def write(self) -> None:
        """Write what was noted. Raises the engine's errors; then it is kept for the next time."""
        facts = self._notebook.take()
        if not facts:
            return
        try:
            self._insert(facts)
        except (EngineError, OSError):
            self._notebook.put_back(facts)
            raise

    def _run(self) -> None:
        failing = False
        while not self._stopping.wait(WRITE_INTERVAL_S):
            failing = self._try_to_write(failing)
        self._try_to_write(failing)

    def _try_to_write(self, failing: bool) -> bool:
        """Write; tells whether it failed, and logs the first failure of a row."""
        try:
            self.write()
        except Exception as error:  # the top of a thread
            if not failing:
                why = explain(error, self._store.address.shown)
                log.warning("facts about services not written, trying again", extra={"reason": why})
            return True
        return False

    def _insert(self, facts: Sequence[Facts]) -> None:
        now = pa.array([self._now_ns() // 1_000_000_000] * len(facts), pa.uint32())
        texts = zip(*map(astuple, facts), strict=True)
        columns = dict(zip(_COLUMNS, (pa.array(column, pa.string()) for column in texts), strict=True))
        rows = pa.table({**columns, "FirstSeen": now, "LastSeen": now})
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, rows.schema) as stream:
            stream.write_table(rows)
        with self._store.client() as client:
            names = [*_COLUMNS, "FirstSeen", "LastSeen"]
            self._store.insert(client, "service_facts", names, [sink.getvalue().to_pybytes()], "ArrowStream")
