"""What a caller says of a call beside whether it matters: how long it waits, what it has instead, of which group it is.

All stand in the code, so that a few spans of the mark around a call (`with cpdd.optional("tips")`) say them for all.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from collector.core.attributes import detail
from collector.core.spans import KIND_INTERNAL, SpanBatch
from cpdd.names import DEADLINE_MS, FALLBACK, GROUP, QUORUM

FALLBACKS: Mapping[str, str] = {
    "none": "nothing",
    "default": "a default answer",
    "cache": "an older answer",
    "degraded": "a simpler answer",
}
"""The values of `cpdd.call.fallback`, and what the caller goes on with."""

MAX_GROUP_CHARS = 128
_SPANS_READ = 3


@dataclass(frozen=True, slots=True)
class Said:
    """Of one mark."""

    deadline_ns: int = 0
    """How long the caller waits at most; 0: nobody said."""
    fallback: str = ""
    """One of FALLBACKS, or empty."""
    group: str = ""
    """Calls of one caller that share it stand in for each other; empty: nobody said."""
    quorum: int = 0
    """How many of the group have to succeed, at least 1 where there is a group."""

    @property
    def has_fallback(self) -> bool:
        return self.fallback not in ("", "none")

    @property
    def of_group(self) -> str:
        """The group in words, empty where there is none."""
        return f"any {self.quorum} of the group {self.group} are enough" if self.group else ""

    def joined(self, other: "Said") -> "Said":
        """Return what two spans of one mark say: the longer wait, any fallback rather than none, the larger quorum."""
        fallback = other.fallback if other.has_fallback or not self.fallback else self.fallback
        group, quorum = max((self.quorum, self.group), (other.quorum, other.group))[::-1]
        return Said(max(self.deadline_ns, other.deadline_ns), fallback, group, quorum)


NOTHING_SAID = Said()
Mark = tuple[str, str]
"""Service and name of an INTERNAL span around a call."""


def said_in(batch: SpanBatch) -> dict[Mark, Said]:
    """Return what marks say (`cpdd.call.deadline_ms`, `fallback`, `group`, `quorum`); some spans of each are read."""
    found: dict[Mark, Said] = {}
    read: Counter[tuple[int, int]] = Counter()
    for row in np.flatnonzero((batch.requirement != 0) & (batch.kind <= KIND_INTERNAL)).tolist():
        mark = int(batch.service[row]), int(batch.name[row])
        read[mark] += 1
        if read[mark] > _SPANS_READ or not batch.body:
            continue
        attributes = dict(detail(batch, row).attributes)
        said = read_said(*(attributes.get(name) for name in (DEADLINE_MS, FALLBACK, GROUP, QUORUM)))
        if said != NOTHING_SAID:
            names = batch.text(mark[0]), batch.text(mark[1])
            found[names] = found.get(names, NOTHING_SAID).joined(said)
    return found


def read_said(deadline_ms: object, fallback: object, group: object, quorum: object) -> Said:
    """Return what the values of the attributes say; one that is not of its kind says nothing."""
    group = group[:MAX_GROUP_CHARS] if isinstance(group, str) else ""
    return Said(
        deadline_ns=_positive(deadline_ms) * 1_000_000,
        fallback=fallback if isinstance(fallback, str) and fallback in FALLBACKS else "",
        group=group,
        quorum=max(_positive(quorum), 1) if group else 0,
    )


def _positive(value: object) -> int:
    """A whole number above 0, else 0."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
