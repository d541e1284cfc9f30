"""The tables of the store, as docs/reference/store.md describes them. Text and comparisons only; `engine` runs it.

Parts are compact (one file a part until 1 GB), which makes small inserts cheap. Compression is the engine's default:
`engine.xml` says what that is for the embedded one.
"""

from dataclasses import dataclass

from cpdd.errors import CpddError

VERSION = 6
"""Of the tables. A store of a newer cpdd is refused, an older one is brought here by `MIGRATIONS`."""

DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Retention:
    """How long rows live, in seconds since they were written (not since the time that a span claims); 0: for ever."""

    spans_s: int = 7 * DAY_S
    traces_s: int = 30 * DAY_S
    minutes_s: int = 90 * DAY_S


DEFAULT_RETENTION = Retention()


class StoreTooNew(CpddError):
    """The tables belong to a newer cpdd."""

    def __init__(self, store: str, found: int) -> None:
        self.store = store
        self.found = found
        self.known = VERSION
        super().__init__(
            f"store too new: {store} has tables of version {found}, this cpdd knows up to {VERSION}\n"
            "hint: upgrade cpdd, or give this one another directory or database"
        )


class ForeignTable(CpddError):
    """A table of ours exists with columns of somebody else's."""

    def __init__(self, store: str, table: str, missing: list[str]) -> None:
        self.store = store
        self.table = table
        self.missing = missing
        super().__init__(
            f"foreign table: {table} in {store} lacks the columns {', '.join(missing)}\n"
            "hint: another program made it; give cpdd a database of its own (clickhouse://host/cpdd)"
        )


# The embedded engine deletes the parts that it merged at once, so what it made of them has to be on disk by then.
_DURABLE = "fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1"
_COMPACT = f"min_bytes_for_wide_part = 1000000000, min_rows_for_wide_part = 0, ttl_only_drop_parts = 1, {_DURABLE}"
_MAP = "Map(LowCardinality(String), String)"

_SPAN_COLUMNS = f"""Timestamp DateTime64(9) CODEC(Delta(8), Default),
    TraceId String,
    SpanId String,
    ParentSpanId String,
    TraceState String,
    SpanName LowCardinality(String),
    SpanKind LowCardinality(String),
    ServiceName LowCardinality(String),
    ResourceAttributes {_MAP},
    ScopeName String,
    ScopeVersion String,
    SpanAttributes {_MAP},
    Duration UInt64,
    StatusCode LowCardinality(String),
    StatusMessage String,
    Events Nested (
        Timestamp DateTime64(9),
        Name LowCardinality(String),
        Attributes {_MAP},
        AttributeTypes LowCardinality(String),
        Dropped UInt32
    ),
    Links Nested (
        TraceId String,
        SpanId String,
        TraceState String,
        Attributes {_MAP},
        AttributeTypes LowCardinality(String),
        Dropped UInt32,
        Flags UInt32
    ),
    EndCorrection Int64,
    EndUnixNano Int64 ALIAS toUnixTimestamp64Nano(Timestamp) + toInt64(Duration) + EndCorrection,
    TraceFlags UInt32,
    SpanAttributeTypes LowCardinality(String),
    ResourceAttributeTypes LowCardinality(String),
    ScopeAttributeTypes LowCardinality(String),
    ScopeAttributes {_MAP},
    DroppedAttributes UInt32,
    DroppedEvents UInt32,
    DroppedLinks UInt32,
    ResourceDropped UInt32,
    ScopeDropped UInt32,
    ResourceSchemaUrl LowCardinality(String),
    ScopeSchemaUrl LowCardinality(String),
    IngestedAt DateTime DEFAULT now()"""

_SHELF = "Shelf UInt64 DEFAULT 0 CODEC(Delta(8), Default)"
_VALUE_INDEXES = tuple(
    f"{name} mapValues({column}) TYPE bloom_filter(0.01) GRANULARITY 1"
    for name, column in (
        ("idx_span_attribute_values", "SpanAttributes"),
        ("idx_resource_attribute_values", "ResourceAttributes"),
    )
)
"""Which granules may have a value: a search for one user or order reads few of them (decision 116). A search looks into
both columns, so that an index of one alone would be of no use."""

