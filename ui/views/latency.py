"""The bands of a journey's latency: where the faster and the slower traces spend their time, and with what error."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from collector.core.population.levels import BANDS
from collector.store.bands import WHOLE
from collector.store.values import BandDetail, CallPath, Durations, Latency, LatencyBar, PathPoint
from ui.draw.bars import BarPart, shaded
from ui.draw.histogram import BAND_CLASSES, Column
from ui.draw.over_time import Step
from ui.draw.units import spelled
from ui.views.address import Parameters, examples_address, journey_address
from ui.views.durations import BAND, MAX, MIN, Part, Stretch, stretch_of
from ui.views.page import Visit

_NEAR = 1.001
"""Bounds of one wide bucket are equal but for rounding; those of neighbours are 1.22 apart."""
_TWO_SIDED = 1.96
"""Standard errors on either side of a mean that hold the true one in 95 of 100 cases."""


@dataclass(frozen=True, slots=True)
class BandRow:
    """The traces between two quantiles of latency."""

    name: str
    from_ns: float
    to_ns: float
    traces: int
    weighted_traces: float
    mean_ns: float
    path: tuple[BarPart, ...]
    """By service, with the shades of the whole journey."""
    shade: str
    """Class of its swatch."""
    address: str
    """The journey's page about this band; about all of them where it is chosen already."""
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Contribution:
    """An operation's own time on the path, in the chosen band or in all traces."""

    service: str
    operation: str
    mean_ns: float
    interval_ns: tuple[float, float] | None
    """95 %; where an operation is at several places of the tree, as if their errors added up: never too narrow."""
    share: float
    participation: float
    """The share of traces in which it has time on the path; at least, where it is at several places."""
    places: int
    """Places of the call tree that it is at."""
    examples: str
    """Address of traces of this cell."""


def services_of(paths: Sequence[CallPath]) -> dict[str, float]:
    """Return the mean time on the path by service, the largest first."""
    times: dict[str, float] = {}
    for path in paths:
        times[path.service] = times.get(path.service, 0.0) + path.mean_ns
    return dict(sorted(times.items(), key=lambda item: (-item[1], item[0])))


def band_bar(band: BandDetail, names: Sequence[str]) -> tuple[BarPart, ...]:
    """Return a band's path by service; `names` have a shade each, in this order."""
    if not band.mean_ns:
        return ()
    shares = {service: time / band.mean_ns for service, time in services_of(band.call_paths).items() if time}
    return shaded(shares, band.mean_ns, names)


def band_rows(
    journey: str, latency: Latency, chosen: str, parameters: Mapping[str, str], open: Sequence[str]
) -> tuple[BandRow, ...]:
    names = list(services_of(latency.whole.call_paths))
    return tuple(
        BandRow(
            name=band.name,
            from_ns=band.from_ns,
            to_ns=band.to_ns,
            traces=band.traces,
            weighted_traces=band.weighted_traces,
            mean_ns=band.mean_ns,
            path=band_bar(band, names),
            shade=BAND_CLASSES[BANDS.index(band.name)],
            address=_band_address(journey, "" if band.name == chosen else band.name, parameters, open),
            is_chosen=band.name == chosen,
        )
        for band in latency.bands
    )


def _band_address(journey: str, band: str, parameters: Mapping[str, str], open: Sequence[str]) -> str:
    address = journey_address(journey, {**parameters, BAND.name: band}, open)
    return address and f"{address}#latency"


def part_of(visit: Visit, latency: Latency, durations: Durations | None) -> Part:
    """Return the traces that an address chooses by their duration; all of them where it chooses none, or a band that
    these traces have not."""
    if durations and latency.stretch:
        return Part(latency.stretch, "", stretch_of(durations, latency.stretch))
    name = visit.one_of(BAND.name, (*BANDS, WHOLE))
    detail = next((band for band in latency.bands if band.name == name), latency.whole)
    return Part(detail, "" if detail is latency.whole else name, None)


