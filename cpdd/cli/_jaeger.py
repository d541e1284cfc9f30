"""Traces from a running Jaeger, or a running cpdd, by the Jaeger query API.

Source: https://www.jaegertracing.io/docs/latest/apis/#http-json.
"""

from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import urlopen

import orjson

from collector.core.formats.document import MalformedDocument, parse_json
from collector.core.formats.recognize import NotSpans, translate_document
from collector.core.spans import SpanBatch
from collector.core.wire import decode_traces
from cpdd.cli._bearer import reader_request
from cpdd.errors import CpddError

TIMEOUT_S = 60.0
MOST_NAMED = 20
MOST_AT_ONCE = 1_500
"""A running cpdd gives no more to one question."""
_ELSEWHERE = "Jaeger's UI and API are usually at :16686"
_HINTS = {401: "CPDD_READ_TOKENS, or read_tokens in cpdd.toml, says which token to show"}


class QueryError(CpddError):
    """A query API that cannot be used: the problem, the address, the next step."""

    def __init__(self, problem: str, address: str, hint: str = "") -> None:
        self.problem = problem
        self.address = address
        self.hint = hint
        super().__init__(f"{problem}\n  at {address}" + (f"\nhint: {hint}" if hint else ""))


@dataclass(frozen=True, slots=True)
class Asked:
    """Which traces are asked for."""

    service: str
    operation: str
    start_unix_nano: int
    end_unix_nano: int
    limit: int


@dataclass(frozen=True, slots=True)
class Answered:
    """The traces that came."""

    spans: SpanBatch
    traces: int
    rejected: int

    def reached(self, limit: int) -> bool:
        """Whether there may be more than were sent."""
        return self.traces >= limit or self.traces == MOST_AT_ONCE


Fetch = Callable[[str], bytes]
"""An address to the body of its answer."""


def fetch_over_http(address: str) -> bytes:
    """Return what is at an address.

    Raises:
        QueryError: nobody answers, or with an error.
        SettingsError: a token is configured and cannot be read.
    """
    try:
        with urlopen(reader_request(address), timeout=TIMEOUT_S) as answer:
            body: bytes = answer.read()
    except HTTPError as error:
        with error:
            said = _message(error.read(10_000)) or error.reason
        raise QueryError(f"answer {error.code}: {said}", address, _HINTS.get(error.code, _ELSEWHERE)) from None
    except (URLError, HTTPException, OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise QueryError(f"no answer: {reason}", address, "is it running, and is it the port of the UI?") from None
    return body


def services_at(base: str, fetch: Fetch = fetch_over_http) -> list[str]:
    """Return the services that have sent spans."""
    address = f"{root_of(base)}/api/services"
    return sorted(str(name) for name in _data(fetch(address), address))


def traces_at(base: str, asked: Asked, fetch: Fetch = fetch_over_http) -> Answered:
    """Return traces, the newest first where there are more than asked for.

    Raises:
        QueryError: there is no answer, or none that a Jaeger would give.
    """
    query = {
        "service": asked.service,
        "start": asked.start_unix_nano // 1_000,
        "end": asked.end_unix_nano // 1_000,
        "limit": asked.limit,
        **({"operation": asked.operation} if asked.operation else {}),
    }
    address = f"{root_of(base)}/api/traces?{urlencode(query, quote_via=quote)}"
    body = fetch(address)
    traces = len(_data(body, address))
    try:
        translated = translate_document(parse_json(body))
    except (MalformedDocument, NotSpans) as error:
        if not traces:
            return Answered(decode_traces(b"")[0], 0, 0)
        raise QueryError(f"the answer holds no traces: {error}", address) from None
    spans, rejected = decode_traces(translated.body)
    return Answered(spans, traces, translated.rejected + rejected.count)


def choose_service(base: str, wanted: str | None, fetch: Fetch = fetch_over_http) -> str:
    """Return the service to ask for: the one that is named, or the only one there is."""
    if wanted:
        return wanted
    names = services_at(base, fetch)
    if len(names) == 1:
        return names[0]
    listed = ", ".join(names[:MOST_NAMED]) + (", ..." if len(names) > MOST_NAMED else "")
    problem = "which service? --service names one" if names else "no service has sent spans"
    raise QueryError(problem, root_of(base), f"there is {listed}" if names else "")


def root_of(base: str) -> str:
    """Return the address without what people copy from a browser behind it; `http://` may be left out."""
    url = urlsplit(base if "://" in base else f"http://{base}")
    if url.scheme not in ("http", "https") or not url.hostname:
        raise QueryError("this is no address of a query API", base, "--from http://localhost:16686")
    path = url.path.rstrip("/")
    for end in ("/search", "/api/traces", "/api"):
        path = path.removesuffix(end)
    return f"{url.scheme}://{url.netloc}{path}"


def _data(body: bytes, address: str) -> list[object]:
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise QueryError(f"the answer is no JSON: {error}", address, "is it the port of the UI?") from None
    data = answer.get("data") if isinstance(answer, dict) else None
    if data is None and isinstance(answer, dict) and answer.get("errors"):
        raise QueryError(_message(body), address)
    if not isinstance(data, list):
        if isinstance(answer, dict) and "data" in answer and data is None:
            return []
        raise QueryError("the answer is not that of a Jaeger query API", address)
    return data


def _message(body: bytes) -> str:
    """What an error in Jaeger's shape says."""
    try:
        errors = orjson.loads(body)["errors"]
        return str(errors[0]["msg"])
    except (orjson.JSONDecodeError, KeyError, IndexError, TypeError):
        return ""
