"""What pages change: boosts, over a real sampling service and its rules of who may, and traces that are kept."""

from collections.abc import Callable, Iterator, Sequence

import pytest
from flask.testing import FlaskClient

from collector.control.guard import Caller, Forbidden, Guard
from collector.control.requests import BoostRequest, Renewal
from collector.control.service import Boosted
from collector.control.state import state_of
from collector.core.sampling.roots import Root
from collector.forms import Forms
from collector.store.pins import Pin
from collector.store.values import KeptLonger
from collector.tokens import Tokens
from cpdd.testing import FakeClock
from tests.control.control_server import ControlServer, KnownRoots, control_server
from tests.ui.conftest import SETTINGS
from tests.ui.memory import MemoryReader
from tests.ui.page_text import ReadPage
from tests.ui.shop import NOW_NS, shop_traces
from tests.ui.test_pages import page, twin
from ui.app import create_app

ASKED = {"service": "redis", "operation": "GET", "to": "50", "for": "15m"}
ROOTS = {("redis", "GET", ""): [Root("shop", "GET /"), Root("shop", "POST /checkout")]}


class Threads:
    """The service as pages ask it: from other threads, as `collector.control.run.Control` does."""

    longest_boost_s = 3_600.0

    def __init__(self, server: ControlServer, token: str = "") -> None:
        self._server = server
        self._guard = Guard("127.0.0.1", Tokens("control_token", token))
        self.needs_token = bool(token)

    def admit(self, caller: Caller) -> None:
        self._guard.check(caller)
        self._guard.check_change(caller)

    def refusal_of_all_from(self, peer: str) -> Forbidden | None:
        return self._guard.refusal_of_all_from(peer)

    def roots_of(self, request: BoostRequest) -> tuple[Sequence[Root], bool]:
        return self._server.loop.run(self._server.service.roots_of(request))

    def doubt(self, request: BoostRequest) -> str:
        return self._server.loop.run(self._server.service.doubt(request))

    def boost(self, request: BoostRequest) -> Boosted:
        return self._server.loop.run(self._server.service.boost(request))

    def renew_boost(self, boost_id: str, renewal: Renewal, repeat: bool) -> Boosted:
        return self._server.loop.run(self._server.service.renew(boost_id, renewal, repeat))

    def end_boost(self, boost_id: str, author: str, reason: str) -> int:
        return self._server.loop.run(self._server.service.delete(boost_id, author, reason))


class MemoryPins:
    """Keeps pins in memory, as `collector.store.pins.Pins` keeps them in the store."""

    def __init__(self) -> None:
        self.held: dict[str, Pin] = {}

    def pin(self, trace_id: str, author: str, note: str = "") -> Pin:
        self.held[trace_id] = Pin(trace_id, author, note, NOW_NS)
        return self.held[trace_id]

    def release(self, trace_id: str) -> bool:
        return self.held.pop(trace_id, None) is not None

    def pinned(self) -> list[Pin]:
        return list(self.held.values())


@pytest.fixture
def server() -> Iterator[ControlServer]:
    with control_server(roots=KnownRoots(ROOTS)) as server:
        yield server


@pytest.fixture
def at() -> FakeClock:
    return FakeClock(NOW_NS)


@pytest.fixture
def timed(at: FakeClock) -> Iterator[ControlServer]:
    """A server whose time is moved by hand."""
    with control_server(roots=KnownRoots(ROOTS), clock=at.now_s, wall_clock=at.now_s) as server:
        yield server


def pages_of(server: ControlServer, token: str = "", clock: Callable[[], int] = lambda: NOW_NS) -> FlaskClient:
    reader = MemoryReader(shop_traces(20))
    app = create_app(
        reader,
        SETTINGS,
        clock,
        lambda: server.loop.run(state_of(server.service)),
        Threads(server, token),
        pins=MemoryPins(),
        forms=Forms(Tokens("control_token", token)),
    )
    return app.test_client()


