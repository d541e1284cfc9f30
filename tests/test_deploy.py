"""The unit for systemd: what it says holds, for systemd and for the command that it starts."""

import shlex
import shutil
import subprocess
from configparser import RawConfigParser
from pathlib import Path

import pytest
from click.testing import CliRunner

from cpdd.cli.serve import command
from tests.serving import server_process

UNIT = Path(__file__).parents[1] / "deploy" / "cpdd.service"
MOST_EXPOSED = 15
"""Of 100; what is left is the network, which it is for, and memory that is written and run, which Numba needs."""


@pytest.fixture
def unit() -> RawConfigParser:
    parser = RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNIT)
    return parser


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_understands_every_line(tmp_path: Path, unit: RawConfigParser) -> None:
    program = shlex.split(unit["Service"]["ExecStart"])[0]
    here = tmp_path / "cpdd.service"
    here.write_text(UNIT.read_text().replace(program, "/bin/true"))

    said = subprocess.run(["systemd-analyze", "verify", "--man=no", str(here)], capture_output=True, text=True)

    assert [line for line in said.stderr.splitlines() if "cpdd.service" in line] == []


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_the_service_may_do_little(tmp_path: Path) -> None:
    audit = ["systemd-analyze", "security", "--offline=true", "--no-pager", f"--threshold={MOST_EXPOSED}", str(UNIT)]

    said = subprocess.run(audit, capture_output=True, text=True)

    assert "exposure level for cpdd.service" in said.stdout
    assert said.returncode == 0, said.stdout


def test_the_command_knows_every_flag_of_it(unit: RawConfigParser) -> None:
    program, verb, *flags = shlex.split(unit["Service"]["ExecStart"])
    help_text = CliRunner().invoke(command, ["--help"]).output

    assert (Path(program).name, verb) == ("cpdd", "serve")
    assert all(flag in help_text for flag in flags if flag.startswith("--"))


def test_an_abort_counts_as_a_failure_and_the_next_start_goes_on(tmp_path: Path, unit: RawConfigParser) -> None:
    with server_process(tmp_path) as server:
        server.process.send_signal(6)  # SIGABRT, as the engine's own abort
        code = server.process.wait(120)
    with server_process(tmp_path) as again:
        ended = again.stop()

    assert code != 0
    assert unit["Service"]["Restart"] == "on-failure"
    assert unit["Unit"]["StartLimitIntervalSec"] == "0"
    assert ended == 0
