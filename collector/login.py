"""Who may see the pages: a token in a header, a session of a browser, or the word of a trusted proxy.

    Authorization: Bearer TOKEN (or Basic, as its password)      programs
    a cookie, given by the form at /login                        browsers
    a header that names the user, from a proxy's address         who comes through it

Stands before the application, whatever that is. A browser without any is sent to /login, which the application draws,
and from there back to where it wanted to go; a program is told in JSON. Where nothing is configured, all is open.
"""

import hashlib
import hmac
import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from collector.own_names import OwnNames
from collector.sessions import LASTS_S, Sessions
from collector.tokens import Tokens
from collector.web import WsgiApplication

log = logging.getLogger(__name__)

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Headers = list[tuple[str, str]]

PAGE = "/login"
"""Where the application draws the form; it is asked for with GET alone, whatever the browser did."""
LOGOUT = "/logout"
OPEN = "/static/"
"""What is shown to everybody beside the form: what it is made of."""

ASKED = "cpdd.login"
"""In the environment of the form: what the visitor is asked for, an `Asked`."""
SESSION = "cpdd.session"
"""In the environment of a page: whether the visitor logged in by the form, and can log out."""
LOG_OUT_TOKEN = "cpdd.log_out_token"
"""In the environment of a page: what the form that logs out must bring, which no page of another site knows."""
USER = "REMOTE_USER"
"""In the environment of a page: the name that a trusted proxy gave."""

COOKIE = "cpdd-session"
_MAX_FORM_BYTES = 16_384
_LONGEST_ADDRESS = 4_000
_LONGEST_USER = 200
_OUR_PAGES = ("", "same-origin", "none")
"""What `Sec-Fetch-Site` may say of a form of ours; older browsers say nothing."""


