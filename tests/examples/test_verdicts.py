"""The verdicts on the shop's calls are those of its table; `python -m tests.examples.check_verdicts` says more."""

import pytest

from examples.shop.directory import SERVICES
from tests.examples.check_verdicts import check, table


def test_the_table_of_the_truth_is_read_whole():
    rows = table()

    assert len(rows) == 19
    assert {row.callee for row in rows} < {service.name for service in SERVICES}
    assert {row.truth for row in rows} == {"mandatory", "optional"}


@pytest.mark.slow
def test_each_fault_gives_its_calls_the_right_verdict_within_two_minutes(tmp_path):
    assert check(tmp_path) == 0
