"""`cpdd check`: critical path contracts, for people and for CI."""

import sys
from pathlib import Path

import click
import orjson

from collector.core.contracts import ContractError
from collector.core.policy import PathPolicy
from collector.receive.files import UnreadableFile
from cpdd.cli._book import load_book
from cpdd.cli._contract import Checked, Draw, check_spans, drawer, load_contract
from cpdd.cli._contract_text import contract_json, contract_junit, contract_lines
from cpdd.cli._files import NoSpans, read_files
from cpdd.cli._settings import read_settings, setting_flags
from cpdd.cli._terminal import Printer, say
from cpdd.settings import SettingsError

NOT_CHECKED = 2
"""Exit status where nothing could be checked: 1 means that the contract is broken, and nothing else."""


@click.command()
@click.argument("contract", metavar="CONTRACT")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--json", "as_json", is_flag=True, help="One JSON object: what became of each rule, with the facts.")
@click.option("--junit", metavar="FILE", help="Write a JUnit report, which CI systems show.")
@click.option(
    "--undecided",
    type=click.Choice(["fail", "pass"]),
    default="fail",
    show_default=True,
    help="What a rule counts as that there is not enough data for.",
)
@setting_flags("overflow", "max_skew_ns", "max_file_bytes")
def command(
    contract: str,
    files: tuple[str, ...],
    as_json: bool,
    junit: str | None,
    undecided: str,
    config: str | None,
    **flags: str | None,
) -> None:
    """Hold traces against a contract: what must never be waited for, what is mandatory, what may take how long.

    Exit status 0: kept; 1: broken, the trace that broke it is drawn; 2: not checked. CONTRACT is TOML
    (docs/how-to/contracts.md). FILE is OTLP, Jaeger JSON or Zipkin v2 JSON, gzip or not; - is stdin.

    \b
      cpdd check contract.toml traces.json
      cpdd check contract.toml --junit report.xml traces.otlp.pb.gz
    """
    try:
        settings, _ = read_settings(config, **flags)
        loaded = load_contract(contract)
        batch = read_files(files, settings.max_file_bytes)
        policy = PathPolicy(settings.overflow, settings.max_skew_ns)
        checked = check_spans(loaded, batch, policy, undecided == "pass", load_book(config))
    except (ContractError, SettingsError, UnreadableFile, NoSpans) as error:
        say(f"cpdd: {error}")
        sys.exit(NOT_CHECKED)
    draw = drawer(batch, policy)
    if junit:
        _write(junit, contract_junit(checked, draw))
    if as_json:
        click.echo(orjson.dumps(contract_json(checked)))
    else:
        _print(checked, draw)
    sys.exit(0 if checked.is_good else 1)


def _print(checked: Checked, draw: Draw) -> None:
    printer = Printer()
    printer.print(*contract_lines(checked, draw, printer.look))


def _write(path: str, content: bytes) -> None:
    try:
        Path(path).write_bytes(content)
    except OSError as error:
        say(f"cpdd: the report cannot be written: {error.strerror or error}\n  at {path}")
        sys.exit(NOT_CHECKED)