SPANS = f"""
CREATE TABLE IF NOT EXISTS otel_traces (
    {_SPAN_COLUMNS},
    {_SHELF},
    INDEX idx_duration Duration TYPE minmax GRANULARITY 1,
    INDEX idx_timestamp Timestamp TYPE minmax GRANULARITY 1,
    {", ".join(f"INDEX {index}" for index in _VALUE_INDEXES)}
) ENGINE = MergeTree
PARTITION BY toDate(Timestamp)
ORDER BY (Shelf, ServiceName, TraceId)
SETTINGS index_granularity = 4096, {_COMPACT}
"""
"""Sorted by service and trace within a shelf, which is what came at about the same time: parts of different shelves
are merged block by block, without comparing a row (decision 091)."""

TIMES = f"""
CREATE TABLE IF NOT EXISTS otel_traces_trace_id_ts (
    TraceId String,
    Start DateTime CODEC(Delta(4), Default),
    End DateTime CODEC(Delta(4), Default),
    IngestedAt DateTime DEFAULT now() CODEC(Delta(4), Default),
    {_SHELF}
) ENGINE = MergeTree
PARTITION BY toDate(Start)
ORDER BY (TraceId, Start)
SETTINGS index_granularity = 1024, {_COMPACT}
"""

ARRIVALS = f"""
CREATE TABLE IF NOT EXISTS span_arrivals (
    Lane UInt32,
    Sequence UInt64 CODEC(Delta(8), Default),
    ArrivedAt DateTime64(3),
    TraceIdHigh UInt64,
    TraceIdLow UInt64,
    SpanId UInt64,
    ParentSpanId UInt64,
    Start Int64 CODEC(Delta(8), Default),
    End Int64 CODEC(Delta(8), Default),
    Flags UInt32,
    Kind Int8,
    Status Int8,
    Requirement Int8,
    Outcome Int8,
    FollowsFrom UInt8,
    HttpStatus Int16,
    RpcStatus Int16,
    LinkType Int8,
    LinkTraceIdHigh UInt64,
    LinkTraceIdLow UInt64,
    LinkSpanId UInt64,
    Name LowCardinality(String),
    Service LowCardinality(String),
    Journey LowCardinality(String),
    PeerService LowCardinality(String),
    ServerAddress LowCardinality(String),
    DbSystem LowCardinality(String),
    DbNamespace LowCardinality(String),
    MessagingSystem LowCardinality(String),
    MessagingDestination LowCardinality(String),
    Resource LowCardinality(String),
    TraceState LowCardinality(String),
    INDEX idx_arrived ArrivedAt TYPE minmax GRANULARITY 1
) ENGINE = MergeTree
PARTITION BY toStartOfHour(ArrivedAt)
ORDER BY (Lane, Sequence)
SETTINGS {_COMPACT}, max_bytes_to_merge_at_max_space_in_pool = 200000000
"""

TRACES = f"""
CREATE TABLE IF NOT EXISTS traces (
    TraceId String,
    Start DateTime64(9) CODEC(Delta(8), Default),
    DurationNs Int64,
    Journey LowCardinality(String),
    RootService LowCardinality(String),
    RootOperation LowCardinality(String),
    RootSpanId String,
    Failed UInt8,
    StatusKnown UInt8,
    Spans UInt32,
    Errors UInt32,
    Services UInt32,
    Flags UInt64,
    Completeness Float64,
    Ambiguity Float64,
    Weight Float64,
    SettlesAt Int64,
    Path Nested (
        Id UInt64,
        TimeNs Int64,
        MinNs Int64,
        MaxNs Int64,
        First UInt8
    ),
    Edge Nested (
        Id UInt64,
        Calls UInt32,
        Attempts UInt32,
        Failed UInt32,
        Survived UInt32,
        JourneySurvived UInt32,
        Confounded UInt32,
        ConfoundedSurvived UInt32,
        Alone UInt32,
        AloneWell UInt32,
        AloneJourneyWell UInt32,
        Quiet UInt32,
        QuietWell UInt32,
        QuietJourneyWell UInt32,
        Waited UInt32,
        PathNs Int64,
        DurationNs Int64,
        Delivered UInt32,
        WaitNs Int64,
        DeclaredMandatory UInt32,
        DeclaredOptional UInt32,
        CallerVersion LowCardinality(String),
        OwnFailed UInt32,
        Blamed UInt32
    ),
    Replacement Nested (
        EdgeId UInt64,
        CalledEdgeId UInt64,
        Callers UInt32
    ),
    ServiceList Array(LowCardinality(String)),
    Version UInt64,
    Deleted UInt8
) ENGINE = ReplacingMergeTree(Version, Deleted)
PARTITION BY toDate(Start)
ORDER BY (Journey, toStartOfMinute(Start), TraceId)
SETTINGS index_granularity = 1024, {_COMPACT}
"""

