"""Findings over time: when one appears, stays and clears. Pure; the clock is the caller's.

    seen ----> open ----> (now: not seen for two minutes; structure: disproved) ----> cleared ----> seen again: open

A finding about now clears when it is over, one about structure when evidence speaks against it: that nothing fails
any more does not make a hidden dependency less mandatory.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from collector.core.findings.model import STRUCTURE, Disproved, Finding

CLEARS_AFTER_NS = 120 * 1_000_000_000
"""How long a finding about now has to be absent."""
FORGOTTEN_AFTER_NS = 7 * 86_400 * 1_000_000_000
"""A cleared one is kept in mind for so long."""


@dataclass(frozen=True, slots=True)
class Tracked:
    """A finding with its life."""

    finding: Finding
    since_unix_nano: int
    seen_unix_nano: int
    """When a rule saw it last."""
    cleared_unix_nano: int = 0
    """0: it is open."""
    because: str = ""
    """Why it cleared."""

    @property
    def is_open(self) -> bool:
        return not self.cleared_unix_nano


@dataclass(frozen=True, slots=True)
class Update:
    """What a round changed."""

    tracked: Mapping[str, Tracked]
    """All of them, by id."""
    opened: tuple[Tracked, ...]
    cleared: tuple[Tracked, ...]
    changed: tuple[Tracked, ...]
    """Whose text, figures or state differ from before; those that opened and cleared are among them."""


def track(
    before: Mapping[str, Tracked],
    seen: Iterable[Finding | Disproved],
    now_unix_nano: int,
) -> Update:
    """Return the findings after a round in which the rules said `seen`."""
    tracked = dict(before)
    opened, cleared, changed = [], [], []
    present = set()
    for word in seen:
        old = tracked.get(word.id)
        if isinstance(word, Disproved):
            if old is not None and old.is_open:
                tracked[word.id] = _cleared(old, word.because, now_unix_nano)
                cleared.append(tracked[word.id])
            continue
        present.add(word.id)
        if old is None or not old.is_open:
            tracked[word.id] = Tracked(word, now_unix_nano, now_unix_nano)
            opened.append(tracked[word.id])
            continue
        kept = replace(word, owner=word.owner or old.finding.owner, examples=word.examples or old.finding.examples)
        tracked[word.id] = replace(old, finding=kept, seen_unix_nano=now_unix_nano)
        if kept != old.finding:
            changed.append(tracked[word.id])
    for id, old in before.items():
        over = id not in present and old.finding.kind not in STRUCTURE
        if tracked[id].is_open and over and now_unix_nano - old.seen_unix_nano >= CLEARS_AFTER_NS:
            tracked[id] = _cleared(old, "it is over", now_unix_nano)
            cleared.append(tracked[id])
        if not tracked[id].is_open and now_unix_nano - tracked[id].cleared_unix_nano > FORGOTTEN_AFTER_NS:
            del tracked[id]
    return Update(tracked, tuple(opened), tuple(cleared), (*opened, *cleared, *changed))


def _cleared(old: Tracked, because: str, now_unix_nano: int) -> Tracked:
    return replace(old, cleared_unix_nano=now_unix_nano, because=because)
