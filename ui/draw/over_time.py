"""The critical path over time: a column a step, as high as its traces took on average, cut by service. Pure.

    ▒
  ▒ ▓      ▒        the shades are those of the path bar beside it;
▒ ▓ █ ▒  ▒ ▓        a step without traces is a gap
█ █ █ █  █ █
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ui.draw.bars import BarPart
from ui.draw.svg import Shape, pick, picture, shape, stretched, title
from ui.draw.text import shown
from ui.draw.units import duration, moment, whole_percent

HEIGHT = 96


@dataclass(frozen=True, slots=True)
class Step:
    """One column. Without parts it is a gap."""

    start_unix_nano: int
    mean_ns: float
    parts: tuple[BarPart, ...]


def over_time(steps: Sequence[Step], name: str, hrefs: Sequence[str] = ()) -> Shape:
    """Return the picture, as wide as the page lets it be.

    Args:
        hrefs: where a click on a column leads, by step.
    """
    highest = max((step.mean_ns for step in steps), default=0.0)
    columns = [
        _column(i, step, highest, hrefs[i] if hrefs else "") for i, step in enumerate(steps) if step.parts and highest
    ]
    return picture(
        stretched(*columns, width=max(len(steps), 1), height=HEIGHT),
        view=(100, HEIGHT),
        name=name,
        description=_words(steps),
        class_="over-time",
        fluid=True,
        role="group" if hrefs else "img",
    )


def _column(i: int, step: Step, highest: float, href: str) -> Shape:
    largest = ", ".join(f"{shown(part.name)} {whole_percent(part.share)}" for part in step.parts)
    words = f"{moment(step.start_unix_nano)}: {duration(step.mean_ns)} on average, {largest}"
    drawn: list[Shape] = []
    bottom = float(HEIGHT)
    for part in step.parts:
        tall = (HEIGHT - 2) * part.mean_ns / highest
        bottom -= tall
        drawn.append(shape("rect", x=i + 0.05, y=bottom, width=0.9, height=tall, class_=part.shade))
    return pick(i, words, href, HEIGHT, *drawn) if href else shape("g", title(words), *drawn)


def _words(steps: Sequence[Step]) -> str:
    seen = [step for step in steps if step.parts]
    if not seen:
        return "no traces"
    highest = max(seen, key=lambda step: step.mean_ns)
    return (
        f"from {duration(seen[0].mean_ns)} to {duration(seen[-1].mean_ns)} on average; "
        f"highest {duration(highest.mean_ns)} at {moment(highest.start_unix_nano)}"
    )
