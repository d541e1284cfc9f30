"""What a journey cannot do without: all that is reached from its root over mandatory edges. Pure.

Beyond an optional edge everything is optional for the journey, however mandatory it is for its caller. Beside that
stands what became of the journey itself when the call failed; where the two disagree, one of them is not as it seems:
a caller that fails though nobody minds, or one that answers well and takes the journey down all the same.

Edges come as `Step`s, because graphs, findings and contracts each know them under other names.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from collector.core.graph import DependencyGraph, GraphEdge
from collector.core.requirement import (
    BY_NEED,
    MANDATORY,
    MIXED,
    OPTIONAL,
    UNDETERMINED,
    as_known,
    inner_decides,
)

Place = TypeVar("Place")
"""What tells a node from others: an id, an operation."""
Way = tuple[Place, Place]
"""From a caller to a callee."""


def reached(roots: Iterable[Place], ways: Iterable[Way[Place]]) -> set[Place]:
    """Return what can be reached from `roots` along `ways`, the roots among it. Work: O(ways).

    >>> sorted(reached(["shop"], [("shop", "pay"), ("pay", "bank"), ("tips", "best")]))
    ['bank', 'pay', 'shop']
    """
    following: dict[Place, list[Place]] = {}
    for caller, callee in ways:
        following.setdefault(caller, []).append(callee)
    found = set(roots)
    waiting = list(found)
    while waiting:
        for callee in following.get(waiting.pop(), ()):
            if callee not in found:
                found.add(callee)
                waiting.append(callee)
    return found


def beginnings(ways: Sequence[Way[Place]], roots: Iterable[Place] = ()) -> set[Place]:
    """Return `roots`, and the callers that nobody calls: they lost their caller. In a loop the first caller is one."""
    called = {callee for _, callee in ways}
    uncalled = {caller for caller, _ in ways if caller not in called}
    return uncalled.union(roots) or {caller for caller, _ in ways[:1]}


@dataclass(frozen=True, slots=True)
class Step(Generic[Place]):
    """An edge, as far as its journey's needs go."""

    caller: Place
    callee: Place
    verdict: str
    """What its failures did to the caller."""
    declared: str
    """`mandatory`, `optional`, `mixed`, or empty."""
    journey: str
    """What its failures did to the journey: a verdict."""
    is_mark: bool = False
    """The callee is a span of the caller's own around a call (`with cpdd.mandatory("charge")`)."""
    is_delivery: bool = False
    """A queue hands over what was sent before: how its consumer fares says nothing of who sent it."""

    @property
    def requirement(self) -> str:
        """Of the caller: as seen, else as said."""
        return as_known(self.verdict, self.declared)


def declared_by_marks(marks: Iterable[tuple[Place, str]]) -> dict[Place, str]:
    """Return what the calls inside each mark are declared to be: `mixed` where those who open it disagree.

    Args:
        marks: the span around a call, and what an edge that leads to it declares; may be empty.

    >>> declared_by_marks([("charge", "mandatory"), ("tips", "optional"), ("tips", "mandatory"), ("log", "")])
    {'charge': 'mandatory', 'tips': 'mixed'}
    """
    found: dict[Place, str] = {}
    for place, declared in marks:
        if declared:
            found[place] = declared if found.get(place, declared) == declared else MIXED
    return found


def through_marks(steps: Sequence[Step[Place]]) -> list[str]:
    """Return by step whether the service needs what is called: if it needs the marks around it, and they need it.

    A call that its mark fails with is none that the service fails with, where the mark is survived.
    """
    around: dict[Place, Step[Place]] = {}
    for step in steps:
        if step.is_mark:
            outer = around.setdefault(step.callee, step)
            around[step.callee] = min(outer, step, key=lambda one: BY_NEED.index(one.requirement))
    return [_through(step, around) for step in steps]


def _through(step: Step[Place], around: Mapping[Place, Step[Place]]) -> str:
    word, at, passed = step.requirement, step.caller, {step.callee}
    while at in around and at not in passed:
        passed.add(at)
        outer = around[at]
        word = word if inner_decides(outer.requirement, word) else outer.requirement
        at = outer.caller
    return word


@dataclass(frozen=True, slots=True)
class Reach(Generic[Place]):
    """How far mandatory edges lead."""

    needed: frozenset[Place]
    """What the journey needs, its roots among it."""
    possible: frozenset[Place]
    """What it needs if all that is mixed or not decided yet is mandatory; `needed` among it."""

    def word(self, place: Place) -> str:
        """Return what a node is for the journey: `mandatory`, `undetermined` or `optional`."""
        return MANDATORY if place in self.needed else UNDETERMINED if place in self.possible else OPTIONAL

    def word_of_call(self, step: Step[Place]) -> str:
        """Return what a call is for the journey: never more than what lies before it."""
        before = self.word(step.caller)
        if OPTIONAL in (before, step.requirement):
            return OPTIONAL
        return MANDATORY if before == step.requirement == MANDATORY else UNDETERMINED

    def disagrees(self, step: Step[Place]) -> bool:
        """Tell whether the journey took the call's failures otherwise than the graph says, both being decided."""
        return not step.is_delivery and {self.word_of_call(step), step.journey} == {MANDATORY, OPTIONAL}


