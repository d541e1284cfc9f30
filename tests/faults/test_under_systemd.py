"""What docs/how-to/deploy.md tells of the unit; boots a systemd of its own, which only root may."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults import under_systemd

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="booting a systemd needs root"),
    pytest.mark.skipif(shutil.which("systemctl") is None, reason="systemd is not installed"),
]
BOOT = """
import pathlib, sys
from tests.faults.under_systemd import booted
with booted(pathlib.Path(sys.argv[1])) as systemd:
    print(systemd.pid, flush=True)
    sys.stdin.read()
"""


def test_the_unit_starts_comes_back_and_stops_under_systemd() -> None:
    assert under_systemd.main() == 0


def test_systemd_goes_with_a_process_that_is_killed(tmp_path: Path) -> None:
    boot = [sys.executable, "-c", BOOT, str(tmp_path)]
    with subprocess.Popen(boot, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        systemd = Path("/proc", process.stdout.readline().strip())
        was_there = (systemd / "root/opt/units").is_dir()

        process.kill()

    assert was_there
    assert under_systemd.waited(lambda: not systemd.exists())
