"""The histogram of latency: a bar a step of a logarithmic scale, cut into bands. Pure.

|▂▆█▅▂▁ ▁▃▂▁   ▁|        how many traces took how long; the darker, the slower the band;
10 ms      100 ms        below it the scale, and above it where p50, p90 and p99 lie
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

from ui.draw.svg import Shape, pick, picture, shape, share_of_width, stretched, title
from ui.draw.units import count, duration

HEIGHT = 176
SCALE = 20
BAND_CLASSES = ("band-0", "band-1", "band-2", "band-3")


@dataclass(frozen=True, slots=True)
class Column:
    """A bar and how much of it lies in each band."""

    from_ns: float
    to_ns: float
    weights: tuple[float, ...]

    @property
    def total(self) -> float:
        return sum(self.weights)


def histogram(
    columns: Sequence[Column],
    bands: Sequence[str],
    name: str,
    hrefs: Sequence[str] = (),
    inside: Sequence[bool] = (),
) -> Shape:
    """Return the picture, as wide as the page lets it be.

    Args:
        hrefs: where a click on a bar leads, by column.
        inside: by column, whether the rest of the page is about its traces; the others step back. All unless said.
    """
    highest = max((column.total for column in columns), default=0.0)
    bars: list[Shape] = []
    for i, column in enumerate(columns):
        drawn = [bar for band in range(len(bands)) if (bar := _bar(i, column, band, bands, highest, bool(hrefs)))]
        look = "dim" if inside and not inside[i] else ""
        if drawn and hrefs:
            words = _bar_words(column, column.total, _bands_of(column, bands))
            bars.append(pick(i, words, hrefs[i], HEIGHT, *drawn, look=look))
        else:
            bars += drawn
    return picture(
        stretched(*bars, width=max(len(columns), 1), height=HEIGHT),
        *_scale(columns),
        view=(100, HEIGHT + SCALE),
        name=name,
        description=_words(columns, bands),
        class_="histogram",
        fluid=True,
        role="group" if hrefs else "img",
    )


def _bar(i: int, column: Column, band: int, bands: Sequence[str], highest: float, is_named: bool) -> Shape | None:
    """One band's part of a column; the faster bands stand below it. None where it has none.

    Args:
        is_named: what is around it says what it is.
    """
    weight = column.weights[band]
    if not weight or not highest:
        return None
    tall = [max((HEIGHT - 4) * part / highest, 1.0) if part else 0.0 for part in column.weights[: band + 1]]
    return shape(
        "rect",
        *(() if is_named else (title(_bar_words(column, weight, bands[band])),)),
        x=i + 0.06,
        y=HEIGHT - sum(tall),
        width=0.88,
        height=tall[-1],
        class_=BAND_CLASSES[band],
    )


def _bands_of(column: Column, bands: Sequence[str]) -> str:
    return ", ".join(band for band, weight in zip(bands, column.weights, strict=True) if weight)


def _bar_words(column: Column, weight: float, band: str) -> str:
    return f"{duration(column.from_ns)} to {duration(column.to_ns)}: {count(weight)} traces, {band}"


def _scale(columns: Sequence[Column]) -> list[Shape]:
    """The axis, and round durations along it."""
    if not columns:
        return []
    low, high = columns[0].from_ns, columns[-1].to_ns
    line = shape("line", x1=0, x2="100%", y1=HEIGHT + 0.5, y2=HEIGHT + 0.5, class_="axis")
    ticks = []
    values = round_durations(low, high)
    for value in values if len(values) > 1 else (low, high):
        at = log(value / low) / log(high / low)
        anchor = "start" if at < 0.05 else "end" if at > 0.95 else "middle"
        x = share_of_width(at, 1.0)
        ticks.append(shape("line", x1=x, x2=x, y1=HEIGHT, y2=HEIGHT + 4, class_="axis"))
        ticks.append(shape("text", duration(value), x=x, y=HEIGHT + 16, text_anchor=anchor, class_="axis-text"))
    return [line, *ticks]


def round_durations(low_ns: float, high_ns: float, most: int = 5) -> list[float]:
    """Return up to about `most` round durations between two, for a logarithmic axis.

    >>> [value / 1e6 for value in round_durations(12e6, 900e6)]
    [20.0, 50.0, 100.0, 200.0, 500.0]
    """
    for steps in ((1, 2, 5), (1, 3), (1,)):
        found = [
            float(step * 10**power) for power in range(20) for step in steps if low_ns <= step * 10**power <= high_ns
        ]
        if len(found) <= most + 1:
            return found
    return found[:: -(-len(found) // most)]


def _words(columns: Sequence[Column], bands: Sequence[str]) -> str:
    seen = [column for column in columns if column.total]
    if not seen:
        return "no traces"
    highest = max(seen, key=lambda column: column.total)
    return (
        f"from {duration(seen[0].from_ns)} to {duration(seen[-1].to_ns)}; "
        f"most traces between {duration(highest.from_ns)} and {duration(highest.to_ns)}"
    )
