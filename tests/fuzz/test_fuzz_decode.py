"""The fuzz target for a moment: with fixed random numbers, and as the program that runs for minutes."""

import random
import subprocess
import sys

import pytest

from collector.core import kernels
from tests.fuzz.fuzz_decode import fuzz, seed_bodies


def test_mutated_requests_decode_like_the_reference() -> None:
    kernels.load("decode", work=kernels.PLAIN_LIMIT + 1)

    report = fuzz(seed_bodies(), random.Random(20), lambda executions: executions < 1_500)

    assert report.findings == []
    assert min(report.answers[kind] for kind in ("accepted", "some rejected", "all rejected", "malformed")) > 20


@pytest.mark.slow
def test_fuzz_target_runs_with_bounds_checking_on() -> None:
    command = [sys.executable, "-m", "tests.fuzz.fuzz_decode", "--seconds", "5", "--seed", "3"]

    ran = subprocess.run(command, capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "bounds checking on" in ran.stdout
    assert "0 findings" in ran.stdout
