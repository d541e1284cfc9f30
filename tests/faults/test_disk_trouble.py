"""What docs/records/disk-trouble.md tells; mounts a disk of its own, which only root may."""

import os

import pytest

from tests.faults import disk_trouble


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_disk_that_is_full_or_read_only_loses_nothing_and_is_named() -> None:
    assert disk_trouble.main() == 0
