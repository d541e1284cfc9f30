"""How fast do OTLP bytes become a block that ClickHouse takes as it is?

    python -m benchmarks.encode                 about a minute, more where kernels are compiled first
    python -m benchmarks.encode --no-insert     without the embedded engine

Workloads: those of `benchmarks.decode`, 512-span requests with 10 attributes a span and recorded ones (most of a few
spans, as a batch processor cuts them). A round takes each request once; its rate is spans by CPU time of the thread, so
that what else the machine does shows little:

    decode      bytes to columns
    encode      columns and bytes to the blocks of all three tables
    both        one after the other, as a receiver does
    client      the same rows by protobuf's runtime and clickhouse-connect's own writer of Native blocks

Then the blocks go into the real tables of an embedded engine, in groups, one inserter, timed by the clock on the wall:
the pace at which it takes them.
"""

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

import clickhouse_connect
import numba
import numpy as np
from clickhouse_connect.datatypes.registry import get_from_name
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.insert import InsertContext
from clickhouse_connect.driver.transform import NativeTransform

from benchmarks.decode import ATTRIBUTES, RECORDED, REQUESTS, SPANS, generated, recorded
from collector.core.wire import decode_traces
from collector.store import native
from collector.store.engine import open_store
from collector.store.schema import Retention
from collector.warm import warm
from tests.store.reference_rows import span_rows

CLIENT_EVERY = 20
"""Clickhouse-connect gets each so-manieth request, since it takes so long."""
GROUP_ROWS = 50_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--groups", type=int, default=8)
    parser.add_argument("--insert", action=argparse.BooleanOptionalAction, default=True)
    options = parser.parse_args()
    print(machine())
    warm(print)
    workloads = {f"{REQUESTS} requests of {SPANS} spans, {ATTRIBUTES} attributes": generated()}
    if RECORDED.exists():
        workloads[RECORDED.name] = recorded()
    else:
        print(f"{RECORDED.name} is not there: only generated requests are measured")
    for name, bodies in workloads.items():
        measure(name, bodies, options.rounds)
        if options.insert:
            measure_insert(bodies, options.groups)


def measure(name: str, bodies: list[bytes], rounds: int) -> None:
    """Print the rates of each step over one workload."""
    batches = [decode_traces(body)[0] for body in bodies]
    encoded = [native.encode(batch) for batch in batches]
    rows = sum(batch.rows for batch in encoded)
    spans, arrivals = sum(len(batch.spans) for batch in encoded), sum(len(batch.arrivals) for batch in encoded)
    print(
        f"{name}: {rows:,} spans of {sum(map(len, bodies)) / rows:.0f} bytes; "
        f"{spans / rows:.0f} in otel_traces, {arrivals / rows:.0f} in span_arrivals"
    )
    steps: dict[str, Callable[[int], object]] = {
        "decode": lambda request: decode_traces(received(bodies[request])),
        "encode": lambda request: native.encode(batches[request]),
        "both": lambda request: native.encode(decode_traces(received(bodies[request]))[0]),
        "client": lambda request: block_of_client(bodies[request]),
    }
    rates: dict[str, list[float]] = {step: [] for step in steps}
    for turn in range(rounds):
        for step, work in steps.items():
            every = slice(turn % CLIENT_EVERY, None, CLIENT_EVERY) if step == "client" else slice(None)
            requests = range(len(bodies))[every]
            started = time.thread_time()
            for request in requests:
                work(request)
            taken_s = time.thread_time() - started
            rates[step].append(sum(encoded[request].rows for request in requests) / taken_s)
    for step, of_step in rates.items():
        report(step, of_step, "rounds")


def received(body: bytes) -> bytes:
    """Bytes that have just come, into memory of their own."""
    return bytes(bytearray(body))


def block_of_client(body: bytes) -> bytes:
    """Return the block of otel_traces as a program makes it that uses protobuf's runtime and clickhouse-connect."""
    rows = span_rows(body)
    types = [get_from_name(type_name) for _, type_name in native.SPAN_COLUMNS]
    columns = [
        [mapped(row[name]) if "Map" in type_name else row[name] for row in rows]
        for name, type_name in native.SPAN_COLUMNS
    ]
    names = [name for name, _ in native.SPAN_COLUMNS]
    context = InsertContext("otel_traces", names, types, columns, column_oriented=True, block_size=1 << 30)
    block = b"".join(NativeTransform.build_insert(context))
    if context.insert_exception:
        raise context.insert_exception
    return block


def mapped(pairs: object) -> object:
    """Pairs as the dict that the client wants for a Map, a list of them as one of dicts."""
    assert isinstance(pairs, list)
    return [mapped(item) for item in pairs] if pairs and isinstance(pairs[0], list) else dict(pairs)


def measure_insert(bodies: list[bytes], groups: int) -> None:
    """Print how fast the engine takes groups of blocks, into one table and into all three."""
    encoded = [native.encode(decode_traces(body)[0]) for body in bodies]
    group = [encoded[number % len(encoded)] for number in range(requests_in(encoded))]
    rows = sum(batch.rows for batch in group)
    sequence = count(1, rows)
    for_ever = Retention(0, 0, 0)
    with (
        tempfile.TemporaryDirectory() as folder,
        open_store("chdb://", Path(folder), for_ever) as store,
        store.client() as client,
    ):
        rates = [rows / insert(client, group, next(sequence)) for _ in range(groups)]
        stored = client.query("SELECT count() FROM otel_traces").result_rows[0][0]
    assert stored == groups * rows, f"{stored} of {groups * rows} spans stored"
    report("insert", rates, f"groups of {rows:,} into three tables, fsync, merges beside")


def requests_in(encoded: Sequence[native.EncodedBatch]) -> int:
    """How many requests make a group."""
    return max(1, round(GROUP_ROWS * len(encoded) / sum(batch.rows for batch in encoded)))


def insert(client: Client, group: Sequence[native.EncodedBatch], first_sequence: int) -> float:
    """Insert a group as the committer does; return the seconds it takes."""
    started = time.perf_counter()
    arrivals, sequence, now = [], first_sequence, time.time_ns() // 1_000_000
    for batch in group:
        arrivals.append(native.arrivals_block(batch.arrivals, batch.rows, 0, sequence, now))
        sequence += batch.rows
    spans = [part for batch in group for part in native.shelved_spans(batch.spans, batch.rows, now)]
    times = [native.stamped_times(batch.times, now // 1_000, now) for batch in group]
    for table, columns, blocks in (
        ("otel_traces", native.SHELVED_SPAN_COLUMNS, spans),
        ("otel_traces_trace_id_ts", native.STAMPED_TIMES_COLUMNS, times),
        ("span_arrivals", native.ARRIVAL_COLUMNS, arrivals),
    ):
        client.raw_insert(table, [name for name, _ in columns], b"".join(blocks), fmt="Native")
    return time.perf_counter() - started


def report(step: str, rates: list[float], of: str) -> None:
    low, median, high = np.percentile(rates, (10, 50, 90))
    print(f"  {step:7} {median:11,.0f} spans/s; p10 {low:,.0f}, p90 {high:,.0f} of {len(rates):,} {of}")


def machine() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    model = next((line.split(":")[1].strip() for line in lines if "model name" in line), platform.processor())
    return (
        f"{model}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; Python {platform.python_version()}, "
        f"NumPy {np.__version__}, Numba {numba.__version__}, clickhouse-connect {clickhouse_connect.__version__}"
    )


if __name__ == "__main__":
    main()
