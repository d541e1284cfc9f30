"""A short run of what docs/records/supervised.md tells."""

from pathlib import Path

import pytest

from tests.faults import supervised


@pytest.mark.slow
def test_the_engine_aborts_and_its_supervisor_starts_it_again(tmp_path: Path) -> None:
    assert supervised.check(tmp_path, 1, "--trace-quiet-s", "0.2", "--trace-settle-s", "1") == 0
