"""`cpdd path`: the critical path of each trace in files."""

import sys
from collections.abc import Sequence
from contextlib import nullcontext

import click
import orjson
from rich.text import Text

from collector.core.explain import PathPolicy
from cpdd.cli._files import name_of, read_files
from cpdd.cli._path_text import path_lines
from cpdd.cli._progress import progress_of_traces
from cpdd.cli._settings import read_settings, setting_flags
from cpdd.cli._terminal import QUIET_STYLE, Printer
from cpdd.cli._traces import Numbers, Traces
from cpdd.cli._where import Condition, those, where_option
from cpdd.errors import CpddError

DEFAULT_LIMIT = 10
TARGETS = "--target takes root, trace, or a span id of 16 hex digits (ID/server is the server half of a shared id)"


class NotFound(CpddError):
    """The files hold no trace, or no span, with the id that was asked for."""

    def __init__(self, thing: str, wanted: str, files: Sequence[str], hint: str) -> None:
        self.wanted = wanted
        super().__init__(f"no {thing} {wanted!r} in {', '.join(map(name_of, files))}\nhint: {hint}")


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a trace, one a line, of all traces.")
@click.option("--trace", "trace_id", metavar="ID", help="Only this trace; the first or last digits will do.")
@click.option(
    "--target",
    default="root",
    metavar="root|trace|SPAN_ID",
    help="Whose path: the root's, the whole trace's, a span's.",
)
@click.option("--slowest", is_flag=True, help="Slowest traces first; otherwise they come in the order of the file.")
@click.option("--limit", type=click.IntRange(min=0), help="How many traces; 0: all.  [default: 10, with --json all]")
@click.option("--all", "all_rows", is_flag=True, help="Every span of a trace, not only those that matter most.")
@where_option
@setting_flags("overflow", "max_skew_ns", "max_file_bytes")
def command(
    files: tuple[str, ...],
    as_json: bool,
    trace_id: str | None,
    target: str,
    slowest: bool,
    limit: int | None,
    all_rows: bool,
    where: tuple[Condition, ...],
    config: str | None,
    **flags: str | None,
) -> None:
    """Show the critical path of each trace: whom was the request waiting for, at every moment?

    FILE is OTLP (JSON, JSON lines or protobuf), Jaeger JSON or Zipkin v2 JSON, gzip or not; - is stdin.

    \b
      cpdd path traces.json
      cpdd path --slowest --limit 3 traces.otlp.pb.gz
      curl -s 'http://localhost:16686/api/traces?service=shop' | cpdd path -
    """
    settings, _ = read_settings(config, **flags)
    batch = those(read_files(files, settings.max_file_bytes), where)
    traces = Traces(batch, PathPolicy(settings.overflow, settings.max_skew_ns), target)
    chosen = traces.matching(trace_id) if trace_id else traces.numbers
    if not len(chosen):
        raise NotFound("trace", trace_id or "", files, "cpdd path FILE prints the ids of its traces")
    if target not in ("root", "trace"):
        chosen = traces.with_span(chosen, target)
        if not len(chosen):
            raise NotFound("span", target, files, TARGETS)
    if slowest:
        with progress_of_traces("looking for the slowest") as progress:
            chosen = traces.slowest_first(chosen, progress)
    if limit is None and not as_json:
        limit = DEFAULT_LIMIT
    shown = chosen[:limit] if limit else chosen
    if as_json:
        _print_json(traces, shown)
    else:
        _print(traces, shown, len(chosen) - len(shown), all_rows)


def _print_json(traces: Traces, shown: Numbers) -> None:
    """Progress is for who looks at stderr while stdout goes elsewhere."""
    with nullcontext(_silent) if sys.stdout.isatty() else progress_of_traces("explaining") as progress:
        for explained, _ in traces.explained(shown, progress):
            click.echo(orjson.dumps(explained.to_json()))


def _silent(done: int, total: int | None) -> None:
    pass


def _print(traces: Traces, shown: Numbers, left: int, all_rows: bool) -> None:
    printer = Printer()
    look = printer.look
    for position, (explained, batch) in enumerate(traces.explained(shown, _silent)):
        if position:
            printer.print(Text(), Text(look.glyphs.off_path * look.width, QUIET_STYLE), Text())
        printer.print(*path_lines(explained, batch, look, all_rows))
    if left:
        words = f"{look.glyphs.ellipsis} {left:,} more traces: --limit 0 prints all, --slowest begins with the slowest"
        printer.print(Text(), Text(words, QUIET_STYLE))
