"""Spans back to OTLP/JSON and to Jaeger JSON: what goes in comes out the same."""

import gzip
import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given

from collector.core.attributes import detailed
from collector.core.detail import DetailedSpans
from collector.core.formats import (
    Translation,
    to_jaeger,
    to_otlp_json,
    translate_jaeger,
    translate_otlp_json,
    translate_zipkin,
)
from collector.core.spans import SpanBatch
from collector.core.wire import decode_traces
from collector.receive.files import read_spans
from tests.core.formats.requests import large_inputs, requests
from tests.core.formats.test_jaeger import follows, reference, span, tag, trace_of
from tests.core.formats.test_otlp_json import SPAN as OTLP_SPAN
from tests.core.formats.test_otlp_json import request_of
from tests.core.formats.test_zipkin import SPAN as ZIPKIN_SPAN

DATA = Path(__file__).parents[3] / "../shared/data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is absent")


def decoded(translation: Translation) -> DetailedSpans:
    batch, rejections = decode_traces(translation.body)
    assert rejections.count == translation.rejected == 0
    return detailed(batch)


def facts(spans: DetailedSpans) -> list[tuple[Any, ...]]:
    """Every span with all that is known of it, in an order of its own. NaN is made equal to itself."""
    batch = spans.batch
    return sorted(
        repr((
            batch.trace_id(row),
            batch.span_id_hex(row),
            batch.parent_span_id_hex(row),
            int(batch.start_time_unix_nano[row]),
            int(batch.end_time_unix_nano[row]),
            int(batch.flags[row]),
            int(batch.kind[row]),
            int(batch.status_code[row]),
            batch.text(int(batch.name[row])),
            spans.detail(row),
        ))
        for row in range(len(batch))
    )  # fmt: skip


@large_inputs
@given(requests())
def test_otlp_json_holds_all_that_the_bytes_said(request):
    batch, _ = decode_traces(request.SerializeToString())

    document = to_otlp_json(detailed(batch))

    again = decoded(translate_otlp_json(orjson.dumps(document)))
    assert facts(again) == facts(detailed(batch))


@large_inputs
@given(requests())
def test_what_a_translation_holds_the_decoder_takes(request):
    batch, _ = decode_traces(request.SerializeToString())

    decoded(translate_otlp_json(orjson.dumps(to_otlp_json(detailed(batch)))))
    decoded(translate_jaeger(orjson.dumps(to_jaeger([detailed(batch)]))))


def test_otlp_json_is_written_as_the_specification_asks():
    attributes = [
        {"key": "i", "value": {"intValue": str(2**60)}},
        {"key": "d", "value": {"doubleValue": "NaN"}},
        {"key": "y", "value": {"bytesValue": "AP8="}},
        {"key": "n", "value": {}},
        {"key": "m", "value": {"kvlistValue": {"values": [{"key": "a", "value": {"arrayValue": {"values": []}}}]}}},
    ]
    document = {"resourceSpans": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "payment"}}]},
        "scopeSpans": [{"spans": [{**OTLP_SPAN, "kind": 3, "attributes": attributes, "status": {"code": 2}}]}],
    }]}  # fmt: skip

    written = to_otlp_json(decoded(translate_otlp_json(orjson.dumps(document))))

    assert written == document


def test_jaeger_json_is_the_same_after_a_detour_over_otlp():
    tags = [
        tag("otel.scope.name", "lib"),
        tag("otel.scope.version", "1"),
        tag("s", "x"),
        tag("b", False, "bool"),
        tag("i", 7, "int64"),
        tag("large", str(2**60), "int64"),
        tag("f", 1.5, "float64"),
        tag("y", "AP8=", "binary"),
        tag("twice", "1"),
        tag("twice", "2"),
        tag("span.kind", "client"),
        tag("otel.status_code", "ERROR"),
        tag("error", True, "bool"),
        tag("otel.status_description", "declined"),
        tag("w3c.tracestate", "a=b"),
        tag("otel.dropped_attributes_count", 3, "int64"),
    ]
    logs = [{"timestamp": 17, "fields": [tag("event", "retry"), tag("attempt", 2, "int64")]}]
    references = [reference("000000000000000a"), follows("000000000000000b")]
    document = trace_of(
        span(flags=1, tags=tags, logs=logs, references=references, warnings=["clock skew"]),
        span(references=[follows("000000000000000c")], spanID="0000000000000002", warnings=None),
    )

    (trace,) = to_jaeger([decoded(translate_jaeger(orjson.dumps(document)))])["data"]

    assert trace == {**document["data"][0], "warnings": None}


def test_what_jaeger_has_no_type_for_becomes_json_text():
    values = [
        {"key": "list", "value": {"arrayValue": {"values": [{"intValue": "1"}, {"bytesValue": "AP8="}]}}},
        {"key": "map", "value": {"kvlistValue": {"values": [{"key": "a", "value": {"boolValue": True}}]}}},
        {"key": "none", "value": {}},
        {"key": "nan", "value": {"doubleValue": "NaN"}},
    ]
    spans = decoded(translate_otlp_json(orjson.dumps(request_of({**OTLP_SPAN, "attributes": values}))))

    (trace,) = to_jaeger([spans])["data"]

    assert trace["spans"][0]["tags"] == [
        tag("list", '[1,"AP8="]'),
        tag("map", '{"a":true}'),
        tag("none", ""),
        tag("nan", "nan", "float64"),
    ]


