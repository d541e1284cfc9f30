"""`cpdd whatif` as a person and as a program runs it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cpdd.cli import cli

DATA = Path(__file__).parents[2] / "../shared/data/otlp"


def run(*args: str) -> Result:
    return CliRunner().invoke(cli, ["whatif", *args], env={"COLUMNS": "110", "NO_COLOR": "1"})


@pytest.fixture(scope="module")
def hotrod() -> str:
    path = DATA / "hotrod.otlp.pb.gz"
    if not path.exists():
        pytest.skip("../shared/data is not beside this checkout")
    return str(path)


def test_people_get_a_ranking(hotrod: str):
    lines = run(hotrod).stdout.replace("\u00a0", " ").splitlines()

    assert lines[0].startswith("Make mysql/SQL SELECT faster first: at half its time the mean falls by 77.5 ms")
    assert lines[3].startswith("mysql/SQL SELECT")
    assert max(map(len, lines)) <= 110


def test_people_get_a_prediction(hotrod: str):
    lines = run(hotrod, "--set", "mysql/SQL SELECT=x0.5").stdout.replace("\u00a0", " ").splitlines()

    assert lines[0] == "mysql/SQL SELECT=x0.5 saves 77.5 ms on average, 19 % of 407 ms."
    assert lines[3].startswith("mean  407 ms  329 ms  −77.5 ms")


def test_programs_get_both(hotrod: str):
    value = json.loads(run(hotrod, "--set", "mysql=-100ms", "--json").stdout)

    mean = value["prediction"]["figures"][0]
    assert mean["name"] == "mean"
    assert mean["change_ns"] == pytest.approx(-50_000_000)
    assert mean["interval_ns"][0] < mean["change_ns"] < mean["interval_ns"][1]
    assert value["faster_first"][0]["service"] == "mysql"


def test_a_wish_that_cannot_be_read_fails_before_the_file_is_read(hotrod: str):
    result = run("missing.json", "--set", "mysql=faster")

    assert result.exit_code == 1
    assert "'faster' is no change" in str(result.exception)
