"""Mandatory or optional: what the failures of a call did to its caller. Pure; called by `graph` and the pages.

    a = P(caller well | this call failed, and nothing outside what is above and below it)
    b = P(caller well | no call failed), in the minutes in which the failures fell           survival = min(1, a / b)

What ended well and what did not are counted apart, each on as many witnesses as its weights allow: a trace kept at
1 % is one witness and not a hundred, and failures that are all kept do not outvote survivors that mostly are not.
With equal weights that is a Beta(1/2, 1/2) posterior. Source: docs/explanation/dependencies.md.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np

from collector.core.kernels import load

MANDATORY, OPTIONAL, MIXED, UNDETERMINED = "mandatory", "optional", "mixed", "undetermined"
BY_NEED = (MANDATORY, MIXED, UNDETERMINED, OPTIONAL)
"""Of several calls to one place the first of these counts: who needs one of them needs the place."""
NO_STATUS = "no status recorded"
SURVIVES_ABOVE = 0.9
"""Survival lies above this with a probability of 90 %: optional."""
DIES_BELOW = 0.1
"""Survival lies below this with a probability of 90 %: mandatory."""

_DRAWS = 8_000
_LEVELS = np.array([0.5, 2.5, 10.0, 90.0, 97.5, 99.5]) / 100
_MOST_NEEDED = 100_000
_DIGITS = 3
"""Evidence is judged in so many digits; what differs in less shares a simulation."""


def as_known(verdict: str, declared: str | None) -> str:
    """Return what a call is taken for: as seen, else as said.

    >>> as_known("undetermined", "optional"), as_known("mandatory", "optional"), as_known("undetermined", None)
    ('optional', 'mandatory', 'undetermined')
    """
    return verdict if verdict != UNDETERMINED else declared or UNDETERMINED


def inner_decides(outer: str, inner: str) -> bool:
    """Tell whether a call inside a span around it decides, rather than the span, if the span's caller needs the call.

    It does without where either of the two is survived.

    >>> inner_decides("mandatory", "optional"), inner_decides("optional", "mandatory")
    (True, False)
    """
    if outer == MANDATORY:
        return True
    if inner == MANDATORY or outer == OPTIONAL:
        return False
    return inner == OPTIONAL or outer != UNDETERMINED


@dataclass(frozen=True, slots=True)
class Share:
    """Weighted trials: how many, how many ended well, and on how many witnesses that rests."""

    weight: float = 0.0
    well: float = 0.0
    squares: float = 0.0
    """Sum of the squared weights."""
    well_squares: float | None = None
    """The part of `squares` that ended well; None: both kinds weigh the same."""

    @property
    def effective(self) -> float:
        """(sum w)^2 / sum w^2; the number of trials when all weigh the same."""
        return self.weight**2 / self.squares if self.squares else 0.0

    @property
    def share(self) -> float:
        """The weighted share that ended well; 1 where there are no trials."""
        return self.well / self.weight if self.weight else 1.0

    @property
    def squares_of_well(self) -> float:
        return self.squares * self.share if self.well_squares is None else self.well_squares

    @property
    def weight_of_well(self) -> float:
        """What one of those that ended well weighs; 0 where there are none."""
        return self.squares_of_well / self.well if self.well else 0.0

    @property
    def weight_of_ill(self) -> float:
        ill, squares = self.weight - self.well, self.squares - self.squares_of_well
        # What differs in the last digits of a sum is no trial.
        return squares / ill if ill > 1e-9 * self.weight and squares > 0 else 0.0

    def __add__(self, other: "Share") -> "Share":
        return Share(
            self.weight + other.weight,
            self.well + other.well,
            self.squares + other.squares,
            self.squares_of_well + other.squares_of_well,
        )


@dataclass(frozen=True, slots=True)
class Baseline:
    """How callers fare when no call of theirs fails, at the times when this call failed.

    An incident in the caller itself makes its calls fail more often, too; measured against the whole day, the calls
    would look guilty. Sums over minutes m in which both were seen: F failures of the call alone, Q quiet callers.
    """

    weight: float = 0.0
    """Sum of F."""
    well: float = 0.0
    """Sum of F * (share of the quiet callers that ended well)."""
    squares: float = 0.0
    """Sum of F^2 / (witnesses among the quiet callers)."""

    def __add__(self, other: "Baseline") -> "Baseline":
        return Baseline(self.weight + other.weight, self.well + other.well, self.squares + other.squares)

    def share(self, failed: float, quiet: Share) -> Share:
        """Return the quiet callers to compare `failed` failures with; minutes without any take all of them.

        >>> Baseline(10.0, 5.0, 10.0).share(10.0, Share(1000, 990, 1000)).share
        0.5
        """
        rest = max(0.0, failed - self.weight)
        total = self.weight + rest
        if not self.weight or not total:
            return quiet
        spread = self.squares + (rest**2 / quiet.effective if quiet.effective else 0.0)
        witnesses = total**2 / spread if spread else 0.0
        share = (self.well + rest * quiet.share) / total
        return Share(witnesses, share * witnesses, witnesses)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was observed of one edge in one journey. A caller is one trial, however many such calls it made."""

    failed: Share
    """Callers whose call failed while nothing beside it did."""
    quiet: Share
    """Callers none of whose calls failed."""
    status_known: bool = True
    delivered: bool = False
    """A queue calls, and nobody waits for what becomes of its messages."""
    baseline: Baseline = Baseline()
    survivor_ratio: float = 0.0
    """How much more a survivor would weigh than the dead, where none was seen. 0: as much as a quiet caller does."""

    @property
    def compared_with(self) -> Share:
        return self.baseline.share(self.failed.weight, self.quiet)

    def __add__(self, other: "Evidence") -> "Evidence":
        return Evidence(
            self.failed + other.failed,
            self.quiet + other.quiet,
            self.status_known or other.status_known,
            self.delivered and other.delivered,
            self.baseline + other.baseline,
            max(self.survivor_ratio, other.survivor_ratio),
        )


