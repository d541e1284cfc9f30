"""OTLP/HTTP over a real loopback server: what is answered, and what is refused before it costs anything."""

import gzip
import json
import socket
import threading
import zlib
from http.client import HTTPConnection

import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from collector.receive.answers import Form, MalformedBody, Rejected, StoreUnavailable, UnderPressure
from collector.receive.asgi import content_length
from collector.receive.limits import Limits
from tests.receive.loopback import (
    HOST,
    JSON,
    PATH,
    PROTOBUF,
    Answer,
    FakePipeline,
    Served,
    chunked,
    head,
    read_until_closed,
    serve_http,
    wait_until_closed,
)

SOME_REJECTED = Rejected(2, "2 spans rejected: span_id is all zero", (("span_id", 2),))


@pytest.fixture
def served():
    with serve_http(FakePipeline()) as served:
        yield served


def send_for_ever(connection: socket.socket, data: bytes) -> None:
    while True:
        connection.sendall(data)


def status_of(answer: Answer) -> Status:
    return Status.FromString(answer.content)


def test_protobuf_is_answered_with_an_empty_protobuf(served: Served):
    answer = served.post(b"\x0a\x00")

    assert (answer.status, answer.content) == (200, b"")
    assert answer.headers["content-type"] == "application/x-protobuf"
    assert served.pipeline.bodies == [(b"\x0a\x00", Form.OTLP_PROTOBUF)]


def test_json_is_answered_with_an_empty_object(served: Served):
    answer = served.post(b"{}", {"content-type": "application/json; charset=utf-8"})

    assert (answer.status, answer.content) == (200, b"{}")
    assert answer.headers["content-type"] == "application/json"
    assert served.pipeline.bodies == [(b"{}", Form.OTLP_JSON)]


def test_rejected_spans_are_named_in_the_partial_success_of_protobuf():
    with serve_http(FakePipeline(rejected=SOME_REJECTED)) as served:
        answer = served.post(b"\x0a\x00")

    partial = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert answer.status == 200
    assert (partial.rejected_spans, partial.error_message) == (2, SOME_REJECTED.message)


def test_rejected_spans_are_named_in_the_partial_success_of_json():
    with serve_http(FakePipeline(rejected=SOME_REJECTED)) as served:
        answer = served.post(b"{}", JSON)

    assert json.loads(answer.content) == {
        "partialSuccess": {"rejectedSpans": "2", "errorMessage": SOME_REJECTED.message}
    }


@pytest.mark.parametrize("headers", [PROTOBUF, JSON])
def test_half_a_surrogate_in_a_message_does_not_spoil_the_answer(headers: dict[str, str]):
    """As of a span whose name is `"\\ud800"` in JSON."""
    with serve_http(FakePipeline(rejected=Rejected(1, "span rejected (\ud800)", (("name", 1),)))) as served:
        answer = served.post(b"x", headers)

    assert answer.status == 200
    assert b"span rejected (?)" in answer.content


@pytest.mark.parametrize("length", ["9" * 5_000, "²", "-1", "1.5", ""])
def test_a_length_that_is_no_number_of_bytes_counts_for_none(length: str):
    assert content_length({"headers": [(b"content-length", length.encode("latin-1"))]}) is None


def test_the_answer_comes_after_the_commit():
    pipeline = FakePipeline(hold=True)
    with serve_http(pipeline) as served:
        connection = HTTPConnection(HOST, served.port, timeout=60)
        connection.request("POST", PATH, b"x", PROTOBUF)
        pipeline.wait_for_waiting(1)
        connection.sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            connection.sock.recv(1)
        connection.sock.settimeout(60)

        pipeline.release()

        assert connection.getresponse().status == 200
        connection.close()


def test_a_thousand_requests_wait_for_one_commit_without_holding_their_bodies():
    pipeline = FakePipeline(hold=True)
    with serve_http(pipeline) as served:
        connections = [served.connect() for _ in range(1_000)]
        for connection in connections:
            connection.sendall(head("content-type: application/x-protobuf", "content-length: 100") + bytes(100))
        pipeline.wait_for_waiting(1_000)
        held_while_waiting = served.inflight.used

        pipeline.release()
        answers = [connection.recv(64) for connection in connections]

        for connection in connections:
            connection.close()
    assert held_while_waiting == 0
    assert all(answer.startswith(b"HTTP/1.1 200") for answer in answers)


def test_a_request_without_spans_needs_no_commit():
    pipeline = FakePipeline(spans=0, hold=True)
    with serve_http(pipeline) as served:
        answer = served.post(b"")

    assert answer.status == 200
    assert pipeline.waiting == []