def contributions(journey: str, part: Part, parameters: Parameters) -> tuple[Contribution, ...]:
    """Return the own time of each operation, the largest first."""
    band, asked = part.detail, {**parameters, "journey": journey, **(part.parameters or {BAND.name: WHOLE})}
    by_operation: dict[tuple[str, str], list[CallPath]] = {}
    for path in band.call_paths:
        if path.mean_ns > 0:
            by_operation.setdefault((path.service, path.operation), []).append(path)
    rows = [_contribution(band, paths, asked) for paths in by_operation.values()]
    return tuple(sorted(rows, key=lambda row: (-row.mean_ns, row.service, row.operation)))


def _contribution(band: BandDetail, paths: Sequence[CallPath], asked: Parameters) -> Contribution:
    mean = sum(path.mean_ns for path in paths)
    errors = [path.error_ns for path in paths if path.error_ns is not None]
    half = _TWO_SIDED * sum(errors)
    largest = max(paths, key=lambda path: path.mean_ns)
    return Contribution(
        service=largest.service,
        operation=largest.operation,
        mean_ns=mean,
        interval_ns=(max(mean - half, 0.0), mean + half) if len(errors) == len(paths) else None,
        share=mean / band.mean_ns if band.mean_ns else 0.0,
        participation=max(path.participation for path in paths),
        places=len(paths),
        examples=examples_address({**asked, "path": str(largest.id)}),
    )


def columns_of(bars: Sequence[LatencyBar]) -> list[Column]:
    """Return the bars of the histogram, the empty ones between them included."""
    columns: list[Column] = []
    for bar in bars:
        while columns and columns[-1].to_ns * _NEAR < bar.from_ns and columns[-1].to_ns > 0:
            last = columns[-1]
            wide = bar.to_ns / bar.from_ns
            columns.append(Column(last.to_ns, min(last.to_ns * wide, bar.from_ns), (0.0,) * len(BANDS)))
        weights = tuple(bar.weighted_traces if bar.band == band else 0.0 for band in BANDS)
        columns.append(Column(bar.from_ns, bar.to_ns, weights))
    return columns


def ends_of(columns: Sequence[Column]) -> list[float]:
    """Return where the bars of a histogram begin, and where the last one ends."""
    return [*(column.from_ns for column in columns), *(column.to_ns for column in columns[-1:])]


def are_inside(columns: Sequence[Column], band: str, stretch: Stretch | None) -> list[bool]:
    """Tell of each bar whether a page about a band, a stretch of durations or neither is about its traces."""
    if stretch is None:
        return [not band or column.weights[BANDS.index(band)] > 0 for column in columns]
    low, high = stretch.from_ns / _NEAR, stretch.to_ns * _NEAR
    return [low <= column.from_ns and column.to_ns <= high for column in columns]


def bar_addresses(
    columns: Sequence[Column], stretch: Stretch | None, journey: str, parameters: Parameters, open: Sequence[str]
) -> list[str]:
    """Return a journey's page about each bar, about all traces where it is about that bar alone already.

    Args:
        parameters: what addresses keep; nothing that chooses durations.
    """
    inside = are_inside(columns, "", stretch)
    alone = stretch is not None and sum(inside) == 1
    chosen: list[Parameters] = [
        {} if alone and inside[i] else {MIN.name: spelled(column.from_ns), MAX.name: spelled(column.to_ns)}
        for i, column in enumerate(columns)
    ]
    addresses = [journey_address(journey, {**parameters, **each}, open) for each in chosen]
    return [address and f"{address}#latency" for address in addresses]


def steps_of(points: Sequence[PathPoint], names: Sequence[str]) -> tuple[Step, ...]:
    """Return the columns of the path over time, in the shades that `names` have."""
    return tuple(
        Step(
            point.start_unix_nano,
            point.mean_ns,
            shaded({share.service: share.share for share in point.path if share.share}, point.mean_ns, names),
        )
        for point in points
    )
