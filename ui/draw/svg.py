"""Shapes: what a drawing is before it is text. Pure values, rendered and escaped in one place.

A drawing function takes values and returns a `Shape`; `render` makes markup of it. Looks come from classes in
theme.css, never from a `style` attribute, which the Content-Security-Policy forbids.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from markupsafe import Markup, escape

from ui.draw.text import VALUE_LENGTH, shown

Number = int | float


@dataclass(frozen=True, slots=True)
class Shape:
    """An SVG element; attributes in order, children shapes or text."""

    tag: str
    attributes: tuple[tuple[str, str], ...] = ()
    children: tuple["Shape | str", ...] = ()

    def attribute(self, name: str) -> str:
        """Return an attribute's value, "" where the element has none of that name."""
        return next((value for key, value in self.attributes if key == name), "")

    def walk(self) -> Iterator["Shape"]:
        """Yield the element and all below it, in document order."""
        yield self
        for child in self.children:
            if isinstance(child, Shape):
                yield from child.walk()

    def with_class(self, name: str) -> list["Shape"]:
        """Return the elements at and below this one that have a class."""
        return [shape for shape in self.walk() if name in shape.attribute("class").split()]


def shape(tag: str, *children: "Shape | str", **attributes: Number | str | None) -> Shape:
    """Return an element; `class_` stands for `class`, `stroke_width` for `stroke-width`; None and "" leave out."""
    given = [(_spelled(name), _text(value)) for name, value in attributes.items() if value is not None and value != ""]
    return Shape(tag, tuple(given), children)


@cache
def _spelled(name: str) -> str:
    return name.rstrip("_").replace("_", "-")


def title(text: str) -> Shape:
    """Return what a pointer and a screen reader learn about the element around it."""
    return Shape("title", (), (text,))


def link(href: str, *children: Shape | str, label: str = "", class_: str = "") -> Shape:
    """Return a link around shapes; `href` must be an address of ours."""
    return shape("a", *children, href=href, aria_label=label, class_=class_)


def pick(at: int, words: str, href: str, height: Number, *drawn: Shape, look: str = "") -> Shape:
    """Return a column of a picture as a link as high as the picture: a click leads there, a script lets several be
    chosen by dragging (`drag.js`), and by keys, which reach no column without it.

    Args:
        at: which column of the picture, from 0; each is a unit wide.
        words: what it is, for a pointer and a screen reader.
    """
    ground = shape("rect", x=at, y=0, width=1, height=height, class_="ground")
    return shape("a", title(words), ground, *drawn, href=href, tabindex=-1, data_at=at, class_=look)


def picture(
    *children: Shape | str,
    view: tuple[Number, Number],
    name: str,
    description: str = "",
    class_: str = "",
    fluid: bool = False,
    role: str = "img",
) -> Shape:
    """Return an `<svg>` with a name and a description for those who do not see it.

    Args:
        view: width and height in pixels.
        fluid: the width is that of the page; children use percentages for x and pixels for y.
        role: `group` for a picture with links in it, which `img` would hide from a screen reader.
    """
    width, height = view
    words = [title(name)] + ([Shape("desc", (), (description,))] if description else [])
    if fluid:
        return shape("svg", *words, *children, role=role, width="100%", height=height, class_=class_)
    box = f"0 0 {_text(width)} {_text(height)}"
    return shape("svg", *words, *children, role=role, viewBox=box, width=width, height=height, class_=class_)


def stretched(*children: Shape, width: Number, height: Number) -> Shape:
    """Return an inner `<svg>` whose x runs over `width` units of the page's width, its y over pixels.

    Strokes inside keep their width through `vector-effect: non-scaling-stroke`.
    """
    box = f"0 0 {_text(width)} {_text(height)}"
    return shape("svg", *children, viewBox=box, width="100%", height=height, preserveAspectRatio="none")


def points(coordinates: list[tuple[Number, Number]]) -> str:
    """Return the `d` of a line through the points, with no move where two are the same."""
    steps = [f"{_text(x)} {_text(y)}" for x, y in coordinates]
    kept = [step for i, step in enumerate(steps) if i == 0 or step != steps[i - 1]]
    return "M" + "L".join(kept) if kept else ""


def share_of_width(part: Number, whole: Number) -> str:
    """Return a percentage for an x or a width."""
    return f"{_text(100 * part / whole if whole else 0)}%"


def render(drawing: Shape) -> Markup:
    """Return the markup; every text and every attribute's value is escaped here."""
    parts: list[str] = []
    _write(drawing, parts)
    return Markup("".join(parts))


def _write(drawing: Shape, parts: list[str]) -> None:
    attributes = "".join(f' {name}="{escape(value)}"' for name, value in drawing.attributes)
    if not drawing.children:
        parts.append(f"<{drawing.tag}{attributes}/>")
        return
    parts.append(f"<{drawing.tag}{attributes}>")
    for child in drawing.children:
        if isinstance(child, Shape):
            _write(child, parts)
        else:
            parts.append(str(escape(shown(child, VALUE_LENGTH))))
    parts.append(f"</{drawing.tag}>")


def _text(value: Number | str) -> str:
    """Coordinates to a hundredth of a unit, without a trailing zero."""
    if isinstance(value, str):
        return value
    if value == int(value):
        return str(int(value))
    return f"{value:.2f}".rstrip("0").rstrip(".")