def form(pages: FlaskClient, address: str, action: str) -> dict[str, str]:
    """What the form of a page that posts to `action` would send."""
    elements = ReadPage(pages.get(address, query_string=ASKED if "boost" in address else {}).text).elements
    begin = next(i for i, (tag, of) in enumerate(elements) if tag == "form" and of.get("action") == action)
    end = next((i for i in range(begin + 1, len(elements)) if elements[i][0] == "form"), len(elements))
    return {of["name"]: of.get("value", "") for tag, of in elements[begin:end] if tag == "input"}


def button(pages: FlaskClient, name: str) -> str:
    """What the first button with this name sends on the page of sampling."""
    elements = ReadPage(pages.get("/sampling").text).elements
    return next(of["value"] for tag, of in elements if tag == "button" and of.get("name") == name)


def boosts(server: ControlServer) -> list[str]:
    return [policy.id for policy in server.service.book.boosts(server.service.now_ms())]


def test_the_page_says_which_roots_are_kept_and_for_how_long_and_changes_nothing(server):
    pages = pages_of(server)

    value = pages.get("/sampling/boost.json", query_string=ASKED).get_json()

    assert (
        value["answer"] == "Keep 50\xa0% of the traces that begin at shop GET / and shop POST /checkout for 15\xa0min?"
    )
    assert value["found"]
    assert value["proposal"]["command"] == "cpdd boost redis --op GET --to 50% --for 15m"
    assert boosts(server) == []


@pytest.mark.parametrize(
    ("asked", "doubt"),
    [
        ({"service": "redis", "operation": "GTE"}, "redis has not been seen to have 'GTE'; it has 'GET'"),
        ({"service": "paymentt"}, "no service paymentt has sent spans; there is payment"),
        ({"service": "redis", "operation": "GET"}, ""),
    ],
)
def test_names_that_nobody_has_heard_of_are_doubted_before_the_boost(server, asked, doubt):
    pages = pages_of(server)

    value = pages.get("/sampling/boost.json", query_string=asked).get_json()
    drawn = ReadPage(pages.get("/sampling/boost", query_string=asked).text)

    assert (value["doubt"], value["can_boost"]) == (doubt, True)
    assert ("Is the name right?" in drawn.text) == bool(doubt)


def test_what_the_traces_tell_besides_is_in_the_address_the_sentence_the_command_and_the_boost(server):
    pages = pages_of(server)
    asked = ASKED | {"function_spans": "on", "attributes": "on"}

    value = pages.get("/sampling/boost.json", query_string=asked).get_json()
    said = form(pages, "/sampling/boost", "/sampling/boosts")
    pages.post("/sampling/boosts", data=said | {"function_spans": "on"})

    assert value["answer"].endswith("for 15\xa0min, with extra attributes and spans of functions?")
    assert value["proposal"]["command"].endswith("--detail attributes --detail function_spans")
    assert {policy.detail for policy in server.service.book.policies.values()} == {("function_spans",)}


def test_one_button_boosts_the_roots_and_another_ends_it(server):
    pages = pages_of(server)

    said = form(pages, "/sampling/boost", "/sampling/boosts") | {"author": "ann", "reason": "page 4711"}
    answer = pages.post("/sampling/boosts", data=said)

    assert (answer.status_code, answer.headers["Location"]) == (303, "/sampling")
    assert len(boosts(server)) == 2, "a policy for each root"
    value = twin(pages, "/sampling")
    assert (value["changes"][0]["author"], value["changes"][0]["reason"]) == ("ann", "page 4711")
    assert 890 < value["boosts"][0]["left_s"] <= 900

    ended = pages.post("/sampling/ended", data=form(pages, "/sampling", "/sampling/ended") | {"author": "bob"})

    assert ended.status_code == 303
    assert boosts(server) == []
    assert twin(pages, "/sampling")["changes"][0]["author"] == "bob"


def test_a_boost_is_given_five_minutes_more_once_however_often_the_form_is_sent(timed, at):
    pages = pages_of(timed, clock=at.now_ns)
    pages.post("/sampling/boosts", data=form(pages, "/sampling/boost", "/sampling/boosts"))
    ends = twin(pages, "/sampling")["boosts"][0]["ends_unix_ms"]
    more = button(pages, "until_unix_ms")

    said = form(pages, "/sampling", "/sampling/ended") | {"until_unix_ms": more, "author": "bob"}
    answers = [pages.post("/sampling/renewed", data=said).status_code for _ in range(2)]

    value = twin(pages, "/sampling")
    assert answers == [303, 303]
    assert [boost["ends_unix_ms"] - ends for boost in value["boosts"]] == [300_000, 300_000]
    assert (value["changes"][0]["action"], value["changes"][0]["author"]) == ("extend", "bob")


