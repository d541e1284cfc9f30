"""The dependency graph of a journey: services as boxes, their operations as rows, calls as wires. Pure.

The critical path has its colour and a width by its share. Mandatory calls are solid with a filled arrow, optional
ones dashed with an open arrow, mixed ones dash-dotted, undetermined ones dotted with a "?".
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from ui.draw.layout import Box, Layout, Placed, Spacing, Wire, layered
from ui.draw.svg import Shape, link, picture, points, shape, title
from ui.draw.text import shown
from ui.draw.units import whole_percent

TITLE_HEIGHT = 30
ROW_HEIGHT = 22
_PADDING = 10
_TEXT_WIDTH = 7.2
"""Pixels of a character of a box's text, rounded up; a longer text is cut."""
_LEAST_WIDTH, _GREATEST_WIDTH = 136, 280
_SHARE_WIDTH = 48
_STRAIGHT = 40.0
"""How many ordinary calls a call with all of the path outweighs in the layout."""
_SHRINKS_TO = 0.8
_FITS_BESIDE = 1040
"""Pixels that a page on a common screen has beside its column of figures."""
_PATH_FROM = 0.005
"""A call in which less of the path lies is drawn as off the path."""
_LABELLED = 60
"""Calls of a picture in which each has a figure."""
_SLOPES = 12
"""A wire that ends so many pixels lower than it came in comes from above: words above its end would lie on it."""
_FAILING_FROM = 0.01
"""Share of failed calls from which the picture says so."""


@dataclass(frozen=True, slots=True)
class GraphRow:
    """An operation inside its service's box."""

    name: str
    share: float
    """Of the critical path, its own."""
    through: float = 0.0
    """Of the critical path, its own and that of what it calls."""


@dataclass(frozen=True, slots=True)
class GraphBox:
    """A service, or a callee without spans of its own."""

    id: str
    name: str
    kind: str
    """`service`, `database`, `queue` or `external`."""
    share: float
    """Of the critical path, its own."""
    words: str
    through: float = 0.0
    """Of the critical path, its own and that of what it calls."""
    href: str = ""
    rows: tuple[GraphRow, ...] = ()
    """Empty: closed."""


@dataclass(frozen=True, slots=True)
class GraphWire:
    """Calls between two boxes, or between two of their rows (-1: the box's title)."""

    source: str
    target: str
    source_row: int
    target_row: int
    share: float
    """Of the critical path, in the call: on the way and below it."""
    requirement: str
    """`mandatory`, `optional`, `mixed` or `undetermined`."""
    words: str
    badge: str = ""
    """Where declared and observed differ."""
    failed_share: float = 0.0
    """Of the calls, of those that fail most."""


def dependency_graph(boxes: Sequence[GraphBox], wires: Sequence[GraphWire], name: str) -> Shape:
    """Return the picture in its natural size; the page scrolls it."""
    sizes = {box.id: _size(box) for box in boxes}
    placed = layered(
        [Box(box.id, *sizes[box.id]) for box in boxes],
        [_layout_wire(wire, sizes) for wire in wires],
        _spacing(len(boxes), any(wire.badge for wire in wires)),
    )
    order = sorted(range(len(wires)), key=lambda i: (_on_path(wires[i]), wires[i].share, i))
    drawn = [_wire(wires[i], i, placed, sizes) for i in order]
    labels = [label for i in order for label in _labels(wires[i], i, placed, sizes)]
    labels += _shares_of_calls(wires, placed)
    nodes = [_box(box, placed.boxes[box.id], sizes[box.id]) for box in boxes]
    critical = [wires[i] for i in reversed(order) if _on_path(wires[i])][:6]
    return picture(
        *drawn,
        *nodes,
        *labels,
        view=(round(placed.width), round(placed.height)),
        name=name,
        description=f"{len(boxes)} services, {len(wires)} kinds of calls. " + "; ".join(w.words for w in critical),
        class_="graph",
        role="group",
    )


def least_width(drawing: Shape) -> Shape:
    """Return an invisible spacer: the page may shrink a graph to this width before it scrolls it.

    A wide one says so: the page then gives the graph all of its width, and puts what stood beside it below.
    """
    width = round(_SHRINKS_TO * float(drawing.attribute("width")))
    wide = "true" if width > _FITS_BESIDE else None
    return shape("svg", width=width, height=0, aria_hidden="true", data_wide=wide)


