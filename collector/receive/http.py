"""Spans over HTTP: from the bytes of a request to an honest answer.

One ASGI application a protocol (OTLP/HTTP here, Zipkin in `zipkin`), run by uvicorn in the loop thread. Thousands of
requests may wait for their commit without a thread each; inflating and decoding happen in worker threads.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Generic, Protocol

from collector.metrics import ReceiverMetrics
from collector.receive import answers
from collector.receive.answers import (
    JSON_TYPE,
    PROTOBUF_TYPE,
    BodyTooLarge,
    BodyTooSlow,
    Form,
    InternalFault,
    Refusal,
    Rejected,
    Reply,
    Unauthenticated,
    UnderPressure,
    UnknownPath,
    UnsupportedContentType,
    WrongMethod,
)
from collector.receive.asgi import Head, Receive, Scope, Send, respond
from collector.receive.inflate import inflate, known_encoding
from collector.receive.limits import InflightBytes, Limits, Reservation
from collector.receive.pipeline import EncodedT, Pipeline, Prepared
from collector.receive.senders import Senders, Share
from collector.receive.together import Together
from collector.tokens import ANYBODY, Tokens

log = logging.getLogger(__name__)


class Dialect(Protocol):
    """What differs between the protocols that bring spans over HTTP."""

    path: str

    def form(self, content_type: str) -> Form:
        """Return how a body of this type is written; raises UnsupportedContentType."""

    def accepted(self, form: Form, spans: int, rejected: Rejected) -> Reply:
        """Return the answer when `spans` were stored and some, or none, rejected."""

    def refused(self, form: Form | None, refusal: Refusal) -> Reply:
        """Return the answer; `form` is None where it did not come to that."""


class OtlpDialect:
    """OTLP/HTTP 1.11: https://opentelemetry.io/docs/specs/otlp/#otlphttp."""

    path = "/v1/traces"

    def form(self, content_type: str) -> Form:
        match content_type:
            case "application/x-protobuf":
                return Form.OTLP_PROTOBUF
            case "application/json":
                return Form.OTLP_JSON
        raise UnsupportedContentType(content_type, (PROTOBUF_TYPE, JSON_TYPE))

    def accepted(self, form: Form, spans: int, rejected: Rejected) -> Reply:
        return answers.export_reply(form, rejected)

    def refused(self, form: Form | None, refusal: Refusal) -> Reply:
        return answers.refusal_reply(form, refusal)


class _Disconnected(Exception):
    """The sender went away before its request was whole: nobody is left to answer."""


class HttpReceiver(Generic[EncodedT]):
    """The ASGI application of one protocol. Its answer to spans comes after they are durable."""

    def __init__(
        self,
        dialect: Dialect,
        pipeline: Pipeline[EncodedT],
        limits: Limits,
        inflight: InflightBytes,
        workers: Executor,
        metrics: ReceiverMetrics,
        tokens: Tokens = ANYBODY,
        senders: Senders | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._senders = senders or Senders(limits.max_inflight_bytes)
        self._dialect = dialect
        self._together = Together(pipeline, workers)
        self._limits = limits
        self._inflight = inflight
        self._metrics = metrics
        self._tokens = tokens
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = self._clock()
        with self._metrics.in_work():
            try:
                reply = await self._answer(Head.of(scope), receive)
            except _Disconnected:
                self._metrics.disconnected()
                return
        self._metrics.answered(self._clock() - started)
        await respond(send, reply)

    async def _answer(self, head: Head, receive: Receive) -> Reply:
        form = None
        try:
            form = self._form(head)
            prepared = await self._store(head, form, receive)
        except Refusal as refusal:
            self._metrics.refused(refusal.reason)
            return self._dialect.refused(form, refusal)
        except _Disconnected:
            raise
        except Exception as error:
            log.exception("request failed", extra={"path": head.path})
            self._metrics.refused(InternalFault.reason)
            return self._dialect.refused(form, InternalFault(error))
        self._metrics.accepted(prepared.spans, prepared.rejected)
        return self._dialect.accepted(form, prepared.spans, prepared.rejected)

    def _form(self, head: Head) -> Form:
        """What the headers alone decide."""
        if head.path != self._dialect.path:
            raise UnknownPath(head.path, self._dialect.path)
        if head.method != "POST":
            raise WrongMethod(head.method, self._dialect.path)
        if not self._tokens.allow(head.authorization):
            raise Unauthenticated
        return self._dialect.form(head.content_type)

    async def _store(self, head: Head, form: Form, receive: Receive) -> Prepared[EncodedT]:
        """Read, inflate, decode and commit; while the commit is awaited, the body is not held any more."""
        encoding = known_encoding(head.content_encoding)
        with self._senders.enter(head.peer) as share, self._inflight.reserve() as held:
            body = _Body(await self._read(head, receive, held, share))
            return await self._together.store(
                lambda: self._inflated(body.taken(), encoding, held, share), form, held.release, len(body)
            )

    async def _read(self, head: Head, receive: Receive, held: Reservation, share: Share) -> bytes:
        limit = self._limits.max_body_bytes
        if head.content_length is not None:
            self._admit(head.content_length)
        parts: list[bytes] = []
        received = 0
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            async with asyncio.timeout_at(started + self._limits.body_deadline_s(0)) as deadline:
                more = True
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _Disconnected
                    chunk: bytes = message.get("body", b"")
                    more = message.get("more_body", False)
                    received += len(chunk)
                    if received > limit:
                        raise BodyTooLarge(limit)
                    held.grow(len(chunk))
                    share.grow(len(chunk))
                    parts.append(chunk)
                    deadline.reschedule(started + self._limits.body_deadline_s(received))
        except TimeoutError:
            raise BodyTooSlow(received, loop.time() - started) from None
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _admit(self, content_length: int) -> None:
        """Refuse before reading what could not be held."""
        if content_length > self._limits.max_body_bytes:
            raise BodyTooLarge(self._limits.max_body_bytes)
        if not self._inflight.has_room(content_length):
            raise UnderPressure(f"{self._inflight.used} bytes of requests are in work already")

    def _inflated(self, body: bytes, encoding: str, held: Reservation, share: Share) -> bytes:
        """In a worker thread."""

        def grow(size: int) -> None:
            held.grow(size)
            share.grow(size)

        inflated = inflate(body, encoding, self._limits.max_body_bytes, grow)
        self._metrics.received(len(inflated))
        return inflated


class _Body:
    """A body that is let go by whoever takes it, however long others know of it."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __len__(self) -> int:
        return len(self._content)

    def taken(self) -> bytes:
        content, self._content = self._content, b""
        return content
