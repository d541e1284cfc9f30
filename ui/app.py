"""The web application: pages and their JSON twins, the Jaeger query API, one Content-Security-Policy for all.

`create_app` wires; what a page shows is in `views`, what it looks like in `draw`, `templates` and `static`.
"""

import gzip
import hashlib
import logging
import secrets
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
from flask import Flask, Response, current_app, redirect, render_template, request, url_for
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.routing import BaseConverter
from werkzeug.wrappers import Response as AnyResponse

from collector.forms import Forms
from collector.login import OPEN
from collector.store.spent import count_spent
from ui.draw import svg, text, units
from ui.filters import equip
from ui.views import (
    address,
    boost,
    changes,
    compare,
    contracts,
    downloads,
    escalation_finding,
    escalation_pages,
    examples,
    findings,
    jaeger_api,
    journey,
    journeys,
    login,
    openapi,
    sampling,
    search,
    service,
    services,
    system,
    trace,
    trace_pair,
    trace_window,
    what_if,
    words,
)
from ui.views.boosts import Boosts
from ui.views.errors import ForeignName, NothingThere, PageError, StoreTrouble, is_store_trouble
from ui.views.escalation_text import needed_words, to_markdown
from ui.views.explanations import Explanations
from ui.views.page import Elsewhere, Page, UiSettings, Visit
from ui.views.reader import TraceReader
from ui.views.time_range import CHOICES, length_words
from ui.views.trace_sheet import Sheets

log = logging.getLogger(__name__)

PAGES = (
    journeys.PAGE,
    journey.PAGE,
    examples.PAGE,
    compare.PAGE,
    what_if.PAGE,
    contracts.PAGE,
    findings.PAGE,
    trace.PAGE,
    trace_window.PAGE,
    trace_pair.PAGE,
    search.PAGE,
    services.PAGE,
    service.PAGE,
    sampling.PAGE,
    boost.PAGE,
    system.PAGE,
    escalation_pages.PAGE,
    escalation_finding.PAGE,
)

FILES = (*downloads.DOWNLOADS, *escalation_pages.MARKDOWN)

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with no-referrer, browsers say `Origin: null` of our own forms
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_COMPRESSED_FROM = 2_000
_JSON = "application/json"


class Anything(BaseConverter):
    """A part of a path that may hold any character, slashes included."""

    regex = r"[\s\S]*"
    part_isolating = False
    weight = 300

    def to_url(self, value: Any) -> str:
        return quote(value, safe="")


def create_app(
    reader: TraceReader,
    settings: UiSettings,
    clock: Callable[[], int] = time.time_ns,
    read_sampling: sampling.ReadSampling = lambda: None,
    boosts: Boosts | None = None,
    read_system: system.ReadSystem = lambda: None,
    pins: changes.Keeping | None = None,
    read_trouble: Callable[[], Sequence[str]] = tuple,
    forms: Forms | None = None,
) -> Flask:
    """Return the WSGI application over a store.

    Args:
        clock: Unix time in ns; what "last 1 h" ends at.
        read_sampling: the state of the sampling service.
        pins: what keeps traces; None: none are kept from pages.
        read_system: what the process says of itself.
        boosts: what takes boosts from pages; None: pages only show the command.
        read_trouble: what keeps the process from taking and analyzing spans now, the worst first.
        forms: whose tokens forms bring; None: such as this application alone knows.
    """
    app = Flask(__name__)
    app.url_map.converters["anything"] = Anything
    app.url_map.merge_slashes = False
    forms = forms or Forms()
    _prepare_templates(app, settings, forms)
    app.config["LOOKS"], app.config["FORMS"] = _digest_of_looks(), forms
    explanations, sheets = Explanations(), Sheets()

    def visit() -> Visit:
        lists = {name: request.args.getlist(name) for name in request.args}
        last = {name: values[-1] for name, values in lists.items()}
        here = request.host_url.rstrip("/")
        pinned = pins.pinned if pins else list
        shared = (explanations, sheets, read_sampling, boosts, read_system, pinned, read_trouble)
        base, peer = settings.public_url.rstrip("/") or here, request.remote_addr or ""
        return Visit(reader, settings, clock(), last, lists, *shared, base, here, peer)

    def check_name() -> None:
        host = request.headers.get("Host", "")
        if not (settings.names.has(host) or request.path.startswith(OPEN)):
            raise ForeignName(host)

    app.before_request(check_name)
    for page in PAGES:
        _add_page(app, page, visit)
    app.add_url_rule("/journeys", "to_journeys", lambda: redirect("/"))
    app.add_url_rule("/trace/<trace_id>", "to_trace", lambda trace_id: redirect(address.trace_address(trace_id)))
    app.add_url_rule("/openapi.json", "openapi", lambda: _json_answer(openapi.describe(PAGES, FILES, settings.version)))
    app.add_url_rule("/healthz", "healthz", lambda: Response("ok\n", mimetype="text/plain"))
    downloads.add_routes(app, reader)
    escalation_pages.add_routes(app, visit)
    changes.add_routes(app, boosts, pins, forms, clock)
    login.add_routes(app)
    jaeger_api.add_routes(app, reader, clock)
    app.register_error_handler(Exception, lambda error: _failure(error, clock()))
    app.after_request(_finish)
    return app


def _prepare_templates(app: Flask, settings: UiSettings, forms: Forms) -> None:
    equip(app.jinja_env)
    app.jinja_env.globals.update(
        address=address,
        markdown=to_markdown,
        needed_words=needed_words,
        share_failed=service.share_failed,
        weighted=units.weighted,
        clock=units.clock,
        clock_to_minute=units.clock_to_minute,
        words=words,
        length_words=length_words,
        range_choices=CHOICES,
        ui=settings,
        form_token=forms.token,
        compare_with=trace_pair.OTHERS,
    )


