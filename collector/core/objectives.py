"""What a journey promises against what it kept: error budget of 30 days, burn rates, alerts. Pure; no clock.

    promise 99.9 %, burn = failed share / 0.1 %

    burn 14.4  over 1 h and 5 min    a 50th of the budget of 30 days goes in an hour: somebody has to get up
    burn  6    over 6 h and 30 min   a 20th in six hours
    burn  1    over 3 d and 6 h      a tenth in three days: somebody has to look in the morning

Both windows have to burn: the long one says that it matters, the short one that it is not over.
Source: Beyer et al., The Site Reliability Workbook, chapter 5; docs/explanation/availability.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from collector.core.availability import Proportion, proportion

MINUTE_S = 60
HOUR_S = 3600
DAY_S = 86_400
BUDGET_S = 30 * DAY_S
LEAST_FAILURES = 10
"""Fewer in the long window are no alert: with little traffic one failure would be one."""


@dataclass(frozen=True, slots=True)
class BurnRule:
    rate: float
    long_s: int
    short_s: int
    severity: str
    """`failing`: now; `burning`: soon."""


FAILING = "failing"
BURN_RULES = (
    BurnRule(14.4, HOUR_S, 5 * MINUTE_S, FAILING),
    BurnRule(6.0, 6 * HOUR_S, 30 * MINUTE_S, "burning"),
    BurnRule(1.0, 3 * DAY_S, 6 * HOUR_S, "burning"),
)
"""Worst first."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Steps of time, oldest first, shape (n,) each; a step may be a minute or an hour."""

    start_s: NDArray[np.int64]
    total: NDArray[np.float64]
    """Weighted traces."""
    bad: NDArray[np.float64]
    """Of these, weighted, that broke the promise: failed, or too slow."""
    squares: NDArray[np.float64]
    """Squared weights of the traces, summed."""
    bad_traces: NDArray[np.float64]
    """Not weighted: on how many traces `bad` rests."""

    def since(self, start_s: float) -> "Counts":
        """Return the steps that begin at `start_s` or later."""
        later = self.start_s >= start_s
        return Counts(
            self.start_s[later], self.total[later], self.bad[later], self.squares[later], self.bad_traces[later]
        )


def no_counts() -> Counts:
    return Counts(np.empty(0, np.int64), *(np.empty(0) for _ in range(4)))


@dataclass(frozen=True, slots=True)
class Burn:
    """One rule, as it stands."""

    rate_needed: float
    long_s: int
    short_s: int
    long_rate: float
    """How many times faster than the promise allows it fails over the long window."""
    short_rate: float
    failures: float
    """Traces in the long window that broke the promise."""
    severity: str
    fires: bool

    @property
    def is_slow(self) -> bool:
        """Whether a budget of 30 days lasts about that long: somebody has to look in the morning, and not before."""
        return self.rate_needed <= BURN_RULES[-1].rate

    @property
    def is_fast(self) -> bool:
        """Whether it fails fast enough over both windows, on however few failures."""
        return min(self.long_rate, self.short_rate) >= self.rate_needed


@dataclass(frozen=True, slots=True)
class Standing:
    """How a promise is kept."""

    what: str
    """`availability` or `latency`."""
    promise: float
    under_ns: int
    """Latency: what a trace has to stay under; 0 for availability."""
    kept: Proportion
    """Share of the traces of 30 days that kept it."""
    budget_left: float
    """Share of the 30 days' budget: 1 untouched, 0 gone, below 0 overdrawn."""
    gone_unix_nano: int
    """Since when there is nothing left; 0 while there is."""
    covered_s: int
    """How much of the 30 days was seen. The budget is that of 30 days at the rate that was seen."""
    burns: tuple[Burn, ...]

    @property
    def alert(self) -> Burn | None:
        """The worst rule that fires."""
        return next((burn for burn in self.burns if burn.fires), None)

    @property
    def in_doubt(self) -> Burn | None:
        """The rule by which it would be failing, had there been more failures; None where one fires."""
        near = (burn for burn in self.burns if burn.severity == FAILING and burn.is_fast)
        return None if self.alert else next(near, None)


def stand(what: str, promise: float, counts: Counts, now_s: float, under_ns: int = 0) -> Standing:
    """Return how a promise stands at `now_s`, from counts of up to 30 days.

    Older steps may be hours, while those of the last six hours have to be minutes.
    """
    counts = counts.since(now_s - BUDGET_S)
    total, bad = float(counts.total.sum()), float(counts.bad.sum())
    covered_s = int(min(max(now_s - counts.start_s[0], MINUTE_S), BUDGET_S)) if len(counts.start_s) else 0
    budget = (1 - promise) * total * BUDGET_S / covered_s if covered_s else 0.0
    return Standing(
        what=what,
        promise=promise,
        under_ns=under_ns,
        kept=proportion(total - bad, total, float(counts.squares.sum())),
        budget_left=1 - bad / budget if budget else 1.0,
        gone_unix_nano=_gone(counts, budget),
        covered_s=covered_s,
        burns=tuple(_burn(rule, promise, counts, now_s) for rule in BURN_RULES),
    )


def _gone(counts: Counts, budget: float) -> int:
    """The step in which the budget ran out."""
    if not budget or not len(counts.bad):
        return 0
    spent = np.cumsum(counts.bad)
    if spent[-1] < budget:
        return 0
    return int(counts.start_s[int(np.searchsorted(spent, budget))]) * 1_000_000_000


def _burn(rule: BurnRule, promise: float, counts: Counts, now_s: float) -> Burn:
    long, short = (counts.since(_step(now_s - length_s)) for length_s in (rule.long_s, rule.short_s))
    long_rate, short_rate = (_rate(part, promise) for part in (long, short))
    failures = float(long.bad_traces.sum())
    fires = long_rate >= rule.rate and short_rate >= rule.rate and failures >= LEAST_FAILURES
    return Burn(rule.rate, rule.long_s, rule.short_s, long_rate, short_rate, failures, rule.severity, fires)


def _step(start_s: float) -> float:
    """The start of the minute: the one that the window begins in counts."""
    return start_s // MINUTE_S * MINUTE_S


def _rate(counts: Counts, promise: float) -> float:
    total = float(counts.total.sum())
    return float(counts.bad.sum()) / total / (1 - promise) if total else 0.0


def joined(parts: Sequence[Counts]) -> Counts:
    """Return counts put one behind the other; the caller gives them in order of time."""
    names = ("start_s", "total", "bad", "squares", "bad_traces")
    return Counts(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))
