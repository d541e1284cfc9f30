"""`cpdd escalate`: the packet with which another team can begin."""

import json
import re
import urllib.error
import urllib.request
from contextlib import suppress
from urllib.parse import urlsplit

import click

from cpdd.cli._bearer import reader_request
from cpdd.cli._terminal import printable
from cpdd.errors import CpddError

DEFAULT_URL = "http://127.0.0.1:16686"
TIMEOUT_S = 15.0
MAX_BYTES = 4 << 20


class NoAnswer(CpddError):
    """A server that gave no packet: why, where, and the next step."""

    def __init__(self, problem: str, address: str, hint: str = "") -> None:
        self.problem = problem
        self.address = address
        self.hint = hint
        super().__init__(f"{problem}\n  at {address}" + (f"\nhint: {hint}" if hint else ""))


class NotThere(NoAnswer):
    """The server answers, and has nothing of this id."""


@click.command()
@click.argument("which", metavar="TRACE_ID|FINDING_ID")
@click.option("--url", default=DEFAULT_URL, show_default=True, help="Where the pages of cpdd serve are.")
@click.option("--json", "as_json", is_flag=True, help="The packet as JSON.")
def command(which: str, url: str, as_json: bool) -> None:
    """Print what another team needs to begin: owner, since when, the call, the line of code, examples.

    Markdown, to paste into a chat. The id is that of a trace (32 hex digits) or of a finding (16).

    \b
      cpdd escalate 4bf92f3577b34da6a3ce929d0e0e4736
      cpdd escalate 00c1b6a9d2e07f3b --json
    """
    base = url.rstrip("/")
    if urlsplit(base).scheme not in ("http", "https"):
        raise click.BadParameter("an address begins with http:// or https://", param_hint="--url")
    if not re.fullmatch(r"[0-9a-fA-F]{1,32}", which):
        raise click.BadParameter("the id of a trace or a finding is hex digits", param_hint="TRACE_ID|FINDING_ID")
    click.echo(_fetch_first(base, which.lower(), "json" if as_json else "md").rstrip(b"\n"))


def _fetch_first(base: str, which: str, form: str) -> bytes:
    """The packet of a finding where the id may be one, else of a trace."""
    if len(which) > 16:
        return fetch(f"{base}/traces/{which}/escalation.{form}")
    for kind in ("findings", "traces"):
        with suppress(NotThere):
            return fetch(f"{base}/{kind}/{which}/escalation.{form}")
    raise NotThere(
        f"no finding and no trace has the id {which}", base, "the pages of findings and traces show their ids"
    )


def fetch(address: str) -> bytes:
    """Return what is at an address of the server.

    Raises:
        NotThere, NoAnswer: in the server's own words where it has any.
    """
    try:
        with urllib.request.urlopen(reader_request(address), timeout=TIMEOUT_S) as answer:
            body: bytes = answer.read(MAX_BYTES)
            return body
    except urllib.error.HTTPError as error:
        raise _refused(error, address) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise NoAnswer(f"no answer: {reason}", address, "is cpdd serve running there? --url says where it is") from None


def _refused(error: urllib.error.HTTPError, address: str) -> NoAnswer:
    kind = NotThere if error.code == 404 else NoAnswer
    try:
        said = json.loads(error.read(MAX_BYTES))["error"]
        return kind(printable(str(said["problem"])), address, printable(str(said["hint"])))
    except (ValueError, KeyError, TypeError):
        return kind(f"the server answered {error.code}", address)
