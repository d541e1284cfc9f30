"""What somebody wishes of an operation: `service/operation=-20ms`, `service=x0.5`, `shop -> cart=-50%`. Pure.

The part before the last `=` says whose time, the part behind it what becomes of it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from collector.core.population.parts import Part
from cpdd.errors import CpddError

_UNITS_NS = {"ns": 1, "us": 1_000, "µs": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
MOST_SHIFT_NS = 3_600 * 10**9
MOST_SCALE = 1_000
"""A wish beyond makes sums that no integer column and no page can hold."""

_SHIFT = re.compile(r"([+-])(\d+(?:\.\d+)?)(ns|us|µs|ms|s)")
_SCALE = re.compile(r"[x×](\d+(?:\.\d+)?)")
_PERCENT = re.compile(r"([+-])(\d+(?:\.\d+)?) ?%")
WAY = " -> "


class BadWish(CpddError):
    """A wish that cannot be read: what is wrong with it, and how one looks."""

    def __init__(self, text: str, problem: str) -> None:
        self.text = text
        self.problem = problem
        super().__init__(
            f"--set {text!r}: {problem}\n"
            "hint: 'service/operation=-20ms', '=x0.5' or '=-30%'; a service alone is all of its operations; "
            "'caller -> callee=x0.5' is the way between two services"
        )


@dataclass(frozen=True, slots=True)
class Wish:
    """Own work of some spans takes another time."""

    text: str
    """As it was said."""
    target: str
    scale: float = 1.0
    shift_ns: float = 0.0
    """Added to each such span; below 0 it is taken away, down to no own work at all."""

    def matches(self, part: Part) -> bool:
        """Tell whether the wish is about a part."""
        if part.is_gap:
            return self.target in (
                f"{part.caller_service}{WAY}{part.service}",
                f"{part.caller_service}{WAY}{part.service}/{part.operation}",
            )
        return self.target in (part.service, f"{part.service}/{part.operation}")


class UnknownTarget(CpddError):
    """A wish about what no trace has, and what there is that looks like it."""

    def __init__(self, wish: Wish, parts: Sequence[Part]) -> None:
        self.wish = wish
        names = sorted({name for part in parts for name in _names(part)})
        self.near = get_close_matches(wish.target, names, 5, 0.5) or names[:5]
        super().__init__(f"--set {wish.text!r}: no trace has {wish.target!r}\nhint: there is {', '.join(self.near)}")


def _names(part: Part) -> tuple[str, ...]:
    if part.is_gap:
        return (f"{part.caller_service}{WAY}{part.service}",)
    return (part.service, f"{part.service}/{part.operation}")


def read_wish(text: str) -> Wish:
    """Return what `text` wishes.

    >>> read_wish("shop/GET /cart=-20ms").shift_ns, read_wish("shop=x0.5").scale, read_wish("a -> b=-25%").scale
    (-20000000.0, 0.5, 0.75)
    """
    target, equals, change = text.rpartition("=")
    target, change = target.strip(), change.strip()
    if not equals or not target:
        raise BadWish(text, "it does not say whose time, then '=', then what becomes of it")
    if found := _SHIFT.fullmatch(change):
        shift_ns = float(found[1] + found[2]) * _UNITS_NS[found[3]]
        if abs(shift_ns) > MOST_SHIFT_NS:
            raise BadWish(text, "a change by more than an hour")
        return Wish(text, target, shift_ns=shift_ns)
    if found := _SCALE.fullmatch(change):
        return Wish(text, target, scale=_scale(text, float(found[1])))
    if found := _PERCENT.fullmatch(change):
        scale = 1 + float(found[1] + found[2]) / 100
        if scale < 0:
            raise BadWish(text, "nothing can become shorter by more than 100 %")
        return Wish(text, target, scale=_scale(text, scale))
    raise BadWish(text, f"{change!r} is no change")


def _scale(text: str, scale: float) -> float:
    if scale > MOST_SCALE:
        raise BadWish(text, f"longer by more than {MOST_SCALE} times")
    return scale