def _spacing(boxes: int, with_badge: bool) -> Spacing:
    """Wide between few boxes, where the page has room; close between many."""
    if boxes >= 300:
        return Spacing(between_boxes=8, between_wires=3, sweeps=6)
    return Spacing(between_ranks=168 if with_badge else 136 if boxes <= 24 else 96, between_boxes=20)


def _on_path(wire: GraphWire) -> bool:
    return wire.share >= _PATH_FROM


def _size(box: GraphBox) -> tuple[float, float]:
    longest = max(
        [len(box.name) + (len(box.kind) + 1 if box.kind != "service" else 0), *(len(r.name) for r in box.rows)]
    )
    width = min(max(longest * _TEXT_WIDTH + _SHARE_WIDTH + 2 * _PADDING, _LEAST_WIDTH), _GREATEST_WIDTH)
    return round(width), TITLE_HEIGHT + (len(box.rows) * ROW_HEIGHT + 6 if box.rows else 0)


def _layout_wire(wire: GraphWire, sizes: dict[str, tuple[float, float]]) -> Wire:
    return Wire(
        wire.source,
        wire.target,
        weight=1 + _STRAIGHT * wire.share,
        source_offset=_offset(wire.source_row, sizes[wire.source][1]),
        target_offset=_offset(wire.target_row, sizes[wire.target][1]),
    )


def _offset(row: int, height: float) -> float:
    """Where a wire touches its box, from the box's middle."""
    at = TITLE_HEIGHT / 2 if row < 0 else TITLE_HEIGHT + (row + 0.5) * ROW_HEIGHT
    return at - height / 2


def _wire(wire: GraphWire, i: int, placed: Layout, sizes: dict[str, tuple[float, float]]) -> Shape:
    route = placed.routes[i]
    if not route:
        route = _inside(wire, placed.boxes[wire.source], sizes[wire.source])
        d = _arc(route)
    else:
        d = _curve(_short_of_arrow(route, leftwards=route[-1][0] < route[0][0]))
    leftwards = wire.source == wire.target or route[-1][0] < route[0][0]
    on = _on_path(wire)
    looks = f"wire wire-{wire.requirement}" + (" wire-on" if on else "")
    stroke = _stroke_on_path(wire.share) if on else 1.25 if wire.requirement != "undetermined" else 1.75
    dashes = _dashes(wire.requirement, stroke)
    line = shape("path", d=d, class_="wire-line", stroke_width=stroke, stroke_dasharray=dashes)
    broken = on and wire.requirement != "mandatory"
    under = [shape("path", d=d, class_="wire-under", stroke_width=stroke + 3)] if broken else []
    return shape("g", title(wire.words), *under, line, _arrow(route[-1], leftwards, wire, stroke), class_=looks)


def _inside(wire: GraphWire, at: Placed, size: tuple[float, float]) -> tuple[tuple[float, float], ...]:
    """A call between operations of one service leaves and reaches its box on the right."""
    x, middle = at.x + size[0], at.y + size[1] / 2
    start, end = (middle + _offset(row, size[1]) for row in (wire.source_row, wire.target_row))
    return ((x, start - 6), (x, end + 6)) if wire.source_row == wire.target_row else ((x, start), (x, end))


def _stroke_on_path(share: float) -> float:
    return 1.75 + 11 * share


def _arc(route: tuple[tuple[float, float], ...]) -> str:
    (x, start), (_, end) = route
    bulge = 20 + min(abs(end - start) / 4, 24)
    return f"M{x:.1f} {start:.1f}C{x + bulge:.1f} {start:.1f} {x + bulge:.1f} {end:.1f} {x + 7:.1f} {end:.1f}"


def _dashes(requirement: str, stroke: float) -> str:
    """Dashes grow with the stroke, so that a thick dotted line is still dotted."""
    match requirement:
        case "optional":
            return f"{4 + 2.5 * stroke:.1f} {3 + 1.5 * stroke:.1f}"
        case "mixed":
            return f"{8 + 3 * stroke:.1f} {2 + 1.5 * stroke:.1f} {stroke:.1f} {2 + 1.5 * stroke:.1f}"
        case "undetermined":
            return f"0.1 {2 + 1.75 * stroke:.1f}"
        case _:
            return ""


