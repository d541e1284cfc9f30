"""OTLP/gRPC over a real loopback server."""

import threading
from collections.abc import Iterator

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from collector.listen import Endpoint, PortUnavailable
from collector.metrics import Metrics
from collector.receive.answers import Form, MalformedBody, Rejected, StoreUnavailable, UnderPressure
from collector.receive.grpc import GrpcReceiver, Readers
from collector.receive.limits import InflightBytes, Limits
from tests.receive.loopback import EXPORT, HOST, WAIT_S, FakePipeline, ServedGrpc, serve_grpc

SOME_REJECTED = Rejected(2, "2 spans rejected: span_id is all zero", (("span_id", 2),))


@pytest.fixture
def served():
    with serve_grpc(FakePipeline()) as served:
        yield served


def refused(served: ServedGrpc, body: bytes = b"x", **options: grpc.Compression) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as caught:
        served.export(body, **options)
    return caught.value


def details_of(error: grpc.RpcError) -> Status:
    return Status.FromString(dict(error.trailing_metadata())["grpc-status-details-bin"])


@pytest.mark.parametrize(
    "compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip, grpc.Compression.Deflate]
)
def test_a_request_reaches_the_pipeline_as_it_was_sent(served: ServedGrpc, compression: grpc.Compression):
    answer = served.export(b"span " * 10_000, compression)

    assert answer == b""
    assert served.pipeline.bodies == [(b"span " * 10_000, Form.OTLP_PROTOBUF)]


def test_an_empty_request_is_taken():
    with serve_grpc(FakePipeline(spans=0)) as served:
        assert served.export(b"") == b""


def test_rejected_spans_are_named_in_the_partial_success():
    with serve_grpc(FakePipeline(rejected=SOME_REJECTED)) as served:
        answer = served.export(b"x")

    partial = ExportTraceServiceResponse.FromString(answer).partial_success
    assert (partial.rejected_spans, partial.error_message) == (2, SOME_REJECTED.message)


def test_a_malformed_request_is_an_invalid_argument():
    with serve_grpc(FakePipeline(fail_prepare=MalformedBody("body ends at byte 7"))) as served:
        error = refused(served)

    assert (error.code(), error.details()) == (grpc.StatusCode.INVALID_ARGUMENT, "body ends at byte 7")
    assert list(details_of(error).details) == []


def test_pressure_is_told_with_the_time_to_wait():
    with serve_grpc(FakePipeline(fail_commit=UnderPressure("the commit queue is full", retry_after_s=3))) as served:
        error = refused(served)

    retry = RetryInfo()
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert details_of(error).details[0].Unpack(retry)
    assert retry.retry_delay.seconds == 3


def test_a_commit_that_fails_asks_the_sender_to_come_again():
    with serve_grpc(FakePipeline(fail_commit=StoreUnavailable("no space left on device"))) as served:
        error = refused(served)

    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert "no space left on device" in error.details()
    assert len(details_of(error).details) == 1


def test_a_fault_of_ours_is_internal(caplog: pytest.LogCaptureFixture):
    with serve_grpc(FakePipeline(fail_prepare=ZeroDivisionError("secret"))) as served:
        error = refused(served)

    assert error.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in error.details()
    assert "secret" in caplog.text


def test_a_message_over_the_limit_is_refused():
    with serve_grpc(FakePipeline(), Limits(max_body_bytes=1_000)) as served:
        error = refused(served, bytes(1_001))
        at_the_limit = served.export(bytes(1_000))

    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert at_the_limit == b""


def test_a_bomb_is_refused_after_decompression():
    with serve_grpc(FakePipeline(), Limits(max_body_bytes=100_000)) as served:
        error = refused(served, bytes(1 << 20), compression=grpc.Compression.Gzip)

    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert served.pipeline.bodies == []


def test_a_call_without_a_message_is_refused(served: ServedGrpc):
    with served.channel() as channel, pytest.raises(grpc.RpcError) as caught:
        channel.stream_unary(EXPORT)(iter(()), timeout=WAIT_S)

    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert served.pipeline.bodies == []


def test_bytes_in_flight_are_bounded():
    with serve_grpc(FakePipeline(), Limits(max_body_bytes=1_000, max_inflight_bytes=500)) as served:
        error = refused(served, bytes(501))

    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert served.inflight.used == 0


def test_more_calls_than_threads_wait_and_are_answered():
    pipeline = FakePipeline(hold=True)
    with serve_grpc(pipeline, Limits(grpc_threads=4)) as served, served.channel() as channel:
        calls = [channel.unary_unary(EXPORT).future(b"x", timeout=WAIT_S) for _ in range(20)]
        pipeline.wait_for_waiting(4)

        pipeline.release()

        assert [call.result() for call in calls] == [b""] * 20


def test_an_unknown_method_is_unimplemented(served: ServedGrpc):
    with served.channel() as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/opentelemetry.proto.collector.logs.v1.LogsService/Export")(b"", timeout=WAIT_S)

    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Call:
    """Stands for a ServicerContext that is waited on."""

    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


def test_a_message_that_does_not_arrive_in_time_is_given_up():
    clock, slow, finished = Clock(), Call(), Call()
    readers = Readers(timeout_s=30, clock=clock)
    with readers.watch(finished):
        pass
    with readers.watch(slow):
        clock.now_s = 30
        readers.cancel_overdue()
        in_time = slow.cancelled

        clock.now_s = 31
        readers.cancel_overdue()

    assert (in_time, slow.cancelled, finished.cancelled) == (False, True, False)


def test_a_sender_that_sends_no_message_loses_its_call_and_frees_its_thread():
    finish = threading.Event()

    def nothing() -> Iterator[bytes]:
        finish.wait(WAIT_S)
        yield from ()

    with serve_grpc(FakePipeline(), Limits(read_timeout_s=0, grpc_threads=1)) as served, served.channel() as channel:
        slow = channel.stream_unary(EXPORT).future(nothing(), timeout=WAIT_S)
        code = slow.code()
        finish.set()
        answer = served.export(b"x")

    assert code is grpc.StatusCode.CANCELLED
    assert answer == b""
    assert served.count("cpdd_receiver_requests_total", receiver="otlp_grpc", answer="disconnected") == 1


def test_calls_in_work_are_finished_before_the_server_stops():
    pipeline = FakePipeline(hold=True)
    with serve_grpc(pipeline) as served, served.channel() as channel:
        call = channel.unary_unary(EXPORT).future(b"x", timeout=WAIT_S)
        pipeline.wait_for_waiting(1)
        stopping = threading.Thread(target=served.receiver.stop, args=(WAIT_S,))

        stopping.start()
        pipeline.release()
        stopping.join()

        assert call.result() == b""


def test_spans_and_answers_are_counted():
    with serve_grpc(FakePipeline(spans=7)) as served:
        served.export(b"xyz")

        assert served.count("cpdd_receiver_accepted_spans_total", receiver="otlp_grpc") == 7
        assert served.count("cpdd_receiver_bytes_total", receiver="otlp_grpc") == 3
        assert served.count("cpdd_receiver_requests_total", receiver="otlp_grpc", answer="ok") == 1


def test_a_port_that_is_taken_is_named_with_its_flag(served: ServedGrpc):
    endpoint = Endpoint("otlp_grpc", "OTLP/gRPC", scheme="")

    with pytest.raises(PortUnavailable, match=rf"{HOST}:{served.port} for OTLP/gRPC(.|\n)*--otlp-grpc-port"):
        GrpcReceiver(endpoint, HOST, served.port, Limits(), InflightBytes(1), Metrics("").receiver("otlp_grpc"))
