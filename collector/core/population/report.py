"""What a population of traces says, journey by journey: the value behind `cpdd report`. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from collector.core.findings.message import finding_json
from collector.core.findings.model import Finding
from collector.core.graph import DependencyGraph, GraphEdge
from collector.core.population.columns import Population
from collector.core.population.levels import BANDS, bands_of, levels_of
from collector.core.population.measures import (
    HiddenWork,
    Measures,
    PlaceTime,
    measure_hidden_work,
    measure_operations,
    measure_parts,
    measure_places,
    measure_services,
)
from collector.core.population.parts import CalledEdge, Part, Place
from collector.core.population.signatures import Signatures, count_signatures

MOST_BARS, LEAST_BARS = 48, 12
"""Of the histogram of latency; few traces have few bars."""
HIDDEN_FROM = 0.01
"""Of the mean duration: less hidden work of an operation is not worth a line."""
EXAMPLES = 3
MOST_WAYS = 20
"""Signatures that are listed; the others count in coverage and entropy."""


@dataclass(frozen=True, slots=True)
class Band:
    """The traces between two quantiles of latency, and where they spend their time."""

    name: str
    """One of `BANDS`."""
    from_ns: float
    to_ns: float
    traces: int
    weight: float
    mean_ns: float
    parts: tuple[tuple[Part, float], ...]
    """Share of the mean of each part, largest first."""

    def to_json(self) -> dict[str, object]:
        return {
            "name": self.name,
            "from_ns": self.from_ns,
            "to_ns": self.to_ns,
            "traces": self.traces,
            "weighted_traces": self.weight,
            "mean_ns": self.mean_ns,
            "parts": [part.to_json() | {"share": share} for part, share in self.parts],
        }


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of the histogram of latency."""

    from_ns: float
    to_ns: float
    weights: tuple[float, ...]
    """By band."""


@dataclass(frozen=True, slots=True)
class EdgeReport:
    """A call between two operations: how long the journey is blocked on it, and what its failures do."""

    edge: GraphEdge
    blocked: float
    """Time on the path on the way, in the call and below it, relative to the duration."""

    def to_json(self) -> dict[str, object]:
        return self.edge.to_json() | {"blocked": self.blocked}


@dataclass(frozen=True, slots=True)
class Waste:
    """Time on the path that bought nothing, per trace."""

    superseded_ns: float
    """In attempts that another one followed."""
    failed_ns: float
    """In calls that failed for good."""
    share: float
    """Of the mean duration."""
    traces: int
    """With any."""


@dataclass(frozen=True, slots=True)
class Examples:
    """Traces that show a journey, by id."""

    slowest: tuple[str, ...]
    typical: tuple[str, ...]
    """Nearest to the median."""
    failed: tuple[str, ...]
    """Slowest of those that failed."""


