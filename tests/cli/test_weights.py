"""What traces of a file count for."""

import json
from pathlib import Path
from typing import Any

from collector.core.policy import PathPolicy
from collector.core.spans import SpanBatch
from collector.receive.files import read_spans
from cpdd.cli._weights import counted


def span(trace: str, number: int, parent: int, name: str, th: str) -> dict[str, Any]:
    return {
        "traceId": trace,
        "spanId": f"{number:016x}",
        **({"parentSpanId": f"{parent:016x}"} if parent else {}),
        "traceState": f"vendor=x,ot=th:{th}",
        "name": name,
        "kind": 2,
        "startTimeUnixNano": str(1_700_000_000_000_000_000 + number),
        "endTimeUnixNano": str(1_700_000_000_000_000_100 - number),
    }


def file_of(path: Path, services: dict[str, list[dict[str, Any]]]) -> SpanBatch:
    resources = [
        {
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]},
            "scopeSpans": [{"spans": spans}],
        }
        for service, spans in services.items()
    ]
    path.write_text(json.dumps({"resourceSpans": resources}))
    return read_spans(path).batch


WHOLE, PART = "a" * 18 + "f" * 14, "a" * 18 + "9" * 14


def test_traces_that_count_weigh_what_the_largest_threshold_says_and_others_are_left_out(tmp_path):
    batch = file_of(
        tmp_path / "spans.json",
        {
            "shop": [span(WHOLE, 1, 0, "GET /", "8"), span(PART, 2, 0, "GET /", "8")],
            "stock": [span(WHOLE, 3, 1, "reserve", "c")],
        },
    )

    left, weights = counted(batch, PathPolicy())

    assert {left.trace_id(row) for row in range(len(left))} == {WHOLE}
    assert weights.tolist() == [4.0, 4.0]


def test_where_nothing_but_parts_is_there_they_are_shown(tmp_path):
    batch = file_of(
        tmp_path / "spans.json", {"shop": [span(PART, 1, 0, "GET /", "8")], "stock": [span(PART, 2, 1, "reserve", "c")]}
    )

    left, weights = counted(batch, PathPolicy())

    assert len(left) == 2
    assert weights.tolist() == [1.0, 1.0]
