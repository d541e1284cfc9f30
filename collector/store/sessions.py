"""The tries of the steps of a journey, by the session key that their first spans carry."""

from clickhouse_connect.driver.client import Client

from collector.core.journeys import Journey
from collector.core.sessions import Try

MOST_TRIES = 200_000
"""Read at once, the newest."""
_CLOCKS_S = 3600
"""How far the first span of a trace may lie from its row."""


def tries_of(client: Client, journey: Journey, first_s: int, last_s: int) -> list[Try]:
    """Return the traces of a journey's steps that began in [first, last), whose root names a session, and of which
    some span said how it ended.

    Work: rows of these traces, and the attributes of all spans of the services that they begin in.
    """
    rows = client.query(
        f"""
        WITH tries AS (
            SELECT TraceId, RootSpanId, RootService, Journey, toUnixTimestamp64Nano(Start) AS start, Failed, Weight
            FROM traces FINAL
            WHERE Journey IN {{steps:Array(String)}} AND StatusKnown
                AND Start >= toDateTime({{first:UInt32}}) AND Start < toDateTime({{last:UInt32}})
            ORDER BY Start DESC LIMIT {MOST_TRIES}
        )
        SELECT session, Journey, start, Failed, Weight, TraceId
        FROM tries INNER JOIN (
            SELECT DISTINCT TraceId, SpanId, SpanAttributes[{{key:String}}] AS session FROM otel_traces
            WHERE ServiceName IN (SELECT RootService FROM tries) AND mapContains(SpanAttributes, {{key:String}})
                AND Timestamp >= toDateTime({{early:UInt32}}) AND Timestamp < toDateTime({{late:UInt32}})
        ) AS roots ON roots.TraceId = tries.TraceId AND roots.SpanId = tries.RootSpanId
        WHERE session != ''
        """,
        {
            "steps": list(journey.steps),
            "key": journey.session,
            "first": _in_range(first_s),
            "last": _in_range(last_s),
            "early": _in_range(first_s - _CLOCKS_S),
            "late": _in_range(last_s + _CLOCKS_S),
        },
    ).result_rows
    return [
        Try(str(session), str(step), int(start), bool(failed), str(trace_id), float(weight))
        for session, step, start, failed, weight, trace_id in rows
    ]


def _in_range(seconds: int) -> int:
    """DateTime goes from 1970 to 2106."""
    return min(max(seconds, 0), 2**32 - 1)
