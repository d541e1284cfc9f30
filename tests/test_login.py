"""Who may see the pages: by a token, a session that a token opened, or the word of a proxy; and nobody else."""

import base64
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from collector.login import ASKED, LOG_OUT_TOKEN, SESSION, USER, Login, Proxies, safe_address
from collector.sessions import LASTS_S
from collector.tokens import ANYBODY, Tokens
from cpdd.setting_values import networks

BROWSER = {"HTTP_ACCEPT": "text/html,application/xhtml+xml,*/*;q=0.8"}
NOW_S = 1_795_000_000.0


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def cookie(self) -> str:
        """What a browser would send back."""
        return self.headers["Set-Cookie"].partition(";")[0]


@dataclass
class Site:
    """Pages behind a login; what reaches them says so."""

    login: Login
    seen: list[dict[str, Any]] = field(default_factory=list)

    def pages(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self.seen.append(environ)
        start_response("200 OK", [])
        return [b"pages"]

    def ask(self, path: str = "/", query: str = "", body: bytes | None = None, **headers: str) -> Answer:
        environ: dict[str, Any] = {
            "REQUEST_METHOD": "GET" if body is None else "POST",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REMOTE_ADDR": "203.0.113.9",
            "HTTP_HOST": "cpdd.example",
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body or b""),
            "CONTENT_LENGTH": str(len(body or b"")),
            "CONTENT_TYPE": "application/x-www-form-urlencoded" if body is not None else "",
            **headers,
        }
        told: list[Any] = []
        parts = self.login.before(self.pages)(environ, lambda status, said, *rest: told.append((status, dict(said))))
        return Answer(int(told[-1][0][:3]), told[-1][1], b"".join(parts))

    def log_in(self, token: str = "new", next: str = "/", **headers: str) -> Answer:
        return self.ask("/login", body=urlencode({"token": token, "next": next}).encode(), **headers)

    def log_out(self, cookie: str, **headers: str) -> Answer:
        """Send the form as a page of the session has it."""
        self.ask("/", HTTP_COOKIE=cookie)
        said = {"form_token": self.seen[-1].get(LOG_OUT_TOKEN, "")}
        return self.ask("/logout", body=urlencode(said).encode(), HTTP_COOKIE=cookie, **headers)


def site(text: str = "new, old", clock: Any = lambda: NOW_S, **more: Any) -> Site:
    return Site(Login(Tokens("read_tokens", text), clock, **more))


def test_where_nothing_is_asked_for_the_pages_stand_alone():
    pages = Site(Login(ANYBODY, lambda: NOW_S)).pages

    assert Login(ANYBODY, lambda: NOW_S).before(pages) is pages


@pytest.mark.parametrize("said", ["Bearer old", "Basic " + base64.b64encode(b"anyone:new").decode()])
def test_a_program_shows_its_token(said: str):
    assert site().ask("/.json", HTTP_AUTHORIZATION=said).body == b"pages"


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/", {}),
        ("/.json", BROWSER),
        ("/", {"HTTP_ACCEPT": "*/*"}),
        ("/traces/1/escalation.md", BROWSER),
        ("/", {"HTTP_AUTHORIZATION": "Bearer wrong"}),
        ("/logins", {}),
        ("/login.json", {}),
    ],
)
def test_a_program_without_one_is_told_in_json_and_no_page_is_reached(path: str, headers: dict[str, str]):
    asked = site()

    refused = asked.ask(path, **headers)

    assert refused.status == 401
    assert refused.headers["WWW-Authenticate"] == 'Bearer realm="cpdd"'
    assert json.loads(refused.body)["error"] == {
        "problem": "a token is needed",
        "hint": "send authorization: Bearer TOKEN, one of the server's read_tokens",
        "address": "/login",
    }
    assert asked.seen == []


def test_jaegers_api_says_it_as_jaeger_does():
    refused = site().ask("/api/services", **BROWSER)

    assert (refused.status, json.loads(refused.body)["errors"][0]["code"]) == (401, 401)


def test_a_browser_is_sent_to_the_form_and_on_to_where_it_wanted_to_go():
    asked = site()

    sent = asked.ask("/traces/1f", "span=2&of=trace", **BROWSER)
    form = asked.ask("/login", sent.headers["Location"].partition("?")[2], **BROWSER)
    address = asked.seen[-1][ASKED].address
    done = asked.log_in(next=address)

    assert sent.status == 303
    assert sent.headers["Location"] == "/login?next=%2Ftraces%2F1f%3Fspan%3D2%26of%3Dtrace"
    assert form.body == b"pages"
    assert (done.status, done.headers["Location"]) == (303, "/traces/1f?span=2&of=trace")
    assert asked.ask("/traces/1f", HTTP_COOKIE=f"theme=x; {done.cookie}; bad").body == b"pages"
    assert asked.seen[-1][SESSION] is True


