"""Each receiver under mutated requests for a moment, with fixed random numbers; and for a minute where time allows."""

import asyncio
import random
import subprocess
import sys

import pytest

from tests.fuzz.receivers import fuzz, targets

EXECUTIONS = {"otlp-protobuf": 300, "otlp-json": 400, "zipkin": 300, "gzip": 100, "control": 500, "query": 25} | {
    "otlp-grpc": 200
}
OFTEN = {"zipkin": {202, 400}, "gzip": {200, 400, 413}}
"""Statuses that must occur, where they are not 200 and 400: not everything may be refused at the door."""


def test_every_target_is_tried() -> None:
    assert EXECUTIONS.keys() == targets().keys()


@pytest.mark.parametrize("name", EXECUTIONS)
def test_mutated_requests_are_answered_in_the_protocol(name: str) -> None:
    report = asyncio.run(fuzz(targets()[name], random.Random(8), lambda executions: executions < EXECUTIONS[name]))

    assert report.findings == []
    assert OFTEN.get(name, {200, 400}) <= {status for status, times in report.answers.items() if times > 1}


@pytest.mark.slow
@pytest.mark.parametrize("name", EXECUTIONS)
def test_a_minute_finds_nothing(name: str) -> None:
    command = [sys.executable, "-m", "tests.fuzz.receivers", "--target", name, "--seconds", "60"]

    ran = subprocess.run(command, capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "0 findings" in ran.stdout
