"""How fast does the store take spans, and how long do people wait for what they ask it?

    python -m benchmarks.store                      a million spans, then the questions of pages
    python -m benchmarks.store --fsync off          what does surviving a power cut cost?
    python -m benchmarks.store --compression LZ4    as a server does that nobody told otherwise
    python -m benchmarks.store --lanes 1 --rows 20000

Spans are those of `tests.load` (ten attributes, 16 a trace, four services), encoded before the clock starts, committed
by the `Committer` in requests of 512. Journeys are synthetic: 100,000 analyzed traces of 100 journeys over an hour,
eight call paths and eight edges each. Everything runs in this process, in an embedded store in a temporary folder.
"""

import argparse
import os
import platform
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from collector.core.analysis import Learned, Ragged
from collector.core.wire import decode_traces
from collector.store.derived import Derived
from collector.store.engine import Store, open_store, run
from collector.store.minutes import EDGE_COUNTS
from collector.store.native import EncodedBatch, encode
from collector.store.reader import Reader
from collector.store.values import TraceQuery, Window
from collector.store.writer import Committer
from collector.warm import warm
from tests.load import RequestMaker, trace_ids

SPANS_PER_REQUEST = 512
ROUNDS = 8
ASKED = 200
"""How often each question is asked."""
JOURNEYS, TRACES, PATHS = 100, 100_000, 8
MINUTE_NS = 60_000_000_000


@dataclass(frozen=True)
class Round:
    """Some spans stored."""

    spans: int
    seconds: float
    cpu_s: float


def main() -> None:
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as folder, open_store("chdb://", Path(folder)) as store:
        _alter(store, arguments)
        _print_workload(arguments)
        warm(print)
        ids = _commit(store, arguments)
        _ask_spans(store, ids)
        _ask_journeys(store)


def _print_workload(arguments: argparse.Namespace) -> None:
    processor = platform.processor() or platform.machine()
    print(f"machine   {processor}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the run")
    spans = f"{arguments.spans} spans in requests of {SPANS_PER_REQUEST}, 10 attributes"
    how = f"lanes {arguments.lanes}, groups of {arguments.rows}, fsync {arguments.fsync}"
    print(f"workload  {spans}; {how}, compression {arguments.compression or 'LZ4, then ZSTD(1)'}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spans", type=int, default=1_000_000)
    parser.add_argument("--lanes", type=int, default=2)
    parser.add_argument("--rows", type=int, default=50_000, help="spans that make a group full")
    parser.add_argument("--fsync", choices=("on", "off"), default="on")
    parser.add_argument("--compression", default="", help="a codec, LZ4 or ZSTD(1), for parts of any size")
    return parser.parse_args()


def _alter(store: Store, arguments: argparse.Namespace) -> None:
    """Change the tables as asked, while they are empty."""
    changes = []
    if arguments.fsync == "off":
        changes.append("fsync_after_insert = 0, fsync_part_directory = 0, min_rows_to_fsync_after_merge = 0")
    if arguments.compression:
        changes.append(f"default_compression_codec = '{arguments.compression}'")
    with store.client() as client:
        for table in ("otel_traces", "otel_traces_trace_id_ts", "span_arrivals"):
            for change in changes:
                run(client, f"ALTER TABLE {table} MODIFY SETTING {change}")


# Spans


