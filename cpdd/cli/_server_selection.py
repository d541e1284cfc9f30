"""Which traces of a running server: `last 1h`, `14:00..15:00`, `@service.version=1.4`, `p99+`, joined by `@`.

last 1h@service.version=1.4@p99+    the slowest 1 % of the last hour's traces that met release 1.4
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from collector.core.population import Population
from collector.core.population.levels import BANDS
from collector.core.spans import SpanBatch
from cpdd.cli._from import Stretch, seconds_of, stretch_up_to
from cpdd.cli._moments import has_date, read_moment
from cpdd.cli._selection import SEPARATOR, WINDOW, in_band, with_attribute
from cpdd.cli._where import Condition
from cpdd.errors import CpddError

_LAST = "last"
_DAY = timedelta(days=1)


class Unreadable(CpddError):
    """An argument that selects nothing one could ask for."""

    def __init__(self, text: str, problem: str) -> None:
        self.text = text
        self.problem = problem
        super().__init__(
            f"{text!r}: {problem}\n"
            "hint: with --from, 'last 1h' and 14:00..15:00 (UTC) are stretches of time, @key=value is what has an "
            f"attribute, and {BANDS[-1]} a band of latency ({', '.join(BANDS)}); @ joins them"
        )


class NoneSelected(CpddError):
    """A selection that no trace of the answer meets."""

    def __init__(self, argument: str, text: str, problem: str) -> None:
        self.argument = argument
        self.text = text
        super().__init__(f"{argument} is empty, {text!r}: {problem}")


@dataclass(frozen=True, slots=True)
class ServerSelection:
    """What an argument asks for; a part that it does not name restricts nothing."""

    text: str
    stretch: Stretch | None
    conditions: tuple[Condition, ...]
    band: str

    def of(self, population: Population, batch: SpanBatch, stretch: Stretch, argument: str) -> Population:
        """Return the traces that began in the stretch of time, have the attributes, and of those the band.

        Args:
            population: of `batch`.
            argument: what the selection is called in errors.

        Raises:
            NoneSelected: there is none.
        """
        begin = population.start_unix_nano
        chosen = (begin >= stretch.start_unix_nano) & (begin < stretch.end_unix_nano)
        population = self._some(population, chosen, argument, f"began in {stretch.text}")
        for key, value in self.conditions:
            chosen = with_attribute(population, batch, key, value)
            population = self._some(population, chosen, argument, f"has {key}={value}")
        if self.band:
            chosen = in_band(population, self.band)
            population = self._some(population, chosen, argument, f"is in {self.band}")
        return population

    def _some(self, population: Population, chosen: np.ndarray, argument: str, wanted: str) -> Population:
        if not chosen.any():
            raise NoneSelected(argument, self.text, f"none of {len(population):,} traces {wanted}")
        return population.select(chosen)


def read_selection(text: str, now_unix_nano: int) -> ServerSelection:
    """Return what an argument asks for.

    A time without a date is the latest such time: 23:00..01:00 is the last night, even at noon. An @ that no
    selection follows belongs to the value before it, as in user=me@example.org.

    Raises:
        Unreadable: it asks for nothing, or for two stretches of time or bands at once.
    """
    stretches: list[Stretch] = []
    conditions: list[Condition] = []
    bands: list[str] = []
    in_value = False
    for piece in text.removeprefix(SEPARATOR).split(SEPARATOR):
        key, equals, value = piece.partition("=")
        after_value, in_value = in_value, bool(key and equals)
        if in_value:
            conditions.append((key, value))
        elif piece in BANDS:
            bands.append(piece)
        elif WINDOW in piece:
            stretches.append(_window(text, piece, now_unix_nano))
        elif piece.startswith(_LAST) and seconds_of(piece.removeprefix(_LAST).strip()) is not None:
            stretches.append(stretch_up_to(piece.removeprefix(_LAST).strip(), now_unix_nano))
        elif after_value:
            key, value = conditions.pop()
            conditions.append((key, f"{value}{SEPARATOR}{piece}"))
            in_value = True
        else:
            raise Unreadable(text, f"{piece!r} is no selection" if piece else "it selects nothing")
    if len(stretches) > 1 or len(bands) > 1:
        raise Unreadable(text, "two stretches of time" if len(stretches) > 1 else "two bands of latency")
    return ServerSelection(text, stretches[0] if stretches else None, tuple(conditions), bands[0] if bands else "")


def _window(text: str, piece: str, now_unix_nano: int) -> Stretch:
    """The stretch between two moments; up to now where it has no end."""
    begin, _, end = piece.partition(WINDOW)
    today = datetime.fromtimestamp(now_unix_nano // 10**9, UTC)
    if not begin:
        raise Unreadable(text, "from when? a running server may have months of traces")
    try:
        start_ns = read_moment(begin, today)
        if start_ns > now_unix_nano and not has_date(begin):
            start_ns = read_moment(begin, today - _DAY)
        end_ns = _end_after(end, start_ns) if end else now_unix_nano
    except ValueError as error:
        raise Unreadable(text, str(error)) from None
    if not end_ns > start_ns:
        raise Unreadable(text, f"{begin} is not before {end or 'now'}")
    return Stretch(start_ns, end_ns, piece)


def _end_after(end: str, start_ns: int) -> int:
    """The moment; of a time without a date, the first one after the start."""
    day = datetime.fromtimestamp(start_ns // 10**9, UTC)
    end_ns = read_moment(end, day)
    return end_ns if end_ns > start_ns or has_date(end) else read_moment(end, day + _DAY)
