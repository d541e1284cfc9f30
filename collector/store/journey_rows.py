"""What the minutes say of one journey, read once: its figures, their series and bands, and where its examples are."""

import numpy as np
import pyarrow as pa
from clickhouse_connect.driver.client import Client

from collector.core.spans import IntColumn
from collector.store.engine import read_arrow
from collector.store.journeys import PathsByService, Population, summary_query
from collector.store.values import JourneySummary
from collector.store.which_minutes import MINUTE_S, Minutes

_BAND = ("Bucket", "Traces", "Weight", "Squares", "SumNs", "SumSquaredNs")
_OF_MINUTE = ("toUnixTimestamp(Minute)", "Traces", "FailedTraces", "MaxNs")
_MORE = f"""
    sumMap({", ".join(f"Band.{name}" for name in _BAND)}) AS bands,
    {", ".join(f"bands.{at} AS band_{name}" for at, name in enumerate(_BAND, 1))},
    {", ".join(f"groupArray({column}) AS minute_{at}" for at, column in enumerate(_OF_MINUTE))}
"""


class JourneyRows:
    """One journey in some minutes."""

    def __init__(self, table: pa.Table, minutes: Minutes) -> None:
        self._table = table.combine_chunks()
        self._minutes = minutes

    def summary(self, paths: PathsByService) -> JourneySummary:
        """Return its figures.

        Args:
            paths: of the journey, its time by service.
        """
        return next(Population(self._table, self._minutes).summaries(paths))

    def bands(self) -> tuple[IntColumn, np.ndarray]:
        """Return its wide buckets of duration, ascending, and for each the sums: traces, weight, squares of weights,
        durations and squared durations (float64, shape buckets x 5)."""
        every = self._flat("band_Bucket").astype(np.int64)
        buckets, at = np.unique(every, return_inverse=True)
        sums = [np.bincount(at, self._flat(f"band_{name}"), len(buckets)) for name in _BAND[1:]]
        return buckets, np.stack(sums, axis=1)

    def minutes_with_examples(self, wanted: int) -> list[int]:
        """Return minutes (Unix time in s) that hold the slowest traces, the newest, and the newest that failed.

        So many of each as are wanted, if there are so many: a trace of these is in a minute whose slowest is one of
        the slowest, or in one of the last. Minutes that the window may cut are always among them.
        """
        columns = (self._flat(f"minute_{at}").tolist() for at in range(len(_OF_MINUTE)))
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

    def _flat(self, name: str) -> np.ndarray:
        """The values of a column of arrays."""
        return np.asarray(self._table.column(name).chunk(0).flatten())


def read_journey(client: Client, minutes: Minutes, journey: str) -> JourneyRows | None:
    """Return what the minutes say of a journey, None where it has no traces in them."""
    sql, parameters = summary_query(minutes, journey, _MORE)
    table = read_arrow(client, sql, parameters)
    return JourneyRows(table, minutes) if table.num_rows else None
