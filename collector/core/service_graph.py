"""Which service calls which: requests, failures and durations as histograms, for Grafana's service map. No I/O.

The analyzer adds the calls of each trace once; what the counters hold since the process started is read by
`collector.metrics` under the names that Tempo and the OpenTelemetry Collector use.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from collector.core.assemble import Forest
from collector.core.dependencies import DATABASE, EXTERNAL, MESSAGING, QUEUE, Calls
from collector.core.spans import KIND_CONSUMER, KIND_SERVER, IntColumn

SECONDS = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8)
"""Upper bounds of the histograms, as Tempo has them."""
MAX_PAIRS = 2_000
"""Pairs of services with counters of their own; the rest is counted under `other`."""
OTHER = "other"
CONNECTION_TYPES = ("", "messaging_system", "database", "virtual_node")


@dataclass(frozen=True, slots=True)
class ServiceCalls:
    """Calls between services, shape (c,) each."""

    trace: IntColumn
    """Number of the trace in its batch."""
    client: IntColumn
    server: IntColumn
    """Positions in `names`."""
    connection: IntColumn
    """Position in CONNECTION_TYPES."""
    failed: NDArray[np.bool_]
    client_ns: IntColumn
    server_ns: IntColumn
    """-1 where the callee left no span."""
    names: tuple[str, ...]


def no_calls() -> ServiceCalls:
    none = np.empty(0, np.int64)
    return ServiceCalls(none, none, none, none, np.empty(0, bool), none, none, ())


def service_calls(forest: Forest, calls: Calls) -> ServiceCalls:
    """Return the calls that leave their service."""
    batch = forest.batch
    kind = np.select([calls.kind == MESSAGING, calls.callee_kind == DATABASE, calls.callee_kind == EXTERNAL], [1, 2, 3])
    leaves = (calls.caller_service != calls.callee_service) & (calls.callee_service >= 0) & (calls.caller_service >= 0)
    leaves &= calls.callee_kind != QUEUE  # the consumer's own edge counts the message
    chosen = np.flatnonzero(leaves)
    return ServiceCalls(
        trace=calls.trace[chosen],
        client=calls.caller_service[chosen].astype(np.int64),
        server=calls.callee_service[chosen].astype(np.int64),
        connection=kind[chosen],
        failed=calls.failed[chosen] == 1,
        client_ns=calls.duration_ns[chosen],
        server_ns=_server_ns(forest, calls)[chosen],
        names=batch.strings,
    )


def _server_ns(forest: Forest, calls: Calls) -> IntColumn:
    """How long the callee's own span took; of attempts the last one's."""
    serves = (forest.kind == KIND_SERVER) | (forest.kind == KIND_CONSUMER)
    server_of = np.full(len(forest), -1, np.int64)
    below = np.flatnonzero(serves & (forest.parent >= 0))
    server_of[forest.parent[below]] = below
    node = np.where(serves[calls.node], calls.node, server_of[calls.node])
    found = np.maximum(node, 0)
    return np.where(node >= 0, forest.end[found] - forest.start[found], -1)


@dataclass(slots=True)
class Pair:
    """Counters of one pair of services."""

    requests: float = 0.0
    failed: float = 0.0
    client_s: float = 0.0
    server_s: float = 0.0
    client_buckets: NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(SECONDS) + 1))
    server_buckets: NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(SECONDS) + 1))
    """Calls by bucket, not added up; the last is beyond all bounds."""


class ServiceGraph:
    """Counters by client, server and type of connection. One thread adds; `pairs` may be read by another."""

    def __init__(self) -> None:
        self._pairs: dict[tuple[str, str, str], Pair] = {}

    def pairs(self) -> list[tuple[tuple[str, str, str], Pair]]:
        """Return (client, server, connection type) and its counters."""
        return list(self._pairs.items())

    def add(self, calls: ServiceCalls, weight: NDArray[np.float64], counted_before: Collection[int] = ()) -> None:
        """Count calls.

        Args:
            weight: by trace, how many it stands for.
            counted_before: traces that are analyzed again.
        """
        keep = np.ones(len(calls.trace), bool)
        if counted_before:
            keep = ~np.isin(calls.trace, np.fromiter(counted_before, np.int64, len(counted_before)))
        keys = (calls.client * len(calls.names) + calls.server) * len(CONNECTION_TYPES) + calls.connection
        unique, first, place = np.unique(keys[keep], return_index=True, return_inverse=True)
        if not len(unique):
            return
        chosen = np.flatnonzero(keep)
        weights = weight[calls.trace[chosen]]
        pairs = len(unique)
        requests = np.bincount(place, weights, pairs)
        failed = np.bincount(place, weights * calls.failed[chosen], pairs)
        client_s, client_buckets = _observed(place, calls.client_ns[chosen], weights, pairs)
        server_s, server_buckets = _observed(place, calls.server_ns[chosen], weights, pairs)
        for number, call in enumerate(chosen[first].tolist()):
            pair = self._pair(
                calls.names[calls.client[call]],
                calls.names[calls.server[call]],
                CONNECTION_TYPES[calls.connection[call]],
            )
            pair.requests += float(requests[number])
            pair.failed += float(failed[number])
            pair.client_s += float(client_s[number])
            pair.server_s += float(server_s[number])
            pair.client_buckets += client_buckets[number]
            pair.server_buckets += server_buckets[number]

    def _pair(self, client: str, server: str, connection: str) -> Pair:
        key = (client, server, connection)
        if key not in self._pairs and len(self._pairs) >= MAX_PAIRS:
            key = (OTHER, OTHER, "")
        return self._pairs.setdefault(key, Pair())


_BOUNDS_NS = np.array(SECONDS) * 1e9


def _observed(
    place: IntColumn, durations_ns: IntColumn, weights: NDArray[np.float64], pairs: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return, by pair, the sum of durations in s and their histogram; those below 0 are not known."""
    known = durations_ns >= 0
    place, durations_ns, weights = place[known], durations_ns[known], weights[known]
    width = len(SECONDS) + 1
    cells = place * width + np.searchsorted(_BOUNDS_NS, durations_ns, side="left")
    sums = np.bincount(place, weights * durations_ns, pairs) / 1e9
    histograms = np.bincount(cells, weights, pairs * width).reshape(pairs, width)
    return sums, histograms.astype(np.float64)
