"""What a page may change: begin a boost, extend, repeat or end one, keep a trace, let it go.

No other address takes a POST.

A change must come from a page of ours: it brings the token that only our pages hold, and neither `Origin` nor
`Sec-Fetch-Site` may say otherwise. Who may make it is for the rules of the control port: this machine, or who knows
the server's token.
"""

from collections.abc import Callable
from typing import Protocol

from flask import Flask, redirect, request
from werkzeug.wrappers import Response

from collector.control.guard import Caller, Forbidden
from collector.forms import Forms
from collector.store.pins import Pin
from cpdd.errors import CpddError
from ui.draw.text import shown
from ui.views.address import trace_address
from ui.views.boost import LONGEST_TEXT, boost_request, renewal
from ui.views.boosts import Boosts
from ui.views.errors import NothingThere, PageError
from ui.views.trace_asked import read_trace_id

OUR_PAGES = ("", "same-origin", "none")
"""What `Sec-Fetch-Site` may say; older browsers say nothing."""


class Refused(PageError):
    """A change that is not made."""

    status = 403


class Keeping(Protocol):
    """What keeps traces: `collector.store.pins.Pins` is the real one."""

    def pin(self, trace_id: str, author: str, note: str = "") -> Pin: ...

    def release(self, trace_id: str) -> bool:
        """Let a trace go; tells whether it was pinned."""

    def pinned(self) -> list[Pin]: ...


def add_routes(app: Flask, boosts: Boosts | None, pins: Keeping | None, forms: Forms, clock: Callable[[], int]) -> None:
    """Add the addresses; each leads back to the page that shows what became of it."""

    def keep(trace_id: str) -> Response:
        trace_id = read_trace_id(trace_id)
        _admitted(boosts, forms)
        if pins is None:
            raise NothingThere("these pages keep no traces", address=trace_address(trace_id))
        if request.form.get("release"):
            pins.release(trace_id)
        else:
            author, note = (request.form.get(name, "").strip()[:LONGEST_TEXT] for name in ("author", "note"))
            pins.pin(trace_id, author, note)
        return redirect(trace_address(trace_id), 303)

    def begin() -> Response:
        asked = _admitted(boosts, forms)
        _make(lambda: asked.boost(boost_request(request.form, asked)))
        return redirect("/sampling", 303)

    def renew() -> Response:
        asked = _admitted(boosts, forms)
        wanted = renewal(request.form, clock(), asked.longest_boost_s)
        _make(lambda: asked.renew_boost(request.form.get("id", ""), wanted, bool(request.form.get("repeat"))))
        return redirect("/sampling", 303)

    def end() -> Response:
        asked = _admitted(boosts, forms)
        author = request.form.get("author", "").strip()[:LONGEST_TEXT]
        _make(lambda: asked.end_boost(request.form.get("id", ""), author, "ended on the page"))
        return redirect("/sampling", 303)

    app.add_url_rule("/traces/<trace_id>/kept", "keep_trace", keep, methods=["POST"])
    app.add_url_rule("/sampling/boosts", "begin_boost", begin, methods=["POST"])
    app.add_url_rule("/sampling/renewed", "renew_boost", renew, methods=["POST"])
    app.add_url_rule("/sampling/ended", "end_boost", end, methods=["POST"])


def _admitted(boosts: Boosts | None, forms: Forms) -> Boosts:
    """Return what takes the change of this request. Raises NothingThere and Refused."""
    if boosts is None:
        raise NothingThere(
            "nothing can be changed from these pages: no collector runs beside them", address="/sampling"
        )
    if not forms.holds(request.form.get("form_token", "")):
        raise Refused("this form is not of a page of this server, or it was restarted since", "try again", "/sampling")
    if request.headers.get("Sec-Fetch-Site", "") not in OUR_PAGES:
        raise Refused("the request comes from another site's page", "open the page of sampling here", "/sampling")
    token = request.form.get("control_token", "")
    caller = Caller(
        host=request.headers.get("Host", ""),
        origin=request.headers.get("Origin", ""),
        authorization=f"Bearer {token}" if token else request.headers.get("Authorization", ""),
        content_type=request.mimetype,
        peer=request.remote_addr or "",
    )
    try:
        boosts.admit(caller)
    except Forbidden as refusal:
        refused = Refused(shown(refusal.problem, 300), refusal.hint, "/sampling")
        refused.status = int(refusal.status)
        raise refused from None
    return boosts


def _make(change: Callable[[], object]) -> None:
    """Make a change; what speaks against it becomes a page."""
    try:
        change()
    except PageError:
        raise
    except CpddError as error:
        problem, _, hint = str(error).partition("\nhint: ")
        failed = PageError(shown(problem, 300), shown(hint, 300), "/sampling")
        failed.status = 409
        raise failed from None