def test_a_malformed_protobuf_body_is_answered_with_a_status():
    with serve_http(FakePipeline(fail_prepare=MalformedBody("body ends at byte 7"))) as served:
        answer = served.post(b"\xff")

    assert answer.status == 400
    assert answer.headers["content-type"] == "application/x-protobuf"
    assert (status_of(answer).code, status_of(answer).message) == (3, "body ends at byte 7")


def test_a_malformed_json_body_is_answered_with_a_status_in_json():
    with serve_http(FakePipeline(fail_prepare=MalformedBody("unexpected character at line 1"))) as served:
        answer = served.post(b"{", JSON)

    assert answer.status == 400
    assert json.loads(answer.content) == {"code": 3, "message": "unexpected character at line 1"}


@pytest.mark.parametrize(
    "content_type", ["", "text/plain", "application/x-www-form-urlencoded", "application/x-protobufs"]
)
def test_another_content_type_is_refused(served: Served, content_type: str):
    answer = served.post(b"x", {"content-type": content_type})

    assert answer.status == 415
    assert repr(content_type) in json.loads(answer.content)["message"]
    assert served.pipeline.bodies == []


def test_another_content_encoding_is_refused(served: Served):
    answer = served.post(b"x", PROTOBUF | {"content-encoding": "br"})

    assert answer.status == 415
    assert "'br'" in status_of(answer).message
    assert answer.headers["accept-encoding"] == "gzip, deflate, zstd, identity"


def test_another_path_is_not_found(served: Served):
    answer = served.post(b"x", path="/v1/metrics")

    assert answer.status == 404
    assert "POST /v1/traces" in json.loads(answer.content)["message"]


