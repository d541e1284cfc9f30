"""The SQL that makes the rows of a minute from the rows of its traces. Text only; `derived` runs it.

Every statement takes the same parameters: `starts` (the minutes), `versions` (one for each), `first` and `last`.
"""

from collector.store.histogram import BUCKET_SQL, WIDE_SQL

_TRACES = """
    FROM traces FINAL
    {arrays}
    WHERE toStartOfMinute(Start) IN {{starts:Array(DateTime)}}
        AND Start >= {{first:DateTime}} AND Start < {{last:DateTime}} + INTERVAL 1 MINUTE
        AND Weight > 0
"""
"""Without those that count in no figure, as they are partly sampled."""
_VERSION = "transform(Minute, {starts:Array(DateTime)}, {versions:Array(UInt64)}, toUInt64(0))"


def _sorted(*columns: str) -> str:
    """The rows of a group as arrays, by the first of the columns."""
    return f"arraySort(groupArray(({', '.join(columns)})))"


_BUCKET_ROWS = _sorted("wide_", "traces_", "weight_", "squares_", "sum_ns_", "sum_squared_ns_")

_JOURNEYS = f"""
INSERT INTO journey_minutes (
    Minute, Journey, Version, Traces, Weight, Squares, FailedTraces, Failed, StatusKnown, SumNs, SumSquaredNs,
    MaxNs, SlowestTraceId, Duration.Bucket, Duration.Weight,
    Band.Bucket, Band.Traces, Band.Weight, Band.Squares, Band.SumNs, Band.SumSquaredNs
)
SELECT
    Minute, Journey, {_VERSION}, sum(traces_), sum(weight_), sum(squares_), sum(failed_traces_), sum(failed_),
    max(known_), sum(sum_ns_), sum(sum_squared_ns_), max(slowest_).1, max(slowest_).2,
    arraySort(groupArrayArray(buckets_)).1, arraySort(groupArrayArray(buckets_)).2,
    {", ".join(f"{_BUCKET_ROWS}.{column}" for column in range(1, 7))}
FROM (
    SELECT
        Minute,
        Journey,
        wide_,
        groupArray((bucket, w)) AS buckets_,
        sum(n) AS traces_,
        sum(w) AS weight_,
        sum(ww) AS squares_,
        sum(failed_n) AS failed_traces_,
        sum(failed_w) AS failed_,
        max(known) AS known_,
        sum(wt) AS sum_ns_,
        sum(wtt) AS sum_squared_ns_,
        max(slowest) AS slowest_
    FROM (
        SELECT
            toStartOfMinute(Start) AS Minute,
            Journey,
            {BUCKET_SQL} AS bucket,
            {WIDE_SQL} AS wide_,
            count() AS n,
            sum(Weight) AS w,
            sum(Weight * Weight) AS ww,
            countIf(Failed) AS failed_n,
            sumIf(Weight, Failed) AS failed_w,
            max(StatusKnown) AS known,
            sum(DurationNs * Weight) AS wt,
            sum(toFloat64(DurationNs) * DurationNs * Weight) AS wtt,
            max((DurationNs, TraceId)) AS slowest
        {_TRACES.format(arrays="")}
        GROUP BY Minute, Journey, bucket, wide_
    )
    GROUP BY Minute, Journey, wide_
)
GROUP BY Minute, Journey
"""

_BANDS = ("Weight", "Squares", "TimeNs", "TimeSquaredNs", "TimeDurationNs")
"""Sums by wide bucket of the duration: w and w^2 of the traces with time, w s, w s^2 and w s T."""
_BAND_ROWS = _sorted("wide_", *(f"{name}_" for name in _BANDS))

_PATHS = f"""
INSERT INTO path_minutes (
    Minute, Journey, PathId, Version, Traces, Weight, OperationWeight, ServiceWeight, TimeNs, TimeSquaredNs,
    MinNs, MaxNs, Band.Bucket, {", ".join(f"Band.{name}" for name in _BANDS)}
)
SELECT
    Minute, Journey, id, {_VERSION}, sum(traces_), sum(Weight_), sum(operation_), sum(service_), sum(TimeNs_),
    sum(TimeSquaredNs_), sum(min_), sum(max_),
    {", ".join(f"{_BAND_ROWS}.{column}" for column in range(1, len(_BANDS) + 2))}
FROM (
    SELECT
        toStartOfMinute(Start) AS Minute,
        Journey,
        id,
        {WIDE_SQL} AS wide_,
        countIf(time_ns > 0) AS traces_,
        sumIf(Weight, time_ns > 0) AS Weight_,
        sumIf(Weight * Weight, time_ns > 0) AS Squares_,
        sumIf(Weight, bitTest(first, 0)) AS operation_,
        sumIf(Weight, bitTest(first, 1)) AS service_,
        sum(time_ns * Weight) AS TimeNs_,
        sum(toFloat64(time_ns) * time_ns * Weight) AS TimeSquaredNs_,
        sum(toFloat64(time_ns) * DurationNs * Weight) AS TimeDurationNs_,
        sum(min_ns * Weight) AS min_,
        sum(max_ns * Weight) AS max_
    {
    _TRACES.format(
        arrays='''ARRAY JOIN
        Path.Id AS id, Path.TimeNs AS time_ns, Path.MinNs AS min_ns, Path.MaxNs AS max_ns, Path.First AS first'''
    )
}
    GROUP BY Minute, Journey, id, wide_
)
GROUP BY Minute, Journey, id
"""

