"""Two seconds of what docs/records/store-away.md tells of five minutes."""

from pathlib import Path

from tests.faults import store_away


def test_a_store_that_was_killed_and_comes_back_loses_nothing(tmp_path: Path) -> None:
    assert store_away.check(tmp_path, 2, "--trace-quiet-s", "0.2", "--trace-settle-s", "1") == 0
