"""Coming in and going out, as far as pages show it: the form that `collector.login` asks for, and who is here."""

from dataclasses import dataclass

from flask import Flask, render_template, request
from werkzeug.utils import redirect
from werkzeug.wrappers import Response

from collector.login import ASKED, LOG_OUT_TOKEN, PAGE, SESSION, USER, Asked


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who reads a page."""

    user: str
    """As a trusted proxy says; empty where none does."""
    can_log_out: bool
    log_out_token: str
    """What the form that logs out brings."""


def visitor() -> Visitor:
    return Visitor(
        request.environ.get(USER) or "", bool(request.environ.get(SESSION)), request.environ.get(LOG_OUT_TOKEN) or ""
    )


def add_routes(app: Flask) -> None:
    """Add the form. Where nothing stands before the pages there is nothing to ask for."""

    def form() -> Response | str:
        asked: Asked | None = request.environ.get(ASKED)
        return render_template("login.html", asked=asked) if asked else redirect("/")

    app.add_url_rule(PAGE, "login", form)
    app.context_processor(lambda: {"visitor": visitor()})
