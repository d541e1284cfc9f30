"""The path bar and the sparkline: a row's two small pictures. Pure; the page's width is theirs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from collector.store.values import PathShare, Point
from ui.draw.svg import Shape, pick, picture, points, shape, share_of_width, stretched, title
from ui.draw.text import shown
from ui.draw.units import count, duration, moment, percent, whole_percent

SHADES = 4
"""Shades of the path's colour; what is beyond them is one part without a name."""


@dataclass(frozen=True, slots=True)
class BarPart:
    """A part of the path bar and its word."""

    name: str
    share: float
    mean_ns: float
    shade: str
    """Class of theme.css: `path-1` (largest) to `path-4`, or `path-rest`."""


def bar_parts(path: Sequence[PathShare], parts: int = SHADES) -> tuple[BarPart, ...]:
    """Return the first `parts` services of a path with a shade each, and the others as one."""
    named = [share for share in path if share.share > 0]
    bar = [BarPart(share.service, share.share, share.mean_ns, f"path-{i + 1}") for i, share in enumerate(named[:parts])]
    rest = named[parts:]
    if rest:
        name = rest[0].service if len(rest) == 1 else f"{len(rest)} others"
        bar.append(BarPart(name, sum(s.share for s in rest), sum(s.mean_ns for s in rest), "path-rest"))
    return tuple(bar)


def shaded(shares: Mapping[str, float], mean_ns: float, names: Sequence[str]) -> tuple[BarPart, ...]:
    """Return a bar in which each of `names` has the shade of its place, so that several bars can be compared."""
    parts = [
        BarPart(name, shares[name], shares[name] * mean_ns, f"path-{i}")
        for i, name in enumerate(names[:SHADES], 1)
        if shares.get(name)
    ]
    rest = sorted((name for name in shares if name not in names[:SHADES]), key=lambda name: -shares[name])
    share = sum(shares[name] for name in rest)
    if share:
        words = rest[0] if len(rest) == 1 else f"{len(rest)} others, most {rest[0]}"
        parts.append(BarPart(words, share, share * mean_ns, "path-rest"))
    return tuple(parts)


def path_bar(
    parts: Sequence[BarPart], name: str = "Where the critical path spends its time", height: int = 10
) -> Shape:
    """Return one bar of full width, cut into the parts."""
    total = sum(part.share for part in parts)
    drawn: list[Shape] = []
    x = 0.0
    for part in parts:
        words = f"{shown(part.name)}: {percent(part.share)} of the path, {duration(part.mean_ns)} per trace"
        drawn.append(
            shape(
                "rect",
                title(words),
                x=share_of_width(x, total),
                y=0,
                width=share_of_width(part.share, total),
                height=height,
                class_=part.shade,
            )
        )
        x += part.share
    description = ", ".join(f"{shown(part.name)} {whole_percent(part.share)}" for part in parts)
    return picture(*drawn, view=(100, height), name=name, description=description, class_="path-bar", fluid=True)


def sparkline(
    series: Sequence[Point], height: int = 28, name: str = "p95 over time", hrefs: Sequence[str] = ()
) -> Shape:
    """Return p95 as a line through the middles of its steps, a gap where no trace was; failed traces as marks below, by
    their share.

    Args:
        hrefs: where a click on a step leads, by step.
    """
    top = max((point.p95_ns for point in series), default=0.0)
    floor = height - 5
    links = [
        pick(i, _step_words(point), href, height)
        for i, (point, href) in enumerate(zip(series, hrefs, strict=False))
        if point.traces > 0
    ]
    lines = [_line(run, series, top, floor) for run in _runs(series)]
    marks = [_failed_mark(i, point, height) for i, point in enumerate(series) if point.failed > 0]
    return picture(
        stretched(*links, *lines, *marks, width=max(len(series), 1), height=height),
        view=(100, height),
        name=name,
        description=_spark_words(series),
        class_="spark",
        fluid=True,
        role="group" if links else "img",
    )


def _runs(series: Sequence[Point]) -> list[list[int]]:
    """Positions of neighbouring points that have traces."""
    runs: list[list[int]] = []
    for i, point in enumerate(series):
        if point.traces > 0:
            if runs and runs[-1][-1] == i - 1:
                runs[-1].append(i)
            else:
                runs.append([i])
    return runs


def _line(run: list[int], series: Sequence[Point], top: float, floor: float) -> Shape:
    at = [(i + 0.5, floor - (floor - 2) * series[i].p95_ns / top if top else floor) for i in run]
    if len(at) == 1:  # a line without length has round ends: a dot
        return shape("path", d=f"{points(at)}h0", class_="spark-line spark-dot", vector_effect="non-scaling-stroke")
    return shape("path", d=points(at), class_="spark-line", vector_effect="non-scaling-stroke")


def _failed_mark(i: int, point: Point, height: int) -> Shape:
    tall = 2 + 3 * min(1.0, point.failed / point.traces if point.traces else 1.0)
    return shape("rect", x=i, y=height - tall, width=1, height=tall, class_="spark-failed")


def _step_words(point: Point) -> str:
    failed = f", {percent(point.failed / point.traces)} failed" if point.failed else ""
    return f"{moment(point.start_unix_nano)}: p95 {duration(point.p95_ns)}, {count(point.traces)} traces{failed}"


def _spark_words(series: Sequence[Point]) -> str:
    seen = [point for point in series if point.traces > 0]
    if not seen:
        return "no traces"
    failed, traces = sum(p.failed for p in seen), sum(p.traces for p in seen)
    highest = max(seen, key=lambda p: p.p95_ns)
    return (
        f"p95 from {duration(seen[0].p95_ns)} to {duration(seen[-1].p95_ns)}, "
        f"highest {duration(highest.p95_ns)}; {percent(failed / traces)} failed"
    )
