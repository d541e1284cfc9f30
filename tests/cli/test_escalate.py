"""`cpdd escalate` against the real pages, on a port of their own."""

import json
import threading
from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result
from werkzeug.serving import make_server

from collector.core.detail import DetailedSpans, SpanDetail
from cpdd.cli import cli
from tests.core.drawing import read_trace
from tests.ui.conftest import SETTINGS
from tests.ui.memory import MemoryReader
from ui.app import create_app

TRACE = "0af7651916cd43dd0000000000000001"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    batch = read_trace("shop/buy 0-100 server error; shop/GET 5-95 client error in shop/buy peer_service=bank")
    app = create_app(MemoryReader([DetailedSpans(batch, lambda row: SpanDetail())]), SETTINGS)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()


def run(*args: str) -> Result:
    return CliRunner().invoke(cli, ["escalate", *args])


def test_people_get_markdown_for_a_chat(url):
    found = run(TRACE, "--url", url)

    assert found.exit_code == 0, found.output
    assert found.stdout.startswith("**shop: buy failed at bank**\n")
    assert f"{url}/traces/{TRACE}?span=" in found.stdout


def test_programs_get_the_packet(url):
    found = json.loads(run(TRACE, "--json", "--url", f"{url}/").stdout)

    assert (found["edge"]["callee"], found["examples"][0]["address"]) == ("bank", f"{url}/traces/{TRACE}")


@pytest.mark.parametrize(
    ("which", "said"),
    [("0" * 31 + "9", "no span of trace"), ("abcdef0123456789", "no finding and no trace has the id abcdef0123456789")],
)
def test_an_unknown_id_is_said_in_words(url, which, said):
    found = run(which, "--url", url)

    assert found.exit_code == 1
    assert said in str(found.exception)


def test_a_server_that_is_not_there_is_named_with_the_next_step():
    found = run(TRACE, "--url", "http://127.0.0.1:1")

    assert found.exit_code == 1
    assert "http://127.0.0.1:1/traces/" in str(found.exception)
    assert "--url" in str(found.exception)


@pytest.mark.parametrize("arguments", [["../etc", "--url", "http://x"], [TRACE, "--url", "file:///etc"], []])
def test_what_is_no_id_and_no_address_is_usage(arguments):
    assert run(*arguments).exit_code == 2
