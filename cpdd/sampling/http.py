"""One HTTP connection to a sampling server, on the standard library alone: no instrumentation sees it."""

import encodings.idna  # noqa: F401  names of hosts; imported by a thread when a process forks, it hangs in the child
import json
import ssl
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from urllib.parse import urlencode, urlsplit

from cpdd.errors import CpddError
from cpdd.sampling.document import MAX_BYTES

PROBLEMS = (OSError, HTTPException, ValueError)
"""What may go wrong with a server, its answers included."""


class Unusable(CpddError):
    """A server that answers, but not as a sampling server does."""

    def __init__(self, status: int, address: str, said: str) -> None:
        self.status = status
        self.address = address
        super().__init__(f"{address} answers {status}: {said[:300]}")


class Server:
    """An address, and the connection to it while there is one. Not thread-safe: each worker has its own."""

    def __init__(self, address: str, timeout_s: float, authorization: str = "") -> None:
        """Raises ValueError for an address that is none.

        Args: authorization: what every request shows, if anything.
        """
        url = urlsplit(address)
        if url.scheme not in ("http", "https") or not url.hostname:
            raise ValueError(f"{address!r} is no address such as http://127.0.0.1:5778")
        self.address = address
        self.path = url.path.rstrip("/")
        self._is_tls = url.scheme == "https"
        self._host, self._port, self._timeout_s = url.hostname, url.port, timeout_s
        self._own = {"User-Agent": "cpdd-sampling"} | ({"Authorization": authorization} if authorization else {})
        self._connection: HTTPConnection | None = None

    def get(self, path: str, query: dict[str, str], headers: dict[str, str] | None = None) -> HTTPResponse:
        """Return the answer, to be read whole before the next request. Raises one of PROBLEMS."""
        return self.ask("GET", path, query, None, headers or {})

    def post(self, path: str, value: object) -> HTTPResponse:
        """Send a JSON value; likewise."""
        return self.ask("POST", path, {}, value, {})

    def ask(
        self, method: str, path: str, query: dict[str, str], value: object, headers: dict[str, str]
    ) -> HTTPResponse:
        """Send a request with a JSON value (None: without a body); likewise."""
        where = f"{self.path}{path}" + (f"?{urlencode(query)}" if query else "")
        body = None if value is None else json.dumps(value).encode()
        kind = {} if body is None else {"Content-Type": "application/json"}
        return self._ask(method, where, body, kind | headers)

    def interrupt(self) -> None:
        """Break off a request that another thread waits for."""
        sock = self._connection.sock if self._connection else None
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(2)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> HTTPResponse:
        was_open = self._connection is not None
        connection = self._connection or self._open()
        self._connection = connection
        try:
            connection.request(method, path, body, self._own | headers)
            return connection.getresponse()
        except PROBLEMS as error:
            self.close()
            if was_open and not isinstance(error, TimeoutError):  # it lay idle, and the server closed it
                return self._ask(method, path, body, headers)
            raise

    def _open(self) -> HTTPConnection:
        if self._is_tls:
            return HTTPSConnection(
                self._host, self._port, timeout=self._timeout_s, context=ssl.create_default_context()
            )
        return HTTPConnection(self._host, self._port, timeout=self._timeout_s)


def body_of(response: HTTPResponse, address: str) -> bytes:
    """Return a good answer's body. Raises Unusable for another status, and ValueError for a body without end."""
    body = response.read(MAX_BYTES + 1)
    if response.status != 200:
        response.read()
        raise Unusable(response.status, address, body.decode("utf-8", "replace").strip())
    if len(body) > MAX_BYTES:
        raise ValueError(f"{address} answers with more than {MAX_BYTES} bytes")
    return body


def words(error: BaseException) -> str:
    """Return what a failure says, its kind where it says nothing."""
    return str(error) or type(error).__name__
