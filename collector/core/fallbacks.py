"""What was called in a failed call's place. Called by `dependencies`, `graph` and the store's reader; pure.

A candidate is a call that the same caller began after one that failed. It was a fallback if callers rarely make it
otherwise: what every caller does next anyway is none. That is for a population to say, so candidates are counted by
trace and judged when they are read.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from collector.core.spans import Columns, FlagColumn, IdColumn, IntColumn

LEAST_SHARE = 0.1
"""Of the failures after which callers went on; what was called after fewer is chance."""
RARITY = 3.0
"""How many times as often as otherwise a fallback is called after a failure."""


@dataclass(frozen=True, slots=True)
class Replacements(Columns):
    """Callers whose call through `edge` failed, who then called through `called` and ended without an error."""

    trace: IntColumn
    edge: IdColumn
    called: IdColumn


@dataclass(frozen=True, slots=True)
class Use:
    """How often callers used an edge, weighted."""

    calls: float
    failed: float


_Name = TypeVar("_Name")


def find_replacements(
    trace: IntColumn, caller: IntColumn, edge: IdColumn, start: IntColumn, failed: FlagColumn, well: FlagColumn
) -> Replacements:
    """Return the candidates, once for each caller and pair of edges.

    Args:
        Columns by call; `well`: the caller ended without an error, whatever it had to do for that.
    """
    order = np.lexsort((start, caller))
    first = np.searchsorted(caller[order], caller[order], side="left")
    behind = np.searchsorted(caller[order], caller[order], side="right")
    pairs: set[tuple[int, int, int, int]] = set()
    for place in np.flatnonzero((failed[order] == 1) & (well[order] == 1) & (behind - first > 1)).tolist():
        row = order[place]
        for later in order[place + 1 : behind[place]].tolist():
            if edge[later] != edge[row] and start[later] > start[row] and not failed[later]:
                pairs.add((int(trace[row]), int(caller[row]), int(edge[row]), int(edge[later])))
    ordered = sorted(pairs)
    return Replacements(
        trace=np.array([pair[0] for pair in ordered], np.int64),
        edge=np.array([pair[2] for pair in ordered], np.uint64),
        called=np.array([pair[3] for pair in ordered], np.uint64),
    )


def fallbacks(
    replaced: Iterable[tuple[_Name, float]], use: Use, uses: dict[_Name, Use]
) -> tuple[tuple[_Name, float], ...]:
    """Return the fallbacks of one edge and how often each was used, most often first.

    Args:
        replaced: candidates and how often they followed a failure.
        use: of the edge itself.
        uses: of each candidate.

    >>> fallbacks([("cache", 8.0), ("audit", 9.0)], Use(1000, 10), {"cache": Use(9, 0), "audit": Use(995, 0)})
    (('cache', 8.0),)
    """
    found = []
    for name, times in replaced:
        share = times / use.failed if use.failed else 0.0
        otherwise = max(0.0, uses[name].calls - times) / max(use.calls - use.failed, 1.0)
        if share >= LEAST_SHARE and share >= RARITY * otherwise:
            found.append((name, times))
    return tuple(sorted(found, key=lambda pair: -pair[1]))