NO_EVIDENCE = Evidence(Share(), Share())


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the caller survives the call's failure."""

    verdict: str
    survival: float | None
    """None where no failure was seen. The share of a `mixed` edge."""
    interval: tuple[float, float]
    """95 %."""
    needed: int
    """How many more failures like those seen (if none was: all survived, or none) would decide; 0 when decided."""
    why: str = ""
    """Set where the verdict does not rest on evidence."""
    witnesses: float = 0.0
    """The effective number of failures behind it."""


def judge(evidence: Evidence) -> Verdict:
    """Return the verdict on an edge.

    >>> judge(Evidence(failed=Share(30, 0, 30), quiet=Share(500, 500, 500))).verdict
    'mandatory'
    >>> judge(Evidence(failed=Share(), quiet=Share(500, 500, 500))).needed
    13
    """
    if evidence.delivered:
        return Verdict(OPTIONAL, 1.0, (1.0, 1.0), 0, "a queue delivers, and nobody waits", evidence.failed.effective)
    if not evidence.status_known:
        return Verdict(UNDETERMINED, None, (0.0, 1.0), 0, NO_STATUS)
    failed, baseline = evidence.failed, evidence.compared_with
    a, b = _compared(evidence)
    if not failed.effective:
        needed = min(_needed(a, b.rounded(1), share) for share in (0.0, 1.0))
        return Verdict(UNDETERMINED, None, (0.0, 1.0), needed, "no failure of the call alone was seen")
    quantiles = _quantiles(a, b)
    word = verdict_of(quantiles)
    survival = min(1.0, failed.share / baseline.share) if baseline.share else 1.0
    needed = _needed(a, b, round(a.well / (a.well + a.ill), 2)) if word == UNDETERMINED else 0
    return Verdict(word, survival, (quantiles[1], quantiles[4]), needed, witnesses=failed.effective)


def decide(evidence: Evidence) -> str:
    """Return the verdict alone: working out how many more failures would decide is what is dear in `judge`.

    >>> decide(Evidence(failed=Share(30, 30, 30), quiet=Share(500, 500, 500)))
    'optional'
    """
    if evidence.delivered:
        return OPTIONAL
    if not (evidence.status_known and evidence.failed.effective):
        return UNDETERMINED
    return verdict_of(survival_quantiles(evidence))


