"""nginx and HAProxy in front of the shop, as the how-to has it: every request is a span, above the shop's own."""

import http.client
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from examples.shop.directory import HOST, encode
from examples.shop.run import ROOT, Shop
from tests.balancers.programs import free_port, program, running
from tests.examples.sink import Sink, Span

CPDD = (sys.executable, "-c", "from cpdd.cli import main; main()")
TRACE_ID, SPAN_ID = "4bf92f3577b34da6a3ce929d{:08x}", "00f067aa{:08x}"
REQUESTS = 20


@contextmanager
def nginx(shop: Shop, sink: Sink, folder: Path, port: int) -> Iterator[None]:
    """As `cpdd demo --nginx` has it."""
    words = [sys.executable, "-m", "examples.shop.edge", "--nginx", program("nginx", "nginx-light")]
    environ = os.environ | {
        "SHOP_DATA": str(folder),
        "SHOP_PORTS": encode(shop.ports),
        "OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint,
    }
    with running([*words, "--port", str(port)], port, cwd=ROOT, env=environ):
        yield


@contextmanager
def haproxy(shop: Shop, sink: Sink, folder: Path, port: int) -> Iterator[None]:
    """With its log piped into `cpdd import-logs`."""
    words = [program("haproxy", "haproxy"), "-f", str(folder / "haproxy.cfg")]
    lines = subprocess.run([*CPDD, "lb-config", "haproxy"], check=True, capture_output=True, text=True).stdout
    (folder / "haproxy.cfg").write_text(
        "global\n    log stdout format raw local0\n"
        "defaults\n    mode http\n    log global\n timeout connect 9s\n timeout client 60s\n timeout server 60s\n"
        f"frontend edge\n    bind {HOST}:{port}\n{lines}    default_backend shop\n"
        f"backend shop\n    server shop {HOST}:{shop.ports['shop'].port}\n"
    )
    importing = [*CPDD, "import-logs", "--format", "haproxy-json", "--endpoint", sink.endpoint]
    with (
        subprocess.Popen(importing, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as importer,
        running(words, port, stdout=importer.stdin),
    ):
        yield


@pytest.fixture(scope="module", params=[nginx, haproxy])
def entrance(request, shop: Shop, sink: Sink, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a balancer in front of the shop."""
    port = free_port()
    with request.param(shop, sink, tmp_path_factory.mktemp("balancer"), port):
        yield port


def visit(port: int, user: str, traceparent: str | None) -> int:
    connection = http.client.HTTPConnection(HOST, port, timeout=60)
    connection.request("GET", f"/search?user={user}&q=mug", headers={"traceparent": traceparent} if traceparent else {})
    status = connection.getresponse().status
    connection.close()
    return status


def story_of(sink: Sink, user: str) -> list[Span] | None:
    """The balancer's two spans and the shop's of a visit, when all three have come."""
    story = [
        span
        for span in sink.spans()
        if span.attributes.get("url.query") == f"user={user}&q=mug" and span.kind == "SERVER"
    ]
    server = next((span for span in story if span.service in ("nginx", "haproxy")), None)
    shop = next((span for span in story if span.service == "shop"), None)
    client = next((span for span in sink.spans() if server is not None and span.parent_id == server.span_id), None)
    return [server, client, shop] if server and client and shop else None


@pytest.mark.parametrize("comes_with_a_trace", [True, False])
def test_every_request_is_a_span_of_the_balancer_and_the_shop_is_below_it(
    entrance: int, sink: Sink, comes_with_a_trace: bool
):
    users = [f"through-{entrance}-{number}-{comes_with_a_trace:d}" for number in range(REQUESTS)]
    ids = [(TRACE_ID.format(number << 16 | entrance), SPAN_ID.format(number)) for number in range(1, REQUESTS + 1)]
    parents = [f"00-{trace}-{span}-01" if comes_with_a_trace else None for trace, span in ids]

    with ThreadPoolExecutor(4) as visitors:
        statuses = list(visitors.map(visit, [entrance] * REQUESTS, users, parents))

    assert set(statuses) == {200}
    sink.wait_for(lambda: all(story_of(sink, user) for user in users))
    for user, (trace_id, span_id) in zip(users, ids, strict=True):
        server, client, shop = story_of(sink, user)
        assert client.parent_id == server.span_id
        assert server.trace_id == client.trace_id == shop.trace_id
        if comes_with_a_trace:
            assert (server.trace_id, server.parent_id) == (trace_id, span_id)
            assert shop.parent_id == client.span_id
        else:
            assert (server.parent_id, shop.parent_id) == ("", "")
            assert client.links == ((shop.span_id, "adopted"),)
