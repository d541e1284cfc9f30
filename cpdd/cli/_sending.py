"""Many requests to one endpoint: several at once, at a rate, and what became of them."""

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Protocol

from cpdd.cli._files import MOST_TOLD
from cpdd.cli._otlp_http import Accepted, EndpointError, RequestRefused
from cpdd.cli._requests import BadFrame, count_spans, cut
from cpdd.cli._terminal import say
from ui.draw.units import NBSP, duration, size

MAX_REQUEST_BYTES = 4 * 2**20
"""Requests are sent as they are cut in the file, but no larger: what common collectors take."""


@dataclass(slots=True)
class Totals:
    """What became of the spans of a run."""

    endpoint: str
    requests: int = 0
    """Taken by the endpoint; likewise the spans."""
    spans: int = 0
    rejected_spans: int = 0
    """By the endpoint, in requests that it took."""
    refused_requests: int = 0
    refused_spans: int = 0
    unreadable_spans: int = 0
    """Never sent."""
    retries: int = 0
    sent_bytes: int = 0
    duration_s: float = 0.0

    @property
    def is_good(self) -> bool:
        return self.spans > 0 and not self.rejected_spans and not self.refused_requests

    def words(self) -> str:
        sent = f"sent {_many(self.spans, 'span')} in {_many(self.requests, 'request')} ({size(self.sent_bytes)})"
        parts = [f"{sent} to {self.endpoint} in {duration(self.duration_s * 1e9)}"]
        if self.rejected_spans:
            parts.append(f"{_many(self.rejected_spans, 'span')} rejected by the endpoint")
        if self.refused_requests:
            refused = _many(self.refused_requests, "request")
            parts.append(f"{refused} with {_many(self.refused_spans, 'span')} refused by the endpoint")
        if self.unreadable_spans:
            parts.append(f"{_many(self.unreadable_spans, 'span')} could not be read")
        if self.retries:
            parts.append(f"{self.retries:,} tried again")
        return "; ".join(parts).replace(NBSP, " ")


def _many(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


class Sender(Protocol):
    """One connection: `OtlpHttpSender`, or what a test brings."""

    def send(self, body: bytes) -> Accepted: ...

    def close(self) -> None: ...


class Run:
    """Sends requests over several connections. Call `send` for each, then `finish`; `totals` is complete then."""

    def __init__(
        self,
        connect: Callable[[Callable[[float], None]], Sender],
        totals: Totals,
        connections: int = 8,
        rate: float | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Args:
        connect: makes the sender of a connection; is given the function that waits between its tries.
        rate: spans a second, None for as fast as may be.
        """
        self.totals = totals
        self._rate = rate
        self._sleep = sleep
        self._clock = clock
        self._begun: float | None = None
        self._paced = 0
        self._told = 0
        self._failure: EndpointError | None = None
        self._failing = threading.Lock()
        self._stopping = threading.Event()
        self._senders = [connect(self._wait) for _ in range(connections)]
        self._free: SimpleQueue[Sender] = SimpleQueue()
        for sender in self._senders:
            self._free.put(sender)
        self._pool = ThreadPoolExecutor(connections, thread_name_prefix="send")
        self._pending: deque[tuple[Future[Accepted], int]] = deque()

    def send(self, body: bytes) -> None:
        """Send a request soon, in pieces that endpoints take; raises EndpointError where sending on is useless."""
        try:
            pieces = [(piece, count_spans(piece)) for piece in cut(body, MAX_REQUEST_BYTES)]
        except BadFrame:
            pieces = [(body, 0)]
        for piece, spans in pieces:
            self._pace(spans)
            while len(self._pending) >= 2 * len(self._senders):
                self._settle(*self._pending.popleft())
            if self._failure is not None:
                raise self._failure
            self._pending.append((self._pool.submit(self._send, piece), spans))

    def finish(self) -> None:
        """Wait for what is under way; raises EndpointError where sending on was useless."""
        if self._stopping.is_set():
            self.stop()
        while self._pending:
            self._settle(*self._pending.popleft())
        self._pool.shutdown()
        for sender in self._senders:
            sender.close()
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Give up what is not under way, and what waits to be tried again; `finish` is still to be called."""
        self._stopping.set()
        for future, _ in self._pending:
            future.cancel()

    def _send(self, piece: bytes) -> Accepted:
        """Send a piece; what makes sending on useless is known to all connections at once."""
        sender = self._free.get()
        try:
            return sender.send(piece)
        except EndpointError as error:
            if not isinstance(error, RequestRefused) or error.is_hopeless:
                self._fail(error)
            raise
        finally:
            self._free.put(sender)

    def _wait(self, seconds: float) -> None:
        if self._stopping.wait(seconds):
            raise EndpointError("not tried again", self.totals.endpoint)

    def _settle(self, sent: "Future[Accepted]", spans: int) -> None:
        """Count what became of a request."""
        totals = self.totals
        try:
            accepted = sent.result()
        except CancelledError:
            return
        except RequestRefused as error:
            totals.refused_requests += 1
            totals.refused_spans += spans
            if not error.is_hopeless:
                self._tell(str(error))
            return
        except EndpointError:
            return
        totals.requests += 1
        totals.spans += spans - min(accepted.rejected_spans, spans)
        totals.rejected_spans += accepted.rejected_spans
        totals.retries += accepted.retries
        totals.sent_bytes += accepted.sent_bytes
        if accepted.message:
            self._tell(f"the endpoint says: {accepted.message}")

    def _fail(self, error: EndpointError) -> None:
        with self._failing:
            self._failure = self._failure or error
        self._stopping.set()

    def _pace(self, spans: int) -> None:
        """Wait until as many spans are due."""
        if self._rate is None:
            return
        if self._begun is None:
            self._begun = self._clock()
        if (early_s := self._begun + self._paced / self._rate - self._clock()) > 0:
            self._sleep(early_s)
        self._paced += spans

    def _tell(self, words: str) -> None:
        if self._told < MOST_TOLD:
            say(words)
        self._told += 1
