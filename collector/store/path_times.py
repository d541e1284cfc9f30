"""Time on the critical path by call path, read once from the minutes, and summed by whatever a page shows."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from clickhouse_connect.driver.client import Client

from collector.core.population.columns import FloatColumn
from collector.core.spans import IntColumn
from collector.store.dictionaries import PathStep
from collector.store.engine import read_arrow
from collector.store.journeys import ServiceTime
from collector.store.minute_rows import by_step, numeric
from collector.store.which_minutes import STEP, Minutes, alone, only

TIMES = ("TimeNs", "Weight", "OperationWeight", "ServiceWeight")
"""Columns of `path_minutes` that are summed, as `PathTimes` has them."""


class PathTime(NamedTuple):
    """A call path's."""

    time_ns: float
    weight: float
    operation_weight: float
    """Of the traces in which it is the first place of its operation: what its operation's `weight` is summed of."""


@dataclass(frozen=True, slots=True)
class PathTimes:
    """Columns, a row or more for each group and call path."""

    groups: tuple[str | int, ...]
    """Journeys, or steps of a series."""
    group: IntColumn
    """Position in `groups`."""
    path: IntColumn
    """Id."""
    time_ns: FloatColumn
    weight: FloatColumn
    operation_weight: FloatColumn
    service_weight: FloatColumn

    @property
    def paths(self) -> set[int]:
        return set(self.path.tolist())

    def by_path(self) -> dict[int, PathTime]:
        """Return the sums over all groups, by id."""
        ids, at = np.unique(self.path, return_inverse=True)
        columns = (self.time_ns, self.weight, self.operation_weight)
        sums = zip(*(np.bincount(at, column, len(ids)).tolist() for column in columns), strict=True)
        return {number: PathTime(*row) for number, row in zip(ids.tolist(), sums, strict=True)}

    def together(self, name: str) -> "PathTimes":
        """Return the same times as those of one group."""
        return replace(self, groups=(name,), group=np.zeros_like(self.group))

    def by_service(self, known: Mapping[int, PathStep]) -> dict[str | int, list[ServiceTime]]:
        """Return the sums by group; a call path that nobody knows is left out."""
        ids, at = np.unique(self.path, return_inverse=True)
        names = sorted({step.service for step in known.values()})
        place = {name: i for i, name in enumerate(names)}
        of_path = np.array([place[known[number].service] if number in known else -1 for number in ids.tolist()], int)
        service = of_path[at]
        there = service >= 0
        cells, cell = np.unique(self.group[there] * len(names) + service[there], return_inverse=True)
        sums = (np.bincount(cell, column[there], len(cells)).tolist() for column in (self.time_ns, self.service_weight))
        found: dict[str | int, list[ServiceTime]] = defaultdict(list)
        for number, time_ns, weight in zip(cells.tolist(), *sums, strict=True):
            found[self.groups[number // len(names)]].append((names[number % len(names)], "", time_ns, weight))
        return found


def times_of_journeys(client: Client, minutes: Minutes, journey: str | None = None) -> PathTimes:
    """Return the times of all journeys (or the one); `groups` are their names."""
    return _read(client, minutes, "Journey", journey)


def times_of_steps(client: Client, minutes: Minutes, journey: str) -> PathTimes:
    """Return the times of one journey; `groups` are steps, counted from the first."""
    return _read(client, minutes, STEP, journey)


def times_of_rows(few: pa.Table, minutes: Minutes) -> PathTimes:
    """Return what `times_of_steps` does, of rows of `path_minutes` that were read."""
    steps, step = by_step(few, minutes)
    return PathTimes(tuple(steps.tolist()), step, numeric(few, "PathId"), *(numeric(few, name) for name in TIMES))


def _read(client: Client, minutes: Minutes, group: str, journey: str | None) -> PathTimes:
    table = read_arrow(
        client,
        f"""
        SELECT
            {group} AS part, PathId AS path, sum(TimeNs) AS time_ns, sum(Weight) AS weight,
            sum(OperationWeight) AS operation_weight, sum(ServiceWeight) AS service_weight
        FROM {minutes.rows("path_minutes")} WHERE {minutes.which} {only(journey)} GROUP BY part, path
        {alone(journey)}
        """,
        {**minutes.parameters(), "journey": journey or ""},
    )
    groups = table.column("part").combine_chunks().dictionary_encode()
    return PathTimes(
        groups=tuple(map(_name, groups.dictionary.to_pylist())),
        group=groups.indices.to_numpy().astype(np.int64),
        path=table.column("path").to_numpy(),
        time_ns=table.column("time_ns").to_numpy(),
        weight=table.column("weight").to_numpy(),
        operation_weight=table.column("operation_weight").to_numpy(),
        service_weight=table.column("service_weight").to_numpy(),
    )


def _name(group: bytes | int) -> str | int:
    return group.decode(errors="replace") if isinstance(group, bytes) else group
