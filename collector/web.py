"""Runs a WSGI application on waitress, in threads. Which one is not our business: the pages are given from outside."""

import logging
import socket
import threading
import warnings
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from uvicorn.middleware.wsgi import WSGIMiddleware  # type: ignore[attr-defined]
from waitress import create_server, wasyncore

from collector.receive.answers import Reply
from collector.receive.asgi import Application, Receive, Scope, Send, content_length, header, respond
from collector.store.thread_priority import go_first

log = logging.getLogger(__name__)

WsgiApplication = Callable[..., Any]

THREADS = 8
MAX_REQUEST_BYTES = 16 << 20
"""Pages and queries are read; nothing large is sent to them."""
DRAIN_S = 10


def as_asgi(app: WsgiApplication) -> Application:
    """Return the application for an ASGI server; pages are made in threads, so that the loop goes on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # in favour of a package that does the same
        inner: Application = WSGIMiddleware(app, workers=THREADS)

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        # WSGI knows X_User and X-User by one name, and a proxy that replaces the one lets the other through.
        scope["headers"] = [(name, value) for name, value in scope["headers"] if b"_" not in name]
        length = content_length(scope)
        if header(scope, b"transfer-encoding") or (length is None and header(scope, b"content-length")):
            await respond(send, Reply(HTTPStatus.LENGTH_REQUIRED, "text/plain", b"say content-length\n"))
        elif (length or 0) > MAX_REQUEST_BYTES:
            await respond(send, Reply(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "text/plain", b"the body is too large\n"))
        else:
            await inner(scope, receive, send)

    return answer


class WebServer:
    """A server on a bound socket, from `start` to `stop`."""

    def __init__(self, app: WsgiApplication, listener: socket.socket) -> None:
        self._sockets: dict[int, Any] = {}
        self._server = create_server(
            app,
            map=self._sockets,
            sockets=[listener],
            threads=THREADS,
            ident="cpdd",
            max_request_body_size=MAX_REQUEST_BYTES,
            channel_timeout=60,
            connection_limit=1_000,
            asyncore_use_poll=True,  # select() ends at file 1,023
        )
        self._thread = threading.Thread(target=self._run, name="cpdd-web", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Take no more connections, finish the pages in work, and end.

        In this order: a worker that ends wakes the loop through a pipe, which must not have been closed by then.
        """
        self._in_loop(lambda: wasyncore.dispatcher.close(self._server))
        self._server.task_dispatcher.shutdown(timeout=DRAIN_S)
        self._in_loop(lambda: wasyncore.close_all(self._sockets))
        self._thread.join()

    def _run(self) -> None:
        go_first()  # it hands requests to who answers them, and answers to the network
        self._server.run()

    def _in_loop(self, action: Callable[[], None]) -> None:
        """Let the loop's thread do it, and wait."""
        done = threading.Event()

        def act_and_tell() -> None:
            try:
                action()
            finally:
                done.set()

        self._server.trigger.pull_trigger(act_and_tell)
        done.wait()
