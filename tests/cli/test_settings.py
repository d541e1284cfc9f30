"""`cpdd settings`: values with their origins, and the reference page that is made of the same records."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from cpdd.cli import cli
from cpdd.cli._book import load_book
from cpdd.cli.settings import reference_page
from cpdd.settings import SettingsError, options

REFERENCE = Path(__file__).parents[2] / "docs/reference/settings.md"
FILE_EXAMPLES = re.findall(r"```toml\n(.*?)```", (REFERENCE.parent / "cpdd-toml.md").read_text(encoding="utf-8"), re.S)


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Runs the verb in an empty folder, with the given variables alone."""
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments: str, **variables: str):
        names = {
            name for record in options().values() for name in (record.env, *(f.variable for f in record.fallbacks))
        }
        env = dict.fromkeys(names | {"CPDD_CONFIG"}) | variables
        return CliRunner().invoke(cli, ["settings", *arguments], env=env)

    return invoke


def test_the_reference_page_is_what_the_records_say():
    assert REFERENCE.read_text(encoding="utf-8") == reference_page(), (
        "run: cpdd settings --markdown > " + REFERENCE.name
    )


def test_each_setting_is_printed_with_its_value_and_origin(run):
    result = run(CPDD_UI_PORT="off")

    lines = {line.split()[0]: line.split(maxsplit=2)[1:] for line in result.stdout.splitlines()}
    assert set(lines) == set(options())
    assert lines["ui_port"] == ["off", "environment CPDD_UI_PORT"]
    assert lines["otlp_http_port"] == ["4318", "default"]


def test_json_gives_values_with_their_types(run):
    result = run("--json", CPDD_UI_PORT="off", CPDD_TRACE_QUIET_S="3")

    table = json.loads(result.stdout)
    assert table["ui_port"]["value"] is None
    assert table["trace_quiet_s"]["value"] == 3.0
    assert table["trace_quiet_s"]["origin"] == "environment CPDD_TRACE_QUIET_S"


def test_a_password_is_never_printed(run):
    store = "clickhouse://me:s3cret@db/x"

    text, as_json = run(CPDD_STORE=store), run("--json", CPDD_STORE=store)

    assert "s3cret" not in text.stdout + as_json.stdout
    assert "clickhouse://me:***@db/x" in text.stdout


def test_a_file_in_the_working_directory_counts(run, tmp_path):
    (tmp_path / "cpdd.toml").write_text("# ports\nui_port = 1\n")

    result = run()

    assert "file cpdd.toml line 2" in result.stdout


def test_a_file_may_be_named_by_flag_and_by_variable(run, tmp_path):
    (tmp_path / "one.toml").write_text("ui_port = 1\n")
    (tmp_path / "two.toml").write_text("ui_port = 2\n")

    by_variable = run("--json", CPDD_CONFIG="one.toml")
    by_flag = run("--json", "--config", "two.toml", CPDD_CONFIG="one.toml")

    assert json.loads(by_variable.stdout)["ui_port"]["value"] == 1
    assert json.loads(by_flag.stdout)["ui_port"]["value"] == 2


def test_the_examples_of_the_reference_are_taken_by_all_who_read_the_file(run, tmp_path):
    (tmp_path / "all.toml").write_text("\n".join(FILE_EXAMPLES), encoding="utf-8")

    result, book = run("--json", "--config", "all.toml"), load_book("all.toml")

    assert json.loads(result.stdout)["retention_days"]["origin"] == "file all.toml line 1"
    assert [journey.name for journey in book.journeys] == ["check out", "user page", "buy"]
    assert [queue.name for queue in book.queues] == ["orders*"]


def test_a_named_file_that_is_absent_is_an_error_that_names_it(run):
    result = run("--config", "absent.toml")

    assert isinstance(result.exception, SettingsError)
    assert "absent.toml" in str(result.exception)
