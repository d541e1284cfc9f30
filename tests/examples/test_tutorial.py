"""docs/tutorial/first-journey.md, followed to the letter but for the ports."""

import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from examples.shop.run import free_ports
from tests.examples.conftest import draw
from tests.examples.sink import Sink, Span

TUTORIAL = Path(__file__).parents[2] / "docs/tutorial/first-journey.md"


@pytest.fixture
def programs(tmp_path: Path) -> dict[str, str]:
    """The programs of the page by name, on ports that are free."""
    kettle, first, second = re.findall(r"```python\n(# .*?)```", TUTORIAL.read_text(), re.DOTALL)
    ports = free_ports()
    before_the_second_function = first.partition('@app.get("/tea")')[0]
    texts = {"kettle": kettle, "tea": first, "tea declared": before_the_second_function + second}
    for number, name in (("5001", "shop"), ("5002", "cart")):
        texts = {key: text.replace(number, str(ports[name].port)) for key, text in texts.items()}
    return texts


@contextmanager
def running(source: str, sink: Sink, tmp_path: Path) -> Iterator[str]:
    """A program of the page as a process; the address it says that it serves."""
    (tmp_path / "program.py").write_text(source)
    environ = {key: value for key, value in os.environ.items() if not key.startswith("OTEL_")}
    environ |= {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint, "OTEL_BSP_SCHEDULE_DELAY": "100"}
    program = subprocess.Popen(
        [sys.executable, "program.py"], cwd=tmp_path, env=environ, stderr=subprocess.PIPE, text=True
    )
    try:
        assert program.stderr is not None
        yield next(found[1] for line in program.stderr if (found := re.search(r"Running on (http://\S+)", line)))
    finally:
        program.kill()
        program.communicate()


def visit(address: str) -> tuple[int, dict[str, object]]:
    try:
        with urllib.request.urlopen(f"{address}/tea", timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, {}


def traces(sink: Sink, count: int) -> list[str]:
    """The drawings of that many visits, when all of their spans have come."""

    def drawn() -> list[Span]:
        roots = [root for root in sink.roots() if root.service == "tea"]
        return [root for root in roots if root.find("kettle", "GET /honey") and root.find("kettle", "GET /water")]

    sink.wait_for(lambda: len(drawn()) == count)
    return [draw(root) for root in drawn()]


def test_at_first_every_other_visit_fails_for_want_of_honey(programs, tmp_path):
    with Sink() as sink, running(programs["kettle"], sink, tmp_path), running(programs["tea"], sink, tmp_path) as tea:
        visits = [visit(tea)[0] for _ in range(4)]
        seen = traces(sink, 4)

        assert visits == [200, 500, 200, 500]
        assert seen[1].splitlines() == [
            "tea SERVER GET /tea failed",
            "  tea CLIENT GET",
            "    kettle SERVER GET /water",
            "  tea CLIENT GET failed",
            "    kettle SERVER GET /honey failed",
        ]
        assert {span.attributes["cpdd.journey"] for span in sink.spans()} == {"have tea"}


def test_declared_optional_the_honey_may_fail_and_the_trace_says_so(programs, tmp_path):
    with (
        Sink() as sink,
        running(programs["kettle"], sink, tmp_path),
        running(programs["tea declared"], sink, tmp_path) as tea,
    ):
        visits = [visit(tea) for _ in range(2)]
        seen = traces(sink, 2)

    assert visits == [
        (200, {"water": {"degrees": 95}, "honey": {"spoons": 1}}),
        (200, {"water": {"degrees": 95}, "honey": {}}),
    ]
    assert seen[1].splitlines() == [
        "tea SERVER GET /tea",
        "  tea INTERNAL water [mandatory, ok]",
        "    tea CLIENT GET [mandatory]",
        "      kettle SERVER GET /water [cpdd=r:m]",
        "  tea INTERNAL honey [optional, fallback_used]",
        "    tea CLIENT GET [optional] failed",
        "      kettle SERVER GET /honey [cpdd=r:o] failed",
    ]