def _commit(store: Store, arguments: argparse.Namespace) -> list[str]:
    """Store all spans; returns the ids of some of their traces."""
    committer = Committer(
        store, lanes=arguments.lanes, linger_ms=100, max_rows=arguments.rows, max_pending_bytes=1 << 31
    )
    maker = RequestMaker(SPANS_PER_REQUEST)
    now = time.time_ns()
    rounds, ids = [], []
    for _ in range(ROUNDS):
        bodies = [maker.make(now := now + 10_000_000) for _ in range(arguments.spans // ROUNDS // SPANS_PER_REQUEST)]
        ids += sorted(trace_ids(bodies[0]))
        batches = [encode(decode_traces(body)[0]) for body in bodies]
        rounds.append(_round(committer, batches))
    committer.close()
    rates = [done.spans / done.seconds for done in rounds]
    cpu = [done.cpu_s / done.spans * 1e6 for done in rounds]
    print(f"commit    {_spread(rates, '{:,.0f}')} spans/s; {_spread(cpu, '{:.2f}')} CPU us a span, merges included")
    _print_disk(store, sum(done.spans for done in rounds))
    return ids


def _round(committer: Committer, batches: Sequence[EncodedBatch]) -> Round:
    began, cpu = time.perf_counter(), _cpu_s()
    stored: list[Future[None]] = [committer.submit(batch) for batch in batches]
    for future in stored:
        future.result()
    return Round(sum(batch.rows for batch in batches), time.perf_counter() - began, _cpu_s() - cpu)


def _print_disk(store: Store, spans: int) -> None:
    with store.client() as client:
        rows = client.query(
            "SELECT table, sum(bytes_on_disk), count() FROM system.parts WHERE active AND database = 'cpdd' "
            "GROUP BY table HAVING sum(rows) > 100 ORDER BY table"
        ).result_rows
    for table, size, parts in rows:
        print(f"disk      {table}: {size / spans:.1f} B a span in {parts} parts")


def _ask_spans(store: Store, ids: Sequence[str]) -> None:
    reader, derived = Reader(store), Derived(store)
    chance = random.Random(1)
    _ask("trace by id", lambda: reader.trace(chance.choice(ids)))
    _ask("100,000 arrivals to columns", lambda: derived.read_arrivals({0: chance.randrange(100_000)}, 100_000), 10)
    whole = Window(0, 2**62)
    _ask("nothing found by attribute", lambda: reader.find(_with_session(chance.random(), whole)), 5)
    _ask(
        "nothing found by attribute of a service",
        lambda: reader.find(_with_session(chance.random(), whole, "ledger")),
        5,
    )


def _with_session(number: float, window: Window, service: str = "") -> TraceQuery:
    """A question that was never asked before: the engine remembers where nothing was found."""
    return TraceQuery(window, service=service, attributes=(("session.id", f"none {number}"),))


# Journeys


def _ask_journeys(store: Store) -> None:
    derived, reader = Derived(store), Reader(store)
    first = time.time_ns() // MINUTE_NS - 60
    for part in range(10):
        derived.write(_learned(part, first))
    _ask("60 minutes of 1,667 traces recomputed", lambda: derived.recompute_minutes(range(first, first + 60)), 3)
    hour = Window(first * MINUTE_NS, (first + 60) * MINUTE_NS)
    _ask("journeys page", lambda: reader.journeys(hour), 20)
    _ask("journey page", lambda: reader.journey("journey 7", hour), 20)
    _ask("newest 20 traces", lambda: reader.find(TraceQuery(hour)), 10)
    _ask("slowest 20 traces of a journey", lambda: reader.find(TraceQuery(hour, "journey 7", slowest_first=True)), 20)


def _learned(part: int, first_minute: int) -> Learned:
    chance = np.random.default_rng(part)
    rows = TRACES // 10
    ids = np.arange(1, JOURNEYS * PATHS + 1, dtype=np.uint64)
    journey = chance.integers(0, JOURNEYS, rows)
    offsets = np.arange(rows + 1) * PATHS
    own = (journey[:, None] * PATHS + np.arange(PATHS)).ravel()

    def lists(high: int) -> Ragged:
        return Ragged(offsets, chance.integers(1, high, rows * PATHS))

    texts = {
        name: [f"{name} {n % 40}" for n in range(len(ids))]
        for name in ("CallerService", "CallerOperation", "CalleeService", "CalleeOperation")
    }
    return Learned(
        traces={
            "TraceId": [f"{n:032x}" for n in range(part * rows, (part + 1) * rows)],
            "Start": first_minute * MINUTE_NS + chance.integers(0, 60 * MINUTE_NS, rows),
            "DurationNs": chance.lognormal(17, 1, rows).astype(np.int64),
            "Journey": [f"journey {n}" for n in journey],
            "Failed": (chance.random(rows) < 0.01).astype(np.uint8),
            "StatusKnown": np.ones(rows, np.uint8),
            "Weight": np.ones(rows),
            "SettlesAt": np.zeros(rows, np.int64),
            "Version": np.full(rows, time.time_ns(), np.uint64),
            "Path.Id": Ragged(offsets, ids[own]),
            **{f"Path.{name}": lists(10**7) for name in ("TimeNs", "MinNs", "MaxNs")},
            "Edge.Id": Ragged(offsets, ids[own]),
            **{f"Edge.{name}": lists(10**7 if name.endswith("Ns") else 2) for name in EDGE_COUNTS},
        },
        call_paths={
            "Id": ids,
            "Parent": np.where(np.arange(len(ids)) % PATHS, ids - 1, 0).astype(np.uint64),
            "Service": [f"service {n % 40}" for n in range(len(ids))],
            "Operation": [f"operation {n % 7}" for n in range(len(ids))],
            "Kind": ["server"] * len(ids),
        },
        edges={"Id": ids, **texts, **{name: ["server"] * len(ids) for name in ("CallerKind", "CalleeKind", "Kind")}},
        minutes=(),
    )


# Figures


def _ask(what: str, question: Callable[[], object], times: int = ASKED) -> None:
    """Ask, print how long the answers took; the first one is not counted."""
    question()
    took_ms = []
    for _ in range(times):
        began = time.perf_counter()
        question()
        took_ms.append((time.perf_counter() - began) * 1e3)
    took_ms.sort()
    p95 = took_ms[min(int(times * 0.95), times - 1)]
    print(f"read      {what}: p50 {statistics.median(took_ms):.1f} ms, p95 {p95:.1f} ms, of {times}")


def _spread(values: Sequence[float], form: str) -> str:
    return f"median {form.format(statistics.median(values))} ({form.format(min(values))} to {form.format(max(values))})"


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
