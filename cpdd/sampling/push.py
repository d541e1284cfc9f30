"""Policies as they change: server-sent events from `cpdd serve`, long polls where a proxy holds events back.

Two workers: one listens, one reports once a second what was seen and kept, and learns what it may add under boosts.
Called by `configure`; tells the keeper.
"""

import json
import os
import random
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from http import HTTPStatus
from http.client import HTTPResponse

from cpdd.failures import tell
from cpdd.sampling.document import MAX_BYTES
from cpdd.sampling.events import EventReader, EventTooLong
from cpdd.sampling.http import PROBLEMS, Server, Unusable, body_of, words
from cpdd.sampling.keeper import Keeper
from cpdd.sampling.sampler import DynamicSampler
from cpdd.sampling.workers import Worker

SILENCE_S = 40.0
"""A stream without a byte for so long is dead: the server says something every 15 s."""
READ_BYTES = 64 << 10
WAIT_S = 25
FIRST_RETRY_S, LONGEST_RETRY_S = 0.1, 5.0
STREAM_AGAIN_S = 600.0
STATUS_EVERY_S = 1.0
SHORTEST_S = 0.05
"""Between two reports, when boosts run short of traces."""
MAX_TOLD = 2_000
"""Operations in one report; the busiest."""


class NoStream(Exception):
    """The server does not stream; long polls will do."""