CALL_PATHS = f"""
CREATE TABLE IF NOT EXISTS call_paths (
    Id UInt64,
    Parent UInt64,
    Service LowCardinality(String),
    Operation LowCardinality(String),
    Kind LowCardinality(String)
) ENGINE = ReplacingMergeTree
ORDER BY Id
SETTINGS {_DURABLE}
"""

EDGES = f"""
CREATE TABLE IF NOT EXISTS edges (
    Id UInt64,
    CallerService LowCardinality(String),
    CallerOperation LowCardinality(String),
    CallerKind LowCardinality(String),
    CalleeService LowCardinality(String),
    CalleeOperation LowCardinality(String),
    CalleeKind LowCardinality(String),
    Kind LowCardinality(String)
) ENGINE = ReplacingMergeTree
ORDER BY Id
SETTINGS {_DURABLE}
"""

# The sorting keys of the minute tables end in the parity of the version: a minute's new rows never replace those of
# the version that readers still see, only the ones before it (see `derived.recompute_minutes`). They begin with the
# journey, since its page reads 30 days of it (decision 115).
JOURNEY_MINUTES = f"""
CREATE TABLE IF NOT EXISTS journey_minutes (
    Minute DateTime CODEC(Delta(4), Default),
    Journey LowCardinality(String),
    Version UInt64,
    Traces UInt64,
    Weight Float64,
    Squares Float64,
    FailedTraces UInt64,
    Failed Float64,
    StatusKnown UInt8,
    SumNs Float64,
    SumSquaredNs Float64,
    MaxNs Int64,
    SlowestTraceId String,
    Duration Nested (
        Bucket UInt16,
        Weight Float64
    ),
    Band Nested (
        Bucket UInt8,
        Traces UInt64,
        Weight Float64,
        Squares Float64,
        SumNs Float64,
        SumSquaredNs Float64
    )
) ENGINE = ReplacingMergeTree(Version)
PARTITION BY toDate(Minute)
ORDER BY (Journey, Minute, bitAnd(Version, 1))
SETTINGS index_granularity = 1024, {_COMPACT}
"""

PATH_MINUTES = f"""
CREATE TABLE IF NOT EXISTS path_minutes (
    Minute DateTime CODEC(Delta(4), Default),
    Journey LowCardinality(String),
    PathId UInt64,
    Version UInt64,
    Traces UInt64,
    Weight Float64,
    OperationWeight Float64,
    ServiceWeight Float64,
    TimeNs Float64,
    TimeSquaredNs Float64,
    MinNs Float64,
    MaxNs Float64,
    Band Nested (
        Bucket UInt8,
        Weight Float64,
        Squares Float64,
        TimeNs Float64,
        TimeSquaredNs Float64,
        TimeDurationNs Float64
    )
) ENGINE = ReplacingMergeTree(Version)
PARTITION BY toDate(Minute)
ORDER BY (Journey, Minute, PathId, bitAnd(Version, 1))
SETTINGS index_granularity = 1024, {_COMPACT}
"""

EDGE_MINUTES = f"""
CREATE TABLE IF NOT EXISTS edge_minutes (
    Minute DateTime CODEC(Delta(4), Default),
    Journey LowCardinality(String),
    EdgeId UInt64,
    CallerVersion LowCardinality(String),
    Version UInt64,
    Traces UInt64,
    Weight Float64,
    StatusKnown UInt8,
    Calls Float64,
    Attempts Float64,
    Failed Float64,
    Survived Float64,
    JourneySurvived Float64,
    Confounded Float64,
    ConfoundedSurvived Float64,
    Alone Float64,
    AloneWell Float64,
    AloneJourneyWell Float64,
    Quiet Float64,
    QuietWell Float64,
    QuietJourneyWell Float64,
    Waited Float64,
    DeclaredMandatory Float64,
    DeclaredOptional Float64,
    PathNs Float64,
    DurationNs Float64,
    Delivered Float64,
    WaitNs Float64,
    OwnFailed Float64,
    Blamed Float64,
    AloneSquares Float64,
    AloneWellSquares Float64,
    QuietSquares Float64,
    QuietWellSquares Float64
) ENGINE = ReplacingMergeTree(Version)
PARTITION BY toDate(Minute)
ORDER BY (Journey, Minute, EdgeId, CallerVersion, bitAnd(Version, 1))
SETTINGS index_granularity = 1024, {_COMPACT}
"""

