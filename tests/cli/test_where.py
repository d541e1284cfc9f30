"""`--where key=value` on the verbs that read many traces."""

import json

import orjson
import pytest
from click.testing import CliRunner, Result

from cpdd.cli import cli


def run(*args: str) -> Result:
    return CliRunner().invoke(cli, args, env={"COLUMNS": "110", "NO_COLOR": "1"})


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Eight traces of 5 us; those of tenant b take 9 us."""
    spans = [
        {
            "traceID": str(trace), "spanID": "1", "operationName": "GET /", "startTime": 10, "processID": "p",
            "duration": 9 if trace % 2 else 5, "tags": [tag("tenant", "ab"[trace % 2]), tag("half", str(trace // 5))],
        }
        for trace in range(1, 9)
    ]  # fmt: skip
    path = tmp_path_factory.mktemp("where") / "traces.json"
    path.write_bytes(orjson.dumps({"data": [{"spans": spans, "processes": {"p": {"serviceName": "shop"}}}]}))
    return str(path)


def tag(key: str, value: str) -> dict[str, str]:
    return {"key": key, "type": "string", "value": value}


def test_path_shows_the_traces_that_meet_every_condition(traces: str):
    result = run("path", traces, "--json", "--where", "tenant=b", "--where", "half=0")

    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [int(line["trace_id"], 16) for line in lines] == [1, 3]


@pytest.mark.parametrize(("tenant", "mean_ns"), [("a", 5_000), ("b", 9_000)])
def test_report_is_of_the_traces_that_meet_it(traces: str, tenant: str, mean_ns: int):
    value = json.loads(run("report", traces, "--json", "--where", f"tenant={tenant}").stdout)

    (journey,) = value["journeys"]
    assert (journey["traces"], journey["mean_ns"]) == (4, mean_ns)


def test_whatif_and_diff_take_it_too(traces: str):
    predicted = json.loads(run("whatif", traces, "--json", "--set", "shop=x0.5", "--where", "tenant=b").stdout)
    difference = json.loads(run("diff", traces, traces, "--json", "--where", "half=0").stdout)

    assert predicted["prediction"]["traces"] == 4
    assert (difference["a"]["traces"], difference["b"]["traces"]) == (4, 4)


def test_a_condition_that_no_trace_meets_is_named(traces: str):
    result = run("path", traces, "--where", "tenant=c", "--where", "half=0")

    assert result.exit_code == 1
    assert "no trace has tenant=c and half=0" in str(result.exception)


@pytest.mark.parametrize("text", ["tenant", "=b"])
def test_a_condition_needs_a_key_and_a_value(traces: str, text: str):
    result = run("report", traces, "--where", text)

    assert result.exit_code == 2
    assert "is no condition such as http.route=/pay" in result.stderr
