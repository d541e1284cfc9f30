"""Requests to an OTLP/HTTP endpoint: one connection kept open, retries as the specification asks.

Source: https://opentelemetry.io/docs/specs/otlp/#otlphttp-response.
"""

import gzip
import random
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection, responses
from itertools import count
from urllib.parse import unquote, urlsplit

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from cpdd.cli._terminal import printable
from cpdd.errors import CpddError

RETRYABLE = (429, 502, 503, 504)
"""Answers after which the same request may be sent again."""
HOPELESS = (401, 403, 404, 405, 415)
"""Answers that every other request will get too."""
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 30.0
GIVE_UP_AFTER_S = 120.0
"""How long one request is tried again."""
MAX_ANSWER_BYTES = 1 << 20
GRPC_PORT = 4317

_HINTS = {
    401: "--headers 'authorization=Bearer …' sends credentials",
    403: "--headers 'authorization=Bearer …' sends credentials",
    404: "OTLP/HTTP for traces is usually at /v1/traces of port 4318",
    405: "OTLP/HTTP for traces is usually at /v1/traces of port 4318",
    413: "the endpoint takes smaller requests only",
}


class EndpointError(CpddError):
    """An endpoint that cannot be used: the problem, the address, the next step."""

    def __init__(self, problem: str, endpoint: str, hint: str = "") -> None:
        self.problem = problem
        self.endpoint = endpoint
        self.hint = hint
        super().__init__(f"{problem}\n  at {endpoint}" + (f"\nhint: {hint}" if hint else ""))


class RequestRefused(EndpointError):
    """A request that the endpoint does not take, now or later; others may fare better."""

    def __init__(self, status: int, message: str, endpoint: str) -> None:
        self.status = status
        self.message = message
        answer = f"{status} {responses.get(status, '')}".rstrip()
        super().__init__(f"answer {answer}{f': {message}' if message else ''}", endpoint, _HINTS.get(status, ""))

    @property
    def is_hopeless(self) -> bool:
        """Whether every other request will be refused too."""
        return self.status in HOPELESS


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of a request that was taken."""

    rejected_spans: int
    message: str
    retries: int
    sent_bytes: int


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes
    retry_after_s: float | None


class OtlpHttpSender:
    """Sends requests over one connection, one behind the other. Not thread-safe."""

    def __init__(
        self,
        endpoint: str,
        headers: dict[str, str] | None = None,
        compress: bool = True,
        timeout_s: float = 10.0,
        certificate: str = "",
        reached: threading.Event | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Args:
            certificate: file of the certificates that the server is trusted by; the system's when empty.
            reached: is set once the endpoint answered; shared by senders of several connections. Until then an
                endpoint that cannot be reached is an error at once, later it is waited for.
        Raises:
            EndpointError: the address cannot be used.
        """
        self.endpoint = endpoint
        url = urlsplit(endpoint)
        if url.scheme not in ("http", "https") or not url.hostname:
            raise EndpointError("an address such as http://localhost:4318/v1/traces is expected", endpoint)
        self._path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        self._headers = {"Content-Type": "application/x-protobuf", "User-Agent": "cpdd-send", **(headers or {})}
        self._compress = compress
        self._sleep = sleep
        self._clock = clock
        self._reached = reached or threading.Event()
        try:
            port = url.port
            if url.scheme == "https":
                context = ssl.create_default_context(cafile=certificate or None)
                self._connection: HTTPConnection = HTTPSConnection(
                    url.hostname, port, timeout=timeout_s, context=context
                )
            else:
                self._connection = HTTPConnection(url.hostname, port, timeout=timeout_s)
        except (ValueError, OSError) as error:
            raise EndpointError(str(error), endpoint) from None

    def close(self) -> None:
        self._connection.close()

    def send(self, body: bytes) -> Accepted:
        """Send one request, again and again while the endpoint asks for patience.

        Raises:
            RequestRefused: the endpoint will never take this request.
            EndpointError: it cannot be reached, or asked for patience too long.
        """
        content = gzip.compress(body, 5, mtime=0) if self._compress else body
        begun = self._clock()
        for retries in count():
            answer, problem = self._attempt(content)
            if problem is None:
                return _accepted(answer, retries, len(content))
            wait_s = _wait_s(answer, retries)
            if self._clock() + wait_s - begun > GIVE_UP_AFTER_S:
                tries = "1 try" if retries == 0 else f"{retries + 1} tries"
                raise EndpointError(f"given up after {tries}: {problem.problem}", self.endpoint, problem.hint)
            self._sleep(wait_s)
        raise AssertionError("unreachable")

    def _attempt(self, content: bytes) -> tuple["_Answer | None", EndpointError | None]:
        """The answer, if there was one, and why it is worth another try; raises what is not."""
        try:
            answer = self._post(content)
        except (OSError, HTTPException) as error:
            problem = EndpointError(f"cannot send: {_words(error)}", self.endpoint, self._hint(error))
            if not self._reached.is_set():
                raise problem from None
            return None, problem
        self._reached.set()
        if 200 <= answer.status < 300:
            return answer, None
        refused = RequestRefused(answer.status, _message(answer.body), self.endpoint)
        if answer.status not in RETRYABLE:
            raise refused
        return answer, refused

    def _post(self, content: bytes) -> "_Answer":
        """One request and its answer. A server may have closed a connection that lay idle: it gets a second one."""
        was_open = self._connection.sock is not None
        try:
            return self._exchange(content)
        except (OSError, HTTPException) as error:
            self._connection.close()
            if not was_open or isinstance(error, TimeoutError):
                raise
        try:
            return self._exchange(content)
        except (OSError, HTTPException):
            self._connection.close()
            raise

    def _exchange(self, content: bytes) -> "_Answer":
        encoding = {"Content-Encoding": "gzip"} if self._compress else {}
        self._connection.request("POST", self._path, content, {**self._headers, **encoding})
        response = self._connection.getresponse()
        body = response.read(MAX_ANSWER_BYTES)
        if not response.isclosed():
            self._connection.close()
        return _Answer(response.status, body, _retry_after_s(response.getheader("Retry-After")))

    def _hint(self, error: Exception) -> str:
        if isinstance(error, ConnectionRefusedError):
            return "is it running? cpdd serve listens at http://127.0.0.1:4318/v1/traces"
        if isinstance(error, HTTPException) and self._connection.port == GRPC_PORT:
            return "port 4317 usually speaks gRPC; this command speaks OTLP/HTTP, usually at port 4318"
        return ""