REPLACEMENT_MINUTES = f"""
CREATE TABLE IF NOT EXISTS replacement_minutes (
    Minute DateTime CODEC(Delta(4), Default),
    Journey LowCardinality(String),
    EdgeId UInt64,
    CalledEdgeId UInt64,
    Version UInt64,
    Callers Float64
) ENGINE = ReplacingMergeTree(Version)
PARTITION BY toDate(Minute)
ORDER BY (Journey, Minute, EdgeId, CalledEdgeId, bitAnd(Version, 1))
SETTINGS index_granularity = 1024, {_COMPACT}
"""

MINUTE_VERSIONS = f"""
CREATE TABLE IF NOT EXISTS minute_versions (
    Minute DateTime CODEC(Delta(4), Default),
    Version UInt64
) ENGINE = ReplacingMergeTree(Version)
PARTITION BY toDate(Minute)
ORDER BY Minute
SETTINGS {_COMPACT}
"""

ANALYZER_STATE = f"""
CREATE TABLE IF NOT EXISTS analyzer_state (
    Lane UInt32,
    Sequence UInt64,
    Version UInt64
) ENGINE = ReplacingMergeTree(Version)
ORDER BY Lane
SETTINGS {_DURABLE}
"""

KNOWN_OPERATIONS = f"""
CREATE TABLE IF NOT EXISTS known_operations (
    Service String,
    Operation String,
    Kind LowCardinality(String),
    LastSeen DateTime
) ENGINE = ReplacingMergeTree(LastSeen)
ORDER BY (Service, Operation, Kind)
SETTINGS {_DURABLE}
"""

SERVICE_FACTS = f"""
CREATE TABLE IF NOT EXISTS service_facts (
    Service String,
    Version String,
    Revision String,
    Repository String,
    Owner String,
    OwnerContact String,
    OwnerUrl String,
    Criticality String,
    FirstSeen SimpleAggregateFunction(min, DateTime),
    LastSeen SimpleAggregateFunction(max, DateTime)
) ENGINE = AggregatingMergeTree
ORDER BY (Service, Version, Revision, Repository, Owner, OwnerContact, OwnerUrl, Criticality)
SETTINGS {_DURABLE}
"""

LANES = f"""
CREATE TABLE IF NOT EXISTS lanes (
    Lane UInt32,
    Owner String,
    RegisteredAt DateTime64(6) DEFAULT now64(6)
) ENGINE = MergeTree
ORDER BY (Lane, RegisteredAt)
SETTINGS {_DURABLE}
"""

SAMPLING_LOG = f"""
CREATE TABLE IF NOT EXISTS sampling_log (
    Version UInt64,
    At DateTime64(3),
    Action LowCardinality(String),
    Policy String,
    Author String,
    Reason String,
    Change String,
    State String
) ENGINE = MergeTree
ORDER BY (Version, At)
SETTINGS {_DURABLE}
"""
"""Created by `sampling_log`, which alone reads and writes it, and not by a migration: older stores get it as well."""
SAMPLING_LOG_WRITERS = (
    "ALTER TABLE sampling_log ADD COLUMN IF NOT EXISTS Writer String, ADD COLUMN IF NOT EXISTS Number UInt32"
)
"""A writer is a process, its rows have numbers; those from before there were several have none."""

SAMPLING_TOLD = f"""
CREATE TABLE IF NOT EXISTS sampling_told (
    Service LowCardinality(String),
    AtNs Int64,
    Probability Float64,
    Operations Map(String, Float64)
) ENGINE = MergeTree
ORDER BY (Service, AtNs)
TTL toDateTime(intDiv(AtNs, 1000000000)) + INTERVAL 2 HOUR
SETTINGS {_DURABLE}
"""
"""Created by `sampling_told`, which alone reads and writes it."""