def test_a_boost_that_ended_is_repeated_by_a_button(timed, at):
    pages = pages_of(timed, clock=at.now_ns)
    pages.post("/sampling/boosts", data=form(pages, "/sampling/boost", "/sampling/boosts") | {"reason": "page 4711"})
    at.advance(s=901)
    (ended,) = twin(pages, "/sampling")["ended"]

    answer = pages.post("/sampling/renewed", data=form(pages, "/sampling", "/sampling/renewed") | {"author": "eve"})

    value = twin(pages, "/sampling")
    assert answer.status_code == 303
    assert (ended["reason"], ended["others"]) == ("page 4711", 1)
    assert len(value["boosts"]) == 2
    assert {boost["left_s"] for boost in value["boosts"]} == {300.0}
    assert {boost["reason"] for boost in value["boosts"]} == {"page 4711"}
    assert [(c["action"], c["author"], c["reason"]) for c in value["changes"][:1]] == [("repeat", "eve", "page 4711")]


def test_no_form_makes_a_boost_last_longer_than_boosts_may(server):
    pages = pages_of(server)
    pages.post("/sampling/boosts", data=form(pages, "/sampling/boost", "/sampling/boosts"))
    ends = twin(pages, "/sampling")["boosts"][0]["ends_unix_ms"]

    said = form(pages, "/sampling", "/sampling/ended") | {"until_unix_ms": str(ends + 86_400_000)}
    answer = pages.post("/sampling/renewed", data=said)

    assert answer.status_code == 400
    assert "over the limit of 3600 s" in answer.text
    assert twin(pages, "/sampling")["boosts"][0]["ends_unix_ms"] == ends


@pytest.mark.parametrize(
    ("change", "headers", "status"),
    [
        ({"form_token": ""}, {}, 403),
        ({"form_token": "guessed"}, {}, 403),
        ({}, {"Origin": "https://evil.example"}, 403),
        ({}, {"Origin": "null"}, 403),
        ({}, {"Sec-Fetch-Site": "cross-site"}, 403),
        ({}, {"Host": "evil.example"}, 421),
        ({"to": "999"}, {}, 400),
        ({"service": ""}, {}, 400),
        ({"service": "nobody", "caller": "else"}, {}, 409),
    ],
)
def test_a_change_must_come_from_a_page_of_ours_and_make_sense(server, change, headers, status):
    pages = pages_of(server)
    said = form(pages, "/sampling/boost", "/sampling/boosts") | change

    answer = pages.post("/sampling/boosts", data=said, headers=headers)

    assert answer.status_code == status
    assert boosts(server) == []


def test_another_machine_and_a_wrong_token_are_refused_and_the_right_one_is_not(server):
    open_pages, closed = pages_of(server), pages_of(server, token="tell nobody")
    elsewhere = {"REMOTE_ADDR": "192.0.2.7"}

    said = form(open_pages, "/sampling/boost", "/sampling/boosts")
    assert open_pages.post("/sampling/boosts", data=said, environ_overrides=elsewhere).status_code == 403

    said = form(closed, "/sampling/boost", "/sampling/boosts")
    assert "control_token" in said
    wrong = said | {"control_token": "tell everybody"}
    assert closed.post("/sampling/boosts", data=wrong).status_code == 401
    right = said | {"control_token": "tell nobody"}
    assert closed.post("/sampling/boosts", data=right, environ_overrides=elsewhere).status_code == 303
    assert len(boosts(server)) == 2


def test_a_form_of_another_process_is_asked_to_try_again(server):
    said = form(pages_of(server), "/sampling/boost", "/sampling/boosts")

    answer = pages_of(server).post("/sampling/boosts", data=said)

    assert answer.status_code == 403
    assert "restarted" in answer.text


