"""Reads what the rules look at: a `Look` from the minute rows, each part as often as it is worth its cost.

Called by `judge`; one thread.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from clickhouse_connect.driver.client import Client

from collector.core.availability import proportion
from collector.core.catalog import Catalog, Owner
from collector.core.findings.context import INNER_CALLS, INNER_TIMES, LEAST_BEGINS, ORPHAN_SHARE
from collector.core.findings.model import (
    ContextBreak,
    EdgeHistory,
    EdgeSeen,
    JourneySeen,
    Look,
    PastSeen,
    QueueSeen,
    ServiceFacts,
    VerdictChange,
)
from collector.core.journeys import JourneyBook
from collector.core.naming import Inventor
from collector.core.objectives import BUDGET_S, HOUR_S, MINUTE_S, Standing, joined, stand
from collector.core.queue_promises import promise_of
from collector.core.requirement import UNDETERMINED
from collector.core.said import NOTHING_SAID, Mark, Said
from collector.core.sessions import Whole, join_sessions
from collector.observed import edge_seen, nines_of, operation_of, root_failed
from collector.past import PastWatch
from collector.store import recent
from collector.store.dictionaries import Edges
from collector.store.engine import Store
from collector.store.judgements import EdgeVerdict, Judgements
from collector.store.promises import NOTHING_KEPT, Kept, promise_counts
from collector.store.reader import Reader
from collector.store.sessions import tries_of
from collector.store.values import Edge, Node, mark_of
from collector.store.which_minutes import Minutes

EVIDENCE_S = 24 * HOUR_S
"""Counts of calls and nines are of so much of the past; verdicts rest on more (`store.evidence`)."""
HISTORY_S = 7 * 24 * HOUR_S
"""How far back an edge is remembered, to tell new ones and lost ones."""
CONTEXT_S = 15 * MINUTE_S
SAID_S = 5 * MINUTE_S
"""Deadlines and fallbacks stand in the code: a few minutes of spans say them all, and what was said is remembered."""
FRESH_S = 6 * HOUR_S + 10 * MINUTE_S
"""Counts of promises by minute; what is older is counted by hour, and seldom."""

OLD_COUNTS_EVERY_S = 600
HISTORY_EVERY_S = 60
CONTEXT_EVERY_S = 30
FACTS_EVERY_S = 60
QUEUES_EVERY_S = 60
SAID_EVERY_S = 60
PASTS_EVERY_S = 60
SESSIONS_EVERY_S = 300

_Value = TypeVar("_Value")


@dataclass(slots=True)
class _Seldom(Generic[_Value]):
    """A value that is read anew when it is old."""

    every_s: int
    value: _Value
    due_s: int = 0

    def is_due(self, now_s: int) -> bool:
        """Whether it is old, or from a time that has not come: the clock was set back."""
        return not self.due_s - self.every_s <= now_s < self.due_s

    def at(self, now_s: int, read: Callable[[], _Value]) -> _Value:
        if self.is_due(now_s):
            self.value = read()
            self.due_s = now_s + self.every_s
        return self.value


class Looking:
    """Looks at the store, and remembers what it need not read again."""

    def __init__(self, store: Store, book: JourneyBook, catalog: Catalog, judgements: Judgements) -> None:
        self._store = store
        self._book = book
        self._catalog = catalog
        self._reader = Reader(store)
        self._judgements = judgements
        self._edges = Edges()
        self._verdicts: dict[tuple[str, int], EdgeVerdict] | None = None
        self._old_until_s = 0
        self._old: _Seldom[Mapping[str, Kept]] = _Seldom(OLD_COUNTS_EVERY_S, {})
        self._histories: _Seldom[tuple[EdgeHistory, ...]] = _Seldom(HISTORY_EVERY_S, ())
        self._breaks: _Seldom[tuple[ContextBreak, ...]] = _Seldom(CONTEXT_EVERY_S, ())
        self._facts: _Seldom[Mapping[str, ServiceFacts]] = _Seldom(FACTS_EVERY_S, {})
        self._queues: _Seldom[tuple[QueueSeen, ...]] = _Seldom(QUEUES_EVERY_S, ())
        self._past_watch = PastWatch(self._reader, judgements)
        self._pasts: _Seldom[tuple[PastSeen, ...]] = _Seldom(PASTS_EVERY_S, ())
        self._wholes: _Seldom[tuple[Whole, ...]] = _Seldom(SESSIONS_EVERY_S, ())
        self._said: _Seldom[dict[Mark, Said]] = _Seldom(SAID_EVERY_S, {})

    def look(self, now_ns: int, inventor: Inventor | None) -> Look:
        """Return what there is to see at `now_ns`."""
        now_s = now_ns // 1_000_000_000
        minutes = _minutes(now_s - EVIDENCE_S, now_s)
        with self._store.client() as client:
            standings = self._standings(client, now_s)
            # Last, and right before the edges: what is analyzed between the two counts in one of them only.
            totals = recent.journey_totals(client, minutes.first_s, minutes.last_s)
        edges = self._reader.edges(minutes, {name: one.sum_ns for name, one in totals.items()})
        self._said.at(now_s, lambda: self._read_said(edges, now_s))
        journeys = tuple(
            self._journey(name, totals[name], edges.get(name, ()), standings.get(name, ())) for name in sorted(totals)
        )
        with self._store.client() as client:
            changes = self._changes(journeys, now_ns)
            histories = self._histories.at(now_s, lambda: self._read_histories(client, now_s))
            breaks = self._breaks.at(now_s, lambda: self._read_breaks(client, now_ns, totals, edges))
            wholes = self._wholes.at(now_s, lambda: self._read_wholes(client, now_s))
            queues = self._queues.at(now_s, lambda: self._read_queues(client, edges, now_s))
        facts = self._facts.at(now_s, self._read_facts)
        pasts = self._pasts.at(now_s, lambda: self._past_watch.watch(tuple(totals), now_ns))
        journeys += tuple(self._whole(whole, now_s) for whole in wholes)
        return Look(now_ns, journeys, facts, histories, changes, breaks, inventor, queues, pasts)

    # Promises

    def _standings(self, client: Client, now_s: int) -> dict[str, tuple[Standing, ...]]:
        journeys = self._book.with_objective
        if not journeys:
            return {}
        if self._old.is_due(now_s):
            self._old_until_s = (now_s - FRESH_S) // HOUR_S * HOUR_S
        boundary_s = self._old_until_s
        old = self._old.at(
            now_s, lambda: promise_counts(client, journeys, max(now_s - BUDGET_S, 0), boundary_s, HOUR_S)
        )
        fresh = promise_counts(client, journeys, max(boundary_s, 0), now_s // MINUTE_S * MINUTE_S + MINUTE_S, MINUTE_S)
        found: dict[str, tuple[Standing, ...]] = {}
        for journey in journeys:
            parts = [part.get(journey.name, NOTHING_KEPT) for part in (old, fresh)]
            standings = []
            if journey.availability is not None and any(part.status_known for part in parts):
                counts = joined([part.availability for part in parts])
                standings.append(stand("availability", journey.availability, counts, now_s))
            if journey.latency is not None:
                counts = joined([part.latency for part in parts])
                standings.append(stand("latency", journey.latency.share, counts, now_s, journey.latency.under_ns))
            found[journey.name] = tuple(one for one in standings if one.kept.trials)
        return found

    # Journeys

    def _journey(
        self, name: str, totals: recent.JourneyTotals, edges: tuple[Edge, ...], standings: tuple[Standing, ...]
    ) -> JourneySeen:
        said = self._book.by_name.get(name)
        scale = totals.weight / totals.squares if totals.squares else 1.0
        promise = said.availability if said and totals.status_known else None
        return JourneySeen(
            name=name,
            traces=totals.traces,
            edges=tuple(edge_seen(self._with_said(edge)) for edge in edges),
            said=said,
            standings=standings,
            nines=nines_of(promise, scale, edges),
            root_failed=root_failed(totals.failed, edges),
            weight=totals.weight,
        )

    def _read_wholes(self, client: Client, now_s: int) -> tuple[Whole, ...]:
        """How the sessions of journeys of several steps fared in the last day."""
        found = (
            join_sessions(journey, tries_of(client, journey, now_s - EVIDENCE_S, now_s), now_s * 1_000_000_000)
            for journey in self._book.of_steps
        )
        return tuple(whole for whole in found if whole.sessions)

    def _whole(self, whole: Whole, now_s: int) -> JourneySeen:
        said = self._book.by_name[whole.journey]
        promised = said.availability
        standings = (stand("availability", promised, whole.counts, now_s),) if promised is not None else ()
        return JourneySeen(whole.journey, whole.sessions, said=said, standings=standings, whole=whole)

    def _changes(self, journeys: Iterable[JourneySeen], now_ns: int) -> tuple[VerdictChange, ...]:
        """Remember verdicts, and return those that are not what they were."""
        if self._verdicts is None:
            self._verdicts = self._judgements.verdicts()
        new: dict[tuple[str, int], EdgeVerdict] = {}
        changes = []
        for journey in journeys:
            for edge in journey.edges:
                key = (journey.name, edge.id)
                known = self._verdicts.get(key)
                if edge.verdict != UNDETERMINED and (known is None or known.verdict != edge.verdict):
                    known = EdgeVerdict(edge.verdict, known.verdict if known else "", now_ns)
                    new[key] = known
                if known and known.before:
                    changes.append(_change(journey.name, edge, known))
        if new:
            self._judgements.save_verdicts(new, now_ns)
            self._verdicts.update(new)
        return tuple(changes)

    def _read_histories(self, client: Client, now_s: int) -> tuple[EdgeHistory, ...]:
        minutes = _minutes(now_s - HISTORY_S, now_s)
        hours = recent.traces_by_hour(client, minutes.first_s, minutes.last_s)
        return tuple(
            _history(spell, hours.get(spell.journey, {}))
            for spell in recent.edge_spells(client, self._edges, minutes.first_s, minutes.last_s)
        )

    def _read_facts(self) -> Mapping[str, ServiceFacts]:
        """What services say of themselves, completed by the catalog."""
        found = {name: self._facts_of(name) for name in self._catalog.services}
        for said in reversed(self._reader.service_facts()):  # those seen last come last, and count
            found[said.service] = self._facts_of(
                said.service, Owner(said.owner, said.owner_contact, said.owner_url), said.criticality, said.version
            )
        return found

    def _facts_of(self, name: str, said: Owner = Owner(), criticality: str = "", version: str = "") -> ServiceFacts:
        owner = self._catalog.owner(name, said)
        criticality = criticality or self._catalog.service(name).criticality
        return ServiceFacts(owner.name, owner.contact or owner.url, criticality, version)

    # What marks say

    def _with_said(self, edge: Edge) -> Edge:
        """Add what the span around a call says of it."""
        mark = mark_of(edge)
        return replace(edge, said=self._said.value.get(mark, NOTHING_SAID)) if mark else edge

    def _read_said(self, edges: Mapping[str, tuple[Edge, ...]], now_s: int) -> dict[Mark, Said]:
        marks = {mark for each in edges.values() for edge in each if (mark := mark_of(edge))}
        with self._store.client() as client:
            said = recent.said_of_marks(client, marks, now_s - SAID_S, now_s + MINUTE_S)
        return {mark: said.get(mark) or self._said.value.get(mark, NOTHING_SAID) for mark in marks}

    def _read_queues(self, client: Client, edges: Mapping[str, tuple[Edge, ...]], now_s: int) -> tuple[QueueSeen, ...]:
        """Messages of queues that promise something, by what their name or cpdd.toml says."""
        all_edges = (edge for each in edges.values() for edge in each)
        taken = {(edge.journey, edge.id): edge for edge in all_edges if edge.caller.kind == "queue"}
        promises = {
            key: promise
            for key, edge in taken.items()
            if (promise := promise_of(self._book.queues, *_queue_names(edge.caller), edge.callee.operation))
        }
        within_ns = {edge: promise.within_ns for (_, edge), promise in promises.items()}
        journeys = {journey for journey, _ in promises}
        return tuple(
            QueueSeen(
                edge_id=key[1],
                journey=key[0],
                queue=operation_of(taken[key].caller),
                consumer=operation_of(taken[key].callee),
                promised=promises[key],
                kept=proportion(waits.kept, waits.messages, waits.squares),
                late=waits.late,
                messages=waits.messages,
                typical_wait_ns=waits.wait_ns / waits.messages,
                waited_for=taken[key].waited > 0,
            )
            for key, waits in recent.queue_waits(client, journeys, within_ns, now_s).items()
        )

    # Context

    def _read_breaks(
        self,
        client: Client,
        now_ns: int,
        totals: Mapping[str, recent.JourneyTotals],
        edges: Mapping[str, tuple[Edge, ...]],
    ) -> tuple[ContextBreak, ...]:
        now_s = now_ns // 1_000_000_000
        minutes = _minutes(now_s - CONTEXT_S, now_s)
        lately = recent.journey_totals(client, minutes.first_s, minutes.last_s)
        calls = recent.calls_of_edges(client, minutes.first_s, minutes.last_s)
        callers = _callers(edges)
        found = []
        for (service, operation), into in callers.items():
            name = f"{service}: {operation}"
            begins = lately[name].traces if name in lately else 0
            called = sum(edge.calls for edge in into)
            if begins >= LEAST_BEGINS and called >= max(INNER_CALLS, INNER_TIMES * totals[name].weight):
                examples = recent.calling_examples(client, name, 0, minutes.first_s)
                found.append(_break(service, operation, begins, into, calls, False, examples))
        return (*found, *self._orphans(client, now_ns, minutes.first_s, callers, calls))

    def _orphans(
        self,
        client: Client,
        now_ns: int,
        first_s: int,
        callers: Mapping[tuple[str, str], list[Edge]],
        calls: Mapping[int, float],
    ) -> list[ContextBreak]:
        traces: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
        begins: dict[tuple[str, str], int] = {}
        for found in recent.orphan_traces(client, first_s, now_ns):
            if found.with_orphans < max(LEAST_BEGINS, ORPHAN_SHARE * found.traces):
                continue
            for trace_id, service, operation in recent.orphan_spans(client, found.examples):
                traces[service, operation][trace_id] = None
                begins[service, operation] = max(begins.get((service, operation), 0), found.with_orphans)
        return [
            _break(*key, begins[key], callers.get(key, []), calls, True, tuple(ids)[:3])
            for key, ids in sorted(traces.items())
        ]


def _minutes(first_s: int, now_s: int) -> Minutes:
    first_s = max(first_s // MINUTE_S * MINUTE_S, 0)
    last_s = now_s // MINUTE_S * MINUTE_S + MINUTE_S
    return Minutes(first_s, last_s, MINUTE_S, float(last_s - first_s))


def _queue_names(queue: Node) -> tuple[str, str]:
    """System and destination; who names only one of them names the queue."""
    return (queue.service, queue.operation) if queue.operation else ("", queue.service)


def _change(journey: str, edge: EdgeSeen, known: EdgeVerdict) -> VerdictChange:
    return VerdictChange(edge.id, journey, edge.caller, edge.callee, known.before, known.verdict, known.since_unix_nano)


def _history(spell: recent.EdgeSpell, hours: Mapping[int, int]) -> EdgeHistory:
    """Hours that the edge's life begins or ends in count as part of it."""
    first, last = spell.first_s // HOUR_S * HOUR_S, spell.last_s // HOUR_S * HOUR_S
    return EdgeHistory(
        id=spell.edge_id,
        journey=spell.journey,
        caller=operation_of(spell.ends.caller),
        callee=operation_of(spell.ends.callee),
        first_s=spell.first_s,
        last_s=spell.last_s,
        traces=spell.traces,
        before=sum(traces for hour, traces in hours.items() if hour < first),
        meanwhile=sum(traces for hour, traces in hours.items() if first <= hour <= last),
        after=sum(traces for hour, traces in hours.items() if hour > last),
    )


def _callers(edges: Mapping[str, tuple[Edge, ...]]) -> dict[tuple[str, str], list[Edge]]:
    """Operations that other services call, with the edges that lead to them."""
    found: dict[tuple[str, str], list[Edge]] = defaultdict(list)
    for edge in (edge for each in edges.values() for edge in each):
        if edge.callee.kind == "server" and edge.caller.service not in ("", edge.callee.service):
            found[edge.callee.service, edge.callee.operation].append(edge)
    return found


def _break(
    service: str,
    operation: str,
    begins: int,
    into: list[Edge],
    calls: Mapping[int, float],
    orphans: bool,
    examples: tuple[str, ...],
) -> ContextBreak:
    """The hop that lost the context is the one with most calls missing, by what it usually makes in the time."""
    hop = max(into, key=lambda edge: edge.calls * CONTEXT_S / EVIDENCE_S - calls.get(edge.id, 0.0), default=None)
    return ContextBreak(
        service=service,
        operation=operation,
        begins=begins,
        calls=sum(calls.get(number, 0.0) for number in {edge.id for edge in into}),
        hop=operation_of(hop.caller) if hop else None,
        orphans=orphans,
        examples=examples,
    )