@pytest.mark.parametrize("method", ["GET", "PUT", "OPTIONS"])
def test_another_method_is_not_allowed(served: Served, method: str):
    answer = served.request(method, None, {})

    assert answer.status == 405
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize(("encoding", "deflate"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_a_compressed_body_is_inflated(served: Served, encoding: str, deflate):
    body = b"span " * 100_000

    answer = served.post(deflate(body), PROTOBUF | {"content-encoding": encoding})

    assert answer.status == 200
    assert served.pipeline.bodies == [(body, Form.OTLP_PROTOBUF)]
    assert served.count("cpdd_receiver_bytes_total", receiver="otlp_http") == len(body)


def test_a_truncated_gzip_body_is_refused(served: Served):
    answer = served.post(gzip.compress(b"span " * 100)[:-9], PROTOBUF | {"content-encoding": "gzip"})

    assert answer.status == 400
    assert "gzip" in status_of(answer).message
    assert "ends in the middle" in status_of(answer).message


def test_a_body_over_the_limit_is_refused_by_its_announced_length():
    with serve_http(FakePipeline(), Limits(max_body_bytes=1_000)) as served:
        answer = served.post(bytes(1_001))
        at_the_limit = served.post(bytes(1_000))

    assert answer.status == 413
    assert "1000 bytes" in status_of(answer).message
    assert at_the_limit.status == 200


def test_a_chunked_body_over_the_limit_is_refused_where_it_passes_it():
    with serve_http(FakePipeline(), Limits(max_body_bytes=1_000)) as served:
        connection = served.connect()
        connection.sendall(head("content-type: application/x-protobuf", "transfer-encoding: chunked"))
        connection.sendall(b"3e9\r\n" + bytes(1_001))

        answer = connection.recv(1 << 16)

        connection.close()
    assert answer.startswith(b"HTTP/1.1 413")
    assert served.inflight.used == 0


def test_a_chunked_body_within_the_limit_is_taken(served: Served):
    connection = served.connect()
    connection.sendall(
        head("content-type: application/x-protobuf", "transfer-encoding: chunked", "connection: close")
        + chunked(b"abc", b"defg")
    )

    answer = read_until_closed(connection)

    assert answer.startswith(b"HTTP/1.1 200")
    assert served.pipeline.bodies == [(b"abcdefg", Form.OTLP_PROTOBUF)]


def test_a_bomb_is_refused_after_decompression():
    bomb = gzip.compress(bytes(1 << 20))
    with serve_http(FakePipeline(), Limits(max_body_bytes=100_000)) as served:
        answer = served.post(bomb, PROTOBUF | {"content-encoding": "gzip"})

    assert len(bomb) < 100_000
    assert answer.status == 413
    assert served.pipeline.bodies == []
    assert served.inflight.used == 0


def test_a_refused_body_is_read_away_so_that_the_connection_goes_on():
    with serve_http(FakePipeline(), Limits(max_body_bytes=1_000)) as served:
        connection = HTTPConnection(HOST, served.port, timeout=60)
        connection.request("POST", PATH, bytes(5_000_000), PROTOBUF)
        first = connection.getresponse()
        first.read()
        connection.request("POST", PATH, b"x", PROTOBUF)
        second = connection.getresponse()
        connection.close()

    assert (first.status, second.status) == (413, 200)


def test_a_refused_body_that_never_ends_is_cut_off():
    with serve_http(FakePipeline(), Limits(max_body_bytes=1_000, read_timeout_s=0.2)) as served:
        connection = served.connect()
        connection.sendall(head("content-type: application/x-protobuf", "content-length: 1000000000"))

        answer = read_until_closed(connection)

    assert answer.startswith(b"HTTP/1.1 413")


def test_bytes_in_flight_are_bounded_over_all_requests():
    limits = Limits(max_body_bytes=1_000, max_inflight_bytes=1_500)
    with serve_http(FakePipeline(), limits) as served:
        first = served.connect()
        first.sendall(head("content-type: application/x-protobuf", "content-length: 1000") + bytes(900))
        served.inflight.wait_for(900)

        refused = served.post(bytes(700))
        small = served.post(bytes(500))
        first.sendall(bytes(100))
        finished = first.recv(1 << 16)

        first.close()
    assert refused.status == 429
    assert refused.headers["retry-after"] == "1"
    assert "900 bytes" in status_of(refused).message
    assert small.status == 200
    assert finished.startswith(b"HTTP/1.1 200")
    assert served.inflight.used == 0


def test_pressure_in_the_store_is_told_with_the_time_to_wait():
    with serve_http(FakePipeline(fail_commit=UnderPressure("the commit queue is full", retry_after_s=3))) as served:
        answer = served.post(b"x")

    retry = RetryInfo()
    assert status_of(answer).details[0].Unpack(retry)
    assert answer.status == 429
    assert answer.headers["retry-after"] == "3"
    assert retry.retry_delay.seconds == 3


def test_a_commit_that_fails_asks_the_sender_to_come_again():
    with serve_http(FakePipeline(hold=True)) as served:
        connection = HTTPConnection(HOST, served.port, timeout=60)
        connection.request("POST", PATH, b"x", PROTOBUF)
        served.pipeline.wait_for_waiting(1)
        served.pipeline.waiting.pop().set_exception(StoreUnavailable("no space left on device"))
        answer = connection.getresponse()
        message = Status.FromString(answer.read()).message
        connection.close()

    assert answer.status == 503
    assert answer.headers["retry-after"] == "5"
    assert "no space left on device" in message


def test_a_fault_of_ours_is_answered_with_500_and_named_without_its_details(caplog: pytest.LogCaptureFixture):
    with serve_http(FakePipeline(fail_prepare=ZeroDivisionError("secret"))) as served:
        answer = served.post(b"x")

    assert answer.status == 500
    assert "ZeroDivisionError" in status_of(answer).message
    assert "secret" not in status_of(answer).message
    assert "secret" in caplog.text


def test_a_body_that_trickles_in_is_refused():
    with serve_http(FakePipeline(), Limits(read_timeout_s=0.2)) as served:
        connection = served.connect()
        connection.sendall(head("content-type: application/x-protobuf", "content-length: 100") + bytes(99))

        answer = read_until_closed(connection)

    assert answer.startswith(b"HTTP/1.1 408")
    assert served.inflight.used == 0


def test_a_head_that_trickles_in_loses_its_connection():
    with serve_http(FakePipeline(), Limits(read_timeout_s=0.2)) as served:
        connection = served.connect()
        connection.sendall(b"POST /v1/traces HTTP/1.1\r\nhost: te")

        assert read_until_closed(connection) == b""


def test_a_connection_that_says_nothing_is_closed():
    with serve_http(FakePipeline(), Limits(read_timeout_s=0.2)) as served:
        connection = served.connect()

        assert read_until_closed(connection) == b""


@pytest.mark.parametrize("endless", [b"x-many: header\r\n", b"x-long: " + b"a" * 1_000, b"a" * 1_000 + b"\r\nb"])
def test_headers_without_end_are_refused(served: Served, endless: bytes):
    connection = served.connect()
    connection.sendall(b"POST /v1/traces HTTP/1.1\r\nhost: test\r\n")

    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        send_for_ever(connection, endless)

    connection.close()
    assert served.post(b"x").status == 200


def test_a_head_over_the_limit_is_refused_in_words():
    with serve_http(FakePipeline(), Limits(max_head_bytes=200)) as served:
        connection = served.connect()
        connection.sendall(b"POST /v1/traces HTTP/1.1\r\nx-long: " + b"a" * 300)

        assert read_until_closed(connection).startswith(b"HTTP/1.1 431 Request Header Fields Too Large")


def test_a_sender_that_goes_away_in_the_middle_is_counted_and_forgotten():
    with serve_http(FakePipeline()) as served:
        connection = served.connect()
        connection.sendall(head("content-type: application/x-protobuf", "content-length: 100") + bytes(50))
        served.inflight.wait_for(50)

        connection.close()
        served.inflight.wait_for(0)

    assert served.count("cpdd_receiver_requests_total", receiver="otlp_http", answer="disconnected") == 1
    assert served.pipeline.bodies == []


def test_a_connection_serves_many_requests(served: Served):
    connection = HTTPConnection(HOST, served.port, timeout=60)

    for number in range(20):
        connection.request("POST", PATH, b"x" * number, PROTOBUF)
        assert connection.getresponse().read() == b""

    connection.close()
    assert [len(body) for body, _ in served.pipeline.bodies] == list(range(20))


def test_requests_sent_without_waiting_for_answers_are_all_answered(served: Served):
    connection = served.connect()
    one = head("content-type: application/x-protobuf", "content-length: 3") + b"abc"
    last = head("content-type: application/x-protobuf", "content-length: 3", "connection: close") + b"xyz"

    connection.sendall(one * 5 + last)

    assert read_until_closed(connection).count(b"HTTP/1.1 200") == 6


def test_a_client_that_offers_http2_is_served_over_http1(served: Served):
    upgrade = ("connection: Upgrade, HTTP2-Settings", "upgrade: h2c", "http2-settings: AAMAAABkAAQAAP__")
    connection = served.connect()
    answers = []
    for _ in range(2):
        connection.sendall(head("content-type: application/x-protobuf", "content-length: 3", *upgrade) + b"abc")
        answers.append(connection.recv(1 << 16))
    connection.sendall(head("content-type: application/x-protobuf", "content-length: 3") + b"abc")
    answers.append(connection.recv(1 << 16))

    connection.close()
    assert [answer[:12] for answer in answers] == [b"HTTP/1.1 200"] * 3


def test_a_client_that_asks_first_sends_no_body_in_vain():
    with serve_http(FakePipeline(), Limits(max_body_bytes=1_000)) as served:
        connection = served.connect()
        connection.sendall(head("content-type: application/x-protobuf", "content-length: 1001", "expect: 100-continue"))
        refused = connection.recv(1 << 16)
        connection.close()
        connection = served.connect()
        connection.sendall(head("content-type: application/x-protobuf", "content-length: 3", "expect: 100-continue"))
        invited = connection.recv(1 << 16)
        connection.sendall(b"abc")
        taken = connection.recv(1 << 16)
        connection.close()

    assert refused.startswith(b"HTTP/1.1 413")
    assert invited.startswith(b"HTTP/1.1 100")
    assert taken.startswith(b"HTTP/1.1 200")


def test_what_is_no_http_is_answered_and_closed(served: Served):
    connection = served.connect()
    connection.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200))

    assert read_until_closed(connection).startswith(b"HTTP/1.1 400")


