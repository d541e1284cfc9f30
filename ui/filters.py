"""What every template may say of a value: the filters and globals that pages and the report share."""

from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import Environment, StrictUndefined

from ui.draw import bars, said_times, svg, text, units

FILTERS: Mapping[str, Callable[..., Any]] = {
    "duration": units.duration,
    "spelled": units.spelled,
    "exact": units.exact_duration,
    "percent": units.percent,
    "part": units.part,
    "whole_percent": units.whole_percent,
    "count": units.count,
    "rate": units.rate,
    "times": units.times,
    "moment": units.moment,
    "typed_moment": units.typed_moment,
    "exact_moment": units.exact_moment,
    "sentence": text.sentence,
    "shown": text.shown,
    "with_times": said_times.with_times,
    "breakable": text.breakable,
    "head_and_tail": text.head_and_tail,
    "picture": svg.render,
}


def equip(environment: Environment) -> None:
    """Let templates use `FILTERS`, and fail where they name what is not there."""
    environment.undefined = StrictUndefined
    environment.trim_blocks = environment.lstrip_blocks = True
    environment.filters.update(FILTERS)
    environment.globals.update(bars=bars, count_of=text.count_of)
