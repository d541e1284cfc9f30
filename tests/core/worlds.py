"""Worlds whose truth is known: traces of a service and its calls, made up by the thousand. Used by the simulation.

    gateway GET /            once, or again when it failed (up to three times)
      shop POST /buy         tips, then `tested` (once, or several at a time), then stock (mandatory), then mail
        -> tips, tested, stock, mail      a shop that died of one call makes no further ones

`tested` is survived as often as the world says; `tips` and `mail` always, `stock` never. Times are in minutes, some of
which may be bad: for the calls, for the shop itself, or for two calls at once.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from collector.core.spans import (
    DTYPES,
    HOST_KEYS,
    KIND_CLIENT,
    KIND_SERVER,
    NO_STRING,
    STATUS_ERROR,
    STATUS_OK,
    STRING_COLUMNS,
    IntColumn,
    Resources,
    Scopes,
    SpanBatch,
)

MINUTES = 20
_BAD_MINUTES = (8, 12)
_MINUTE_NS = 60_000_000_000
_EPOCH_NS = 1_700_000_040_000_000_000
Flags = NDArray[np.bool_]
TESTED = "tested"
_CALLEES = ("tips", TESTED, "stock", "mail")
_TEXTS = ("gateway", "shop", "GET /", "POST /buy", "POST", *_CALLEES, *(f"ask {callee}" for callee in _CALLEES))


@dataclass(frozen=True, slots=True)
class World:
    """How often calls fail, and what of."""

    survival: float
    failure_rate: float = 0.02
    """Of the call that is tested."""
    other_rate: float = 0.01
    """Of the calls beside it."""
    own_rate: float = 0.005
    """How often the shop fails by itself."""
    own_rate_when_bad: float | None = None
    """Likewise in the bad minutes, in which the tested call fails five times as often, too."""
    common_rate: float = 0.0
    """How often an incident elsewhere makes the tested call and stock fail at once, each half of the time."""
    loop: int = 1
    """How often the tested call is made, at the same time; all of them fail or none."""
    retried: bool = False
    """The gateway asks again."""


class _Spans:
    """Columns in the making, for traces that begin at `starts`."""

    def __init__(self, starts: IntColumn) -> None:
        self.parts: list[dict[str, IntColumn]] = []
        self._counts = np.zeros(len(starts), np.int64)
        self._starts = starts

    def number(self, traces: Flags) -> IntColumn:
        """Take the next span id in each of these traces."""
        self._counts[traces] += 1
        return self._counts.copy()

    def add(
        self,
        traces: Flags,
        number: IntColumn,
        parent: IntColumn,
        names: tuple[str, str],
        kind: int,
        times: tuple[int, int],
        bad: Flags,
        peer: str = "",
    ) -> None:
        rows = np.flatnonzero(traces)
        service, name = map(_TEXTS.index, names)
        self.parts.append(
            {
                "trace_id_low": rows + 1,
                "span_id": number[rows],
                "parent_span_id": parent[rows],
                "start_time_unix_nano": self._starts[rows] + times[0],
                "end_time_unix_nano": self._starts[rows] + times[1],
                "kind": np.full(len(rows), kind),
                "status_code": np.where(bad[rows], STATUS_ERROR, STATUS_OK),
                "service": np.full(len(rows), service),
                "name": np.full(len(rows), name),
                "peer_service": np.full(len(rows), _TEXTS.index(peer) if peer else NO_STRING),
            }
        )


def make_traces(world: World, traces: int, seed: int) -> SpanBatch:
    """Return the spans of so many requests."""
    dice = np.random.default_rng(seed)
    minute = dice.integers(0, MINUTES, traces)
    is_bad = (minute >= _BAD_MINUTES[0]) & (minute < _BAD_MINUTES[1])
    spans = _Spans(_EPOCH_NS + minute * _MINUTE_NS + dice.integers(0, _MINUTE_NS // 2, traces))
    everyone, nobody = np.ones(traces, bool), np.zeros(traces, np.int64)
    gateway = spans.number(everyone) if world.retried else nobody
    asked = everyone
    for attempt in range(3 if world.retried else 1):
        at = 1_000 * attempt + 10
        asking = spans.number(asked) if world.retried else nobody
        shop = spans.number(asked)
        dead = asked & ~_buy(world, dice, spans, asked, is_bad, shop, at)
        spans.add(asked, shop, asking, ("shop", "POST /buy"), KIND_SERVER, (at, at + 900), dead)
        if world.retried:
            spans.add(asked, asking, gateway, ("gateway", "POST"), KIND_CLIENT, (at, at + 900), dead)
        asked = dead
    if world.retried:
        spans.add(everyone, gateway, nobody, ("gateway", "GET /"), KIND_SERVER, (0, 4_000), asked)
    return _batch(spans)


def _buy(
    world: World, dice: np.random.Generator, spans: _Spans, asked: Flags, is_bad: Flags, shop: IntColumn, at: int
) -> Flags:
    """Make the calls of one request to the shop; returns who lives."""
    count = len(asked)
    bad_minute = is_bad if world.own_rate_when_bad is not None else np.zeros(count, bool)
    rate = np.where(bad_minute, min(1.0, 5 * world.failure_rate), world.failure_rate)
    own = np.where(bad_minute, world.own_rate_when_bad or 0.0, world.own_rate)
    incident = dice.random(count) < world.common_rate

    def one_in(often: float | NDArray[np.float64]) -> Flags:
        return dice.random(count) < often

    plan = (
        ("tips", one_in(world.other_rate), 1.0, 1),
        (TESTED, one_in(rate) | (incident & one_in(0.5)), world.survival, world.loop),
        ("stock", one_in(world.other_rate) | (incident & one_in(0.5)), 0.0, 1),
        ("mail", one_in(world.other_rate), 1.0, 1),
    )
    lives = asked.copy()
    clock = at + 10
    for callee, failed, survival, times in plan:
        for _ in range(times):
            names = ("shop", f"ask {callee}")
            spans.add(lives, spans.number(lives), shop, names, KIND_CLIENT, (clock, clock + 9), failed, callee)
            clock += 5 if times > 1 else 10
        lives &= ~failed | one_in(survival)
    return lives & ~one_in(own)


def _batch(spans: _Spans) -> SpanBatch:
    return batch_of({name: np.concatenate([part[name] for part in spans.parts]) for name in spans.parts[0]}, _TEXTS)


def batch_of(found: dict[str, IntColumn], texts: tuple[str, ...]) -> SpanBatch:
    """Return spans of which these columns are known; texts are positions in `texts`."""
    rows = len(found["span_id"])
    columns = {name: np.zeros(rows, dtype) for name, dtype in DTYPES.items()}
    columns |= {name: np.full(rows, NO_STRING, np.int32) for name in STRING_COLUMNS}
    columns |= {name: column.astype(DTYPES[name]) for name, column in found.items()}
    columns["rpc_status"][:] = -1
    none = np.full(1, NO_STRING, np.int32)
    zero = np.zeros(1, np.int64)
    return SpanBatch(
        **columns,
        strings=texts,
        resources=Resources(
            service=np.zeros(1, np.int32),
            host=np.full((1, len(HOST_KEYS)), NO_STRING, np.int32),
            schema_url=none,
            at=zero,
            size=zero,
            version=none,
        ),
        scopes=Scopes(none, none, none, zero, zero),
        body=b"",
    )