@dataclass(frozen=True, slots=True)
class JourneyReport:
    """One journey."""

    journey: str
    traces: int
    weight: float
    mean_ns: float
    p50_ns: float
    p95_ns: float
    p99_ns: float
    failed: float
    """Share of the traces."""
    status_known: bool
    parts: dict[Part, Measures]
    services: dict[str, Measures]
    inclusive_ns: dict[tuple[str, str], float]
    """By service and operation."""
    hidden_work: dict[tuple[str, str], HiddenWork]
    """By service and operation, the most first."""
    places: tuple[tuple[Place, PlaceTime], ...]
    bands: tuple[Band, ...]
    histogram: tuple[Bar, ...]
    signatures: Signatures
    waste: Waste
    edges: tuple[EdgeReport, ...]
    """Those that block longest first."""
    examples: Examples

    @property
    def much_hidden_work(self) -> list[tuple[tuple[str, str], HiddenWork]]:
        """The hidden work of operations that have `HIDDEN_FROM` of the mean duration or more of it, the most first."""
        least_ns = HIDDEN_FROM * self.mean_ns
        return [(whose, work) for whose, work in self.hidden_work.items() if work.hidden_ns >= least_ns > 0]

    def to_json(self) -> dict[str, object]:
        return {
            "journey": self.journey,
            "traces": self.traces,
            "weighted_traces": self.weight,
            "mean_ns": self.mean_ns,
            "p50_ns": self.p50_ns,
            "p95_ns": self.p95_ns,
            "p99_ns": self.p99_ns,
            "failed": self.failed if self.status_known else None,
            "parts": [part.to_json() | self._inclusive(part) | m.to_json() for part, m in self.parts.items()],
            "services": [{"service": service} | m.to_json() for service, m in self.services.items()],
            "hidden_work": [
                {"service": service, "operation": operation} | work.to_json()
                for (service, operation), work in self.hidden_work.items()
            ],
            "call_paths": [
                {
                    "parent": place.parent if place.parent >= 0 else None,
                    "service": place.service,
                    "operation": place.operation,
                    "kind": place.kind,
                    "self_ns": time.self_ns,
                    "inclusive_ns": time.inclusive_ns,
                    "participation": time.participation,
                }
                for place, time in self.places
            ],
            "bands": [band.to_json() for band in self.bands],
            "histogram": [
                {"from_ns": bar.from_ns, "to_ns": bar.to_ns, **dict(zip(BANDS, bar.weights, strict=True))}
                for bar in self.histogram
            ],
            "signatures": {
                "entropy_bits": self.signatures.entropy_bits,
                "ways": len(self.signatures.ways),
                "listed": [
                    {
                        "steps": [{"service": service, "operation": operation} for service, operation in way.steps],
                        "share": way.share,
                        "traces": way.traces,
                        "mean_ns": way.mean_ns,
                        "example": way.example,
                    }
                    for way in self.signatures.ways[:MOST_WAYS]
                ],
            },
            "waste": {name: getattr(self.waste, name) for name in self.waste.__slots__},
            "edges": [edge.to_json() for edge in self.edges],
            "examples": {name: list(getattr(self.examples, name)) for name in self.examples.__slots__},
        }

    def _inclusive(self, part: Part) -> dict[str, object]:
        return {} if part.is_gap else {"inclusive_ns": self.inclusive_ns.get((part.service, part.operation), 0.0)}


@dataclass(frozen=True, slots=True)
class Report:
    """All journeys, those that keep people waiting most first."""

    traces: int
    spans: int
    journeys: tuple[JourneyReport, ...]
    findings: tuple[Finding, ...] = ()
    """What matters most first."""

    def to_json(self) -> dict[str, object]:
        """Return the JSON of `cpdd report --json`; docs/reference/cli.md describes it."""
        return {
            "traces": self.traces,
            "spans": self.spans,
            "journeys": [each.to_json() for each in self.journeys],
            "findings": [finding_json(finding) for finding in self.findings],
        }


def report_on(population: Population, graph: DependencyGraph, spans: int, findings: Sequence[Finding] = ()) -> Report:
    """Return the report on a population.

    Args:
        graph: of the same traces, for the requirement of edges.
        spans: how many there are.
        findings: what the graph says that somebody should know or do.
    """
    by_journey: dict[str, list[GraphEdge]] = {}
    for edge in graph.edges:
        by_journey.setdefault(edge.journey, []).append(edge)
    journeys = [_journey(population.of_journey(name), name, by_journey.get(name, [])) for name in population.journeys]
    journeys.sort(key=lambda each: (-each.weight * each.mean_ns, each.journey))
    return Report(len(population), spans, tuple(journeys), tuple(findings))


def _journey(population: Population, name: str, edges: Sequence[GraphEdge]) -> JourneyReport:
    weight = float(population.weight.sum())
    mean = float(population.weight @ population.duration_ns / weight)
    p50, p95, p99 = levels_of(population.duration_ns, population.weight, (0.5, 0.95, 0.99))
    band = bands_of(population.duration_ns, population.weight)
    times = measure_places(population)
    reached = [(place, time) for place, time in zip(population.places, times, strict=True)]
    return JourneyReport(
        journey=name,
        traces=len(population),
        weight=weight,
        mean_ns=mean,
        p50_ns=p50,
        p95_ns=p95,
        p99_ns=p99,
        failed=float(population.weight[population.failed].sum() / weight),
        status_known=bool(population.status_known.any()),
        parts=measure_parts(population),
        services=measure_services(population),
        inclusive_ns=measure_operations(population),
        hidden_work=measure_hidden_work(population),
        places=_with_time(reached),
        bands=_bands(population, band),
        histogram=_histogram(population, band),
        signatures=count_signatures(
            population.signature, population.signatures, population.weight, population.duration_ns, population.trace_id
        ),
        waste=_waste(population, weight, mean),
        edges=_edges(population, edges),
        examples=_examples(population, p50),
    )