def reach(roots: Iterable[Place], steps: Sequence[Step[Place]]) -> Reach[Place]:
    """Return how far the mandatory edges of a journey lead from its roots, and from what lost its caller.

    A consumer lost its caller where nobody is seen to send: the journey began with its message.
    """
    called = {step.callee for step in steps}
    calls = [(step.caller, step.callee) for step in steps if not step.is_delivery or step.caller in called]
    begin = beginnings(calls, roots)
    return Reach(
        needed=frozenset(reached(begin, _ways(steps, (MANDATORY,)))),
        possible=frozenset(reached(begin, _ways(steps, (MANDATORY, MIXED, UNDETERMINED)))),
    )


def _ways(steps: Iterable[Step[Place]], requirements: tuple[str, ...]) -> list[Way[Place]]:
    return [(step.caller, step.callee) for step in steps if step.requirement in requirements]


# The mandatory subgraph of a dependency graph


@dataclass(frozen=True, slots=True)
class JourneyNeed:
    """What one journey needs; nodes by their ids."""

    journey: str
    mandatory: tuple[str, ...]
    """What it needs, its root among it."""
    undetermined: tuple[str, ...]
    """What it needs if edges that are mixed, or not decided yet, are mandatory."""
    optional: tuple[str, ...]
    """What it does without."""
    edges: tuple[GraphEdge, ...]
    """The calls that it needs."""
    misdeclared: tuple[GraphEdge, ...]
    """Calls that are declared one thing, and were seen to be another."""
    disagreements: tuple[GraphEdge, ...]
    """Calls whose failures the journey took otherwise than the graph says."""

    def to_json(self) -> dict[str, object]:
        """Return a member of `journeys` in `cpdd graph --json`; docs/reference/graph.md describes it."""
        return {
            "journey": self.journey,
            "mandatory": list(self.mandatory),
            "undetermined": list(self.undetermined),
            "optional": list(self.optional),
            "misdeclared": [{"caller": e.caller.id, "callee": e.callee.id} for e in self.misdeclared],
            "disagreements": [{"caller": e.caller.id, "callee": e.callee.id} for e in self.disagreements],
        }


def journey_needs(graph: DependencyGraph) -> tuple[JourneyNeed, ...]:
    """Return what each journey of a graph needs, in order of their names."""
    journeys = {journey for journey, _ in graph.roots} | {edge.journey for edge in graph.edges}
    return tuple(mandatory_subgraph(graph, journey) for journey in sorted(journeys))


def mandatory_subgraph(graph: DependencyGraph, journey: str) -> JourneyNeed:
    """Return what `journey` needs of all it reaches."""
    edges = [edge for edge in graph.edges if edge.journey == journey]
    steps = [step_of(edge) for edge in edges]
    far = reach([node.id for name, node in graph.roots if name == journey], steps)
    everything = sorted({end for step in steps for end in (step.caller, step.callee)} | far.possible)
    judged = list(zip(edges, steps, strict=True))
    return JourneyNeed(
        journey=journey,
        mandatory=tuple(node for node in everything if far.word(node) == MANDATORY),
        undetermined=tuple(node for node in everything if far.word(node) == UNDETERMINED),
        optional=tuple(node for node in everything if far.word(node) == OPTIONAL),
        edges=tuple(edge for edge, step in judged if far.word_of_call(step) == MANDATORY),
        misdeclared=tuple(
            edge for edge in edges if edge.declared and edge.verdict.verdict not in (UNDETERMINED, edge.declared)
        ),
        disagreements=tuple(edge for edge, step in judged if far.disagrees(step)),
    )


def only_mandatory(graph: DependencyGraph) -> DependencyGraph:
    """Return the nodes and edges that journeys need."""
    needs = journey_needs(graph)
    nodes = {node for need in needs for node in need.mandatory}
    keys = {_key(edge) for need in needs for edge in need.edges}
    return replace(
        graph,
        nodes=tuple(node for node in graph.nodes if node.id in nodes),
        edges=tuple(edge for edge in graph.edges if _key(edge) in keys),
    )


def step_of(edge: GraphEdge) -> Step[str]:
    return Step(
        caller=edge.caller.id,
        callee=edge.callee.id,
        verdict=edge.verdict.verdict,
        declared=edge.as_declared or "",
        journey=edge.journey_verdict.verdict,
        is_mark=edge.kind == "internal",
        is_delivery=edge.caller.kind == "queue",
    )


def _key(edge: GraphEdge) -> tuple[str, str, str, str]:
    return edge.journey, edge.caller.id, edge.callee.id, edge.kind
