"""The queries of arrivals: what is new behind a place in each lane, and all that ever came of some traces."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from clickhouse_connect.driver.client import Client

from collector.core.shares import SHARES, Shares
from collector.core.spans import concatenate, empty_batch
from collector.store.arrivals import ARRIVAL_SELECT, ARRIVAL_SETTINGS, Arrivals, arrivals
from collector.store.engine import read_arrow
from collector.store.lookup import read_spans
from cpdd.sampling.thresholds import member_text

_SHARE = f"bitShiftRight(intHash64(TraceIdLow), {64 - (SHARES - 1).bit_length()}) + 1"
"""The share of a row's trace: hashed, as ids of some tracers are no random numbers."""
_SPELL_SLACK_S = 60
"""Between the stamps of a group's places and of its arrivals, both by the collector's clock."""


def read_ranges(client: Client, lanes: Sequence[int], begins: Sequence[int], limit: int) -> Arrivals:
    """Return (begin, begin + limit] of each lane."""
    ends = {lane: begin + limit for lane, begin in zip(lanes, begins, strict=True)}
    return _select(client, f"WHERE {_within(lanes, begins, ends)} ORDER BY Lane, Sequence", {})


def read_shares(client: Client, lanes: Sequence[int], begins: Sequence[int], limit: int, shares: Shares) -> Arrivals:
    """Return what is of some shares, up to where the lanes were just before: a lane's rows come in their order."""
    ends, newest_ms = _ends(client, lanes, begins, limit)
    if not ends:
        begins = next_begins(client, lanes, begins)
        ends, newest_ms = _ends(client, lanes, begins, limit)
    found = _select(
        client,
        f"WHERE ({_within(lanes, begins, ends)}) AND {_SHARE} IN {{shares:Array(UInt8)}} ORDER BY Lane, Sequence",
        {"shares": sorted(shares)},
    )
    return replace(found, ends=ends, ends_unix_nano=newest_ms * 1_000_000)


def _within(lanes: Sequence[int], begins: Sequence[int], ends: Mapping[int, int]) -> str:
    """The condition for (begin, end] of each lane that has an end."""
    ranges = [
        f"(Lane = {int(lane)} AND Sequence > {int(begin)} AND Sequence <= {int(ends[lane])})"
        for lane, begin in zip(lanes, begins, strict=True)
        if lane in ends
    ]
    return " OR ".join(ranges) or "false"


def _ends(client: Client, lanes: Sequence[int], begins: Sequence[int], limit: int) -> tuple[dict[int, int], int]:
    """The last sequence of each lane within `limit`, whoever's, and when the newest of them arrived, in ms."""
    limits = {lane: begin + limit for lane, begin in zip(lanes, begins, strict=True)}
    rows = client.query(
        "SELECT Lane, max(Sequence), toUnixTimestamp64Milli(max(ArrivedAt)) FROM span_arrivals "
        f"WHERE {_within(lanes, begins, limits)} GROUP BY Lane"
    ).result_rows
    return {int(lane): int(last) for lane, last, _ in rows}, max((int(ms) for _, _, ms in rows), default=0)


def next_begins(client: Client, lanes: Sequence[int], begins: Sequence[int]) -> list[int]:
    """Return where to begin just before the next row of each lane, however far it is."""
    behind = " OR ".join(
        f"(Lane = {int(lane)} AND Sequence > {int(begin)})" for lane, begin in zip(lanes, begins, strict=True)
    )
    rows = client.query(f"SELECT Lane, min(Sequence) FROM span_arrivals WHERE {behind} GROUP BY Lane").result_rows
    found = {int(lane): int(sequence) - 1 for lane, sequence in rows}
    return [found.get(lane, begin) for lane, begin in zip(lanes, begins, strict=True)]


def joined(one: Arrivals, other: Arrivals) -> Arrivals:
    """Return both, one behind the other."""
    return Arrivals(
        concatenate([one.spans, other.spans]),
        np.concatenate([one.lane, other.lane]),
        np.concatenate([one.sequence, other.sequence]),
        np.concatenate([one.arrived_unix_nano, other.arrived_unix_nano]),
        one.ot + other.ot,
    )


def read_traces(client: Client, trace_ids: Sequence[str]) -> Arrivals:
    """Return all spans of these traces that were ever acknowledged, from the span table where arrivals are dropped."""
    spells = _spells(client, trace_ids)
    gone = {spell.trace_id for spell in spells if not spell.kept}
    found = _read_kept(client, [spell for spell in spells if spell.trace_id not in gone])
    return joined(found, _read_stored(client, sorted(gone))) if gone else found


@dataclass(frozen=True, slots=True)
class _Spell:
    """One request's part of a trace, by its row in the look-up table."""

    trace_id: str
    ingested_s: int
    kept: bool
    """Whether its arrivals are still there."""


def _spells(client: Client, trace_ids: Sequence[str]) -> list[_Spell]:
    rows = client.query(
        """
        SELECT DISTINCT
            TraceId,
            toUnixTimestamp(IngestedAt),
            IngestedAt - {slack:UInt32} >= (SELECT minOrNull(toStartOfHour(ArrivedAt)) FROM span_arrivals)
        FROM otel_traces_trace_id_ts WHERE TraceId IN {ids:Array(String)}
        """,
        {"ids": list(trace_ids), "slack": _SPELL_SLACK_S},
    ).result_rows
    return [_Spell(str(trace_id), int(ingested), bool(kept)) for trace_id, ingested, kept in rows]


def _read_kept(client: Client, spells: Sequence[_Spell]) -> Arrivals:
    """Read traces from the arrivals around the times at which their requests came in."""
    if not spells:
        return read_ranges(client, [], [], 0)
    ids = sorted({spell.trace_id for spell in spells})
    stretches = _merged([(s.ingested_s - _SPELL_SLACK_S, s.ingested_s + _SPELL_SLACK_S) for s in spells])
    times = " OR ".join(f"(ArrivedAt >= toDateTime({a}) AND ArrivedAt <= toDateTime({b}))" for a, b in stretches)
    return _select(
        client,
        f"""
        WHERE ({times}) AND TraceIdLow IN {{low:Array(UInt64)}}
            AND (TraceIdHigh, TraceIdLow) IN arrayZip({{high:Array(UInt64)}}, {{low:Array(UInt64)}})
        ORDER BY Lane, Sequence
        """,
        {"high": [int(trace_id[:16], 16) for trace_id in ids], "low": [int(trace_id[16:], 16) for trace_id in ids]},
    )


def _read_stored(client: Client, trace_ids: Sequence[str]) -> Arrivals:
    """Read traces whose arrivals are dropped from the span table."""
    stored = read_spans(client, trace_ids)
    spans = replace(stored.batch, body=b"") if stored else empty_batch()
    unknown = np.zeros(len(spans), np.int64)
    ot = tuple(member_text(stored.detail(row).trace_state) for row in range(len(spans))) if stored else ()
    return Arrivals(spans, unknown, unknown, unknown, ot)


def _merged(stretches: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Overlapping stretches as one."""
    merged: list[tuple[int, int]] = []
    for begin, end in sorted(stretches):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged


def _select(client: Client, where: str, parameters: Mapping[str, object]) -> Arrivals:
    sql = f"SELECT {ARRIVAL_SELECT} FROM span_arrivals {where} SETTINGS {ARRIVAL_SETTINGS}"
    return arrivals(read_arrow(client, sql, parameters))
