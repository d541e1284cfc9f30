"""Which traces have an attribute: one of their spans, or what sent it, says so."""

import numpy as np
import orjson
import pytest

from collector.core.formats import translate_jaeger
from collector.core.having import traces_having
from collector.core.spans import SpanBatch
from collector.core.wire import decode_traces


def span(trace: int, number: int, process: str, **tags: object) -> dict[str, object]:
    types = {bool: "bool", int: "int64", float: "float64", str: "string"}
    return {
        "traceID": str(trace), "spanID": str(number), "operationName": "work", "startTime": 10, "duration": 5,
        "processID": process,
        "tags": [{"key": key, "type": types[type(value)], "value": value} for key, value in tags.items()],
    }  # fmt: skip


@pytest.fixture(scope="module")
def batch() -> SpanBatch:
    """Three traces, their spans mixed; trace 3 was sent by version 2."""
    versioned = [{"key": "service.version", "type": "string", "value": "2"}]
    spans = [
        span(1, 1, "old", route="/pay", retry=True),
        span(2, 2, "old", route="/payment", amount=7),
        span(1, 3, "old", amount=8),
        span(3, 4, "new", ratio=0.5),
        span(2, 5, "old", label="route"),
    ]
    processes = {"old": {"serviceName": "shop"}, "new": {"serviceName": "shop", "tags": versioned}}
    document = {"data": [{"traceID": "1", "spans": spans, "processes": processes}]}
    return decode_traces(translate_jaeger(orjson.dumps(document)).body)[0]


@pytest.mark.parametrize(
    ("condition", "traces"),
    [
        ("route=/pay", {1}),
        ("route=/payment", {2}),
        ("retry=true", {1}),
        ("retry=True", set()),
        ("amount=7", {2}),
        ("amount=8", {1}),
        ("ratio=0.5", {3}),
        ("service.version=2", {3}),
        ("service.name=shop", {1, 2, 3}),
        ("label=route", {2}),
        ("absent=1", set()),
        ("=", set()),
        ("clé=é", set()),
    ],
)
def test_a_trace_has_what_one_of_its_spans_or_senders_has(batch: SpanBatch, condition: str, traces: set[int]):
    key, _, value = condition.partition("=")

    having = traces_having(batch, key, value)

    assert set(batch.trace_id_low[having].tolist()) == traces
    assert (having == np.isin(batch.trace_id_low, list(traces))).all()


def test_spans_without_their_bytes_have_no_attributes(batch: SpanBatch):
    empty = batch.take(np.empty(0, np.int64))

    assert traces_having(empty, "route", "/pay").tolist() == []