def test_a_form_that_is_sent_when_the_session_has_ended_leads_back_to_its_page():
    sent = site().ask(
        "/sampling/boosts", body=b"x=1", HTTP_REFERER="http://cpdd.example/sampling/boost?service=a", **BROWSER
    )
    foreign = site().ask("/sampling/boosts", body=b"x=1", HTTP_REFERER="http://evil.example/x", **BROWSER)

    assert sent.headers["Location"] == "/login?next=%2Fsampling%2Fboost%3Fservice%3Da"
    assert foreign.headers["Location"] == "/login?next=%2F"


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "\\/evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "evil.example",
        "javascript:alert(1)",
        "/login?next=/login",
        "/logout",
        "",
        "/" + "a" * 5_000,
        "/x\u202ey",
    ],
)
def test_the_way_back_never_leads_elsewhere(address: str):
    assert safe_address(address) == "/"
    assert site().log_in(next=address).headers["Location"] == "/"


def test_the_way_back_keeps_what_a_page_said():
    assert safe_address("/journeys/a%2Fb?start=1&open=x y#graph") == "/journeys/a%2Fb?start=1&open=x%20y#graph"
    assert safe_address("/journeys/käse") == "/journeys/k%C3%A4se"


def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites_forms():
    plain = site().log_in().headers["Set-Cookie"]
    over_tls = site().log_in(**{"wsgi.url_scheme": "https"}).headers["Set-Cookie"]
    behind_tls = site(public_url="https://cpdd.example").log_in().headers["Set-Cookie"]

    assert plain.partition("=")[0] == "cpdd-session"
    assert plain.partition("; ")[2] == f"Path=/; Max-Age={LASTS_S}; HttpOnly; SameSite=Lax"
    for cookie in (over_tls, behind_tls):
        assert cookie.startswith("__Host-cpdd-session=")
        assert cookie.endswith("; Secure")
    assert "new" not in plain


@pytest.mark.parametrize("token", ["", "newer", "new old", "n\udcff"])
def test_a_wrong_token_gets_the_form_again_and_no_cookie(token: str):
    asked = site()
    body = urlencode({"token": token, "next": "/system"}, errors="surrogateescape").encode()

    refused = asked.ask("/login", body=body)

    assert refused.status == 403
    assert "Set-Cookie" not in refused.headers
    form = asked.seen[-1]
    assert (form["REQUEST_METHOD"], form[ASKED].problem) == ("GET", "No such token is valid here.")
    assert form[ASKED].address == "/system"


@pytest.mark.parametrize("headers", [{"HTTP_ORIGIN": "https://evil.example"}, {"HTTP_SEC_FETCH_SITE": "cross-site"}])
def test_another_sites_page_can_log_nobody_in_or_out(headers: dict[str, str]):
    asked = site()
    cookie = asked.log_in().cookie

    refused = asked.log_in(**headers)
    asked.log_out(cookie, **headers)
    asked.ask("/logout", HTTP_COOKIE=cookie)

    assert (refused.status, "Set-Cookie" in refused.headers) == (403, False)
    assert asked.ask("/", HTTP_COOKIE=cookie).status == 200


def test_the_form_at_the_public_address_is_ours_though_a_proxy_asks_for_another_host():
    asked = site(public_url="https://cpdd.example/")
    behind = {"HTTP_HOST": "127.0.0.1:16686"}

    assert asked.log_in(HTTP_ORIGIN="https://cpdd.example", **behind).status == 303
    assert asked.log_in(HTTP_ORIGIN="https://evil.example", **behind).status == 403


def test_who_logs_out_is_out_even_with_the_old_cookie():
    asked = site()
    cookie, other = asked.log_in().cookie, asked.log_in().cookie

    out = asked.log_out(cookie)

    assert (out.status, out.headers["Location"], out.cookie) == (303, "/login", "cpdd-session=")
    assert "Max-Age=0" in out.headers["Set-Cookie"]
    assert asked.ask("/", HTTP_COOKIE=cookie).status == 401
    assert asked.ask("/", HTTP_COOKIE=other).status == 200


@pytest.mark.parametrize("brought", ["", "guessed", "of another"])
def test_only_a_page_of_the_session_itself_ends_it(brought: str):
    asked = site()
    cookie = asked.log_in().cookie
    asked.ask("/", HTTP_COOKIE=asked.log_in().cookie)
    said = asked.seen[-1][LOG_OUT_TOKEN] if brought == "of another" else brought

    kept = asked.ask("/logout", body=urlencode({"form_token": said}).encode(), HTTP_COOKIE=cookie)

    assert (kept.status, kept.headers["Location"], "Set-Cookie" in kept.headers) == (303, "/", False)
    assert asked.ask("/", HTTP_COOKIE=cookie).status == 200