def _digest_of_looks() -> str:
    """Return what changes with any template and with each start: what may look different is another page."""
    digest = hashlib.blake2b(secrets.token_bytes(16), digest_size=6)
    for template in sorted((Path(__file__).parent / "templates").glob("*.html")):
        digest.update(template.read_bytes())
    return digest.hexdigest()


def _digest_of_visitor() -> str:
    """Return what tells pages of different visitors apart, and those with a form whose token is another now."""
    seen = login.visitor()
    said = f"{current_app.config['FORMS'].token()} {seen.log_out_token} {seen.user}"
    return hashlib.blake2b(said.encode("utf-8", "replace"), digest_size=6).hexdigest()


def _add_page(app: Flask, page: Page, visit: Callable[[], Visit]) -> None:
    """Add a page and its twin. Where the address ends in a variable, the twin's `.json` arrives as its end."""

    def answer(**parts: Any) -> AnyResponse:
        address_of_page = url_for(page.name, **parts)
        as_json = _strip_json(parts) or request.path.endswith(".json")
        seen = visit()
        with count_spent() as spent:
            began_ns = time.perf_counter_ns()
            value = page.view(seen, **parts)
            viewed_ns, store_ns = time.perf_counter_ns(), spent.ns
            response = _answer(page, value, seen.now_unix_nano, "" if as_json else _twin(address_of_page))
        took = {"store": store_ns, "view": viewed_ns - began_ns - store_ns, "draw": time.perf_counter_ns() - viewed_ns}
        response.headers["Server-Timing"] = ", ".join(f"{name};dur={ns / 1e6:.1f}" for name, ns in took.items())
        return response

    app.add_url_rule(page.address, page.name, answer)
    if not page.address.endswith(">"):
        app.add_url_rule(f"{page.address}.json", f"{page.name}_json", answer)


def _strip_json(parts: dict[str, str]) -> bool:
    """Take `.json` off the last part of an address; a name that cannot be in a path comes as `?name=`."""
    if not parts:
        return False
    last = list(parts)[-1]
    as_json = parts[last].endswith(".json")
    parts[last] = parts[last].removesuffix(".json") or request.args.get("name", "")
    return as_json


def _twin(address_of_page: str) -> str:
    """Return where the page's value is as JSON."""
    query = quote(request.query_string, safe="=&%+-._~:/,;@!$'()*")
    return address.json_address(f"{address_of_page}?{query}" if query else address_of_page)


def _answer(page: Page, value: object, now_unix_nano: int, twin: str) -> AnyResponse:
    """Return the page, or where `twin` is empty its value as JSON."""
    if isinstance(value, Elsewhere):
        return redirect(value.address if twin else address.json_address(value.address))
    body = orjson.dumps(value)
    tag = hashlib.blake2b(body, digest_size=12).hexdigest()
    if not twin:
        response = Response(body, mimetype=_JSON)
    else:
        tag += f"-{current_app.config['LOOKS']}{_digest_of_visitor()}"
        known = request.if_none_match.contains_weak(tag)
        response = Response(status=304) if known else _draw(page, value, now_unix_nano, twin)
    response.set_etag(tag, weak=True)
    response.headers["Cache-Control"] = "private, no-cache"
    return response.make_conditional(request)


def _draw(page: Page, value: object, now_unix_nano: int, twin: str) -> Response:
    drawings = {name: svg.render(shape) for name, shape in page.pictures(value).items()}
    html = render_template(page.template, page=value, pictures=drawings, twin=twin, now=now_unix_nano)
    return Response(html, mimetype="text/html")


def _json_answer(value: object, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status=status, mimetype=_JSON)


def _failure(error: Exception, now_unix_nano: int) -> AnyResponse:
    """Say what went wrong, in the form that was asked for."""
    match error:
        case PageError():
            problem = error
        case NotFound():
            problem = NothingThere(f"no page is at {_page_path()}", "all journeys are on the first page", "/")
        case HTTPException():
            problem = PageError(error.description or error.name)
            problem.status = error.code or 500
        case _ if is_store_trouble(error):  # the collector has said so in the log, once
            problem = StoreTrouble(error)
        case _:
            log.exception("page failed", extra={"path": request.path})
            problem = PageError(
                f"this page could not be built: {type(error).__name__}",
                "the log of cpdd serve has the whole error; the other pages may still work",
                "/",
            )
    if request.path.startswith("/api/"):
        return jaeger_api.error_answer(problem.status, problem.problem)
    if request.path.endswith((".json", ".md")):
        said = {"problem": problem.problem, "hint": problem.hint, "address": problem.address}
        return _json_answer({"error": said}, problem.status)
    html = render_template("error.html", error=problem, again=_twin(request.path), now=now_unix_nano)
    return Response(html, status=problem.status, mimetype="text/html")


def _page_path() -> str:
    return text.shown(request.path.removesuffix(".json"))


def _finish(response: AnyResponse) -> AnyResponse:
    response.headers.update(HEADERS)
    return _compress(response)


def _compress(response: AnyResponse) -> AnyResponse:
    """Send large text as gzip to those who take it: rows of a waterfall shrink to a tenth."""
    kind = response.mimetype or ""
    textual = kind.startswith("text/") or kind in (_JSON, "image/svg+xml")
    if (
        not textual
        or response.direct_passthrough
        or response.status_code != 200
        or "Content-Encoding" in response.headers
        or not request.accept_encodings["gzip"]
        or len(response.get_data()) < _COMPRESSED_FROM
    ):
        return response
    response.set_data(gzip.compress(response.get_data(), compresslevel=5, mtime=0))
    response.headers["Content-Encoding"] = "gzip"
    response.vary.add("Accept-Encoding")
    return response
