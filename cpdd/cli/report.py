"""`cpdd report`: what a population of traces says, journey by journey."""

import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import click
import orjson

from collector.core.findings.of_graph import findings_of
from collector.core.graph_build import dependency_graph
from collector.core.journeys import JourneyBook
from collector.core.policy import PathPolicy
from collector.core.population import population_of
from collector.core.population.report import Report, report_on
from collector.core.spans import SpanBatch
from cpdd.cli._book import load_book
from cpdd.cli._files import name_of, read_files
from cpdd.cli._findings import findings_at
from cpdd.cli._from import from_options, read_from, source_of, stretch_up_to
from cpdd.cli._report_text import report_lines
from cpdd.cli._settings import read_settings, setting_flags
from cpdd.cli._terminal import Printer, say
from cpdd.cli._weights import counted
from cpdd.cli._where import Condition, those, where_option
from cpdd.errors import CpddError
from cpdd.settings import Settings


@click.command()
@click.argument("files", nargs=-1, metavar="[FILE...]")
@from_options
@click.option("--html", metavar="OUT", help="Write one HTML page that needs nothing else; - is stdout.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@where_option
@setting_flags("overflow", "max_skew_ns", "max_file_bytes")
def command(
    files: tuple[str, ...],
    base: str | None,
    service: str | None,
    operation: str,
    last: str,
    limit: int,
    html: str | None,
    as_json: bool,
    where: tuple[Condition, ...],
    config: str | None,
    **flags: str | None,
) -> None:
    """Report where the journeys of many traces spend their time, what the slowest wait for, and what they call.

    FILE is OTLP (JSON, JSON lines, protobuf), Jaeger JSON or Zipkin v2 JSON, gzip or not; - is stdin. With --from,
    traces come from a running Jaeger or cpdd, and nothing there has to change.

    \b
      cpdd report traces.json
      cpdd report --html report.html traces.otlp.pb.gz
      cpdd report --from http://localhost:16686 --service shop --last 1h
    """
    if bool(files) == bool(base):
        raise click.UsageError("give either files or --from URL")
    settings, _ = read_settings(config, **flags)
    if base:
        source = source_of(base, service, operation, limit)
        batch, title = read_from(source, stretch_up_to(last, time.time_ns())), f"{source.service}, last {last}"
    else:
        batch, title = read_files(files, settings.max_file_bytes), _title(files)
    report = _report(those(batch, where), settings, load_book(config), base)
    if as_json:
        click.echo(orjson.dumps(report.to_json()))
    elif html:
        _write_html(report, title, html)
    else:
        printer = Printer()
        printer.print(*report_lines(report, printer.look))


def _report(batch: SpanBatch, settings: Settings, book: JourneyBook, base: str | None) -> Report:
    """The report, with the findings of the traces, or of the cpdd that they come from."""
    policy = PathPolicy(settings.overflow, settings.max_skew_ns)
    batch, weight = counted(batch, policy)
    population = population_of(batch, policy, weight, book)
    graph = dependency_graph(batch, policy, weight, book)
    findings = findings_at(base, graph) if base else None
    if findings is None:
        findings = findings_of(graph, population, batch, book)
    return report_on(population, graph, len(batch), findings)


def _title(files: Sequence[str]) -> str:
    names = [Path(name_of(path)).name for path in files]
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def _write_html(report: Report, title: str, out: str) -> None:
    from ui.report import render_report  # noqa: PLC0415 - Jinja is not needed for the terminal

    made = f"Made by cpdd {version('cpdd')} on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    page = render_report(report, title, made)
    if out == "-":
        sys.stdout.write(page)
        return
    try:
        Path(out).write_text(page, encoding="utf-8")
    except OSError as error:
        raise CpddError(f"the report cannot be written: {error.strerror or error}\n  at {out}") from None
    say(f"{out}: {len(page.encode()) / 1000:,.0f} kB, opens in any browser")
