"""What docs/how-to/deploy.md tells of the unit; boots a systemd of its own, which only root may."""

import os
import shutil

import pytest

from tests.faults import under_systemd


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="booting a systemd needs root")
@pytest.mark.skipif(shutil.which("systemctl") is None, reason="systemd is not installed")
def test_the_unit_starts_comes_back_and_stops_under_systemd() -> None:
    assert under_systemd.main() == 0
