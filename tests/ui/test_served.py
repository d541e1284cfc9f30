"""Pages as `cpdd serve` serves them: a process, a socket, and whoever stands between it and the reader."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection
from urllib.parse import urlencode, urlsplit

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from tests.serving import server_process
from tests.ui.page_text import ReadPage

BOOST = "/sampling/boost?service=shop"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True)
class Pages:
    """What listens for browsers."""

    address: str

    def ask(self, path: str, headers: Mapping[str, str], form: Mapping[str, str] | None = None) -> tuple[int, str]:
        connection = HTTPConnection(urlsplit(self.address).netloc, timeout=60)
        try:
            body = None if form is None else urlencode(form)
            connection.request("GET" if form is None else "POST", path, body, {**(FORM if form else {}), **headers})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def form_token(self, path: str, headers: Mapping[str, str]) -> str:
        said = ReadPage(self.ask(path, headers)[1])
        return next(of["value"] for _, of in said.elements if of.get("name") == "form_token")


@pytest.fixture(scope="module")
def behind_proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Pages, str]]:
    """Pages that believe a proxy on this machine, and the id of a trace that they have."""
    flags = ("--trusted-user-header", "X-Forwarded-User", "--public-url", "https://cpdd.example")
    with server_process(tmp_path_factory.mktemp("behind"), *flags) as server:
        provider = TracerProvider()
        provider.add_span_processor(
            SimpleSpanProcessor(OTLPSpanExporter(f"{server.addresses['otlp_http']}/v1/traces", timeout=60))
        )
        with provider.get_tracer("test").start_as_current_span("POST /buy") as span:
            trace_id = f"{span.get_span_context().trace_id:032x}"
        yield Pages(server.addresses["ui"]), trace_id


ANN = {"X-Forwarded-User": "ann", "Host": "cpdd.example"}


def test_who_comes_through_a_trusted_proxy_is_told_what_a_change_would_need_and_gets_no_button(behind_proxy):
    pages, trace_id = behind_proxy

    for path in (BOOST, f"/traces/{trace_id}"):
        status, text = pages.ask(path, ANN)
        said = ReadPage(text)
        assert status == 200
        assert "You are ann" in said.text
        assert "Changes from another machine need a token, and this server has none: start it with" in said.text
        assert not [of for tag, of in said.elements if tag == "form" and of.get("method") == "post"]
    status, text = pages.ask("/sampling", ANN)
    assert "Not from this page." in text
    assert "/sampling/boost" not in [of.get("formaction") for _, of in ReadPage(text).elements]
    values = {path: json.loads(pages.ask(f"{path}.json", ANN)[1]) for path in (f"/traces/{trace_id}", "/sampling")}
    assert [values[f"/traces/{trace_id}"]["can_keep"], values["/sampling"]["can_change"]] == [False, False]


def test_the_public_address_is_in_what_is_passed_on(behind_proxy):
    pages, trace_id = behind_proxy

    packet = json.loads(pages.ask(f"/traces/{trace_id}/escalation.json", ANN)[1])

    assert re.fullmatch(rf"https://cpdd\.example/traces/{trace_id}\?.*", packet["address"])


@pytest.fixture(scope="module")
def open_pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    """Pages as they are when nobody said anything."""
    with server_process(tmp_path_factory.mktemp("open")) as server:
        yield Pages(server.addresses["ui"])


def test_at_this_machine_the_button_is_there_and_works(open_pages):
    said = {"form_token": open_pages.form_token(BOOST, {}), "service": "shop", "to": "50", "for": "1m"}

    assert open_pages.ask("/sampling/boosts", {}, said)[0] == 303
    assert json.loads(open_pages.ask("/sampling.json", {})[1])["boosts"][0]["of"]


@pytest.mark.parametrize("path", ["/", "/.json", "/api/services", "/openapi.json", "/healthz"])
def test_a_page_of_another_site_that_points_its_name_here_reads_nothing(open_pages, path):
    status, text = open_pages.ask(path, {"Host": "evil.example"})

    assert status == 421
    assert "not known as evil.example" in text
    assert "CPDD_PUBLIC_URL" in text, "what to set where it is no stranger's"
    assert open_pages.ask("/static/page.css", {"Host": "evil.example"})[0] == 200, "what the sentence is drawn with"
    for host in ("localhost:16686", "127.0.0.1", "[::1]:16686", "host.docker.internal:16686"):
        assert open_pages.ask(path, {"Host": host})[0] == 200


def test_nor_does_one_that_says_it_came_through_the_proxy(behind_proxy):
    pages, _ = behind_proxy

    assert pages.ask("/", ANN | {"Host": "evil.example"})[0] == 421
    assert pages.ask("/", ANN)[0] == 200
