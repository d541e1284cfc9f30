"""What a program shows the sampling server when it reports: the token that it sends spans with. Pure."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from opentelemetry.util.re import parse_env_headers

DEFAULT_OTLP_ENDPOINT = "http://localhost:4318"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def authorization(token: str, endpoint: str, environ: Mapping[str, str]) -> str:
    """Return the value of the Authorization header, "" for none.

    Without a token of its own it is that of OTEL_EXPORTER_OTLP_HEADERS, but only where spans go to the same host: what
    is meant for somebody else's collector is no business of the sampling server.

    >>> authorization("s3cret", "http://a:5778", {})
    'Bearer s3cret'
    >>> spans = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a", "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20x"}
    >>> authorization("", "http://a:5778", spans), authorization("", "http://b:5778", spans)
    ('Bearer x', '')
    """
    if token:
        return f"Bearer {token}"
    spans_go_to = _first(environ, "ENDPOINT") or DEFAULT_OTLP_ENDPOINT
    if _host(spans_go_to) != _host(endpoint):
        return ""
    return parse_env_headers(_first(environ, "HEADERS"), liberal=True).get("authorization", "")


def _first(environ: Mapping[str, str], what: str) -> str:
    return environ.get(f"OTEL_EXPORTER_OTLP_TRACES_{what}", "") or environ.get(f"OTEL_EXPORTER_OTLP_{what}", "")


def _host(address: str) -> str:
    try:
        host = urlsplit(address if "://" in address else f"//{address}").hostname or ""
    except ValueError:
        return ""
    return "localhost" if host in _LOOPBACK else host
