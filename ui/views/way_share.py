"""How much of a journey's path lies on the way of a call, where the caller's span does not say that it calls.

An edge has the time of the span that calls, and of all below it. Of kind CLIENT or PRODUCER that is the caller's own
span for the call. Where kinds are missing it is the callee's, and the way to it stands among the caller's own time:
a picture that left it there would show a slow network as no call at all.
"""

from collections.abc import Mapping, Sequence

from collector.store.values import CallPath, Edge
from ui.views.slower import SAYS_SO, ways_of


def way_shares(edges: Sequence[Edge], call_paths: Sequence[CallPath]) -> dict[int, float]:
    """Return by edge the share of the path on its way that the edge does not have, 0 to 1; few edges have any."""
    by_id = {call.id: call for call in call_paths}
    children: dict[int, list[CallPath]] = {}
    for call in call_paths:
        children.setdefault(call.parent, []).append(call)
    by_ends: dict[tuple[str, str, str], list[Edge]] = {}
    for edge in edges:
        by_ends.setdefault((edge.caller.service, edge.callee.service, edge.callee.operation), []).append(edge)
    whole = sum(call.mean_ns for call in call_paths)
    found: dict[int, float] = {}
    for number, to in ways_of(call_paths).items():
        call = by_id[number]
        if call.kind in SAYS_SO:
            continue  # its edge has its time
        called = {child.operation for child in children[number]}
        near = [edge for operation in sorted(called) for edge in by_ends.get((call.service, to, operation), ())]
        mine = _of_caller(near, call, by_id)
        for edge in mine:
            found[edge.id] = found.get(edge.id, 0.0) + call.mean_ns / whole / len(mine) if whole else 0.0
    return found


def _of_caller(edges: Sequence[Edge], call: CallPath, by_id: Mapping[int, CallPath]) -> list[Edge]:
    """Return those whose caller is nearest above the call in its service; all of them where none is above it."""
    at, seen = by_id.get(call.parent), {call.id}
    while at is not None and at.service == call.service and at.id not in seen:
        operation = at.operation
        if mine := [edge for edge in edges if edge.caller.operation == operation]:
            return mine
        seen.add(at.id)
        at = by_id.get(at.parent)
    return list(edges)