def test_answers_and_spans_are_counted():
    with serve_http(FakePipeline(spans=7, rejected=SOME_REJECTED)) as served:
        served.post(b"x")
        served.post(b"x", {"content-type": "text/plain"})

        def count(name: str, **labels: str) -> float:
            return served.count(name, receiver="otlp_http", **labels)

        assert count("cpdd_receiver_accepted_spans_total") == 7
        assert count("cpdd_receiver_rejected_spans_total", reason="span_id") == 2
        assert count("cpdd_receiver_requests_total", answer="partial") == 1
        assert count("cpdd_receiver_requests_total", answer="content_type") == 1
        assert count("cpdd_receiver_requests_in_work") == 0
        assert count("cpdd_receiver_answer_seconds_count") == 2


def test_requests_in_work_are_finished_before_the_server_stops():
    pipeline = FakePipeline(hold=True)
    with serve_http(pipeline) as served:
        connection = served.connect()
        connection.sendall(head("content-type: application/x-protobuf", "content-length: 3") + b"abc")
        pipeline.wait_for_waiting(1)
        stopping = threading.Thread(target=served.stop)

        stopping.start()
        wait_until_closed(served.port)
        pipeline.release()
        stopping.join()

    assert read_until_closed(connection).startswith(b"HTTP/1.1 200")
