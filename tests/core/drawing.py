"""Traces as a reviewer can read them: text to SpanBatch. Used by the tests of the core, the store and the pages.

    checkout 0-100; stock 10-40 in checkout; payment 50-90 in checkout

One span a statement; `;` or a new line ends it, a word that begins with `#` starts a comment. A statement is
`LABEL START-END` and then clauses in any order:

    shop/GET /x 0-100          service `shop`, operation `GET /x`; without a slash both have the label's name
    stock#2 50-90              what follows the last `#` only tells labels apart: service and operation `stock`
    in LABEL, follows LABEL    the parent; `follows` is Jaeger's FOLLOWS_FROM. No parent: a root
    orphan                     a parent that is not in the trace
    internal, server, client, producer, consumer, unspecified       the kind, `internal` unless said
    ok, error                  the status
    not-awaited, outcome NAME, mandatory, optional                  cpdd.call.outcome and cpdd.call.requirement
    links LABEL                a span link, as often as needed (then the batch has a body); its type is `retry`, `hedge`
                               or `adopted`, `link_trace_id_low=2` says that it leads to another trace
    on HOST, on KEY=VALUE      where it ran: `host.name`, or any key of HOST_KEYS; or `service.version`
    calls SERVICE              service.peer.name
    id 7                       the span id; by default 1, 2, 3 in order of first appearance
    trace 2                    the number of the trace, 1 unless said
    COLUMN=VALUE               any other column of SpanBatch, `http_status=500`, `journey=buy`

A label that is drawn again is a copy of the span: the same id. Two labels with one `id` share it, as Zipkin's
client and server do. Labels with blanks are quoted where they are referred to: `in "shop/GET /x"`. References may
point forward, also to the span itself.

Times count from EPOCH_NS, in units of 1 ns or of what `read_trace` is told. A number may carry its unit (`ns`,
`us`, `ms`, `s`); a start without one takes its end's, so `10-40ms` are 30 ms. `10-?` has no end, `40-10` a
negative duration, `-5-10` starts before the epoch.

>>> batch = read_trace("checkout 0-100; stock 10-40 in checkout")
>>> [batch.text(name) for name in batch.name], (batch.end_time_unix_nano - EPOCH_NS).tolist()
(['checkout', 'stock'], [100, 40])
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray
from opentelemetry.proto.trace.v1 import trace_pb2

from collector.core.detail import Link
from collector.core.spans import (
    DTYPES,
    HOST_KEYS,
    KIND_CLIENT,
    KIND_INTERNAL,
    KIND_SERVER,
    LINKS,
    NO_STRING,
    OUTCOME_NOT_AWAITED,
    OUTCOMES,
    REQUIREMENTS,
    STATUS_ERROR,
    STATUS_OK,
    STRING_COLUMNS,
    Resources,
    Scopes,
    SpanBatch,
    StringTable,
)

EPOCH_NS = 1_700_000_000_000_000_000
"""Where drawn times count from: above 2^53, so that a detour through float64 shows."""
TRACE_ID_HIGH = 0x0AF7_6519_16CD_43DD
VERSION_KEY = "service.version"
MISSING_PARENT = 0xFFFF_FFFF_FFFF_FFFF
"""The parent of an `orphan`."""
UNITS_NS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")


class DrawingError(ValueError):
    """A statement that cannot be read: says what, and in which statement."""

    def __init__(self, problem: str, statement: str) -> None:
        super().__init__(f'{problem}\n  in "{statement}"')
        self.problem = problem
        self.statement = statement


@dataclass(frozen=True, slots=True)
class DrawnSpan:
    """One row of a SpanBatch to be, with text instead of positions."""

    label: str
    span_id: int
    start_time_unix_nano: int
    end_time_unix_nano: int
    """0: missing."""
    service: str = ""
    operation: str = ""
    parent_span_id: int = 0
    follows_from: bool = False
    kind: int = KIND_INTERNAL
    trace: int = 1
    hosts: tuple[tuple[str, str], ...] = ()
    links: tuple[int, ...] = ()
    """Ids of spans of the same trace."""
    columns: tuple[tuple[str, str | int], ...] = ()
    """Further columns of SpanBatch."""


def read_trace(text: str, unit: str = "ns") -> SpanBatch:
    """Return the drawn spans as a batch, a row for each statement, in order."""
    return make_batch(read_spans(text, unit))


def read_spans(text: str, unit: str = "ns") -> list[DrawnSpan]:
    """Return the drawn spans; `unit` is that of numbers without one."""
    drafts = [_Statement(words, UNITS_NS[unit]).read() for words in _statements(text)]
    ids = _number(drafts)
    return [_resolve(draft, ids) for draft in drafts]


def node_labels(spans: Iterable[DrawnSpan]) -> dict[str, str]:
    """Return the label of every node id: 16 hex digits, and `/server` for the server half of a shared id."""
    spans = list(spans)
    clients = {(span.trace, span.span_id) for span in spans if span.kind == KIND_CLIENT}
    labels: dict[str, str] = {}
    for span in spans:
        half = "/server" if span.kind == KIND_SERVER and (span.trace, span.span_id) in clients else ""
        labels.setdefault(f"{span.span_id:016x}{half}", span.label)
    return labels


def read_time(text: str, unit_ns: int = 1) -> int:
    """Return a drawn time in ns: `40`, `1_000`, `1.5ms`."""
    number, suffix = _split_unit(text)
    nanoseconds = Decimal(number.replace("_", "")) * (UNITS_NS[suffix] if suffix else unit_ns)
    if nanoseconds != int(nanoseconds):
        raise DrawingError(f"time is not a whole number of ns: {nanoseconds}", text)
    return int(nanoseconds)


def read_stretch(text: str, unit_ns: int = 1) -> tuple[int, int | None] | None:
    """Return start and end of `10-40ms`, in ns; an end of None where it is `?`; None for any other text."""
    match = _STRETCH.fullmatch(text)
    if match is None:
        return None
    start, end = match.groups()
    suffix = _split_unit(end)[1] if end != "?" else None
    if suffix and not _split_unit(start)[1]:
        start += suffix
    return read_time(start, unit_ns), None if end == "?" else read_time(end, unit_ns)


def make_batch(spans: Sequence[DrawnSpan]) -> SpanBatch:
    """Return the spans as columns. The body is empty unless there are links: columns have only the one that counts."""
    table = StringTable()
    senders = list(dict.fromkeys((span.service, span.hosts) for span in spans))
    messages = [_message(span) for span in spans]
    sizes = np.array([len(message) for message in messages], np.int64)
    rows = [_row(span, table) | {"resource": senders.index((span.service, span.hosts))} for span in spans]
    columns = {name: np.array([row.get(name, 0) for row in rows], dtype) for name, dtype in DTYPES.items()}
    columns |= {"size": sizes, "at": np.cumsum(sizes) - sizes}
    resources = _resources(senders, table)
    scopes = _scopes(table, 1 if spans else 0)
    return SpanBatch(
        **columns,
        strings=table.strings(),
        resources=resources,
        scopes=scopes,
        body=b"".join(messages),
    )


def links_of(spans: Sequence[DrawnSpan]) -> Callable[[int], list[Link]]:
    """Return what gives the links of a row of `make_batch(spans)`, as `explain` wants it."""

    def links(row: int) -> list[Link]:
        trace_id = f"{TRACE_ID_HIGH:016x}{spans[row].trace:016x}"
        return [Link(trace_id=trace_id, span_id=f"{link:016x}") for link in spans[row].links]

    return links


def draw(spans: Iterable[DrawnSpan]) -> str:
    """Return text that `read_trace` turns into the same batch, where labels are `SERVICE/OPERATION#ID`."""
    spans = list(spans)
    labels = {span.span_id: span.label for span in reversed(spans)}
    return "\n".join(_draw_span(span, labels) for span in spans)


# Reading

_NUMBER = r"-?\d[\d_]*(?:\.\d+)?(?:ns|us|ms|s)?"
_STRETCH = re.compile(rf"({_NUMBER})-({_NUMBER}|\?)")
_WORD = re.compile(r'(?P<end>[;\n])|(?P<comment>#[^\n]*)|(?P<word>(?:"[^"\n]*"|[^\s;"])+)|(?P<blank>[^\S\n]+)')


@dataclass(frozen=True, slots=True)
class _Draft:
    """A span whose references are still labels."""

    span: DrawnSpan
    parent: str
    linked: tuple[str, ...]
    text: str


def _statements(text: str) -> list[list[str]]:
    """Words of each statement that has any; quoted words keep their quotes."""
    statements: list[list[str]] = [[]]
    position = 0
    while position < len(text):
        match = _WORD.match(text, position)
        if match is None:
            raise DrawingError("quote without its partner", text[position:].partition("\n")[0])
        if match["end"]:
            statements.append([])
        elif match["word"]:
            statements[-1].append(match["word"])
        position = match.end()
    return [words for words in statements if words]


class _Statement:
    """Reads one statement, word by word."""

    def __init__(self, words: list[str], unit_ns: int) -> None:
        self._words = words
        self._unit_ns = unit_ns
        self._at = 0

    def read(self) -> _Draft:
        start_ns, end_ns = self._read_until_times()
        label = " ".join(map(_unquote, self._words[: self._at - 1]))
        named = re.sub(r"#[^#]*$", "", label)
        service, slash, operation = named.partition("/")
        span = DrawnSpan(
            label=label,
            span_id=0,
            start_time_unix_nano=EPOCH_NS + start_ns,
            end_time_unix_nano=0 if end_ns is None else EPOCH_NS + end_ns,
            service=service,
            operation=operation if slash else service,
        )
        draft = _Draft(span, "", (), " ".join(self._words))
        while self._at < len(self._words):
            draft = self._clause(draft, self._next())
        return draft

    def _read_until_times(self) -> tuple[int, int | None]:
        for position, word in enumerate(self._words):
            stretch = read_stretch(word, self._unit_ns)
            if stretch is not None and position > 0:
                self._at = position + 1
                return stretch
        raise self._error("a label and START-END expected")

    def _clause(self, draft: _Draft, word: str) -> _Draft:
        span = draft.span
        match word:
            case "in" | "follows":
                span = replace(span, follows_from=word == "follows")
                return replace(draft, span=span, parent=_unquote(self._next()))
            case "links":
                return replace(draft, linked=(*draft.linked, _unquote(self._next())))
            case "orphan":
                return replace(draft, span=replace(span, parent_span_id=MISSING_PARENT))
            case "id":
                return replace(draft, span=replace(span, span_id=int(self._next(), 0)))
            case "trace":
                return replace(draft, span=replace(span, trace=int(self._next())))
            case "on":
                return replace(draft, span=replace(span, hosts=(*span.hosts, self._host(self._next()))))
            case _ if word in KINDS:
                return replace(draft, span=replace(span, kind=KINDS.index(word)))
            case _:
                return replace(draft, span=replace(span, columns=(*span.columns, self._column(word))))

    def _column(self, word: str) -> tuple[str, str | int]:
        match word:
            case "ok" | "error":
                return "status_code", STATUS_OK if word == "ok" else STATUS_ERROR
            case "mandatory" | "optional":
                return "requirement", REQUIREMENTS.index(word)
            case "not-awaited":
                return "outcome", OUTCOME_NOT_AWAITED
            case "retry" | "hedge" | "adopted":
                return "link_type", LINKS.index(word)
            case "outcome":
                return "outcome", OUTCOMES.index(self._next())
            case "calls":
                return "peer_service", _unquote(self._next())
        name, equals, value = word.partition("=")
        if not equals or name not in DTYPES:
            raise self._error(f"no such clause: {word}")
        return name, _unquote(value) if name in STRING_COLUMNS else int(value)

    def _host(self, word: str) -> tuple[str, str]:
        key, equals, value = word.partition("=")
        if equals and key not in (*HOST_KEYS, VERSION_KEY):
            raise self._error(f"no such host key: {key}; expected one of {', '.join(HOST_KEYS)}")
        return (key, _unquote(value)) if equals else ("host.name", _unquote(word))

    def _next(self) -> str:
        if self._at == len(self._words):
            raise self._error(f'"{self._words[-1]}" wants a word behind it')
        self._at += 1
        return self._words[self._at - 1]

    def _error(self, problem: str) -> DrawingError:
        return DrawingError(problem, " ".join(self._words))


def _unquote(word: str) -> str:
    return word.replace('"', "")


def _split_unit(text: str) -> tuple[str, str]:
    number = text.rstrip("nums")
    return number, text[len(number) :]


def _number(drafts: list[_Draft]) -> dict[str, int]:
    """The id of every label: its own, else the next number that nobody asked for."""
    ids: dict[str, int] = {}
    for draft in drafts:
        if draft.span.span_id and ids.setdefault(draft.span.label, draft.span.span_id) != draft.span.span_id:
            raise DrawingError(f'"{draft.span.label}" was drawn with another id before', draft.text)
    taken = set(ids.values())
    free = (number for number in range(1, len(drafts) + len(taken) + 2) if number not in taken)
    for draft in drafts:
        if draft.span.label not in ids:
            ids[draft.span.label] = next(free)
    return ids


def _resolve(draft: _Draft, ids: dict[str, int]) -> DrawnSpan:
    def look_up(label: str) -> int:
        if label not in ids:
            raise DrawingError(f'no span is called "{label}"; say `orphan` for a parent that is missing', draft.text)
        return ids[label]

    return replace(
        draft.span,
        span_id=ids[draft.span.label],
        parent_span_id=look_up(draft.parent) if draft.parent else draft.span.parent_span_id,
        links=tuple(map(look_up, draft.linked)),
    )


# Columns


def _row(span: DrawnSpan, table: StringTable) -> dict[str, int]:
    """The row's values by column, without the two that depend on other rows."""
    texts = {"name": span.operation, "service": span.service}
    numbers = {name: value for name, value in span.columns if isinstance(value, int)}
    texts |= {name: value for name, value in span.columns if isinstance(value, str)}
    return (
        {
            "trace_id_high": TRACE_ID_HIGH,
            "trace_id_low": span.trace,
            "span_id": span.span_id,
            "parent_span_id": span.parent_span_id,
            "start_time_unix_nano": span.start_time_unix_nano,
            "end_time_unix_nano": span.end_time_unix_nano,
            "kind": span.kind,
            "follows_from": int(span.follows_from),
            "rpc_status": -1,
        }
        | _first_link(span)
        | dict.fromkeys(STRING_COLUMNS, NO_STRING)
        | {name: table.index(text) for name, text in texts.items()}
        | numbers
    )


