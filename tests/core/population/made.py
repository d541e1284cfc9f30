"""Populations made of figures, for tests: each trace says how long it spent where."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from collector.core.population import Part, Population
from collector.core.population.parts import Place

OwnTime = tuple[str, str]
"""Service and operation."""
Gap = tuple[str, str, str, str]
"""Service and operation of the caller, then of the callee."""


@dataclass(frozen=True)
class MadeTrace:
    """One trace: time on the path by part."""

    times: Mapping[OwnTime | Gap, int]
    weight: float = 1.0
    journey: str = "shop: buy"
    request: int = 1
    failed: bool = False


def made(traces: Sequence[MadeTrace]) -> Population:
    """Return the population of these traces; each part is a place of its own at the top."""
    things = sorted({part_of(key) for trace in traces for key in trace.times})
    number = {part: i for i, part in enumerate(things)}
    cells = [
        (t, number[part_of(key)], time) for t, trace in enumerate(traces) for key, time in trace.times.items() if time
    ]
    columns = np.array(cells, np.int64).reshape(-1, 3)
    journeys = sorted({trace.journey for trace in traces})
    nothing = np.zeros(len(traces), np.int64)
    none = np.empty(0, np.int64)
    return Population(
        trace_id=tuple(f"{t:032x}" for t in range(len(traces))),
        start_unix_nano=nothing,
        duration_ns=np.array([sum(trace.times.values()) for trace in traces], np.int64),
        weight=np.array([trace.weight for trace in traces], np.float64),
        journey=np.array([journeys.index(trace.journey) for trace in traces], np.int32),
        request=np.array([trace.request for trace in traces], np.uint64),
        failed=np.array([trace.failed for trace in traces], bool),
        status_known=np.ones(len(traces), bool),
        signature=nothing.astype(np.uint64),
        superseded_ns=nothing,
        failed_ns=nothing,
        cell_trace=columns[:, 0],
        cell_place=columns[:, 1],
        cell_part=columns[:, 1],
        cell_ns=columns[:, 2],
        cell_spans=np.ones(len(columns), np.int64),
        edge_trace=none,
        edge=none,
        edge_path_ns=none,
        edge_calls=none,
        edge_failed=none,
        work_trace=none,
        work_operation=none,
        work_ns=none,
        hidden_ns=none,
        operations=(),
        journeys=tuple(journeys),
        places=tuple(Place(-1, part.service, part.operation, "server") for part in things),
        parts=tuple(things),
        edges=(),
        signatures={0: ()},
    )


def part_of(key: OwnTime | Gap) -> Part:
    if len(key) == 2:
        return Part(*key)
    return Part(key[2], key[3], key[0], key[1], is_gap=True)
