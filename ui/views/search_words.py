"""What somebody meant by the words in the search box. Pure: text to an intent, no reading."""

import re
from dataclasses import dataclass
from urllib.parse import unquote

_TRACEPARENT = re.compile(r"\b[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}\b")
_SPAN_IN_ADDRESS = re.compile(r"[?&](?:span|spanid|span_id|uifind)=([0-9a-f]{16}(?:/server)?)\b")
_LONG_ID = re.compile(r"(?<![0-9a-z])([0-9a-f]{32})(?![0-9a-z])")
_SHORT_ID = re.compile(r"(?<![0-9a-z])([0-9a-f]{16})(?![0-9a-z])")
_UUID = re.compile(r"\b([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})\b")
_XRAY = re.compile(r"(?<![0-9a-z])1-([0-9a-f]{8})-([0-9a-f]{24})(?![0-9a-z])")
_ADDRESS = re.compile(r"(https?://[^\s/?#]+(/[^\s?#]*)?(\?[^\s#]*)?)(?:#\S*)?", re.IGNORECASE)
_PAIR = re.compile(r"([A-Za-z_][\w.\-/]*)=(\"[^\"]*\"|\S+)")


@dataclass(frozen=True, slots=True)
class TraceWanted:
    """A trace by its id, and where a traceparent or an address names one, a span of it."""

    trace_id: str
    span_id: str = ""


@dataclass(frozen=True, slots=True)
class AttributesWanted:
    """Traces with a span that has all of these."""

    attributes: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class NameWanted:
    """A journey, a service or a span name, whole or in part."""

    text: str


@dataclass(frozen=True, slots=True)
class RequestWanted:
    """Traces with a request to an address, whichever attribute says so; else what has the path in its name."""

    url: str
    """Without what follows a `#`, which no server sees."""
    path: str
    query: str
    """With its question mark; empty where there is none."""

    @property
    def attributes(self) -> tuple[tuple[str, str], ...]:
        """What a span may say of it, the most exact first: by today's conventions and by those before."""
        return (
            ("url.full", self.url),
            ("http.url", self.url),
            ("http.target", self.path + self.query),
            ("url.path", self.path),
            ("http.route", self.path),
        )


Intent = TraceWanted | AttributesWanted | RequestWanted | NameWanted


def read_words(words: str) -> Intent | None:
    """Return what was meant, None for an empty box.

    >>> read_words("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    TraceWanted(trace_id='4bf92f3577b34da6a3ce929d0e0e4736', span_id='00f067aa0ba902b7')
    >>> read_words("https://jaeger.example/trace/463ac35c9f6413ad?uiFind=x")
    TraceWanted(trace_id='0000000000000000463ac35c9f6413ad', span_id='')
    >>> read_words("https://shop.example/cart?id=1")
    RequestWanted(url='https://shop.example/cart?id=1', path='/cart', query='?id=1')
    >>> read_words("http.route=/cart")
    AttributesWanted(attributes=(('http.route', '/cart'),))
    """
    words = words.strip()
    if not words:
        return None
    for spelled in (words, unquote(words)):  # addresses of Grafana hold what they ask for percent-encoded
        trace = _trace(spelled.lower())
        if trace is not None:
            return trace
    address = _ADDRESS.fullmatch(words)
    if address is not None:
        return RequestWanted(address[1], address[2] or "/", address[3] or "")
    pairs = tuple((key, value.strip('"')) for key, value in _PAIR.findall(words))
    if pairs and not _PAIR.sub("", words).strip() and "://" not in words:
        return AttributesWanted(pairs)
    return NameWanted(words)


def _trace(words: str) -> TraceWanted | None:
    parent = _TRACEPARENT.search(words)
    if parent is not None:
        return TraceWanted(parent[1], parent[2]) if _is_id(parent[1]) else None
    span = _SPAN_IN_ADDRESS.search(words)
    for pattern in (_LONG_ID, _UUID, _XRAY, _SHORT_ID):
        for match in pattern.finditer(words):
            digits = "".join(match.groups())
            alone = match.group() == words
            if (
                _is_id(digits)
                and (alone or pattern is not _SHORT_ID or "/" in words)
                and (not span or digits != span[1])
            ):
                return TraceWanted(digits.rjust(32, "0"), span[1] if span else "")
    return None


def _is_id(digits: str) -> bool:
    """All zero is no id."""
    return bool(digits.strip("0"))
