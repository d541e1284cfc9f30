"""uvicorn's HTTP/1.1 with bounds: on the size of a head, on its time, and on the body of a refused request.

uvicorn bounds none of them: headers may trickle in for ever, or never end. The time of a body that is wanted is the
application's business (`http.HttpReceiver`), which knows how much of it has come.
"""

import asyncio
from enum import Enum
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from collector.receive.limits import Limits
from collector.tls import Tls

HIGH_WATER_BYTES = 1 << 19
"""What a connection may have read ahead of the application."""


class _Phase(Enum):
    IDLE = "between two requests"
    HEAD = "in a request line or headers"
    BODY = "in a body"


class BoundedProtocol(HttpToolsProtocol):
    """One connection. `bounded` gives it its limits."""

    limits: Limits = Limits()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._phase = _Phase.IDLE
        self._head_bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_within_read_timeout()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._phase is not _Phase.BODY:
            self._expect_within_read_timeout()
            self._head_bytes += len(data)
        super().data_received(data)
        if self._phase is _Phase.HEAD and self._head_bytes > self.limits.max_head_bytes:
            self._refuse_head()

    def on_message_begin(self) -> None:
        self._phase = _Phase.HEAD
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._phase = _Phase.BODY
        self._head_bytes = 0
        self._cancel_timer()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """As uvicorn's, which pauses reading after 64 KiB: a third of a usual request."""
        cycle = self.cycle
        if cycle.response_complete:
            return
        cycle.body += body
        if len(cycle.body) > HIGH_WATER_BYTES:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        self._phase = _Phase.IDLE
        self._head_bytes = 0
        self._cancel_timer()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if (
            self._phase is _Phase.BODY and self.cycle.response_complete
        ):  # answered early: what still comes is read and thrown away, but not for ever
            self._expect_within_read_timeout()

    def _expect_within_read_timeout(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(self.limits.read_timeout_s, self.transport.close)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse_head(self) -> None:
        message = f"request refused: its headers are over the limit of {self.limits.max_head_bytes} bytes\n".encode()
        self.transport.write(
            b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: text/plain; charset=utf-8\r\n"
            b"connection: close\r\ncontent-length: %d\r\n\r\n%s" % (len(message), message)
        )
        self.transport.close()


def bounded(limits: Limits) -> type[BoundedProtocol]:
    """Return the protocol with these limits; uvicorn makes an instance a connection."""
    return type("BoundedProtocol", (BoundedProtocol,), {"limits": limits})


def uvicorn_config(app: Any, limits: Limits, drain_s: int, tls: Tls | None = None) -> uvicorn.Config:
    """Return how uvicorn runs an application of ours: silent, without lifespan, proxies or WebSockets."""
    return uvicorn.Config(
        app,
        http=bounded(limits),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=2048,
        timeout_keep_alive=limits.keep_alive_s,
        timeout_graceful_shutdown=drain_s,
        ssl_certfile=tls.certificate if tls else None,
        ssl_keyfile=tls.key if tls else None,
    )
