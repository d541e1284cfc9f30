"""`cpdd report`: from files and from a running server, for people, programs and browsers."""

import json
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner, Result

from collector.core.findings.model import Finding
from collector.core.findings.tracking import Tracked
from collector.core.graph import DependencyGraph, GraphNode
from cpdd.cli import cli
from cpdd.cli._findings import findings_at
from cpdd.cli._jaeger import Asked, QueryError, choose_service, traces_at
from tests.ui.conftest import client_of
from tests.ui.memory import MemoryReader
from tests.ui.shop import NOW_NS, shop_traces

DATA = Path(__file__).parents[2] / "../shared/data/otlp"
HOUR_NS = 3_600 * 1_000_000_000


def run(*args: str) -> Result:
    return CliRunner().invoke(cli, ["report", *args], env={"COLUMNS": "110", "NO_COLOR": "1"})


def recording(name: str) -> str:
    path = DATA / f"{name}.otlp.pb.gz"
    if not path.exists():
        pytest.skip("../shared/data is not beside this checkout")
    return str(path)


def test_people_read_where_the_time_goes():
    lines = run(recording("nezha-ob-cart-delay")).stdout.replace("\u00a0", " ").splitlines()

    assert lines[0] == "948 traces of 1 journey, 43,714 spans"
    assert lines[3].startswith("Of 436 ms on average, 46 % is the way from frontend to cartservice")
    assert any(line.startswith("p99+") for line in lines)
    assert any(line.startswith("frontend → cartservice") and "46.1 %" in line for line in lines)
    assert max(map(len, lines)) <= 110


def test_what_the_slowest_have_less_of_is_negative_and_the_report_says_so():
    said = run(recording("hotrod")).stdout.replace("\u00a0", " ")

    (dispatch,) = re.findall(r"TP GET /dispatch .* (\S+ %)\n", said)
    assert dispatch.startswith("−")
    assert "of the tail: of what the slowest 1 % take longer than the faster half;" in said
    assert "negative where they take less of it. All parts add up to 100 %." in said


def test_programs_get_every_measure_and_parts_that_sum_to_the_whole():
    value = json.loads(run(recording("nezha-ob-cart-delay"), "--json").stdout)

    (journey,) = value["journeys"]
    assert sum(part["share"] for part in journey["parts"]) == pytest.approx(1)
    assert sum(part["variance_contribution"] for part in journey["parts"]) == pytest.approx(1)
    assert sum(part["tail_contribution"] for part in journey["parts"]) == pytest.approx(1)
    assert sum(part["mean_ns"] for part in journey["parts"]) == pytest.approx(journey["mean_ns"])
    assert sum(band["traces"] for band in journey["bands"]) == journey["traces"] == 948
    assert sum(sum(bar[band["name"]] for band in journey["bands"]) for bar in journey["histogram"]) == 948
    assert sum(place["self_ns"] for place in journey["call_paths"]) == pytest.approx(journey["mean_ns"])
    assert journey["call_paths"][0]["inclusive_ns"] == pytest.approx(journey["mean_ns"])
    first = journey["edges"][0]
    assert first["callee"].startswith("cartservice")
    assert first["blocked"] > 0.45
    assert first["requirement"]["verdict"]


def test_work_that_nobody_waits_for_is_named_with_how_much_of_it_there_is():
    path = recording("hotrod")

    lines = run(path).stdout.replace("\u00a0", " ").splitlines()
    (dispatch,) = [j for j in json.loads(run(path, "--json").stdout)["journeys"] if "dispatch" in j["journey"]]

    first = dispatch["hidden_work"][0]
    assert (first["service"], first["operation"]) == ("route", "HTTP GET /route")
    assert 0 < first["hidden_ns"] < first["work_ns"]
    assert any(line.startswith("hidden work, off the path, per trace: route HTTP GET /route") for line in lines)


