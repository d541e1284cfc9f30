"""Whose context a worker is in that takes items from a queue, and who is no worker."""

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest
from opentelemetry import context, trace
from opentelemetry.trace import NonRecordingSpan, SpanContext

tracer = trace.get_tracer("tests")


def current() -> int:
    return trace.get_current_span().get_span_context().trace_id


class Worker:
    """A thread that takes items, started where no trace is current unless told otherwise; sees one trace an item."""

    def __init__(self, work: "queue.Queue[Any]", started_in: context.Context | None = None) -> None:
        self.seen: list[int] = []
        self._work = work
        self._thread = threading.Thread(target=self._serve, daemon=True)
        token = context.attach(started_in or context.Context())
        self._thread.start()
        context.detach(token)

    def _serve(self) -> None:
        while not isinstance(item := self._work.get(), _Stop):
            self.seen.append(current())
            if isinstance(item, Future):
                item.set_result(None)

    def stop(self) -> None:
        self._work.put(_Stop())
        self._thread.join(60)


def put_in_trace(work: "queue.Queue[Any]", item: object) -> int:
    with tracer.start_as_current_span("request"):
        work.put(item)
        return current()


@pytest.mark.parametrize("kind", [queue.Queue, queue.PriorityQueue])
def test_each_item_brings_the_trace_it_was_put_in_and_none_brings_none(spans, kind):
    work = kind()
    worker = Worker(work)
    sent = []
    for number in range(3):
        done = _Numbered(number)
        sent.append(put_in_trace(work, done) if number != 1 else work.put(done) or 0)
        done.result(60)
    worker.stop()

    assert worker.seen == sent
    assert sent[1] == 0


class _Numbered(Future):
    """A future that a PriorityQueue can order."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def __lt__(self, other: Any) -> bool:
        return self.number < other.number


class _Stop(_Numbered):
    """Behind everything else."""

    def __init__(self) -> None:
        super().__init__(99)


def test_one_object_put_twice_comes_out_with_one_context_each(spans):
    work: queue.Queue[str] = queue.Queue()
    sent = [put_in_trace(work, "again"), put_in_trace(work, "again")]

    seen = in_own_context(lambda: [(work.get(), current())[1] for _ in range(2)])

    assert seen == sent


def test_a_request_that_waits_for_its_answer_keeps_its_own_span(spans):
    answers: queue.Queue[str] = queue.Queue()
    put_in_trace(answers, "of another request")

    with tracer.start_as_current_span("request"):
        mine = current()
        answers.get()
        after = current()

    assert after == mine


def test_when_the_next_item_is_asked_for_the_last_is_over(spans):
    work: queue.Queue[str] = queue.Queue()
    put_in_trace(work, "item")

    def serve() -> tuple[int, int]:
        work.get()
        during = current()
        with pytest.raises(queue.Empty):
            work.get(timeout=0)
        return during, current()

    during, idle = in_own_context(serve)

    assert during != 0
    assert idle == 0


def test_a_worker_that_a_request_started_serves_the_next_requests_too(spans):
    work: queue.Queue[Any] = queue.Queue()
    with tracer.start_as_current_span("first request"):
        worker = Worker(work, context.get_current())
        first, done = current(), Future[None]()
        work.put(done)
        done.result(60)
    done = Future()
    second = put_in_trace(work, done)
    done.result(60)
    worker.stop()

    assert worker.seen == [first, second]


def test_a_worker_that_an_unsampled_request_started_does_not_hide_the_next(spans):
    unsampled = NonRecordingSpan(SpanContext(1, 2, False))
    work: queue.Queue[Any] = queue.Queue()
    worker = Worker(work, trace.set_span_in_context(unsampled, context.Context()))
    done = Future[None]()
    sent = put_in_trace(work, done)
    done.result(60)
    worker.stop()

    assert worker.seen == [sent]


def test_what_left_the_queue_by_another_way_leaves_no_context_behind(spans):
    work: queue.Queue[object] = queue.Queue()
    put_in_trace(work, object())
    work.queue.clear()
    sent = put_in_trace(work, "item")

    assert in_own_context(lambda: (work.get(), current())[1]) == sent
    assert vars(work)["_cpdd_side"].contexts == {}


def test_a_queue_that_held_items_before_the_patch_works_on(spans):
    work: queue.Queue[str] = queue.Queue()
    work.put("item")
    del vars(work)["_cpdd_side"]

    assert work.get() == "item"


class Connection:
    """What a pool holds."""


@pytest.mark.parametrize("kind", [queue.Queue, queue.LifoQueue])
def test_a_pool_of_connections_hands_no_trace_to_who_takes_one(spans, kind):
    pool = kind()
    connection = Connection()
    for _ in range(3):
        put_in_trace(pool, connection)
        with tracer.start_as_current_span("request"):
            pool.get()
    put_in_trace(pool, connection)

    assert in_own_context(lambda: (pool.get(), current())[1]) == 0


@pytest.mark.parametrize("kind", [queue.Queue, queue.LifoQueue])
def test_a_worker_that_takes_a_connection_stays_in_the_trace_of_its_item(spans, kind):
    work, pool = queue.Queue[str](), kind()
    put_in_trace(pool, Connection())
    sent = put_in_trace(work, "item")

    def serve() -> list[int]:
        work.get()
        before = current()
        pool.get()
        return [before, current()]

    assert in_own_context(serve) == [sent, sent]


def test_an_item_that_is_put_again_to_be_tried_again_keeps_its_trace(spans):
    work: queue.Queue[Connection] = queue.Queue()
    jobs = [Connection() for _ in range(3)]
    for job in jobs:
        put_in_trace(work, job)

    def serve() -> list[int]:
        seen = []
        for turn in range(4):
            job = work.get()
            seen.append(current())
            if turn == 0:
                work.put(job)
        return seen

    seen = in_own_context(serve)
    assert seen[3] == seen[0] != 0


@pytest.mark.parametrize("kind", [asyncio.Queue, asyncio.PriorityQueue])
def test_an_asyncio_worker_goes_on_in_the_trace_of_each_item(spans, kind):
    async def serve(work: "asyncio.Queue[Any]", seen: list[int]) -> None:
        while await work.get() is not None:
            seen.append(current())
            work.task_done()

    async def run() -> tuple[list[int], list[int]]:
        work, seen, sent = kind(), list[int](), list[int]()
        with tracer.start_as_current_span("first request"):
            worker = asyncio.create_task(serve(work, seen))
            await asyncio.sleep(0)
        for number in range(2):
            with tracer.start_as_current_span("request"):
                await work.put(number)
                sent.append(current())
            await work.join()
        worker.cancel()
        return seen, sent

    seen, sent = asyncio.run(run())

    assert seen == sent


def test_a_task_that_waits_for_its_answer_keeps_its_own_span(spans):
    async def run() -> tuple[int, int]:
        answers: asyncio.Queue[str] = asyncio.Queue()
        with tracer.start_as_current_span("another request"):
            await answers.put("answer")
        with tracer.start_as_current_span("request"):
            before = current()
            await asyncio.create_task(answers.get())
            await answers.put("again")
            await answers.get()
            return before, current()

    before, after = asyncio.run(run())

    assert after == before


def in_own_context(function: Callable[[], Any]) -> Any:
    """What `function` returns in a thread where no trace is current."""
    answer: Future[Any] = Future()

    def run() -> None:
        try:
            answer.set_result(function())
        except BaseException as error:
            answer.set_exception(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(60)
    return answer.result(0)
