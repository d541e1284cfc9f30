"""Times on the path, summed by whatever is asked: against plain arithmetic."""

import numpy as np
import pytest

from collector.store.dictionaries import PathStep
from collector.store.path_times import PathTimes

KNOWN = {
    1: PathStep(0, "shop", "POST /buy", "server"),
    2: PathStep(1, "cart", "get", "server"),
    3: PathStep(1, "cart", "price", "server"),
}
ROWS = (
    # group, call path, time, weight, of the operation, of the service
    (0, 1, 100.0, 10.0, 10.0, 10.0),
    (0, 2, 30.0, 6.0, 6.0, 6.0),
    (0, 3, 20.0, 4.0, 4.0, 1.0),
    (1, 3, 5.0, 1.0, 1.0, 1.0),
    (1, 9, 7.0, 1.0, 1.0, 1.0),
)


@pytest.fixture
def times() -> PathTimes:
    group, path, *sums = (np.array(column) for column in zip(*ROWS, strict=True))
    return PathTimes(("buy", "browse"), group, path.astype(np.uint64), *sums)


def test_services_add_up_within_their_group_without_what_nobody_knows(times: PathTimes) -> None:
    assert times.by_service(KNOWN) == {
        "buy": [("cart", "", 50.0, 7.0), ("shop", "", 100.0, 10.0)],
        "browse": [("cart", "", 5.0, 1.0)],
    }


def test_groups_put_together_are_one(times: PathTimes) -> None:
    assert times.together("all").by_service(KNOWN) == {
        "all": [("cart", "", 55.0, 8.0), ("shop", "", 100.0, 10.0)],
    }


def test_call_paths_add_up_over_groups(times: PathTimes) -> None:
    assert times.by_path() == {
        1: (100.0, 10.0, 10.0),
        2: (30.0, 6.0, 6.0),
        3: (25.0, 5.0, 5.0),
        9: (7.0, 1.0, 1.0),
    }


def test_nothing_adds_up_to_nothing() -> None:
    none, empty = np.zeros(0, np.int64), np.zeros(0)
    times = PathTimes((), none, none, empty, empty, empty, empty)

    assert (times.by_service({}), times.by_service(KNOWN), times.by_path()) == ({}, {}, {})
