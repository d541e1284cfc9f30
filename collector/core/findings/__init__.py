"""Findings: what the traces say that somebody should know or do. One module a rule; all of them are pure.

A rule takes a `Look` and yields findings, and for findings of structure also what disproves them.
"""

from collections.abc import Callable, Iterator

from collector.core.findings.blocking import optional_but_blocking
from collector.core.findings.changes import changed_edges, changed_requirements
from collector.core.findings.context import broken_contexts, unbounded_names
from collector.core.findings.criticality import criticality_inversions
from collector.core.findings.cycles import cycles
from collector.core.findings.declared import hidden_mandatory, needless_mandatory
from collector.core.findings.fate import other_fates
from collector.core.findings.model import (
    BLOCKING,
    BROKEN_CONTEXT,
    BUDGET_BURNING,
    CHANGED_REQUIREMENT,
    CYCLE,
    HIDDEN_MANDATORY,
    INVERSION,
    LOST_EDGE,
    MISSING_NINE,
    NEEDLESS_MANDATORY,
    NEW_EDGE,
    OTHER_FATE,
    QUEUE_LATE,
    SLOWER,
    TIMEOUT,
    TOO_SLOW,
    UNBOUNDED_NAMES,
    Disproved,
    Finding,
    Look,
)
from collector.core.findings.nines import missing_nines
from collector.core.findings.past import slower_journeys
from collector.core.findings.promises import burning_promises
from collector.core.findings.queues import late_queues
from collector.core.findings.timeouts import incoherent_timeouts

Rule = Callable[[Look], Iterator[Finding | Disproved]]

RULES: tuple[tuple[Rule, tuple[str, ...]], ...] = (
    (burning_promises, (BUDGET_BURNING, TOO_SLOW)),
    (slower_journeys, (SLOWER,)),
    (late_queues, (QUEUE_LATE,)),
    (missing_nines, (MISSING_NINE,)),
    (hidden_mandatory, (HIDDEN_MANDATORY,)),
    (needless_mandatory, (NEEDLESS_MANDATORY,)),
    (other_fates, (OTHER_FATE,)),
    (optional_but_blocking, (BLOCKING,)),
    (incoherent_timeouts, (TIMEOUT,)),
    (criticality_inversions, (INVERSION,)),
    (changed_edges, (NEW_EDGE, LOST_EDGE)),
    (changed_requirements, (CHANGED_REQUIREMENT,)),
    (cycles, (CYCLE,)),
    (broken_contexts, (BROKEN_CONTEXT,)),
    (unbounded_names, (UNBOUNDED_NAMES,)),
)
"""Each rule with the kinds of findings that it speaks of, what matters most first."""

KINDS: tuple[str, ...] = tuple(kind for _, kinds in RULES for kind in kinds)


def find(look: Look) -> Iterator[Finding | Disproved]:
    """Yield what every rule says."""
    for rule, _ in RULES:
        yield from rule(look)
