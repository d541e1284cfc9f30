"""Which calls were mandatory before: the output of `cpdd graph --json`, kept from an earlier day."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from collector.core.contracts.document import ContractError

_HINT = "a baseline is what `cpdd graph --json FILE` printed"


@dataclass(frozen=True, slots=True)
class KnownEdge:
    """An edge as it was; ends are ids of nodes in a graph."""

    caller: str
    callee: str
    kind: str
    verdict: str
    declared: str


@dataclass(frozen=True, slots=True)
class Baseline:
    """Edges by journey."""

    journeys: dict[str, tuple[KnownEdge, ...]]


def read_baseline(text: str, name: str) -> Baseline:
    """Return what a file of `cpdd graph --json` says. Raises ContractError, naming the file and the place."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise ContractError(f"not valid JSON: {error}", f"baseline {name}", _HINT) from None
    edges = document.get("edges") if isinstance(document, dict) else None
    if not isinstance(edges, list):
        raise ContractError("no list of edges", f"baseline {name}", _HINT)
    journeys: dict[str, list[KnownEdge]] = {}
    for number, edge in enumerate(edges):
        journey, known = _edge(edge, f"baseline {name} edges[{number}]")
        journeys.setdefault(journey, []).append(known)
    return Baseline({journey: tuple(_hand_down(known)) for journey, known in journeys.items()})


def _hand_down(edges: list[KnownEdge]) -> Iterator[KnownEdge]:
    """Calls inside a mark are declared as the mark is."""
    marks = {edge.callee: edge.declared for edge in edges if edge.kind == "internal" and edge.declared}
    return (edge if edge.declared else replace(edge, declared=marks.get(edge.caller, "")) for edge in edges)


def _edge(edge: Any, place: str) -> tuple[str, KnownEdge]:
    try:
        requirement = edge["requirement"]
        verdict, declared = requirement["verdict"], requirement["declared"] or ""
        texts = [*(edge[key] for key in ("journey", "caller", "callee", "kind")), verdict, declared]
    except (TypeError, KeyError) as error:
        raise ContractError(f"not an edge: {error} is missing", place, _HINT) from None
    if not all(isinstance(text, str) for text in texts):
        raise ContractError("not an edge: journey, caller, callee and verdict are texts", place, _HINT)
    return texts[0], KnownEdge(*texts[1:])
