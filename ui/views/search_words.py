"""What somebody meant by the words in the search box. Pure: text to an intent, no reading."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from urllib.parse import unquote

from ui.views.errors import BadAddress

_TRACEPARENT = re.compile(r"\b[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}\b")
_SPAN_IN_ADDRESS = re.compile(r"[?&](?:span|spanid|span_id|uifind)=([0-9a-f]{16}(?:/server)?)\b")
_LONG_ID = re.compile(r"(?<![0-9a-z])([0-9a-f]{32})(?![0-9a-z])")
_SHORT_ID = re.compile(r"(?<![0-9a-z])([0-9a-f]{16})(?![0-9a-z])")
_UUID = re.compile(r"\b([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})\b")
_XRAY = re.compile(r"(?<![0-9a-z])1-([0-9a-f]{8})-([0-9a-f]{24})(?![0-9a-z])")
_ADDRESS = re.compile(r"(https?://[^\s/?#]+(/[^\s?#]*)?(\?[^\s#]*)?)(?:#\S*)?", re.IGNORECASE)
_HOST = re.compile(r"https?://[^\s/?#]+")
_SAYS_TRACE = re.compile(r"(?<!stack)(?<!back)traces?(?:[-_. ]?id|parent|ql)?(?![a-z])|\bx-?ray\b|\btempo\b|\bzipkin\b")
"""In small letters: what comes with the id of a trace, in addresses of every tracing tool and in log lines."""
MOST_IDS = 4
"""Of so many ids in an address it is asked whether one is a trace's."""
MOST_CHARACTERS = 10_000
"""In the box: a page of a log, or any address."""
_PAIR = re.compile(r"(?<![\w.\-/])([A-Za-z_][\w.\-/]*)=(\"[^\"]*\"|\S+)")


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


@dataclass(frozen=True, slots=True)
class TracePerhaps:
    """Words with ids that may be a trace's, or an order's: nobody says so, and who knows what is stored has to tell."""

    traces: tuple[TraceWanted, ...]
    otherwise: AttributesWanted | RequestWanted | NameWanted
    """What is meant if none of them is stored."""


Intent = TraceWanted | AttributesWanted | RequestWanted | NameWanted


def settled(read: Intent | TracePerhaps | None, is_stored: Callable[[str], bool]) -> Intent | None:
    """Return what was meant, by whether a trace of this id is stored."""
    if not isinstance(read, TracePerhaps):
        return read
    return next((trace for trace in read.traces if is_stored(trace.trace_id)), read.otherwise)


def read_words(words: str) -> Intent | TracePerhaps | None:
    """Return what was meant, None for an empty box; raises BadAddress for more than MOST_CHARACTERS.

    >>> read_words("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    TraceWanted(trace_id='4bf92f3577b34da6a3ce929d0e0e4736', span_id='00f067aa0ba902b7')
    >>> read_words("https://jaeger.example/trace/463ac35c9f6413ad?uiFind=x")
    TraceWanted(trace_id='0000000000000000463ac35c9f6413ad', span_id='')
    >>> read_words("https://shop.example/orders/463ac35c9f6413ad").traces
    (TraceWanted(trace_id='0000000000000000463ac35c9f6413ad', span_id=''),)
    >>> read_words("https://shop.example/cart?id=1")
    RequestWanted(url='https://shop.example/cart?id=1', path='/cart', query='?id=1')
    >>> read_words("http.route=/cart")
    AttributesWanted(attributes=(('http.route', '/cart'),))
    """
    words = words.strip()
    if not words:
        return None
    if len(words) > MOST_CHARACTERS:
        raise BadAddress(
            f"{len(words):,} characters are more than the {MOST_CHARACTERS:,} that are looked through",
            hint="write the id, the address or the name alone",
        )
    for spelled in (words, unquote(words)):  # addresses of Grafana hold what they ask for percent-encoded
        found = tuple(islice(_traces(spelled.lower()), MOST_IDS))
        if found:
            return found[0] if _is_of_trace(spelled.lower()) else TracePerhaps(found, _of_no_trace(words))
    return _of_no_trace(words)


def _of_no_trace(words: str) -> AttributesWanted | RequestWanted | NameWanted:
    address = _ADDRESS.fullmatch(words)
    if address is not None:
        return RequestWanted(address[1], address[2] or "/", address[3] or "")
    pairs = tuple((key, value.strip('"')) for key, value in _PAIR.findall(words))
    if pairs and not _PAIR.sub("", words).strip() and "://" not in words:
        return AttributesWanted(pairs)
    return NameWanted(words)


def _is_of_trace(words: str) -> bool:
    """Tell whether words with an id say that it is a trace's: by its form, by being all there is, or by a word."""
    if _TRACEPARENT.search(words) or _XRAY.search(words):
        return True
    if _LONG_ID.fullmatch(words) or _SHORT_ID.fullmatch(words):
        return True
    pairs = _PAIR.findall(words)
    if pairs and not _PAIR.sub("", words).strip():
        return any(_SAYS_TRACE.search(key) and any(True for _ in _traces(f"/{value}")) for key, value in pairs)
    return _SAYS_TRACE.search(_HOST.sub("", words)) is not None


def _traces(words: str) -> Iterator[TraceWanted]:
    """Yield what looks like the id of a trace in small letters, the surest form first."""
    parent = _TRACEPARENT.search(words)
    if parent is not None:
        if _is_id(parent[1]):
            yield TraceWanted(parent[1], parent[2])
        return
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
                yield TraceWanted(digits.rjust(32, "0"), span[1] if span else "")


def _is_id(digits: str) -> bool:
    """All zero is no id."""
    return bool(digits.strip("0"))
