"""What somebody meant by the words in the search box. Pure: text to an intent, no reading."""

import re
from dataclasses import dataclass

_TRACEPARENT = re.compile(r"\b[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}\b")
_SPAN_IN_ADDRESS = re.compile(r"[?&](?:span|spanid|span_id|uifind)=([0-9a-f]{16}(?:/server)?)\b")
_LONG_ID = re.compile(r"(?<![0-9a-z])([0-9a-f]{32})(?![0-9a-z])")
_SHORT_ID = re.compile(r"(?<![0-9a-z])([0-9a-f]{16})(?![0-9a-z])")
_UUID = re.compile(r"\b([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})\b")
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


Intent = TraceWanted | AttributesWanted | NameWanted


def read_words(words: str) -> Intent | None:
    """Return what was meant, None for an empty box.

    >>> read_words("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    TraceWanted(trace_id='4bf92f3577b34da6a3ce929d0e0e4736', span_id='00f067aa0ba902b7')
    >>> read_words("https://jaeger.example/trace/463ac35c9f6413ad?uiFind=x")
    TraceWanted(trace_id='0000000000000000463ac35c9f6413ad', span_id='')
    >>> read_words("http.route=/cart")
    AttributesWanted(attributes=(('http.route', '/cart'),))
    """
    words = words.strip()
    if not words:
        return None
    trace = _trace(words.lower())
    if trace is not None:
        return trace
    pairs = tuple((key, value.strip('"')) for key, value in _PAIR.findall(words))
    if pairs and not _PAIR.sub("", words).strip() and "://" not in words:
        return AttributesWanted(pairs)
    return NameWanted(words)


def _trace(words: str) -> TraceWanted | None:
    parent = _TRACEPARENT.search(words)
    if parent is not None:
        return TraceWanted(parent[1], parent[2]) if _is_id(parent[1]) else None
    span = _SPAN_IN_ADDRESS.search(words)
    for pattern in (_LONG_ID, _UUID, _SHORT_ID):
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