def _words(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def _wait_s(answer: "_Answer | None", retries: int) -> float:
    """What the endpoint asks for, else twice as long each time, spread so that many senders do not come at once."""
    if answer is not None and answer.retry_after_s is not None:
        return answer.retry_after_s
    return random.uniform(0.5, 1.0) * min(FIRST_WAIT_S * 2.0 ** min(retries, 10), LONGEST_WAIT_S)


def _retry_after_s(header: str | None) -> float | None:
    """Seconds, or a date; None for neither."""
    if header is None:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        return max(parsedate_to_datetime(header).timestamp() - time.time(), 0.0)
    except (TypeError, ValueError):
        return None


def _accepted(answer: "_Answer | None", retries: int, sent_bytes: int) -> Accepted:
    """What a 200 says; an answer that cannot be read says nothing."""
    assert answer is not None
    try:
        partial = ExportTraceServiceResponse.FromString(answer.body).partial_success
    except DecodeError:
        return Accepted(0, "", retries, sent_bytes)
    return Accepted(partial.rejected_spans, partial.error_message, retries, sent_bytes)


def _message(body: bytes) -> str:
    """The message of a google.rpc.Status, or what the answer says in plain text."""
    try:
        return printable(str(Status.FromString(body).message))
    except DecodeError:
        return printable(body[:300].decode("utf-8", "replace").strip())


def parse_headers(text: str) -> dict[str, str]:
    """Return the headers of `OTEL_EXPORTER_OTLP_HEADERS`: KEY=VALUE,KEY=VALUE, percent-encoded.

    >>> parse_headers("api-key=s%20x, a=b=c")
    {'api-key': 's x', 'a': 'b=c'}
    """
    pairs = (pair.partition("=") for pair in text.split(",") if pair.strip())
    return {unquote(key.strip()): unquote(value.strip()) for key, _, value in pairs}


def traces_address(address: str) -> str:
    """Return what a person means: http where no scheme is said, and the path of traces where no path is.

    >>> traces_address("localhost:4318"), traces_address("https://otlp.example/x")
    ('http://localhost:4318/v1/traces', 'https://otlp.example/x')
    """
    address = address if "://" in address else f"http://{address}"
    url = urlsplit(address)
    return address if url.path.strip("/") or url.query else f"{address.rstrip('/')}/v1/traces"