@dataclass(frozen=True, slots=True)
class Proxies:
    """The proxies whose word is taken, and the header in which they say who somebody is."""

    header: str = ""
    """Empty: none is believed."""
    networks: tuple[IPv4Network | IPv6Network, ...] = ()

    def user(self, environ: Environ) -> str:
        """Return whom a trusted proxy says the visitor to be, "" where none says so."""
        if not self.header or not self._is_trusted(environ.get("REMOTE_ADDR") or ""):
            return ""
        said = environ.get(f"HTTP_{self.header.upper().replace('-', '_')}", "").strip()
        return str(said.encode("latin-1", "replace").decode("utf-8", "replace")[:_LONGEST_USER])

    def _is_trusted(self, peer: str) -> bool:
        try:
            address = ip_address(peer)
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None) or address
        return any(mapped in network for network in self.networks)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the form asks for."""

    takes_token: bool
    proxy_header: str
    """The header of a proxy that would do; empty: none."""
    problem: str = ""
    """What was wrong with what was sent."""
    address: str = "/"
    """Where the visitor goes from here; of this server, whatever was asked for."""


class Login:
    """Lets visitors in, or tells them how."""

    def __init__(
        self,
        tokens: Tokens,
        clock: Callable[[], float],
        proxies: Proxies = Proxies(),
        public_url: str = "",
    ) -> None:
        """Args:
        clock: Unix time in s.
        public_url: where people open the pages; https there keeps the cookie off other wires.
        """
        self._tokens = tokens
        self._proxies = proxies
        self._sessions = Sessions(tokens, clock)
        self._public = urlsplit(public_url)
        self._names = OwnNames(public_url=public_url)

    def before(self, app: WsgiApplication) -> WsgiApplication:
        """Return the application for those who may see it; itself where everybody may."""
        if not (self._tokens.asked_for or self._proxies.header):
            return app

        def answer(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
            for name in (USER, ASKED, SESSION, LOG_OUT_TOKEN):
                environ.pop(name, None)
            path = environ.get("PATH_INFO", "")
            if path == LOGOUT:
                return self._log_out(environ, start_response)
            if path == PAGE and environ.get("REQUEST_METHOD") == "POST":
                return self._log_in(app, environ, start_response)
            if path == PAGE:
                return self._show_form(app, environ, start_response, address=_asked_address(environ))
            if path.startswith(OPEN) or self._may_pass(environ):
                return app(environ, start_response)  # type: ignore[no-any-return]
            return _refuse(environ, start_response)

        return answer

    def _may_pass(self, environ: Environ) -> bool:
        """Return whether the visitor may see pages, and note in the environment what pages say of the visitor."""
        if user := self._proxies.user(environ):
            environ[USER] = user
            environ["REMOTE_ADDR"] = ""  # the proxy's says nothing of the visitor, who is not at this machine
            return True
        if not self._tokens.asked_for:
            return False
        if self._tokens.allow(environ.get("HTTP_AUTHORIZATION", "")):
            return True
        cookie = _cookie(environ, self._cookie_name(environ))
        environ[SESSION] = self._sessions.holds(cookie)
        environ[LOG_OUT_TOKEN] = log_out_token(cookie) if environ[SESSION] else ""
        return bool(environ[SESSION])

    def _log_in(self, app: WsgiApplication, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        said = _form(environ)
        address = safe_address(said.get("next", ""))
        if not self._is_of_our_page(environ):
            return self._show_form(app, environ, start_response, "This form came from another site's page.", address)
        cookie = self._sessions.open(said.get("token", "")) if self._tokens.asked_for else None
        if cookie is None:
            log.warning("login refused", extra={"peer": environ.get("REMOTE_ADDR", "")})
            return self._show_form(app, environ, start_response, "No such token is valid here.", address)
        return _go(start_response, address, [self._set_cookie(environ, cookie, LASTS_S)])

    def _log_out(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if environ.get("REQUEST_METHOD") != "POST" or not self._is_of_our_page(environ):
            return _go(start_response, "/")
        cookie = _cookie(environ, self._cookie_name(environ))
        brought = _form(environ).get("form_token", "").encode("utf-8", "surrogateescape")
        if self._sessions.holds(cookie) and not hmac.compare_digest(brought, log_out_token(cookie).encode()):
            return _go(start_response, "/")
        self._sessions.end(cookie)
        return _go(start_response, PAGE, [self._set_cookie(environ, "", 0)])

    def _show_form(
        self,
        app: WsgiApplication,
        environ: Environ,
        start_response: StartResponse,
        problem: str = "",
        address: str = "/",
    ) -> Iterable[bytes]:
        """Let the application draw the form; one that was filled in wrongly is answered 403."""
        asked = Asked(self._tokens.asked_for, self._proxies.header, problem, address)
        form: Environ = {**environ, "REQUEST_METHOD": "GET", ASKED: asked}
        if not problem:
            return app(form, start_response)  # type: ignore[no-any-return]
        return app(form, lambda status, *rest: start_response("403 Forbidden", *rest))  # type: ignore[no-any-return]

    def _is_of_our_page(self, environ: Environ) -> bool:
        is_ours = self._names.is_origin(environ.get("HTTP_ORIGIN", ""), environ.get("HTTP_HOST", ""))
        return is_ours and environ.get("HTTP_SEC_FETCH_SITE", "") in _OUR_PAGES

    def _is_secure(self, environ: Environ) -> bool:
        """Whether the browser speaks TLS, with us or with a proxy at the public address."""
        at_public = self._public.scheme == "https" and environ.get("HTTP_HOST", "") == self._public.netloc
        return environ.get("wsgi.url_scheme") == "https" or at_public

    def _cookie_name(self, environ: Environ) -> str:
        """With `__Host-`, no other host of the domain can set it."""
        return f"__Host-{COOKIE}" if self._is_secure(environ) else COOKIE

    def _set_cookie(self, environ: Environ, value: str, lasts_s: int) -> tuple[str, str]:
        """Lax: a link in a chat opens the page of who is logged in; no other site's form carries it."""
        secure = "; Secure" if self._is_secure(environ) else ""
        name = self._cookie_name(environ)
        return "Set-Cookie", f"{name}={value}; Path=/; Max-Age={lasts_s}; HttpOnly; SameSite=Lax{secure}"