EDGE_COUNTS = (
    "Calls",
    "Attempts",
    "Failed",
    "Survived",
    "JourneySurvived",
    "Confounded",
    "ConfoundedSurvived",
    "Alone",
    "AloneWell",
    "AloneJourneyWell",
    "Quiet",
    "QuietWell",
    "QuietJourneyWell",
    "Waited",
    "DeclaredMandatory",
    "DeclaredOptional",
    "PathNs",
    "DurationNs",
    "Delivered",
    "WaitNs",
    "OwnFailed",
    "Blamed",
    "Injected",
    "BlamedInjected",
)
"""Columns that `traces` has as `Edge.…` and `edge_minutes` as weighted sums."""
EDGE_SQUARES = {f"{name}Squares": name for name in ("Alone", "AloneWell", "Quiet", "QuietWell")}
"""Counts whose weights are summed squared, too: a trace kept at 1 % is one witness, not a hundred."""

_EDGES = f"""
INSERT INTO edge_minutes (
    Minute, Journey, EdgeId, CallerVersion, Version, Traces, Weight, StatusKnown,
    {", ".join((*EDGE_COUNTS, *EDGE_SQUARES))}
)
SELECT
    toStartOfMinute(Start) AS Minute,
    Journey,
    id,
    version,
    {_VERSION},
    count(),
    sum(Weight),
    max(StatusKnown),
    {", ".join(f"sum(edge_{name} * Weight)" for name in EDGE_COUNTS)},
    {", ".join(f"sum(pow(edge_{name} * Weight, 2))" for name in EDGE_SQUARES.values())}
{
    _TRACES.format(
        arrays="ARRAY JOIN Edge.Id AS id, Edge.CallerVersion AS version, "
        + ", ".join(f"Edge.{name} AS edge_{name}" for name in EDGE_COUNTS)
    )
}
GROUP BY Minute, Journey, id, version
"""

_REPLACEMENTS = f"""
INSERT INTO replacement_minutes (Minute, Journey, EdgeId, CalledEdgeId, Version, Callers)
SELECT toStartOfMinute(Start) AS Minute, Journey, id, called, {_VERSION}, sum(callers * Weight)
{
    _TRACES.format(
        arrays='''ARRAY JOIN
        Replacement.EdgeId AS id, Replacement.CalledEdgeId AS called, Replacement.Callers AS callers'''
    )
}
GROUP BY Minute, Journey, id, called
"""

_PUBLISH = """
INSERT INTO minute_versions (Minute, Version)
SELECT pair.1, pair.2 FROM (
    SELECT arrayJoin(arrayZip({starts:Array(DateTime)}, {versions:Array(UInt64)})) AS pair
)
"""

RECOMPUTE = (_JOURNEYS, _PATHS, _EDGES, _REPLACEMENTS, _PUBLISH)
"""In this order: readers see the new rows of a minute when the last statement has published their version."""

CURRENT_VERSIONS = """
SELECT toUnixTimestamp(Minute) AS Minute, max(Version) AS Version FROM minute_versions
WHERE Minute IN {starts:Array(DateTime)} GROUP BY Minute
"""


LAST_MINUTE = 2**32 // 60 - 1
"""Since 1970. DateTime ends in 2106; a minute beyond has no row."""


def next_version(current: int, now_ns: int) -> int:
    """Return a version above `current` and of the other parity, near the time.

    The tables replace rows of equal key, and the parity is part of the key: rows that are not published yet never
    replace those that are, even when a crash leaves them unpublished for long.

    >>> next_version(10, 7), next_version(10, 20), next_version(10, 21)
    (11, 21, 21)
    """
    version = max(now_ns, current + 1)
    return version + (version % 2 == current % 2)
