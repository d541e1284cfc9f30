"""The push provider against a real sampling port, and against what may stand in its place."""

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cpdd.sampling.keeper import Keeper
from cpdd.sampling.push import PushProvider
from cpdd.sampling.sampler import DynamicSampler
from tests.control.control_server import MemoryLog, SlowLog, control_server
from tests.cpdd.sampling.following import HIGH, LOW, WatchedSampler, following
from tests.cpdd.sampling.policies import policy


def test_a_boost_is_pushed_to_the_client_that_follows():
    with control_server() as server, following(server.address) as (sampler, keeper):
        sampler.wait_for(lambda: keeper.standing.hash != "")
        answer = server.boost(service="shop", operation="GET /", duration_s=60)
        sampler.wait_for(sampler.keeps)

    assert answer["clients"] == 1
    assert (keeper.standing.version, keeper.standing.problem) == (1, "")


def test_a_counted_boost_adds_its_traces_and_no_more_in_all_clients_together():
    with control_server() as server, following(server.address) as (one, _), following(server.address) as (other, _):
        for sampler in (one, other):
            sampler.wait_for(lambda sampler=sampler: sampler.document.hash != "")
        server.boost(service="shop", id="inc", max_traces=40)
        kept = {one: 0, other: 0}

        def draw(sampler: WatchedSampler) -> bool:
            kept[sampler] += sum(sampler.keeps() for _ in range(100))
            return sum(kept.values()) >= 30

        one.wait_for(lambda: draw(one) or draw(other))
        for sampler in (one, other, one, other):
            draw(sampler)

    assert 30 <= sum(kept.values()) <= 40


def test_a_change_is_followed_while_it_is_being_written_and_answered_after():
    log = SlowLog()
    with control_server(log) as server, following(server.address) as (sampler, _), ThreadPoolExecutor(1) as asking:
        answer = asking.submit(lambda: server.boost(service="shop", id="b"))
        sampler.wait_for(sampler.keeps)
        answered_before = answer.done()
        written_before = len(log.rows)
        log.may_go_on.set()

        version = answer.result(60)["version"]

    assert (answered_before, written_before) == (False, 0)
    assert [change.version for change, _ in log.rows] == [version]


def test_a_change_that_cannot_be_written_is_taken_back_and_told_so():
    log = SlowLog()
    log.fails = True
    with control_server(log) as server, following(server.address) as (sampler, _), ThreadPoolExecutor(1) as asking:
        answer = asking.submit(lambda: server.ask("POST", "/v1/boosts", {"service": "shop", "id": "b"}))
        sampler.wait_for(sampler.keeps)
        log.may_go_on.set()

        code, refusal = answer.result(60)
        sampler.wait_for(lambda: not sampler.keeps())
        state = server.ask("GET", "/v1/state")[1]

    assert (code, refusal["error"]) == (500, "no space left on device")
    assert (state["version"], state["boosts"], state["log"]) == (0, [], [])


def test_nothing_is_added_under_a_counted_boost_before_it_is_written():
    log = SlowLog()
    with control_server(log) as server, following(server.address) as (sampler, _), ThreadPoolExecutor(1) as asking:
        answer = asking.submit(lambda: server.boost(service="shop", id="counted", max_traces=20))
        sampler.wait_for(lambda: bool(sampler.document.policies))
        kept_before = sampler.keeps()
        granted_before = sampler._leases["counted"].granted
        log.may_go_on.set()

        answer.result(60)
        sampler.wait_for(sampler.keeps)

    assert (kept_before, granted_before) == (False, 0)


def test_without_the_token_of_spans_a_client_follows_policies_and_is_granted_nothing():
    with (
        control_server(ingest_tokens="spans") as server,
        following(server.address) as (stranger, _),
        following(server.address, authorization="Bearer spans") as (sampler, _),
    ):
        server.boost(service="shop", id="counted", max_traces=30)
        server.boost(service="shop", operation="GET /all", id="all")
        sampler.wait_for(lambda: sampler.keeps())
        stranger.wait_for(lambda: stranger.should_sample(None, LOW, "GET /all").decision.is_sampled())
        clients = server.ask("GET", "/v1/state")[1]["clients"]

    assert not stranger.keeps()
    assert len(clients) == 1, "who may not report is in no list"


def test_the_server_learns_what_was_seen_and_kept():
    with control_server() as server, following(server.address) as (sampler, keeper):
        server.ask("POST", "/v1/policies", policy("half", 50))
        sampler.wait_for(lambda: keeper.standing.version == 1)
        for _ in range(3):
            sampler.keeps(HIGH)
            sampler.keeps(LOW)
        deadline = time.monotonic() + 60
        rows: list[dict[str, object]] = []
        while not rows and time.monotonic() < deadline:
            rows = server.ask("GET", "/v1/state")[1]["rates"]

    assert [(row["operation"], row["rule"], row["kept_share"]) for row in rows] == [("GET /", "half", 0.5)]


