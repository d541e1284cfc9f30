"""Which traces outlive the others, and the copies that make them do so.

    traces -> chosen: failed, slowest, one for each edge, examples of findings, pinned
    otel_traces -> kept_spans;  traces: the same row with KeptUntil;  kept_traces: which, why, until when

Spans of one trace lie among those of all others, whose parts are dropped whole; so what is to stay is copied to a
table where whole days end together. Copying twice changes nothing that readers see: they drop exact copies.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from clickhouse_connect.driver.client import Client

from collector.store import native
from collector.store.engine import ONE_THREAD, Store, read_arrow, run
from collector.store.judgements import read_findings
from collector.store.lookup import FIVE_MINUTES_S, HERE, MINUTE_S, REPAIR_S, find_places, pairs
from collector.store.pins import Pins
from collector.store.row_details import text_of
from collector.store.values import KeptLonger
from collector.store.versions import newest_version

PINNED_UNTIL_S = 4_291_747_200
"""2106-01-01: as far as DateTime goes, and a partition of its own."""
EACH = 3
"""Traces of a journey, a look and a reason."""
AT_ONCE = 1_000
"""Traces copied by one statement."""

PINNED = "pinned"
EXAMPLE = "example"
AGAIN = "again"
"""Kept earlier, for a reason that still stands, and analyzed anew since."""

_COLUMNS = ", ".join(f"`{name}`" for name, _ in native.SPAN_COLUMNS)


@dataclass(frozen=True, slots=True)
class Choice:
    """A trace to keep."""

    trace_id: str
    reason: str
    version: int
    """Of its row in `traces`."""


class Keeping:
    """Chooses and copies. One thread at a time."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pins = Pins(store)

    def seen(self) -> int:
        """Return the newest version of a row of `traces` that was chosen ever, 0 where none was."""
        with self._store.client() as client:
            return int(client.query("SELECT max(Version) FROM kept_traces").result_rows[0][0])

    def newest(self) -> int:
        """Return the newest version of a row of `traces`, 0 where there is none."""
        with self._store.client() as client:
            return newest_version(client, ("traces",))

    def interesting(self, after: int, until: int) -> list[Choice]:
        """Choose among the traces that were analyzed in versions (after, until].

        Of every journey the slowest, some that failed, and one for each edge, which has the rare ways of the path;
        and whatever was chosen earlier and has been analyzed anew.
        """
        with self._store.client() as client:
            rows = client.query(_INTERESTING, {"after": after, "until": until, "each": EACH}).result_rows
        return [Choice(str(trace_id), str(reason), int(version)) for trace_id, reason, version in rows]

    def examples(self) -> list[Choice]:
        """Choose the example traces of open findings that are not kept yet."""
        with self._store.client() as client:
            ids = {id for one in read_findings(client) if one.is_open for id in one.finding.examples}
            return [Choice(id, EXAMPLE, 0) for id in sorted(ids - _kept(client, ids, EXAMPLE))]

    def keep(self, choices: Sequence[Choice], until_s: int) -> int:
        """Copy the spans of these traces so that they live until `until_s` (Unix time); returns how many are new."""
        if not choices:
            return 0
        ids = sorted({choice.trace_id for choice in choices})
        with self._store.client() as client:
            new = len(ids) - len(_kept(client, ids))
            for begin in range(0, len(ids), AT_ONCE):
                _copy(client, ids[begin : begin + AT_ONCE], until_s)
            self._note(client, choices, until_s)
        return new

    def keep_pinned(self) -> int:
        """Copy what was pinned and is not copied yet, let go what was released; returns how many are pinned."""
        pins = self._pins.all()
        pinned = {pin.trace_id for pin in pins if not pin.released_unix_nano}
        if not pins:
            return 0
        with self._store.client() as client:
            copied = _kept(client, {pin.trace_id for pin in pins}, PINNED)
            stored = {
                place.trace_id for place in find_places(client, sorted(pinned))
            }  # a pin may come before its trace
            wanted = (stored - copied) | _unmarked(client, stored)
        self.keep([Choice(id, PINNED, 0) for id in sorted(wanted)], PINNED_UNTIL_S)
        if gone := sorted(copied - pinned):
            self._release(gone)
        return len(pinned)

    def _release(self, trace_ids: list[str]) -> None:
        """Let go of the copies that were to stay for ever; those kept for another reason stay for their time."""
        parameters = {"ids": trace_ids, "until": PINNED_UNTIL_S}
        with self._store.client() as client:
            for table in ("kept_spans", "kept_traces"):
                self._store.define(
                    client,
                    f"ALTER TABLE {table} DELETE WHERE KeptUntil = toDateTime({{until:UInt32}}) "
                    "AND TraceId IN {ids:Array(String)} SETTINGS mutations_sync = 1",
                    parameters,
                )
            rows = client.query(
                "SELECT TraceId, toUnixTimestamp(max(KeptUntil)) FROM kept_traces "
                "WHERE TraceId IN {ids:Array(String)} GROUP BY TraceId",
                {"ids": trace_ids},
            ).result_rows
            still = {str(trace_id): int(until) for trace_id, until in rows}
            for trace_id in trace_ids:
                places = pairs(find_places(client, [trace_id]), MINUTE_S, REPAIR_S)
                _mark(client, places, still.get(trace_id, 0), instead_of_s=PINNED_UNTIL_S)

    def _note(self, client: Client, choices: Sequence[Choice], until_s: int) -> None:
        run(
            client,
            "INSERT INTO kept_traces (TraceId, Reason, Version, KeptUntil) "
            "SELECT t.1, t.2, t.3, toDateTime({until:UInt32}) FROM (SELECT arrayJoin("
            "arrayZip({ids:Array(String)}, {reasons:Array(String)}, {versions:Array(UInt64)})) AS t)",
            {
                "ids": [choice.trace_id for choice in choices],
                "reasons": [choice.reason for choice in choices],
                "versions": [choice.version for choice in choices],
                "until": until_s,
            },
        )