def test_who_is_out_already_is_asked_to_log_in():
    asked = site()
    cookie = asked.log_in().cookie
    asked.log_out(cookie)

    assert asked.ask("/logout", body=b"", HTTP_COOKIE=cookie).headers["Location"] == "/login"


def test_a_token_that_is_taken_out_ends_its_sessions_and_no_others(tmp_path: Path):
    file = tmp_path / "tokens"
    file.write_text("new\nold\n")
    asked = site(f"@{file}")
    by_old, by_new = asked.log_in("old").cookie, asked.log_in("new").cookie

    file.write_text("newest\nnew\n")

    assert asked.ask("/", HTTP_COOKIE=by_old).status == 401
    assert asked.ask("/", HTTP_COOKIE=by_new).status == 200


def test_a_session_survives_a_restart_and_holds_at_another_collector_and_ends_by_itself():
    cookie = site().log_in("old").cookie

    assert site("old").ask("/", HTTP_COOKIE=cookie).status == 200
    assert site("old", clock=lambda: NOW_S + LASTS_S - 1).ask("/", HTTP_COOKIE=cookie).status == 200
    assert site("old", clock=lambda: NOW_S + LASTS_S).ask("/", HTTP_COOKIE=cookie).status == 401


def test_a_cookie_that_was_changed_anywhere_is_worth_nothing():
    asked = site()
    name, _, value = asked.log_in().cookie.partition("=")
    expires, number, mac = value.split(".")

    for changed in (
        f"{int(expires) + 1}.{number}.{mac}",
        f"{expires}.{number}0.{mac}",
        f"{expires}.{number}.{mac[:-1]}",
        f"{expires}..{mac}",
        f"{expires}.{mac}",
        "",
        "x" * 10_000,
        f"\u00b2.{number}.{mac}",
    ):
        assert asked.ask("/", HTTP_COOKIE=f"{name}={changed}").status == 401
    assert asked.ask("/", HTTP_COOKIE=f"{name}={value}").status == 200


def test_a_body_that_is_no_form_is_a_wrong_token():
    assert site().ask("/login", body=b"token=new", CONTENT_TYPE="text/plain").status == 403
    assert site().ask("/login", body=b"token=" + b"n" * 20_000).status == 403
    assert site().ask("/login", body=b"token=new\xff").status == 403
    assert site().ask("/login", body=b"&".join([b"token=new"] * 30)).status == 403


def test_the_form_is_drawn_without_a_token_and_nothing_else_is():
    asked = site()

    assert asked.ask("/login", **BROWSER).body == b"pages"
    assert asked.ask("/static/page.css", **BROWSER).body == b"pages"
    assert asked.ask("/static", **BROWSER).status == 303
    assert asked.ask("/login/x", **BROWSER).status == 303


THROUGH = Proxies("X-Forwarded-User", networks("10.0.0.0/8,::1"))


@pytest.mark.parametrize("peer", ["10.1.2.3", "::ffff:10.1.2.3", "::1"])
def test_the_word_of_a_trusted_proxy_is_taken_and_it_is_not_this_machine(peer: str):
    asked = site(proxies=THROUGH)

    answer = asked.ask("/", REMOTE_ADDR=peer, HTTP_X_FORWARDED_USER="J\xc3\xb6rg")

    assert answer.body == b"pages"
    assert (asked.seen[-1][USER], asked.seen[-1]["REMOTE_ADDR"]) == ("Jörg", "")


@pytest.mark.parametrize(
    ("peer", "user"), [("192.0.2.1", "ann"), ("10.1.2.3", ""), ("10.1.2.3", "  "), ("", "ann"), ("unix:", "ann")]
)
def test_nobody_elses_word_is_taken(peer: str, user: str):
    assert site(proxies=THROUGH).ask("/", REMOTE_ADDR=peer, HTTP_X_FORWARDED_USER=user).status == 401


def test_with_a_proxy_alone_there_is_no_token_to_ask_for():
    asked = Site(Login(ANYBODY, lambda: NOW_S, THROUGH))

    assert asked.ask("/", HTTP_AUTHORIZATION="Bearer ").status == 401
    assert asked.log_in("").status == 403
    asked.ask("/login", **BROWSER)
    assert (asked.seen[-1][ASKED].takes_token, asked.seen[-1][ASKED].proxy_header) == (False, "X-Forwarded-User")


def test_what_a_page_is_told_of_the_visitor_cannot_come_from_outside():
    asked = site()

    asked.ask("/", HTTP_AUTHORIZATION="Bearer new", **{USER: "root", SESSION: "yes", LOG_OUT_TOKEN: "x"})

    assert USER not in asked.seen[-1]
    assert SESSION not in asked.seen[-1]
    assert LOG_OUT_TOKEN not in asked.seen[-1]
