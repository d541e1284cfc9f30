"""`cpdd diff`: what changed between two populations of traces."""

import time
from pathlib import Path

import click
import orjson
from click.core import ParameterSource

from collector.core.population import compare
from cpdd.cli._book import load_book
from cpdd.cli._diff_text import diff_lines
from cpdd.cli._files import name_of
from cpdd.cli._from import from_options, source_of, stretch_up_to
from cpdd.cli._populations import Reading, of_file, of_server
from cpdd.cli._selection import SEPARATOR, split
from cpdd.cli._server_selection import ServerSelection, Unreadable, read_selection
from cpdd.cli._settings import read_settings, setting_flags
from cpdd.cli._terminal import Printer
from cpdd.cli._where import Condition, where_option


@click.command()
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@from_options
@click.option("--journey", metavar="NAME", help="Only traces of this journey, as cpdd report names it.")
@click.option("--all", "all_rows", is_flag=True, help="Every change, not only those that matter most.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@where_option
@setting_flags("overflow", "max_skew_ns", "max_file_bytes")
def command(
    a: str,
    b: str,
    base: str | None,
    service: str | None,
    operation: str,
    last: str,
    limit: int,
    journey: str | None,
    all_rows: bool,
    as_json: bool,
    where: tuple[Condition, ...],
    config: str | None,
    **flags: str | None,
) -> None:
    """Show what changed from A to B: which operation's own time, and the way between which two.

    A and B are files of traces: OTLP (JSON, JSON lines, protobuf), Jaeger JSON or Zipkin v2 JSON, gzip or not; - is
    stdin. FILE@p99+ is a band of its latency (p0-50, p50-90, p90-99), FILE@10:00..10:30 a stretch of time (UTC), and
    FILE@service.version=2 what has an attribute. Exit status 0: compared, whatever the answer.

    With --from, A and B are selections of a running Jaeger or cpdd, joined by @: 'last 1h', 14:00..15:00,
    @service.version=2, p99+. Where one names no stretch of time, --last does.

    \b
      cpdd diff before.json after.json
      cpdd diff --journey 'shop: POST /checkout' monday.otlp.pb.gz today.otlp.pb.gz
      cpdd diff traces.json@service.version=1.4 traces.json@service.version=1.5
      cpdd diff --from http://localhost:16686 --service shop 13:00..14:00 14:00..15:00
    """
    settings, _ = read_settings(config, **flags)
    reading = Reading(settings, load_book(config), where, journey)
    if base:
        now = time.time_ns()
        selections = {name: _selection(name, text, now) for name, text in (("A", a), ("B", b))}
        source = source_of(base, service, operation, limit)
        populations = of_server(source, selections, stretch_up_to(last, now), reading)
        names = a.removeprefix(SEPARATOR), b.removeprefix(SEPARATOR)
    else:
        _refuse_what_goes_with_from()
        populations = [of_file(text, reading) for text in (a, b)]
        names = _label(a), _label(b)
    difference = compare(*populations)
    if as_json:
        click.echo(orjson.dumps(difference.to_json()))
        return
    printer = Printer()
    printer.print(*diff_lines(difference, *names, printer.look, all_rows))


def _refuse_what_goes_with_from() -> None:
    context = click.get_current_context()
    for name in ("service", "operation", "last", "limit"):
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--{name} goes with --from; A and B are files")


def _selection(argument: str, text: str, now_unix_nano: int) -> ServerSelection:
    try:
        return read_selection(text, now_unix_nano)
    except Unreadable as error:
        raise click.BadParameter(str(error), param_hint=argument) from None


def _label(text: str) -> str:
    """The name of a file without its folders and endings, and what is selected of it."""
    path, selection = split(text)
    name = Path(name_of(path)).name.partition(".")[0] or name_of(path)
    return f"{name}@{selection}" if selection else name