def test_collectors_that_share_a_token_take_each_others_forms(server):
    said = form(pages_of(server, "ours"), "/sampling/boost", "/sampling/boosts") | {"control_token": "ours"}

    assert pages_of(server, "theirs").post("/sampling/boosts", data=said).status_code == 403
    assert pages_of(server, "ours").post("/sampling/boosts", data=said).status_code == 303


def test_a_token_in_exchange_leaves_open_forms_alone_and_draws_new_ones(server, tmp_path):
    file = tmp_path / "tokens"
    file.write_text("old\n")
    pages = pages_of(server, f"@{file}")
    address = {"path": "/sampling/boost", "query_string": ASKED}
    said, tag = form(pages, "/sampling/boost", "/sampling/boosts"), pages.get(**address).headers["ETag"]

    file.write_text("newer\nold\n")

    assert pages.get(**address, headers={"If-None-Match": tag}).status_code == 200, "with the token of now"
    assert pages.post("/sampling/boosts", data=said | {"control_token": "newer"}).status_code == 303
    file.write_text("newest\n")
    assert pages.post("/sampling/boosts", data=said | {"control_token": "newest"}).status_code == 403


def test_a_page_with_a_form_is_sent_anew_after_a_restart(server):
    first, second = (pages_of(server).get("/sampling/boost", query_string=ASKED).headers["ETag"] for _ in range(2))

    assert first != second


def test_spans_calls_and_journeys_lead_to_the_boost_of_them(server):
    pages = pages_of(server)
    journey = "/journeys/check%20out"
    trace = twin(pages, journey)["examples"][0]["traces"][0]["address"]
    span = twin(pages, trace)["rows"][1]["id"]

    assert any("service=shop" in link for link in links_to_boost(pages, f"{trace}?span={span}"))
    found = links_to_boost(pages, journey)
    assert any("caller=shop&" in link for link in found), "a call"
    assert any("reason=journey+check+out" in link and "caller=" not in link for link in found), "the journey"


def links_to_boost(pages: FlaskClient, address: str) -> list[str]:
    return [link for link in page(pages, address).links if link.startswith("/sampling/boost?")]


def test_a_trace_is_kept_with_who_and_why_and_let_go_again(server):
    pages = pages_of(server)
    trace = twin(pages, "/search")["traces"][0]["address"]

    said = form(pages, trace, f"{trace}/kept") | {"author": "ann", "note": "the outage of <b>Tuesday"}
    kept = pages.post(f"{trace}/kept", data=said)

    assert (kept.status_code, kept.headers["Location"]) == (303, trace)
    assert twin(pages, trace)["kept"] == {"author": "ann", "note": "the outage of <b>Tuesday", "at_unix_nano": NOW_NS}
    assert "the outage of <b>Tuesday" in page(pages, trace).text

    pages.post(f"{trace}/kept", data=form(pages, trace, f"{trace}/kept"))

    assert twin(pages, trace)["kept"] is None


def test_a_trace_says_until_when_it_stays_by_itself_and_why():
    reader = MemoryReader(shop_traces())
    pages = create_app(reader, SETTINGS, lambda: NOW_NS).test_client()
    trace = twin(pages, "/search")["traces"][0]["address"]
    until = NOW_NS + 30 * 86_400 * 10**9
    reader.kept[trace.rpartition("/")[2]] = KeptLonger(until, ("boost inc<42>", "failed", "pinned"))

    because = ["it began while the boost inc<42> was live", "it failed"]
    assert twin(pages, trace)["stays"] == {"until_unix_nano": until, "because": because}
    assert all(words in page(pages, trace).text for words in ("It stays until", *because))


def test_keeping_a_trace_needs_a_page_of_ours(server):
    pages = pages_of(server)
    trace = twin(pages, "/search")["traces"][0]["address"]

    assert pages.post(f"{trace}/kept", data={"author": "ann"}).status_code == 403
    assert twin(pages, trace)["kept"] is None


def test_without_a_sampling_service_there_is_only_the_command(client):
    said = page(client, "/sampling/boost?service=shop")

    assert "cpdd boost shop" in said.text
    assert not [of for tag, of in said.elements if tag == "form" and of.get("method") == "post"]
    assert client.post("/sampling/boosts", data={"service": "shop"}).status_code == 404
