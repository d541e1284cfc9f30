"""Which minutes a query reads, and of those which rows: each minute has the rows of its latest published version.

Minutes that a window touches count whole.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from clickhouse_connect.driver.client import Client

from collector.store.engine import ONE_THREAD, read_arrow
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
MOST_READ = 26 * 60
"""Minutes whose rows about a journey may be summed here (`minute_rows`): those of a day, and those of evidence since
the last midnight that is settled."""
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
    """The published version of each minute, where rows are read to be summed here; None where each query looks for
    them."""

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
        chosen = list(self.chosen or ())
        return {"first": self.first_s, "last": self.last_s, "step": self.step_s, "chosen": chosen}

    def rows(self, table: str) -> str:
        """Return what stands behind FROM for a minute table, and `which` behind its WHERE."""
        return table if self.chosen is None else rows_of_chosen(table)

    @property
    def are_read(self) -> bool:
        """Whether rows of theirs may be summed here, those that were published being known."""
        return self.versions is not None and self.chosen is None

    @property
    def which(self) -> str:
        return WHICH_MINUTES if self.chosen is None else "1"

    def steps(self) -> range:
        return range(self.first_s, self.last_s, self.step_s)


def _clamped(seconds: int) -> int:
    return min(max(seconds, _FIRST_S), _LAST_S)


def with_versions(client: Client, minutes: Minutes) -> Minutes:
    """Return the same minutes for who asks several questions about them: all rows that are summed here are of the same
    versions."""
    if minutes.last_s - minutes.first_s > MOST_READ * MINUTE_S:
        return minutes
    rows = read_arrow(
        client,
        f"""
        SELECT Minute, Version FROM minute_versions PREWHERE Minute >= {{first:DateTime}} AND Minute < {{last:DateTime}}
        {ONE_THREAD}
        """,
        minutes.parameters(),
    )
    versions: dict[int, int] = {}
    for minute, version in zip(rows.column(0).to_pylist(), rows.column(1).to_pylist(), strict=True):
        versions[minute] = max(version, versions.get(minute, 0))
    return replace(minutes, versions=versions)


def only(journey: str | None) -> str:
    """Return the condition that keeps one journey, or none; the parameter is `journey`."""
    return "" if journey is None else "AND Journey = {journey:String}"


def alone(journey: str | None) -> str:
    """Return the end of a query about one journey: it reads little, and its page asks others beside it, so that further
    threads would only wait for each other. Empty for all journeys."""
    return "" if journey is None else ONE_THREAD