def test_a_server_that_comes_back_is_found_again_and_the_last_policies_stay_meanwhile():
    log = MemoryLog()
    with control_server(log) as server:
        port = server.port
        server.ask("POST", "/v1/policies", policy("all", 100))
        context = following(server.address)
        sampler, keeper = context.__enter__()
        sampler.wait_for(sampler.keeps)
    try:
        assert sampler.keeps(), "by the last policies"
        with control_server(log, port=port) as server:
            server.ask("POST", "/v1/policies", {"policies": [policy("none", 0)], "replace": True})
            sampler.wait_for(lambda: not sampler.keeps(HIGH))
        assert keeper.standing.version == 2
    finally:
        context.__exit__(None, None, None)


class Cable:
    """Carries bytes to a port and back, until it is cut: then connections stay open and nothing comes any more."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._is_cut = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = [self._listener]
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        self._is_cut.set()

    def mend(self) -> None:
        self._is_cut.clear()

    def take_away(self) -> None:
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._port))
                self._sockets += near, far
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while some := one.recv(1 << 16):
                if self._is_cut.is_set():
                    return
                other.sendall(some)
            other.shutdown(socket.SHUT_WR)


def test_where_the_network_is_cut_the_last_policies_stay_the_status_says_why_and_it_is_found_again():
    with control_server() as server:
        server.ask("POST", "/v1/policies", policy("all", 100))
        cable = Cable(server.port)
        with following(cable.address, silence_s=0.3) as (sampler, keeper):
            sampler.wait_for(sampler.keeps)
            lost = threading.Event()
            lose = keeper.lose
            keeper.lose = lambda problem: (lose(problem), lost.set())[0]  # type: ignore[method-assign]
            cable.cut()
            assert lost.wait(20)
            kept, problem = sampler.keeps(), keeper.standing.problem
            server.ask("POST", "/v1/policies", {"policies": [policy("none", 0)], "replace": True})
            cable.mend()
            sampler.wait_for(lambda: not sampler.keeps(HIGH), 20)
        cable.take_away()

    assert kept
    assert "timed out" in problem
    assert keeper.standing.version == 2


class Answers(BaseHTTPRequestHandler):
    """A server that says what `said` says, to every GET."""

    said: tuple[int, str, bytes] = (404, "text/plain", b"nothing here")

    def do_GET(self) -> None:
        status, kind, body = self.said
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None: ...


@contextmanager
def answering(status: int, kind: str, body: bytes) -> Iterator[str]:
    handler = type("Handler", (Answers,), {"said": (status, kind, body)})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize(
    "said",
    [
        (404, "text/plain", b"nothing here"),
        (500, "text/html", b"<h1>broken</h1>"),
        (200, "application/json", b'{"version": 1, "policies": [{"id": "a"}]}'),
        (200, "application/json", b"\xff\xfe garbage"),
        (200, "application/json", b"[" * 100_000),
        (200, "text/event-stream", b"event: policies\ndata: {nonsense}\n\n"),
        (200, "text/event-stream", b"event: leases\ndata: [1]\n\nevent: leases\ndata: {\n\n"),
    ],
)
def test_a_server_that_talks_nonsense_changes_nothing_and_the_status_says_why(said: tuple[int, str, bytes]):
    with answering(*said) as address:
        sampler = DynamicSampler("shop", baseline=0.0)
        told = threading.Event()

        class Watched(Keeper):
            def lose(self, problem: str) -> None:
                super().lose(problem)
                told.set()

            def refuse(self, problem: str) -> None:
                super().refuse(problem)
                told.set()

        keeper = Watched(sampler)
        provider = PushProvider(address, keeper)
        provider.start()
        heard = told.wait(60)
        provider.stop()

    assert heard
    assert keeper.standing.problem
    assert not sampler.should_sample(None, HIGH, "GET /").decision.is_sampled()


def test_where_events_do_not_pass_the_client_polls():
    """A server that knows the poll alone: what a proxy leaves that takes streams for errors."""
    text = b'{"version": 3, "policies": [{"id": "a", "trace": {"match": [{"trace_field": "NAME", "exact": "GET /"}], "keep": {"percentage": 100}}}]}'  # fmt: skip  # noqa: E501

    class Polls(Answers):
        def do_GET(self) -> None:
            self.said = (200, "application/json", text) if "/stream" not in self.path else (404, "text/plain", b"no")
            super().do_GET()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Polls)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        with following(f"http://127.0.0.1:{server.server_port}") as (sampler, keeper):
            sampler.wait_for(sampler.keeps)
    finally:
        server.shutdown()
        server.server_close()

    assert keeper.standing.version == 3


def test_a_garbage_push_to_a_running_client_leaves_the_old_policies(caplog: pytest.LogCaptureFixture):
    sampler = DynamicSampler("shop", baseline=0.0)
    keeper = Keeper(sampler)
    good = b'{"version": 1, "policies": [{"id": "a", "trace": {"match": [{"trace_field": "NAME", "exists": true}], "keep": {"percentage": 100}}}]}'  # fmt: skip  # noqa: E501

    assert keeper.take(good, "here")
    for garbage in (b"", b"\x00", b'{"version": 2, "policies": [{"id": 5}]}', b'{"version": 2, "hash": "x"}'):
        assert not keeper.take(garbage, "here")

    assert sampler.should_sample(None, LOW, "GET /").decision.is_sampled()
    assert keeper.standing.version == 1
    assert "hash" in keeper.standing.problem
