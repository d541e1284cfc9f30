"""Ports over TLS: exporters and browsers come in by the certificate, and files that will not do stop the start."""

import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

import grpc
import pytest
from flask import Flask, request

from collector.listen import Endpoint, bind, port_of
from collector.loop import LoopThread
from collector.receive.limits import Limits
from collector.receive.protocol import uvicorn_config
from collector.tls import Tls, TlsUnusable, load_tls
from collector.web import MAX_REQUEST_BYTES, as_asgi
from cpdd.settings import Settings
from tests.serving import server_here

CERT, KEY = (Path(__file__).parent / "tls" / name for name in ("cert.pem", "key.pem"))
TRUST = ssl.create_default_context(cafile=CERT)


@pytest.fixture(scope="module")
def page() -> Iterator[str]:
    app = Flask("page")
    app.add_url_rule("/", "page", lambda: f"{request.host_url} {request.remote_addr}")
    app.add_url_rule("/", "post", lambda: request.get_data(), methods=["POST"])
    thread = LoopThread()
    thread.start()
    listener = bind(Endpoint("ui", "pages"), "127.0.0.1", 0)
    port = port_of(listener)
    server = thread.serve(uvicorn_config(as_asgi(app), Limits(), 5, Tls(CERT, KEY)), listener)
    yield f"https://127.0.0.1:{port}/"
    server.stop()
    thread.stop()


def test_a_page_over_tls_knows_its_address_and_who_asks(page: str):
    with urlopen(page, context=TRUST, timeout=60) as answer:
        assert answer.read().decode() == f"{page} 127.0.0.1"


def test_what_is_posted_arrives_and_too_much_is_refused(page: str):
    with urlopen(Request(page, b"x" * 100_000), context=TRUST, timeout=60) as answer:
        assert len(answer.read()) == 100_000
    too_large = Request(page, b"", {"content-length": str(MAX_REQUEST_BYTES + 1)}, method="POST")
    with pytest.raises(URLError, match="413"):
        urlopen(too_large, context=TRUST, timeout=60)


def test_who_does_not_trust_the_certificate_does_not_come_in(page: str):
    with pytest.raises(URLError, match="CERTIFICATE_VERIFY_FAILED"):
        urlopen(page, timeout=60)


def test_receivers_speak_tls_and_say_so_in_their_addresses(tmp_path: Path):
    with server_here(tmp_path, tls_cert=str(CERT), tls_key=str(KEY)) as server:
        addresses = server.addresses
        body = Request(f"{addresses['otlp_http']}/v1/traces", b"", {"content-type": "application/x-protobuf"})
        with urlopen(body, context=TRUST, timeout=60) as answer:
            over_http = answer.status
        credentials = grpc.ssl_channel_credentials(CERT.read_bytes())
        with grpc.secure_channel(addresses["otlp_grpc"], credentials) as channel:
            call = channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
            over_grpc = call(b"", timeout=60)
        with urlopen(f"{addresses['sampling_http']}/v1/policies", context=TRUST, timeout=60) as answer:
            policies = answer.status
        with urlopen(addresses["health"], timeout=60) as answer:
            health = answer.status

    assert (over_http, over_grpc, policies, health) == (200, b"", 200, 200)
    secure = {key for key, address in addresses.items() if address.startswith("https://")}
    assert secure == {"otlp_http", "zipkin", "ui", "sampling_http"}


@pytest.mark.parametrize(
    ("cert", "key", "problem"),
    [
        (CERT, "", "tls_key is not set"),
        ("", KEY, "tls_cert is not set"),
        (CERT, "/nowhere/key.pem", "No such file(.|\n)*/nowhere/key.pem"),
        (CERT, CERT, "no pair of PEM files"),
    ],
)
def test_files_that_will_not_do_are_told(cert: object, key: object, problem: str):
    with pytest.raises(TlsUnusable, match=problem):
        load_tls(Settings(tls_cert=str(cert), tls_key=str(key)))
