"""Traces like those of large fleets: sizes, depth, repetition, failures and defects after published measurements.

`tests.load` makes one shape as fast as it can; here journeys differ, as pages and analysis meet them. A preset has
some journeys, each a tree of calls that its traces follow: small ones leave out its end, large ones repeat calls.
A pool of traces is made once; every request is a part of it with new ids, new times, another length of each trace and
another session, written over it in place.

Sources: `uber`, 531,085 production traces of the "Tale of Errors" corpus (Zenodo 13947828), quantiles; `alibaba`, a
sample of cluster-trace-microservices-v2022; `ads`, Meta's traces (Huye et al., ATC 2023), service blocks of two spans.
`mixed` has many small traces and few large ones, as a fleet has where everything is traced.
"""

import random
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from cpdd.errors import CpddError

MS = 1_000_000
_RPC, _DATABASE, _INTERNAL = "rpc", "database", "internal"
_SCOPE_NAME = b"opentelemetry.instrumentation.flask"
_SCOPE = bytes([0x0A, len(_SCOPE_NAME) + 2, 0x0A, len(_SCOPE_NAME)]) + _SCOPE_NAME
_IDS = np.dtype("<u8")


@dataclass(frozen=True)
class Preset:
    """What the traces of a fleet are like."""

    levels: tuple[float, ...]
    spans: tuple[float, ...]
    """Spans of a trace at these levels; between them straight lines over the logarithm."""
    depth: int
    """Calls in a row, at most."""
    journeys: int
    services: int
    dangling: float
    """Share of traces with a span whose parent never came."""
    more_roots: float
    """Share of traces with a second root."""
    copies: float
    """Share of traces with a span that came twice."""


PRESETS = {
    "uber": Preset(
        levels=tuple((0.025 + 0.05 * i) for i in range(20)),
        spans=(4, 20, 45, 79, 121, 137, 177, 212, 264, 305, 349, 401, 526, 769, 1056, 1267, 1670, 2207, 3865, 10236),
        depth=22, journeys=40, services=120, dangling=0.056, more_roots=0.3, copies=0.022,
    ),
    "alibaba": Preset(
        levels=(0.0, 0.5, 0.9, 0.99, 1.0), spans=(1, 2, 8, 51, 76),
        depth=6, journeys=60, services=60, dangling=0.027, more_roots=0.02, copies=0.0,
    ),
    "ads": Preset(
        levels=(0.2, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99),
        spans=(2, 6, 14, 36, 72, 114, 172, 284, 576, 3254, 6510),
        depth=6, journeys=30, services=80, dangling=0.03, more_roots=0.02, copies=0.0,
    ),
}  # fmt: skip
MIXES = {**{name: {name: 1.0} for name in PRESETS}, "mixed": {"alibaba": 0.9, "ads": 0.08, "uber": 0.02}}
"""Shares of traces."""


