"""Who may come in: by one of several tokens, which can be exchanged while the server runs."""

import base64
import os
from pathlib import Path

import grpc
import pytest

from collector.tokens import ANYBODY, Tokens, TokensUnreadable
from tests.receive.loopback import PROTOBUF, FakePipeline, serve_grpc, serve_http

TWO = Tokens("ingest_tokens", "new, old")


def basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"anyone:{password}".encode()).decode()


def test_each_of_several_tokens_is_valid():
    assert TWO.allow("Bearer new")
    assert TWO.allow("bearer  old")
    assert TWO.allow(basic("old"))


@pytest.mark.parametrize(
    "said", ["", "Bearer", "Bearer ", "Bearer newer", "new", "Basic new", "Basic !!!!", basic(""), "Bearer n\udcffw"]
)
def test_nothing_else_is(said: str):
    assert not TWO.allow(said)


def test_where_no_token_is_set_nothing_is_asked_for():
    assert ANYBODY.allow("")
    assert not ANYBODY.asked_for


def test_tokens_of_a_file_are_exchanged_without_a_restart(tmp_path: Path):
    file = tmp_path / "tokens"
    file.write_text("old\n")
    tokens = Tokens("read_tokens", f"@{file}")

    file.write_text("new\nold\n")
    both = tokens.allow("Bearer new"), tokens.allow("Bearer old")
    file.write_text("new\n")
    one = tokens.allow("Bearer new"), tokens.allow("Bearer old")
    os.remove(file)
    while_missing = tokens.allow("Bearer new"), tokens.allow("Bearer old")

    assert (both, one, while_missing) == ((True, True), (True, False), (True, False))


@pytest.mark.parametrize("text", [None, "", " \n"])
def test_a_file_without_tokens_stops_the_start(tmp_path: Path, text: str | None):
    file = tmp_path / "tokens"
    if text is not None:
        file.write_text(text)

    with pytest.raises(TokensUnreadable, match=r"read_tokens(.|\n)*hint: write a token a line"):
        Tokens("read_tokens", f"@{file}")


def test_spans_over_http_need_a_token_before_their_body_is_read():
    pipeline = FakePipeline()

    with serve_http(pipeline, tokens=TWO) as server:
        without = server.post(b"", PROTOBUF)
        wrong = server.post(b"", PROTOBUF | {"Authorization": "Bearer no"})
        right = server.post(b"", PROTOBUF | {"Authorization": "Bearer old"})
        refused = server.count("cpdd_receiver_requests_total", receiver="otlp_http", answer="token")

    assert (without.status, wrong.status, right.status) == (401, 401, 200)
    assert without.headers["www-authenticate"] == 'Bearer realm="cpdd"'
    assert b"OTEL_EXPORTER_OTLP_HEADERS" in without.content
    assert refused == 2


def test_spans_over_grpc_need_a_token():
    with serve_grpc(FakePipeline(), tokens=TWO) as server, server.channel() as channel:
        call = channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
        answer = call(b"", timeout=60, metadata=(("authorization", "Bearer new"),))
        with pytest.raises(grpc.RpcError) as refused:
            call(b"", timeout=60)

    assert answer == b""
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
