"""The loop thread tells when a server cannot listen, and ends when it is told to."""

import socket
import threading

import pytest

from collector.listen import Endpoint, bind
from collector.loop import LoopThread
from collector.receive.answers import Reply
from collector.receive.asgi import Receive, Scope, Send, respond
from collector.receive.limits import Limits
from collector.receive.protocol import uvicorn_config


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    await respond(send, Reply(200, "text/plain", b"hello"))


def test_a_socket_that_cannot_listen_is_told_to_who_started_the_server():
    thread = LoopThread()
    thread.start()
    listener = bind(Endpoint("health", "health"), "127.0.0.1", 0)
    listener.close()

    with pytest.raises((OSError, ValueError)):
        thread.serve(uvicorn_config(hello, Limits(), drain_s=1), listener)

    thread.stop()


def test_the_thread_ends_with_its_loop():
    before = threading.active_count()
    thread = LoopThread()
    thread.start()
    listener = bind(Endpoint("health", "health"), "127.0.0.1", 0)
    port = listener.getsockname()[1]
    server = thread.serve(uvicorn_config(hello, Limits(), drain_s=1), listener)

    server.stop()
    thread.stop()

    assert threading.active_count() == before
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 5)