def _short_of_arrow(route: tuple[tuple[float, float], ...], leftwards: bool) -> list[tuple[float, float]]:
    x, y = route[-1]
    return [*route[:-1], (x + 7 if leftwards else x - 7, y)]


def _curve(route: Sequence[tuple[float, float]]) -> str:
    """Level at every point, so that wires leave and reach their boxes straight."""
    d = [f"M{route[0][0]:.1f} {route[0][1]:.1f}"]
    for (x1, y1), (x2, y2) in pairwise(route):
        if abs(y1 - y2) < 0.5:
            d.append(f"L{x2:.1f} {y2:.1f}")
        else:
            bend = (x2 - x1) / 2
            d.append(f"C{x1 + bend:.1f} {y1:.1f} {x2 - bend:.1f} {y2:.1f} {x2:.1f} {y2:.1f}")
    return "".join(d)


def _arrow(tip: tuple[float, float], leftwards: bool, wire: GraphWire, stroke: float) -> Shape:
    x, y = tip
    back = x + 8 if leftwards else x - 8
    half = 3.5 + stroke / 2
    closed = wire.requirement in ("mandatory", "mixed")
    d = points([(back, y - half), (x, y), (back, y + half)]) + ("Z" if closed else "")
    return shape("path", d=d, class_="arrow arrow-filled" if closed else "arrow")


def _labels(wire: GraphWire, i: int, placed: Layout, sizes: dict[str, tuple[float, float]]) -> list[Shape]:
    """A "?" where nobody knows, and the badge; behind a bulge for calls inside a service."""
    route = placed.routes[i]
    if route:
        (x, y), anchor, below = _near_target(route), "middle", 20.0
    else:
        (x, start), (_, end) = _inside(wire, placed.boxes[wire.source], sizes[wire.source])
        x, y, anchor, below = x + 30, (start + end) / 2, "start", -2.0
    labels = []
    if wire.failed_share >= _FAILING_FROM and route:  # a call inside a service goes on to the one that says so
        words = f"✕ {whole_percent(wire.failed_share)}"
        end_x = route[-1][0]
        line, stroke = (1, _stroke_on_path(wire.share)) if _on_path(wire) else (0, 1.25)  # the share stands between
        side = {"x": end_x - 12, "text_anchor": "end"} if end_x > route[0][0] else {"x": end_x + 12}
        labels.append(shape("text", words, **side, y=_beside_end(route, stroke, line), class_="wire-failed"))
    if wire.requirement == "undetermined" and len(placed.routes) <= 300 and route:
        circle = shape("circle", cx=x, cy=y, r=7, class_="unknown-ring")
        mark = shape("text", "?", x=x, y=y + 3.5, text_anchor="middle")
        on = " unknown-on" if _on_path(wire) else ""
        labels.append(shape("g", title(wire.words), circle, mark, class_=f"unknown-mark{on}"))
    if wire.badge:
        declared, comma, observed = wire.badge.partition(", ")
        lines = [
            shape("tspan", line, x=x, dy=dy) for line, dy in ((declared + comma.strip(), 0), (observed, 13)) if line
        ]
        labels.append(shape("text", *lines, y=y + below, text_anchor=anchor, class_="wire-badge"))
    return labels


def _shares_of_calls(wires: Sequence[GraphWire], placed: Layout) -> list[Shape]:
    """How much of the path lies in the calls that end at a point, beside it; nothing in a crowded picture."""
    if len(wires) > _LABELLED:
        return []
    ends: dict[tuple[float, float], float] = {}
    thickest: dict[tuple[float, float], tuple[float, int]] = {}
    for i, (wire, route) in enumerate(zip(wires, placed.routes, strict=True)):
        if route and route[-1][0] > route[0][0]:
            ends[route[-1]] = ends.get(route[-1], 0.0) + wire.share
            thickest[route[-1]] = max(thickest.get(route[-1], (0.0, i)), (wire.share, i))
    return [
        shape(
            "text",
            whole_percent(min(share, 1.0)),
            x=end[0] - 12,
            y=round(_beside_end(placed.routes[thickest[end][1]], _stroke_on_path(share), 0), 1),
            text_anchor="end",
            class_="path-share",
        )
        for end, share in ends.items()
        if share >= _PATH_FROM
    ]