def test_the_page_needs_nothing_else(tmp_path: Path):
    out = tmp_path / "report.html"

    result = run(recording("hotrod"), "--html", str(out))

    page = out.read_text(encoding="utf-8")
    assert result.exit_code == 0
    assert "opens in any browser" in result.stderr
    for outside in ("<script", "src=", "<link", "@import", "url(http", "https://"):
        assert outside not in page
    assert "color-scheme: light dark" in page
    assert "mysql" in page
    assert page.count("Hidden work") == 1, "in the one journey that has any"
    assert page.count('class="chapter"') == 2


def test_names_of_strangers_are_text_on_the_page(tmp_path: Path):
    hostile = tmp_path / "hostile.json"
    span = {
        "traceId": "01" * 16,
        "spanId": "02" * 8,
        "name": "<script>alert(1)</script>",
        "startTimeUnixNano": "1700000000000000000",
        "endTimeUnixNano": "1700000000001000000",
    }
    hostile.write_text(json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}))

    page = run(str(hostile), "--html", "-").stdout

    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_a_page_that_cannot_be_written_says_where():
    result = run(recording("hotrod"), "--html", "/nowhere/report.html")

    assert result.exit_code == 1
    assert "/nowhere/report.html" in str(result.exception)


@pytest.mark.parametrize(
    "args", [(), ("a.json", "--from", "http://localhost"), ("--from", "http://localhost", "--last", "1y")]
)
def test_what_is_no_question_is_a_mistake_of_usage(args: tuple[str, ...]):
    assert run(*args).exit_code == 2


# Findings


