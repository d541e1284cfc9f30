"""Zipkin v2 JSON to OTLP bytes."""

import gzip
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import orjson
import pytest
from hypothesis import given
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.core.formats.document import MalformedDocument
from collector.core.formats.zipkin import START_TIME_ABSENT, translate_spans, translate_zipkin
from tests.core.formats.requests import large_inputs

FORMATS = Path(__file__).parents[3] / "../shared/data/formats"

MOST = (2**63 - 1) // 1000
"""The latest time in microseconds that 63 bits of nanoseconds hold."""

SPAN: dict[str, Any] = {
    "traceId": "5aab74dbb904746bb33447baae403ed6",
    "id": "e457b5a2e4d86bd1",
    "name": "charge card",
    "timestamp": 1521186011929043,
    "duration": 14,
    "localEndpoint": {"serviceName": "payment"},
}


def span(**fields: Any) -> dict[str, Any]:
    return {**SPAN, **fields}


def request_of(*spans: Any) -> Any:
    translation = translate_spans([*spans])
    assert translation.rejections == ()
    return ExportTraceServiceRequest.FromString(translation.body)


def spans_of(request: Any) -> list[Any]:
    return [s for group in request.resource_spans for scoped in group.scope_spans for s in scoped.spans]


def read(**fields: Any) -> Any:
    """One span as the protobuf runtime reads its translation."""
    (translated,) = spans_of(request_of(span(**fields)))
    return translated


def attributes_of(message: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in message.attributes}


def test_ids_names_and_times_are_exact():
    translated = read(traceId="b33447baae403ed6", id="abc", parentId="05e3ac9a4f6e3b90")

    assert translated.trace_id.hex() == "0000000000000000b33447baae403ed6"
    assert translated.span_id.hex() == "0000000000000abc"
    assert translated.parent_span_id.hex() == "05e3ac9a4f6e3b90"
    assert translated.name == "charge card"
    assert translated.start_time_unix_nano == 1521186011929043000
    assert translated.end_time_unix_nano == 1521186011929057000


def test_a_missing_duration_is_a_missing_end():
    without = {key: value for key, value in SPAN.items() if key != "duration"}

    (translated,) = spans_of(request_of(without))

    assert translated.end_time_unix_nano == 0
    assert translated.start_time_unix_nano == 1521186011929043000


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ({"sql.query": "select 1"}, {"db.system.name": "other_sql"}),
        (
            {"cassandra.query": "SELECT", "cassandra.keyspace": "auth"},
            {"db.system.name": "cassandra", "db.namespace": "auth"},
        ),
        ({"sql.query": "select 1", "db.system.name": "mysql"}, {"db.system.name": "mysql"}),
        ({"http.path": "/"}, {}),
    ],
)
def test_a_statement_makes_a_span_a_call_of_a_database(tags: dict[str, str], said: dict[str, str]):
    assert attributes_of(read(kind="CLIENT", tags=tags)) == {**tags, **said}


@pytest.mark.parametrize(
    ("fields", "number"),
    [
        ({"kind": "CLIENT"}, 3),
        ({"kind": "SERVER"}, 2),
        ({"kind": "PRODUCER"}, 4),
        ({"kind": "CONSUMER"}, 5),
        ({}, 0),
        ({"kind": None, "tags": {"span.kind": "internal"}}, 1),
    ],
)
def test_kinds(fields, number):
    assert read(**fields).kind == number


def test_a_shared_id_stays_shared():
    client, server = span(kind="CLIENT"), span(kind="SERVER", shared=True, localEndpoint={"serviceName": "bank"})

    translated = spans_of(request_of(client, server))

    assert [(s.span_id.hex(), s.kind) for s in translated] == [(SPAN["id"], 3), (SPAN["id"], 2)]


def test_the_local_endpoint_is_the_resource_and_its_address_tells_hosts_apart():
    endpoint = {"serviceName": "payment", "ipv4": "10.1.2.3", "port": 8140}

    (group,) = request_of(span(localEndpoint=endpoint)).resource_spans

    assert attributes_of(group.resource) == {"service.name": "payment", "ip": "10.1.2.3"}
    assert attributes_of(group.scope_spans[0].spans[0]) == {"network.local.port": 8140}