Quantiles: TypeAlias = tuple[float, float, float, float, float, float]
"""Of survival: between the middle two lie 80 %, between the next two 95 %, between the outer two 99 %."""


def survival_quantiles(evidence: Evidence) -> Quantiles:
    """Return what is known of survival."""
    return _quantiles(*_compared(evidence))


def prefer_current(current: Evidence, history: Evidence) -> bool:
    """Tell whether the evidence of the caller's current version counts, and not that of all its versions.

    It does when it decides, and when it contradicts what all of them did.
    """
    if not (current.status_known and current.failed.effective):
        return False
    now = survival_quantiles(current)
    if verdict_of(now) != UNDETERMINED:
        return True
    _, low, _, _, high, _ = survival_quantiles(history)
    return high < now[1] or low > now[4]


@dataclass(frozen=True, slots=True)
class _Witnesses:
    """How many witnesses there are of each outcome, and how much more one of the ill weighs than one of the well."""

    well: float
    ill: float
    ill_weight: float = 1.0

    def rounded(self, digits: int) -> "_Witnesses":
        return _Witnesses(*(float(f"{number:.{digits - 1}e}") for number in (self.well, self.ill, self.ill_weight)))


def _compared(evidence: Evidence) -> tuple[_Witnesses, _Witnesses]:
    """The witnesses of failures and those of the baseline."""
    failed, quiet = evidence.failed, evidence.quiet
    ratio = evidence.survivor_ratio or (quiet.weight_of_well / failed.weight_of_ill if failed.weight_of_ill else 1.0)
    return _witnesses(failed, ratio), _witnesses(evidence.compared_with, 1.0)


def _witnesses(share: Share, ratio: float) -> _Witnesses:
    """Return the witnesses of both outcomes; one that ended well weighs `ratio` of the others where none was seen."""
    ill_weight = share.weight_of_ill
    well_weight = share.weight_of_well or ill_weight * max(ratio, 1.0) or 1.0
    ill_weight = ill_weight or well_weight
    seen = _Witnesses(share.well / well_weight, (share.weight - share.well) / ill_weight, ill_weight / well_weight)
    return seen.rounded(_DIGITS)


def verdict_of(survival: Quantiles) -> str:
    """Return the verdict on what is known of survival.

    `mixed` lies between the two others and catches the unlucky draws of both, so it takes 99 % where they take 80 %:
    decision 013 has the figures.
    """
    lowest, _, low, high, _, highest = survival
    if low > SURVIVES_ABOVE:
        return OPTIONAL
    if high < DIES_BELOW:
        return MANDATORY
    return MIXED if lowest >= DIES_BELOW and highest <= SURVIVES_ABOVE else UNDETERMINED


@lru_cache(maxsize=16_384)
def _quantiles(failed: _Witnesses, quiet: _Witnesses) -> Quantiles:
    # Common random numbers: the interval moves smoothly with the evidence.
    found = load("survival", 1).survival_quantiles(
        np.random.default_rng(20180613),
        *(float(failed.well), float(failed.ill), float(failed.ill_weight)),
        *(float(quiet.well), float(quiet.ill), float(quiet.ill_weight)),
        _DRAWS,
        _LEVELS,
    )
    lowest, low_95, low_80, high_80, high_95, highest = found.tolist()
    return lowest, low_95, low_80, high_80, high_95, highest


@lru_cache(maxsize=16_384)
def _needed(failed: _Witnesses, quiet: _Witnesses, share: float) -> int:
    """The least number of further failures, `share` of them survived, that would decide; at most 100,000."""

    def decides(more: int) -> bool:
        after = _Witnesses(failed.well + share * more, failed.ill + (1 - share) * more, failed.ill_weight)
        return verdict_of(_quantiles(after, quiet)) != UNDETERMINED

    high = 1
    while not decides(high):
        high *= 2
        if high > _MOST_NEEDED:
            return _MOST_NEEDED
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        if decides(middle):
            high = middle
        else:
            low = middle
    return high
