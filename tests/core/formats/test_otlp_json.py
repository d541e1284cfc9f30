"""OTLP/JSON to OTLP bytes. The judge is the protobuf runtime: its own JSON printer, and its own parser."""

import base64
import contextlib
import copy
import json
from typing import Any

import hypothesis.strategies as st
import orjson
import pytest
from hypothesis import given
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.core.formats.document import MalformedDocument
from collector.core.formats.otlp_json import MAX_NESTING, translate_otlp_json, translate_request
from collector.core.formats.translation import MAX_KEPT
from tests.core.formats.requests import as_otlp_json, large_inputs, requests

SPAN = {
    "traceId": "5b8efff798038103d269b633813fc60c",
    "spanId": "eee19b7ec3c1b174",
    "name": "charge card",
    "startTimeUnixNano": "1544712660000000000",
    "endTimeUnixNano": "1544712661000000000",
}
RESOURCE = {"attributes": [{"key": "service.name", "value": {"stringValue": "payment"}}]}


def request_of(*spans: Any, resource: Any = RESOURCE, scope: Any = None) -> dict[str, Any]:
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": scope, "spans": [*spans]}]}]}


def read(document: object, **options: bool) -> list[Any]:
    """The spans that a translation holds, as the protobuf runtime reads them."""
    return spans_of(translate_request(document, **options).body)


def spans_of(body: bytes) -> list[Any]:
    request = ExportTraceServiceRequest.FromString(body)
    return [span for group in request.resource_spans for scoped in group.scope_spans for span in scoped.spans]


def span(**fields: Any) -> dict[str, Any]:
    return {**SPAN, **fields}


def value_of(any_value: object) -> Any:
    (translated,) = read(request_of(span(attributes=[{"key": "k", "value": any_value}])))
    return translated.attributes[0].value


def problem_of(document: object) -> str:
    (rejection,) = translate_request(document).rejections
    return rejection.problem


@large_inputs
@given(requests(), st.booleans(), st.booleans())
def test_every_request_comes_out_as_the_protobuf_runtime_wrote_it(request, snake_case, names):
    document = orjson.dumps(as_otlp_json(request, snake_case, names))

    translation = translate_otlp_json(document)

    assert translation.rejections == ()
    assert ExportTraceServiceRequest.FromString(translation.body) == request


@large_inputs
@given(requests())
def test_numbers_of_64_bits_may_be_numbers_and_unknown_fields_are_ignored(request):
    def loosen(tree: Any) -> Any:
        if isinstance(tree, list):
            return [loosen(item) for item in tree]
        if not isinstance(tree, dict):
            return tree
        numbers = ("startTimeUnixNano", "endTimeUnixNano", "timeUnixNano", "intValue")
        return {k: int(v) if k in numbers else loosen(v) for k, v in tree.items()} | {"newInOtlp2": {"a": [1]}}

    translation = translate_request(loosen(as_otlp_json(request)))

    assert translation.rejections == ()
    assert ExportTraceServiceRequest.FromString(translation.body) == request


@large_inputs
@given(requests())
def test_a_request_with_null_for_what_is_unset_is_the_same(request):
    document = as_otlp_json(request)

    for group in document.get("resourceSpans", []):
        for scoped in group.get("scopeSpans", []):
            scoped.setdefault("schemaUrl", None)
            for one in scoped.get("spans", []):
                for name in ("parentSpanId", "traceState", "attributes", "events", "links", "flags"):
                    one.setdefault(name, None)

    assert ExportTraceServiceRequest.FromString(translate_request(document).body) == request


def test_one_bad_span_costs_neither_its_neighbours_nor_their_places():
    document = request_of(span(name="a"), span(spanId="abc"), span(name="b"), 7, span(kind=[]), span(name="c"))

    translation = translate_request(document)

    assert [s.name for s in spans_of(translation.body)] == ["a", "b", "c"]
    assert translation.rejected == 3
    assert [r.place for r in translation.rejections] == [
        f"resourceSpans[0].scopeSpans[0].spans[{k}]" for k in (1, 3, 4)
    ]


def test_a_rejection_names_problem_value_place_and_next_step():
    document = request_of(SPAN, span(spanId=base64.b64encode(bytes(range(8))).decode()))

    (rejection,) = translate_request(document).rejections

    assert str(rejection) == (
        'span rejected: span_id is "AAECAwQFBgc=", 16 hex digits expected\n'
        '  at resourceSpans[0].scopeSpans[0].spans[1] ("charge card" in service "payment")\n'
        'hint: is the exporter of "payment" sending base64 where OTLP/JSON asks for hex?'
    )


def test_base64_ids_are_taken_where_they_are_allowed():
    ids = {"traceId": bytes(range(16)), "spanId": bytes(range(1, 9)), "parentSpanId": b"\xfb\xff" * 4}
    document = request_of(span(**{name: base64.b64encode(value).decode() for name, value in ids.items()}), SPAN)

    first, second = read(document, accept_base64=True)

    assert (first.trace_id, first.span_id, first.parent_span_id) == tuple(ids.values())
    assert second.trace_id.hex() == SPAN["traceId"]
    assert read(document) == [second]


