"""How available a journey is, measured and as its graph implies, and which dependency has a nine too few. Pure.

    measured  good traces / all traces
    implied   product over what it calls of (1 - q f h)

        q  share of the traces that call it      f  how often it fails by itself
        h  how often its failure reaches the root: product of (1 - survival) on the way down, the largest over the ways

    shop --(survival 0)--> payment --(0)--> bank        bank: q 1, f 0.01, h 1     implied (1 - 0.01) (1 - 0.001 x 0.1)
       \\--(survival 0.9)--> tips                         tips: q 1, f 0.001, h 0.1          = 0.9899

Failures that come together make the journey better than implied: measured minus implied says how far they do.
Source: Treynor, Dahlin, Rau, Beyer, The Calculus of Service Availability, ACM Queue 2017;
docs/explanation/availability.md.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Operation = tuple[str, str, str]
"""Service, operation, kind of node."""

_Z = 1.959964
"""95 %."""
_DRAWS = 1_000
_SEED = 20170524
_MOST_CALLS = 10**9


@dataclass(frozen=True, slots=True)
class Proportion:
    """A share with its 95 % interval (Wilson's score, which holds near 0 and 1) and the witnesses it rests on."""

    share: float
    low: float
    high: float
    trials: float
    """Effective: a trace kept at 1 % is one witness."""


def proportion(count: float, weight: float, squares: float) -> Proportion:
    """Return the share `count / weight` of weighted trials.

    Args:
        squares: sum of the squared weights.

    >>> found = proportion(98, 100, 100)
    >>> found.share, round(found.low, 3), round(found.high, 3)
    (0.98, 0.93, 0.994)
    """
    trials = weight * weight / squares if squares > 0 else 0.0
    if trials <= 0:
        return Proportion(0.0, 0.0, 1.0, 0.0)
    share = min(max(count / weight, 0.0), 1.0)
    middle = (share + _Z * _Z / (2 * trials)) / (1 + _Z * _Z / trials)
    half = _Z * math.sqrt(share * (1 - share) / trials + _Z * _Z / (4 * trials * trials)) / (1 + _Z * _Z / trials)
    return Proportion(share, min(max(middle - half, 0.0), share), max(min(middle + half, 1.0), share), trials)


def calls_to_show(required: float, calls: float = 0.0, failed: float = 0.0) -> int:
    """Return how many calls in all, none of the further ones failing, show that `required` is kept.

    >>> calls_to_show(0.9999)
    38411
    """
    low, high = 0, max(int(calls), 1)
    while proportion(high - failed, high, high).low < required:
        low, high = high, high * 2
        if high > _MOST_CALLS:
            return _MOST_CALLS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if proportion(middle - failed, middle, middle).low >= required else (middle, high)
    return high


@dataclass(frozen=True, slots=True)
class Dependency:
    """An edge of a journey, as far as availability goes. Counts are weighted."""

    caller: Operation
    callee: Operation
    traces: float
    """Traces with the call."""
    calls: float
    failed: float
    own_failed: float
    """Of the failed, those that nothing below took down."""
    survival: float
    """How often the caller survives the call's failure."""
    survived: float = 0.0
    """Witnesses behind `survival`: failures that were survived, of `failures`. None: it is taken as it is."""
    failures: float = 0.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """The traces of a journey. Counts are weighted."""

    traces: float
    failed: float
    root_failed: float
    """Failed traces without a failed call that took the root down."""
    squares: float
    """Sum of the squared weights of the traces."""
    injected: float = 0.0
    """Of the failed, those that an injected fault took down."""


@dataclass(frozen=True, slots=True)
class Availability:
    """Measured and implied availability, and by how much they differ."""

    measured: Proportion
    """Of all traces: what users had."""
    injected: float
    """Share of the traces that injected faults took down; they are in `measured`, and in nothing below."""
    implied: float
    implied_interval: tuple[float, float]
    difference: float
    """Measured, without the traces that injected faults took down, minus implied."""
    difference_interval: tuple[float, float]

    @property
    def says(self) -> str:
        """What the difference means, in words."""
        low, high = self.difference_interval
        if low > 0:
            return "failures come together: the journey does better than independent ones would let it"
        if high < 0:
            return "it does worse than its calls explain: something fails that no span shows"
        return "what its calls imply is what was measured"


def availability(outcome: Outcome, dependencies: Sequence[Dependency]) -> Availability | None:
    """Return the availability of a journey, None for one without traces.

    The intervals are drawn with a fixed seed from the posteriors of every f and every survival. Work: O(edges) draws.
    """
    if not outcome.traces:
        return None
    scale = outcome.traces / outcome.squares if outcome.squares else 1.0
    measured = proportion(outcome.traces - outcome.failed, outcome.traces, outcome.squares)
    implied = float(_implied(outcome, dependencies, None, scale)[0])
    draws = np.random.default_rng(_SEED)
    drawn = _implied(outcome, dependencies, draws, scale)
    good, failed = outcome.traces - outcome.failed, max(outcome.failed - outcome.injected, 0.0)
    seen = draws.beta(0.5 + good * scale, 0.5 + failed * scale, _DRAWS)
    difference = (good / (good + failed) if good + failed else 1.0) - implied
    return Availability(
        measured=measured,
        injected=outcome.injected / outcome.traces,
        implied=implied,
        implied_interval=_interval(drawn, implied),
        difference=difference,
        difference_interval=_interval(seen - drawn, difference),
    )


def _interval(drawn: NDArray[np.float64], point: float) -> tuple[float, float]:
    low, high = (float(edge) for edge in np.percentile(drawn, (2.5, 97.5)))
    return min(low, point), max(high, point)


def _implied(
    outcome: Outcome, dependencies: Sequence[Dependency], draws: np.random.Generator | None, scale: float
) -> NDArray[np.float64]:
    """Implied availability, one value a draw; without a generator the one value of the observed shares."""
    count = _DRAWS if draws is not None else 1
    nodes = _nodes(dependencies)
    reach = _reach(dependencies, nodes, draws, scale, count)
    root = _share(outcome.root_failed, outcome.traces, draws, scale, count)
    up = 1 - root
    into: dict[Operation, list[Dependency]] = {}
    for dependency in dependencies:
        into.setdefault(dependency.callee, []).append(dependency)
    for node, edges in into.items():
        calls, traces = sum(edge.calls for edge in edges), sum(edge.traces for edge in edges)
        if not calls or not traces:
            continue
        q = min(1.0, traces / outcome.traces)
        f = _share(sum(edge.own_failed for edge in edges), calls, draws, scale, count)
        often = 1 - (1 - f) ** max(1.0, calls / traces)  # a node may be called several times in a trace
        up = up * (1 - q * often * reach[nodes[node]])
    return np.asarray(up, np.float64)


def _nodes(dependencies: Iterable[Dependency]) -> dict[Operation, int]:
    names = dict.fromkeys(end for edge in dependencies for end in (edge.caller, edge.callee))
    return {name: number for number, name in enumerate(names)}


def _reach(
    dependencies: Sequence[Dependency],
    nodes: dict[Operation, int],
    draws: np.random.Generator | None,
    scale: float,
    count: int,
) -> NDArray[np.float64]:
    """h of every node, shape (nodes, draws). Products only fall along a way, so that a cycle changes nothing."""
    dies = [1 - _survival(dependency, draws, scale, count) for dependency in dependencies]
    called = {edge.callee for edge in dependencies}
    roots = [number for name, number in nodes.items() if name not in called] or list(nodes.values())[:1]
    reach = np.zeros((len(nodes), count))
    reach[roots] = 1.0
    for _ in range(len(nodes)):
        changed = False
        for edge, die in zip(dependencies, dies, strict=True):
            through = reach[nodes[edge.caller]] * die
            if (through > reach[nodes[edge.callee]]).any():
                reach[nodes[edge.callee]] = np.maximum(reach[nodes[edge.callee]], through)
                changed = True
        if not changed:
            break
    return reach


def _survival(edge: Dependency, draws: np.random.Generator | None, scale: float, count: int) -> NDArray[np.float64]:
    if draws is None or not edge.failures:
        return np.full(count, min(max(edge.survival, 0.0), 1.0))
    died = max(edge.failures - edge.survived, 0.0)
    return draws.beta(0.5 + edge.survived * scale, 0.5 + died * scale, count)


def _share(
    count_failed: float, weight: float, draws: np.random.Generator | None, scale: float, count: int
) -> NDArray[np.float64]:
    """Weighted failures of weighted trials; what never failed does not, rather than "perhaps half a time".

    With many nodes the prior's half failures would add up to an outage that nobody saw.
    """
    failed = min(count_failed, weight)
    if draws is None or not failed:
        return np.full(count, failed / weight if weight else 0.0)
    return draws.beta(0.5 + failed * scale, 0.5 + (weight - failed) * scale, count)


# The rule of the extra nine


@dataclass(frozen=True, slots=True)
class Nine:
    """Whether a mandatory dependency is one nine better than what the journey promises."""

    node: Operation
    availability: Proportion
    """Of calls to it, as its callers see it."""
    own: float
    """What it would be if nothing below it failed."""
    required: float
    verdict: str
    """`missing`, `kept`, or `not yet measurable`."""
    calls_needed: int
    """Not yet measurable: how many calls in all, none of the further ones failing, would show that it is kept."""


MISSING, KEPT, NOT_YET = "missing", "kept", "not yet measurable"


def required_of_dependency(promise: float) -> float:
    """Return one nine more than the journey promises.

    >>> round(required_of_dependency(0.999), 6)
    0.9999
    """
    return 1 - (1 - promise) / 10


def extra_nines(promise: float, mandatory: Sequence[Dependency], scale: float = 1.0) -> tuple[Nine, ...]:
    """Return how each mandatory dependency stands against one nine more than `promise`, worst first.

    Args:
        mandatory: the edges of the journey's mandatory subgraph.
        scale: witnesses by unit of weight; 1 where nothing is sampled.
    """
    required = required_of_dependency(promise)
    into: dict[Operation, list[Dependency]] = {}
    for edge in mandatory:
        into.setdefault(edge.callee, []).append(edge)
    nines = [_nine(node, edges, required, scale) for node, edges in into.items()]
    order = {MISSING: 0, NOT_YET: 1, KEPT: 2}
    return tuple(sorted(nines, key=lambda nine: (order[nine.verdict], nine.own, nine.availability.share, nine.node)))


def _nine(node: Operation, edges: Sequence[Dependency], required: float, scale: float) -> Nine:
    calls = sum(edge.calls for edge in edges)
    failed = sum(edge.failed for edge in edges)
    own_failed = sum(edge.own_failed for edge in edges)
    seen = proportion(calls - failed, calls, calls / scale if scale else 0.0)
    verdict = MISSING if seen.high < required else KEPT if seen.low >= required else NOT_YET
    needed = calls_to_show(required, seen.trials, failed * scale) if verdict == NOT_YET else 0
    own = 1 - own_failed / calls if calls else 1.0
    return Nine(node, seen, own, required, verdict, needed)