@pytest.mark.parametrize("endpoint", [{"ipv4": "127.0.0.1"}, {"ipv6": "::1"}, {}, None])
def test_loopback_tells_nothing_about_hosts(endpoint):
    (group,) = request_of(span(localEndpoint=endpoint)).resource_spans

    assert attributes_of(group.resource) == {}


@pytest.mark.parametrize(("kind", "side"), [("CLIENT", "server"), ("CONSUMER", "server"), ("SERVER", "client")])
def test_the_remote_endpoint_becomes_attributes_of_its_side(kind, side):
    remote = {"serviceName": "redis", "ipv6": "2001:db8::1", "port": 6379}

    translated = read(kind=kind, remoteEndpoint=remote)

    assert attributes_of(translated) == {
        "peer.service": "redis",
        f"{side}.address": "2001:db8::1",
        f"{side}.port": 6379,
    }


def test_a_tag_beats_what_is_derived_from_an_endpoint():
    translated = read(tags={"peer.service": "cart"}, remoteEndpoint={"serviceName": "shop"})

    assert attributes_of(translated) == {"peer.service": "cart"}


def test_spans_are_grouped_by_endpoint_and_traces_stay_in_order():
    bank = {"serviceName": "bank"}
    spans = [
        span(traceId="2"),
        span(traceId="1", localEndpoint=bank),
        span(traceId="2", id="f"),
        span(traceId="2", localEndpoint=bank),
    ]

    groups = request_of(*spans).resource_spans

    assert [(s.trace_id[-1], len(g.scope_spans[0].spans)) for g in groups for s in g.scope_spans[0].spans[:1]] == [
        (2, 2),
        (1, 1),
        (2, 1),
    ]


@pytest.mark.parametrize(
    ("tags", "code", "message", "left"),
    [
        ({}, 0, "", {}),
        ({"error": "true"}, 2, "", {"error": "true"}),
        ({"error": ""}, 2, "", {"error": ""}),
        ({"error": "card declined"}, 2, "card declined", {"error": "card declined"}),
        ({"error": "false"}, 0, "", {"error": "false"}),
        ({"otel.status_code": "OK"}, 1, "", {}),
        ({"otel.status_code": "ERROR", "otel.status_description": "no", "error": "true"}, 2, "no", {"error": "true"}),
    ],
)
def test_an_error_tag_is_a_failure_and_its_text_the_message(tags, code, message, left):
    translated = read(tags=tags)

    assert (translated.status.code, translated.status.message) == (code, message)
    assert attributes_of(translated) == left


def test_tags_are_text_and_what_is_not_becomes_its_json():
    translated = read(tags={"a": "1", "b": 2, "c": True, "d": {"e": []}})

    assert attributes_of(translated) == {"a": "1", "b": "2", "c": "true", "d": '{"e": []}'}


def test_annotations_are_events():
    translated = read(annotations=[{"timestamp": 17, "value": "Headers Received"}])

    assert [(e.time_unix_nano, e.name) for e in translated.events] == [(17_000, "Headers Received")]


def test_the_scope_and_the_tracestate_are_tags():
    tags = {"otel.scope.name": "lib", "otel.scope.version": "2", "w3c.tracestate": "a=b"}

    (group,) = request_of(span(tags=tags)).resource_spans

    assert (group.scope_spans[0].scope.name, group.scope_spans[0].scope.version) == ("lib", "2")
    assert group.scope_spans[0].spans[0].trace_state == "a=b"


def test_a_span_without_a_timestamp_begins_with_the_earliest_span_below_it():
    timeless = {"traceId": SPAN["traceId"], "name": "x"}
    spans = [
        {**timeless, "id": "1"},
        {**timeless, "id": "2", "parentId": "1"},
        span(id="3", parentId="2", timestamp=50),
        span(id="4", parentId="2", timestamp=40),
        span(id="5", parentId="1", timestamp=45),
    ]

    translated = {s.span_id[-1]: s for s in spans_of(request_of(*spans))}

    assert [translated[n].start_time_unix_nano for n in (1, 2)] == [40_000, 40_000]
    assert [translated[n].end_time_unix_nano for n in (1, 2)] == [0, 0]
    assert attributes_of(translated[1])[START_TIME_ABSENT] is True


