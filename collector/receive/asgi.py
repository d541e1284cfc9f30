"""The few words of ASGI that receivers, health and metrics need; no framework stands between them and uvicorn."""

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

from collector.receive.answers import Reply

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


_MOST_DIGITS = 18


@dataclass(frozen=True, slots=True)
class Head:
    """Request line and headers, as far as anybody here asks for them."""

    method: str
    path: str
    content_type: str
    """Without parameters, in lower case."""
    content_encoding: str
    content_length: int | None
    authorization: str = ""
    peer: str = ""
    """Address of who sends, without its port."""

    @classmethod
    def of(cls, scope: Scope) -> Self:
        return cls(
            method=scope["method"],
            path=scope["path"],
            content_type=header(scope, b"content-type").partition(";")[0].strip().lower(),
            content_encoding=header(scope, b"content-encoding"),
            content_length=content_length(scope),
            authorization=header(scope, b"authorization"),
            peer=(scope.get("client") or ("",))[0],
        )


def header(scope: Scope, name: bytes) -> str:
    """Return the last header of that name, "" where there is none."""
    return dict(scope["headers"]).get(name, b"").decode("latin-1")  # type: ignore[no-any-return]


def content_length(scope: Scope) -> int | None:
    """Return the length that the headers say, None where they say none that is a number of bytes."""
    length = header(scope, b"content-length")
    return int(length) if length.isascii() and length.isdigit() and len(length) <= _MOST_DIGITS else None


async def respond(send: Send, reply: Reply) -> None:
    """Send a whole answer."""
    headers = [
        (b"content-type", reply.content_type.encode("latin-1")),
        (b"content-length", str(len(reply.body)).encode("latin-1")),
        *((name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers),
    ]
    await send({"type": "http.response.start", "status": int(reply.status), "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
