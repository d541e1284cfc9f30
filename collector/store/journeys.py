"""Journeys from the minute tables: what pages show of a population, read without looking at a single trace.

Which minutes, and which of their rows, is said in `which_minutes`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
from clickhouse_connect.driver.client import Client

from collector.core.spans import IntColumn
from collector.store.engine import read_arrow
from collector.store.histogram import merge, quantiles
from collector.store.values import JourneySummary, PathPoint, PathShare, Point
from collector.store.which_minutes import STEP, WHICH_MINUTES, Minutes, only

ServiceTime = tuple[str, str, float, float]
"""Service, operation ("" for all of the service's), time on the path, weight of the traces with any; all summed."""

PathsByService = Mapping[str | int, Sequence[ServiceTime]]
"""By journey, or by step of a series."""

LEVELS = (0.5, 0.95, 0.99)


def journey_summaries(client: Client, minutes: Minutes, paths: Callable[[], PathsByService]) -> list[JourneySummary]:
    """Return the journeys with traces in these minutes, most traces first.

    Args:
        paths: returns the time by service of each journey; called when all else was read.
    """
    table = read_arrow(client, _SUMMARIES, minutes.parameters())
    if not table.num_rows:
        return []
    found = list(Population(table, minutes).summaries(paths()))
    return sorted(found, key=lambda summary: (-summary.traces, summary.journey))


_SUMMARIES = f"""
SELECT
    Journey AS journey,
    {STEP} AS step,
    sum(Traces) AS traces,
    sum(Weight) AS weight,
    sum(Squares) AS squares,
    sum(Failed) AS failed,
    toUInt32(max(StatusKnown)) AS known,
    sum(SumNs) AS sum_ns,
    max((MaxNs, SlowestTraceId)) AS slowest,
    slowest.1 AS max_ns,
    slowest.2 AS slowest_trace_id,
    sumMap(Duration.Bucket, Duration.Weight) AS histogram,
    histogram.1 AS buckets,
    histogram.2 AS weights
FROM journey_minutes
WHERE {WHICH_MINUTES}
GROUP BY journey, step ORDER BY journey, step
"""
"""What a `Population` of all journeys is made of."""

_SUMS = ("traces", "weight", "squares", "failed", "known", "sum_ns")


class Population:
    """Rows by journey and step, as columns."""

    def __init__(self, table: pa.Table, minutes: Minutes) -> None:
        table = table.combine_chunks()
        self._minutes = minutes
        names = table.column("journey").to_pylist()
        begins = [row for row, name in enumerate(names) if row == 0 or name != names[row - 1]]
        self._journeys = [names[row].decode(errors="replace") for row in begins]
        self._begins = np.array([*begins, len(names)])
        self._group = np.repeat(np.arange(len(begins)), np.diff(self._begins))
        self._columns = {name: _numbers(table, name) for name in _SUMS}
        self._max_ns = _numbers(table, "max_ns").astype(np.int64)
        self._slowest = table.column("slowest_trace_id").to_pylist()
        buckets, weights = table.column("buckets").chunk(0), table.column("weights").chunk(0)
        self._offsets = np.asarray(buckets.offsets).astype(np.int64)
        self._buckets, self._weights = np.asarray(buckets.flatten()), np.asarray(weights.flatten())
        self._points = self._all_points(_numbers(table, "step"))

    def summaries(self, paths: PathsByService) -> Iterator[JourneySummary]:
        count = len(self._journeys)
        whole = merge(self._group, self._offsets, self._buckets, self._weights, count)
        levels = quantiles(*whole, LEVELS)
        sums = {name: np.add.reduceat(column, self._begins[:-1]) for name, column in self._columns.items()}
        for number, journey in enumerate(self._journeys):
            rows = slice(int(self._begins[number]), int(self._begins[number + 1]))
            weight, sum_ns = float(sums["weight"][number]), float(sums["sum_ns"][number])
            slowest = rows.start + int(np.argmax(self._max_ns[rows]))
            max_ns = int(self._max_ns[slowest])
            yield JourneySummary(
                journey=journey,
                traces=int(sums["traces"][number]),
                weighted_traces=weight,
                failed=float(sums["failed"][number]),
                status_known=bool(sums["known"][number]),
                rate_per_s=weight / self._minutes.covered_s,
                mean_ns=sum_ns / weight if weight else 0.0,
                p50_ns=min(float(levels[number, 0]), max_ns),
                p95_ns=min(float(levels[number, 1]), max_ns),
                p99_ns=min(float(levels[number, 2]), max_ns),
                max_ns=max_ns,
                slowest_trace_id=self._slowest[slowest].decode(),
                path=path_shares(paths.get(journey, ()), weight, sum_ns),
                series=self._series(self._points[rows]),
                squares=float(sums["squares"][number]),
            )

    def _all_points(self, step: IntColumn) -> list[Point]:
        """The point of each row."""
        starts = (self._minutes.first_s + step.astype(np.int64) * self._minutes.step_s) * 1_000_000_000
        levels = quantiles(self._offsets, self._buckets, self._weights, LEVELS[:2])
        weight = self._columns["weight"]
        mean = np.divide(self._columns["sum_ns"], weight, out=np.zeros(len(weight)), where=weight > 0)
        columns = (starts, weight, self._columns["failed"], *np.minimum(levels.T, self._max_ns), mean)
        return [Point(*values) for values in zip(*(column.tolist() for column in columns), strict=True)]

    def _series(self, points: Sequence[Point]) -> tuple[Point, ...]:
        """The points of one journey, and empty ones for the steps without traces."""
        there = {point.start_unix_nano: point for point in points}
        starts = [start_s * 1_000_000_000 for start_s in self._minutes.steps()]
        return tuple(there.get(start) or Point(start, 0.0, 0.0, 0.0, 0.0) for start in starts)


def path_shares(times: Sequence[ServiceTime], weight: float, sum_ns: float) -> tuple[PathShare, ...]:
    """Return shares, largest first.

    Args:
        weight: Of the population.
        sum_ns: Durations of the population, summed.
    """
    shares = [
        PathShare(
            service=service,
            operation=operation,
            mean_ns=time_ns / weight if weight else 0.0,
            share=time_ns / sum_ns if sum_ns else 0.0,
            participation=with_time / weight if weight else 0.0,
        )
        for service, operation, time_ns, with_time in times
    ]
    return tuple(sorted(shares, key=lambda share: (-share.mean_ns, share.service, share.operation)))


def path_series(summary: JourneySummary, times: PathsByService) -> tuple[PathPoint, ...]:
    """Return a journey's path by service in the steps of its series.

    Args:
        times: of each step, counted from the first.
    """
    return tuple(
        PathPoint(
            point.start_unix_nano,
            point.mean_ns,
            path_shares(times.get(step, ()), point.traces, point.mean_ns * point.traces),
        )
        for step, point in enumerate(summary.series)
    )


def traces_of(client: Client, minutes: Minutes, journey: str) -> int:
    """Return how many traces a journey has."""
    rows = client.query(
        f"SELECT sum(Traces) FROM journey_minutes WHERE {WHICH_MINUTES} {only(journey)}",
        {**minutes.parameters(), "journey": journey},
    ).result_rows
    return int(rows[0][0])


def _numbers(table: pa.Table, name: str) -> IntColumn:
    return np.asarray(table.column(name).chunk(0))
