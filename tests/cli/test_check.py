"""`cpdd check` as a person and as CI run it."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cpdd.cli import cli

KEPT = '[journey."buy"]\nnever_on_path = ["ad"]\n'
BROKEN = '[journey."buy"]\nnever_on_path = ["pay"]\n'
UNDECIDED = '[journey."sell"]\nno_errors = true\n'


def span(number: int, service: str, name: str, start: int, end: int, parent: int = 0) -> dict[str, object]:
    attributes = [{"key": "cpdd.journey", "value": {"stringValue": "buy"}}]
    made = {"traceId": "a" * 32, "spanId": f"{number:016x}", "name": name, "kind": 2, "attributes": attributes}
    made |= {"startTimeUnixNano": str(10**18 + start), "endTimeUnixNano": str(10**18 + end)}
    return made | ({"parentSpanId": f"{parent:016x}"} if parent else {}), service  # type: ignore[return-value]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with traces of one request."""
    monkeypatch.chdir(tmp_path)
    spans = [
        span(1, "shop", "POST /buy", 0, 100_000_000),
        span(2, "pay", "charge \x1b[31m\x00", 20_000_000, 60_000_000, 1),
        span(3, "ad", "show", 20_000_000, 30_000_000, 1),
    ]
    resources = [
        {
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]},
            "scopeSpans": [{"spans": [made]}],
        }
        for made, service in spans
    ]
    (tmp_path / "traces.json").write_text(json.dumps({"resourceSpans": resources}))
    return tmp_path


def run(place: Path, contract: str, *args: str) -> Result:
    (place / "contract.toml").write_text(contract)
    arguments = ["check", "contract.toml", "traces.json", *args]
    return CliRunner().invoke(cli, arguments, env={"COLUMNS": "90", "NO_COLOR": "1"})


def test_a_contract_that_is_kept_is_a_line_a_rule(place):
    found = run(place, KEPT)

    assert found.exit_code == 0
    assert found.stdout.splitlines() == [
        "buy",
        "  kept             ad is never on the critical path: 1 call in 1 trace, none on it",
        "",
        "contract.toml: 1 rule kept",
    ]


def test_a_broken_rule_shows_the_trace_with_what_broke_marked(place):
    found = run(place, BROKEN)

    lines = found.stdout.splitlines()
    assert found.exit_code == 1
    assert lines[1] == "  broken           pay is never on the critical path: on it in 1 of 1 trace, for up to"
    assert lines[2].strip() == "40\u00a0ms"
    assert [line for line in lines if "▶ pay charge" in line and "━━" in line]
    assert any("▶ what broke" in line for line in lines)
    assert lines[-1] == "contract.toml: 1 of 1 rule broken (0 kept)"
    assert max(map(len, lines)) <= 90
    assert "\x1b" not in found.stdout


@pytest.mark.parametrize(("option", "code"), [([], 1), (["--undecided", "pass"], 0), (["--undecided", "fail"], 1)])
def test_not_enough_data_is_an_outcome_of_its_own(place, option, code):
    found = run(place, KEPT + UNDECIDED, *option)

    assert found.exit_code == code
    assert "not enough data  no trace fails: no trace of this journey" in found.stdout
    assert "1 of 2 rules kept, not enough data for 1" in found.stdout


@pytest.mark.parametrize(
    ("contract", "said"),
    [
        ("[journey.x]\nnever = 1", "unknown key 'never'"),
        ('[journey.x]\nno_new_mandatory = { baseline = "main.json", by = "declared" }', "baseline main.json"),
    ],
)
def test_what_cannot_be_checked_is_no_broken_contract(place, contract, said):
    found = run(place, contract)

    assert found.exit_code == 2
    assert said in found.stderr
    assert found.stdout == ""


@pytest.mark.parametrize("arguments", [["check"], ["check", "gone.toml", "traces.json"], ["check", "c.toml", "gone"]])
def test_missing_files_are_no_broken_contract(place, arguments):
    (place / "c.toml").write_text(KEPT)

    found = CliRunner().invoke(cli, arguments)

    assert found.exit_code == 2


def test_a_baseline_lies_beside_its_contract(place):
    (place / "contracts").mkdir()
    rule = 'no_new_mandatory = { baseline = "main.json", by = "observed" }'
    (place / "contracts/buy.toml").write_text(f'[journey."buy"]\n{rule}')
    (place / "contracts/main.json").write_text(CliRunner().invoke(cli, ["graph", "--json", "traces.json"]).stdout)

    found = CliRunner().invoke(cli, ["check", "contracts/buy.toml", "traces.json"])

    assert (found.exit_code, "there is none" in " ".join(found.stdout.split())) == (0, True)


def test_programs_get_every_rule_with_its_facts(place):
    found = json.loads(run(place, BROKEN + UNDECIDED, "--json").stdout)

    broken, undecided = found["rules"]
    assert {name: found[name] for name in ("good", "kept", "broken", "undecided")} == {
        "good": False,
        "kept": 0,
        "broken": 1,
        "undecided": 1,
    }
    assert (broken["outcome"], broken["facts"]["found_ns"], broken["trace_id"]) == ("broken", 40_000_000, "a" * 32)
    assert broken["span_ids"] == ["0000000000000002"]
    assert (undecided["outcome"], undecided["trace_id"]) == ("undecided", None)


def test_ci_gets_a_test_case_for_each_rule(place):
    run(place, BROKEN + KEPT.replace("buy", "*") + UNDECIDED, "--junit", "report.xml", "--undecided", "pass")

    suite = ET.parse(place / "report.xml").getroot()[0]
    assert {key: suite.get(key) for key in ("tests", "failures", "skipped")} == {
        "tests": "3",
        "failures": "1",
        "skipped": "1",
    }
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert "▶ pay charge" in (failure.text or "")


def test_a_report_that_cannot_be_written_says_where(place):
    found = run(place, KEPT, "--junit", "nowhere/report.xml")

    assert found.exit_code == 2
    assert "nowhere/report.xml" in found.stderr
