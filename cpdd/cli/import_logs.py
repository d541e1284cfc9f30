"""`cpdd import-logs`: a load balancer's log as spans, to any OTLP/HTTP endpoint."""

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial

import click
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan

from cpdd.cli._files import MOST_TOLD
from cpdd.cli._lb_follow import follow_lines
from cpdd.cli._lb_log import READERS, BadLine
from cpdd.cli._lb_spans import spans_of
from cpdd.cli._otlp_http import EndpointError, OtlpHttpSender, parse_headers, traces_address
from cpdd.cli._settings import read_settings, setting_flags
from cpdd.cli._terminal import say
from cpdd.encoding import encode_request

MAX_BATCH = 1000
POLL_S = 0.25


@dataclass(slots=True)
class Totals:
    """What became of the lines."""

    lines: int = 0
    unreadable: int = 0
    not_kept: int = 0
    """Requests whose trace is not sampled."""
    spans: int = 0
    lost_spans: int = 0

    def words(self) -> str:
        parts = [f"{self.lines:,} lines, {self.spans:,} spans sent"]
        for number, what in (
            (self.not_kept, "requests of traces that are not kept"),
            (self.unreadable, "lines unreadable"),
            (self.lost_spans, "spans lost"),
        ):
            if number:
                parts.append(f"{number:,} {what}")
        return "; ".join(parts)


@dataclass(slots=True)
class Importer:
    """Lines in, requests out."""

    source: str
    format: str
    resource: Resource
    sender: OtlpHttpSender
    goes_on: bool
    """Whether to go on where the endpoint does not take spans: who follows a log does."""
    totals: Totals = field(default_factory=Totals)
    _waiting: list[ReadableSpan] = field(default_factory=list)
    _failing: bool = False

    def take(self, line: str) -> None:
        """Read a line; send when enough are waiting."""
        self.totals.lines += 1
        try:
            spans = spans_of(READERS[self.format](line), self.resource)
        except (BadLine, ValueError, TypeError) as error:
            self.totals.unreadable += 1
            if self.totals.unreadable <= MOST_TOLD:
                say(f"{self.source} line {self.totals.lines}: {error}")
            return
        self.totals.not_kept += not spans
        self._waiting += spans
        if len(self._waiting) >= MAX_BATCH:
            self.send()

    def send(self) -> None:
        """Send what is waiting. Raises EndpointError where nobody takes it, unless it goes on all the same."""
        spans, self._waiting = self._waiting, []
        if not spans:
            return
        try:
            accepted = self.sender.send(encode_request(spans))
        except EndpointError as error:
            self.totals.lost_spans += len(spans)
            if not self.goes_on:
                raise
            if not self._failing:
                say(f"cpdd: spans are lost: {error}")
            self._failing = True
            return
        except KeyboardInterrupt:
            self._waiting = spans + self._waiting  # they may have been taken: sent twice, they are stored once
            raise
        if self._failing:
            say("cpdd: spans arrive again")
        self._failing = False
        self.totals.spans += len(spans) - accepted.rejected_spans
        self.totals.lost_spans += accepted.rejected_spans


@click.command()
@click.argument("file", default="-")
@click.option("--format", "form", type=click.Choice(sorted(READERS)), required=True, help="Which balancer wrote it.")
@click.option("--follow", is_flag=True, help="Go on as the file grows, across rotation.")
@click.option("--service", help="service.name of the spans.  [default: nginx or haproxy]")
@click.option("--json", "as_json", is_flag=True, help="The totals as one JSON object.")
@setting_flags("otlp_endpoint", "otlp_headers", "otlp_compression", "otlp_timeout_ms", "otlp_certificate")
def command(
    file: str, form: str, follow: bool, service: str | None, as_json: bool, config: str | None, **flags: str | None
) -> None:
    """Send a load balancer's log as spans: a SERVER span a request, a CLIENT span an attempt to get it answered.

    FILE is written by the configuration of cpdd lb-config; - is stdin. A log imported twice gives the same spans.

    \b
      cpdd import-logs --format nginx-json /var/log/nginx/cpdd.json
      cpdd import-logs --format nginx-json --follow /var/log/nginx/cpdd.json
      haproxy -f haproxy.cfg | cpdd import-logs --format haproxy-json
    """
    settings, origins = read_settings(config, **flags)
    address = settings.otlp_endpoint
    sender = OtlpHttpSender(
        address if origins["otlp_endpoint"].kind == "environment" else traces_address(address),
        parse_headers(settings.otlp_headers),
        settings.otlp_compression == "gzip",
        settings.otlp_timeout_ms / 1000,
        settings.otlp_certificate,
    )
    resource = Resource({"service.name": service or form.partition("-")[0], "host.name": socket.gethostname()})
    importer = Importer(file, form, resource, sender, follow)
    try:
        with _ended_by_sigterm_too():
            for line in _lines(file, follow):
                if line is None:
                    importer.send()
                elif line.strip():
                    importer.take(line)
        importer.send()
    except KeyboardInterrupt:
        importer.send()
    finally:
        sender.close()
        click.echo(json.dumps(asdict(importer.totals)) if as_json else importer.totals.words())
    if importer.totals.unreadable or importer.totals.lost_spans or not importer.totals.lines:
        sys.exit(1)


@contextmanager
def _ended_by_sigterm_too() -> Iterator[None]:
    """SIGTERM, as supervisors send it, ends a block like Ctrl-C: what is waiting is sent."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _lines(path: str, follow: bool) -> Iterator[str | None]:
    """The lines of a file, None where it is a good moment to send."""
    if follow and path != "-":
        yield from follow_lines(path, partial(_pause, POLL_S))
    elif path == "-":
        yield from _piped_lines()
    else:
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                yield from file
        except OSError as error:
            raise click.ClickException(f"cannot read {path}: {error.strerror}") from error


def _piped_lines() -> Iterator[str | None]:
    """What comes in, as it comes: a balancer in front of the pipe may write a line an hour."""
    rest = b""
    while chunk := os.read(sys.stdin.fileno(), 1 << 16):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line.decode("utf-8", "replace") for line in lines)
        yield None
    yield rest.decode("utf-8", "replace")


def _pause(seconds: float) -> bool:
    time.sleep(seconds)
    return True
