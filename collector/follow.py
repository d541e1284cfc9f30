"""Takes over what the OpenTelemetry Collector's ClickHouse exporter writes, so that cpdd analyzes it.

    every 2 s: starts of the last minute     every minute: of the last quarter of an hour
        ids that are new -> spans -> intake, as if they had been sent here -> followed (how far)

The exporter writes no time of arrival, and a span comes when it has ended: so the window looks back, and what was
taken is remembered by id. After a restart the ids are those that the store has. One collector of several follows.
"""

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from collector.background import ALWAYS, Retry, Turn, Worker
from collector.core.formats.otlp_json_export import to_otlp_json
from collector.core.spans import IdColumn, IntColumn
from collector.receive.answers import Form
from collector.receive.intake import Intake
from collector.store.engine import Store, read_arrow, run
from collector.store.exporter_table import FOLLOWED, SPAN_ID, ExporterTable, parse_table
from cpdd.errors import CpddError
from cpdd.settings import Settings

log = logging.getLogger(__name__)

POLL_S = 2.0
NARROW_NS = 60 * 10**9
WIDE_INTERVAL_S = 60.0
STEP_NS = 60 * 10**9
"""Of time that is read at once at least where there is much to catch up with; twice as much after a sparse step."""
SPARSE = 20_000
"""Spans of a step."""
FIRST_LOOK_NS = 3_600 * 10**9
"""How far back the first look of all goes."""
SPANS_AT_ONCE = 2_000
"""In one request to the intake."""


@dataclass(slots=True)
class Following:
    """What was taken over since the start; read by metrics."""

    spans: int = 0
    until_unix_nano: int = 0
    """What began before it, and a while later has come, is here."""
    failures: int = 0
    last_failure: str = ""


class Follower(Worker):
    """Looks every 2 s until it is stopped."""

    def __init__(
        self,
        store: Store,
        intake: Intake,
        settings: Settings,
        clock_ns: Callable[[], int] = time.time_ns,
        steady_s: Callable[[], float] = time.monotonic,
        turn: Turn = ALWAYS,
    ) -> None:
        """Raises InvalidStoreAddress: the setting names no table of a server."""
        super().__init__("cpdd-follow", "following", store, turn)
        parse_table(settings.follow)
        self.progress = Following()
        self._store = store
        self._intake = intake
        self._dsn = settings.follow
        self._overlap_ns = int(settings.follow_overlap_s * 1e9)
        self._clock_ns = clock_ns
        self._steady_s = steady_s
        self._retry = Retry(POLL_S)
        self._table: ExporterTable | None = None
        self._seen: IdColumn = np.empty(0, np.uint64)
        self._until_ns = 0
        self._step_ns = STEP_NS
        self._version = 0
        self._wide_due_s = 0.0

    def run_once(self) -> bool:
        """Take over what is new in one window; tells whether there may be more at once.

        Raises:
            InvalidStoreAddress, StoreUnreachable, NotExporterTable, Refusal, the engine's errors
        """
        table = self._opened()
        now = self._clock_ns()
        is_wide = self._steady_s() >= self._wide_due_s
        first = self._until_ns - (self._overlap_ns if is_wide else NARROW_NS)
        last = min(now, self._until_ns + self._step_ns)
        ids, starts = table.ids(first, last)
        self._step_ns = min(2 * self._step_ns, FIRST_LOOK_NS) if len(ids) < SPARSE else STEP_NS
        self._take(table, ids, starts)
        if is_wide and last == now:
            self._seen = np.intersect1d(self._seen, ids)  # what is older is not looked at any more
        if is_wide:
            self._wide_due_s = self._steady_s() + WIDE_INTERVAL_S
        self._until_ns = self.progress.until_unix_nano = last  # also behind, where a clock was set back
        self._save()
        return last < now

    def stop(self) -> None:
        super().stop()
        self._begin_anew()

    def _round(self) -> float:
        behind = self.run_once()
        self._retry.succeeded()
        self.progress.last_failure = ""
        return 0.0 if behind else POLL_S

    def _failed(self, error: Exception) -> float:
        """Say why; what says what to do about it, once."""
        self.progress.failures += 1
        retry_s = self._retry.failed()
        if not isinstance(error, CpddError):
            self.progress.last_failure = self._rounds.failed(error, retry_s)
        elif self.progress.last_failure != (reason := str(error)):
            log.warning("following waits", extra={"reason": reason})
            self.progress.last_failure = reason
        self._begin_anew()
        return retry_s

    def _begin_anew(self) -> None:
        if self._table is not None:
            self._table.close()
            self._table = None

    def _opened(self) -> ExporterTable:
        """The table, and where the last life of a process was in it."""
        if self._table is None:
            table = ExporterTable(self._dsn)
            self._load(table.shown)
            self._table = table
            log.info("following a table", extra={"table": table.shown})
        return self._table

    def _load(self, source: str) -> None:
        with self._store.client() as client:
            self._store.define(client, FOLLOWED)
            rows = client.query(
                "SELECT argMax(UntilNs, Version), max(Version) FROM followed WHERE Source = {source:String} "
                "HAVING count() > 0",
                {"source": source},
            ).result_rows
            now = self._clock_ns()
            self._until_ns, self._version = map(int, rows[0]) if rows else (now - FIRST_LOOK_NS, now)
            ours = read_arrow(
                client,
                f"SELECT {SPAN_ID} AS Id FROM otel_traces WHERE Timestamp >= fromUnixTimestamp64Nano({{first:Int64}})",
                {"first": max(self._until_ns - self._overlap_ns, 0)},
            )
        self._seen = np.unique(ours.column("Id").to_numpy().astype(np.uint64))
        self._wide_due_s = 0.0
        self._step_ns = STEP_NS

    def _save(self) -> None:
        assert self._table is not None
        self._version = max(self._clock_ns(), self._version + 1)
        with self._store.client() as client:
            run(
                client,
                "INSERT INTO followed SELECT {source:String}, {until:Int64}, {version:UInt64}",
                {"source": self._table.shown, "until": self._until_ns, "version": self._version},
            )

    def _take(self, table: ExporterTable, ids: IdColumn, starts: IntColumn) -> None:
        """Give to the intake what was not seen, in order of start."""
        fresh = np.flatnonzero(~np.isin(ids, self._seen))
        fresh = fresh[np.argsort(starts[fresh], kind="stable")]
        for begin in range(0, len(fresh), SPANS_AT_ONCE):
            rows = fresh[begin : begin + SPANS_AT_ONCE]
            spans = table.spans(ids[rows].tolist(), int(starts[rows[0]]), int(starts[rows[-1]]) + 1)
            body = json.dumps(to_otlp_json(spans)).encode()
            prepared = self._intake.prepare(body, Form.OTLP_JSON)
            if prepared.encoded is not None:
                self._intake.commit(prepared).result()
            self._seen = np.union1d(self._seen, ids[rows])
            self.progress.spans += prepared.spans