class UnknownPreset(CpddError):
    """No workload has this name."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"unknown preset: {name!r}\nhint: {', '.join(MIXES)}")


# Journeys


@dataclass(frozen=True)
class _Call:
    """A place in the tree of a journey."""

    parent: int
    service: str
    operation: str
    what: str
    own_ms: float
    fails: float
    optional: bool
    at_once: bool
    """Whether what it calls runs side by side."""
    depth: int


@dataclass(frozen=True)
class _Journey:
    calls: tuple[_Call, ...]
    """Parents before children."""
    low: float
    high: float
    """Its part of the distribution of sizes."""


def _journeys(name: str, preset: Preset, chance: random.Random) -> list[_Journey]:
    """Return journeys, each with a part of the sizes; the first are much more frequent than the last."""
    weights = np.cumsum([1 / (rank + 1) for rank in range(preset.journeys)])
    bounds = [0.0, *(weights / weights[-1]).tolist()]
    # The frequent ones are small or large by chance, so the parts are laid out in random order.
    order = list(range(preset.journeys))
    chance.shuffle(order)
    found, low = [], 0.0
    for rank in order:
        high = low + bounds[rank + 1] - bounds[rank]
        found.append(_Journey(_plan(name, rank, preset, _size(preset, (low + high) / 2), chance), low, min(high, 1.0)))
        low = high
    return found


def _size(preset: Preset, level: float) -> int:
    return max(round(float(np.exp(np.interp(level, preset.levels, np.log(preset.spans))))), 1)


def _plan(name: str, number: int, preset: Preset, spans: int, chance: random.Random) -> tuple[_Call, ...]:
    """Return the calls of a journey whose traces have about `spans` spans: at most 150 different ones."""
    entry = f"{name}-edge-{number % max(preset.services // 10, 1)}"
    calls = [_Call(-1, entry, f"POST /{name}/{number}", _RPC, 2.0, 0.002, False, False, 1)]
    while len(calls) < min(max(spans // 2, 2), 150):
        above = chance.randrange(len(calls))
        if calls[above].what == _DATABASE or calls[above].depth >= preset.depth:
            continue
        calls.append(_call(name, above, calls[above], preset, chance))
    return tuple(calls)


def _call(name: str, above: int, parent: _Call, preset: Preset, chance: random.Random) -> _Call:
    what = chance.choices((_RPC, _DATABASE, _INTERNAL), (0.6, 0.25, 0.15))[0]
    service = f"{name}-{chance.randrange(preset.services)}" if what == _RPC else parent.service
    verb = {_RPC: "GET /v1/item/{id}", _DATABASE: "SELECT orders", _INTERNAL: "compute"}[what]
    return _Call(
        above,
        service,
        f"{verb} {chance.randrange(6)}",
        what,
        own_ms=chance.lognormvariate(0.5, 1.2),
        fails=chance.choice((0.0, 0.0, 0.0, 0.001, 0.001, 0.02)),
        optional=chance.random() < 0.4,
        at_once=chance.random() < 0.25,
        depth=parent.depth + 1,
    )


# Traces


@dataclass
class _Node:
    """One call of one trace."""

    call: _Call
    below: list["_Node"] = field(default_factory=list)
    start_ns: int = 0
    end_ns: int = 0
    failed: bool = False


@dataclass(frozen=True)
class _Span:
    service: str
    parent: int
    """Position in the trace; ROOT or DANGLING."""
    start_ns: int
    end_ns: int
    tail: bytes
    """Everything but ids, times and session."""


_ROOT, _DANGLING = -1, -2


def _trace(journey: _Journey, preset: Preset, chance: random.Random) -> list[_Span]:
    """Return the spans of one trace, times from its start."""
    root = _grow(journey, _size(preset, chance.uniform(journey.low, journey.high)), chance)
    _lay(root, 0, chance)
    _fail(root, chance)
    spans: list[_Span] = []
    _write(root, _ROOT, spans)
    if len(spans) > 2 and chance.random() < preset.dangling:
        spans[-1] = _with_parent(spans[-1], _DANGLING)
    if len(spans) > 2 and chance.random() < preset.more_roots:
        spans[-1] = _with_parent(spans[-1], _ROOT)
    return spans


def _with_parent(span: _Span, parent: int) -> _Span:
    return _Span(span.service, parent, span.start_ns, span.end_ns, span.tail)


def _grow(journey: _Journey, spans: int, chance: random.Random) -> _Node:
    """Return the tree of a trace of about `spans` spans: the journey's first calls, then leaves again and again."""
    calls = journey.calls
    first = _Node(calls[0])
    nodes: list[_Node] = [first]
    left = spans - 1
    for call in calls[1:]:
        if left <= 0:
            return first
        node = _Node(call)
        nodes[call.parent].below.append(node)
        nodes.append(node)
        left -= 2 if call.what == _RPC else 1
    leaves = [node.call for node in nodes[1:] if not node.below] or [calls[0]]
    loops = chance.sample(leaves, min(len(leaves), 6))
    while left > 0:
        call = chance.choice(loops)
        nodes[max(call.parent, 0)].below.append(_Node(call))
        left -= 2 if call.what == _RPC else 1
    return first


