"""`cpdd graph` as a person and as a program runs it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cpdd.cli import cli

DATA = Path(__file__).parents[2] / "../shared/data"


def run(*args: str) -> Result:
    return CliRunner().invoke(cli, ["graph", *args], env={"COLUMNS": "110", "NO_COLOR": "1"})


@pytest.fixture(scope="module")
def hotrod() -> str:
    path = DATA / "otlp/hotrod.otlp.pb.gz"
    if not path.exists():
        pytest.skip("../shared/data is not beside this checkout")
    return str(path)


def test_people_get_a_tree_of_calls_by_journey(hotrod):
    result = run(hotrod)

    lines = result.stdout.splitlines()
    assert result.exit_code == 0
    assert lines[0] == "frontend: HTTP GET /dispatch"
    assert any(line.startswith("    mysql / SQL SELECT") and "38.1 %" in line for line in lines)
    assert max(map(len, lines)) <= 110


def test_programs_get_nodes_and_edges_that_name_each_other(hotrod):
    graph = json.loads(run(hotrod, "--json").stdout)

    ids = {node["id"] for node in graph["nodes"]}
    assert graph["edges"]
    assert {end for edge in graph["edges"] for end in (edge["caller"], edge["callee"])} <= ids


@pytest.mark.parametrize(("form", "start"), [("dot", "digraph"), ("mermaid", "flowchart"), ("graphml", "<?xml")])
def test_other_programs_get_their_own_form(hotrod, form, start):
    assert run(hotrod, "--format", form).stdout.startswith(start)


@pytest.mark.parametrize("path", sorted(p.name for p in (DATA / "otlp").glob("*")) if DATA.exists() else [])
def test_every_file_of_real_traces_gives_a_graph(path):
    result = run(str(DATA / "otlp" / path), "--json")

    assert result.exit_code == 0
    assert json.loads(result.stdout)["edges"]


def test_a_retry_is_shown_as_an_attempt_of_its_call(hotrod):
    (line,) = [line for line in run(hotrod).stdout.splitlines() if "GetDriver" in line]

    assert " in " in line.split("GetDriver")[1]


def test_services_can_be_the_nodes(hotrod):
    graph = json.loads(run(hotrod, "--level", "service", "--json").stdout)

    assert {node["id"] for node in graph["nodes"]} == {"customer", "driver", "frontend", "mysql", "redis", "route"}
    assert {node["kind"] for node in graph["nodes"]} == {"service"}


@pytest.fixture(scope="module")
def declared(tmp_path_factory) -> str:
    """A call declared mandatory and one declared optional, neither of which ever failed."""
    path = tmp_path_factory.mktemp("graph") / "declared.json"
    spans = [
        _span(1, 0, "buy", 2, {}),
        _span(2, 1, "POST", 3, {"cpdd.call.requirement": "mandatory", "peer.service": "bank"}),
        _span(3, 1, "GET", 3, {"cpdd.call.requirement": "optional", "peer.service": "tips"}),
    ]
    service = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
    path.write_text(json.dumps({"resourceSpans": [{"resource": service, "scopeSpans": [{"spans": spans}]}]}))
    return str(path)


def _span(number: int, parent: int, name: str, kind: int, attributes: dict[str, str]) -> dict[str, object]:
    return {
        "traceId": "1" * 32,
        "spanId": f"{number:016x}",
        "parentSpanId": f"{parent:016x}" if parent else "",
        "name": name,
        "kind": kind,
        "startTimeUnixNano": number * 1_000,
        "endTimeUnixNano": 100_000 // number,
        "status": {"code": 1},
        "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()],
    }


def test_only_what_a_journey_cannot_do_without_is_shown_on_request(declared):
    graph = json.loads(run(declared, "--mandatory", "--json").stdout)

    assert [edge["callee"] for edge in graph["edges"]] == ["bank (external)"]
    assert {node["id"] for node in graph["nodes"]} == {"shop / buy", "bank (external)"}


def test_people_and_programs_are_told_what_a_journey_needs(declared):
    assert "cannot do without bank (external)" in run(declared).stdout.splitlines()
    assert json.loads(run(declared, "--json").stdout)["journeys"] == [
        {
            "journey": "shop: buy",
            "mandatory": ["bank (external)", "shop / buy"],
            "undetermined": [],
            "optional": ["tips (external)"],
            "misdeclared": [],
            "disagreements": [],
        }
    ]


def test_a_declared_fallback_and_group_are_known_of_their_edge(tmp_path):
    path = tmp_path / "fallback.json"
    said = {"cpdd.call.requirement": "optional", "cpdd.call.fallback": "cache", "cpdd.call.group": "mirrors"}
    spans = [_span(1, 0, "buy", 2, {}), _span(2, 1, "tips", 1, said)]
    service = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
    path.write_text(json.dumps({"resourceSpans": [{"resource": service, "scopeSpans": [{"spans": spans}]}]}))

    (edge,) = json.loads(run(str(path), "--json").stdout)["edges"]

    assert edge["requirement"]["declared_fallback"] == "cache"
    assert (edge["requirement"]["declared_group"], edge["requirement"]["declared_quorum"]) == ("mirrors", 1)
    assert "?, else an older answer, any 1 of mirrors (declared optional)" in run(str(path)).stdout


def test_what_is_declared_around_a_call_is_said_of_it(tmp_path):
    path = tmp_path / "around.json"
    spans = [
        _span(1, 0, "buy", 2, {}),
        _span(2, 1, "charge", 1, {"cpdd.call.requirement": "mandatory"}),
        _span(3, 2, "POST", 3, {"peer.service": "bank"}),
    ]
    service = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
    path.write_text(json.dumps({"resourceSpans": [{"resource": service, "scopeSpans": [{"spans": spans}]}]}))

    (line,) = [line for line in run(str(path)).stdout.splitlines() if "bank" in line and "declared" in line]

    assert "? (declared mandatory around it)" in line


def test_where_nothing_is_known_to_be_mandatory_it_is_said(hotrod):
    result = run(hotrod, "--mandatory")

    assert (result.exit_code, result.stdout) == (0, "")
    assert "no call is known to be mandatory" in result.stderr


def shown(name: str) -> str:
    path = DATA / "otlp" / name
    if not path.exists():
        pytest.skip("../shared/data is not beside this checkout")
    return run(str(path)).stdout


def test_a_database_that_says_so_in_an_older_way_is_one():
    lines = shown("opensearch-orders-1.otlp.pb.gz")

    assert "sql / APM (database)" in lines
    assert "(external)" not in lines


def test_a_broker_is_a_queue_between_those_who_send_and_those_who_take():
    lines = shown("zipkin-small.otlp.pb.gz")

    assert "kafka (queue)" in lines
    assert "rabbitmq (queue)" in lines


def test_without_any_status_it_says_that_nobody_can_tell():
    assert "no status recorded: nobody can say what is mandatory" in shown("nezha-tt-base.otlp.pb.gz")
