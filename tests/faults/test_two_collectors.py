"""A short run of what docs/records/two-collectors.md tells."""

from pathlib import Path

import pytest

from tests.faults import two_collectors


@pytest.mark.slow
@pytest.mark.parametrize("kill_second", [False, True], ids=["the first", "the second"])
def test_one_of_two_collectors_is_killed_and_the_other_takes_over(tmp_path: Path, kill_second: bool) -> None:
    assert two_collectors.check(tmp_path, 12, kill_second, "--trace-quiet-s", "0.2", "--trace-settle-s", "1") == 0
