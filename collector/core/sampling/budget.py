"""How much may be kept of traffic that changes: one budget followed, and one shared fairly between operations.

Called by control once a report. Source of the fairness: the weights of Dapper-like adaptive samplers, as logarithms,
so that an operation called a thousand times as often gets a few times as many traces, and a rare one nearly all.
"""

import math
from collections.abc import Mapping

SURPRISE = 4.0
"""Standard deviations of a Poisson count at which traffic has changed, and is not averaged any more."""
SMOOTHING = 0.3
RAREST = 0.05
"""Share of an operation's traffic below which a journey cannot have an operation keep more for it."""
WORTH_TELLING = 0.05
"""Relative change of a share below which nobody is told."""


def follow(estimate: float | None, offered: float, interval_s: float) -> float:
    """Return the estimate of traffic, in decisions per second, after one more observation.

    Chance is averaged away; a step is taken over at once, or a budget would be overdrawn while an average creeps. No
    decisions at all say nothing: a boost may have taken them over.
    """
    if offered <= 0 or interval_s <= 0:
        return estimate or 0.0
    if not estimate:
        return offered
    expected, found = estimate * interval_s, offered * interval_s
    if abs(found - expected) > SURPRISE * math.sqrt(max(expected, found)) + 1:
        return offered
    return estimate + SMOOTHING * (offered - estimate)


def share_for(traces_per_second: float, offered: float) -> float:
    """Return the probability that keeps a budget of traffic."""
    return min(1.0, traces_per_second / offered) if offered > 0 else 1.0


def is_worth_telling(told: float | None, share: float) -> bool:
    """Return whether a share differs from the one that clients sample by."""
    return told is None or abs(share - told) > WORTH_TELLING * told


def fair_shares(
    offered: Mapping[str, float],
    traces_per_second: float,
    min_traces_per_minute: float = 0.0,
    rarest: Mapping[str, float] = {},
) -> dict[str, float]:
    """Return the probability of each operation, for a budget shared with logarithmic weights.

        offered/s   1000    10     1      budget 10/s
        weight      log(1 + calls a minute): 11.0, 6.4, 4.1
        kept/s      5.1     3.9    1      what a rare one cannot use goes to the others

    Args:
        offered: decisions per second by operation.
        min_traces_per_minute: what each journey keeps at least, as far as it has so many; beside the budget when
            that is too small for all.
        rarest: which share of an operation's traffic its rarest journey is, where it serves several; a sampler knows
            no journey, so that the whole operation has to keep more. Below `RAREST`, journeys get less.
    """
    least = min_traces_per_minute / 60
    floor = {name: min(rate, least / max(RAREST, rarest.get(name, 1.0))) for name, rate in offered.items()}
    kept = dict(floor)
    left = max(0.0, traces_per_second - sum(floor.values()))
    weights = {name: math.log1p(60 * rate) for name, rate in offered.items() if rate > 0}
    hungry = set(weights)
    while hungry and left > 1e-12:
        unit = left / sum(weights[name] for name in hungry)
        full = {name for name in hungry if offered[name] - kept[name] <= unit * weights[name]}
        for name in full or hungry:
            taken = offered[name] - kept[name] if full else unit * weights[name]
            kept[name] += taken
            left -= taken
        if not full:
            break
        hungry -= full
    return {name: min(1.0, kept[name] / rate) if rate > 0 else 1.0 for name, rate in offered.items()}