SAMPLING_TRAFFIC = """
CREATE TABLE IF NOT EXISTS sampling_traffic (
    Writer String,
    At DateTime64(6) DEFAULT now64(6),
    Traffic String
) ENGINE = ReplacingMergeTree(At)
ORDER BY Writer
TTL toDateTime(At) + INTERVAL 1 HOUR
"""
"""Created by `sampling_traffic`, which alone reads and writes it, and on a server alone."""

PINS = f"""
CREATE TABLE IF NOT EXISTS pins (
    TraceId String,
    Version UInt64,
    Author String,
    Note String,
    AtNs Int64,
    ReleasedNs Int64
) ENGINE = ReplacingMergeTree(Version)
ORDER BY TraceId
SETTINGS {_DURABLE}
"""
"""Created by `pins`, which alone reads and writes it."""

SCHEMA_VERSION = f"""
CREATE TABLE IF NOT EXISTS schema_version (
    Version UInt32,
    Retention String,
    AppliedAt DateTime64(6) DEFAULT now64(6)
) ENGINE = MergeTree
ORDER BY AppliedAt
SETTINGS {_DURABLE}
"""

FINDINGS = f"""
CREATE TABLE IF NOT EXISTS findings (
    Id String,
    Version UInt64,
    Kind LowCardinality(String),
    Journey String,
    Service String,
    Owner String,
    Urgency LowCardinality(String),
    Open UInt8,
    Title String,
    Advice String,
    SinceNs Int64,
    SeenNs Int64,
    ClearedNs Int64,
    Facts String
) ENGINE = ReplacingMergeTree(Version)
ORDER BY Id
SETTINGS {_DURABLE}
"""

STANDINGS = f"""
CREATE TABLE IF NOT EXISTS standings (
    Journey String,
    Version UInt64,
    Facts String
) ENGINE = ReplacingMergeTree(Version)
ORDER BY Journey
SETTINGS {_DURABLE}
"""

EDGE_VERDICTS = f"""
CREATE TABLE IF NOT EXISTS edge_verdicts (
    Journey LowCardinality(String),
    EdgeId UInt64,
    Version UInt64,
    Verdict LowCardinality(String),
    Before LowCardinality(String),
    SinceNs Int64
) ENGINE = ReplacingMergeTree(Version)
ORDER BY (Journey, EdgeId)
SETTINGS {_DURABLE}
"""

CALL_PATH_LEVELS = f"""
CREATE TABLE IF NOT EXISTS call_path_levels (
    Journey LowCardinality(String),
    PathId UInt64,
    Version UInt64,
    Level LowCardinality(String),
    Beyond UInt8
) ENGINE = ReplacingMergeTree(Version)
ORDER BY (Journey, PathId)
SETTINGS {_DURABLE}
"""

KEPT_SPANS = f"""
CREATE TABLE IF NOT EXISTS kept_spans (
    {_SPAN_COLUMNS},
    KeptUntil DateTime
) ENGINE = MergeTree
PARTITION BY toDate(KeptUntil)
ORDER BY (TraceId, Timestamp)
TTL KeptUntil
SETTINGS index_granularity = 1024, {_COMPACT}
"""
"""Copies of the spans of interesting traces, which outlive the others; whole days of them end together."""

KEPT_TRACES = f"""
CREATE TABLE IF NOT EXISTS kept_traces (
    TraceId String,
    Reason LowCardinality(String),
    Version UInt64,
    KeptUntil DateTime,
    KeptAt DateTime DEFAULT now()
) ENGINE = ReplacingMergeTree(Version)
ORDER BY (TraceId, Reason)
TTL KeptUntil
SETTINGS {_DURABLE}
"""

