"""A short run of what docs/records/clock-back.md tells."""

import shutil
from pathlib import Path

import pytest

from tests.faults import clock_back


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cc") is None, reason="cc is not installed")
def test_the_clock_of_a_running_collector_is_set_back_an_hour(tmp_path: Path) -> None:
    assert clock_back.check(tmp_path, "--trace-quiet-s", "0.2", "--trace-settle-s", "1") == 0
