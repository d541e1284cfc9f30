"""`cpdd graph`: the dependency graph of the traces in files."""

import click
import orjson

from collector.core.graph_build import dependency_graph
from collector.core.graph_export import to_dot, to_graphml, to_mermaid
from collector.core.graph_levels import service_graph
from collector.core.mandatory import journey_needs, only_mandatory
from collector.core.policy import PathPolicy
from cpdd.cli._book import load_book
from cpdd.cli._files import read_files
from cpdd.cli._graph_text import graph_lines
from cpdd.cli._settings import read_settings, setting_flags
from cpdd.cli._terminal import Printer, say
from cpdd.cli._weights import counted


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "dot", "graphml", "mermaid"]),
    default="text",
    show_default=True,
    help="For people, programs, Graphviz, networkx and others, Markdown.",
)
@click.option(
    "--level",
    type=click.Choice(["service", "operation"]),
    default="operation",
    show_default=True,
    help="What a node is.",
)
@click.option("--mandatory", is_flag=True, help="Only what journeys cannot do without.")
@setting_flags("overflow", "max_skew_ns", "max_file_bytes")
def command(
    files: tuple[str, ...],
    as_json: bool,
    form: str,
    level: str,
    mandatory: bool,
    config: str | None,
    **flags: str | None,
) -> None:
    """Show who calls whom in each journey, whether it may fail, and how much the journey waits for it.

    FILE is OTLP (JSON, JSON lines, protobuf), Jaeger JSON or Zipkin v2 JSON, gzip or not; - is stdin.

    \b
      cpdd graph traces.json
      cpdd graph --format dot traces.json | dot -Tsvg > graph.svg
      cpdd graph --mandatory --level service traces.json
    """
    settings, _ = read_settings(config, **flags)
    policy = PathPolicy(settings.overflow, settings.max_skew_ns)
    batch, weight = counted(read_files(files, settings.max_file_bytes), policy)
    graph = dependency_graph(batch, policy, weight, load_book(config))
    if level == "service":
        graph = service_graph(graph)
    needs = journey_needs(graph)
    if mandatory:
        graph = only_mandatory(graph)
        if not graph.edges:
            say("cpdd: no call is known to be mandatory (cpdd graph without --mandatory says why)")
    match "json" if as_json else form:
        case "json":
            click.echo(orjson.dumps({**graph.to_json(), "journeys": [need.to_json() for need in needs]}))
        case "dot":
            click.echo(to_dot(graph), nl=False)
        case "graphml":
            click.echo(to_graphml(graph), nl=False)
        case "mermaid":
            click.echo(to_mermaid(graph), nl=False)
        case _:
            printer = Printer()
            printer.print(*graph_lines(graph, needs, printer.look))