def test_a_missing_end_and_a_negative_duration_have_no_length_in_jaeger():
    spans = [{**OTLP_SPAN, "endTimeUnixNano": end} for end in ("0", "1544712659000000000")]

    (trace,) = to_jaeger([decoded(translate_otlp_json(orjson.dumps(request_of(*spans))))])["data"]

    assert [written["duration"] for written in trace["spans"]] == [0, 0]


def test_an_attribute_that_says_what_a_field_says_is_not_said_twice():
    attributes = [{"key": "span.kind", "value": {"stringValue": "server"}}]
    spans = decoded(translate_otlp_json(orjson.dumps(request_of({**OTLP_SPAN, "kind": 2, "attributes": attributes}))))

    (trace,) = to_jaeger([spans])["data"]

    assert trace["spans"][0]["tags"] == [tag("span.kind", "server")]


def test_spans_of_several_traces_come_apart_and_equal_processes_are_one():
    documents = [trace_of(span(traceID=f"{n:032x}", spanID=f"{m:016x}"))["data"][0] for n in (1, 2) for m in (1, 2)]
    batch = decode_traces(b"".join(translate_jaeger(orjson.dumps(d)).body for d in documents))[0]

    traces = to_jaeger([detailed(batch)])["data"]

    assert [(trace["traceID"][-1], len(trace["spans"]), list(trace["processes"])) for trace in traces] == [
        ("1", 2, ["p1"]),
        ("2", 2, ["p1"]),
    ]


@needs_data
def test_the_recorded_pair_of_otlp_and_jaeger_is_the_same_trace():
    as_otlp = (DATA / "formats/pair.otlp2jaeger-in.json").read_bytes()
    as_jaeger = json.loads((DATA / "formats/pair.otlp2jaeger-out.json").read_bytes())

    assert to_jaeger([decoded(translate_otlp_json(as_otlp))]) == as_jaeger


def comparable(document: dict[str, Any]) -> list[Any]:
    """Traces with what may be in any order in an order of its own."""
    kept = ("traceID", "spanID", "operationName", "references", "startTime", "duration", "logs")
    return sorted(
        [
            {
                **{key: one[key] for key in kept},
                "flags": one.get("flags", 0),
                "tags": sorted(one["tags"], key=orjson.dumps),
                "process": trace["processes"][one["processID"]],
            }
            for trace in document["data"]
            for one in trace["spans"]
        ],
        key=lambda one: (one["traceID"], one["spanID"]),
    )


@needs_data
@pytest.mark.parametrize("name", ["hotrod", "dsb-socialnetwork", "nezha-tt-contacts-cpu"])
def test_recorded_jaeger_traces_are_the_same_after_a_detour_over_otlp(name):
    body = gzip.decompress((DATA / f"formats/{name}.jaeger.json.gz").read_bytes())

    written = to_jaeger([decoded(translate_jaeger(body))])

    assert comparable(written) == comparable(json.loads(body))


RECORDED = sorted((DATA / "otlp").glob("*.pb.gz")) if DATA.is_dir() else []


@needs_data
@pytest.mark.parametrize("path", [p for p in RECORDED if p.stat().st_size < 200_000], ids=lambda path: path.name)
def test_recorded_otlp_traces_are_the_same_after_a_download_in_either_form(path):
    batch = read_spans(path).batch
    spans = detailed(batch)

    as_otlp = decoded(translate_otlp_json(orjson.dumps(to_otlp_json(spans))))
    as_jaeger = decoded(translate_jaeger(orjson.dumps(to_jaeger([spans]))))

    assert facts(as_otlp) == facts(spans)
    assert identities(as_jaeger) == identities(spans)


def identities(spans: DetailedSpans) -> list[tuple[Any, ...]]:
    """What Jaeger can tell: ids, parents, names, services, times in microseconds, attributes with their types.

    Attributes that repeat kind or status are tags once there.
    """
    batch = spans.batch
    return sorted(
        (
            batch.trace_id(row),
            batch.span_id_hex(row),
            batch.parent_span_id_hex(row) or "",
            batch.text(int(batch.name[row])),
            batch.text(int(batch.service[row])),
            int(batch.start_time_unix_nano[row]) // 1000,
            length_of(batch, row) // 1000,
            repr(
                sorted((key, value) for key, value in spans.detail(row).attributes if key not in ("span.kind", "error"))
            ),
            int(batch.kind[row]),
        )
        for row in range(len(batch))
    )


def length_of(batch: SpanBatch, row: int) -> int:
    return max(int(batch.end_time_unix_nano[row]) - int(batch.start_time_unix_nano[row]), 0)


def test_halves_of_a_shared_zipkin_id_are_two_rows_with_one_id():
    document = [ZIPKIN_SPAN, {**ZIPKIN_SPAN, "kind": "SERVER", "shared": True}]

    batch = decoded(translate_zipkin(orjson.dumps(document))).batch

    assert batch.span_id_hex(0) == batch.span_id_hex(1) == ZIPKIN_SPAN["id"]
    assert batch.kind.tolist() == [0, 2]
