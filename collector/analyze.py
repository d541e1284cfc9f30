"""Closes traces, runs the core over them, writes what it learned. One thread, started by `serve`.

    span_arrivals -> OpenTraces -> analyze_traces -> call_paths, edges, traces -> minutes -> cursor

Where several processes share a store, each analyzes its shares of the traces and leaves the minutes to one of them.

Every step may be repeated: rows replace rows and minutes are recomputed whole, so that a crash anywhere changes
nothing. The cursor is saved last, and never beyond a span whose trace is still open or whose minute is not recomputed.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from collector.background import ALWAYS, STANDBY_S, Background, Retry, Rounds, Share
from collector.core.analysis import Learned, analyze_traces
from collector.core.closing import Closing, ClosingPolicy, OpenTraces
from collector.core.journeys import JourneyBook
from collector.core.naming import FORGOTTEN_AFTER_NS, Inventor, JourneyNames
from collector.core.policy import PathPolicy
from collector.core.queues import NOTHING_SENT, Sent, linked_elsewhere, sent_by
from collector.core.sampling.counting import Deciders
from collector.core.sampling.told import Told
from collector.core.service_graph import ServiceGraph
from collector.core.shares import Shares
from collector.core.spans import SpanBatch, concatenate
from collector.core.stamps import newer_stamp
from collector.minutes import MINUTES_SHARE
from collector.precedence import Precedence
from collector.settling import Alone, OneOfSeveral, Settling
from collector.store.arrivals import Arrivals
from collector.store.derived import Derived
from collector.store.engine import Store
from collector.store.fresh import Fresh
from collector.store.journal import Journal
from cpdd.settings import Settings

log = logging.getLogger(__name__)

POLL_S = 0.25
"""Between two looks for new spans when there were none."""
ROUND_S = 0.5
"""From one round to the next where all that had arrived was read: few traces cost nearly as much a round as many."""
READ_SPANS = 200_000
"""Spans read at once from each lane."""
TRACES_AT_ONCE = 2_000
"""Traces whose earlier spans are read from the store in one query."""
MIN_MINUTES_INTERVAL_S = 1.0
REMEMBERED_S = 600.0
"""Of the analyses before a restart: a late span of their traces needs the others, which the store has."""
FORGET_INTERVAL_S = 60.0
RETRY_S = 1.0
"""After the first failure."""


@dataclass(slots=True)
class Progress:
    """What the analyzer has done since it started; read by metrics and the system page."""

    spans: int = 0
    traces: int = 0
    """Analyses of traces, repetitions included."""
    repeated: int = 0
    open_traces: int = 0
    open_spans: int = 0
    newest_arrival_unix_nano: int = 0
    """Arrival of the newest span that was read; behind it lies the lag."""
    failures: int = 0
    last_failure: str = ""


class Analyzer(Background):
    """Analyzes what arrives in the store until it is stopped."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        clock_ns: Callable[[], int] = time.time_ns,
        book: JourneyBook = JourneyBook(),
        steady_ns: Callable[[], int] = time.monotonic_ns,
        share: Share = ALWAYS,
        owner: str = "",
    ) -> None:
        """Args:
        clock_ns: tells the time of day, which somebody may set; what is written bears it.
        steady_ns: only goes forward; whatever waits, waits by it.
        book: the journeys that somebody named.
        share: the part of the traces that is analyzed here.
        owner: its name among the analyzers of one server; "" where there is one alone.
        """
        super().__init__("cpdd-analyze")
        self.progress = Progress()
        self.service_graph = ServiceGraph()
        """Calls between services since the start."""
        self.told = Told()
        """What clients that write no threshold are told to keep; the sampling service's, where one runs."""
        self._book = book
        self._names = JourneyNames()
        self._deciders = Deciders()
        self._clock_ns = clock_ns
        self._steady_ns = steady_ns
        self._derived = Derived(store, clock_ns)
        self._journal = Journal(store, owner)
        self._share = share
        self._shares: Shares = share.shares
        self._settling: Settling = (OneOfSeveral if owner else Alone)(self._derived, self._journal)
        self._rounds = Rounds("analysis", store)
        self._closing = ClosingPolicy(
            quiet_s=settings.trace_quiet_s,
            no_root_s=settings.trace_no_root_s,
            settle_s=settings.trace_settle_s,
            max_age_s=settings.trace_max_age_s,
            max_repeat_s=settings.reopen_max_s,
        )
        self._path = PathPolicy(overflow=settings.overflow, max_skew_ns=settings.max_skew_ns)
        self._arrivals_kept_s = settings.arrivals_ttl_hours * 3600
        self._open = OpenTraces(self._closing)
        self._cursor: dict[int, int] = {}
        self._saved: dict[int, int] = {}
        self._seen_before_unix_nano = 0
        self._dirty: set[int] = set()
        self._is_behind = False
        self._minutes_due_ns = 0
        self._forget_due_ns = 0
        self._services: frozenset[str] = frozenset()
        self._loaded = False
        self._took_over = False
        self._give_way: Callable[[], None] = lambda: None

    def read_first(self, fresh: Fresh) -> None:
        """Take from there what this process stores; before `start`."""
        self._derived.read_first(fresh)

    def give_way_to(self, precedence: Precedence) -> None:
        """Let pages have the processor before each round; before `start`."""
        self._give_way = precedence.give_way

    def inventor(self) -> Inventor | None:
        """Return who begins journeys under ever new names, where there was no room for all."""
        return self._names.inventor()

    def run_once(self) -> bool:
        """Read what is new, analyze what is due, write what was learned; tells whether there was anything to do."""
        if not self._loaded:
            self._load()
        began = self._clock_ns()
        arrived = self._read()
        if not arrived and self._took_over:  # whatever came before is settled by another collector
            self.progress.newest_arrival_unix_nano = newer_stamp(self.progress.newest_arrival_unix_nano, began)
            self._took_over = False
        closing = self._open.close(self._steady_ns())
        if closing is not None:
            self._analyze(closing)
        now = self._steady_ns()
        if self._dirty and now >= self._minutes_due_ns:
            self._recompute_minutes()
        if not self._dirty:
            self._save_cursor()
        if now >= self._forget_due_ns:
            self._forget_due_ns = now + int(FORGET_INTERVAL_S * 1e9)
            self._settling.forget_arrivals(self._saved, self._arrivals_kept_s)
        self.progress.open_traces = self._open.traces
        self.progress.open_spans = len(self._open)
        return arrived or closing is not None

    def finish(self) -> None:
        """Analyze everything that is open as if it were quiet, and recompute every minute touched."""
        while self._read():
            pass
        closing = self._open.close(self._steady_ns(), everything=True)
        if closing is not None:
            self._analyze(closing)
        self._recompute_minutes()

    def _run(self) -> None:
        retry = Retry(RETRY_S)
        while not self._stopping.is_set():
            if not self._has_share():
                self._stopping.wait(STANDBY_S)
                continue
            self._give_way()
            began_ns = self._steady_ns()
            try:
                busy = self.run_once()
            except Exception as error:
                self.progress.failures += 1
                retry_s = retry.failed()
                self.progress.last_failure = self._rounds.failed(error, retry_s)
                self._stopping.wait(retry_s)
                self._forget_everything()
            else:
                retry.succeeded()
                self._rounds.succeeded()
                if not busy:
                    self._stopping.wait(POLL_S)
                elif not self._is_behind:
                    self._stopping.wait(max(ROUND_S - (self._steady_ns() - began_ns) / 1e9, 0.0))
        if self._share.shares != self._shares or not self._shares:
            return
        try:
            self._recompute_minutes()
            self._save_cursor()
        except Exception as error:
            self._rounds.left("the last minutes were not recomputed; the next start does it", error)

    def _load(self) -> None:
        """Begin where the last life of the process had everything settled."""
        self._derived.look_again()
        self._cursor = self._settling.load_cursor(self._shares)
        self._saved = dict(self._cursor)
        self._services = self._derived.known_services()
        known = self._derived.known_journeys(FORGOTTEN_AFTER_NS)
        self._names.load((name for name in known if name not in self._book.by_name), self._clock_ns())
        newest = self._derived.newest_version()
        self._seen_before_unix_nano = max(self._clock_ns(), newest) if self._cursor or self._services else 0
        if newest:
            self._open.remember(self._derived.analyzed_since(newest - int(REMEMBERED_S * 1e9)))
        self._dirty |= self._settling.left_over()
        self._loaded = True

    def _has_share(self) -> bool:
        """Tell whether any traces are this analyzer's; where they are others than before, begin anew with those.

        What of the others is not announced yet is analyzed again by whoever has them now.
        """
        shares = self._share.take()
        if shares != self._shares:
            log.info("other shares of the traces are analyzed here", extra={"shares": len(shares)})
            self._shares = shares
            self._forget_everything()
            self._dirty.clear()
            self._took_over = True
        return bool(shares)

    def _forget_everything(self) -> None:
        """Start again from the saved cursor: after a failure nobody knows which spans were analyzed."""
        self._open = OpenTraces(self._closing)
        self._loaded = False

    def _read(self) -> bool:
        """Take in what has arrived; tells whether anything had."""
        arrivals = self._derived.read_arrivals(self._cursor, READ_SPANS, self._shares)
        self._is_behind = len(arrivals) >= READ_SPANS
        if not len(arrivals):
            self._passed(arrivals)
            return False
        self._derived.note_services(arrivals.spans)
        self._services |= {arrivals.spans.text(int(i)) for i in np.unique(arrivals.spans.service)}
        self._open.add(
            arrivals.spans,
            arrivals.ot,
            arrivals.lane,
            arrivals.sequence,
            self._steady_ns(),
            self._seen_before_unix_nano,
        )
        self._passed(arrivals)
        self.progress.spans += len(arrivals)
        return True

    def _passed(self, arrivals: Arrivals) -> None:
        """Go on behind what was read."""
        self._cursor.update(arrivals.last())
        newest = max(int(arrivals.arrived_unix_nano.max(initial=0)), arrivals.ends_unix_nano)
        if newest:
            self.progress.newest_arrival_unix_nano = newer_stamp(self.progress.newest_arrival_unix_nano, newest)

    def _analyze(self, closing: Closing) -> None:
        spans, ot = self._completed(closing)
        repeated = _trace_ids(closing.spans, closing.repeated)
        version = self._derived.next_version()
        settles_at = self._clock_ns() + int((self._closing.settle_s - self._closing.quiet_s) * 1e9)
        learned = analyze_traces(
            spans,
            ot,
            version,
            settles_at,
            self._path,
            self._services,
            self._sent_elsewhere(spans),
            self._book,
            self._names,
            self._deciders,
            self.told,
        )
        old = [key for begin in _chunks(repeated) for key in self._derived.trace_keys(begin)]
        self._derived.write(learned)
        new_keys = _keys(learned)
        moved = [key for key in old if new_keys.get(key.trace_id) != (key.journey, key.start_unix_nano // MINUTE_NS)]
        # First: after a crash behind the next line nothing tells any more that those minutes had the trace.
        self._journal.announce((key.start_unix_nano // MINUTE_NS for key in moved), version)
        self._derived.delete_traces(moved, version)
        self._count_calls(learned, {key.trace_id for key in old})
        self._dirty.update(learned.minutes)
        self._dirty.update(key.start_unix_nano // MINUTE_NS for key in old)
        self.progress.traces += len(new_keys)
        self.progress.repeated += len(repeated)

    def _count_calls(self, learned: Learned, before: set[str]) -> None:
        """Count calls for the service graph: once a trace, however often it is analyzed."""
        again = [number for number, trace_id in enumerate(_texts(learned.traces["TraceId"])) if trace_id in before]
        self.service_graph.add(learned.service_calls, np.asarray(learned.traces["Weight"], np.float64), again)

    def _completed(self, closing: Closing) -> tuple[SpanBatch, tuple[str, ...]]:
        """The spans to analyze: for traces that may have earlier ones, all that the store has of them."""
        if not closing.incomplete.any():
            return closing.spans, closing.ot
        whole = np.flatnonzero(~closing.incomplete)
        parts = [closing.spans.take(whole)]
        ot = [closing.ot[row] for row in whole.tolist()]
        for trace_ids in _chunks(_trace_ids(closing.spans, closing.incomplete)):
            arrivals = self._derived.read_trace_arrivals(trace_ids)
            parts.append(arrivals.spans)
            ot.extend(arrivals.ot)
        return concatenate(parts), tuple(ot)

    def _sent_elsewhere(self, spans: SpanBatch) -> Sent:
        """When the messages were sent that these traces take from others; mostly nobody is linked, and nothing read."""
        wanted = linked_elsewhere(spans)[:TRACES_AT_ONCE]
        return sent_by(self._derived.read_trace_arrivals(wanted).spans) if wanted else NOTHING_SENT

    def _recompute_minutes(self) -> None:
        if not self._dirty:
            return
        began = self._steady_ns()
        self._settling.settle(self._dirty)
        self._dirty.clear()
        took = self._steady_ns() - began
        wait = max(int(MIN_MINUTES_INTERVAL_S * 1e9), int(took / MINUTES_SHARE))
        self._minutes_due_ns = self._steady_ns() + wait

    def _save_cursor(self) -> None:
        """Remember how far everything is settled: up to the first span that is still held."""
        cursor = self._cursor | {lane: first - 1 for lane, first in self._open.oldest().items()}
        changed = {lane: sequence for lane, sequence in cursor.items() if self._saved.get(lane) != sequence}
        if changed:
            self._settling.save_cursor(changed, self._shares)
            self._saved.update(changed)


MINUTE_NS = 60_000_000_000


def _trace_ids(spans: SpanBatch, rows: np.ndarray) -> list[str]:
    """The ids of the traces of the rows that are True, each once."""
    chosen = np.flatnonzero(rows)
    pairs = np.unique(np.stack([spans.trace_id_high[chosen], spans.trace_id_low[chosen]], axis=1), axis=0)
    return [f"{high:016x}{low:016x}" for high, low in pairs.tolist()]


def _chunks(trace_ids: list[str]) -> list[list[str]]:
    return [trace_ids[i : i + TRACES_AT_ONCE] for i in range(0, len(trace_ids), TRACES_AT_ONCE)]


def _texts(column: object) -> list[str]:
    assert isinstance(column, list)
    return column


def _keys(learned: Learned) -> dict[str, tuple[str, int]]:
    """Journey and minute of each trace."""
    traces = learned.traces
    minutes = (np.asarray(traces["Start"]) // MINUTE_NS).tolist()
    return dict(zip(traces["TraceId"], zip(traces["Journey"], minutes, strict=True), strict=True))  # type: ignore[call-overload]
