"""Which boosts the critical path asks for: where more traces would decide something, and what they would cost. Pure.

    an edge nobody can judge yet    so many failures of the call have to be seen
    a promise that is being broken  its failures have to be seen, now
    too few traces                  the slowest hundredth of a journey rests on a handful

Only for journeys that are sampled: where all traces are kept, a boost adds none.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

from collector.core.availability import Operation
from collector.core.findings.model import EdgeSeen, JourneySeen, spoken
from collector.core.sampling.costs import GUESS, Cost, Costs
from collector.core.sampling.fleet import Rate
from collector.core.sampling.roots import Root

Kind = Literal["broken promise", "undetermined edge", "few traces"]
URGENCY: tuple[Kind, ...] = ("broken promise", "undetermined edge", "few traces")
"""The first first."""

AIM_S = 300.0
"""In which time what is missing should be there."""
SHORTEST_S = 60.0
BURNING_S = 600.0
SAMPLED_BELOW = 0.999
TAIL_EXAMPLES = 20
"""Traces that the slowest hundredth of a journey should have."""
MOST_TRACES = 100_000
MAX_PROPOSALS = 50


@dataclass(frozen=True, slots=True)
class Proposal:
    """A boost that nobody has asked for yet."""

    id: str
    """The same for the same question; the boost that answers it is called so."""
    kind: Kind
    journey: str
    why: str
    caller: Operation | None
    callee: Operation | None
    """The edge that it is about, None for the whole journey."""
    roots: tuple[Root, ...]
    kept_percentage: float
    """Of the traces of these roots, now."""
    percentage: float
    duration_s: float
    max_traces: int
    """What it may add."""
    traces_needed: int
    """What would answer the question; where it is more than `max_traces`, the boost has to be repeated."""
    decides_in_s: float
    """When it would be answered, with the boost and its repetitions."""
    otherwise_in_s: float | None
    """When without, by what is kept now; None where nothing is."""
    traces_per_second: float
    """What it adds; likewise below."""
    spans_per_second: float
    spans: int
    """In all."""


def propose(
    journeys: Iterable[JourneySeen], rates: Mapping[Root, Rate], costs: Costs, longest_s: float
) -> list[Proposal]:
    """Return proposals, the most urgent first.

    Args:
        journeys: as the judge saw them last.
        rates: traces that are begun and kept now, by root operation.
        longest_s: no boost is longer.
    """
    found = []
    for journey in journeys:
        roots = tuple(root for root in _roots(journey) if root in rates)
        rate = sum((rates[root] for root in roots), Rate())
        if rate.seen <= 0 or rate.kept >= SAMPLED_BELOW * rate.seen:
            continue
        cost = sum((costs[root] for root in roots if root in costs), Cost())
        asking = _Asking(journey.name, roots, rate, cost if cost.traces else GUESS, longest_s)
        found += [(0.0, asking.about_promise(name)) for name in _broken(journey)]
        found += [
            (edge.critical_share, asking.about_edge(edge, journey.weight))
            for edge in journey.edges
            if edge.more_failures
        ]
        if journey.traces < 100 * TAIL_EXAMPLES:
            found.append((0.0, asking.about_tail(journey.traces)))
    found.sort(key=lambda item: (URGENCY.index(item[1].kind), -item[0], item[1].traces_needed, item[1].id))
    return [proposal for _, proposal in found[:MAX_PROPOSALS]]


def _roots(journey: JourneySeen) -> Sequence[Root]:
    """The operations at which a journey begins: callers that nobody calls; without calls, as its name says."""
    called = {edge.callee for edge in journey.edges}
    begins = {Root(edge.caller[0], edge.caller[1]) for edge in journey.edges if edge.caller not in called}
    if not begins:
        service, _, operation = journey.name.partition(": ")
        begins = {Root(service, operation)}
    return sorted(begins)


def _broken(journey: JourneySeen) -> list[str]:
    return [standing.what for standing in journey.standings if standing.alert is not None]


@dataclass(frozen=True, slots=True)
class _Asking:
    """What the proposals of one journey share."""

    journey: str
    roots: tuple[Root, ...]
    rate: Rate
    cost: Cost
    longest_s: float

    def about_promise(self, promise: str) -> Proposal:
        why = f"{self.journey} breaks its promise of {promise}: every trace of the next minutes may show why"
        needed = math.ceil((self.rate.seen - self.rate.kept) * BURNING_S)
        return self._proposal("broken promise", why, promise, needed, BURNING_S)

    def about_edge(self, edge: EdgeSeen, weight: float) -> Proposal:
        """Failures are as frequent as they were; where none was seen, at most 3 in all traces (at 95 %)."""
        a_trace = (edge.failed or 3.0) / max(weight, 1.0)
        times = f"{edge.more_failures} more failure{'s' if edge.more_failures > 1 else ''}"
        why = f"whether {spoken(edge.caller)} needs {spoken(edge.callee)} is not known: {times} of the call would tell"
        needed = math.ceil(edge.more_failures / a_trace)
        return self._proposal("undetermined edge", why, edge.subject, needed, AIM_S, edge)

    def about_tail(self, traces: int) -> Proposal:
        why = f"the slowest hundredth of {self.journey} rests on {traces // 100} traces of a day"
        return self._proposal("few traces", why, "", 100 * TAIL_EXAMPLES - traces, AIM_S)

    def _proposal(
        self, kind: Kind, why: str, subject: str, needed: int, aim_s: float, edge: EdgeSeen | None = None
    ) -> Proposal:
        """As much as is needed, in the time that is aimed at where the traffic is enough for that, else longer."""
        spare = self.rate.seen - self.rate.kept
        added = min(spare, needed / aim_s)
        percentage = min(100.0, math.ceil(1_000 * (self.rate.kept + added) / self.rate.seen) / 10)
        added = percentage / 100 * self.rate.seen - self.rate.kept
        duration_s = float(math.ceil(min(max(needed / added, SHORTEST_S), self.longest_s)))
        most = max(1, min(needed, math.ceil(added * duration_s), MOST_TRACES))
        return Proposal(
            id="ask-" + blake2b("\0".join((kind, self.journey, subject)).encode(), digest_size=4).hexdigest(),
            kind=kind,
            journey=self.journey,
            why=why,
            caller=edge.caller if edge else None,
            callee=edge.callee if edge else None,
            roots=self.roots,
            kept_percentage=round(100 * self.rate.kept / self.rate.seen, 4),
            percentage=percentage,
            duration_s=duration_s,
            max_traces=most,
            traces_needed=needed,
            decides_in_s=float(math.ceil(needed / added)),
            otherwise_in_s=float(math.ceil(needed / self.rate.kept)) if self.rate.kept else None,
            traces_per_second=round(added, 3),
            spans_per_second=round(added * self.cost.spans_a_trace, 3),
            spans=math.ceil(most * self.cost.spans_a_trace),
        )
