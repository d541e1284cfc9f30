"""Rounds of background work say what is wrong once, and when it is over."""

import logging
from pathlib import Path

import pytest
from clickhouse_connect.driver.exceptions import OperationalError

from collector.background import MAX_RETRY_S, OVER_S, Retry, Rounds
from collector.store.address import Address
from collector.store.engine import Store
from collector.store.lock import DirectoryLock

REFUSED = OperationalError("HTTPConnectionPool(host='db', port=8123): Max retries exceeded (Connection refused)")


class Clock:
    def __init__(self) -> None:
        self.at_s = 100.0

    def __call__(self) -> float:
        return self.at_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def rounds(tmp_path: Path, clock: Clock) -> Rounds:
    store = Store(Address("cpdd", None, "clickhouse://me:secret@db:8123"), DirectoryLock(tmp_path))
    return Rounds("analysis", store, clock)


def failed(rounds: Rounds, error: Exception) -> str:
    try:
        raise error
    except Exception as raised:
        return rounds.failed(raised, retry_s=1.0)


def test_a_store_that_is_away_is_told_once_and_its_return_too(
    rounds: Rounds, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    reasons = [failed(rounds, REFUSED) for _ in range(3)]
    clock.at_s += OVER_S
    rounds.succeeded()
    rounds.succeeded()

    said = [record.getMessage() for record in caplog.records]
    assert said == ["analysis waits for the store", "analysis goes on"]
    assert all(reason.startswith("the store does not answer: clickhouse://db:8123/cpdd") for reason in reasons)
    assert all(record.exc_info is None for record in caplog.records)


def test_rounds_that_succeed_now_and_then_are_no_end_of_trouble(
    rounds: Rounds, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(20):
        failed(rounds, REFUSED)
        clock.at_s += 1
        rounds.succeeded()
        clock.at_s += 1

    assert [record.getMessage() for record in caplog.records] == ["analysis waits for the store"]


def test_a_fault_of_ours_is_told_each_time_with_its_traceback(rounds: Rounds, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    for _ in range(2):
        failed(rounds, KeyError("Journey"))

    assert [record.getMessage() for record in caplog.records] == ["analysis failed, trying again"] * 2
    assert all(record.exc_info for record in caplog.records)


def test_one_failure_after_another_is_waited_for_longer_until_a_round_succeeds() -> None:
    retry = Retry(1.0)

    waits = [retry.failed() for _ in range(7)]
    retry.succeeded()

    assert waits == [1, 2, 4, 8, 16, MAX_RETRY_S, MAX_RETRY_S]
    assert retry.failed() == 1


def test_what_the_end_leaves_undone_is_told_in_a_line(rounds: Rounds, caplog: pytest.LogCaptureFixture) -> None:
    try:
        raise REFUSED
    except OperationalError as error:
        rounds.left("the last minutes were not recomputed", error)

    (record,) = caplog.records
    assert record.getMessage() == "the last minutes were not recomputed"
    assert not record.exc_info
    assert record.reason.endswith("clickhouse://db:8123/cpdd: " + str(REFUSED))  # type: ignore[attr-defined]
