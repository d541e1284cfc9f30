"""The broker's client: sends and receives, with the spans and the context that a library for a broker would have."""

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from opentelemetry import context, propagate, trace
from opentelemetry.trace import SpanKind

from . import directory

TIMEOUT_S = 2.0
_tracer = trace.get_tracer("examples.shop.messages")


@dataclass(frozen=True, slots=True)
class Message:
    """What was received: its id in the queue, its context, and what it says."""

    queue: str
    id: int
    headers: dict[str, str]
    body: dict[str, object]


def send(queue: str, body: dict[str, object]) -> None:
    """Put a message into a queue; the context travels in its headers. Raises OSError."""
    with _tracer.start_as_current_span(
        f"send {queue}", kind=SpanKind.PRODUCER, attributes=_about("send", queue)
    ) as span:
        headers: dict[str, str] = {}
        propagate.inject(headers)
        answer = _request("POST", f"/queues/{queue}", {"headers": headers, "body": body})
        span.set_attribute("messaging.message.id", str(json.loads(answer)["id"]))


def receive(queue: str, wait_s: float) -> Message | None:
    """Return the next message, None where none came in time. Waiting leaves no span. Raises OSError."""
    answer = _request("POST", f"/queues/{queue}/receive?wait_s={wait_s}", {}, wait_s)
    if not answer:
        return None
    found = json.loads(answer)
    return Message(queue, found["id"], found["message"]["headers"], found["message"]["body"])


@contextmanager
def processing(message: Message) -> Iterator[None]:
    """Deal with a message in a CONSUMER span below the one that sent it, and acknowledge it where that went well."""
    attributes = _about("process", message.queue) | {"messaging.message.id": str(message.id)}
    token = context.attach(propagate.extract(message.headers))
    try:
        with _tracer.start_as_current_span(f"process {message.queue}", kind=SpanKind.CONSUMER, attributes=attributes):
            yield
    finally:
        context.detach(token)
    _request("DELETE", f"/queues/{message.queue}/{message.id}")


def _about(operation: str, queue: str) -> dict[str, str | int]:
    return {
        "messaging.system": "shop-broker",
        "messaging.destination.name": queue,
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "server.address": directory.HOST,
        "server.port": directory.ports()["broker"].port,
    }


def _request(method: str, path: str, value: object = None, wait_s: float = 0.0) -> bytes:
    body = None if value is None else json.dumps(value).encode()
    request = urllib.request.Request(
        directory.url("broker") + path, body, {"Content-Type": "application/json"}, method=method
    )
    with urllib.request.urlopen(request, timeout=TIMEOUT_S + wait_s) as answer:
        content: bytes = answer.read()
    return content