def test_ids_may_be_upper_case():
    (translated,) = read(request_of(span(traceId=SPAN["traceId"].upper())))

    assert translated.trace_id.hex() == SPAN["traceId"]


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"spanId": "eee19b7ec3c1b1"}, "span_id has 7 bytes, 8 expected"),
        ({"traceId": "ab"}, "trace_id has 1 bytes, 16 expected"),
        ({"traceId": ""}, "trace_id has 0 bytes, 16 expected"),
        ({"traceId": "0" * 32}, "trace_id is all zero"),
        ({"spanId": "0" * 16}, "span_id is all zero"),
        ({"spanId": None}, "span_id is missing"),
        ({"spanId": 12}, "span_id is 12, 16 hex digits expected"),
        ({"spanId": "zz" * 8}, 'span_id is "zzzzzzzzzzzzzzzz", 16 hex digits expected'),
        ({"spanId": "ee e19b7ec3c1b17"}, 'span_id is "ee e19b7ec3c1b17", 16 hex digits expected'),
        ({"parentSpanId": "1"}, 'parent_span_id is "1", 16 hex digits expected'),
        ({"startTimeUnixNano": str(2**63)}, f"startTimeUnixNano is {2**63}, above {2**63 - 1}"),
        ({"startTimeUnixNano": 2**64}, "startTimeUnixNano is 18446744073709551616, above 9223372036854775807"),
        ({"endTimeUnixNano": "-1"}, "endTimeUnixNano is -1, below 0"),
        ({"endTimeUnixNano": "1e400"}, 'endTimeUnixNano is "1e400", a whole number expected'),
        ({"endTimeUnixNano": 1.5}, "endTimeUnixNano is 1.5, a whole number expected"),
        ({"endTimeUnixNano": True}, "endTimeUnixNano is true, a whole number expected"),
        ({"name": 7}, "name is 7, text expected"),
        ({"name": "\ud800"}, 'name is "�", which is not UTF-8'),
        ({"flags": 2**32}, f"flags is {2**32}, above {2**32 - 1}"),
        ({"attributes": {}}, "attributes is an object, an array expected"),
        ({"attributes": ["a"]}, 'attribute is "a", an object expected'),
        ({"attributes": [{"key": 1}]}, "key of an attribute is 1, text expected"),
        ({"events": {}}, "events is an object, an array expected"),
        ({"events": [{"timeUnixNano": "x"}]}, 'timeUnixNano of an event is "x", a whole number expected'),
        ({"links": [{"traceId": "00"}]}, "trace_id has 1 bytes, 16 expected"),
        ({"status": "OK"}, '"OK" where an object is expected'),
    ],
)
def test_what_cannot_be_read_says_what_it_is_and_what_is_expected(fields, problem):
    assert problem_of(request_of(span(**fields))) == problem


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"intValue": "abc"}, 'intValue is "abc", a whole number expected'),
        ({"intValue": str(2**63)}, f"intValue is {2**63}, above {2**63 - 1}"),
        ({"intValue": "１２"}, 'intValue is "１２", a whole number expected'),
        ({"boolValue": "true"}, 'boolValue is "true", true or false expected'),
        ({"doubleValue": "fast"}, 'doubleValue is "fast", a number expected'),
        ({"bytesValue": "!"}, 'bytesValue is "!", base64 expected'),
        ({"stringValue": 1}, "stringValue is 1, text expected"),
        ({"arrayValue": []}, "arrayValue is an array, an object with an array of values expected"),
        ({"kvlistValue": {"values": {}}}, "kvlistValue is an object, an object with an array of values expected"),
        ("plain", 'value is "plain", an object such as {"stringValue": "…"} expected'),
    ],
)
def test_a_bad_attribute_is_named_by_its_key(value, problem):
    document = request_of(span(attributes=[{"key": "k", "value": value}]))

    assert problem_of(document) == f'attribute "k": {problem}'


def test_an_attribute_that_is_no_unicode_is_named_by_its_key():
    document = request_of(span(attributes=[{"key": "k", "value": {"stringValue": "\ud800"}}]))

    assert problem_of(document) == 'attribute "k" is not UTF-8'


def test_values_of_every_type_are_read():
    assert value_of({"doubleValue": "NaN"}).double_value != value_of({"doubleValue": "NaN"}).double_value
    assert value_of({"doubleValue": "-Infinity"}).double_value == float("-inf")
    assert value_of({"doubleValue": 1}).double_value == 1.0
    assert value_of({"bytesValue": "-_8"}).bytes_value == b"\xfb\xff"
    assert value_of({"intValue": 1e3}).int_value == 1000
    assert value_of({}).WhichOneof("value") is None
    assert value_of(None).WhichOneof("value") is None
    assert value_of({"string_value": "x"}).string_value == "x"


