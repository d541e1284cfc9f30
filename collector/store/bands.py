"""The critical path of a journey by wide bucket of its duration: bands of latency, made of the minute tables when read.

A page over a day reads a row a minute and call path, not the traces. A bucket is 1.22 times as long as the one before
it; it belongs whole to the band in which the middle of its weight lies. Any run of buckets can be summed as a band is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf, log, sqrt

import numpy as np
import pyarrow as pa
from clickhouse_connect.driver.client import Client

from collector.core.population.columns import FloatColumn
from collector.core.population.levels import BAND_LEVELS, BANDS
from collector.core.population.sums import Sums
from collector.core.spans import IntColumn
from collector.store.dictionaries import PathStep
from collector.store.engine import read_arrow
from collector.store.histogram import GROWTH, WIDE, bucket_of, wide_bounds, wide_buckets
from collector.store.journey_rows import JourneyRows
from collector.store.minute_rows import numeric, ragged, summed
from collector.store.path_times import TIMES
from collector.store.values import BandDetail, CallPath, Durations, Latency, LatencyBar
from collector.store.which_minutes import Minutes, alone

WHOLE = "all"
"""Name of the band that holds every trace."""
STRETCH = "stretch"
"""Name of one that is no band of quantiles: durations that somebody asked about."""

_SUMS = ("Weight", "Squares", "TimeNs", "TimeSquaredNs", "TimeDurationNs")
PATH_COLUMNS = ("PathId", *TIMES, "Band.Bucket", *(f"Band.{name}" for name in _SUMS))
"""Of `path_minutes`, for `times_of_rows` and `wide_of`."""

Wide = tuple[IntColumn, Sums, list[int]]
"""Wide buckets, ascending; sums by bucket and call path; ids of the call paths."""


def read_wide(client: Client, minutes: Minutes, rows: JourneyRows, journey: str) -> Wide:
    """Return the sums of a journey in some minutes, of which `rows` were read."""
    sums = ", ".join(f"sum(of_{name}) AS all_{name}" for name in _SUMS)
    table = read_arrow(
        client,
        f"""
        SELECT PathId, bucket, {sums} FROM {minutes.rows("path_minutes")}
        ARRAY JOIN Band.Bucket AS bucket, {", ".join(f"Band.{name} AS of_{name}" for name in _SUMS)}
        WHERE {minutes.which} AND Journey = {{journey:String}}
        GROUP BY PathId, bucket {alone(journey)}
        """,
        {**minutes.parameters(), "journey": journey},
    )
    columns = [numeric(table, f"all_{name}") for name in _SUMS]
    return _summed(*rows.bands(), numeric(table, "PathId"), numeric(table, "bucket"), columns)


def wide_of(rows: JourneyRows, few: pa.Table) -> Wide:
    """Return what `read_wide` does, of rows of `path_minutes` that were read."""
    offsets, buckets = ragged(few, "Band.Bucket")
    paths = np.repeat(numeric(few, "PathId"), np.diff(offsets))
    return _summed(*rows.bands(), paths, buckets, [ragged(few, f"Band.{name}")[1] for name in _SUMS])


def aligned(sums: Sums, ids: Sequence[int], wanted: Sequence[int]) -> Sums:
    """Return the sums with a feature for each of the wanted call paths (ascending), zeros for those not seen."""
    columns = np.searchsorted(np.array(wanted, np.uint64), np.array(ids, np.uint64))

    def spread(column: np.ndarray) -> np.ndarray:
        wide = np.zeros((len(column), len(wanted)), column.dtype)
        wide[:, columns] = column
        return wide

    of_paths = ("there", "there_traces", "s", "ss", "st")
    return replace(sums, **{name: spread(getattr(sums, name)) for name in of_paths})


def latency_of(wide: Wide, known: Mapping[int, PathStep], asked: Durations | None = None) -> Latency:
    """Return the histogram and its bands.

    Args:
        known: what the call paths of `wide` are, and those above them.
        asked: a stretch of durations to be told of, too.
    """
    buckets, sums, ids = wide
    band = bands_of_buckets(sums.weight)
    low, high = wide_bounds(np.stack([buckets - 1, buckets]))
    merged = sums.merged(band, len(BANDS))
    bands = [
        _detail(name, merged, i, float(low[band == i].min()), float(high[band == i].max()), known, ids)
        for i, name in enumerate(BANDS)
        if merged.traces[i]
    ]
    bars = zip(low.tolist(), high.tolist(), sums.weight.tolist(), band.tolist(), strict=True)
    return Latency(
        whole=_detail(WHOLE, sums.merged(), 0, float(low[0]), float(high[-1]), known, ids),
        bands=tuple(bands),
        bars=tuple(LatencyBar(start, end, weight, BANDS[number]) for start, end, weight, number in bars if weight),
        stretch=_stretch(wide, known, asked) if asked else None,
    )


def _stretch(wide: Wide, known: Mapping[int, PathStep], asked: Durations) -> BandDetail:
    buckets, sums, ids = wide
    first, last = buckets_within(asked)
    inside = (buckets >= first) & (buckets <= last)
    low, high = wide_bounds(np.array([first - 1, last]))
    low = low if asked.min_ns is not None else wide_bounds(buckets - 1)[0]
    high = high if asked.max_ns is not None else max(wide_bounds(buckets)[-1], low)
    low = min(low, high)  # nobody may have been so fast
    return _detail(STRETCH, sums.merged(inside.astype(np.int64), 2), 1, float(low), float(high), known, ids)


def buckets_within(asked: Durations) -> tuple[int, int]:
    """Return the first and the last wide bucket that a stretch of durations means.

    >>> [buckets_within(Durations(*ends)) for ends in ((12e6, 45e6), (12e6, 12e6), (None, 1e9))]
    [(83, 88), (82, 82), (0, 104)]
    """
    first = _nearest_bound(asked.min_ns) + 1 if asked.min_ns is not None else 0
    last = _nearest_bound(asked.max_ns) if asked.max_ns is not None else _wide_bucket(2**63 - 1)
    if first > last and asked.min_ns and asked.max_ns:
        first = last = _wide_bucket(int(sqrt(asked.min_ns * asked.max_ns)))
    return first, last


def _wide_bucket(duration_ns: int) -> int:
    return int(wide_buckets(np.array([bucket_of(duration_ns)]))[0])


def _nearest_bound(ns: float) -> int:
    """The wide bucket whose longest duration is nearest to `ns`, as a ratio."""
    return max(round((log(ns) / log(GROWTH) + 1) / WIDE), 0) if ns > 0 else 0


def _detail(
    name: str, sums: Sums, group: int, from_ns: float, to_ns: float, known: Mapping[int, PathStep], ids: Sequence[int]
) -> BandDetail:
    effective = sums.effective()[group]
    error = np.sqrt(sums.variance()[group] / effective) if effective else np.full(len(ids), np.inf)
    figures = zip(sums.mean()[group].tolist(), sums.participation()[group].tolist(), error.tolist(), strict=True)
    return BandDetail(
        name=name,
        from_ns=from_ns,
        to_ns=to_ns,
        traces=int(sums.traces[group]),
        weighted_traces=float(sums.weight[group]),
        mean_ns=float(sums.mean_t()[group]),
        call_paths=_call_paths(known, dict(zip(ids, figures, strict=True))),
    )


def _call_paths(
    known: Mapping[int, PathStep], figures: Mapping[int, tuple[float, float, float]]
) -> tuple[CallPath, ...]:
    """The call paths with time, and those above them, with their mean, participation and error."""
    wanted: set[int] = set()
    for number, (mean, _, _) in figures.items():
        at = number if mean > 0 else 0
        while at in known and at not in wanted:
            wanted.add(at)
            at = known[at].parent
    paths = [
        CallPath(number, *known[number], mean_ns=mean, participation=share, error_ns=error if error < inf else None)
        for number in wanted
        for mean, share, error in [figures.get(number, (0.0, 0.0, 0.0))]
    ]
    return tuple(sorted(paths, key=lambda path: (-path.mean_ns, path.id)))


def _summed(
    buckets: IntColumn, whole: np.ndarray, path: IntColumn, bucket: IntColumn, of_rows: Sequence[FloatColumn]
) -> Wide:
    """Add up what is known of call paths by bucket, of which there may be several rows for each.

    Args:
        whole: of the buckets, as `JourneyRows.bands` has it.
        of_rows: columns, as `_SUMS` names them.
    """
    place = np.minimum(np.searchsorted(buckets, bucket.astype(np.int64)), len(buckets) - 1)
    is_known = buckets[place] == bucket  # others are of a minute that was published between two queries
    path, place, of_rows = path[is_known], place[is_known], [column[is_known] for column in of_rows]
    known, feature = np.unique(path, return_inverse=True)
    ids = known.tolist()
    shape = len(buckets), len(ids)
    cell = place * len(ids) + feature
    columns = [summed(cell, column, shape[0] * shape[1]).reshape(shape) for column in of_rows]
    there, squares, s, ss, st = columns
    # How many traces had it is known by their effective number: exact where all weigh the same.
    counted = np.divide(there**2, squares, out=np.zeros_like(there), where=squares > 0)
    traces, weight, all_squares, t, tt = whole.T
    sums = Sums(
        traces=traces.astype(np.int64),
        weight=weight,
        squares=all_squares,
        t=t,
        tt=tt,
        there=there,
        there_traces=np.round(counted).astype(np.int64),
        s=s,
        ss=ss,
        st=st,
    )
    return buckets, sums, ids


def bands_of_buckets(weight: np.ndarray) -> IntColumn:
    """Return the band of each bucket, a position in `levels.BANDS`; `weight` by bucket, the fastest first.

    >>> bands_of_buckets(np.array([50.0, 40.0, 9.0, 1.0])).tolist()
    [0, 1, 2, 3]
    """
    reached = np.cumsum(weight)
    middle = (reached - weight / 2) / reached[-1]
    bands: IntColumn = np.searchsorted(np.array(BAND_LEVELS), middle, side="right").astype(np.int64)
    return bands