def _edges(population: Population, edges: Sequence[GraphEdge]) -> tuple[EdgeReport, ...]:
    spent = float(population.weight @ population.duration_ns)
    weights = population.weight[population.edge_trace] * population.edge_path_ns
    blocked = dict(zip(population.edges, np.bincount(population.edge, weights, len(population.edges)), strict=True))
    found = [EdgeReport(edge, float(blocked.get(_called(edge), 0.0)) / spent if spent else 0.0) for edge in edges]
    return tuple(sorted(found, key=lambda each: (-each.blocked, -each.edge.calls, each.edge.callee.id)))


def _called(edge: GraphEdge) -> CalledEdge:
    return CalledEdge(
        edge.caller.service,
        edge.caller.operation,
        edge.callee.service,
        edge.callee.operation,
        edge.callee.kind,
        edge.kind,
    )


def _with_time(places: list[tuple[Place, PlaceTime]]) -> tuple[tuple[Place, PlaceTime], ...]:
    """Those of another journey left out, parents numbered anew."""
    kept = [i for i, (_, time) in enumerate(places) if time.inclusive_ns > 0]
    number = {old: new for new, old in enumerate(kept)}
    return tuple(
        (Place(number.get(place.parent, -1), place.service, place.operation, place.kind), time)
        for place, time in (places[i] for i in kept)
    )


def _bands(population: Population, band: np.ndarray) -> tuple[Band, ...]:
    found = []
    for i, name in enumerate(BANDS):
        chosen = band == i
        if not chosen.any():
            continue
        own = population.select(chosen)
        shares = [(part, measures.share) for part, measures in measure_parts(own).items()]
        weight = float(own.weight.sum())
        durations = own.duration_ns
        found.append(
            Band(
                name, float(durations.min()), float(durations.max()), len(own), weight,
                float(own.weight @ durations / weight), tuple(shares),
            )
        )  # fmt: skip
    return tuple(found)


def _histogram(population: Population, band: np.ndarray) -> tuple[Bar, ...]:
    """Bars of equal width on a logarithmic scale, from the fastest to the slowest."""
    durations = np.maximum(population.duration_ns, 1).astype(np.float64)
    low, high = float(durations.min()), float(durations.max())
    if high < 1.001 * low:
        low, high = 0.95 * low, 1.05 * high
    steps = int(np.clip(2 * np.sqrt(len(durations)), LEAST_BARS, MOST_BARS))
    bounds = np.geomspace(low, high, steps + 1)
    place = np.clip(np.searchsorted(bounds, durations, side="right") - 1, 0, steps - 1)
    weights = np.zeros((steps, len(BANDS)))
    np.add.at(weights, (place, band), population.weight)
    rows = zip(bounds[:-1].tolist(), bounds[1:].tolist(), weights.tolist(), strict=True)
    return tuple(Bar(begin, end, tuple(each)) for begin, end, each in rows)


def _waste(population: Population, weight: float, mean: float) -> Waste:
    superseded = float(population.weight @ population.superseded_ns / weight)
    failed = float(population.weight @ population.failed_ns / weight)
    share = (superseded + failed) / mean if mean else 0.0
    return Waste(superseded, failed, share, int(((population.superseded_ns + population.failed_ns) > 0).sum()))


def _examples(population: Population, p50_ns: float) -> Examples:
    duration = population.duration_ns

    def ids(rows: np.ndarray) -> tuple[str, ...]:
        return tuple(population.trace_id[row] for row in rows[:EXAMPLES].tolist())

    slowest = np.argsort(-duration, kind="stable")
    return Examples(
        slowest=ids(slowest),
        typical=ids(np.argsort(np.abs(duration - p50_ns), kind="stable")),
        failed=ids(slowest[population.failed[slowest]]),
    )