def log_out_token(cookie: str) -> str:
    """Return what only a page of the session knows: made of the cookie, which it does not betray."""
    return hashlib.sha256(f"log out {cookie}".encode("utf-8", "surrogateescape")).hexdigest()


def safe_address(address: str) -> str:
    r"""Return an address of this server as it was asked for, or "/" for one that might lead elsewhere.

    >>> safe_address("/traces/1?span=2")
    '/traces/1?span=2'
    >>> [safe_address(one) for one in ("https://evil.example/", "//evil.example", "/\\evil.example")]
    ['/', '/', '/']
    """
    is_path = address.startswith("/") and not address.startswith(("//", PAGE, LOGOUT))
    if not is_path or len(address) > _LONGEST_ADDRESS or not address.isprintable() or "\\" in address:
        return "/"
    return quote(address, safe="/?#%&=+-._~:,;@!$'()*")


def _asked_address(environ: Environ) -> str:
    return safe_address(parse_qs(environ.get("QUERY_STRING", "")).get("next", ["/"])[-1])


def _address_of(environ: Environ) -> str:
    """Where a request leads: what is read, itself; what is changed, the page it was changed from."""
    if environ.get("REQUEST_METHOD") not in ("GET", "HEAD"):
        referrer = urlsplit(environ.get("HTTP_REFERER", ""))
        is_ours = referrer.netloc == environ.get("HTTP_HOST")
        return safe_address(referrer._replace(scheme="", netloc="", fragment="").geturl()) if is_ours else "/"
    path = quote(environ.get("PATH_INFO", "/").encode("latin-1", "replace"))
    query = environ.get("QUERY_STRING", "")
    return safe_address(f"{path}?{query}" if query else path)


def _refuse(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Send a browser to the form, tell a program."""
    path = environ.get("PATH_INFO", "")
    is_data = path.startswith("/api/") or path.endswith((".json", ".md"))
    if "text/html" in environ.get("HTTP_ACCEPT", "") and not is_data:
        return _go(start_response, f"{PAGE}?next={quote(_address_of(environ), safe='')}")
    problem, hint = "a token is needed", "send authorization: Bearer TOKEN, one of the server's read_tokens"
    said: dict[str, Any] = {"error": {"problem": problem, "hint": hint, "address": PAGE}}
    if path.startswith("/api/"):  # as Jaeger's query API says it
        said = {"data": None, "errors": [{"code": 401, "msg": f"{problem}: {hint}"}]}
    body = json.dumps(said).encode()
    headers = [("WWW-Authenticate", 'Bearer realm="cpdd"'), ("Content-Type", "application/json")]
    start_response("401 Unauthorized", [*headers, ("Content-Length", str(len(body))), ("Cache-Control", "no-store")])
    return [body]


def _go(start_response: StartResponse, address: str, headers: Iterable[tuple[str, str]] = ()) -> Iterable[bytes]:
    start_response(
        "303 See Other",
        [("Location", address), ("Content-Length", "0"), ("Cache-Control", "no-store"), *headers],
    )
    return [b""]


def _form(environ: Environ) -> dict[str, str]:
    """Return the fields of a form, the last of each name; none of one that is too long or no form."""
    length = environ.get("CONTENT_LENGTH") or "0"
    kind = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    if not length.isdigit() or int(length) > _MAX_FORM_BYTES or kind != "application/x-www-form-urlencoded":
        return {}
    body = environ["wsgi.input"].read(int(length))
    try:
        fields = parse_qs(body.decode("ascii"), max_num_fields=20)
    except ValueError:
        return {}
    return {name: values[-1] for name, values in fields.items()}


def _cookie(environ: Environ, name: str) -> str:
    """Read by hand: what another program of this host has set may be malformed, and must not hide ours."""
    pairs = (pair.strip().partition("=") for pair in environ.get("HTTP_COOKIE", "").split(";"))
    return next((value for said, _, value in pairs if said == name), "")
