"""`cpdd diff` on recordings with a known fault, as a person and as a program runs it."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from collector.core.population import Population, compare, population_of
from collector.receive.files import read_spans
from cpdd.cli import cli

DATA = Path(__file__).parents[2] / "../shared/data/otlp"


def recording(name: str) -> str:
    path = DATA / f"{name}.otlp.pb.gz"
    if not path.exists():
        pytest.skip("../shared/data is not beside this checkout")
    return str(path)


def run(*args: str) -> Result:
    return CliRunner().invoke(cli, ["diff", *args], env={"COLUMNS": "110", "NO_COLOR": "1"})


def diff(a: str, b: str) -> dict:
    result = run(recording(a), recording(b), "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_slow_network_is_the_gap_of_the_edges_into_the_service():
    found = diff("nezha-ob-base", "nezha-ob-cart-delay")

    first = found["changes"][0]
    assert (first["kind"], first["what"], first["callee"]["service"]) == ("edge", "gap", "cartservice")
    assert first["significant"]
    assert first["share_of_change"] > 0.8
    own = [change for change in found["changes"] if change["what"] == "self"]
    assert all(change["delta_ns"] < first["delta_ns"] for change in own)
    assert found["a"]["traces"] == 502
    assert found["b"]["traces"] == 948


def test_contention_in_a_service_is_its_own_time():
    first = diff("nezha-tt-base", "nezha-tt-contacts-cpu")["changes"][0]

    assert (first["kind"], first["what"], first["service"]) == ("operation", "self", "ts-contacts-service")


def test_exceptions_without_a_delay_raise_no_alarm_of_latency():
    found = diff("nezha-tt-base", "nezha-tt-route-exception")

    assert not found["significant"]
    assert not any(change["significant"] for change in found["changes"])


@pytest.fixture(scope="module")
def base() -> Population:
    return population_of(read_spans(recording("nezha-ob-base")).batch)


def test_twenty_random_halvings_give_at_most_one_significant_change(base: Population):
    random = np.random.default_rng(20)
    significant = 0
    for _ in range(20):
        half = np.zeros(len(base), bool)
        half[random.permutation(len(base))[: len(base) // 2]] = True
        difference = compare(base.select(half), base.select(~half))
        significant += sum(change.figures.significant for change in difference.changes)

    assert significant <= 1


def test_people_read_the_answer_first():
    lines = run(recording("nezha-ob-base"), recording("nezha-ob-cart-delay")).stdout.splitlines()

    answer = " ".join(lines[: lines.index("")]).replace("\u00a0", " ")
    assert answer.startswith("nezha-ob-cart-delay is 217 ms slower than nezha-ob-base (mean 219 ms → 437 ms)")
    assert "the way into cartservice takes 55 times as long" in answer
    table = lines.index("what changed, per trace")
    assert lines[table + 2].startswith("way into cartservice")
    assert max(map(len, lines)) <= 110


def test_nothing_changed_is_said_in_one_sentence():
    path = recording("nezha-ob-base")

    lines = run(path, path).stdout.splitlines()

    assert lines[0].startswith("Nothing changed that could not be chance")
    assert "what changed, per trace" not in lines


def test_a_journey_that_is_not_there_is_named_with_those_that_are():
    path = recording("nezha-ob-base")

    result = run("--journey", "shop: buy", path, path)

    assert result.exit_code == 1
    assert "no journey 'shop: buy'" in str(result.exception)
    assert "frontend: hipstershop.Frontend/Recv." in str(result.exception)


def test_a_file_without_spans_is_a_failure(tmp_path: Path):
    empty = tmp_path / "empty.json"
    empty.write_text('{"resourceSpans": []}')

    result = run(str(empty), str(empty))

    assert result.exit_code == 1
    assert "no spans" in str(result.exception)


# Selections of a file


@pytest.fixture
def releases(tmp_path: Path) -> str:
    """Ten traces of release 1 from 10:00 on, ten slower ones of release 2 from 11:00 on."""
    begin = 1_772_445_600_000_000_000  # 2026-03-02T10:00:00Z
    resources = []
    for release in (1, 2):
        spans = [
            {
                "traceId": f"{release}{n:031x}",
                "spanId": f"{n + 1:016x}",
                "name": "buy",
                "startTimeUnixNano": str(begin + (release - 1) * 3_600_000_000_000 + n * 1_000_000_000),
                "endTimeUnixNano": str(
                    begin + (release - 1) * 3_600_000_000_000 + n * 1_000_000_000 + release * 10_000_000 + n
                ),
                "attributes": [{"key": "first", "value": {"boolValue": n == 0}}],
            }
            for n in range(10)
        ]
        attributes = [
            {"key": "service.name", "value": {"stringValue": "shop"}},
            {"key": "service.version", "value": {"stringValue": str(release)}},
        ]
        resources.append({"resource": {"attributes": attributes}, "scopeSpans": [{"spans": spans}]})
    path = tmp_path / "releases.json"
    path.write_text(json.dumps({"resourceSpans": resources}))
    return str(path)


@pytest.mark.parametrize(
    ("a", "b", "traces"),
    [
        ("service.version=1", "service.version=2", (10, 10)),
        ("..11:00", "11:00..", (10, 10)),
        ("2026-03-02T10:00:05Z..10:30", "10:59..12:00", (5, 10)),
        ("p0-50", "p50-90", (10, 8)),
        ("first=true", "first=false", (2, 18)),
    ],
)
def test_a_selection_of_a_file_is_a_population(releases: str, a: str, b: str, traces: tuple[int, int]):
    found = json.loads(run(f"{releases}@{a}", f"{releases}@{b}", "--json").stdout)

    assert (found["a"]["traces"], found["b"]["traces"]) == traces


def test_two_versions_of_a_service_are_told_apart(releases: str):
    lines = run(f"{releases}@service.version=1", f"{releases}@service.version=2").stdout.replace("\u00a0", " ")

    assert lines.startswith("releases@service.version=2 is 10 ms slower than releases@service.version=1")


@pytest.mark.parametrize(
    ("selection", "problem"),
    [("p98", "'p98' is no selection"), ("10..eleven", "'10..eleven'"), ("version=9", "none of 20 traces")],
)
def test_a_selection_that_is_none_says_what_there_could_be(releases: str, selection: str, problem: str):
    result = run(f"{releases}@{selection}", releases)

    assert result.exit_code == 1
    assert problem in str(result.exception) or "is no time" in str(result.exception)
    assert "hint: FILE@p99+" in str(result.exception)


def test_a_file_may_have_an_at_in_its_name(releases: str, tmp_path: Path):
    other = tmp_path / "releases@home.json"
    other.write_text(Path(releases).read_text())

    assert run(str(other), releases).exit_code == 0
