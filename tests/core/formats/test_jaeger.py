"""Jaeger JSON to OTLP bytes, as the OpenTelemetry Collector translates it."""

import base64
import gzip
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import orjson
import pytest
from hypothesis import given
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.core.formats.document import MalformedDocument
from collector.core.formats.jaeger import translate_jaeger, translate_traces
from tests.core.formats.requests import large_inputs

FORMATS = Path(__file__).parents[3] / "../shared/data/formats"
needs_data = pytest.mark.skipif(not FORMATS.is_dir(), reason="../shared/data is absent")

TRACE_ID = "0000000000000000151e8ea44a5cf41c"
SPAN: dict[str, Any] = {
    "traceID": TRACE_ID,
    "spanID": "137cfc2d87740f56",
    "operationName": "charge card",
    "references": [],
    "startTime": 1695943858155643,
    "duration": 518,
    "tags": [],
    "logs": [],
    "processID": "p1",
}
PROCESSES = {"p1": {"serviceName": "payment", "tags": [{"key": "hostname", "type": "string", "value": "h1"}]}}


def trace_of(*spans: Any, processes: Any = PROCESSES) -> dict[str, Any]:
    return {"data": [{"traceID": TRACE_ID, "spans": [*spans], "processes": processes}]}


def span(**fields: Any) -> dict[str, Any]:
    return {**SPAN, **fields}


def tag(key: str, value: Any, kind: str = "string") -> dict[str, Any]:
    return {"key": key, "type": kind, "value": value}


def request_of(document: object) -> Any:
    return ExportTraceServiceRequest.FromString(translate_traces(document).body)


def read(*spans: Any) -> list[Any]:
    """The spans of a trace as the protobuf runtime reads their translation."""
    request = request_of(trace_of(*spans))
    return [s for group in request.resource_spans for scoped in group.scope_spans for s in scoped.spans]


def read_tags(*tags: Any) -> Any:
    return read(span(tags=[*tags]))[0]


def attributes_of(message: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in message.attributes}


def links_of(message: Any) -> list[tuple[str, str]]:
    return [(link.span_id.hex(), attributes_of(link)["opentracing.ref_type"]) for link in message.links]


def reference(span_id: str, kind: str = "CHILD_OF", trace_id: str = TRACE_ID) -> dict[str, Any]:
    return {"refType": kind, "traceID": trace_id, "spanID": span_id}


def follows(span_id: str) -> dict[str, Any]:
    return reference(span_id, "FOLLOWS_FROM")


def test_times_are_exact():
    (translated,) = read(span(startTime=1695943858155643, duration=518))

    assert translated.start_time_unix_nano == 1695943858155643000
    assert translated.end_time_unix_nano == 1695943858156161000


def test_times_with_a_fraction_keep_it():
    (translated,) = read(span(startTime=1_000_000.5, duration=0.25))

    assert (translated.start_time_unix_nano, translated.end_time_unix_nano) == (1_000_000_500, 1_000_000_750)


def test_a_negative_duration_is_kept_for_assembly_to_flag():
    (translated,) = read(span(startTime=100, duration=-7))

    assert (translated.start_time_unix_nano, translated.end_time_unix_nano) == (100_000, 93_000)


def test_short_ids_are_padded():
    (translated,) = read(span(traceID="151e8ea44a5cf41c", spanID="abc"))

    assert translated.trace_id.hex() == TRACE_ID
    assert translated.span_id.hex() == "0000000000000abc"


def test_tags_keep_their_types():
    translated = read_tags(
        tag("s", "x"),
        tag("b", False, "bool"),
        tag("i", 200, "int64"),
        tag("large", "9007199254740993", "int64"),
        tag("f", 1, "float64"),
        tag("nan", "NaN", "float64"),
        tag("y", base64.b64encode(b"\x00\xff").decode(), "binary"),
        {"key": "untyped", "value": 7},
        {"key": "tree", "value": {"a": [1]}},
    )

    found = attributes_of(translated)
    assert found.pop("nan") != found.get("nan")
    assert found == {
        "s": "x",
        "b": False,
        "i": 200,
        "large": 2**53 + 1,
        "f": 1.0,
        "y": b"\x00\xff",
        "untyped": 7,
        "tree": '{"a": [1]}',
    }
    kinds = {pair.key: pair.value.WhichOneof("value") for pair in translated.attributes}
    assert kinds["f"] == "double_value"
    assert kinds["b"] == "bool_value"