def test_a_piece_of_a_report_without_times_is_left_out_where_another_piece_has_them():
    piece = {"traceId": SPAN["traceId"], "id": SPAN["id"], "name": "late"}

    translation = translate_spans([SPAN, piece, span(id="2", parentId=SPAN["id"])])

    assert len(spans_of(ExportTraceServiceRequest.FromString(translation.body))) == 2
    assert (translation.rejected, translation.rejections[0].place) == (1, "[1]")
    assert "timestamp is missing" in translation.rejections[0].problem


def test_timeless_spans_in_a_cycle_are_left_out():
    timeless = {"traceId": SPAN["traceId"]}

    translation = translate_spans([{**timeless, "id": "1", "parentId": "2"}, {**timeless, "id": "2", "parentId": "1"}])

    assert translation.rejected == 2


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"traceId": None}, "traceId is missing"),
        ({"id": "0" * 16}, "id is all zero"),
        ({"id": "1" * 17}, "id has 17 hex digits, 16 at most expected"),
        ({"parentId": "x"}, 'parentId is "x", up to 16 hex digits expected'),
        ({"timestamp": "now"}, 'timestamp is "now", a whole number expected'),
        ({"timestamp": 2**62}, f"timestamp is {2**62}, above {MOST}"),
        ({"duration": -1}, "duration is -1, below 0"),
        ({"timestamp": 1, "duration": MOST}, f"timestamp + duration is {1000 * MOST + 1000} ns, above {2**63 - 1}"),
        ({"tags": []}, "tags is an array, an object expected"),
        ({"tags": {"k": "\ud800"}}, '"�" is not UTF-8'),
        ({"annotations": [1]}, "annotation is 1, an object expected"),
        ({"localEndpoint": "x"}, 'localEndpoint is "x", an object expected'),
        ({"localEndpoint": {"serviceName": "\ud800"}}, '"�" is not UTF-8'),
        ({"remoteEndpoint": {"port": 70000}}, "port is 70000, above 65535"),
        ({"name": {}}, "name is an object, text expected"),
    ],
)
def test_a_bad_span_is_rejected_with_its_place_and_its_neighbours_go_on(fields, problem):
    translation = translate_spans([SPAN, span(**fields), span(id="2")])

    assert (translation.rejected, translation.rejections[0].problem) == (1, problem)
    assert translation.rejections[0].place == "[1]"
    assert len(spans_of(ExportTraceServiceRequest.FromString(translation.body))) == 2


def test_a_list_of_traces_is_read():
    translation = translate_zipkin(orjson.dumps([[SPAN, span(id="2")], [], [span(id="?")]]))

    assert len(spans_of(ExportTraceServiceRequest.FromString(translation.body))) == 2
    assert translation.rejections[0].place == "[2][0]"


def test_what_is_no_list_is_malformed():
    with pytest.raises(MalformedDocument, match="an object where an array of Zipkin spans is expected"):
        translate_spans({})


KEYS = [*SPAN, "tags", "annotations", "remoteEndpoint", "serviceName", "ipv4", "port", "value", "parentId"]
ODD = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(KEYS), inner),
    max_leaves=30,
).filter(lambda odd: not isinstance(odd, list))


@large_inputs
@given(ODD)
def test_no_json_breaks_the_translator_or_costs_a_neighbour(odd):
    translation = translate_spans([SPAN, odd, {**SPAN, **odd} if isinstance(odd, dict) else odd])

    read_spans = spans_of(ExportTraceServiceRequest.FromString(translation.body))
    assert len(read_spans) + translation.rejected == 3
    assert len(read_spans) >= 1


@pytest.mark.skipif(not FORMATS.is_dir(), reason="../shared/data is absent")
@pytest.mark.parametrize("path", sorted(FORMATS.glob("zipkin-v2.*")), ids=lambda path: path.name)
def test_of_a_recorded_file_only_pieces_without_times_are_left_out(path):
    body = path.read_bytes()
    body = gzip.decompress(body) if path.suffix == ".gz" else body
    document = orjson.loads(body)

    translation = translate_zipkin(body)

    timed = [s for s in document if "timestamp" in s]
    assert len(spans_of(ExportTraceServiceRequest.FromString(translation.body))) == len(timed)
    assert translation.rejected == len(document) - len(timed)
