"""What a caller says of a call beside whether it matters: how long it waits, and what it has instead. Pure.

Both stand in the code, so that a few spans of the mark around a call (`with cpdd.optional("tips")`) say them for all.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from collector.core.attributes import detail
from collector.core.spans import KIND_INTERNAL, SpanBatch
from cpdd.names import DEADLINE_MS, FALLBACK

FALLBACKS: Mapping[str, str] = {
    "none": "nothing",
    "default": "a default answer",
    "cache": "an older answer",
    "degraded": "a simpler answer",
}
"""The values of `cpdd.call.fallback`, and what the caller goes on with."""

_SPANS_READ = 3


@dataclass(frozen=True, slots=True)
class Said:
    """Of one mark."""

    deadline_ns: int = 0
    """How long the caller waits at most; 0: nobody said."""
    fallback: str = ""
    """One of FALLBACKS, or empty."""

    @property
    def has_fallback(self) -> bool:
        return self.fallback not in ("", "none")

    def joined(self, other: "Said") -> "Said":
        """Return what two spans of one mark say: the longer wait, and any fallback rather than none."""
        fallback = other.fallback if other.has_fallback or not self.fallback else self.fallback
        return Said(max(self.deadline_ns, other.deadline_ns), fallback)


NOTHING_SAID = Said()
Mark = tuple[str, str]
"""Service and name of an INTERNAL span around a call."""


def said_in(batch: SpanBatch) -> dict[Mark, Said]:
    """Return what marks say (`cpdd.call.deadline_ms`, `cpdd.call.fallback`); of each only some spans are read."""
    found: dict[Mark, Said] = {}
    read: Counter[tuple[int, int]] = Counter()
    for row in np.flatnonzero((batch.requirement != 0) & (batch.kind <= KIND_INTERNAL)).tolist():
        mark = int(batch.service[row]), int(batch.name[row])
        read[mark] += 1
        if read[mark] > _SPANS_READ or not batch.body:
            continue
        attributes = dict(detail(batch, row).attributes)
        said = _said(attributes.get(DEADLINE_MS), attributes.get(FALLBACK))
        if said != NOTHING_SAID:
            names = batch.text(mark[0]), batch.text(mark[1])
            found[names] = found.get(names, NOTHING_SAID).joined(said)
    return found


def _said(deadline_ms: object, fallback: object) -> Said:
    is_time = isinstance(deadline_ms, int) and not isinstance(deadline_ms, bool) and deadline_ms > 0
    return Said(
        deadline_ns=deadline_ms * 1_000_000 if is_time else 0,  # type: ignore[operator]
        fallback=fallback if isinstance(fallback, str) and fallback in FALLBACKS else "",
    )
