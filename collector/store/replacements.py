"""What was called in the place of failed calls, read from the minutes and told apart from what is called anyway."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from clickhouse_connect.driver.client import Client

from collector.core.distinct import number_rows
from collector.core.fallbacks import Use, fallbacks
from collector.store.dictionaries import EdgeEnds
from collector.store.minute_rows import numeric, read_rows, summed
from collector.store.values import Edge
from collector.store.which_minutes import Minutes

Replaced = Mapping[tuple[int, int], float]
"""Edge, and edge that was called after it had failed, to the weighted number of callers."""
_COLUMNS = ("EdgeId", "CalledEdgeId", "Callers")


def replacements(client: Client, journey: str, minutes: Minutes) -> Replaced:
    """Return the candidates for fallbacks in a journey, of all its traces."""
    rows = read_rows(client, replace(minutes, chosen=None), "replacement_minutes", _COLUMNS, journey)
    edge, called = numeric(rows, "EdgeId"), numeric(rows, "CalledEdgeId")
    example, pair = number_rows([edge, called])
    callers = summed(pair, numeric(rows, "Callers"), len(example)).tolist()
    return dict(zip(zip(edge[example].tolist(), called[example].tolist(), strict=True), callers, strict=True))


def with_fallbacks(edges: Sequence[Edge], replaced: Replaced, ends: Mapping[int, EdgeEnds]) -> list[Edge]:
    """Return the edges with what was called in their place."""
    uses = {edge.id: Use(edge.calls, edge.failed) for edge in edges}
    candidates: dict[int, list[tuple[int, float]]] = {}
    for (edge, called), callers in replaced.items():
        if edge in uses and called in uses and called in ends:
            candidates.setdefault(edge, []).append((called, callers))
    return [
        replace(
            edge,
            fallbacks=tuple(
                (ends[called].callee, callers)
                for called, callers in fallbacks(candidates[edge.id], uses[edge.id], uses)
            ),
        )
        if edge.id in candidates
        else edge
        for edge in edges
    ]
