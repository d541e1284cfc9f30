"""One trace of any number of spans, as OTLP/JSON lines on stdout: what pages and readers are tried with at size.

A batch job calls workers one after the other, eight of them at a time; each does a few steps in a row, some of which
fail, one in a hundred with another call below it. No random numbers: the same size is the same trace.

    python -m tests.large_trace 100000 > trace.jsonl && cpdd send --shift-to-now trace.jsonl
"""

import json
import sys
from collections.abc import Iterator

MS = 1_000_000
START_NS = 1_790_000_000 * 1000 * MS
TRACE_ID = "1a9e" * 8
STEPS = 8
"""Spans below each worker's."""
AT_ONCE = 8
LINE = 5_000
"""Spans a line, so that no request is too large."""


def large_trace(spans: int) -> Iterator[dict[str, object]]:
    """Yield OTLP spans with their service's name beside them."""
    workers = max((spans - 1) // (STEPS + 1), 1)
    round_ms = STEPS * 3 + 4
    rounds = -(-workers // AT_ONCE)
    yield _span(1, 0, "batch", "nightly run", 0, rounds * round_ms + 2, kind=1)
    number = 2
    for worker in range(workers):
        begin = worker // AT_ONCE * round_ms + worker % AT_ONCE * 0.125 + 1
        parent = number
        yield _span(
            number, 1, f"worker-{worker % AT_ONCE}", f"chunk {worker % 50}", begin, begin + round_ms - 2, kind=2
        )
        number += 1
        for step in range(STEPS):
            if number > spans:
                return
            at = begin + 0.5 + step * 3
            failed = worker % 97 == 13 and step == 5
            yield _span(number, parent, "store", f"put {step}", at, at + 2.5 - worker % 3 * 0.5, kind=3, failed=failed)
            number += 1


def _span(
    number: int, parent: int, service: str, name: str, begin_ms: float, end_ms: float, kind: int, failed: bool = False
) -> dict[str, object]:
    return {
        "service": service,
        "traceId": TRACE_ID,
        "spanId": f"{number:016x}",
        "parentSpanId": f"{parent:016x}" if parent else "",
        "name": name,
        "kind": kind,
        "startTimeUnixNano": str(START_NS + round(begin_ms * MS)),
        "endTimeUnixNano": str(START_NS + round(end_ms * MS)),
        "status": {"code": 2, "message": "disk full"} if failed else {},
    }


def lines(spans: int) -> Iterator[str]:
    """Yield ExportTraceServiceRequests as JSON, LINE spans each."""
    waiting: dict[str, list[dict[str, object]]] = {}
    for count, span in enumerate(large_trace(spans), 1):
        waiting.setdefault(str(span.pop("service")), []).append(span)
        if count % LINE == 0:
            yield _request(waiting)
            waiting = {}
    if waiting:
        yield _request(waiting)


def _request(by_service: dict[str, list[dict[str, object]]]) -> str:
    resources = [
        {
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]},
            "scopeSpans": [{"spans": spans}],
        }
        for service, spans in by_service.items()
    ]
    return json.dumps({"resourceSpans": resources})


if __name__ == "__main__":
    for line in lines(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000):
        print(line)
