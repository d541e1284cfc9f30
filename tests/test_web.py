"""The web server runs whatever application it is given, and lets go of it in order."""

import asyncio
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.request import urlopen

import pytest

from collector.listen import Endpoint, bind, port_of
from collector.web import WebServer, as_asgi
from tests.receive.loopback import HOST, WAIT_S, wait_until_closed

UI = Endpoint("ui", "pages")


def hello(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [("content-type", "text/plain")])
    return [f"hello from {environ['PATH_INFO']}".encode()]


def get(port: int, path: str = "/") -> bytes:
    with urlopen(f"http://{HOST}:{port}{path}", timeout=WAIT_S) as answer:
        return answer.read()


def test_an_application_is_served_until_the_server_stops():
    listener = bind(UI, HOST, 0)
    port = port_of(listener)
    server = WebServer(hello, listener)
    server.start()

    page = get(port, "/journeys")
    server.stop()

    assert page == b"hello from /journeys"
    with pytest.raises(OSError, match="refused"):
        get(port)


def test_a_page_in_work_is_finished_before_the_server_stops():
    entered, leave = threading.Event(), threading.Event()

    def slow(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        entered.set()
        leave.wait(WAIT_S)
        return hello(environ, start_response)

    listener = bind(UI, HOST, 0)
    port = port_of(listener)
    server = WebServer(slow, listener)
    server.start()
    with ThreadPoolExecutor(1) as threads:
        page = threads.submit(get, port)
        entered.wait(WAIT_S)
        stopping = threading.Thread(target=server.stop)

        stopping.start()
        wait_until_closed(port)
        leave.set()
        stopping.join()

        assert page.result() == b"hello from /"


def test_many_readers_are_served_at_once():
    listener = bind(UI, HOST, 0)
    port = port_of(listener)
    server = WebServer(hello, listener)
    server.start()

    with ThreadPoolExecutor(20) as threads:
        pages = list(threads.map(get, [port] * 200))
    server.stop()

    assert pages == [b"hello from /"] * 200


def test_a_header_with_an_underscore_is_no_other_header():
    """WSGI has one name for both, and a proxy that replaces the one lets the other through."""
    seen: list[dict[str, Any]] = []

    def pages(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        seen.append(environ)
        return hello(environ, start_response)

    headers = [(b"host", b"cpdd.example"), (b"x_forwarded_user", b"root"), (b"x-other", b"kept")]
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "http_version": "1.1"}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: object) -> None: ...

    asyncio.run(as_asgi(pages)({**scope, "headers": headers}, receive, send))

    assert "HTTP_X_FORWARDED_USER" not in seen[0]
    assert seen[0]["HTTP_X_OTHER"] == "kept"
