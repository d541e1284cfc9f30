"""How a journey's promises stand, in words: objective, budget, burn; availability measured and implied."""

from collections.abc import Sequence
from dataclasses import dataclass

from collector.core.availability import Availability, Nine
from collector.core.findings.model import spoken
from collector.core.objectives import BUDGET_S, Standing
from ui.draw.units import NBSP, clock, count, duration, part, percent, significant


@dataclass(frozen=True, slots=True)
class PromiseRow:
    """A promise as a page shows it."""

    what: str
    """`availability` or `latency`."""
    promised: str
    short: str
    """The promise in a column: `99.9 %`, `< 400 ms`."""
    kept: str
    budget: str
    """What is left of the budget of 30 days, or since when it is gone."""
    budget_left: float
    """Share; below 0 overdrawn."""
    burns: str
    """Empty unless an alert fires."""
    severity: str
    """`failing`, `burning` or empty."""
    explained: str
    standing: Standing


@dataclass(frozen=True, slots=True)
class NineRow:
    name: str
    available: str
    required: str
    words: str
    nine: Nine


@dataclass(frozen=True, slots=True)
class AvailabilityRow:
    """Measured and implied, over the range of the page."""

    measured: str
    measured_interval: str
    implied: str
    implied_interval: str
    difference: str
    words: str
    availability: Availability


def promise_row(standing: Standing, now_unix_nano: int) -> PromiseRow:
    alert = standing.alert
    under = f" under {duration(standing.under_ns)}" if standing.under_ns else ""
    return PromiseRow(
        what=standing.what,
        promised=f"{percent(standing.promise)}{under}",
        short=f"<{NBSP}{duration(standing.under_ns)}" if standing.under_ns else percent(standing.promise),
        kept=percent(standing.kept.share),
        budget=_budget(standing, now_unix_nano),
        budget_left=standing.budget_left,
        burns=f"{significant(alert.long_rate)}{NBSP}× too fast over {_hours(alert.long_s)}" if alert else "",
        severity=alert.severity if alert else "",
        explained=_explained(standing),
        standing=standing,
    )


def worst_promise(standings: Sequence[Standing]) -> Standing | None:
    """Return the promise that stands worst: what fires, then what has least budget left."""
    return min(standings, key=lambda one: (not one.alert, one.budget_left), default=None)


def availability_row(found: Availability) -> AvailabilityRow:
    low, high = found.implied_interval
    difference = found.difference
    injected = (
        f"{percent(found.injected)} of the traces failed by injected faults, which count as measured, and not in what "
        "follows; "
    )
    sign = "−" if difference < 0 else "+"
    return AvailabilityRow(
        measured=percent(found.measured.share),
        measured_interval=f"{percent(found.measured.low)} to {percent(found.measured.high)}",
        implied=percent(found.implied),
        implied_interval=f"{percent(low)} to {percent(high)}",
        difference=f"{sign}{percent(abs(difference))}",
        words=f"{injected if found.injected else ''}{found.says}",
        availability=found,
    )


def nine_row(nine: Nine) -> NineRow:
    seen = nine.availability
    needed = f"not yet measurable: it takes {count(float(significant(nine.calls_needed)))} calls"
    own = "" if nine.own - seen.share < 1e-9 else f"; {percent(nine.own)} but for what it calls"
    words = {"missing": "misses it", "kept": "keeps it"}.get(nine.verdict, needed)
    return NineRow(spoken(nine.node), percent(seen.share), percent(nine.required), words + own, nine)


def _budget(standing: Standing, now_unix_nano: int) -> str:
    if standing.gone_unix_nano:
        return f"gone since {clock(standing.gone_unix_nano, now_unix_nano)}{NBSP}UTC"
    return f"{part(max(standing.budget_left, 0.0))} left"


def _explained(standing: Standing) -> str:
    seen = "" if standing.covered_s >= BUDGET_S else f"; {_hours(standing.covered_s)} of them seen so far"
    return f"of the 30 days' budget{seen}"


def _hours(seconds: int) -> str:
    return duration(seconds * 1e9).removesuffix(f"{NBSP}0{NBSP}min")