def _first_link(span: DrawnSpan) -> dict[str, int]:
    if not span.links:
        return {}
    return {
        "link_type": LINKS.index("link"),
        "link_trace_id_high": TRACE_ID_HIGH,
        "link_trace_id_low": span.trace,
        "link_span_id": span.links[0],
    }


def _message(span: DrawnSpan) -> bytes:
    """The links of `span` as the content of an OTLP Span message, nothing for a span without."""
    if not span.links:
        return b""
    trace_id = (TRACE_ID_HIGH << 64 | span.trace).to_bytes(16, "big")
    links = [trace_pb2.Span.Link(trace_id=trace_id, span_id=link.to_bytes(8, "big")) for link in span.links]
    own = trace_pb2.Span(trace_id=trace_id, span_id=span.span_id.to_bytes(8, "big"), links=links)
    return bytes(own.SerializeToString())


def _resources(senders: Sequence[tuple[str, tuple[tuple[str, str], ...]]], table: StringTable) -> Resources:
    host = np.full((len(senders), len(HOST_KEYS)), NO_STRING, np.int32)
    version = np.full(len(senders), NO_STRING, np.int32)
    for row, (_, hosts) in enumerate(senders):
        for key, value in hosts:
            if key == VERSION_KEY:
                version[row] = table.index(value)
            else:
                host[row, HOST_KEYS.index(key)] = table.index(value)
    service = np.array([table.index(service) for service, _ in senders], np.int32)
    return Resources(service=service, host=host, version=version, **_no_message(len(senders)))


