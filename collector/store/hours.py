"""The hours of a journey's call paths, for `core.population.regressions`: made of the minute tables when read.

The time in a call path and below it is a sum over call paths, of which the minute tables keep means and spreads but not
how they vary together. Its spread is taken as if they rose and fell together: never too small, so that no alarm is
raised by what is only unknown. The root's is exact, since it is that of the duration.
"""

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from math import sqrt

from clickhouse_connect.driver.client import Client

from collector.core.population.regressions import CallPathHours, Hour
from collector.store.dictionaries import CallPaths
from collector.store.which_minutes import WHICH_MINUTES, Minutes


def read_hours(client: Client, call_paths: CallPaths, minutes: Minutes, journey: str) -> dict[int, CallPathHours]:
    """Return by id of call path its hours in some minutes, inclusive times per trace of the journey."""
    parameters = {**minutes.parameters(), "journey": journey}
    whole = client.query(
        f"""
        SELECT
            toUnixTimestamp(toStartOfHour(Minute)) AS hour, sum(Weight), sum(arraySum(Band.Squares)), sum(SumNs),
            sum(SumSquaredNs)
        FROM journey_minutes WHERE {WHICH_MINUTES} AND Journey = {{journey:String}} GROUP BY hour ORDER BY hour
        """,
        parameters,
    ).result_rows
    paths = client.query(
        f"""
        SELECT toUnixTimestamp(toStartOfHour(Minute)) AS hour, PathId, sum(TimeNs), sum(TimeSquaredNs)
        FROM path_minutes WHERE {WHICH_MINUTES} AND Journey = {{journey:String}} GROUP BY hour, PathId
        """,
        parameters,
    ).result_rows
    known = call_paths.with_ancestors(client, {int(row[1]) for row in paths})
    parents = {number: step.parent for number, step in known.items()}
    own: dict[int, dict[int, tuple[float, float]]] = defaultdict(dict)
    for hour, number, s, ss in paths:
        own[int(hour)][int(number)] = (float(s), float(ss))
    hours: dict[int, list[Hour]] = {number: [] for number in parents}
    for hour, weight, squares, t, tt in whole:
        effective = weight**2 / squares if squares else 0.0
        inclusive = _inclusive(own[int(hour)], parents, float(weight))
        for number, (mean, deviation) in inclusive.items():
            if not parents[number]:
                deviation = sqrt(max(tt / weight - (t / weight) ** 2, 0.0))
            hours[number].append(Hour(datetime.fromtimestamp(int(hour), UTC), effective, mean, deviation**2))
    return {number: CallPathHours(parents[number], tuple(found)) for number, found in hours.items()}


def _inclusive(
    own: Mapping[int, tuple[float, float]], parents: Mapping[int, int], weight: float
) -> dict[int, tuple[float, float]]:
    """Mean and standard deviation (at most) of the time in each call path and below it."""
    sums = dict.fromkeys(parents, (0.0, 0.0))
    for number, (s, ss) in own.items():
        mean = s / weight
        deviation = sqrt(max(ss / weight - mean**2, 0.0))
        at, seen = number, set[int]()
        while at in sums and at not in seen:
            seen.add(at)
            known_mean, known_deviation = sums[at]
            sums[at] = (known_mean + mean, known_deviation + deviation)
            at = parents[at]
    return sums
