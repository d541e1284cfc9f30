"""How a journey does, in one word. The one place with the rule: its promises, and without any the failing share."""

from collections.abc import Sequence
from dataclasses import dataclass

from collector.core.objectives import Standing
from collector.store.values import JourneySummary
from ui.draw.units import NBSP, percent, significant

FAILING_FROM = 0.05
BURNING_FROM = 0.01
RULE = (
    "Where a journey promises something, the burn of its budget decides: failing at 14.4 times too fast over an hour, "
    "burning at 6 times over six hours or once over three days, slow likewise by its latency. Elsewhere failed traces "
    f"do: failing from {percent(FAILING_FROM)}, burning from {percent(BURNING_FROM)}."
)

_RANK = {"failing": 0, "burning": 1, "slow": 2, "unknown": 3, "fine": 4}
ICONS = {"failing": "✕", "burning": "▲", "slow": "◷", "unknown": "?", "fine": "·"}


@dataclass(frozen=True, slots=True)
class Health:
    word: str
    """`failing`, `burning`, `slow`, `fine`, or `unknown` where no span says how it ended."""
    icon: str
    because: str

    @property
    def needs_you(self) -> bool:
        return self.word in ("failing", "burning", "slow")

    @property
    def rank(self) -> int:
        """Smaller is worse."""
        return _RANK[self.word]


def health_of(summary: JourneySummary, standings: Sequence[Standing] = ()) -> Health:
    """Return the word for a journey: by its promises as they stand now, else by one window."""
    by_promise = _by_promise(standings)
    if by_promise and (by_promise.needs_you or any(one.what == "availability" for one in standings)):
        return by_promise
    if not summary.status_known:
        return by_promise or Health("unknown", ICONS["unknown"], "no span says whether it succeeded")
    share = failed_share(summary)
    word = "failing" if share >= FAILING_FROM else "burning" if share >= BURNING_FROM else "fine"
    return Health(word, ICONS[word], f"{percent(share)} of its traces failed" if share else f"0{NBSP}% failed")


def _by_promise(standings: Sequence[Standing]) -> Health | None:
    firing = [one for one in standings if one.alert]
    if not firing:
        return Health("fine", ICONS["fine"], "it keeps what it promises") if standings else None
    worst = min(firing, key=lambda one: (one.what != "availability", -one.alert.rate_needed if one.alert else 0.0))
    assert worst.alert is not None
    word = worst.alert.severity if worst.what == "availability" else "slow"
    verb = "it fails" if worst.what == "availability" else "it is slow"
    rate = f"{significant(worst.alert.long_rate)}{NBSP}times as often as its promise of {percent(worst.promise)} allows"
    return Health(word, ICONS[word], f"{verb} {rate}")


def failed_share(summary: JourneySummary) -> float:
    """Return the share of traces that failed, 0 for a journey without traces."""
    return summary.failed / summary.weighted_traces if summary.weighted_traces else 0.0
