"""Traces of one cell: a band or stretch of latency and a place of the call tree. The slowest, typical, failed one."""

from dataclasses import dataclass

from collector.store.bands import WHOLE
from collector.store.values import CallPath, TraceSummary
from ui.draw.text import count_of, shown
from ui.draw.units import duration
from ui.views.address import journey_address
from ui.views.durations import BAND, MAX, MIN, Part, durations_of
from ui.views.errors import BadAddress, NothingThere
from ui.views.journey import Example, example_of, no_trace
from ui.views.latency import part_of
from ui.views.page import RANGE_PARAMETERS, Page, Parameter, Visit
from ui.views.time_range import TimeRange
from ui.views.where import WHERE, chosen_by, kept_of, where_of


@dataclass(frozen=True, slots=True)
class CellExample:
    title: str
    """`Slowest`, `Typical` or `Failed`."""
    because: str
    example: Example | None
    """None: no trace of the cell is like that."""


@dataclass(frozen=True, slots=True)
class ExamplesPage:
    range: TimeRange
    journey: str
    journey_address: str
    band: str
    """A band of latency, `all`, or the durations that were chosen, in words."""
    service: str
    operation: str
    answer: str
    examples: tuple[CellExample, ...]


def examples_view(visit: Visit) -> ExamplesPage:
    """Return the traces that show a cell; raises NothingThere where the cell is empty."""
    journey, number = visit.query.get("journey", ""), visit.query.get("path", "")
    if not number.isascii() or not number.isdigit() or len(number) > 20 or int(number) >= 2**64:
        raise BadAddress(f"path={shown(number)} is no call path", hint="the table of a journey links to its cells")
    where, durations = where_of(visit, journey), durations_of(visit)
    chosen = chosen_by(where)
    latency = visit.reader.latency(journey, visit.range.window, chosen, durations)
    if latency is None:
        raise no_trace(visit, journey, where)
    part = part_of(visit, latency, durations)
    at = {**visit.range.parameters, **kept_of(visit.query), **part.parameters}
    place = next((path for path in part.detail.call_paths if path.id == int(number)), None)
    if place is None:
        raise NothingThere(
            f"no trace of {shown(journey)} has such a call on its path among {part.traces}",
            "the journey's page has what there is",
            journey_address(journey, at),
        )
    found = visit.reader.band_examples(journey, visit.range.window, part.detail, place.id, chosen)
    return ExamplesPage(
        range=visit.range,
        journey=journey,
        journey_address=journey_address(journey, at),
        band=part.words or WHOLE,
        service=place.service,
        operation=place.operation,
        answer=_answer(part, place, where.text if where else ""),
        examples=(
            _example("Slowest", "the longest of them all", found.slowest),
            _example("Typical", "its time there is nearest to the median", found.typical),
            _example("Failed", "the slowest that failed", found.failed),
        ),
    )


def _example(title: str, because: str, trace: TraceSummary | None) -> CellExample:
    return CellExample(title, because, example_of(trace) if trace else None)


def _answer(part: Part, place: CallPath, where: str) -> str:
    which = part.traces + (f" with {shown(where)}" if where else "")
    return (
        f"{shown(place.service)} {shown(place.operation)} has {duration(place.mean_ns)} of its own on the path of "
        f"{which} ({count_of(part.detail.traces, 'trace')}, {duration(part.detail.mean_ns)} on average)."
    )


PAGE = Page(
    name="examples",
    address="/examples",
    template="examples.html",
    view=examples_view,
    value=ExamplesPage,
    summary="Traces that show one cell of a journey: a band of latency and a call",
    parameters=(
        Parameter("journey", "the journey"),
        BAND,
        MIN,
        MAX,
        Parameter("path", "id of the call path, as the journey's page has it"),
        WHERE,
        *RANGE_PARAMETERS,
    ),
)
