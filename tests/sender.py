"""Senders for benchmarks and fault tests: connections that each send, wait for the answer, and send again."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import uvloop

from tests.load import RequestMaker

HEADERS = (
    "POST /v1/traces HTTP/1.1\r\nhost: {host}\r\n"
    "content-type: application/x-protobuf\r\ncontent-length: {length}\r\n\r\n"
)
NOTHING_REJECTED = (b"", b"\x0a\x00")
"""Answers without a partial success, or with an empty one."""
PATIENCE_S = 30.0
"""How long an answer is waited for."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An acknowledged request."""

    at_s: float
    """When the answer came, by `time.monotonic`."""
    took_s: float
    """From the first byte sent."""
    spans: int


@dataclass
class Sent:
    """What became of the requests of one sender."""

    spans: int = 0
    """Acknowledged: answered with 200 and without rejections."""
    answers: list[Answer] = field(default_factory=list)
    others: dict[str, int] = field(default_factory=dict)
    """Requests by any other end: the status line, or the name of the error."""
    acknowledged: list[bytes] = field(default_factory=list)
    """The acknowledged bodies, where they are kept; likewise below."""
    unanswered: list[bytes] = field(default_factory=list)
    """Bodies whose connection ended before their answer, so that they may be stored or not; and those of
    `Plan.first` that were not sent at all."""


@dataclass(frozen=True)
class Plan:
    """How to send, and until when."""

    host: str
    port: int
    connections: int = 64
    spans_per_request: int = 512
    make: Callable[[int], tuple[bytes, int]] | None = None
    """Makes a body that ends at a time, in Unix nanoseconds, and says how many spans it holds; None: requests of
    `tests.load`. `spans_per_request` is what it makes on average."""
    spans_per_s: float = 0.0
    """Over all connections; 0: as fast as answers come."""
    until: Callable[[], bool] | None = None
    """None: until the server ends the connection."""
    first: tuple[bytes, ...] = ()
    """Bodies to send before new ones are made."""
    only_first: bool = False
    """Make none."""
    keep: bool = False
    """Keep bodies."""


def send(plan: Plan) -> Sent:
    """Send as planned, wait for the last answers, and return what became of everything."""
    sent = Sent()
    uvloop.run(_send(plan, sent))
    return sent


async def _send(plan: Plan, sent: Sent) -> None:
    make = plan.make or _maker(plan.spans_per_request)
    pace = _Pace(plan.spans_per_s / plan.spans_per_request)
    again = list(plan.first)

    def next_body() -> tuple[bytes, int] | None:
        if again:
            return again.pop(), plan.spans_per_request
        return None if plan.only_first else make(time.time_ns())

    await asyncio.gather(*(_connection(plan, next_body, pace, sent) for _ in range(plan.connections)))
    sent.unanswered += again


def _maker(spans: int) -> Callable[[int], tuple[bytes, int]]:
    maker = RequestMaker(spans)
    return lambda now_ns: (maker.make(now_ns), spans)


class _Pace:
    """Gives every request its time to be sent."""

    def __init__(self, requests_per_s: float) -> None:
        self._interval_s = 1 / requests_per_s if requests_per_s else 0.0
        self._next_s = time.monotonic()

    async def wait(self) -> None:
        now_s = time.monotonic()
        self._next_s = max(self._next_s + self._interval_s, now_s - 1.0)  # a backlog of more than 1 s is forgotten
        if self._next_s > now_s:
            await asyncio.sleep(self._next_s - now_s)


async def _connection(plan: Plan, next_body: Callable[[], tuple[bytes, int] | None], pace: _Pace, sent: Sent) -> None:
    """One connection; it ends with the server's, or when the plan does."""
    body = None
    try:
        reader, writer = await asyncio.open_connection(plan.host, plan.port)
        while plan.until is None or not plan.until():
            await pace.wait()
            made = next_body()
            if made is None:
                break
            body, spans = made
            await _request(plan, reader, writer, body, spans, sent)
            body = None
        writer.close()
    except (OSError, EOFError, TimeoutError, RuntimeError) as error:  # RuntimeError: uvloop's word for a closed one
        sent.others[type(error).__name__] = sent.others.get(type(error).__name__, 0) + 1
        if plan.keep and body:
            sent.unanswered.append(body)


async def _request(
    plan: Plan, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes, spans: int, sent: Sent
) -> None:
    started = time.monotonic()
    writer.write(HEADERS.format(host=plan.host, length=len(body)).encode())
    writer.write(body)
    async with asyncio.timeout(PATIENCE_S):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(int(line[15:]) for line in head.splitlines() if line.lower().startswith("content-length:"))
        answer = await reader.readexactly(length)
    status_line = head.partition("\r\n")[0]
    if status_line == "HTTP/1.1 200 OK" and answer in NOTHING_REJECTED:
        sent.spans += spans
        now = time.monotonic()
        sent.answers.append(Answer(now, now - started, spans))
        if plan.keep:
            sent.acknowledged.append(body)
    else:
        sent.others[status_line] = sent.others.get(status_line, 0) + 1
        await asyncio.sleep(0.1)