class PushProvider:
    """Follows one server from `start` to `stop`."""

    def __init__(
        self,
        address: str,
        keeper: Keeper,
        clock: Callable[[], float] = time.monotonic,
        silence_s: float = SILENCE_S,
        authorization: str = "",
    ) -> None:
        """Raises ValueError for an address that is none.

        Args: authorization: what the server is shown, which may take reports from nobody else.
        """
        self._address = address
        self._authorization = authorization
        self._keeper = keeper
        self._clock = clock
        self._silence_s = silence_s
        self._listening = Server(address, silence_s, authorization)
        self._stream_from_s = 0.0
        self.instance = ""
        self._workers = (Worker("cpdd-sampling", self._listen), Worker("cpdd-sampling-status", self._report))

    def start(self) -> None:
        for worker in self._workers:
            worker.start()

    def stop(self) -> None:
        for worker in self._workers:
            worker.ask_to_stop()
        self._listening.interrupt()
        self._keeper.sampler.is_short.set()
        for worker in self._workers:
            worker.stop()

    def _listen(self, stopped: threading.Event) -> None:
        self.instance = new_instance()
        self._listening = Server(self._address, self._silence_s, self._authorization)
        retry_s = FIRST_RETRY_S
        while not stopped.is_set():
            begun = self._clock()
            try:
                self._once(stopped)
            except NoStream:
                self._stream_from_s = self._clock() + STREAM_AGAIN_S
                continue
            except (*PROBLEMS, Unusable) as error:
                if not stopped.is_set():
                    self._keeper.lose(words(error))
            finally:
                self._listening.close()
            if self._clock() - begun > 10 * retry_s:
                retry_s = FIRST_RETRY_S
            stopped.wait(retry_s * random.uniform(0.5, 1.5))
            retry_s = min(2 * retry_s, LONGEST_RETRY_S)

    def _once(self, stopped: threading.Event) -> None:
        """Follow one stream, or poll until it is time to try a stream again. Raises when the connection ends."""
        if self._clock() >= self._stream_from_s:
            self._stream(stopped)
        while not stopped.is_set() and self._clock() < self._stream_from_s:
            self._poll()

    def _asked(self) -> dict[str, str]:
        return {"service": self._keeper.sampler.service, "instance": self.instance}

    def _stream(self, stopped: threading.Event) -> None:
        known = self._keeper.standing
        headers = {"Accept": "text/event-stream"}
        if known.hash:
            headers["Last-Event-ID"] = f"{known.version}-{known.hash}"
        response = self._listening.get("/v1/policies/stream", self._asked(), headers)
        kind = response.headers.get_content_type()
        if response.status in (404, 405, 406) or (response.status == 200 and kind != "text/event-stream"):
            response.read(MAX_BYTES)
            raise NoStream
        if response.status != 200:
            body_of(response, self._address)
        heard, reader = False, EventReader(MAX_BYTES)
        try:
            for line in _lines(response, stopped):
                heard = True
                self._take_line(reader, line)
        except TimeoutError:
            if not heard:  # something between us and the server keeps the events to itself
                raise NoStream from None
            raise
        raise ConnectionError(f"{self._address} ended the stream")

    def _take_line(self, reader: EventReader, line: str) -> None:
        event = reader.take(line)
        if event is None:
            if line.startswith(":"):
                self._keeper.hear()
            return
        if event.name == "policies":
            self._keeper.take(event.data.encode(), self._address)
        elif event.name == "leases":
            self._grant(event.data)

    def _poll(self) -> None:
        """Ask once and wait for the answer: new policies, or none within WAIT_S."""
        known = self._keeper.standing
        headers = {"If-None-Match": f'"{known.version}-{known.hash}"'} if known.hash else {}
        response = self._listening.get("/v1/policies", {**self._asked(), "wait": str(WAIT_S)}, headers)
        if response.status == 304:
            response.read()
            self._keeper.hear()
            return
        self._keeper.take(body_of(response, self._address), self._address)

    def _grant(self, text: str | bytes) -> None:
        value = json.loads(text)
        leases = value.get("leases", {}) if isinstance(value, dict) else {}
        self._keeper.sampler.grant({name: n for name, n in leases.items() if type(n) is int and 0 <= n <= 10**9})

    def _report(self, stopped: threading.Event) -> None:
        server = Server(self._address, 5.0, self._authorization)
        sampler = self._keeper.sampler
        last, wait_s = self._clock(), STATUS_EVERY_S
        while not stopped.is_set():
            sampler.is_short.wait(wait_s)
            if stopped.wait(SHORTEST_S):
                break
            sampler.is_short.clear()
            now = self._clock()
            report = report_of(sampler, now - last) | self._asked() | asdict(self._keeper.standing)
            last = now
            try:
                self._grant(body_of(server.post("/v1/status", report), self._address))
                wait_s = STATUS_EVERY_S
            except (*PROBLEMS, Unusable) as error:  # the listener tells what is wrong with the server
                if isinstance(error, Unusable) and error.status == HTTPStatus.UNAUTHORIZED:
                    tell("reporting what is sampled", error)
                server.close()
                wait_s = min(2 * wait_s, 8.0) if self._keeper.standing.problem else STATUS_EVERY_S
        server.close()


def _lines(response: HTTPResponse, stopped: threading.Event) -> Iterator[str]:
    """The lines of a stream, without their ends, as they come. Raises EventTooLong for one that does not end."""
    rest = b""
    while not stopped.is_set():
        part = response.read1(READ_BYTES)  # its readline asks several times a line
        if not part:
            return
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            yield line.decode("utf-8", "replace").rstrip("\r")
        if len(rest) > MAX_BYTES:
            raise EventTooLong(MAX_BYTES)


def report_of(sampler: DynamicSampler, interval_s: float) -> dict[str, object]:
    """Return what a sampler did since the last report."""
    sent, lost = sampler.span_losses()
    counts = sorted(sampler.harvest(interval_s), key=lambda count: -count.seen)
    return {
        "mode": sampler.mode,
        "baseline": sampler.baseline,
        "interval_s": round(interval_s, 6),
        "operations": [
            {"name": count.operation, "rule": count.rule, "seen": count.seen, "kept": count.kept}
            for count in counts[:MAX_TOLD]
        ],
        "leases": sampler.leases(),
        "spans_sent": sent,
        "spans_lost": lost,
    }


def new_instance() -> str:
    """Return a name for this process that no other has, nor this one after a fork."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
