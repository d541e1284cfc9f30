"""When the newest trace was that is like what was looked for in vain."""

from collections.abc import Mapping
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from collector.store.dictionaries import CallPaths
from collector.store.engine import Store
from collector.store.last_traces import newest_alike
from collector.store.reader import Reader
from collector.store.values import TraceQuery, Window
from tests.store.learned import LearnedTrace
from tests.store.spans import MINUTE_NS, NOON, Span
from tests.store.test_reader import commit, learn

DAY_NS = 1440 * MINUTE_NS
NEVER_S = 3600.0
"""A budget that no machine uses up."""
NOW = Window(NOON, NOON + 60 * MINUTE_NS)
"""What was looked through in vain."""


@pytest.fixture
def reader(store: Store) -> Reader:
    return Reader(store)


def traces_of(store: Store, *starts: int, **more: Any) -> None:
    commit(store, [Span(n, span_id=1, start=at, **more) for n, at in enumerate(starts, 1)])
    learn(store, [LearnedTrace(n, start=at) for n, at in enumerate(starts, 1)])


@pytest.mark.parametrize(
    ("query", "said"),
    [
        (TraceQuery(NOW, attributes=(("order", "7"),)), {"attributes": {"order": "7"}}),
        (TraceQuery(NOW, error="timed OUT"), {"status_message": "Read timed out"}),
    ],
)
def test_the_newest_that_has_an_attribute_or_an_error_is_found_days_before(
    store: Store, reader: Reader, query: TraceQuery, said: dict[str, Any]
) -> None:
    traces_of(store, NOON - 3 * DAY_NS, NOON - 2 * DAY_NS, **said)

    assert reader.newest_alike(query, NEVER_S) == NOON - 2 * DAY_NS
    assert reader.newest_alike(TraceQuery(NOW, attributes=(("order", "8"),)), NEVER_S) is None


def test_what_came_after_the_range_is_newer_than_what_came_before_it(store: Store, reader: Reader) -> None:
    later = NOW.end_unix_nano + MINUTE_NS
    traces_of(store, NOON - MINUTE_NS, later, attributes={"order": "7"})

    assert reader.newest_alike(TraceQuery(NOW, attributes=(("order", "7"),)), NEVER_S) == later


def test_a_range_behind_all_traces_is_looked_through_from_the_newest(store: Store, reader: Reader) -> None:
    traces_of(store, NOON - 20 * DAY_NS, attributes={"order": "7"})

    assert reader.newest_alike(TraceQuery(NOW, attributes=(("order", "7"),)), NEVER_S) == NOON - 20 * DAY_NS


def test_without_time_nothing_is_said(store: Store, reader: Reader) -> None:
    traces_of(store, NOON - MINUTE_NS, attributes={"order": "7"})

    assert reader.newest_alike(TraceQuery(NOW, attributes=(("order", "7"),)), budget_s=0.0) is None


class Another:
    """A client that is asked one thing and answers another."""

    def __init__(self, client: Client, sql: str) -> None:
        self._client, self._sql = client, sql

    def query(self, sql: str, parameters: Mapping[str, object]) -> object:
        return self._client.query(self._sql)


def test_an_engine_that_takes_too_long_is_not_waited_for_and_other_errors_are_told(store: Store) -> None:
    query = TraceQuery(NOW, error="x")
    too_long = "SELECT sleepEachRow(0.01) FROM numbers(1000) SETTINGS max_block_size = 1, max_execution_time = 0.05"
    with store.client() as client:
        assert newest_alike(Another(client, too_long), CallPaths(), query, NOON) is None  # type: ignore[arg-type]

        with pytest.raises(DatabaseError):
            newest_alike(Another(client, "SELECT nothing"), CallPaths(), query, NOON)  # type: ignore[arg-type]
