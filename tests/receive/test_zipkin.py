"""Zipkin's address over a real loopback server."""

import pytest

from collector.receive.answers import Form, MalformedBody, Rejected, UnderPressure
from collector.receive.zipkin import ZipkinDialect
from tests.receive.loopback import JSON, PROTOBUF, FakePipeline, Served, serve_http

ZIPKIN_PATH = "/api/v2/spans"
ONE_REJECTED = Rejected(1, '1 span rejected: id is all zero at [3] ("charge card")', (("span_id", 1),))


@pytest.fixture
def served():
    with serve_http(FakePipeline(), dialect=ZipkinDialect()) as served:
        yield served


def test_spans_are_accepted_after_their_commit(served: Served):
    answer = served.post(b"[]", JSON, ZIPKIN_PATH)

    assert (answer.status, answer.content) == (202, b"")
    assert served.pipeline.bodies == [(b"[]", Form.ZIPKIN_JSON)]


def test_spans_that_were_left_out_are_named_in_the_answer():
    with serve_http(FakePipeline(spans=2, rejected=ONE_REJECTED), dialect=ZipkinDialect()) as served:
        answer = served.post(b"[]", JSON, ZIPKIN_PATH)

    assert answer.status == 202
    assert answer.content.decode() == ONE_REJECTED.message + "\n"


def test_a_request_of_which_no_span_can_be_taken_is_refused_with_the_place():
    with serve_http(FakePipeline(spans=0, rejected=ONE_REJECTED), dialect=ZipkinDialect()) as served:
        answer = served.post(b"[]", JSON, ZIPKIN_PATH)

    assert answer.status == 400
    assert "at [3]" in answer.content.decode()


def test_a_malformed_body_is_refused_in_words():
    with serve_http(FakePipeline(fail_prepare=MalformedBody("no JSON at line 1")), dialect=ZipkinDialect()) as served:
        answer = served.post(b"[", JSON, ZIPKIN_PATH)

    assert (answer.status, answer.content) == (400, b"no JSON at line 1\n")
    assert answer.headers["content-type"].startswith("text/plain")


def test_pressure_is_told_with_the_time_to_wait():
    with serve_http(FakePipeline(fail_commit=UnderPressure("full")), dialect=ZipkinDialect()) as served:
        answer = served.post(b"[]", JSON, ZIPKIN_PATH)

    assert (answer.status, answer.headers["retry-after"]) == (429, "1")


def test_zipkin_in_protobuf_is_refused(served: Served):
    assert served.post(b"", PROTOBUF, ZIPKIN_PATH).status == 415


def test_otlp_is_not_at_zipkins_address(served: Served):
    answer = served.post(b"{}", JSON, "/v1/traces")

    assert answer.status == 404
    assert "POST /api/v2/spans" in answer.content.decode()
