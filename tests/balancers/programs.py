"""nginx and HAProxy, started with our configuration, in front of an application that behaves as an instrumented one."""

import http.client
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags, get_current_span

from cpdd.cli._lb_haproxy import haproxy_config
from cpdd.cli._lb_log import READERS
from cpdd.cli._lb_nginx import nginx_config
from cpdd.cli._lb_spans import spans_of
from cpdd.ids import PrivateIds
from cpdd.propagation import TraceContextPropagator
from cpdd.server_timing import server_timing
from tests.ports import free_port

PATIENCE_S = 60.0
RESOURCE = Resource({"service.name": "edge"})


class App(BaseHTTPRequestHandler):
    """Goes on with the caller's trace or starts one, and names its span in Server-Timing."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        ids = self.server.ids
        caller = get_current_span(TraceContextPropagator().extract(self.headers)).get_span_context()
        trace_id = caller.trace_id or ids.generate_trace_id()
        flags = caller.trace_flags if caller.is_valid else self.server.root_flags
        span = SpanContext(trace_id, ids.generate_span_id(), False, flags)
        self.server.seen.append((self.path, caller, span, self.headers))
        self.send_response(503 if "fail" in self.path else 200)
        self.send_header("Server-Timing", server_timing(span))
        self.send_header("Cache-Control", "max-age=60" if "cached" in self.path else "no-store")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None: ...


@dataclass
class Answer:
    """What a client got, what the application saw, and the spans of the balancer's log."""

    status: int
    headers: http.client.HTTPMessage
    caller: SpanContext | None
    app: SpanContext | None
    sent: object
    spans: list[ReadableSpan] = field(default_factory=list)

    @property
    def server(self) -> ReadableSpan:
        (span,) = [span for span in self.spans if span.kind is SpanKind.SERVER]
        return span

    @property
    def attempts(self) -> list[ReadableSpan]:
        return [span for span in self.spans if span.kind is SpanKind.CLIENT]


class Balancer:
    """A running balancer: ask it, and get what it logged about that."""

    def __init__(self, port: int, format: str, lines: Callable[[int], Sequence[str]], app: ThreadingHTTPServer) -> None:
        self.port = port
        self._format = format
        self._lines = lines
        self._app = app
        self._asked = 0

    def ask(self, path: str = "/items?page=2", **headers: str) -> Answer:
        self._app.seen.clear()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        response.read()
        connection.close()
        self._asked += 1
        seen = self._app.seen[-1][1:] if self._app.seen else (None, None, None)
        line = self._lines(self._asked)[self._asked - 1]
        return Answer(response.status, response.headers, *seen, spans_of(READERS[self._format](line), RESOURCE))


def program(name: str, package: str) -> str:
    """Where a program is; the test is skipped where it is not installed."""
    found = shutil.which(name, path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if found is None:
        pytest.skip(f"{name} is not installed: apt-get install {package}")
    return found


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Balancers hang up on connections that they keep."""


@contextmanager
def application() -> Iterator[ThreadingHTTPServer]:
    server = _Server(("127.0.0.1", 0), App)
    server.seen, server.ids, server.root_flags = [], PrivateIds(), TraceFlags(3)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@contextmanager
def nginx(folder: Path, decide: Fraction | None, app: ThreadingHTTPServer) -> Iterator[Balancer]:
    nginx = program("nginx", "nginx-light")
    port, dead = free_port(), free_port()
    (folder / "cpdd.conf").write_text(nginx_config(decide, str(folder / "log.json")))
    temporary = "".join(
        f"{name}_temp_path {folder}/temporary; " for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/errors; events {{}}\n"
        f"http {{ {temporary} include {folder}/cpdd.conf; proxy_cache_path {folder}/cache keys_zone=small:1m;\n"
        f"upstream retried {{ server 127.0.0.1:{dead} weight=100 max_fails=0; server 127.0.0.1:{app.server_port}; }}\n"
        f"server {{ listen 127.0.0.1:{port};\n"
        f"location / {{ proxy_pass http://127.0.0.1:{app.server_port}; }}\n"
        f"location /cached {{ proxy_cache small; proxy_pass http://127.0.0.1:{app.server_port}; }}\n"
        f"location /retried {{ proxy_pass http://retried; }}\n"
        f"location /down {{ proxy_pass http://127.0.0.1:{dead}; }} }} }}\n"
    )
    log = folder / "log.json"
    with running([nginx, "-c", str(folder / "nginx.conf")], port):
        yield Balancer(port, "nginx-json", lambda enough: logged(log, enough), app)


@contextmanager
def haproxy(folder: Path, decide: Fraction | None, app: ThreadingHTTPServer) -> Iterator[Balancer]:
    haproxy = program("haproxy", "haproxy")
    port, dead, log = free_port(), free_port(), folder / "log.json"
    live = f"server live 127.0.0.1:{app.server_port}"
    (folder / "haproxy.cfg").write_text(
        "global\n    log stdout format raw local0\ncache small\n    total-max-size 1\n    max-age 60\n"
        "defaults\n    mode http\n    log global\n    timeout connect 1s\n    timeout client 5s\n"
        "    timeout server 5s\n    retries 3\n    option redispatch 1\n"
        f"frontend edge\n    bind 127.0.0.1:{port}\n{haproxy_config(decide)}"
        "    use_backend cached if { path_beg /cached }\n    use_backend retried if { path_beg /retried }\n"
        "    use_backend down if { path_beg /down }\n    default_backend app\n"
        f"backend app\n    {live}\n"
        f"backend cached\n    http-request cache-use small\n    http-response cache-store small\n    {live}\n"
        f"backend retried\n    balance roundrobin\n    server dead 127.0.0.1:{dead} weight 100\n    {live} weight 100\n"
        f"backend down\n    server dead 127.0.0.1:{dead}\n    retries 0\n"
    )
    with log.open("wb") as output, running([haproxy, "-f", str(folder / "haproxy.cfg")], port, stdout=output):
        yield Balancer(port, "haproxy-json", lambda enough: logged(log, enough), app)


@contextmanager
def running(command: list[str], port: int, **options: Any) -> Iterator[None]:
    """A program, once it listens; it is ended with the block."""
    process = subprocess.Popen(command, **options)
    try:
        _until(lambda: _listens(port, process))
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def _listens(port: int, process: "subprocess.Popen[bytes]") -> bool:
    assert process.poll() is None, "the balancer ended: is its configuration valid?"
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def logged(path: Path, enough: int) -> Sequence[str]:
    """The lines of requests, once there are enough; connections without a request are not among them."""
    found: list[str] = []

    def read() -> bool:
        lines = path.read_text().splitlines() if path.exists() else []
        found[:] = [line for line in lines if '"balancer"' in line and '"method":"<BADREQ>"' not in line]
        return len(found) >= enough

    _until(read)
    return found


def _until(holds: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(round(PATIENCE_S / 0.02)):
        if holds():
            return
        pause.wait(0.02)
    raise AssertionError(f"not within {PATIENCE_S} s")
