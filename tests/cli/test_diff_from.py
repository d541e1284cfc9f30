"""`cpdd diff --from URL`: windows, versions and bands of a running server."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import pytest
from click.testing import CliRunner, Result

from cpdd.cli import cli
from cpdd.cli._server_selection import Unreadable, read_selection
from tests.cli.pages import pages_at_a_port
from tests.ui.conftest import client_of
from tests.ui.memory import MemoryReader
from tests.ui.shop import shop_traces

BEFORE = "2026-11-18T10:00..2026-11-18T10:50"
SLOW = "2026-11-18T10:52..2026-11-18T11:10"
"""Redis is slow."""
ALL = "2026-11-18T10:00..2026-11-18T11:10"
NOON_NS = int(datetime(2026, 3, 2, 12, tzinfo=UTC).timestamp()) * 10**9
HOUR_NS = 3_600 * 10**9


def run(*args: str) -> Result:
    return CliRunner().invoke(cli, ["diff", *args], env={"COLUMNS": "110", "NO_COLOR": "1"})


def diff(server: str, a: str, b: str, *args: str) -> dict[str, Any]:
    result = run("--from", server, "--service", "shop", "--json", *args, a, b)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def counts(found: dict[str, Any]) -> tuple[int, int]:
    return found["a"]["traces"], found["b"]["traces"]


def test_two_windows_of_a_running_server_are_two_populations(server: str):
    found = diff(server, BEFORE, SLOW, "--journey", "shop: POST /checkout")

    first = found["changes"][0]
    assert (first["kind"], first["service"], first["operation"]) == ("operation", "cart", "HGETALL")
    assert found["delta_ns"] > 0
    assert sum(counts(found)) < sum(1 for _ in shop_traces())


def test_people_read_what_they_asked_for(server: str):
    lines = run("--from", server, "--service", "shop", f"@{BEFORE}", SLOW).stdout

    assert BEFORE in lines
    assert f"@{BEFORE}" not in lines


def test_bands_and_attributes_are_of_the_traces_of_the_window(server: str):
    everyone, slow = counts(diff(server, SLOW, f"{SLOW}@p90-99"))
    fast, medium = counts(diff(server, f"{SLOW}@p0-50", f"{SLOW}@p50-90"))
    bought = diff(server, f"{SLOW}@http.route=/checkout", f"{SLOW}@db.system.name=redis@p0-50")

    assert fast + medium + slow == everyone
    assert 0 < bought["a"]["traces"] < everyone
    assert bought["b"]["traces"] == (bought["a"]["traces"] + 1) // 2


def test_what_both_sides_name_is_asked_for_once():
    asked = []
    application = client_of(MemoryReader(shop_traces(count=24))).application

    def counting(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/api/traces":
            asked.append(parse_qs(environ["QUERY_STRING"]))
        return application(environ, start_response)

    with pages_at_a_port(counting) as address:
        diff(address, f"{ALL}@p0-50", f"{ALL}@p50-90")
        diff(address, BEFORE, SLOW, "--limit", "7")

    assert len(asked) == 3
    assert asked[1]["limit"] == ["7"]
    assert asked[1]["end"] < asked[2]["start"]


def test_names_in_cpdd_toml_count_for_a_server_too(server: str, tmp_path):
    config = tmp_path / "cpdd.toml"
    config.write_text('[[journey]]\nname = "check out"\nmatch = [{ operation = "POST /checkout" }]\n')

    named = diff(server, SLOW, SLOW, "--journey", "check out", "--config", str(config))

    assert min(counts(named)) > 0


def test_traces_that_were_left_out_by_the_limit_are_said(server: str):
    result = run("--from", server, "--service", "shop", "--limit", "5", BEFORE, SLOW)

    assert f"there may be more than 5 traces in {BEFORE}; the newest were read" in result.stderr


@pytest.mark.parametrize(
    ("a", "b", "problem"),
    [
        ("2026-03-02T10:00..2026-03-02T11:00", SLOW, "A is empty, '2026-03-02T10:00..2026-03-02T11:00'"),
        (SLOW, f"{SLOW}@service.version=9", f"B is empty, '{SLOW}@service.version=9': none of 30 traces has service."),
        (f"{SLOW}@p99+", SLOW, "none of 30 traces is in p99+"),
    ],
)
def test_an_empty_side_is_named(server: str, a: str, b: str, problem: str):
    result = run("--from", server, "--service", "shop", a, b)

    assert result.exit_code == 1
    assert problem in str(result.exception)


def test_a_journey_that_is_not_there_is_named_with_the_window_and_those_that_are(server: str):
    result = run("--from", server, "--service", "shop", "--journey", "buy", BEFORE, SLOW)

    assert result.exit_code == 1
    assert f"no journey 'buy' in {BEFORE} at {server}" in str(result.exception)
    assert "shop: POST /checkout" in str(result.exception)


@pytest.mark.parametrize(
    ("a", "b", "argument", "problem"),
    [
        ("p98", "last 1h", "A", "'p98' is no selection"),
        ("last 1h", "", "B", "it selects nothing"),
        ("last 1h", "last 1 year", "B", "'last 1 year' is no selection"),
        ("..10:00", "last 1h", "A", "from when?"),
        ("10:00..soon", "last 1h", "A", "'soon' is no time"),
        ("last 1h@10:00..", "last 1h", "A", "two stretches of time"),
        ("p0-50@p99+", "last 1h", "A", "two bands of latency"),
        ("2026-03-02T10:00..2026-03-02T09:00", "last 1h", "A", "2026-03-02T10:00 is not before 2026-03-02T09:00"),
    ],
)
def test_what_asks_for_nothing_is_a_mistake_of_usage(a: str, b: str, argument: str, problem: str):
    result = run("--from", "http://127.0.0.1:9", a, b)

    assert result.exit_code == 2
    assert f"Invalid value for {argument}: {(a if argument == 'A' else b)!r}: " in result.stderr
    assert problem in result.stderr


def test_what_goes_with_a_server_needs_one():
    result = run("--last", "2h", "before.json", "after.json")

    assert result.exit_code == 2
    assert "--last goes with --from" in result.stderr


# What an argument asks for


@pytest.mark.parametrize(
    ("text", "begin", "end"),
    [
        ("last 1h", -1, 0),
        ("last 90 m", -1.5, 0),
        ("last2h@p99+", -2, 0),
        ("10:00..11:00", -2, -1),
        ("@10:00..", -2, 0),
        ("23:00..01:00", -13, -11),
        ("13:00..14:00", -23, -22),
        ("11:30..12:30", -0.5, 0.5),
        ("2026-03-01T10:00..11:00", -26, -25),
        ("2026-03-01T12:00Z..2026-03-02T12:00+01:00", -24, -1),
    ],
)
def test_a_time_without_a_date_is_the_latest_such_time(text: str, begin: float, end: float):
    stretch = read_selection(text, NOON_NS).stretch

    assert stretch is not None
    assert (stretch.start_unix_nano - NOON_NS) / HOUR_NS == begin
    assert (stretch.end_unix_nano - NOON_NS) / HOUR_NS == end


def test_an_at_that_no_selection_follows_belongs_to_the_value():
    read = read_selection("@user=me@example.org@home@range=1..2@p99+", NOON_NS)

    assert read.conditions == (("user", "me@example.org@home"), ("range", "1..2"))
    assert (read.band, read.stretch) == ("p99+", None)


def test_an_at_behind_what_is_no_value_is_not_guessed_at():
    with pytest.raises(Unreadable, match="'me' is no selection"):
        read_selection("p99+@me", NOON_NS)