def _lay(node: _Node, start_ns: int, chance: random.Random) -> None:
    """Give a call and all below it their times."""
    own = int(node.call.own_ms * chance.lognormvariate(0.0, 0.5) * MS) + 1_000
    at = start_ns + own // 2
    end = at
    for child in node.below:
        _lay(child, start_ns + own // 2 if node.call.at_once else at, chance)
        end = max(end, child.end_ns)
        at = child.end_ns + 20_000
    node.start_ns, node.end_ns = start_ns, end + own - own // 2


def _fail(node: _Node, chance: random.Random) -> bool:
    """Let calls fail, and their callers where they need them."""
    needed = [_fail(child, chance) and not child.call.optional for child in node.below]
    node.failed = any(needed) or chance.random() < node.call.fails
    return node.failed


def _write(node: _Node, parent: int, spans: list[_Span]) -> None:
    """Add the spans of a call: of both ends where it is remote."""
    call = node.call
    start, end, own = node.start_ns, node.end_ns, parent
    if call.what == _RPC and parent != _ROOT:
        caller = spans[parent].service
        spans.append(_Span(caller, parent, start, end, _tail(call, Span.SPAN_KIND_CLIENT, caller, node.failed)))
        own = len(spans) - 1
        way = min((end - start) // 20, 300_000)
        start, end = start + way, end - way
    kinds = {_RPC: Span.SPAN_KIND_SERVER, _DATABASE: Span.SPAN_KIND_CLIENT, _INTERNAL: Span.SPAN_KIND_INTERNAL}
    spans.append(_Span(call.service, own, start, end, _tail(call, kinds[call.what], call.service, node.failed)))
    here = len(spans) - 1
    for child in node.below:
        _write(child, here, spans)


_tails: dict[tuple[str, str, int, bool], bytes] = {}


def _tail(call: _Call, kind: "Span.SpanKind.ValueType", service: str, failed: bool) -> bytes:
    key = (service, call.operation, int(kind), failed)
    if key not in _tails:
        _tails[key] = _encoded(call, kind, service, failed)
    return _tails[key]


def _encoded(call: _Call, kind: "Span.SpanKind.ValueType", service: str, failed: bool) -> bytes:
    """Everything of a span that traces have in common, nine attributes of it."""
    texts = {
        "http.request.method": "POST",
        "http.route": f"/api/v1/{call.operation}",
        "url.scheme": "http",
        "server.address": f"{call.service}.prod.svc.cluster.local",
        "network.protocol.version": "1.1",
        "user_agent.original": "python-requests/2.32.5",
        "thread.name": "worker-3",
        "code.file.path": f"/srv/{service}/handlers.py",
    }
    if call.what == _DATABASE:
        texts = {**texts, "db.system.name": "postgresql", "db.namespace": call.service, "http.route": "-"}
    attributes = [_text(key, value) for key, value in texts.items()]
    status = 503 if failed else 200
    attributes.append(KeyValue(key="http.response.status_code", value=AnyValue(int_value=status)))
    span = Span(name=call.operation, kind=kind, attributes=attributes)
    if failed:
        span.status.CopyFrom(Status(code=Status.STATUS_CODE_ERROR, message=f"{call.service}: deadline exceeded"))
        said = [_text("exception.type", "TimeoutError"), _text("exception.message", f"{call.operation} timed out")]
        span.events.add(name="exception", time_unix_nano=1, attributes=said)
    return span.SerializeToString()


def _text(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))


# Requests

_TIMES = b"\x39" + bytes(8) + b"\x41" + bytes(8)
_SESSION = b"\x4a\x20\x0a\x0a" + b"session.id" + b"\x12\x12\x0a\x10" + bytes(16)
_HEAD = b"\x0a\x10" + bytes(16) + b"\x12\x08" + bytes(8) + _TIMES + _SESSION
_PARENT = b"\x22\x08" + bytes(8)
_TRACE_AT, _SPAN_AT, _START_AT, _END_AT, _SESSION_AT, _PARENT_AT = 2, 20, 29, 38, len(_HEAD) - 16, len(_HEAD) + 2
_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)


