"""What the minutes say of one journey, read once: its figures, their series and bands, and where its examples are."""

import numpy as np
import pyarrow as pa
from clickhouse_connect.driver.client import Client

from collector.core.spans import IntColumn
from collector.store.histogram import merge
from collector.store.journeys import PathsByService, Population
from collector.store.minute_rows import by_step, numeric, ragged, read_rows, summed
from collector.store.values import JourneySummary
from collector.store.which_minutes import MINUTE_S, Minutes

_BAND = ("Bucket", "Traces", "Weight", "Squares", "SumNs", "SumSquaredNs")
_SUMS = {"traces": "Traces", "weight": "Weight", "squares": "Squares", "failed": "Failed", "sum_ns": "SumNs"}
"""Columns of a `Population`, and those of the table that they are summed of."""
_COLUMNS = (
    *_SUMS.values(),
    *("FailedTraces", "StatusKnown", "MaxNs", "SlowestTraceId", "Duration.Bucket", "Duration.Weight"),
    *(f"Band.{name}" for name in _BAND),
)


class JourneyRows:
    """One journey in some minutes."""

    def __init__(self, rows: pa.Table, minutes: Minutes, journey: str) -> None:
        self._rows = rows
        self._minutes = minutes
        self._journey = journey

    def summary(self, paths: PathsByService) -> JourneySummary:
        """Return its figures.

        Args:
            paths: of the journey, its time by service.
        """
        return next(Population(self._by_step(), self._minutes).summaries(paths))

    def bands(self) -> tuple[IntColumn, np.ndarray]:
        """Return its wide buckets of duration, ascending, and for each the sums: traces, weight, squares of weights,
        durations and squared durations (float64, shape buckets x 5)."""
        columns = [ragged(self._rows, f"Band.{name}")[1] for name in _BAND]
        buckets, at = np.unique(columns[0].astype(np.int64), return_inverse=True)
        sums = [summed(at, column, len(buckets)) for column in columns[1:]]
        return buckets, np.stack(sums, axis=1)

    def minutes_with_examples(self, wanted: int) -> list[int]:
        """Return minutes (Unix time in s) that hold the slowest traces, the newest, and the newest that failed.

        So many of each as are wanted, if there are so many: a trace of these is in a minute whose slowest is one of
        the slowest, or in one of the last. Minutes that the window may cut are always among them.
        """
        columns = (numeric(self._rows, name).tolist() for name in ("Minute", "Traces", "FailedTraces", "MaxNs"))
        rows = sorted(zip(*columns, strict=True), reverse=True)
        cut = {self._minutes.first_s, self._minutes.last_s - MINUTE_S}
        whole = [row for row in rows if row[0] not in cut]
        found = cut | {row[0] for row in sorted(whole, key=lambda row: -row[3])[:wanted]}
        for column in (1, 2):
            there = 0
            for row in whole:
                if there >= wanted:
                    break
                there += row[column]
                if row[column]:
                    found.add(row[0])
        return sorted(found)

    def _by_step(self) -> pa.Table:
        """What the engine would sum for a `Population`: a row for each step that has traces."""
        steps, step = by_step(self._rows, self._minutes)
        count = len(steps)
        sums = {name: summed(step, numeric(self._rows, of), count) for name, of in _SUMS.items()}
        known = summed(step, numeric(self._rows, "StatusKnown"), count) > 0
        max_ns = numeric(self._rows, "MaxNs")
        ids = np.array(self._rows.column("SlowestTraceId").to_pylist())
        order = np.lexsort((ids, max_ns, step))
        slowest = order[np.append(np.flatnonzero(np.diff(step[order])), len(order) - 1)]
        offsets, buckets = ragged(self._rows, "Duration.Bucket")
        _, weights = ragged(self._rows, "Duration.Weight")
        offsets, buckets, weights = merge(step, offsets, buckets, weights, count)
        return pa.table(
            {
                "journey": [self._journey.encode()] * count,
                "step": steps,
                **sums,
                "known": known.astype(np.uint32),
                "max_ns": max_ns[slowest],
                "slowest_trace_id": ids[slowest].tolist(),
                **{
                    name: pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(values))
                    for name, values in (("buckets", buckets), ("weights", weights))
                },
            }
        )


def read_journey(client: Client, minutes: Minutes, journey: str) -> JourneyRows | None:
    """Return what the minutes say of a journey, None where it has no traces in them."""
    rows = read_rows(client, minutes, "journey_minutes", _COLUMNS, journey)
    return JourneyRows(rows, minutes, journey) if rows.num_rows else None
