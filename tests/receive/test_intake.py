"""From bytes to what the store is given, and from what the store says to what senders are told."""

import json
from concurrent.futures import Future

import pytest

from collector.core.formats import Translation, translate_otlp_json
from collector.core.redaction import Redaction, parse_rules
from collector.receive.answers import (
    BatchTooLarge,
    Form,
    InternalFault,
    MalformedBody,
    Refusal,
    RefusedByStore,
    StoreBehind,
    StoreUnavailable,
    UnderPressure,
)
from collector.receive.intake import LARGE_TEXT_BYTES, MAX_CONTAINERS, Intake
from collector.receive.pipeline import Prepared
from collector.store import writer
from collector.store.native import EncodedBatch
from collector.warm import request

NOW_NS = 1_790_000_000 * 10**9
PREPARED = Prepared(EncodedBatch(1, b"", b"", b""), 1)


class FakeCommitter:
    """Gives out futures that the test resolves."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.stored: Future[None] = Future()

    def submit(self, batch: EncodedBatch) -> "Future[None]":
        if self.error:
            raise self.error
        return self.stored


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def intake(committer: FakeCommitter | None = None, **options: object) -> Intake:
    committer = committer or FakeCommitter()
    return Intake(committer.submit, 1 << 30, now_ns=lambda: NOW_NS, **options)


def test_otlp_becomes_blocks_for_the_store():
    prepared = intake().prepare(request(), Form.OTLP_PROTOBUF)

    assert prepared.encoded is not None
    assert (prepared.spans, prepared.encoded.rows, prepared.rejected.spans) == (4, 4, 0)


def test_nothing_is_prepared_of_a_request_without_spans():
    assert intake().prepare(b"", Form.OTLP_PROTOBUF) == Prepared(None, 0)


def test_rejections_of_every_step_are_counted_by_step_and_the_first_are_told():
    span = {"traceId": "1" * 32, "spanId": "2" * 16, "name": "pay", "startTimeUnixNano": str(NOW_NS)}
    spans = [span | {"spanId": "x"}] * 4 + [span | {"startTimeUnixNano": "5"}] * 3 + [span]
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).encode()

    prepared = intake().prepare(body, Form.OTLP_JSON)

    message = prepared.rejected.message.splitlines()
    assert prepared.spans == 1
    assert prepared.rejected.spans == 7
    assert prepared.rejected.reasons == (("format", 4), ("time", 3))
    assert message[0] == "7 of 8 spans rejected"
    assert message[-1] == "and 2 more"
    assert sum(line.startswith("span rejected") for line in message) == 5


def test_zipkin_becomes_spans():
    body = json.dumps([{"traceId": "a" * 16, "id": "b" * 16, "name": "get", "timestamp": NOW_NS // 1000}]).encode()

    assert intake().prepare(body, Form.ZIPKIN_JSON).spans == 1


@pytest.mark.parametrize("form", [Form.OTLP_JSON, Form.ZIPKIN_JSON])
def test_what_is_not_to_be_stored_is_in_no_block_whatever_the_form(form: Form):
    span = {"traceId": "1" * 32, "name": "pay"}
    attribute = {"key": "card.number", "value": {"stringValue": "4111-1111"}}
    otlp = span | {"spanId": "2" * 16, "startTimeUnixNano": str(NOW_NS), "attributes": [attribute]}
    zipkin = span | {"id": "2" * 16, "timestamp": NOW_NS // 1000, "tags": {"card.number": "4111-1111"}}
    body = {Form.OTLP_JSON: {"resourceSpans": [{"scopeSpans": [{"spans": [otlp]}]}]}, Form.ZIPKIN_JSON: [zipkin]}[form]
    redaction = Redaction(parse_rules("mask card.*"), b"secret")

    prepared = intake(redact=redaction.apply).prepare(json.dumps(body).encode(), form)

    assert prepared.encoded is not None
    assert b"card.number" in prepared.encoded.spans
    assert b"4111" not in prepared.encoded.spans + prepared.encoded.arrivals


@pytest.mark.parametrize(
    ("body", "form"), [(b"\x0a\x05", Form.OTLP_PROTOBUF), (b"{", Form.OTLP_JSON), (b"[", Form.ZIPKIN_JSON)]
)
def test_a_body_that_cannot_be_read_is_refused(body: bytes, form: Form):
    with pytest.raises(MalformedBody):
        intake().prepare(body, form)


def test_spans_that_would_be_far_larger_in_the_store_are_refused():
    small = Intake(FakeCommitter().submit, max_block_bytes=100, now_ns=lambda: NOW_NS)

    with pytest.raises(BatchTooLarge, match="4 spans"):
        small.prepare(request(), Form.OTLP_PROTOBUF)


def test_json_of_very_many_values_is_refused_before_it_is_parsed():
    with pytest.raises(BatchTooLarge, match=str(MAX_CONTAINERS + 1)):
        intake().prepare(b"[" * (MAX_CONTAINERS + 1), Form.OTLP_JSON)


def test_one_large_json_body_is_read_at_a_time_and_others_come_again():
    large = b'{"resourceSpans":[],"more":"' + b" " * LARGE_TEXT_BYTES + b'"}'
    while_reading: list[Refusal] = []

    def read_and_receive_another(body: bytes) -> Translation:
        with pytest.raises(UnderPressure, match="another JSON body") as refusal:
            receiving.prepare(large, Form.OTLP_JSON)
        while_reading.append(refusal.value)
        return Translation(b"", 0, ())

    receiving = intake(translators={Form.OTLP_JSON: translate_otlp_json, Form.ZIPKIN_JSON: read_and_receive_another})
    receiving.prepare(large, Form.ZIPKIN_JSON)
    after = receiving.prepare(large, Form.OTLP_JSON)

    assert [refusal.retry_after_s for refusal in while_reading] == [5]
    assert after.spans == 0


@pytest.mark.parametrize(
    ("said", "told", "retry_after_s"),
    [
        (writer.Overloaded(300, 200, 2.2), StoreBehind, 3),
        (writer.CommitterClosed(), StoreUnavailable, 5),
        (writer.StoreUnavailable("no space left", 7.0), StoreUnavailable, 7),
        (writer.BatchRefused(3, "code 26"), RefusedByStore, None),
        (ZeroDivisionError("secret"), InternalFault, None),
    ],
)
def test_what_the_store_says_reaches_the_sender(said: Exception, told: type[Refusal], retry_after_s: int | None):
    committer = FakeCommitter()
    answered = intake(committer).commit(PREPARED)

    committer.stored.set_exception(said)

    refusal = answered.exception(timeout=0)
    assert type(refusal) is told
    assert refusal.retry_after_s == retry_after_s
    assert "secret" not in str(refusal)


def test_a_store_that_takes_nothing_more_is_told_at_once():
    with pytest.raises(UnderPressure, match="300 bytes wait to be stored"):
        intake(FakeCommitter(writer.Overloaded(300, 200, 2.2))).commit(PREPARED)


def test_a_sender_that_leaves_calls_nothing_back():
    committer = FakeCommitter()
    answered = intake(committer).commit(PREPARED)

    is_cancelled = answered.cancel()
    committer.stored.set_result(None)

    assert not is_cancelled
    assert answered.result(timeout=0) is None


def test_a_failing_store_is_remembered_until_a_commit_succeeds():
    clock, committer = Clock(), FakeCommitter()
    receiving = intake(committer, clock=clock)
    answers = [receiving.commit(PREPARED)]
    committer.stored.set_exception(writer.StoreUnavailable("no space left"))
    clock.now_s = 140.0
    committer.stored = Future()
    answers.append(receiving.commit(PREPARED))
    committer.stored.set_exception(writer.StoreUnavailable("still no space"))
    failing_since_s, problem = receiving.failing_since_s, receiving.store_problem

    committer.stored = Future()
    answers.append(receiving.commit(PREPARED))
    committer.stored.set_result(None)

    assert (failing_since_s, problem) == (100.0, "still no space")
    assert (receiving.failing_since_s, receiving.store_problem) == (None, "")
    assert receiving.newest_stored_unix_nano == NOW_NS


def test_a_request_that_the_store_can_never_take_says_nothing_of_the_store():
    committer = FakeCommitter()
    receiving = intake(committer)
    receiving.commit(PREPARED)

    committer.stored.set_exception(writer.BatchRefused(1, "code 26"))

    assert receiving.failing_since_s is None


def test_the_time_of_a_commit_is_told():
    clock, committer = Clock(), FakeCommitter()
    told: list[float] = []
    receiving = intake(committer, clock=clock, committed=told.append)
    receiving.commit(PREPARED)

    clock.now_s += 0.25
    committer.stored.set_result(None)

    assert told == [0.25]


# Together


def test_requests_prepared_together_are_one_batch_and_keep_their_counts():
    bodies = [request(), b"", request()]

    prepared = intake().prepare_together(bodies)

    assert prepared is not None
    assert [one.spans for one in prepared] == [4, 0, 4]
    assert {id(one.encoded) for one in prepared} == {id(prepared[0].encoded)}
    assert prepared[0].encoded is not None
    assert prepared[0].encoded.rows == 8


def test_a_body_that_ends_too_early_takes_nothing_from_the_next():
    whole = request()
    cut = whole[: len(whole) // 2]

    assert intake().prepare_together([cut, whole]) is None


def test_what_would_be_rejected_is_prepared_alone():
    late = Intake(FakeCommitter().submit, 1 << 30, now_ns=lambda: 0)

    assert late.prepare_together([request(), request()]) is None
    assert late.prepare(request(), Form.OTLP_PROTOBUF).rejected.spans == 4