def _beside_end(route: Sequence[tuple[float, float]], stroke: float, line: int) -> float:
    """Return the y of a line of words beside a wire's end, on the side that the wire does not come from.

    Args:
        line: 0 is next to the wire.
    """
    (_, before), (_, y) = route[-2:]
    return y + 11 + stroke / 2 + 12 * line if before < y - _SLOPES else y - 4 - stroke / 2 - 12 * line


def _near_target(route: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """A point on the last curve, past its middle, where wires that share a source lie apart."""
    (x1, y1), (x2, y2) = route[-2:]
    t, bend = 0.64, (x1 + x2) / 2
    x = (1 - t) ** 3 * x1 + 3 * t * (1 - t) * bend + t**3 * x2
    y = ((1 - t) ** 3 + 3 * t * (1 - t) ** 2) * y1 + (3 * t**2 * (1 - t) + t**3) * y2
    return round(x, 1), round(y, 1)


def _box(box: GraphBox, at: Placed, size: tuple[float, float]) -> Shape:
    width, height = size
    on = " node-on" if max(box.share, box.through) >= _PATH_FROM else ""
    corner = 3 if box.kind == "service" else 12
    outline = shape("rect", x=0, y=0, width=width, height=height, rx=corner, class_="node-box")
    head = _node_text(box, width)
    rows = [part for i, row in enumerate(box.rows) for part in _row(row, i, width)]
    gauge = _gauge(box, corner if corner > 3 else 0, size)
    body = [title(box.words), outline, *gauge, *head, *rows]
    content = [link(box.href, *body, label=box.words)] if box.href else body
    return shape("g", *content, transform=f"translate({at.x:.0f} {at.y:.1f})", class_=f"node node-{box.kind}{on}")


def _gauge(box: GraphBox, inset: float, size: tuple[float, float]) -> list[Shape]:
    """A bar along the lower edge, as long as the box's own share of the path."""
    if box.share < _PATH_FROM:
        return []
    room = size[0] - 2 * inset
    return [
        shape("rect", x=inset, y=size[1] - 3, width=max(2, room * box.share), height=3, class_="node-share"),
    ]


def _node_text(box: GraphBox, width: float) -> list[Shape]:
    kind = [] if box.kind == "service" else [shape("tspan", f" {box.kind}", class_="node-kind")]
    room = width - 2 * _PADDING - _SHARE_WIDTH - (len(box.kind) + 1) * _TEXT_WIDTH * bool(kind)
    name = shape("text", _fit(box.name, room), *kind, x=_PADDING, y=TITLE_HEIGHT / 2 + 4.5, class_="node-name")
    return [name, *_share(box.share, width, TITLE_HEIGHT / 2 + 4.5)]


def _row(row: GraphRow, i: int, width: float) -> list[Shape]:
    y = TITLE_HEIGHT + (i + 0.5) * ROW_HEIGHT + 4
    on = " node-row-on" if max(row.share, row.through) >= _PATH_FROM else ""
    text = _fit(row.name, width - 2 * _PADDING - _SHARE_WIDTH)
    return [shape("text", text, x=_PADDING, y=y, class_=f"node-row{on}"), *_share(row.share, width, y)]


def _share(share: float, width: float, y: float) -> list[Shape]:
    if share < _PATH_FROM:
        return []
    return [shape("text", whole_percent(share), x=width - _PADDING, y=y, text_anchor="end", class_="node-percent")]


def _fit(text: str, room: float) -> str:
    """Cut a name to the room it has, in its middle: what tells `shop.Cart/Get` from `shop.Cart/Put` is at its end."""
    most = max(math.ceil(room / _TEXT_WIDTH), 5)
    text = shown(text)
    if len(text) <= most:
        return text
    head = (most - 1) // 3
    return f"{text[:head]}…{text[len(text) - (most - 1 - head) :]}"