def test_a_key_that_stands_twice_stays_twice():
    translated = read_tags(tag("k", "1"), tag("k", "2"))

    assert [(pair.key, pair.value.string_value) for pair in translated.attributes] == [("k", "1"), ("k", "2")]


@pytest.mark.parametrize(
    ("kind", "number"), [("client", 3), ("server", 2), ("producer", 4), ("consumer", 5), ("internal", 1), ("x", 0)]
)
def test_the_kind_is_a_tag(kind, number):
    translated = read_tags(tag("span.kind", kind))

    assert translated.kind == number
    assert attributes_of(translated) == {}


@pytest.mark.parametrize(
    ("tags", "code", "message", "left"),
    [
        ([], 0, "", {}),
        ([tag("error", True, "bool")], 2, "", {}),
        ([tag("error", False, "bool")], 0, "", {"error": False}),
        ([tag("error", "true")], 2, "", {"error": "true"}),
        ([tag("otel.status_code", "OK")], 1, "", {}),
        ([tag("otel.status_code", "ERROR"), tag("otel.status_description", "no")], 2, "no", {}),
        ([tag("error", True, "bool"), tag("otel.status_code", "OK")], 2, "", {}),
        ([tag("error", True, "bool"), tag("otel.status_description", "no")], 2, "no", {}),
        ([tag("http.status_code", 500, "int64")], 2, "", {"http.status_code": 500}),
        ([tag("http.status_code", "503")], 2, "", {"http.status_code": "503"}),
        ([tag("http.status_code", 404, "int64"), tag("span.kind", "client")], 2, "", {"http.status_code": 404}),
        ([tag("http.status_code", 404, "int64"), tag("span.kind", "server")], 0, "", {"http.status_code": 404}),
        ([tag("http.status_code", 500, "int64"), tag("otel.status_code", "OK")], 1, "", {"http.status_code": 500}),
    ],
)
def test_the_status_comes_from_the_error_tag_then_from_otel_then_from_http(tags, code, message, left):
    translated = read_tags(*tags)

    assert (translated.status.code, translated.status.message) == (code, message)
    assert attributes_of(translated) == left


def test_the_scope_and_the_tracestate_are_tags():
    document = trace_of(
        span(tags=[tag("otel.scope.name", "lib"), tag("otel.scope.version", "2"), tag("w3c.tracestate", "a=b")]), SPAN
    )

    (group,) = request_of(document).resource_spans

    assert [(s.scope.name, s.scope.version, len(s.spans)) for s in group.scope_spans] == [("lib", "2", 1), ("", "", 1)]
    assert group.scope_spans[0].spans[0].trace_state == "a=b"


def test_a_process_is_a_resource_and_its_tags_keep_their_names():
    (group,) = request_of(trace_of(SPAN, SPAN)).resource_spans

    assert attributes_of(group.resource) == {"service.name": "payment", "hostname": "h1"}
    assert len(group.scope_spans[0].spans) == 2


def test_the_process_may_stand_in_the_span():
    inline = span(processID=None, process={"serviceName": "cart", "tags": []})

    groups = request_of(trace_of(inline, SPAN, inline)).resource_spans

    assert [(attributes_of(g.resource)["service.name"], len(g.scope_spans[0].spans)) for g in groups] == [
        ("cart", 2),
        ("payment", 1),
    ]


def test_a_span_without_a_process_is_read():
    (group,) = request_of(trace_of(span(processID="p9"), processes=None)).resource_spans

    assert attributes_of(group.resource) == {}
    assert len(group.scope_spans[0].spans) == 1


def test_logs_are_events_named_by_their_event_field():
    logs = [
        {"timestamp": 17, "fields": [tag("event", "GetConn"), tag("level", "info")]},
        {"timestamp": 18, "fields": [tag("message", "x")]},
        {"timestamp": 19},
    ]

    (translated,) = read(span(logs=logs))

    assert [(e.time_unix_nano, e.name, attributes_of(e)) for e in translated.events] == [
        (17_000, "GetConn", {"level": "info"}),
        (18_000, "", {"message": "x"}),
        (19_000, "", {}),
    ]


