"""Which traces of a file: `traces.json@p99+`, `traces.json@10:00..10:30`, `traces.json@service.version=1.4`.

A file whose own name ends so is that file.
"""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from collector.core.having import traces_having
from collector.core.population import Population
from collector.core.population.levels import BANDS, bands_of
from collector.core.spans import SpanBatch
from collector.receive.files import STDIN
from cpdd.cli._files import name_of
from cpdd.cli._moments import read_moment
from cpdd.errors import CpddError

SEPARATOR = "@"
WINDOW = ".."


class BadSelection(CpddError):
    """A selection that cannot be read, or that selects nothing."""

    def __init__(self, selection: str, path: str, problem: str) -> None:
        self.selection = selection
        self.problem = problem
        super().__init__(
            f"{name_of(path)}@{selection}: {problem}\n"
            f"hint: FILE@{BANDS[-1]} is a band of latency ({', '.join(BANDS)}), FILE@10:00..10:30 a stretch of time in "
            "UTC, FILE@key=value the traces with a span or resource that has the attribute"
        )


def split(text: str) -> tuple[str, str]:
    """Return the file and the selection, "" for all of it."""
    path, separator, selection = text.rpartition(SEPARATOR)
    is_file = text == STDIN or Path(text).exists()
    if is_file or not separator or not (path == STDIN or Path(path).exists()):
        return text, ""
    return path, selection


def select(population: Population, batch: SpanBatch, selection: str, path: str) -> Population:
    """Return the traces that are selected, of the population of `batch`.

    Raises:
        BadSelection: it cannot be read, or no trace is selected.
    """
    if not selection:
        return population
    if selection in BANDS:
        chosen = in_band(population, selection)
    elif WINDOW in selection:
        low, high = _window(selection, path, population)
        chosen = (population.start_unix_nano >= low) & (population.start_unix_nano < high)
    elif "=" in selection:
        key, _, value = selection.partition("=")
        chosen = with_attribute(population, batch, key, value)
    else:
        raise BadSelection(selection, path, f"{selection!r} is no selection")
    if not chosen.any():
        raise BadSelection(selection, path, f"none of {len(population):,} traces is selected")
    return population.select(chosen)


def _window(selection: str, path: str, population: Population) -> tuple[int, int]:
    """Begin and end in ns; a time without a date is of the day of the first trace."""
    begin, _, end = selection.partition(WINDOW)
    first = datetime.fromtimestamp(int(population.start_unix_nano.min()) // 10**9, UTC)
    try:
        return read_moment(begin, first) if begin else 0, read_moment(end, first) if end else 2**63 - 1
    except ValueError as error:
        raise BadSelection(selection, path, str(error)) from None


def in_band(population: Population, band: str) -> NDArray[np.bool_]:
    """Tell of each trace whether it is in a band of latency."""
    chosen: NDArray[np.bool_] = bands_of(population.duration_ns, population.weight) == BANDS.index(band)
    return chosen


def with_attribute(population: Population, batch: SpanBatch, key: str, value: str) -> NDArray[np.bool_]:
    """Tell of each trace whether one of its spans, or what sent it, has the attribute."""
    rows = np.flatnonzero(traces_having(batch, key, value))
    found = {batch.trace_id(row) for row in rows.tolist()}
    return np.array([trace_id in found for trace_id in population.trace_id], bool)
