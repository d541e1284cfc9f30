"""Traces that kept and broke the promises of journeys, by step of time, from the minute rows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from clickhouse_connect.driver.client import Client

from collector.core.journeys import Journey
from collector.core.objectives import Counts, no_counts
from collector.store.engine import read_arrow
from collector.store.histogram import bucket_of
from collector.store.which_minutes import WHICH_MINUTES

_NEVER_SLOW = 65_535


@dataclass(frozen=True, slots=True)
class Kept:
    """What is known of a journey's traces in a stretch of time."""

    availability: Counts
    """Bad: failed."""
    latency: Counts
    """Bad: slower than promised; exact to 1 %, as the histograms are."""
    status_known: bool


NOTHING_KEPT = Kept(no_counts(), no_counts(), False)


def promise_counts(
    client: Client, journeys: Sequence[Journey], first_s: int, last_s: int, step_s: int
) -> dict[str, Kept]:
    """Return counts by journey for the minutes [first, last), in steps; journeys without traces are left out.

    Work: rows of the minutes of these journeys; their histograms only for those that promise a latency.
    """
    if not journeys or last_s <= first_s:
        return {}
    slow = {journey.name: bucket_of(journey.latency.under_ns) for journey in journeys if journey.latency}
    table = read_arrow(
        client,
        f"""
        SELECT
            Journey AS journey,
            toInt64(intDiv(toUnixTimestamp(Minute), {{step:UInt32}}) * {{step:UInt32}}) AS start,
            sum(Weight) AS weight,
            sum(Failed) AS failed,
            toFloat64(sum(FailedTraces)) AS failed_traces,
            toFloat64(sum(Traces)) AS traces,
            sum(Squares) AS squares,
            toUInt32(max(StatusKnown)) AS known,
            sum(slow_) AS slow
        FROM (
            SELECT *, transform(Journey, {{slow_names:Array(String)}}, {{slow_buckets:Array(UInt16)}},
                    toUInt16({_NEVER_SLOW})) AS limit_,
                if(limit_ = {_NEVER_SLOW}, 0, arraySum(
                    (bucket, weight) -> if(bucket > limit_, weight, 0), Duration.Bucket, Duration.Weight
                )) AS slow_
            FROM journey_minutes
            WHERE {WHICH_MINUTES} AND Journey IN {{names:Array(String)}}
        )
        GROUP BY journey, start ORDER BY journey, start
        """,
        {
            "first": first_s,
            "last": last_s,
            "step": step_s,
            "names": [journey.name for journey in journeys],
            "slow_names": list(slow) or [""],
            "slow_buckets": list(slow.values()) or [_NEVER_SLOW],
        },
    ).combine_chunks()
    if not table.num_rows:
        return {}
    names = [name.decode(errors="replace") for name in table.column("journey").to_pylist()]
    columns = {
        name: np.asarray(table.column(name).chunk(0))
        for name in ("start", "weight", "failed", "failed_traces", "traces", "squares", "known", "slow")
    }
    begins = [row for row, name in enumerate(names) if row == 0 or name != names[row - 1]]
    ends = [*begins[1:], len(names)]
    return {
        names[begin]: _kept({name: column[begin:end] for name, column in columns.items()})
        for begin, end in zip(begins, ends, strict=True)
    }


def _kept(columns: dict[str, np.ndarray]) -> Kept:
    start, weight, squares = columns["start"].astype(np.int64), columns["weight"], columns["squares"]
    traces_of = columns["traces"] / np.maximum(weight, 1e-12)
    return Kept(
        availability=Counts(start, weight, columns["failed"], squares, columns["failed_traces"]),
        latency=Counts(start, weight, columns["slow"], squares, columns["slow"] * traces_of),
        status_known=bool(columns["known"].any()),
    )