def kept_longer(client: Client, trace_id: str) -> KeptLonger | None:
    """Return until when a trace stays and why, None where there are no copies of its spans."""
    rows = read_arrow(
        client,
        "SELECT Reason, toUnixTimestamp(KeptUntil) FROM kept_traces "
        f"PREWHERE TraceId = {{trace:String}} WHERE KeptUntil > now() {ONE_THREAD}",
        {"trace": trace_id},
    )
    reasons, until_s = (column.to_pylist() for column in rows.columns)
    names = {text_of(reason) for reason in reasons} - {AGAIN}
    return KeptLonger(max(until_s) * 1_000_000_000, tuple(sorted(names))) if reasons else None


def _kept(client: Client, trace_ids: Iterable[str], reason: str = "") -> set[str]:
    rows = client.query(
        "SELECT DISTINCT TraceId FROM kept_traces WHERE TraceId IN {ids:Array(String)} AND KeptUntil > now() "
        "AND ({reason:String} = '' OR Reason = {reason:String})",
        {"ids": sorted(trace_ids), "reason": reason},
    ).result_rows
    return {str(row[0]) for row in rows}


def _copy(client: Client, trace_ids: Sequence[str], until_s: int) -> None:
    """Copy spans that are not in this partition yet, from the span table and, for a pin, from other copies."""
    places = find_places(client, trace_ids)
    for parameters in pairs(places, FIVE_MINUTES_S):
        run(client, _COPY, {**parameters, "until": until_s})
    _mark(client, pairs(places, MINUTE_S, REPAIR_S), until_s)


def _mark(client: Client, places: Iterable[Mapping[str, object]], until_s: int, instead_of_s: int = 1) -> None:
    """Let the rows of `traces` live as long as the spans: longer than they would, or instead of a time that is over."""
    for parameters in places:
        run(client, _MARK, {**parameters, "until": until_s, "before": instead_of_s})


