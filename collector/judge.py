"""Judges journeys: how their promises stand, what the graph finds. One thread, started by `serve`.

    minute rows -> Look -> rules -> tracking -> findings, standings, edge_verdicts -> webhook

Everything is read from the store and written back to it, so that a restart goes on where it was. A round takes at
most a twentieth of the time: the dearer it is, the longer it waits for the next.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from clickhouse_connect.driver.client import Client

from collector.background import ALWAYS, Turn, Worker
from collector.core.catalog import Catalog
from collector.core.findings import find
from collector.core.findings.model import (
    BLOCKING,
    BROKEN_CONTEXT,
    BUDGET_BURNING,
    CHANGED_REQUIREMENT,
    HIDDEN_MANDATORY,
    MISSING_NINE,
    NEEDLESS_MANDATORY,
    OTHER_FATE,
    QUEUE_LATE,
    SLOWER,
    TIMEOUT,
    TOO_SLOW,
    Disproved,
    Finding,
    JourneySeen,
    Look,
)
from collector.core.findings.tracking import Tracked, track
from collector.core.journeys import JourneyBook
from collector.core.naming import Inventor
from collector.look import Looking
from collector.store import recent
from collector.store.engine import Store
from collector.store.judgements import Judgements
from cpdd.settings import Settings

SHARE_OF_TIME = 0.05
SAVE_NS = 30 * 1_000_000_000
"""How often figures that only moved are written."""
RETRY_S = 5.0
EXAMPLES_S = 6 * 3600
"""How far back example traces are looked for."""
EXAMPLES_AT_ONCE = 20
"""Findings for which traces are looked for in one round; others of a burst have to wait for the next."""

Notify = Callable[[Sequence[Tracked]], None]


@dataclass(slots=True)
class Judging:
    """What the judge has done since it started; read by metrics and the system page."""

    rounds: int = 0
    open_findings: int = 0
    took_s: float = 0.0
    """The last round."""
    failures: int = 0
    last_failure: str = ""


class Judge(Worker):
    """Looks again and again until it is stopped."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        book: JourneyBook,
        inventor: Callable[[], Inventor | None] = lambda: None,
        notify: Notify = lambda changed: None,
        clock_ns: Callable[[], int] = time.time_ns,
        catalog: Catalog = Catalog(),
        steady_ns: Callable[[], int] = time.monotonic_ns,
        turn: Turn = ALWAYS,
    ) -> None:
        """Args:
        inventor: who begins journeys under ever new names, as the analyzer knows.
        notify: is told of findings that appeared or cleared; must not block.
        catalog: who owns services that do not say so themselves.
        """
        super().__init__("cpdd-judge", "judging", store, turn)
        self.progress = Judging()
        self.journeys: tuple[JourneySeen, ...] = ()
        """As they were seen last; read by the metrics."""
        self._store = store
        self._interval_s = settings.judge_interval_s
        self._book = book
        self._inventor = inventor
        self._notify = notify
        self._clock_ns = clock_ns
        self._steady_ns = steady_ns
        self._catalog = catalog
        self._tracked: Mapping[str, Tracked] | None = None
        self._begin_anew()
        self._alerts: dict[str, tuple[bool, ...]] = {}
        """By journey, whether an alert fires for each of its promises, as saved last."""
        self._save_due_ns = 0
        self._unsaved: set[str] = set()
        self._sought: set[tuple[str, int]] = set()
        """Findings, by id and beginning, for which example traces were looked for."""

    def run_once(self) -> None:
        """Look, judge, remember, tell."""
        began_s = time.monotonic()
        now = self._clock_ns()
        before = self._judgements.findings() if self._tracked is None else self._tracked
        look = self._looking.look(now, self._inventor())
        self.journeys = look.journeys
        update = track(before, (self._owned(said, look) for said in find(look)), now)
        tracked = self._with_examples(update.tracked, now)
        told = [tracked[one.finding.id] for one in (*update.opened, *update.cleared)]
        self._save(tracked, told, [one.finding.id for one in update.changed], now)
        self._tracked = tracked
        if told:
            self._notify(told)
        self.progress.rounds += 1
        self.progress.open_findings = sum(one.is_open for one in tracked.values())
        self.progress.took_s = time.monotonic() - began_s

    def _round(self) -> float:
        self.run_once()
        return max(self._interval_s, self.progress.took_s / SHARE_OF_TIME)

    def _failed(self, error: Exception) -> float:
        self.progress.failures += 1
        self.progress.last_failure = self._rounds.failed(error, RETRY_S)
        self._tracked = None
        return RETRY_S

    def _begin_anew(self) -> None:
        self._judgements = Judgements(self._store)
        self._looking = Looking(self._store, self._book, self._catalog, self._judgements)
        self._tracked = None

    def _owned(self, said: Finding | Disproved, look: Look) -> Finding | Disproved:
        """Add whose finding it is: the service's owner, else the journey's."""
        if isinstance(said, Disproved):
            return said
        journey = self._book.by_name.get(said.journey)
        owner = look.facts_of(said.service).spoken_owner or (journey.owner if journey else "")
        return replace(said, owner=owner) if owner else said

    def _with_examples(self, tracked: Mapping[str, Tracked], now: int) -> dict[str, Tracked]:
        """Look for traces that show what has none yet; once for each, as some have none."""
        since_s = now // 1_000_000_000 - EXAMPLES_S
        result = dict(tracked)
        wanted = [one for one in tracked.values() if one.is_open and not one.finding.examples]
        wanted = [one for one in wanted if (one.finding.id, one.since_unix_nano) not in self._sought]
        with self._store.client() as client:
            for one in wanted[:EXAMPLES_AT_ONCE]:
                self._sought.add((one.finding.id, one.since_unix_nano))
                examples = examples_of(client, one.finding, since_s)
                result[one.finding.id] = replace(one, finding=replace(one.finding, examples=examples))
        return result

    def _save(self, tracked: Mapping[str, Tracked], told: Sequence[Tracked], changed: Sequence[str], now: int) -> None:
        """Write what appeared and cleared at once, and what only moved now and then; then how promises stand."""
        steady_ns = self._steady_ns()
        due = steady_ns >= self._save_due_ns
        self._unsaved.update(changed)
        ids = self._unsaved if due else {one.finding.id for one in told}
        self._judgements.save_findings([tracked[id] for id in sorted(ids) if id in tracked], now)
        self._unsaved = self._unsaved - ids
        standings = {journey.name: journey.standings for journey in self.journeys if journey.standings}
        alerts = {name: tuple(one.alert is not None for one in each) for name, each in standings.items()}
        if due or alerts != self._alerts:
            self._judgements.save_standings(standings, now)
            self._alerts = alerts
        if due:
            self._save_due_ns = steady_ns + SAVE_NS


Examples = Callable[[Client, str, int, int], tuple[str, ...]]

_EXAMPLES: Mapping[str, Examples] = {
    HIDDEN_MANDATORY: recent.failing_examples,
    NEEDLESS_MANDATORY: recent.failing_examples,
    OTHER_FATE: recent.failing_examples,
    CHANGED_REQUIREMENT: recent.failing_examples,
    MISSING_NINE: recent.failing_examples,
    BLOCKING: recent.waiting_examples,
    TIMEOUT: recent.waiting_examples,
    QUEUE_LATE: recent.late_examples,
    BUDGET_BURNING: recent.failed_examples,
    TOO_SLOW: recent.slow_examples,
    SLOWER: recent.slow_examples,
}
"""What shows a finding of a kind; others are shown by any trace with their edge."""


def examples_of(client: Client, finding: Finding, since_s: int) -> tuple[str, ...]:
    """Return traces that show a finding."""
    if finding.kind == BROKEN_CONTEXT:  # whoever found it has examples, or there are none
        return finding.examples
    look_up = _EXAMPLES.get(finding.kind, recent.calling_examples)
    return look_up(client, finding.journey, finding.edge_id, since_s)
