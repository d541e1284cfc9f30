"""What must not be stored is gone from the bytes, and nothing else is; the protobuf runtime is the judge."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from collector.core.redaction import MASK, Redaction, Rule, UnreadableForRedaction, parse_rules
from cpdd.settings import SettingsError

RULES = parse_rules("drop secret, hash user.*, mask sql")
REDACTION = Redaction(RULES, b"key")

values = st.one_of(
    st.builds(AnyValue, string_value=st.text(max_size=6)),
    st.builds(AnyValue, int_value=st.integers(-5, 2**40)),
    st.builds(AnyValue, bool_value=st.booleans()),
    st.just(AnyValue()),
)
attributes = st.lists(
    st.builds(KeyValue, key=st.sampled_from(["secret", "secrets", "user.id", "user", "sql", "a", ""]), value=values),
    max_size=4,
)


@st.composite
def requests(draw: st.DrawFn) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    for _ in range(draw(st.integers(0, 2))):
        resource_spans = request.resource_spans.add()
        resource_spans.resource.attributes.extend(draw(attributes))
        scope_spans = resource_spans.scope_spans.add()
        scope_spans.scope.attributes.extend(draw(attributes))
        for _ in range(draw(st.integers(0, 2))):
            span = scope_spans.spans.add(name=draw(st.sampled_from(["secret", "GET"])), start_time_unix_nano=7)
            span.attributes.extend(draw(attributes))
            span.events.add(name="sql").attributes.extend(draw(attributes))
            span.links.add(span_id=b"12345678").attributes.extend(draw(attributes))
    return request


def redacted_slowly(request: ExportTraceServiceRequest) -> ExportTraceServiceRequest:
    """The same by the protobuf runtime, list by list."""
    for resource_spans in request.resource_spans:
        lists = [resource_spans.resource.attributes]
        for scope_spans in resource_spans.scope_spans:
            lists.append(scope_spans.scope.attributes)
            for span in scope_spans.spans:
                lists += [span.attributes, *(one.attributes for one in (*span.events, *span.links))]
        for attributes in lists:
            kept = [one for one in attributes if one.key != "secret"]
            for one in kept:
                if one.key == "sql":
                    one.value.CopyFrom(AnyValue(string_value=MASK.decode()))
                elif one.key.startswith("user."):
                    hashed = REDACTION._hash(one.value.SerializeToString(deterministic=True)).decode()
                    one.value.CopyFrom(AnyValue(string_value=hashed))
            copies = [KeyValue.FromString(one.SerializeToString()) for one in kept]
            del attributes[:]
            attributes.extend(copies)
    return request


@settings(max_examples=60)
@given(requests())
def test_the_rules_change_what_they_name_and_nothing_else(request_: ExportTraceServiceRequest) -> None:
    body = request_.SerializeToString()

    after = ExportTraceServiceRequest.FromString(REDACTION.apply(body))

    assert after == redacted_slowly(ExportTraceServiceRequest.FromString(body))


def one_attribute(key: str, value: AnyValue) -> bytes:
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(name="GET")
    span.attributes.add(key=key, value=value)
    return request.SerializeToString()


def test_a_request_without_such_names_is_handed_on_as_it_is() -> None:
    body = one_attribute("http.route", AnyValue(string_value="/"))

    assert REDACTION.apply(body) is body


def test_a_hash_is_the_same_for_the_same_value_and_another_without_the_secret() -> None:
    body = one_attribute("user.id", AnyValue(string_value="ada"))

    assert REDACTION.apply(body) == REDACTION.apply(body)
    assert REDACTION.apply(body) != Redaction(RULES, b"other").apply(body)
    assert b"ada" not in REDACTION.apply(body)


def test_a_name_that_is_written_twice_or_in_a_long_form_is_found() -> None:
    twice = b"\x0a\x06secret\x0a\x01a\x12\x03\x0a\x01x"  # key secret, then key a
    long_form = b"\x8a\x00\x86\x00secret\x12\x03\x0a\x01x"  # tag and length in two bytes each

    for attribute in (twice, long_form):
        span = b"\x4a" + bytes([len(attribute)]) + attribute
        scope_spans = b"\x12" + bytes([len(span)]) + span
        resource_spans = b"\x12" + bytes([len(scope_spans)]) + scope_spans
        request = b"\x0a" + bytes([len(resource_spans)]) + resource_spans

        assert b"x" not in REDACTION.apply(request)


@settings(max_examples=80)
@given(st.data())
def test_bytes_that_were_damaged_are_redacted_or_refused(data: st.DataObject) -> None:
    body = bytearray(one_attribute("secret", AnyValue(string_value="hunter2")))
    body[data.draw(st.integers(0, len(body) - 20))] = data.draw(st.integers(0, 255))

    try:
        after = REDACTION.apply(bytes(body))
    except UnreadableForRedaction:
        return

    assert isinstance(after, bytes)


def test_a_message_that_is_cut_is_refused() -> None:
    body = one_attribute("secret", AnyValue(string_value="hunter2"))

    with pytest.raises(UnreadableForRedaction, match="malformed protobuf at byte"):
        REDACTION.apply(body[:-1])


def test_rules_are_read_in_order() -> None:
    assert parse_rules(" drop a.*,mask b ") == (Rule("drop", b"a.", True), Rule("mask", b"b"))
    assert parse_rules("") == ()


@pytest.mark.parametrize("text", ["remove a", "drop", "drop a b", "drop *", "mask a*b"])
def test_a_rule_that_cannot_be_read_is_told(text: str) -> None:
    with pytest.raises(SettingsError, match="hint: write for instance"):
        parse_rules(text)
