"""The engine's words become those of whoever has to do something about it."""

import errno

import pytest

from collector.store.trouble import explain, reason


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "is full"),
        (
            Exception("Code: 243. DB::Exception: Cannot reserve 1.00 MiB, not enough space. (NOT_ENOUGH_SPACE)"),
            "is full",
        ),
        (OSError(errno.EROFS, "Read-only file system"), "is read-only"),
        (Exception("Code: 481. Cannot open file: , errno: 30, strerror: Read-only file system"), "is read-only"),
        (Exception("HTTPConnectionPool: Max retries exceeded with url: /"), "does not answer: clickhouse://db/cpdd"),
        (
            Exception(
                "Max retries exceeded with url: /?a=1 (Caused by NewConnectionError('[Errno 111] Connection refused'))"
            ),
            "does not answer: clickhouse://db/cpdd: [Errno 111] Connection refused",
        ),
        (Exception("Code: 1.\nsomething\n  else"), "Code: 1. something else"),
    ],
)
def test_causes_are_named(error: Exception, said: str) -> None:
    explained = explain(error, "clickhouse://db/cpdd")

    assert said in explained
    assert "\n" not in explained


def test_who_names_the_store_anyway_gets_the_bare_cause() -> None:
    away = Exception(
        "Max retries exceeded with url: / (Caused by NameResolutionError('[Errno -2] Name or service not known'))"
    )

    assert reason(away, "clickhouse://db/cpdd") == "[Errno -2] Name or service not known"


def test_a_hint_is_no_part_of_the_cause() -> None:
    refused = Exception("store unreachable: clickhouse://db/cpdd: [Errno 111] Connection refused\nhint: is it up?")

    assert reason(refused, "the store") == "[Errno 111] Connection refused"
