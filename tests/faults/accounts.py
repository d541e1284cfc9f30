"""What a store holds, held against what senders were told: nothing acknowledged lost, nothing counted twice."""

import time
from dataclasses import dataclass
from pathlib import Path

from collector.store.engine import open_store
from collector.store.reader import Reader
from collector.store.values import Window
from tests.load import SERVICES, SPANS_PER_TRACE

CALLS_PER_TRACE = len(SERVICES)
"""Each service calls the next one, the last something that sends no spans."""


@dataclass(frozen=True)
class Found:
    """What lies in the store."""

    rows: int
    spans: dict[str, int]
    """Distinct spans by trace id."""
    traces: dict[str, tuple[int, int]]
    """Rows and spans by trace id, of the analyzed ones."""
    counted_traces: int
    counted_calls: int
    """From a service to another, over all edges."""


def found_in(dsn: str, folder: Path) -> Found:
    """Read a store whose collector has ended."""
    with open_store(dsn, folder) as store:
        with store.client() as client:
            stored = client.query("SELECT TraceId, uniqExact(SpanId), count() FROM otel_traces GROUP BY TraceId")
            analyzed = client.query("SELECT TraceId, count(), max(Spans) FROM traces FINAL GROUP BY TraceId")
        reader = Reader(store)
        now = time.time_ns()
        window = Window(now - 2 * 3_600 * 10**9, now + 3_600 * 10**9)  # a clock may have been set back an hour
        journeys = reader.journeys(window)
        edges = [
            edge for journey in journeys if (detail := reader.journey(journey.journey, window)) for edge in detail.edges
        ]
    return Found(
        rows=sum(row[2] for row in stored.result_rows),
        spans={row[0]: row[1] for row in stored.result_rows},
        traces={row[0]: (row[1], row[2]) for row in analyzed.result_rows},
        counted_traces=sum(journey.traces for journey in journeys),
        counted_calls=round(sum(edge.calls for edge in edges if edge.callee.service != edge.caller.service)),
    )


def differences(found: Found, acknowledged: set[str]) -> dict[str, int]:
    """Return what is wrong, in words, and how often; zeros where all is well.

    Args:
        acknowledged: ids of traces of `tests.load` whose spans were acknowledged.
    """
    lost = [trace for trace in acknowledged if found.spans.get(trace, 0) != SPANS_PER_TRACE]
    not_analyzed = [trace for trace in acknowledged if trace not in found.traces]
    wrong = [trace for trace, (rows, spans) in found.traces.items() if rows != 1 or spans != SPANS_PER_TRACE]
    return {
        "acknowledged traces with spans missing": len(lost),
        "acknowledged traces that are not analyzed": len(not_analyzed),
        "traces with several rows, or analyzed with other than all their spans": len(wrong),
        "traces counted in minutes beyond or below those analyzed": found.counted_traces - len(found.traces),
        "calls counted on edges beyond or below those made": found.counted_calls - CALLS_PER_TRACE * len(found.traces),
    }


def tell(found: Found, acknowledged: set[str], wrong: dict[str, int]) -> int:
    """Print the account; returns 1 where anything is wrong."""
    print(
        f"{len(acknowledged):,} traces ({len(acknowledged) * SPANS_PER_TRACE:,} spans) acknowledged; the store has "
        f"{found.rows:,} rows of {sum(found.spans.values()):,} spans in {len(found.spans):,} traces"
    )
    for what, count in wrong.items():
        print(f"{count:8,}  {what}")
    return int(any(wrong.values()))
