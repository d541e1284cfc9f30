"""What docs/records/disk-trouble.md tells of a disk that turns read-only; makes one, which only root may."""

import os
from pathlib import Path

import pytest

from tests.faults import dying_disk


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="making a disk needs root")
@pytest.mark.skipif(not Path("/sys/fs/ext4").exists(), reason="the kernel has no ext4")
def test_a_disk_that_turns_read_only_under_a_server_loses_nothing_and_is_named() -> None:
    assert dying_disk.main() == 0