MIGRATIONS: dict[int, tuple[str, ...]] = {
    1: (
        SPANS,
        TIMES,
        ARRIVALS,
        TRACES,
        CALL_PATHS,
        EDGES,
        JOURNEY_MINUTES,
        PATH_MINUTES,
        EDGE_MINUTES,
        REPLACEMENT_MINUTES,
        MINUTE_VERSIONS,
        ANALYZER_STATE,
        KNOWN_OPERATIONS,
        LANES,
        SERVICE_FACTS,
        FINDINGS,
        STANDINGS,
        EDGE_VERDICTS,
        CALL_PATH_LEVELS,
    ),
    2: (
        "ALTER TABLE traces ADD COLUMN IF NOT EXISTS KeptUntil DateTime",
        "ALTER TABLE traces ADD INDEX IF NOT EXISTS idx_version Version TYPE minmax GRANULARITY 1",
        # Rows that are kept lie among those that are not, so that single rows have to go. They are few and small.
        "ALTER TABLE traces MODIFY SETTING ttl_only_drop_parts = 0",
        KEPT_SPANS,
        KEPT_TRACES,
    ),
    3: (
        "ALTER TABLE traces ADD COLUMN IF NOT EXISTS `Edge.Injected` Array(UInt32)",
        "ALTER TABLE edge_minutes ADD COLUMN IF NOT EXISTS Injected Float64",
    ),
    4: (
        "ALTER TABLE traces ADD COLUMN IF NOT EXISTS `Edge.BlamedInjected` Array(UInt32)",
        "ALTER TABLE edge_minutes ADD COLUMN IF NOT EXISTS BlamedInjected Float64",
    ),
    # A table that exists keeps its order, by service and five minutes; its rows are on shelf 0. The indexes are for
    # spans that come from now on; those of before are searched as before until they are gone.
    5: (
        f"ALTER TABLE otel_traces ADD COLUMN IF NOT EXISTS {_SHELF}",
        f"ALTER TABLE otel_traces_trace_id_ts ADD COLUMN IF NOT EXISTS {_SHELF}",
        *(f"ALTER TABLE otel_traces ADD INDEX IF NOT EXISTS {index}" for index in _VALUE_INDEXES),
    ),
    # Who asks for one trace knows the minute and not the journey: without it, a granule of every journey is read.
    6: ("ALTER TABLE traces ADD INDEX IF NOT EXISTS idx_trace_id TraceId TYPE bloom_filter(0.01) GRANULARITY 1",),
}
"""Statements that lead from version n - 1 to n. Each may run twice: a crash between two of them repeats all."""

OTHER_TTLS: dict[int, tuple[str, ...]] = {2: ("traces",)}
"""Tables whose rows live by another rule from version n on."""


def ttl_statements(wanted: Retention, applied: Retention | None, found: int = VERSION) -> list[str]:
    """Return the statements that make rows live as `wanted` says where `applied` (None: no TTL yet) says otherwise.

    Args:
        found: version of the tables when `applied` was.
    """
    now, before = _ttls(wanted), _ttls(applied) if applied else {}
    for version in range(found + 1, VERSION + 1):
        for table in OTHER_TTLS.get(version, ()):
            before.pop(table, None)
    return [
        f"ALTER TABLE {table} {'MODIFY TTL ' + ttl if ttl else 'REMOVE TTL'}"
        for table, ttl in now.items()
        if ttl != before.get(table, "")
    ]


def _ttls(retention: Retention) -> dict[str, str]:
    """Table to TTL expression, "" for ever."""
    written = "toDateTime(intDiv(Version, 1000000000))"
    since = {
        "otel_traces": ("IngestedAt", retention.spans_s),
        "otel_traces_trace_id_ts": ("IngestedAt", retention.spans_s),
        "span_arrivals": ("toDateTime(ArrivedAt)", retention.spans_s),
        "traces": (written, retention.traces_s),
        "journey_minutes": (written, retention.minutes_s),
        "path_minutes": (written, retention.minutes_s),
        "edge_minutes": (written, retention.minutes_s),
        "replacement_minutes": (written, retention.minutes_s),
        "minute_versions": (written, retention.minutes_s),
        "known_operations": ("LastSeen", retention.traces_s),
        "service_facts": ("LastSeen", retention.minutes_s),
    }
    ttls = {table: f"{start} + INTERVAL {age_s} SECOND" if age_s else "" for table, (start, age_s) in since.items()}
    if ttls["traces"]:
        ttls["traces"] = f"greatest({ttls['traces']}, KeptUntil)"
    return ttls


REQUIRED_COLUMNS = {
    "otel_traces": ("Timestamp", "TraceId", "SpanId", "EndCorrection", "IngestedAt", "SpanAttributeTypes"),
    "otel_traces_trace_id_ts": ("TraceId", "Start", "End", "IngestedAt"),
    "span_arrivals": ("Lane", "Sequence", "ArrivedAt", "Resource"),
    "traces": ("TraceId", "Journey", "Version", "Deleted"),
}
"""Columns that tell our tables from those of another program with the same names."""