def _unmarked(client: Client, trace_ids: Iterable[str]) -> set[str]:
    """Those whose row, written anew since, does not say that they are pinned."""
    return {
        str(row[0])
        for parameters in pairs(find_places(client, sorted(trace_ids)), MINUTE_S, REPAIR_S)
        for row in client.query(_UNMARKED, {**parameters, "until": PINNED_UNTIL_S}).result_rows
    }


_COPY = f"""
INSERT INTO kept_spans ({_COLUMNS}, IngestedAt, KeptUntil)
SELECT {_COLUMNS}, IngestedAt, toDateTime({{until:UInt32}}) FROM (
    SELECT {_COLUMNS}, IngestedAt FROM otel_traces WHERE {HERE}
    UNION ALL
    SELECT {_COLUMNS}, IngestedAt FROM kept_spans
    WHERE TraceId IN {{ids:Array(String)}} AND KeptUntil != toDateTime({{until:UInt32}})
        AND (TraceId, SpanId, SpanKind) NOT IN (SELECT TraceId, SpanId, SpanKind FROM otel_traces WHERE {HERE})
)
WHERE (TraceId, SpanId, SpanKind) NOT IN (
    SELECT TraceId, SpanId, SpanKind FROM kept_spans
    WHERE TraceId IN {{ids:Array(String)}} AND KeptUntil = toDateTime({{until:UInt32}})
)
"""

_ROWS = """(toStartOfMinute(Start), TraceId) IN arrayZip({starts:Array(DateTime)}, {ids:Array(String)})
    AND Start >= fromUnixTimestamp64Nano({first_ns:Int64})
    AND Start <= fromUnixTimestamp64Nano({last_ns:Int64})"""
_MARK = f"""
INSERT INTO traces SELECT * REPLACE (Version + 1 AS Version, toDateTime({{until:UInt32}}) AS KeptUntil) FROM (
    SELECT * FROM traces FINAL
    WHERE {_ROWS} AND (KeptUntil < toDateTime({{until:UInt32}}) OR KeptUntil = toDateTime({{before:UInt32}}))
)
"""
_UNMARKED = f"SELECT TraceId FROM traces FINAL WHERE {_ROWS} AND KeptUntil != toDateTime({{until:UInt32}})"

# Without FINAL, which would read everything: a row that was replaced meanwhile costs a copy too many.
_NEW = """
    SELECT TraceId, Journey, Failed, DurationNs, Edge.Id AS Edges, Version, KeptUntil FROM traces
    WHERE Version > {after:UInt64} AND Version <= {until:UInt64} AND NOT Deleted
    ORDER BY Version DESC LIMIT 1 BY TraceId
"""
_INTERESTING = f"""
SELECT TraceId, Reason, Version FROM (
    SELECT TraceId, 'failed' AS Reason, Version FROM ({_NEW}) WHERE Failed
    ORDER BY cityHash64(TraceId) LIMIT {{each:UInt32}} BY Journey
    UNION ALL
    SELECT TraceId, 'slow' AS Reason, Version FROM ({_NEW})
    ORDER BY DurationNs DESC, TraceId LIMIT {{each:UInt32}} BY Journey
    UNION ALL
    SELECT TraceId, 'path' AS Reason, max(Version) AS Version FROM (
        SELECT TraceId, Version, Journey, arrayJoin(Edges) AS Edge FROM ({_NEW})
        ORDER BY cityHash64(TraceId) LIMIT 1 BY Journey, Edge
    ) GROUP BY TraceId
    UNION ALL
    SELECT TraceId, '{AGAIN}' AS Reason, Version FROM ({_NEW})
    WHERE KeptUntil = toDateTime(0) AND TraceId IN (SELECT TraceId FROM kept_traces WHERE KeptUntil > now())
)
"""
