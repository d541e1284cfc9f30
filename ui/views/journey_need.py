"""What a journey cannot do without, as its page says it: the mandatory subgraph, and where words and deeds differ."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from collector.core.availability import Operation
from collector.core.mandatory import Reach, reach
from collector.core.requirement import MANDATORY, OPTIONAL, UNDETERMINED
from collector.observed import edge_seen, operation_of, step_of
from collector.store.values import CallPath, Edge, Node


@dataclass(frozen=True, slots=True)
class NeedPart:
    """Nodes that the journey needs alike."""

    need: str
    """`mandatory`, `undetermined` (mixed calls on the way, or too few failures to tell) or `optional`."""
    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class JourneyNeeds:
    """The mandatory subgraph of a journey."""

    parts: tuple[NeedPart, ...]
    misdeclared: tuple[int, ...]
    """Ids of edges that are declared one thing, and were seen to be another."""
    disagreements: tuple[int, ...]
    """Ids of edges whose failures the journey took otherwise than the graph says."""


def needs_of(edges: Sequence[Edge], call_paths: Sequence[CallPath]) -> tuple[JourneyNeeds, list[str]]:
    """Return what a journey needs of all that it calls; and by edge what the call is for the journey."""
    seen = [edge_seen(edge) for edge in edges]
    steps = [edge.step for edge in seen]
    roots = [Node(path.service, path.operation, path.kind) for path in call_paths if not path.parent]
    far = reach(map(operation_of, roots), steps)
    nodes = dict.fromkeys([*roots, *(node for edge in edges for node in (edge.caller, edge.callee))])
    needs = JourneyNeeds(
        parts=_parts(nodes, far),
        misdeclared=tuple(edge.id for edge in seen if edge.is_misdeclared),
        disagreements=tuple(edge.id for edge, step in zip(seen, steps, strict=True) if far.disagrees(step)),
    )
    return needs, [far.word_of_call(step) for step in steps]


def parts_of(edges: Sequence[Edge]) -> tuple[NeedPart, ...]:
    """Return what a journey needs of all that it calls, by its edges alone: the parts that `needs_of` has, for less."""
    steps = [step_of(edge) for edge in edges]
    nodes = dict.fromkeys(node for edge in edges for node in (edge.caller, edge.callee))
    return _parts(nodes, reach((), steps))


def _parts(nodes: Iterable[Node], far: Reach[Operation]) -> tuple[NeedPart, ...]:
    by_need: dict[str, list[Node]] = {need: [] for need in (MANDATORY, UNDETERMINED, OPTIONAL)}
    for node in nodes:
        by_need[far.word(operation_of(node))].append(node)
    return tuple(NeedPart(need, tuple(found)) for need, found in by_need.items())
