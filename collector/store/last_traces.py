"""When the newest trace was that is like what somebody looks for in vain, as far back as can be told in time.

A month of spans is too much to read for a hint; an hour is not, nor is a month in which an index says where a value
may be (decision 116). So the past is looked through in stretches, each longer than the one after it, until there is
something or the time is up.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from collector.store.dictionaries import CallPaths
from collector.store.search_conditions import conditions
from collector.store.values import TraceQuery, Window

BUDGET_S = 0.05
"""So much longer a search may take that found nothing: who asks would otherwise try one range after the other."""
STRETCHES_NS = tuple(hours * 3600 * 1_000_000_000 for hours in (1, 24, 7 * 24, 30 * 24))
"""How far back each stretch goes."""
_TIMEOUT_EXCEEDED = 159
_LEAST_S = 0.001
"""0 would be no limit."""


def newest_alike(
    client: Client,
    known: CallPaths,
    query: TraceQuery,
    newest_unix_nano: int,
    budget_s: float = BUDGET_S,
    clock_s: Callable[[], float] = time.monotonic,
) -> int | None:
    """Return the start of the newest trace like `query` outside its window, None where there is none in time.

    Args:
        newest_unix_nano: start of the newest trace of all.
        budget_s: how long it may take.
    """
    until_s = clock_s() + budget_s
    path_ids = known.on_path(client, query)
    for window in _stretches(query.window, newest_unix_nano):
        left_s = until_s - clock_s()
        if left_s <= 0:
            return None
        asked_for = conditions(replace(query, window=window), path_ids)
        try:
            ((found, newest),) = client.query(
                f"SELECT count(), toUnixTimestamp64Nano(max(Start)) FROM traces FINAL WHERE {asked_for.all} "
                f"SETTINGS max_execution_time = {max(left_s, _LEAST_S):.3f}",
                asked_for.parameters,
            ).result_rows
        except DatabaseError as error:
            if error.code == _TIMEOUT_EXCEEDED:
                return None
            raise
        if found:
            return int(newest)
    return None


def _stretches(looked_through: Window, newest_unix_nano: int) -> Iterator[Window]:
    """Yield what lies behind a window up to the newest trace, then stretches before it, the nearest first."""
    if newest_unix_nano >= looked_through.end_unix_nano:
        yield Window(looked_through.end_unix_nano, newest_unix_nano + 1)
    before = end = min(looked_through.start_unix_nano, newest_unix_nano + 1)
    for length in STRETCHES_NS:
        begin = max(before - length, 0)
        if begin < end:
            yield Window(begin, end)
        end = begin
