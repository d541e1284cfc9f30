"""Flask services: how they listen, how they call each other, how their faults strike."""

import threading
from wsgiref.types import WSGIApplication

import flask
import requests
from werkzeug.serving import BaseWSGIServer, make_server

from . import directory
from .service import InjectedFailure, Switches

TIMEOUT_S = 2.0


class WebListener:
    """Serves a WSGI application, a thread a request."""

    def __init__(self, name: str, app: WSGIApplication) -> None:
        self._port = directory.ports()[name].port
        self._app = app
        self._server: BaseWSGIServer | None = None

    def start(self) -> None:
        self._server = make_server(directory.HOST, self._port, self._app, threaded=True)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()


def install(switches: Switches, app: flask.Flask) -> None:
    """Let the faults of this process strike before each request is handled, inside its SERVER span."""

    @app.before_request
    def strike() -> flask.Response | None:
        try:
            switches.strike()
        except InjectedFailure as failure:
            return flask.make_response({"error": str(failure)}, 503)
        return None


def client() -> requests.Session:
    """Return a session whose requests raise on an answer of 400 or more; give each a timeout of its own."""
    session = requests.Session()
    session.hooks["response"].append(lambda response, *args, **kwargs: response.raise_for_status())
    return session