def _scopes(table: StringTable, count: int) -> Scopes:
    name = np.full(count, table.index("drawing") if count else NO_STRING, np.int32)
    return Scopes(name=name, version=np.full(count, NO_STRING, np.int32), **_no_message(count))


def _no_message(count: int) -> dict[str, NDArray[np.signedinteger]]:
    """The columns of a table whose messages were never written."""
    zeros = np.zeros(count, np.int64)
    return {"schema_url": np.full(count, NO_STRING, np.int32), "at": zeros, "size": zeros}


# Drawing


def _draw_span(span: DrawnSpan, labels: dict[int, str]) -> str:
    end = "?" if span.end_time_unix_nano == 0 else str(span.end_time_unix_nano - EPOCH_NS)
    words = [f'"{span.label}" {span.start_time_unix_nano - EPOCH_NS}-{end}', f"id {span.span_id}"]
    if span.parent_span_id in labels:
        words.append(f'{"follows" if span.follows_from else "in"} "{labels[span.parent_span_id]}"')
    else:
        words += ["orphan"] * (span.parent_span_id != 0) + ["follows_from=1"] * span.follows_from
    words += [KINDS[span.kind]] * (span.kind != KIND_INTERNAL)
    words += [f"trace {span.trace}"] * (span.trace != 1)
    words += [f'on {key}="{value}"' for key, value in span.hosts]
    words += [f'links "{labels[link]}"' for link in span.links]
    words += [f'{name}="{value}"' if isinstance(value, str) else f"{name}={value}" for name, value in span.columns]
    return " ".join(words)
