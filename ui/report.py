"""The report as one HTML page that needs nothing else: no script, no server, no second file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from collector.core.findings.message import fact_words
from collector.core.population.levels import BANDS
from collector.core.population.parts import Part
from collector.core.population.report import Band, JourneyReport, Report
from collector.store.values import CallPath
from ui.draw import bars, text, units
from ui.draw.bars import BarPart
from ui.draw.flame import flame_graph
from ui.draw.histogram import Column, histogram
from ui.draw.svg import Shape
from ui.filters import equip

STATIC = Path(__file__).parent / "static"
STYLES = ("theme.css", "page.css", "report.css")
MOST_JOURNEYS = 12
"""Journeys that are shown in full; the others are rows of the first table."""


@dataclass(frozen=True, slots=True)
class Chapter:
    """One journey, as it is drawn."""

    journey: JourneyReport
    anchor: str
    answer: str
    bands: tuple[tuple[Band, tuple[BarPart, ...]], ...]
    pictures: Mapping[str, Shape]


def render_report(report: Report, title: str, made: str) -> str:
    """Return the page.

    Args:
        title: what the traces are, e.g. the name of their file.
        made: when, and by what.
    """
    style = Markup("\n".join((STATIC / name).read_text(encoding="utf-8") for name in STYLES))
    chapters = [chapter(journey, number) for number, journey in enumerate(report.journeys[:MOST_JOURNEYS], 1)]
    page: str = (
        _environment()
        .get_template("report.html")
        .render(report=report, title=title, made=made, style=style, chapters=chapters, bands=BANDS)
    )
    return page


def chapter(journey: JourneyReport, number: int) -> Chapter:
    columns = [Column(bar.from_ns, bar.to_ns, bar.weights) for bar in journey.histogram]
    name = text.shown(journey.journey)
    return Chapter(
        journey=journey,
        anchor=f"journey-{number}",
        answer=answer(journey),
        bands=band_bars(journey.bands),
        pictures={
            "flame": flame_graph(call_paths(journey), f"Critical path of {name} by call, a mean over its traces"),
            "histogram": histogram(columns, BANDS, f"Latency of {name}"),
        },
    )


def answer(journey: JourneyReport) -> str:
    """Say in a sentence or two where the time goes, and what the slowest have more of."""
    largest = [(part, m) for part, m in journey.parts.items() if m.share >= 0.05][:2]
    said = [f"{units.whole_percent(m.share)} is {part_words(part)}" for part, m in largest]
    sentences = [f"Of {units.duration(journey.mean_ns)} on average, {text.in_a_row(said)}."] if said else []
    tail = max(journey.parts.items(), key=lambda item: item[1].tail_contribution, default=None)
    if tail is not None and tail[1].tail_contribution >= 0.2 and journey.traces >= 50:
        sentences.append(
            f"What makes the slowest 1 % slow is above all {part_words(tail[0])}: "
            f"{units.whole_percent(tail[1].tail_contribution)} of what they take longer than the faster half."
        )
    if journey.waste.share >= 0.01:
        sentences.append(f"{units.whole_percent(journey.waste.share)} goes into attempts and calls that failed.")
    return " ".join(sentences) or "No time is on the path."


def part_words(part: Part) -> str:
    """Name a part in running text."""
    if part.is_gap:
        return f"the way from {text.shown(part.caller_service)} to {text.shown(part.service)}"
    return f"{text.shown(part.service)} {text.shown(part.operation)}".rstrip()


def call_paths(journey: JourneyReport) -> list[CallPath]:
    return [
        CallPath(
            id=number,
            parent=place.parent + 1,
            service=place.service,
            operation=place.operation,
            kind=place.kind,
            mean_ns=time.self_ns,
            participation=time.participation,
        )
        for number, (place, time) in enumerate(journey.places, 1)
    ]


def band_bars(bands: Sequence[Band]) -> tuple[tuple[Band, tuple[BarPart, ...]], ...]:
    """Return the bar of each band; what has a shade in one has it in all, so that bands can be compared."""
    whole: dict[str, float] = {}
    for band in bands:
        for name, share in _by_name(band).items():
            whole[name] = whole.get(name, 0.0) + share * band.mean_ns * band.weight
    names = sorted(whole, key=lambda name: (-whole[name], name))
    return tuple((band, bars.shaded(_by_name(band), band.mean_ns, names)) for band in bands)


def _by_name(band: Band) -> dict[str, float]:
    """Share by service, and by both ends of a way."""
    shares: dict[str, float] = {}
    for part, share in band.parts:
        name = f"{part.caller_service} → {part.service}" if part.is_gap else part.service
        shares[name] = shares.get(name, 0.0) + share
    return shares


def _environment() -> Environment:
    environment = Environment(loader=PackageLoader("ui"), autoescape=True)
    equip(environment)
    environment.globals.update(part_words=part_words, fact_words=fact_words)
    return environment
