"""`cpdd send`: spans of files to an OTLP/HTTP endpoint."""

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from functools import partial

import click

from collector.receive.files import FileRequest, UnreadableFile, read_requests
from cpdd.cli._files import MOST_TOLD, name_of
from cpdd.cli._otlp_http import EndpointError, OtlpHttpSender, parse_headers, traces_address
from cpdd.cli._progress import progress_of_bytes
from cpdd.cli._requests import moved, newest_time
from cpdd.cli._sending import Run, Totals
from cpdd.cli._settings import read_settings, setting_flags
from cpdd.cli._terminal import say
from cpdd.settings import Origin, Settings

_SAME_IDS = bytes(16)


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), metavar="N", help="At most N spans a second.")
@click.option(
    "--shift-to-now", is_flag=True, help="Move all times so that the newest span ends now; traces get new ids."
)
@click.option(
    "--repeat",
    type=click.IntRange(min=1),
    default=1,
    metavar="N",
    help="Send everything N times, from the second time on with new trace ids.",
)
@click.option(
    "--connections",
    type=click.IntRange(min=1, max=256),
    default=8,
    show_default=True,
    help="Requests under way at once; 1 keeps their order.",
)
@click.option("--json", "as_json", is_flag=True, help="The totals as one JSON object.")
@setting_flags(
    "otlp_endpoint", "otlp_headers", "otlp_compression", "otlp_timeout_ms", "otlp_certificate", "max_file_bytes"
)
def command(
    files: tuple[str, ...],
    rate: float | None,
    shift_to_now: bool,
    repeat: int,
    connections: int,
    as_json: bool,
    config: str | None,
    **flags: str | None,
) -> None:
    """Send the spans of files to any OTLP/HTTP endpoint, in the requests in which they were recorded.

    FILE is OTLP (JSON, JSON lines or protobuf), Jaeger JSON or Zipkin v2 JSON, gzip or not; - is stdin.

    \b
      cpdd send traces.otlp.pb.gz
      cpdd send --endpoint http://localhost:4318 --shift-to-now --rate 1000 traces.json
    """
    settings, origins = read_settings(config, **flags)
    endpoint = _endpoint(settings, origins)
    run = Run(partial(_connect, settings, endpoint, threading.Event()), Totals(endpoint), connections, rate)
    begun = time.monotonic()
    failure: Exception | None = None
    try:
        try:
            for body in _played(_bodies(files, settings.max_file_bytes, run.totals), repeat, shift_to_now):
                run.send(body)
        except KeyboardInterrupt:
            run.stop()
            failure = click.ClickException("interrupted")
        finally:
            run.finish()
    except (EndpointError, UnreadableFile) as error:
        failure = error
    run.totals.duration_s = round(time.monotonic() - begun, 3)
    click.echo(json.dumps(asdict(run.totals)) if as_json else run.totals.words())
    if failure is not None:
        raise failure
    if not run.totals.is_good:
        sys.exit(1)


def _endpoint(settings: Settings, origins: dict[str, Origin]) -> str:
    """A person may leave out scheme and path; the variables of OpenTelemetry are taken as they are."""
    address = settings.otlp_endpoint
    return address if origins["otlp_endpoint"].kind == "environment" else traces_address(address)


def _connect(
    settings: Settings, endpoint: str, reached: threading.Event, wait: Callable[[float], None]
) -> OtlpHttpSender:
    return OtlpHttpSender(
        endpoint,
        parse_headers(settings.otlp_headers),
        settings.otlp_compression == "gzip",
        settings.otlp_timeout_ms / 1000,
        settings.otlp_certificate,
        reached,
        wait,
    )


def _bodies(files: Sequence[str], max_bytes: int, totals: Totals) -> Iterator[bytes]:
    """The requests of all files; tells what of them cannot be read. A file of several may be unreadable, not all."""
    failures = []
    for path in files:
        try:
            with progress_of_bytes(f"sending {os.path.basename(name_of(path))}") as progress:
                told = 0
                for request in read_requests(path, progress, max_bytes):
                    told = _tell(path, request, told)
                    totals.unreadable_spans += request.rejected
                    if request.body:
                        yield request.body
        except UnreadableFile as error:
            failures.append(error)
            if len(failures) == len(files):
                raise
            say(f"cpdd: {error}")


def _tell(path: str, request: FileRequest, told: int) -> int:
    """Say what of a request cannot be read, the first few times; returns how often it was said."""
    odd = [*request.rejections, *([request.problem] if request.problem else [])]
    for thing in odd[: MOST_TOLD - told]:
        say(f"{name_of(path)}: {f'{request.place}: ' if request.place else ''}{thing}")
    return min(told + len(odd), MOST_TOLD)


def _played(bodies: Iterable[bytes], repeat: int, shift_to_now: bool) -> Iterator[bytes]:
    """Requests as often as is asked for, moved to now where that is asked for; only then are they kept in memory."""
    if repeat == 1 and not shift_to_now:
        yield from bodies
        return
    kept = list(bodies)
    newest = newest_time(kept) if shift_to_now else 0
    for turn in range(repeat):
        by_ns = time.time_ns() - newest if shift_to_now else 0
        mask = os.urandom(16) if turn or shift_to_now else _SAME_IDS
        yield from (moved(body, by_ns, mask) for body in kept)
