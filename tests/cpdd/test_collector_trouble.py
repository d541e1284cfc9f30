"""The collector stopped, silent, answering 503 or garbage: no request fails or waits, and what is lost is counted."""

import gc
import logging
import socket
import threading
import tracemalloc
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from cpdd import exporters
from cpdd.exporters import FastOTLPExporter, PromptBatchProcessor
from cpdd.losses import Losses, SpanCounts

REQUESTS, QUEUE = 1_000, 200

ANSWERS = {
    "503": b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",
    "503 for an hour": b"HTTP/1.1 503 Busy\r\nRetry-After: 3600\r\nContent-Length: 0\r\n\r\n",
    "400": b"HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n",
    "garbage": b"\x00\xff\xfe not HTTP at all \r\n\r\n",
    "hangs up": b"",
    "half an answer": b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhalf",
}


class Collector:
    """Takes connections; answers each with the same bytes once it is allowed to."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.may_answer = threading.Event()
        self.asked = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listening.getsockname()[1]}/v1/traces"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(60)
            try:
                connection.recv(1 << 16)
                self.asked.set()
                self.may_answer.wait(60)
                connection.sendall(self.answer)
            except OSError:
                return

    def stop(self) -> None:
        self.may_answer.set()
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(60)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small queue, and an end that does not wait."""
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", str(QUEUE))
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "50")
    monkeypatch.setattr(exporters, "EXIT_LIMIT_S", 0.05)


def serve_requests(endpoint: str, before_end: threading.Event | None = None) -> SpanCounts:
    """Answer a thousand requests, a span each; return what became of the spans."""
    processor = PromptBatchProcessor(FastOTLPExporter(endpoint, timeout=1))
    provider = TracerProvider(resource=Resource({}), shutdown_on_exit=False)
    provider.add_span_processor(processor)
    tracer = provider.get_tracer("x")
    for _ in range(REQUESTS):
        with tracer.start_as_current_span("GET"):
            pass
        assert len(processor._batch_processor._queue) <= QUEUE
    if before_end is not None:
        before_end.set()
    provider.shutdown()
    processor._batch_processor._worker_thread.join(60)
    return processor.losses.counts


@pytest.fixture
def silent() -> Iterator[Collector]:
    collector = Collector(b"")
    yield collector
    collector.stop()


def test_no_request_waits_for_a_collector_that_never_answers(hasty, silent):
    """It may answer when the requests are through, and they get through: so none of them waited."""
    counts = serve_requests(silent.address, before_end=silent.may_answer)

    assert silent.asked.is_set()
    assert counts.queue_full > 0
    assert (counts.sent, counts.lost) == (0, REQUESTS)


@pytest.mark.parametrize("answer", ANSWERS)
def test_whatever_a_collector_answers_costs_spans_and_each_is_counted(hasty, answer):
    collector = Collector(ANSWERS[answer])
    collector.may_answer.set()
    try:
        counts = serve_requests(collector.address)
    finally:
        collector.stop()

    assert (counts.sent, counts.lost) == (0, REQUESTS)


def test_a_collector_that_is_not_there_costs_spans_and_each_is_counted(hasty):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # and does not listen
        counts = serve_requests(f"http://127.0.0.1:{silent.getsockname()[1]}/v1/traces")

    assert (counts.sent, counts.lost) == (0, REQUESTS)


def test_a_collector_that_takes_them_gets_all_that_the_queue_held(hasty):
    collector = Collector(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    collector.may_answer.set()
    try:
        counts = serve_requests(collector.address)
    finally:
        collector.stop()

    assert counts.sent > 0
    assert counts.sent + counts.lost == REQUESTS


def test_losses_are_said_when_they_begin_and_when_they_end(caplog):
    losses = Losses()

    with caplog.at_level(logging.WARNING, "cpdd"):
        losses.count_sent(10)
        losses.count_lost(3, "not_taken")
        losses.count_lost(0, "at_exit")
        losses.count_lost(4, "queue_full")
        losses.count_sent(1)
        losses.count_sent(1)
        losses.count_lost(2, "at_exit")
        losses.count_sent(1)

    assert [record.getMessage() for record in caplog.records] == [
        "spans are lost: the collector cannot be reached, does not answer in time, or refuses them",
        "spans arrive again, 7 were lost",
        "spans are lost: the program ended before they could be sent",
        "spans arrive again, 2 were lost",
    ]
    assert losses.counts == SpanCounts(sent=13, queue_full=4, not_taken=3, at_exit=2)


def test_a_batch_that_is_too_large_is_sent_in_halves():
    sent: list[bytes] = []
    exporter = FastOTLPExporter("http://127.0.0.1:1/v1/traces", max_request_size=400)
    exporter._client.export = lambda body: sent.append(body) or Taken()
    provider = TracerProvider(resource=Resource({}), shutdown_on_exit=False)
    spans = [provider.get_tracer("x").start_span(f"GET {number}") for number in range(8)]

    exporter.export(spans)

    assert len(sent) > 1
    assert all(len(body) <= 400 for body in sent)
    assert sum(body.count(b"GET ") for body in sent) == 8


class Taken:
    success, error = True, None


def test_a_forked_worker_sends_its_own_spans_and_counts_from_nothing(run_program):
    collector = Collector(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    collector.may_answer.set()
    try:
        printed = run_program(
            "import os, cpdd\nfrom opentelemetry import trace\n"
            f"handle = cpdd.init(service='x', endpoint='{collector.address}', instrument=False)\n"
            "def serve():\n    trace.get_tracer('x').start_span('GET').end()\n    handle.force_flush()\n"
            "serve()\nserve()\npid = os.fork()\nserve()\n"
            "os.write(1, f'{handle.span_counts.sent} {handle.span_counts.lost}\\n'.encode())\n"  # at once, of either
            "os.waitpid(pid, 0) if pid else os._exit(0)"
        )
    finally:
        collector.stop()

    assert sorted(printed.splitlines()) == ["1 0", "3 0"]


def test_the_handle_tells_what_was_sent_and_what_was_lost(run_program):
    printed = run_program(
        "import cpdd, cpdd.exporters\nfrom opentelemetry import trace\ncpdd.exporters.EXIT_LIMIT_S = 0.05\n"
        "handle = cpdd.init(service='x', endpoint='http://127.0.0.1:1', instrument=False)\n"
        "trace.get_tracer('x').start_span('GET').end()\nhandle.shutdown()\n"
        "print(handle.span_counts.sent, handle.span_counts.lost)"
    )

    assert printed == "0 1\n"


def test_memory_is_bounded_by_the_queue_however_many_spans_are_lost(hasty, silent):
    # patient, so that one batch is under way all the time, however slow the machine
    processor = PromptBatchProcessor(FastOTLPExporter(silent.address, timeout=60))
    provider = TracerProvider(resource=Resource({}), shutdown_on_exit=False)
    provider.add_span_processor(processor)
    tracer = provider.get_tracer("x")

    def serve(requests: int) -> int:
        for number in range(requests):
            tracer.start_span("GET", attributes={"url.full": f"http://stock/items/{number}" * 20}).end()
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        with_a_full_queue = serve(2 * QUEUE)
        after_many_more = serve(8 * QUEUE)
    finally:
        tracemalloc.stop()
    silent.may_answer.set()
    provider.shutdown()

    assert processor.losses.counts.queue_full > 8 * QUEUE
    assert with_a_full_queue > QUEUE * 400
    assert after_many_more < with_a_full_queue + QUEUE * 200
