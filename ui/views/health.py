"""How a journey does, in one word. The one place with the rule: its promises, and without any the failing share."""

from collections.abc import Sequence
from dataclasses import dataclass

from collector.core.objectives import BUDGET_S, DAY_S, Standing
from collector.core.population.since import Slowed, Steps, slowed
from collector.store.values import JourneySummary
from ui.draw.text import count_of
from ui.draw.units import NBSP, clock_to_minute, duration, percent, significant, times

FAILING_FROM = 0.05
BURNING_FROM = 0.01
SLOW_TIMES = 1.5
"""A journey that promises no latency is slow when it takes so many times as long as before."""
RULE = (
    "Where a journey promises something, the burn of its budget decides: failing at 14.4 times too fast over an hour, "
    "burning at 6 times over six hours or once over three days, slow likewise by its latency. Elsewhere failed traces "
    f"do: failing from {percent(FAILING_FROM)}, burning from {percent(BURNING_FROM)}; slow is what takes "
    f"{SLOW_TIMES:g} times as long as it did earlier in the range, or used to take at this hour, and what takes its "
    "messages later than promised."
)

_RANK = {"failing": 0, "burning": 1, "slow": 2, "waits": 3, "unknown": 4, "fine": 5}
ICONS = {"failing": "✕", "burning": "▲", "slow": "◷", "unknown": "?", "fine": "·"}


@dataclass(frozen=True, slots=True)
class Health:
    word: str
    """`failing`, `burning`, `slow`, `fine`, or `unknown` where no span says how it ended."""
    icon: str
    because: str
    doubt: str = ""
    """Why it may be failing all the same, on too few failures to be sure."""
    can_wait: str = ""
    """Why it needs nobody before the morning; empty where it does, or where nobody can say."""

    @property
    def needs_you(self) -> bool:
        return self.word in ("failing", "burning", "slow")

    @property
    def rank(self) -> int:
        """Smaller is worse; what can wait stands behind what cannot."""
        return _RANK["waits"] if self.can_wait else _RANK[self.word]


def health_of(
    summary: JourneySummary,
    standings: Sequence[Standing] = (),
    since: Slowed | None = None,
    now_unix_nano: int = 0,
    slow_by: str = "",
) -> Health:
    """Return the word for a journey: by its promises as they stand now, else by one window, else by its findings.

    A promise whose breaking can wait decides where nothing else needs somebody.

    Args:
        since: since when it is slow, where it is.
        slow_by: what was found of it that makes it slow beyond that, as `urgency.slow_by` says.
    """
    promised = {one.what for one in standings}
    by_promise = _by_promise(standings)
    if by_promise and by_promise.needs_you and not by_promise.can_wait:
        return by_promise
    by_window = _by_window(summary)
    if by_window.needs_you and "availability" not in promised:
        return by_window
    if since and since.times >= SLOW_TIMES and "latency" not in promised:
        return Health("slow", ICONS["slow"], since_words(since, now_unix_nano))
    if slow_by:
        return Health("slow", ICONS["slow"], slow_by)
    if by_promise and (by_promise.needs_you or "availability" in promised or by_window.word == "unknown"):
        return by_promise
    return by_window


def _by_window(summary: JourneySummary) -> Health:
    if not summary.status_known:
        return Health("unknown", ICONS["unknown"], "no span says whether it succeeded")
    share = failed_share(summary)
    word = word_of(share)
    return Health(word, ICONS[word], f"{percent(share)} of its traces failed" if share else f"0{NBSP}% failed")


def word_of(failed_share: float) -> str:
    """Return how a journey does that promises nothing, by what share of its traces failed."""
    return "failing" if failed_share >= FAILING_FROM else "burning" if failed_share >= BURNING_FROM else "fine"


def slowed_since(summary: JourneySummary) -> Slowed | None:
    """Return since when a journey takes longer than it did, None where it does not."""
    seen = [point for point in summary.series if point.traces > 0]
    columns = zip(*((p.start_unix_nano, p.traces, p.p50_ns, p.p95_ns) for p in seen), strict=True)
    return slowed(Steps(*columns)) if seen else None


def since_words(since: Slowed, now_unix_nano: int) -> str:
    """Say it as part of a sentence: "a typical trace takes 394 ms since 02:41 UTC, 2.4× the 167 ms before"."""
    after, before = duration(since.after_ns), duration(since.before_ns)
    takes = (
        f"a typical trace takes {after}" if since.quantile == "p50" else f"one trace in twenty takes {after} or longer"
    )
    when = clock_to_minute(since.since_unix_nano, now_unix_nano)
    return f"{takes} since {when}{NBSP}UTC, {times(since.times)} the {before} before"


def _by_promise(standings: Sequence[Standing]) -> Health | None:
    firing = [one for one in standings if one.alert]
    if not firing:
        return _kept(standings) if standings else None
    worst = min(firing, key=lambda one: (one.what != "availability", -one.alert.rate_needed if one.alert else 0.0))
    assert worst.alert is not None
    word = worst.alert.severity if worst.what == "availability" else "slow"
    verb = "it fails" if worst.what == "availability" else "it is slow"
    rate = f"{significant(worst.alert.long_rate)}{NBSP}times as often as its promise of {percent(worst.promise)} allows"
    return Health(word, ICONS[word], f"{verb} {rate}", can_wait=can_wait(worst) if all(map(can_wait, firing)) else "")


def can_wait(standing: Standing) -> str:
    """Return why a promise that is being broken needs nobody before the morning: it burns slowly; else nothing.

    A budget that would be gone within a day does not wait. One that is gone already is not saved by getting up.
    """
    alert = standing.alert
    if alert is None or not alert.is_slow:
        return ""
    over = f"it burns slowly, over {count_of(alert.long_s // DAY_S, 'day')}"
    if standing.budget_left <= 0:
        return f"{over}, and its budget is gone"
    lasts_s = standing.budget_left * BUDGET_S / alert.long_rate
    return f"{over}, and its budget lasts another {count_of(int(lasts_s // DAY_S), 'day')}" if lasts_s >= DAY_S else ""


def _kept(standings: Sequence[Standing]) -> Health:
    """No promise is known to be broken; a few failures of little traffic may say otherwise."""
    worst = max(standings, key=lambda one: one.in_doubt.long_rate if one.in_doubt else 0.0)
    if (near := worst.in_doubt) is None:
        return Health("fine", ICONS["fine"], "it keeps what it promises")
    what = "failure" if worst.what == "availability" else "slow trace"
    few, rate = count_of(round(near.failures), what), significant(near.long_rate)
    are = "is" if round(near.failures) == 1 else "are"
    doubt = f"{few} in the last hour {are} {rate}{NBSP}times what it promises, too few to be sure"
    return Health("fine", ICONS["fine"], "no promise is known to be broken", doubt)


def failed_share(summary: JourneySummary) -> float:
    """Return the share of traces that failed, 0 for a journey without traces."""
    return summary.failed / summary.weighted_traces if summary.weighted_traces else 0.0