@pytest.mark.parametrize(
    ("references", "parent", "links"),
    [
        ([], "", []),
        ([reference("0a")], "0a", []),
        ([reference("0a"), reference("0b")], "0a", [("0b", "child_of")]),
        ([follows("0f"), reference("0a")], "0a", [("0f", "follows_from")]),
        ([follows("0f")], "0f", [("0f", "follows_from")]),
        ([follows("0f"), follows("0e")], "0f", [("0f", "follows_from"), ("0e", "follows_from")]),
        ([reference("0c", trace_id="ff")], "", [("0c", "child_of")]),
        ([reference("0c", trace_id="ff"), follows("0f")], "0f", [("0c", "child_of"), ("0f", "follows_from")]),
        ([reference("0a"), follows("0a")], "0a", [("0a", "follows_from")]),
    ],
)
def test_the_parent_is_the_first_child_of_else_the_first_follows_from_and_the_others_are_links(
    references, parent, links
):
    (translated,) = read(span(references=references))

    assert translated.parent_span_id.hex() == (parent.rjust(16, "0") if parent else "")
    assert links_of(translated) == [(span_id.rjust(16, "0"), kind) for span_id, kind in links]


def test_the_old_field_of_the_parent_counts_where_there_are_no_references():
    (translated,) = read(span(references=None, parentSpanID="a"))

    assert translated.parent_span_id.hex() == "000000000000000a"


def test_flags_keep_the_sampled_bit_alone():
    assert [s.flags for s in read(span(flags=1), span(flags=3), span(flags=2), SPAN)] == [1, 1, 0, 0]


def test_warnings_and_dropped_counts_are_kept():
    tags = [tag("otel.dropped_attributes_count", 1, "int64"), tag("otel.dropped_links_count", 3, "int64")]

    (translated,) = read(span(tags=tags, warnings=["clock skew"]))

    assert (translated.dropped_attributes_count, translated.dropped_events_count, translated.dropped_links_count) == (
        1,
        0,
        3,
    )
    (warnings,) = translated.attributes
    assert warnings.key == "@jaeger@warnings"
    assert [v.string_value for v in warnings.value.array_value.values] == ["clock skew"]


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"traceID": None}, "traceID is missing"),
        ({"traceID": "xyz"}, 'traceID is "xyz", up to 32 hex digits expected'),
        ({"spanID": "1" * 17}, "spanID has 17 hex digits, 16 at most expected"),
        ({"spanID": "0"}, "spanID is all zero"),
        ({"startTime": "soon"}, 'startTime is "soon", a whole number expected'),
        ({"startTime": None}, "startTime is null, a whole number expected"),
        ({"startTime": -1}, f"startTime is -1000 ns, 0 to {2**63 - 1} expected"),
        ({"startTime": 1, "duration": -5}, f"startTime + duration is -4000 ns, 0 to {2**63 - 1} expected"),
        ({"startTime": 0, "duration": 10**16}, f"startTime + duration is {10**19} ns, 0 to {2**63 - 1} expected"),
        ({"tags": {}}, "tags is an object, an array expected"),
        ({"tags": [tag("k", "x", "int64")]}, 'tag "k": value is "x", a whole number expected'),
        ({"tags": [tag("k", "x", "bool")]}, 'tag "k": value is "x", true or false expected'),
        ({"tags": [tag("k", "?", "binary")]}, 'tag "k": value is "?", base64 expected'),
        ({"tags": ["k"]}, 'tag is "k", an object with a key expected'),
        ({"operationName": 1}, "operationName is 1, text expected"),
        ({"operationName": "\ud800"}, '"�" is not UTF-8'),
        ({"references": [7]}, "reference is 7, an object expected"),
        ({"references": [reference("no")]}, 'spanID of a reference is "no", up to 16 hex digits expected'),
        ({"logs": "x"}, 'logs is "x", an array expected'),
        ({"processID": "odd"}, "its process is 7, an object expected"),
    ],
)
def test_a_bad_span_is_rejected_with_its_place_and_its_neighbours_go_on(fields, problem):
    document = trace_of(SPAN, span(**fields), SPAN, processes={**PROCESSES, "odd": 7})

    translation = translate_traces(document)

    assert (translation.rejected, translation.rejections[0].problem) == (1, problem)
    assert translation.rejections[0].place == "data[0].spans[1]"
    request = ExportTraceServiceRequest.FromString(translation.body)
    assert sum(len(s.spans) for g in request.resource_spans for s in g.scope_spans) == 2


