"""Trace and baggage through everything that hands work over inside a process: 16 ways, each with a journey on it."""

import asyncio
import multiprocessing
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing.pool import ThreadPool
from typing import Any

import pytest
from opentelemetry import baggage, context, trace

import cpdd
from cpdd import handover
from cpdd.requirement import declared

tracer = trace.get_tracer("tests")
FORK = multiprocessing.get_context("fork")

Seen = tuple[int, str | None, str | None]
"""The trace, the journey, and the declared requirement."""


def look(*_: object) -> Seen:
    """What is current where this is called."""
    here = declared()
    journey = baggage.get_baggage("cpdd.journey")
    return (
        trace.get_current_span().get_span_context().trace_id,
        str(journey) if journey else None,
        here.effective if here else None,
    )


class Box:
    """What was seen elsewhere, waited for here."""

    def __init__(self) -> None:
        self._future: Future[Seen] = Future()

    def look(self, *_: object) -> None:
        self._future.set_result(look())

    def seen(self) -> Seen:
        return self._future.result(60)


def in_thread() -> Seen:
    box = Box()
    threading.Thread(target=box.look).start()
    return box.seen()


def in_timer() -> Seen:
    box = Box()
    threading.Timer(0.0, box.look).start()
    return box.seen()


def in_thread_subclass() -> Seen:
    box = Box()

    class Own(threading.Thread):
        def run(self) -> None:
            box.look()

    Own().start()
    return box.seen()


def in_submit() -> Seen:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(look).result(60)


def in_map() -> Seen:
    with ThreadPoolExecutor(1) as pool:
        return next(pool.map(look, [1]))


def in_done_callback() -> Seen:
    box, future = Box(), Future[None]()
    future.add_done_callback(box.look)
    with outside():
        future.set_result(None)
    return box.seen()


def in_multiprocessing_thread_pool() -> Seen:
    with ThreadPool(1) as pool:
        (mapped,) = pool.map(look, [1])
        assert pool.apply(look) == mapped
        assert list(pool.imap(look, [1])) == [mapped]
        return mapped


def in_process_pool() -> Seen:
    with ProcessPoolExecutor(1, mp_context=FORK) as pool:
        with outside():  # a forked worker finds what was current when it was forked
            pool.submit(int).result(30)
        return pool.submit(look).result(30)


def in_worker_of_queue() -> Seen:
    box, work = Box(), queue.Queue[Any]()

    def serve() -> None:
        while work.get() is not None:
            box.look()

    with outside():
        worker = threading.Thread(target=serve)
        worker.start()
    work.put("item")
    seen = box.seen()
    work.put(None)
    worker.join()
    return seen


def in_task() -> Seen:
    async def work() -> Seen:
        return await asyncio.create_task(look_later())

    return asyncio.run(work())


async def look_later() -> Seen:
    await asyncio.sleep(0)
    return look()


def in_to_thread() -> Seen:
    return asyncio.run(asyncio.to_thread(look))


def in_call_later() -> Seen:
    async def work() -> Seen:
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0.0, lambda: future.set_result(look()))
        seen: Seen = await future
        return seen

    return asyncio.run(work())


def in_run_coroutine_threadsafe() -> Seen:
    loop = asyncio.new_event_loop()
    with outside():
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
    seen = asyncio.run_coroutine_threadsafe(look_later(), loop).result(60)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
    return seen


def in_run_in_executor() -> Seen:
    async def work() -> Seen:
        return await asyncio.get_running_loop().run_in_executor(None, look)

    return asyncio.run(work())


def in_worker_of_asyncio_queue() -> Seen:
    async def work() -> Seen:
        items: asyncio.Queue[asyncio.Future[Seen]] = asyncio.Queue()

        async def serve() -> None:
            while True:
                (await items.get()).set_result(look())

        with outside():
            worker = asyncio.create_task(serve())
        await asyncio.sleep(0)
        answer: asyncio.Future[Seen] = asyncio.get_running_loop().create_future()
        await items.put(answer)
        seen = await answer
        worker.cancel()
        return seen

    return asyncio.run(work())


def in_callback_of_map_async() -> Seen:
    box = Box()
    with ThreadPool(1) as pool:
        pool.map_async(str, [1], 1, box.look)
        return box.seen()


class outside:
    """Where no trace is current: what was there before this request."""

    def __enter__(self) -> None:
        self._token = context.attach(context.Context())

    def __exit__(self, *_: object) -> None:
        context.detach(self._token)


MATRIX: dict[str, Callable[[], Seen]] = {
    "Thread": in_thread,
    "Timer": in_timer,
    "Thread subclass with its own run": in_thread_subclass,
    "ThreadPoolExecutor.submit": in_submit,
    "ThreadPoolExecutor.map": in_map,
    "done callbacks": in_done_callback,
    "multiprocessing ThreadPool": in_multiprocessing_thread_pool,
    "ProcessPoolExecutor": in_process_pool,
    "long-lived worker, queue.Queue": in_worker_of_queue,
    "asyncio task": in_task,
    "asyncio.to_thread": in_to_thread,
    "loop.call_later": in_call_later,
    "asyncio.run_coroutine_threadsafe": in_run_coroutine_threadsafe,
    "loop.run_in_executor": in_run_in_executor,
    "long-lived worker, asyncio.Queue": in_worker_of_asyncio_queue,
    "callbacks of multiprocessing ThreadPool": in_callback_of_map_async,
}
BY_ITSELF = {"asyncio task", "asyncio.to_thread", "loop.call_later", "asyncio.run_coroutine_threadsafe"}
"""What Python hands over without anybody's help."""


def hand_over(way: str) -> tuple[Seen, Seen]:
    """What is current here, and what is current where that way leads to."""
    with cpdd.journey("check out"), cpdd.optional("tips"), tracer.start_as_current_span("request"):
        return look(), MATRIX[way]()


@pytest.mark.parametrize("way", MATRIX)
def test_trace_journey_and_requirement_go_along(spans, way):
    here, there = hand_over(way)

    assert there == here
    assert here[1:] == ("check out", "optional")


@pytest.mark.parametrize("way", MATRIX)
def test_taken_out_again_python_does_what_it_did_before(spans, way):
    handover.deactivate()
    try:
        here, there = hand_over(way)
    finally:
        handover.activate()

    assert (there == here) == (way in BY_ITSELF)


def test_there_are_sixteen_ways():
    assert len(MATRIX) == 16


def test_nothing_is_patched_until_init_is_called(run_program):
    printed = run_program(
        "import cpdd, cpdd.startup, threading, queue\nfrom cpdd import handover\n"
        "print(handover.is_active(), threading.Thread.start.__module__, queue.Queue.get.__module__)\n"
        "cpdd.init(service='x')\nprint(handover.is_active())\n"
        "handover.deactivate()\nprint(handover.is_active(), threading.Thread.start.__module__)",
        OTEL_TRACES_EXPORTER="none",
    )

    assert printed.splitlines() == ["False threading queue", "True", "False threading"]


def test_the_environment_can_leave_it_out(run_program):
    printed = run_program(
        "import cpdd\nfrom cpdd import handover\ncpdd.init(service='x')\nprint(handover.is_active())",
        OTEL_TRACES_EXPORTER="none",
        CPDD_HANDOVER="off",
    )

    assert printed == "False\n"


def test_a_patch_that_somebody_wrapped_stays_when_ours_are_taken_out(monkeypatch):
    ours = threading.Thread.start

    monkeypatch.setattr(threading.Thread, "start", lambda thread: ours(thread))
    handover.deactivate()
    handover.activate()
    monkeypatch.undo()

    assert threading.Thread.start is ours