class _Template:
    """A request, and where in it everything lies that changes."""

    def __init__(self, traces: Sequence[Sequence[_Span]], copied: Sequence[bool]) -> None:
        spans = [(number, span) for number, trace in enumerate(traces) for span in trace]
        first = np.cumsum([0, *map(len, traces)])
        self.traces, self.spans = len(traces), len(spans)
        self._trace = np.array([number for number, _ in spans])
        parent = np.array([span.parent for _, span in spans])
        self._parent = np.where(parent >= 0, parent + first[self._trace], parent)
        self._copies = np.array([first[n + 1] - 1 for n, is_copied in enumerate(copied) if is_copied], np.int64)
        self._start = np.array([span.start_ns for _, span in spans], np.float64)
        self._end = np.array([span.end_ns for _, span in spans], np.float64)
        places = [*range(len(spans)), *self._copies.tolist()]
        self.body, self._row, self._at = self._assembled([spans[i][1] for i in places], places)

    def _assembled(
        self, spans: Sequence[_Span], places: Sequence[int]
    ) -> tuple[bytes, NDArray[np.int64], NDArray[np.int64]]:
        """The request, and of each span in it its row and where it begins."""
        by_service: dict[str, list[int]] = {}
        for i, span in enumerate(spans):
            by_service.setdefault(span.service, []).append(i)
        body = bytearray()
        rows, starts = [], []
        for service, members in by_service.items():
            inner = bytearray(_SCOPE)
            inside = []
            for i in members:
                head = _HEAD if spans[i].parent == _ROOT else _HEAD + _PARENT
                inner += b"\x12" + _varint(len(head) + len(spans[i].tail))
                inside.append(len(inner))
                inner += head + spans[i].tail
            resource = _resource(service)
            front = b"\x0a" + _varint(len(resource)) + resource + b"\x12" + _varint(len(inner))
            body += b"\x0a" + _varint(len(front) + len(inner)) + front
            rows += [places[i] for i in members]
            starts += [len(body) + at for at in inside]
            body += inner
        return bytes(body), np.array(rows), np.array(starts)

    def filled(self, now_ns: int, random_: np.random.Generator) -> tuple[bytes, NDArray[np.uint8]]:
        """Return the request with new values, its last trace ending at `now_ns`, and the ids of its traces."""
        body = np.frombuffer(bytearray(self.body), np.uint8)
        trace_ids = random_.integers(0, 256, (self.traces, 16), np.uint8)
        span_ids = random_.integers(1, 2**64, self.spans, np.uint64)
        strangers = random_.integers(1, 2**64, self.spans, np.uint64)
        parents = np.where(self._parent >= 0, span_ids[self._parent], strangers)
        longer = random_.lognormal(0.0, 0.3, self.traces)[self._trace]
        ends = np.zeros(self.traces)
        np.maximum.at(ends, self._trace, self._end * longer)
        begin = now_ns - ends.astype(np.int64)
        begin = begin[self._trace]
        row = self._row
        self._put(body, _TRACE_AT, trace_ids[self._trace[row]])
        self._put(body, _SPAN_AT, span_ids[row].astype(_IDS).view(np.uint8).reshape(-1, 8))
        for at, offset in ((_START_AT, self._start), (_END_AT, self._end)):
            times = begin + (offset * longer).astype(np.int64)
            self._put(body, at, times[row].astype("<i8").view(np.uint8).reshape(-1, 8))
        sessions = _HEX[random_.integers(0, 16, (self.traces, 16), np.uint8)]
        self._put(body, _SESSION_AT, sessions[self._trace[row]])
        has = self._parent[row] != _ROOT
        self._put(body, _PARENT_AT, parents[row].astype(_IDS).view(np.uint8).reshape(-1, 8), has)
        return body.tobytes(), trace_ids

    def _put(
        self, body: NDArray[np.uint8], offset: int, values: NDArray[np.uint8], where: NDArray[np.bool_] | None = None
    ) -> None:
        at = self._at if where is None else self._at[where]
        kept = values if where is None else values[where]
        body[at[:, None] + np.arange(offset, offset + kept.shape[1])] = kept


def _resource(service: str) -> bytes:
    return Resource(
        attributes=[
            _text("service.name", service),
            _text("host.name", f"{service}-7f9c"),
            _text("service.version", "1.4.2"),
        ]
    ).SerializeToString()


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


class Workload:
    """Requests of a preset; no id occurs twice. Shared by threads that bring a generator each.

    Args:
        spans: about how many a request has.
        pool: of so many spans the traces are made that all requests repeat.
    Raises:
        UnknownPreset
    """

    def __init__(self, preset: str, spans: int = 4_096, pool: int = 200_000, seed: int = 1) -> None:
        if preset not in MIXES:
            raise UnknownPreset(preset)
        chance = random.Random(seed)
        self._templates = list(self._pool(MIXES[preset], spans, pool, chance))
        self.spans_a_request = sum(each.spans for each in self._templates) / len(self._templates)
        self.spans_a_trace = sum(each.spans for each in self._templates) / sum(each.traces for each in self._templates)

    @staticmethod
    def _pool(mix: dict[str, float], spans: int, pool: int, chance: random.Random) -> Iterator[_Template]:
        journeys = {name: _journeys(name, PRESETS[name], chance) for name in mix}
        made = 0
        while made < pool:
            traces: list[list[_Span]] = []
            copied = []
            while sum(map(len, traces)) < spans:
                name = chance.choices(list(mix), list(mix.values()))[0]
                level = chance.random()
                journey = next(j for j in journeys[name] if level <= j.high or j is journeys[name][-1])
                traces.append(_trace(journey, PRESETS[name], chance))
                copied.append(chance.random() < PRESETS[name].copies)
            template = _Template(traces, copied)
            made += template.spans
            yield template

    def request(self, now_ns: int, random_: np.random.Generator) -> tuple[bytes, int, list[str]]:
        """Return a request whose traces end at `now_ns`, its number of spans without copies, and the traces' ids."""
        template = self._templates[int(random_.integers(len(self._templates)))]
        body, ids = template.filled(now_ns, random_)
        return body, template.spans, [bytes(each).hex() for each in ids]


def generator() -> np.random.Generator:
    """Return a generator for one thread."""
    return np.random.default_rng(secrets.randbits(64))
