"""Two rounds of what docs/records/kill-nine.md tells of ten."""

from pathlib import Path

import pytest

from tests.faults import kill_nine


@pytest.mark.slow
def test_kill_nine_loses_nothing_and_counts_nothing_twice(tmp_path: Path):
    assert kill_nine.check(2, tmp_path) == 0
