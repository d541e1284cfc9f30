"""`cpdd lb-config` and `cpdd import-logs` as a user calls them; the balancers themselves are in tests/balancers."""

import doctest
import json
import re
import signal
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from cpdd.cli import _lb_threshold, cli
from cpdd.cli._lb_follow import follow_lines
from cpdd.cli._lb_log import BadLine, haproxy_exchange, nginx_exchange
from cpdd.cli._lb_threshold import at_least, threshold
from tests.cli.endpoint import endpoint, refusal

NGINX = {
    "balancer": "nginx",
    "id": "340aebe42043a4a57a0d533766863d65",
    "end": "1795830143.031",
    "took": "0.250",
    "incoming": "12345678901234567890123456789012-1234567890123456-01",
    "started": "",
    "method": "GET",
    "scheme": "https",
    "host": "shop.example",
    "target": "/items?page=2",
    "protocol": "HTTP/2.0",
    "client": "192.0.2.7",
    "status": "200",
    "bytes": "13",
    "upstreams": "10.0.0.1:80, 10.0.0.2:80 : unix:/run/app.sock",
    "statuses": "504, 502 : 200",
    "connects": "-, 0.001 : 0.002",
    "headers": "-, 0.010 : 0.040",
    "responses": "0.100, 0.010 : 0.050",
    "cache": "",
    "timing": "",
}


def line(**said: str) -> str:
    return json.dumps({**NGINX, **said}) + "\n"


@pytest.fixture
def served():
    with endpoint() as found:
        yield found


@pytest.fixture
def run(served, tmp_path, monkeypatch):
    """Runs the verb against the endpoint, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments: object, **options: object):
        command = ["import-logs", "--format", "nginx-json", "--endpoint", served.url, *map(str, arguments)]
        return CliRunner().invoke(cli, command, **options)

    return invoke


def test_a_log_becomes_spans_and_the_totals_say_how_many(run, served, tmp_path):
    (tmp_path / "log").write_text(line() + line(id="a" * 32, incoming="", upstreams="", statuses=""))

    result = run("--json", "log")

    assert json.loads(result.stdout) == {"lines": 2, "unreadable": 0, "not_kept": 0, "spans": 5, "lost_spans": 0}
    assert result.exit_code == 0
    assert [span.kind for span in served.spans()] == [2, 3, 3, 3, 2]


def test_attempts_of_several_groups_of_upstreams_follow_each_other_exactly(run):
    exchange = nginx_exchange(line())

    assert exchange.start_ns == 1795830142_781_000_000
    assert [(a.address, (a.end_ns - a.start_ns) // 10**6, a.status, a.first_byte_ns) for a in exchange.attempts] == [
        ("10.0.0.1:80", 100, 504, None),
        ("10.0.0.2:80", 10, 502, 10_000_000),
        ("unix:/run/app.sock", 50, 200, 40_000_000),
    ]
    assert exchange.attempts[1].start_ns == exchange.attempts[0].end_ns
    assert exchange.attempts[2].end_ns <= exchange.end_ns == 1795830143_031_999_999


def test_a_log_that_is_imported_twice_gives_the_same_spans(run, served, tmp_path):
    (tmp_path / "log").write_text(line())

    run("log")
    run("log")

    assert served.bodies[0] == served.bodies[1]


def test_a_line_that_cannot_be_read_is_named_and_costs_itself(run, served, tmp_path):
    (tmp_path / "log").write_text("GET / 200\n" + line(took="soon") + line(id="7") + '{"balancer":"nginx"}\n' + line())

    result = run("--json", "log")

    assert json.loads(result.stdout)["unreadable"] == 4
    assert len(served.spans()) == 4
    assert result.exit_code == 1
    assert "log line 1: not a line of JSON" in result.stderr
    assert "log line 2: 'soon' is no time in seconds" in result.stderr


def test_a_file_that_is_not_there_is_a_failure_that_names_it(run):
    result = run("no-such-log")

    assert result.exit_code == 1
    assert "cannot read no-such-log" in result.stderr


def test_spans_that_nobody_takes_are_counted(run, served, tmp_path):
    (tmp_path / "log").write_text(line())
    served.answers = [refusal(400, "no")]

    result = run("--json", "log")

    assert json.loads(result.stdout)["lost_spans"] == 4
    assert result.exit_code == 1


@pytest.mark.parametrize("reader", [nginx_exchange, haproxy_exchange])
@given(text=st.text(max_size=60) | st.dictionaries(st.sampled_from([*NGINX]), st.text(max_size=9)).map(json.dumps))
def test_no_line_raises_what_is_not_told(reader, text):
    try:
        reader(text)
    except (BadLine, ValueError, TypeError):
        return


def test_who_follows_a_log_is_ended_by_sigterm_and_sends_what_is_waiting(served, tmp_path):
    (tmp_path / "log").write_text(line())
    verb = ["-c", "from cpdd.cli import main; main()", "import-logs", "--format", "nginx-json", "--follow", "--json"]
    process = subprocess.Popen(
        [sys.executable, *verb, "--endpoint", served.url, str(tmp_path / "log")], stdout=subprocess.PIPE, text=True
    )
    assert served.arrived.wait(30)

    process.send_signal(signal.SIGTERM)

    printed, _ = process.communicate(timeout=30)
    assert json.loads(printed)["spans"] == 4
    assert process.returncode == 0


def test_following_reads_on_as_the_file_grows_and_across_rotation_and_truncation(tmp_path: Path):
    log = tmp_path / "log"
    steps = [
        lambda: log.write_text("one\ntw"),
        lambda: log.open("a").write("o\nthree\n"),
        lambda: (log.rename(tmp_path / "log.1"), log.write_text("four\n")),
        lambda: log.write_text(""),
        lambda: log.write_text("5\n"),
    ]

    def wait() -> bool:
        if not steps:
            return False
        steps.pop(0)()
        return True

    assert [found for found in follow_lines(str(log), wait) if found] == ["one\n", "two\n", "three\n", "four\n", "5\n"]


@pytest.mark.parametrize("balancer", ["nginx", "haproxy"])
def test_a_configuration_is_printed_as_it_is(balancer):
    adopt = CliRunner().invoke(cli, ["lb-config", balancer])
    decide = CliRunner().invoke(cli, ["lb-config", balancer, "--mode", "decide", "--keep", "1%"])

    assert (adopt.exit_code, decide.exit_code) == (0, 0)
    assert "adopt: starts no trace" in adopt.stdout
    assert "ot=th:fd70a" in decide.stdout


@pytest.mark.parametrize("arguments", [["--keep", "2"], ["--keep", "some"], ["--log", "x; evil"], ["--mode", "guess"]])
def test_what_makes_no_configuration_is_refused(arguments):
    assert CliRunner().invoke(cli, ["lb-config", "nginx", *arguments]).exit_code == 2


@given(st.integers(0, 2**56 - 1), st.sampled_from(["1", "1/2", "1/3", "1/100", "1/1000", "99/100", "1/100000"]))
def test_the_expression_keeps_what_the_threshold_keeps(number, ratio):
    limit = threshold(Fraction(ratio))

    kept = re.match(at_least(limit), f"{number:014x}") is not None

    assert kept == (number >= int(limit.ljust(14, "0"), 16))


def test_the_examples_of_the_thresholds_hold():
    assert doctest.testmod(_lb_threshold).failed == 0
