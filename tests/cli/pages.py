"""The pages and the query API of cpdd on a real port, over traces in memory."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def pages_at_a_port(application: Any) -> Iterator[str]:
    """Serve a WSGI application on 127.0.0.1; gives its address."""
    with make_server("127.0.0.1", 0, application, handler_class=_Quiet) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{http.server_port}"
        finally:
            http.shutdown()
            thread.join()
