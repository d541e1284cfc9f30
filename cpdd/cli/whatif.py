"""`cpdd whatif`: how long would traces take if an operation took another time, and what to make faster first."""

import click
import orjson

from collector.core.policy import PathPolicy
from collector.core.population.whatif import WhatIf
from collector.core.population.wishes import read_wish
from cpdd.cli._files import read_files
from cpdd.cli._settings import read_settings, setting_flags
from cpdd.cli._terminal import Printer
from cpdd.cli._weights import counted
from cpdd.cli._whatif_text import prediction_lines, ranking_lines
from cpdd.cli._where import Condition, those, where_option


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--set",
    "wishes",
    multiple=True,
    metavar="WHOSE=CHANGE",
    help="'service/operation=-20ms', '=x0.5' or '=-30%'; a service alone: all of its operations; "
    "'caller -> callee=x0.5': the way between two services. May be repeated.",
)
@click.option("--top", type=click.IntRange(min=1), default=10, show_default=True, help="How many are ranked.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@where_option
@setting_flags("overflow", "max_skew_ns", "max_file_bytes")
def command(
    files: tuple[str, ...],
    wishes: tuple[str, ...],
    top: int,
    as_json: bool,
    where: tuple[Condition, ...],
    config: str | None,
    **flags: str | None,
) -> None:
    """Predict how long traces take if an operation takes another time; without --set, rank what to make faster first.

    Each trace is replayed with the other work: what waited for it begins earlier, until another path takes over.
    FILE is OTLP (JSON, JSON lines, protobuf), Jaeger JSON or Zipkin v2 JSON, gzip or not; - is stdin.

    \b
      cpdd whatif traces.json
      cpdd whatif traces.json --set 'cart/GET /cart=-20ms'
      cpdd whatif traces.json --set 'shop -> cart=x0.5' --set 'db/SELECT=x0.8'
    """
    read = [read_wish(text) for text in wishes]
    settings, _ = read_settings(config, **flags)
    policy = PathPolicy(settings.overflow, settings.max_skew_ns)
    batch, weight = counted(those(read_files(files, settings.max_file_bytes), where), policy)
    population = WhatIf(batch, policy, weight)
    prediction = population.predict(read) if read else None
    saturations = [population.saturation(wish) for wish in read]
    ranking = population.rank(top) if not read or as_json else ()
    if as_json:
        value = {
            "prediction": prediction and prediction.to_json(),
            "wishes": [{"set": wish.text, "saturates_at": at} for wish, at in zip(read, saturations, strict=True)],
            "faster_first": [candidate.to_json() for candidate in ranking],
        }
        click.echo(orjson.dumps(value))
        return
    printer = Printer()
    if prediction is not None:
        printer.print(*prediction_lines(prediction, read, saturations, printer.look))
    else:
        printer.print(*ranking_lines(ranking, population.mean_ns, len(population), printer.look))
