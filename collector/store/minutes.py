"""The SQL that makes the rows of a minute from the rows of its traces. Text only; `derived` runs it.

Every statement that writes takes the same parameters: `starts` (the minutes), `versions` (one for each), `first` and
`last`.
"""

from collector.store.histogram import BUCKET_SQL, WIDE_SQL

_DIRTY = """toStartOfMinute(Start) IN {starts:Array(DateTime)}
    AND Start >= {first:DateTime} AND Start < {last:DateTime} + INTERVAL 1 MINUTE"""
_CHOSEN = """Journey = {journey:String} AND TraceId IN {chosen:Array(String)}
    AND Start >= {first:DateTime} AND Start < {last:DateTime}"""


def _traces(which: str, arrays: str = "") -> str:
    """The rows of traces, without those that count in no figure, as they are partly sampled."""
    return f"FROM traces FINAL {arrays} WHERE {which} AND Weight > 0"


def _sorted(*columns: str) -> str:
    """The rows of a group as arrays, by the first of the columns."""
    return f"arraySort(groupArray(({', '.join(columns)})))"


_BUCKET_ROWS = _sorted("wide_", "traces_", "weight_", "squares_", "sum_ns_", "sum_squared_ns_")

_Columns = dict[str, str]
"""Columns of a minute table but its version, and how they are made."""


def _journeys(which: str) -> tuple[_Columns, str]:
    buckets = "arraySort(groupArrayArray(buckets_))"
    names = ("Bucket", "Traces", "Weight", "Squares", "SumNs", "SumSquaredNs")
    columns = {
        "Minute": "Minute",
        "Journey": "Journey",
        "Traces": "sum(traces_)",
        "Weight": "sum(weight_)",
        "Squares": "sum(squares_)",
        "FailedTraces": "sum(failed_traces_)",
        "Failed": "sum(failed_)",
        "StatusKnown": "max(known_)",
        "SumNs": "sum(sum_ns_)",
        "SumSquaredNs": "sum(sum_squared_ns_)",
        "MaxNs": "max(slowest_).1",
        "SlowestTraceId": "max(slowest_).2",
        "Duration.Bucket": f"{buckets}.1",
        "Duration.Weight": f"{buckets}.2",
        **{f"Band.{name}": f"{_BUCKET_ROWS}.{column}" for column, name in enumerate(names, 1)},
    }
    return (
        columns,
        f"""
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
        {_traces(which)}
        GROUP BY Minute, Journey, bucket, wide_
    )
    GROUP BY Minute, Journey, wide_
)
GROUP BY Minute, Journey
""",
    )


_BANDS = ("Weight", "Squares", "TimeNs", "TimeSquaredNs", "TimeDurationNs")
"""Sums by wide bucket of the duration: w and w^2 of the traces with time, w s, w s^2 and w s T."""
_BAND_ROWS = _sorted("wide_", *(f"{name}_" for name in _BANDS))


def _paths(which: str) -> tuple[_Columns, str]:
    arrays = """ARRAY JOIN
        Path.Id AS id, Path.TimeNs AS time_ns, Path.MinNs AS min_ns, Path.MaxNs AS max_ns, Path.First AS first"""
    columns = {
        "Minute": "Minute",
        "Journey": "Journey",
        "PathId": "id",
        "Traces": "sum(traces_)",
        "Weight": "sum(Weight_)",
        "OperationWeight": "sum(operation_)",
        "ServiceWeight": "sum(service_)",
        "TimeNs": "sum(TimeNs_)",
        "TimeSquaredNs": "sum(TimeSquaredNs_)",
        "MinNs": "sum(min_)",
        "MaxNs": "sum(max_)",
        **{f"Band.{name}": f"{_BAND_ROWS}.{column}" for column, name in enumerate(("Bucket", *_BANDS), 1)},
    }
    return (
        columns,
        f"""
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
    {_traces(which, arrays)}
    GROUP BY Minute, Journey, id, wide_
)
GROUP BY Minute, Journey, id
""",
    )


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


def _edges(which: str) -> tuple[_Columns, str]:
    arrays = "ARRAY JOIN Edge.Id AS id, Edge.CallerVersion AS version, " + ", ".join(
        f"Edge.{name} AS edge_{name}" for name in EDGE_COUNTS
    )
    columns = {
        "Minute": "toStartOfMinute(Start)",
        "Journey": "Journey",
        "EdgeId": "id",
        "CallerVersion": "version",
        "Traces": "count()",
        "Weight": "sum(Weight)",
        "StatusKnown": "max(StatusKnown)",
        **{name: f"sum(edge_{name} * Weight)" for name in EDGE_COUNTS},
        **{squares: f"sum(pow(edge_{name} * Weight, 2))" for squares, name in EDGE_SQUARES.items()},
    }
    return columns, f"{_traces(which, arrays)} GROUP BY toStartOfMinute(Start), Journey, id, version"


def _replacements(which: str) -> tuple[_Columns, str]:
    arrays = """ARRAY JOIN
        Replacement.EdgeId AS id, Replacement.CalledEdgeId AS called, Replacement.Callers AS callers"""
    columns = {
        "Minute": "toStartOfMinute(Start)",
        "Journey": "Journey",
        "EdgeId": "id",
        "CalledEdgeId": "called",
        "Callers": "sum(callers * Weight)",
    }
    return columns, f"{_traces(which, arrays)} GROUP BY toStartOfMinute(Start), Journey, id, called"


_TABLES = {
    "journey_minutes": _journeys,
    "path_minutes": _paths,
    "edge_minutes": _edges,
    "replacement_minutes": _replacements,
}


_ALONE = "SETTINGS max_threads = 1, max_insert_threads = 1"
"""Nobody waits for a minute as for a page: it leaves the other cores to those."""


def _recompute(table: str) -> str:
    columns, rest = _TABLES[table](_DIRTY)
    version = f"transform({columns['Minute']}, {{starts:Array(DateTime)}}, {{versions:Array(UInt64)}}, toUInt64(0))"
    made = f"SELECT {', '.join(columns.values())}, {version} {rest} {_ALONE}"
    return f"INSERT INTO {table} ({', '.join(columns)}, Version) {made}"


def rows_of_chosen(table: str) -> str:
    """Return what stands for a minute table behind FROM, with rows of some traces of one journey alone.

    Its parameters are `journey`, `chosen` (trace ids), `first` and `last`. It reads the rows of these traces.
    """
    columns, rest = _TABLES[table](_CHOSEN)
    # Named in a query around it: a name such as Weight would otherwise mean the sum in the sums themselves.
    inner = ", ".join(f"{made} AS c{at}" for at, made in enumerate(columns.values()))
    outer = ", ".join(f"c{at} AS `{name}`" for at, name in enumerate(columns))
    return f"(SELECT {outer} FROM (SELECT {inner} {rest})) AS {table}"


_PUBLISH = """
INSERT INTO minute_versions (Minute, Version)
SELECT pair.1, pair.2 FROM (
    SELECT arrayJoin(arrayZip({starts:Array(DateTime)}, {versions:Array(UInt64)})) AS pair
)
"""

RECOMPUTE = (*map(_recompute, _TABLES), _PUBLISH)
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
