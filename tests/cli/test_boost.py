"""`cpdd boost` and `cpdd sampling` against a sampling port."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from collector.core.findings.model import JourneySeen
from collector.core.sampling.roots import Root
from cpdd.cli import cli
from tests.control.control_server import ControlServer, KnownRoots, control_server
from tests.core.findings.looks import edge
from tests.cpdd.sampling.policies import policy

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def server() -> Iterator[ControlServer]:
    roots = KnownRoots({("stock", "reserve", ""): [Root("shop", "POST /buy")]})
    with control_server(roots=roots) as server:
        yield server


@pytest.fixture
def run(server: ControlServer) -> Run:
    return runner(server)


def runner(server: ControlServer) -> Run:
    def run(*words: str, text: str = "") -> Result:
        where = ["--sampling", server.address] if words[-1] != "--help" else []
        return CliRunner().invoke(cli, [*words, *where], input=text)

    return run


def test_a_boost_says_what_it_does_until_when_and_how_to_end_it(run: Run):
    result = run(
        "boost", "shop", "--op", "POST /pay", "--to", "50%", "--for", "90s", "--max-traces", "9", "--id", "inc"
    )

    first, *rest = result.output.splitlines()
    assert result.exit_code == 0
    assert first.startswith("inc: 50 % until ")
    assert first.endswith("(1 m 30 s), at most 9 traces more")
    assert rest[0].split() == ["shop", "POST", "/pay"]
    assert rest[-1] == "end it early: cpdd boost --end inc"


def test_a_boost_of_an_inner_operation_names_its_roots(run: Run):
    result = run("boost", "stock", "--op", "reserve", "--for", "5s")

    assert "by the root operations that reach it:" in result.output
    assert "shop  POST /buy" in result.output


def test_what_the_critical_path_asks_for_is_listed_with_its_cost_and_accepted():
    tips = edge("shop/GET /", "tips/get", more_failures=9, failed=1e5)
    count = {"name": "GET /", "rule": "", "seen": 100, "kept": 1}
    report = {"service": "shop", "instance": "a", "interval_s": 1.0, "operations": [count]}
    with control_server(seen=[JourneySeen("check out", 10**6, (tips,), weight=1e7)]) as server:
        server.ask("POST", "/v1/status", report)
        run = runner(server)

        first, roots, cost, known, next_step = run("boost", "--proposed").output.splitlines()
        (listed,) = map(json.loads, run("boost", "--proposed", "--json").output.splitlines())
        accepted = run(*next_step.split()[1:])
        left = run("boost", "--proposed").output

    assert first == f"{listed['id']}  {listed['why']}"
    assert roots.startswith("    shop GET /: 1 % to ")
    assert cost.startswith(f"    costs {listed['max_traces']} traces, {20 * listed['max_traces']} spans (")
    assert known == "    known in about 5 min, without it in 15 min"
    assert accepted.output.startswith(f"{listed['id']}: ")
    assert left.startswith("nothing is proposed")


def test_a_boost_is_extended_repeated_and_ended(run: Run):
    run("boost", "shop", "--id", "again")

    extended = json.loads(run("boost", "--extend", "again", "--for", "10m", "--json").output)
    repeated = json.loads(run("boost", "--repeat", "again", "--json").output)
    ended = run("boost", "--end", "again", "--reason", "seen enough")

    assert extended["id"] == "again"
    assert repeated["id"].startswith("again~")
    assert "again has ended" in ended.output
    assert "seen enough" in run("sampling", "log").output


@pytest.mark.parametrize(
    "words",
    [
        ("boost",),
        ("boost", "shop", "--end", "x"),
        ("boost", "shop", "--to", "150%"),
        ("boost", "shop", "--to", "much"),
        ("boost", "shop", "--for", "soon"),
        ("boost", "shop", "--attribute", "novalue"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(run: Run, words: tuple[str, ...]):
    assert run(*words).exit_code == 2


def test_a_refusal_of_the_server_is_told_with_its_field(run: Run):
    result = run("boost", "shop", "--for", "9h")

    assert "duration_s" in str(result.exception)


def test_a_server_that_is_not_there_is_told_with_the_next_step():
    result = CliRunner().invoke(cli, ["sampling", "show", "--sampling", "http://127.0.0.1:9"])

    assert "cpdd serve" in str(result.exception)


def test_policies_are_set_from_a_file_shown_and_deleted(run: Run, tmp_path: Path):
    path = tmp_path / "policies.json"
    adaptive = policy("b", kind="adaptive", traces_per_second=5)
    path.write_text(json.dumps({"policies": [policy("base", 10, service="shop"), adaptive]}))

    put = run("sampling", "set", str(path), "--replace", "--reason", "less")
    shown = run("sampling", "show")
    document = run("sampling", "show", "--policies")
    again = run("sampling", "set", "-", text=document.output)
    run("sampling", "delete", "b")

    assert put.output.startswith("in force as version ")
    assert "base  keeps 10 %" in shown.output
    assert "5 traces/s, fairly shared by operations  every service" in shown.output
    assert again.exit_code == 0
    assert [p["id"] for p in json.loads(run("sampling", "show", "--policies").output)["policies"]] == ["base"]


def test_a_share_or_a_rate_is_kept_by_one_line_and_taken_back_by_another(run: Run):
    share = run("sampling", "keep", "shop", "--op", "GET /", "--to", "12.5%", "--reason", "less")
    rate = run("sampling", "keep", "--to", "30/min", "--id", "all")
    odd = run("sampling", "keep", "shop", "--to", "5 apples")
    kept = {p["id"]: p for p in json.loads(run("sampling", "show", "--policies").output)["policies"]}
    gone = run("sampling", "delete", "keep shop GET /")

    assert share.output.splitlines()[0].startswith(
        "'keep shop GET /': keeps 12.5 % of shop, GET /, in force as version "
    )
    assert share.output.splitlines()[1] == "take it back: cpdd sampling delete 'keep shop GET /'"
    assert rate.output.startswith("'all': budget of 0.5 traces/s of every service")
    assert kept["keep shop GET /"]["trace"]["keep"] == {"percentage": 12.5}
    assert kept["all"]["cpdd"]["traces_per_second"] == 0.5
    assert odd.exit_code == 2
    assert gone.exit_code == 0, gone.output
    run("sampling", "delete", "all")


def test_an_operation_that_nobody_has_heard_of_is_doubted(run: Run):
    result = run("boost", "stock", "--op", "reserv", "--for", "5s")

    assert "is the name right? stock has not been seen to have 'reserv'; it has 'reserve'" in result.output


def test_a_strategies_file_of_jaeger_is_taken_and_given_back(run: Run):
    file = {
        "default_strategy": {"type": "probabilistic", "param": 0.5},
        "service_strategies": [
            {
                "service": "foo",
                "type": "probabilistic",
                "param": 0.8,
                "operation_strategies": [{"operation": "op1", "type": "probabilistic", "param": 0.2}],
            }
        ],
    }

    put = run("sampling", "set", "-", "--jaeger", "--replace", text=json.dumps(file))
    shown = json.loads(run("sampling", "show", "--jaeger").output)

    assert put.exit_code == 0, put.output
    assert shown == file


def test_a_strategies_file_that_cannot_be_read_names_the_field(run: Run):
    odd = {"service_strategies": [{"service": "foo", "type": "lower", "param": 1}]}

    result = run("sampling", "set", "-", "--jaeger", text=json.dumps(odd))

    assert "service_strategies[0].type" in str(result.exception)
