"""One request to an ASGI application, as uvicorn would bring it; no socket between."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from random import Random
from urllib.parse import unquote

from collector.receive.asgi import Application, Message, Scope

HANGS_S = 60.0
"""After which nobody waits for an answer any more."""


@dataclass(frozen=True)
class Request:
    method: str
    address: str
    """Path and query, percent-encoded: ASCII."""
    headers: tuple[tuple[str, str], ...] = ()
    chunks: tuple[bytes, ...] = ()
    whole: bool = True
    """Whether the body comes to its end; otherwise the sender goes away after `chunks`."""

    @property
    def scope(self) -> Scope:
        path, _, query = self.address.partition("?")
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": self.method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode("ascii"),
            "query_string": query.encode("ascii"),
            "root_path": "",
            "headers": [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in self.headers],
            "client": ("127.0.0.1", 4711),
            "server": ("127.0.0.1", 80),
        }


@dataclass
class Answer:
    """What came back; status 0 where nothing did."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0]


@dataclass(frozen=True)
class Target:
    """An application, requests for it, and what its answers must be."""

    app: Application
    request: Callable[[Random], Request]
    problem: Callable[[Request, Answer], str]
    """What is wrong with an answer, "" where nothing is."""


OpenTarget = Callable[[], AbstractAsyncContextManager[Target]]


async def ask(app: Application, request: Request) -> Answer:
    """Return the answer. Raises TimeoutError, and whatever the application lets through."""
    answer = Answer()
    coming: list[Message] = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in request.chunks]
    if request.whole:
        coming.append({"type": "http.request", "body": b"", "more_body": False})
    coming.append({"type": "http.disconnect"})
    coming.reverse()

    async def receive() -> Message:
        await asyncio.sleep(0)
        return coming.pop() if len(coming) > 1 else coming[0]

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            answer.status = int(message["status"])
            answer.headers = {
                name.decode("latin-1").lower(): value.decode("latin-1") for name, value in message["headers"]
            }
        else:
            answer.body += message.get("body", b"")

    async with asyncio.timeout(HANGS_S):
        await app(request.scope, receive, send)
    return answer
