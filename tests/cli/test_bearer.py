"""Commands that read from a server which asks for a token, behind its real guard."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from collector.login import Login
from collector.tokens import Tokens
from cpdd.cli import cli
from cpdd.cli._bearer import first_token
from cpdd.settings import SettingsError
from tests.cli.pages import pages_at_a_port
from tests.ui.conftest import client_of
from tests.ui.memory import MemoryReader
from tests.ui.shop import shop_traces

WINDOWS = ("2026-11-18T10:00..2026-11-18T10:50", "2026-11-18T10:52..2026-11-18T11:10")


@pytest.fixture(scope="module")
def guarded() -> Iterator[str]:
    app = client_of(MemoryReader(list(shop_traces()))).application
    guard = Login(Tokens("read_tokens", "new,old"), time.time)
    with pages_at_a_port(guard.before(app.wsgi_app)) as address:
        yield address


def diff(address: str, tokens: str) -> Result:
    env = {"CPDD_READ_TOKENS": tokens}
    return CliRunner().invoke(cli, ["diff", "--from", address, "--service", "shop", *WINDOWS], env=env)


def escalate(address: str, tokens: str) -> Result:
    env = {"CPDD_READ_TOKENS": tokens}
    return CliRunner().invoke(cli, ["escalate", "0" * 31 + "9", "--url", address], env=env)


@pytest.mark.parametrize("tokens", ["new", "old,other"])
def test_the_first_token_is_shown(guarded: str, tokens: str):
    assert diff(guarded, tokens).exit_code == 0
    assert "no span of trace" in str(escalate(guarded, tokens).exception)


@pytest.mark.parametrize("tokens", ["", "wrong"])
def test_who_shows_none_of_the_server_s_is_told_what_to_set(guarded: str, tokens: str):
    refused = str(diff(guarded, tokens).exception)

    assert "answer 401: a token is needed" in refused
    assert "hint: CPDD_READ_TOKENS, or read_tokens in cpdd.toml, says which token to show" in refused
    assert "a token is needed" in str(escalate(guarded, tokens).exception)


def test_a_token_may_be_in_a_file(guarded: str, tmp_path: Path):
    file = tmp_path / "tokens"
    file.write_text("new\nold\n")

    assert diff(guarded, f"@{file}").exit_code == 0
    with pytest.raises(SettingsError, match="the token cannot be read: No such file"):
        first_token(f"@{tmp_path / 'none'}")
