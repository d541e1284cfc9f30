"""Two traces, call by call: what one waited for and the other did not. Pure; called by the page of a pair.

this    shop ━┓                  ┏━     calls are paired by their call path: the names from the root down.
        cart  ┗━━━━━━━━━━━━━━━━━━┛      What the own times of all pairs differ by adds up to the difference of
other   shop ━┓     ┏━                  the two durations, to the nanosecond.
        cart  ┗━━━━━┛
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from collector.core.explain import Explanation
from collector.core.spans import KIND_CLIENT, KIND_INTERNAL, KIND_PRODUCER


@dataclass(slots=True)
class Side:
    """What one of the two traces has of a call path. Offsets count from the start of its target, in ns."""

    first: int = -1
    """Position in `Explanation.nodes` of the span that had most of the path; -1: the trace has no such call."""
    calls: int = 0
    failed: int = 0
    time_ns: int = 0
    """Own time on the critical path."""
    start_ns: int = 0
    end_ns: int = 0
    sections: list[tuple[int, int]] = field(default_factory=list)
    """Start and end of its stretches of the path, in order of time."""


@dataclass(frozen=True, slots=True)
class PairedCall:
    """A call path that is in one of the traces or in both."""

    parent: int
    """Position among the paired calls, which stand behind their parents; -1 for a root."""
    depth: int
    service: str
    operation: str
    kind: int
    way_to: str
    """The service that its own time is the way to: it does nothing but call it. Empty for work of its own."""
    this: Side
    other: Side

    @property
    def delta_ns(self) -> int:
        """By how much longer this trace was in it."""
        return self.this.time_ns - self.other.time_ns


class _Draft:
    """A call path while the traces are read."""

    def __init__(self, parent: int, service: str, operation: str, kind: int) -> None:
        self.parent, self.service, self.operation, self.kind = parent, service, operation, kind
        self.sides = (Side(), Side())
        self.callees: set[str] = set()


def pair_calls(
    this: Explanation, other: Explanation, this_failed: Sequence[bool], other_failed: Sequence[bool]
) -> tuple[PairedCall, ...]:
    """Return the call paths of both traces in depth-first order, siblings by their start in this one.

    Args:
        this_failed: by node of `this`.
    Work: O(n log n) in spans; depth costs nothing.
    """
    drafts: list[_Draft] = []
    known: dict[tuple[int, str, str, int], int] = {}
    _read(0, this, this_failed, drafts, known)
    _read(1, other, other_failed, drafts, known)
    return tuple(_in_order(drafts))


def _read(
    side: int,
    explained: Explanation,
    failed: Sequence[bool],
    drafts: list[_Draft],
    known: dict[tuple[int, str, str, int], int],
) -> None:
    begin = explained.target_start_unix_nano
    of_node: list[int] = []
    for position, node in enumerate(explained.nodes):
        parent = of_node[node.parent] if node.parent >= 0 else -1
        key = (parent, node.service, node.operation, node.kind)
        at = known.setdefault(key, len(drafts))
        if at == len(drafts):
            drafts.append(_Draft(*key))
        of_node.append(at)
        if parent >= 0:
            drafts[parent].callees.add(node.service)
        mine = drafts[at].sides[side]
        start, end = node.start_unix_nano - begin, node.end_unix_nano - begin
        mine.start_ns = min(start, mine.start_ns) if mine.calls else start
        mine.end_ns = max(end, mine.end_ns) if mine.calls else end
        if mine.first < 0 or node.time_ns > explained.nodes[mine.first].time_ns:
            mine.first = position
        mine.calls += 1
        mine.failed += failed[position]
        mine.time_ns += node.time_ns
    for section in explained.sections:
        stretch = (section.start_unix_nano - begin, section.end_unix_nano - begin)
        drafts[of_node[section.node]].sides[side].sections.append(stretch)


def _in_order(drafts: Sequence[_Draft]) -> Iterator[PairedCall]:
    below: defaultdict[int, list[int]] = defaultdict(list)
    for at, draft in enumerate(drafts):
        below[draft.parent].append(at)
    for siblings in below.values():
        siblings.sort(key=lambda at: (_start(drafts[at]), at), reverse=True)
    place: dict[int, int] = {-1: -1}
    depths: dict[int, int] = {-1: -1}
    left = list(below[-1])
    while left:
        at = left.pop()
        draft = drafts[at]
        place[at] = len(place) - 1
        depths[at] = depths[draft.parent] + 1
        yield PairedCall(
            place[draft.parent], depths[at], draft.service, draft.operation, draft.kind, _way_to(draft), *draft.sides
        )
        left += below[at]


def _start(draft: _Draft) -> int:
    this, other = draft.sides
    return this.start_ns if this.calls else other.start_ns


def _way_to(draft: _Draft) -> str:
    """A CLIENT around its callee; without kinds, a span whose only callees are of one other service."""
    calls_out = draft.kind in (KIND_CLIENT, KIND_PRODUCER) or draft.kind <= KIND_INTERNAL
    others = draft.callees - {draft.service}
    return next(iter(others)) if calls_out and len(draft.callees) == len(others) == 1 else ""