def test_values_may_lie_inside_values_to_a_depth_that_the_protobuf_runtime_reads():
    def nested(depth: int) -> dict[str, Any]:
        value: dict[str, Any] = {"stringValue": "core"}
        for _ in range(depth):
            value = {"kvlistValue": {"values": [{"key": "k", "value": value}]}}
        return value

    assert value_of(nested(MAX_NESTING - 1)).HasField("kvlist_value")
    assert "nested deeper than 32" in problem_of(request_of(span(attributes=[{"key": "k", "value": nested(300)}])))


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        (2, 2),
        ("2", 2),
        ("SPAN_KIND_CLIENT", 3),
        ("span_kind_client", 3),
        ("SPAN_KIND_INVALID_TYPE", 0),
        (99, 0),
        (-1, 0),
    ],
)
def test_an_unknown_kind_costs_the_value_alone(kind, number):
    (translated,) = read(request_of(span(kind=kind)))

    assert translated.kind == number


def test_a_resource_that_cannot_be_read_costs_its_spans_and_no_others():
    odd = {"attributes": [{"key": "host.id", "value": {"intValue": "x"}}]}
    document = request_of(SPAN, SPAN, resource=odd)
    document["resourceSpans"] += request_of(span(name="b"))["resourceSpans"]

    translation = translate_request(document)

    assert [s.name for s in spans_of(translation.body)] == ["b"]
    assert translation.rejected == 2
    assert (
        translation.rejections[1].problem
        == 'its resource: attribute "host.id": intValue is "x", a whole number expected'
    )
    assert translation.rejections[1].place == "resourceSpans[0].scopeSpans[0].spans[1]"


def test_a_scope_that_cannot_be_read_costs_its_spans():
    translation = translate_request(request_of(SPAN, scope={"name": 1}))

    assert translation.rejected == 1
    assert translation.rejections[0].problem == "its scope: name of the scope is 1, text expected"


def test_older_and_other_names_of_the_frame_are_read():
    tempo = {"batches": [{"scopeSpans": [{"spans": [SPAN]}]}]}
    before_0_15 = {
        "resourceSpans": [
            {"instrumentationLibrarySpans": [{"instrumentationLibrary": {"name": "lib"}, "spans": [SPAN]}]}
        ]
    }

    request = ExportTraceServiceRequest.FromString(translate_request(before_0_15).body)

    assert len(read(tempo)) == 1
    assert request.resource_spans[0].scope_spans[0].scope.name == "lib"


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "an array where an object is expected"),
        ({"resourceSpans": {}}, "an object where an array is expected\n  at resourceSpans"),
        ({"resourceSpans": [1]}, "1 where an object is expected\n  at resourceSpans[0]"),
        ({"resourceSpans": [{"scopeSpans": "x"}]}, '"x" where an array is expected\n  at resourceSpans[0].scopeSpans'),
        (
            {"resourceSpans": [{"scopeSpans": [{"spans": {}}]}]},
            "an object where an array is expected\n  at resourceSpans[0].scopeSpans[0].spans",
        ),
    ],
)
def test_a_damaged_frame_is_malformed_as_a_whole(document, message):
    with pytest.raises(MalformedDocument) as error:
        translate_request(document)

    assert str(error.value) == message


def test_text_that_is_not_unicode_costs_the_span_in_which_it_stands():
    good = json.dumps(request_of(SPAN, span(name="XX"), SPAN)).encode()

    by_bytes = translate_otlp_json(good.replace(b"XX", b"\xff\xfe"))
    by_escape = translate_otlp_json(good.replace(b"XX", b"\\ud83d"))

    for translation in (by_bytes, by_escape):
        assert len(spans_of(translation.body)) == 2
        assert "not UTF-8" in translation.rejections[0].problem


def test_of_very_many_bad_spans_the_first_are_told_and_all_are_counted():
    translation = translate_request(request_of(*[{}] * 1000))

    assert translation.rejected == 1000
    assert len(translation.rejections) == MAX_KEPT


def test_the_document_is_not_changed_by_reading_it():
    document = request_of(span(attributes=[{"key": "k", "value": {"intValue": "1"}}]), {})
    before = copy.deepcopy(document)

    translate_request(document)

    assert document == before


FRAME = ["resourceSpans", "scopeSpans", "spans", "resource", "attributes", "key", "value", "values", "status", "events"]
ODD = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*FRAME, *SPAN, "kvlistValue"]) | st.text(), inner),
    max_leaves=30,
)


@large_inputs
@given(ODD, ODD)
def test_no_json_breaks_the_translator_or_costs_a_neighbour(document, odd):
    with contextlib.suppress(MalformedDocument):
        translate_request(document)

    translation = translate_request(request_of(SPAN, odd, {**SPAN, **odd} if isinstance(odd, dict) else odd))

    read_spans = spans_of(translation.body)
    assert len(read_spans) + translation.rejected == 3
    assert read_spans[0].name == SPAN["name"]