def test_a_rejection_names_span_and_service():
    (rejection,) = translate_traces(trace_of(span(spanID="?"))).rejections

    assert (rejection.name, rejection.service) == ("charge card", "payment")


@pytest.mark.parametrize("wrap", [lambda t: {"data": [t]}, lambda t: [t], lambda t: t])
def test_an_answer_a_list_of_traces_and_one_trace_are_read(wrap):
    (trace,) = trace_of(SPAN)["data"]

    translation = translate_jaeger(orjson.dumps(wrap(trace)))

    assert translation.rejected == 0
    assert len(ExportTraceServiceRequest.FromString(translation.body).resource_spans) == 1


@pytest.mark.parametrize("document", [{"data": None}, {"data": [7]}, {"spans": 7}, 7, {"data": [{"spans": {}}]}])
def test_what_holds_no_traces_is_malformed(document):
    with pytest.raises(MalformedDocument):
        translate_traces(document)


KEYS = [*SPAN, "data", "spans", "processes", "key", "value", "type", "refType", "fields"]
ODD = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(KEYS), inner),
    max_leaves=30,
)


@large_inputs
@given(ODD.map(lambda odd: trace_of(SPAN, odd, {**SPAN, **odd} if isinstance(odd, dict) else odd)))
def test_no_json_breaks_the_translator_or_costs_a_neighbour(document):
    translation = translate_traces(document)

    request = ExportTraceServiceRequest.FromString(translation.body)
    read_spans = sum(len(s.spans) for g in request.resource_spans for s in g.scope_spans)
    assert read_spans + translation.rejected == 3
    assert read_spans >= 1


@needs_data
@pytest.mark.parametrize("name", ["dsb-socialnetwork", "hotrod", "nezha-tt-contacts-cpu"])
def test_recorded_traces_hold_the_spans_of_the_same_set_in_otlp(name):
    as_jaeger = gzip.decompress((FORMATS / f"{name}.jaeger.json.gz").read_bytes())
    as_otlp = gzip.decompress((FORMATS.parent / f"otlp/{name}.otlp.pb.gz").read_bytes())

    translation = translate_jaeger(as_jaeger)

    translated = facts(ExportTraceServiceRequest.FromString(translation.body))
    recorded = [fact for body in delimited(as_otlp) for fact in facts(ExportTraceServiceRequest.FromString(body))]
    assert sorted(translated) == sorted(recorded)


@needs_data
def test_an_export_of_the_ui_holds_the_same_spans_as_the_answer_of_the_api():
    export = gzip.decompress((FORMATS / "jaeger-ui-export.dsb.json.gz").read_bytes())
    answer = gzip.decompress((FORMATS / "dsb-socialnetwork.jaeger.json.gz").read_bytes())

    of_export, of_answer = (
        facts(ExportTraceServiceRequest.FromString(translate_jaeger(body).body)) for body in (export, answer)
    )

    assert sorted(of_export) == sorted(of_answer)


def facts(request: Any) -> list[tuple[Any, ...]]:
    """What must be equal however the spans are grouped; times in microseconds, as Jaeger has them."""
    return [
        (
            attributes_of(group.resource).get("service.name"),
            s.trace_id,
            s.span_id,
            s.parent_span_id,
            s.name,
            s.kind,
            s.start_time_unix_nano // 1000,
            s.end_time_unix_nano // 1000,
            s.status.code,
            len(s.events),
        )
        for group in request.resource_spans
        for scoped in group.scope_spans
        for s in scoped.spans
    ]


def delimited(body: bytes) -> list[bytes]:
    """Messages with a varint length before each."""
    at, messages = 0, []
    while at < len(body):
        size = shift = 0
        while True:
            byte = body[at]
            at += 1
            size |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        messages.append(body[at : at + size])
        at += size
    return messages
