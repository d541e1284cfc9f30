"""`cpdd diff`: what changed between two populations of traces."""

from pathlib import Path

import click
import orjson

from collector.core.policy import PathPolicy
from collector.core.population import Population, compare, population_of
from cpdd.cli._diff_text import diff_lines
from cpdd.cli._files import name_of, read_files
from cpdd.cli._selection import select, split
from cpdd.cli._settings import read_settings, setting_flags
from cpdd.cli._terminal import Printer
from cpdd.cli._weights import counted
from cpdd.cli._where import Condition, those, where_option
from cpdd.errors import CpddError
from cpdd.settings import Settings


class NoSuchJourney(CpddError):
    """A journey that the traces of a file do not have."""

    def __init__(self, journey: str, path: str, journeys: tuple[str, ...]) -> None:
        self.journey = journey
        self.journeys = journeys
        listed = ", ".join(repr(name) for name in journeys[:10]) + (", ..." if len(journeys) > 10 else "")
        super().__init__(f"no journey {journey!r} in {name_of(path)}\nhint: there is {listed}")


@click.command()
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option("--journey", metavar="NAME", help="Only traces of this journey, as cpdd report names it.")
@click.option("--all", "all_rows", is_flag=True, help="Every change, not only those that matter most.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@where_option
@setting_flags("overflow", "max_skew_ns", "max_file_bytes")
def command(
    a: str,
    b: str,
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

    \b
      cpdd diff before.json after.json
      cpdd diff --journey 'shop: POST /checkout' monday.otlp.pb.gz today.otlp.pb.gz
      cpdd diff traces.json@service.version=1.4 traces.json@service.version=1.5
    """
    settings, _ = read_settings(config, **flags)
    difference = compare(*(_read(path, journey, where, settings) for path in (a, b)))
    if as_json:
        click.echo(orjson.dumps(difference.to_json()))
        return
    printer = Printer()
    printer.print(*diff_lines(difference, _label(a), _label(b), printer.look, all_rows))


def _read(text: str, journey: str | None, where: tuple[Condition, ...], settings: Settings) -> Population:
    path, selection = split(text)
    policy = PathPolicy(settings.overflow, settings.max_skew_ns)
    batch, weight = counted(those(read_files([path], settings.max_file_bytes), where), policy)
    population = population_of(batch, policy, weight)
    if journey is not None:
        if journey not in population.journeys:
            raise NoSuchJourney(journey, path, population.journeys)
        population = population.of_journey(journey)
    return select(population, batch, selection, path)


def _label(text: str) -> str:
    """The name of a file without its folders and endings, and what is selected of it."""
    path, selection = split(text)
    name = Path(name_of(path)).name.partition(".")[0] or name_of(path)
    return f"{name}@{selection}" if selection else name