@pytest.fixture(scope="module")
def doomed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Forty traces that end well and forty that fail with a call that is declared optional."""
    path = tmp_path_factory.mktemp("report") / "doomed.json"
    spans = [span for number in range(80) for span in _doomed_trace(number, well=number < 40)]
    service = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
    path.write_text(json.dumps({"resourceSpans": [{"resource": service, "scopeSpans": [{"spans": spans}]}]}))
    return str(path)


def _doomed_trace(number: int, well: bool) -> list[dict[str, object]]:
    said = {"cpdd.call.requirement": "optional", "peer.service": "prices"}
    common = {"traceId": f"{number + 1:032x}", "status": {"code": 1 if well else 2}}
    return [
        {**common, "spanId": f"{1:016x}", "name": "buy", "kind": 2, "startTimeUnixNano": 0, "endTimeUnixNano": 10**8},
        {
            **common,
            "spanId": f"{2:016x}",
            "parentSpanId": f"{1:016x}",
            "name": "POST",
            "kind": 3,
            "startTimeUnixNano": 10**7,
            "endTimeUnixNano": 9 * 10**7,
            "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in said.items()],
        },
    ]


def test_people_programs_and_browsers_are_told_what_somebody_should_do(doomed: str):
    title = "shop buy fails with prices, which it declares optional"

    lines = run(doomed).stdout.replace("\u00a0", " ").splitlines()
    (finding,) = json.loads(run(doomed, "--json").stdout)["findings"]
    page = run(doomed, "--html", "-").stdout

    assert lines[2:4] == ["1 finding", f"hidden mandatory: {title} (shop: buy)"]
    assert (finding["kind"], finding["title"], finding["service"]) == ("hidden mandatory", title, "shop")
    assert finding["examples"][0] == f"{41:032x}"
    assert title in page
    assert "survival <b>0 %" in page


def test_names_in_cpdd_toml_count_for_files_too(doomed: str, tmp_path: Path):
    config = tmp_path / "cpdd.toml"
    config.write_text('[[journey]]\nname = "check out"\nowner = "Storefront"\nmatch = [{ operation = "buy" }]\n')

    value = json.loads(run(doomed, "--json", "--config", str(config)).stdout)

    assert [journey["journey"] for journey in value["journeys"]] == ["check out"]
    assert [(one["journey"], one["owner"]) for one in value["findings"]] == [("check out", "Storefront")]


def test_a_running_cpdd_is_asked_for_its_findings():
    reader = MemoryReader(shop_traces())
    mine = Finding("hidden mandatory", "check out", "1", "shop fails with tips", "Mend it.", "shop", owner="Storefront")
    theirs = Finding("hidden mandatory", "another", "2", "bus fails with tram", "Mend it.", "bus")
    reader.judged = [Tracked(one, NOW_NS - 10**9, NOW_NS) for one in (mine, theirs)]
    client = client_of(reader)
    shop = GraphNode("shop", "POST /checkout", "server")

    found = findings_at("http://cpdd:16686", DependencyGraph((shop,), ()), lambda address: client.get(address).data)

    assert found is not None
    assert [(one.title, one.owner) for one in found] == [("shop fails with tips", "Storefront")]


def test_a_running_jaeger_has_none_and_the_traces_speak_for_themselves():
    def not_found(address: str) -> bytes:
        raise QueryError("answer 404: Not Found", address)

    assert findings_at("http://jaeger:16686", DependencyGraph((), ()), not_found) is None
    assert findings_at("http://jaeger:16686", DependencyGraph((), ()), lambda address: b"<!doctype html>") is None


# From a running server


def asked(service: str, limit: int = 500) -> Asked:
    return Asked(service, "", NOW_NS - 24 * HOUR_NS, NOW_NS, limit)


def test_traces_of_a_running_server_are_those_that_it_has(server: str):
    answered = traces_at(server, asked("shop"))

    assert answered.traces > 10
    assert len(answered.spans) >= answered.traces
    assert answered.rejected == 0
    assert not answered.reached(500)


def test_a_limit_that_was_reached_is_known(server: str):
    answered = traces_at(f"{server}/search", asked("shop", limit=3))

    assert answered.traces == 3
    assert answered.reached(3)


def test_without_a_service_those_that_there_are_are_named(server: str):
    with pytest.raises(QueryError, match="which service") as caught:
        choose_service(server, None)

    assert "shop" in caught.value.hint


def test_nobody_there_is_said_with_the_address():
    with pytest.raises(QueryError, match="no answer") as caught:
        traces_at("http://127.0.0.1:9", asked("shop"))

    assert caught.value.address.startswith("http://127.0.0.1:9/api/traces?service=shop")


def test_an_error_of_the_server_is_handed_on(server: str):
    with pytest.raises(QueryError, match="answer 400: parameter 'service' is required"):
        traces_at(server, asked(""))


def test_a_service_that_sent_nothing_is_named(server: str):
    result = run("--from", server, "--service", "nobody")

    assert result.exit_code == 1
    assert "no traces of service 'nobody' in the last 1h" in str(result.exception)


@pytest.mark.parametrize("base", ["ftp://jaeger", "http://"])
def test_what_is_no_address_is_refused(base: str):
    with pytest.raises(QueryError, match="no address"):
        choose_service(base, None)


def test_what_is_asked_is_asked_in_microseconds():
    addresses: list[str] = []

    def fetch(address: str) -> bytes:
        addresses.append(address)
        return b'{"data": []}'

    answered = traces_at("jaeger:16686/", Asked("a b", "GET /x", 3_000_000, 5_000_000, 7), fetch)

    url = urlsplit(addresses[0])
    assert f"{url.scheme}://{url.netloc}{url.path}" == "http://jaeger:16686/api/traces"
    assert parse_qs(url.query) == {
        "service": ["a b"], "start": ["3000"], "end": ["5000"], "limit": ["7"], "operation": ["GET /x"]
    }  # fmt: skip
    assert answered.traces == len(answered.spans) == 0


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"data": 7}'])
def test_an_answer_of_something_else_is_refused(body: bytes):
    with pytest.raises(QueryError):
        traces_at("http://localhost", asked("shop"), lambda address: body)
