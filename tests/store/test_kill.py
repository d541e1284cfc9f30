"""kill -9 in the middle of inserts: what was acknowledged is there, and reaches the analyzer."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from collector.store.derived import Derived
from collector.store.engine import open_store
from tests.store.commit_until_killed import SPANS

ROUND = 1_000_000
"""Trace ids of a round begin at a multiple of this."""


@pytest.mark.parametrize("kills", [3, pytest.param(10, marks=pytest.mark.slow)])
def test_kills_lose_nothing_that_was_acknowledged(tmp_path: Path, kills: int) -> None:
    acknowledged = [trace_id for kill in range(kills) for trace_id in commit_and_kill(tmp_path, kill)]

    with open_store("chdb://", tmp_path) as store, store.client() as client:
        low = "reinterpretAsUInt64(reverse(unhex(substring(TraceId, 17, 16))))"
        rows = client.query(f"SELECT {low} AS low, uniqExact(SpanId) FROM otel_traces GROUP BY low").result_rows
        stored = {int(trace_id): int(spans) for trace_id, spans in rows}
        looked_up = {row[0] for row in client.query("SELECT DISTINCT TraceId FROM otel_traces_trace_id_ts").result_rows}
        arrived = read_all(Derived(store))

    assert len(acknowledged) >= kills
    assert {trace_id: stored.get(trace_id) for trace_id in acknowledged} == dict.fromkeys(acknowledged, SPANS)
    assert {f"{trace_id:032x}" for trace_id in acknowledged} <= looked_up
    assert {trace_id: arrived[trace_id] for trace_id in acknowledged} == dict.fromkeys(acknowledged, SPANS)


def commit_and_kill(directory: Path, kill: int) -> list[int]:
    """Let a process commit until some batches are acknowledged, kill it, return what it had acknowledged."""
    command = [sys.executable, "-m", "tests.store.commit_until_killed", str(directory), str(1 + kill * ROUND)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        seen = [int(process.stdout.readline()) for _ in range(1 + 3 * kill)]
        process.kill()
        seen += [int(line) for line in process.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
    return seen


def read_all(derived: Derived) -> Counter[int]:
    """How many spans of each trace the analyzer gets to see, reading page by page."""
    seen: Counter[int] = Counter()
    cursor: dict[int, int] = {}
    while len(found := derived.read_arrivals(cursor, limit=1000)):
        cursor |= found.last()
        traces, spans = np.unique(found.spans.trace_id_low, return_counts=True)
        seen.update(dict(zip(traces.tolist(), spans.tolist(), strict=True)))
    return seen
