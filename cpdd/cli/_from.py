"""`--from URL`: traces of a running Jaeger or cpdd, for the verbs that read many."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

from collector.core.spans import SpanBatch
from cpdd.cli._jaeger import MOST_AT_ONCE, Asked, choose_service, traces_at
from cpdd.cli._terminal import say
from cpdd.errors import CpddError

LAST = "1h"
_UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_AGO = re.compile(rf"0*([1-9]\d{{0,8}})\s*([{''.join(_UNITS_S)}])", re.ASCII)

_Command = TypeVar("_Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of time, [start, end) in ns, and how it was asked for."""

    start_unix_nano: int
    end_unix_nano: int
    text: str


@dataclass(frozen=True, slots=True)
class Source:
    """A running query API, and which of its traces are asked for at any time."""

    base: str
    service: str
    operation: str
    limit: int


class NothingFound(CpddError):
    """A query that found no trace."""

    def __init__(self, source: Source, stretch: Stretch) -> None:
        self.source = source
        self.stretch = stretch
        times = (stretch.start_unix_nano, stretch.end_unix_nano)
        begin, end = (f"{datetime.fromtimestamp(ns // 10**9, UTC):%Y-%m-%dT%H:%M:%SZ}" for ns in times)
        super().__init__(
            f"no traces of service {source.service!r} in {stretch.text}\n  at {source.base}, {begin} to {end}\n"
            "hint: --last 24h looks farther back; cpdd report --from ADDRESS names the services"
        )


class Ago(click.ParamType[str]):
    """A stretch of time up to now: 30m, 1h, 7d."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if seconds_of(str(value)) is None:
            self.fail(f"{str(value)!r} is no stretch of time such as 30m, 1h or 7d", param, ctx)
        return str(value)


def from_options(command: _Command) -> _Command:
    """Give a command `--from` and what goes with it; it receives `base`, `service`, `operation`, `last`, `limit`."""
    for decorate in (
        click.option(
            "--limit",
            type=click.IntRange(min=1),
            default=MOST_AT_ONCE,
            show_default=True,
            help="With --from: most traces.",
        ),
        click.option("--last", type=Ago(), default=LAST, show_default=True, help="With --from: how far to look back."),
        click.option("--operation", metavar="NAME", default="", help="With --from: traces with this operation."),
        click.option("--service", metavar="NAME", help="With --from: traces of this service."),
        click.option(
            "--from", "base", metavar="URL", help="Read a running Jaeger or cpdd instead: http://localhost:16686."
        ),
    ):
        decorate(command)
    return command


def source_of(base: str, service: str | None, operation: str, limit: int) -> Source:
    """Return where to ask; without a name it is the only service there is.

    Raises:
        QueryError: nobody answers there, or there are several services.
    """
    return Source(base, choose_service(base, service), operation, limit)


def seconds_of(text: str) -> int | None:
    """Return the length of `30m`; None for what is none.

    >>> seconds_of("30m"), seconds_of("1 h"), seconds_of("0s"), seconds_of("1y")
    (1800, 3600, None, None)
    """
    match = _AGO.fullmatch(text)
    return int(match[1]) * _UNITS_S[match[2]] if match else None


def stretch_up_to(last: str, now_unix_nano: int) -> Stretch:
    """Return the stretch of a length such as 1h that ends now."""
    seconds = seconds_of(last)
    if seconds is None:
        raise ValueError(f"{last!r} is no stretch of time")
    return Stretch(max(now_unix_nano - seconds * 10**9, 0), now_unix_nano, f"the last {last}")


def read_from(source: Source, stretch: Stretch) -> SpanBatch:
    """Return the spans of the newest traces of a stretch of time; says when there may be more.

    Raises:
        NothingFound, QueryError: there is none, or no answer.
    """
    answered = traces_at(
        source.base,
        Asked(source.service, source.operation, stretch.start_unix_nano, stretch.end_unix_nano, source.limit),
    )
    if not len(answered.spans):
        raise NothingFound(source, stretch)
    if answered.reached(source.limit):
        say(f"cpdd: there may be more than {answered.traces:,} traces in {stretch.text}; the newest were read")
    if answered.rejected:
        say(f"cpdd: {answered.rejected:,} spans of the answer could not be read")
    return answered.spans
