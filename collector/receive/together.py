"""Requests that wait at the same time are decoded together: a block of many spans costs less a span, to make and to
store, than many small blocks.

    request -> waiting -> a worker takes all there are, up to MAX_TOGETHER -> one block -> one commit -> their answers

Whoever comes alone is decoded alone and at once. What is not flawless is prepared by itself, so that no request feels
its neighbours' faults. Called by the HTTP receivers, from the loop.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import Generic, TypeVar

from collector.receive.answers import Form, Refusal, RefusedByStore, StoreUnavailable
from collector.receive.pipeline import EncodedT, Pipeline, Prepared

_T = TypeVar("_T")

MAX_TOGETHER = 16
MAX_BYTES = 4 << 20
"""A larger body is decoded by itself, and no more than this is decoded at once."""


@dataclass(frozen=True, slots=True, eq=False)
class Work(Generic[EncodedT]):
    """One request, as a worker needs it."""

    inflate: Callable[[], bytes]
    form: Form
    release: Callable[[], None]
    """Gives back what the body holds."""
    size: int
    """Of the body as it came, in bytes."""
    loop: asyncio.AbstractEventLoop
    answered: "asyncio.Future[Prepared[EncodedT]]"


class Together(Generic[EncodedT]):
    """Stores requests. `store` from one loop, everything else in the workers."""

    def __init__(self, pipeline: Pipeline[EncodedT], workers: Executor) -> None:
        self._pipeline = pipeline
        self._workers = workers
        self._lock = Lock()
        self._waiting: list[Work[EncodedT]] = []

    async def store(
        self, inflate: Callable[[], bytes], form: Form, release: Callable[[], None], size: int
    ) -> Prepared[EncodedT]:
        """Return what was prepared of a request when it is durable; raises a Refusal.

        Args:
            inflate: returns the body without its encoding, in a worker.
            release: is called when the body is not held any more.
            size: of the body as it came, in bytes.
        """
        loop = asyncio.get_running_loop()
        work: Work[EncodedT] = Work(inflate, form, release, size, loop, loop.create_future())
        with self._lock:
            self._waiting.append(work)
        self._workers.submit(self._run)
        try:
            return await work.answered
        finally:
            del work  # an exception holds this frame, and `work` would hold the exception, and the body with it

    def _run(self) -> None:
        """Take what waits; there may be nothing any more."""
        works = self._take()
        try:
            self._prepare(works)
        except BaseException as error:
            _fail(works, error)
            raise

    def _take(self) -> list[Work[EncodedT]]:
        with self._lock:
            count = size = 0
            for work in self._waiting[:MAX_TOGETHER]:
                size += work.size
                if count and size > MAX_BYTES:
                    break
                count += 1
            works, self._waiting = self._waiting[:count], self._waiting[count:]
        return works

    def _prepare(self, works: Sequence[Work[EncodedT]]) -> None:
        bodies: list[tuple[Work[EncodedT], bytes]] = []
        for work in works:
            body = _outcome(work.inflate)
            if isinstance(body, Exception):
                _fail([work], body)
            else:
                bodies.append((work, body))
        plain = [(work, body) for work, body in bodies if work.form is Form.OTLP_PROTOBUF and len(body) <= MAX_BYTES]
        together = self._pipeline.prepare_together([body for _, body in plain]) if len(plain) > 1 else None
        if together is not None:
            self._commit([work for work, _ in plain], together)
        for work, body in bodies if together is None else [one for one in bodies if one not in plain]:
            prepared = _outcome(partial(self._pipeline.prepare, body, work.form))
            if isinstance(prepared, Exception):
                _fail([work], prepared)
            else:
                self._commit([work], [prepared])

    def _commit(self, works: Sequence[Work[EncodedT]], prepared: Sequence[Prepared[EncodedT]]) -> None:
        """Commit what was prepared together, and answer when it is durable."""
        for work in works:
            work.release()
        whole = next((one for one in prepared if one.encoded is not None), None)
        if whole is None:
            _succeed(works, prepared)
            return
        stored = _outcome(partial(self._pipeline.commit, whole))
        if isinstance(stored, Exception):
            _fail(works, stored)
            return

        def tell(stored: "Future[None]") -> None:
            if (error := stored.exception()) is None:
                _succeed(works, prepared)
            elif isinstance(error, RefusedByStore) and len(works) > 1:
                # By itself each of them but one would have been stored; the next time they come with others, or alone.
                _fail(works, StoreUnavailable(f"some request beside this one is at fault: {error}", retry_after_s=1))
            else:
                _fail(works, error)

        stored.add_done_callback(tell)


def _outcome(call: Callable[[], _T]) -> _T | Exception:
    """Return what a call returns or raises. A refusal loses its traceback, whose frames hold the body and the work
    that is going to hold the refusal: all three would wait for the garbage collector.
    """
    try:
        return call()
    except Refusal as refusal:
        return refusal.with_traceback(None)
    except Exception as error:
        return error


def _succeed(works: Sequence[Work[EncodedT]], prepared: Sequence[Prepared[EncodedT]]) -> None:
    def tell() -> None:
        for work, one in zip(works, prepared, strict=True):
            if not work.answered.done():
                work.answered.set_result(one)

    works[0].loop.call_soon_threadsafe(tell)


def _fail(works: Sequence[Work[EncodedT]], error: BaseException) -> None:
    def tell() -> None:
        for work in works:
            if not work.answered.done():
                work.answered.set_exception(error)

    if works:
        works[0].loop.call_soon_threadsafe(tell)
