"""Which minutes a query reads, and of those which rows: each minute has the rows of its latest published version.

Minutes that a window touches count whole.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from clickhouse_connect.driver.client import Client

from collector.store.engine import ONE_THREAD
from collector.store.minutes import rows_of_chosen
from collector.store.values import Window

POINTS = 60
"""About how many points a series has."""
MINUTE_S = 60
_MINUTE_NS = 60_000_000_000
_FIRST_S = 86_400
"""The engine takes a parameter of up to four digits for a year, and no DateTime."""
_LAST_S = (2**32 // 60 - 1) * 60
"""DateTime ends in 2106."""

WHICH_MINUTES = """
    Minute >= {first:DateTime} AND Minute < {last:DateTime}
    AND (Minute, Version) IN (
        SELECT Minute, max(Version) FROM minute_versions
        WHERE Minute >= {first:DateTime} AND Minute < {last:DateTime} GROUP BY Minute
    )
"""
"""The rows that count, in any minute table; `Minutes.parameters` goes with it."""
_NAMED = """
    Minute >= {first:DateTime} AND Minute < {last:DateTime}
    AND (Minute, Version) IN arrayZip({minutes:Array(DateTime)}, {versions:Array(UInt64)})
"""
"""The same rows, where `Minutes` knows the versions: a subquery takes the engine as long to plan as all the rest."""
MOST_NAMED = 360
"""Minutes whose versions are named; of more, the engine is as quick to look for them."""
STEP = "intDiv(toUnixTimestamp(Minute) - {first:UInt32}, {step:UInt32})"
"""The step of a series that a minute is in, counted from the first; likewise."""


@dataclass(frozen=True, slots=True)
class Minutes:
    """The whole minutes that a window touches, in steps of a series."""

    first_s: int
    last_s: int
    """Behind the last one."""
    step_s: int
    covered_s: float
    """The time in which these traces began: not before the first trace of all, nor beyond the window's end where the
    last minute is not over."""
    chosen: tuple[str, ...] | None = None
    """The traces that count, all of one journey; None for all."""
    versions: Mapping[int, int] | None = None
    """The published version of each minute; None where each query looks for them."""

    @classmethod
    def of(cls, window: Window, oldest_unix_nano: int = 0, newest_unix_nano: int = 0) -> "Minutes":
        """Return the minutes of `window`.

        Args:
            oldest_unix_nano: Start of the first trace of all: a collector of ten minutes has no rate of an hour.
            newest_unix_nano: Start of the last one, which says how far the last minute has gone.
        """
        first = _clamped(window.start_unix_nano // _MINUTE_NS * MINUTE_S)
        last = max(_clamped(-(-window.end_unix_nano // _MINUTE_NS) * MINUTE_S), first + MINUTE_S)
        minutes = (last - first) // MINUTE_S
        begin_s = max(first, oldest_unix_nano / 1e9)
        over_s = min(last, max(window.end_unix_nano, newest_unix_nano) / 1e9)
        return cls(first, last, math.ceil(minutes / POINTS) * MINUTE_S, max(over_s - begin_s, 1.0))

    def parameters(self) -> dict[str, object]:
        versions = self.versions or {}
        return {
            "first": self.first_s, "last": self.last_s, "step": self.step_s, "chosen": list(self.chosen or ()),
            "minutes": list(versions), "versions": list(versions.values()),
        }  # fmt: skip

    def rows(self, table: str) -> str:
        """Return what stands behind FROM for a minute table, and `which` behind its WHERE."""
        return table if self.chosen is None else rows_of_chosen(table)

    @property
    def which(self) -> str:
        return self.which_of_all if self.chosen is None else "1"

    @property
    def which_of_all(self) -> str:
        """The rows of a minute table that count, whichever traces were chosen."""
        return WHICH_MINUTES if self.versions is None else _NAMED

    def steps(self) -> range:
        return range(self.first_s, self.last_s, self.step_s)


def _clamped(seconds: int) -> int:
    return min(max(seconds, _FIRST_S), _LAST_S)


def with_versions(client: Client, minutes: Minutes) -> Minutes:
    """Return the same minutes for who asks several questions about them: all are about the same versions."""
    if minutes.last_s - minutes.first_s > MOST_NAMED * MINUTE_S:
        return minutes
    rows = client.query(
        f"""
        SELECT toUnixTimestamp(Minute), max(Version) FROM minute_versions
        WHERE Minute >= {{first:DateTime}} AND Minute < {{last:DateTime}} GROUP BY Minute
        {ONE_THREAD}
        """,
        minutes.parameters(),
    ).result_rows
    return replace(minutes, versions={int(minute): int(version) for minute, version in rows})


def only(journey: str | None) -> str:
    """Return the condition that keeps one journey, or none; the parameter is `journey`."""
    return "" if journey is None else "AND Journey = {journey:String}"


def alone(journey: str | None) -> str:
    """Return the end of a query about one journey: it reads little, and its page asks others beside it, so that further
    threads would only wait for each other. Empty for all journeys."""
    return "" if journey is None else ONE_THREAD
