"""What a page says of an edge's requirement: declared, observed, and whether they agree. The one place with the words.

The verdict is `collector.core.requirement`'s, so that the page and `cpdd graph` never disagree.
"""

from dataclasses import dataclass

from collector.core.requirement import MIXED, NO_STATUS, UNDETERMINED, as_known, decide, judge
from collector.core.said import FALLBACKS
from collector.store.values import Edge, Node
from ui.draw.text import shown
from ui.draw.units import count, percent, significant


@dataclass(frozen=True, slots=True)
class EdgeRequirement:
    observed: str
    """`mandatory`, `optional`, `mixed` or `undetermined`."""
    declared: str
    """`mandatory`, `optional`, `mixed` where callers disagree, or empty."""
    words: str
    """The counts behind it."""
    badge: str
    """Where declared and observed differ; empty where they agree or one of them is missing."""
    around: str = ""
    """What the mark around the call declares, where the call itself is not declared."""

    @property
    def as_declared(self) -> str:
        """What is declared of the call, or of the mark around it."""
        return self.declared or self.around

    @property
    def drawn(self) -> str:
        """What the picture shows: what was seen, else what was said."""
        return as_known(self.observed, self.as_declared)


def requirement_of(edge: Edge) -> EdgeRequirement:
    """Return what is known of whether the caller needs the call."""
    observed, words = _observed(edge)
    declared = edge.declared
    differs = observed != UNDETERMINED and declared not in ("", observed)
    badge = f"declared {declared}, is {observed}" if differs else ""
    if edge.said.fallback:
        words += f"; declared with {FALLBACKS[edge.said.fallback]} in its place"
    if edge.said.group:
        words += f"; declared: {shown(edge.said.of_group)}"
    return EdgeRequirement(observed, declared, words, badge, edge.around)


def drawn_requirement(edge: Edge) -> str:
    """Return `requirement_of(edge).drawn` alone: how many more failures would tell is what is dear to work out."""
    evidence = edge.evidence
    may_tell = evidence.delivered or (edge.status_known and (edge.failed or evidence.failed.weight))
    return as_known(decide(evidence) if may_tell else UNDETERMINED, edge.as_declared)


def _observed(edge: Edge) -> tuple[str, str]:
    verdict = judge(edge.evidence)
    if edge.evidence.delivered:
        return verdict.verdict, verdict.why
    if not edge.status_known:
        return UNDETERMINED, NO_STATUS
    if not edge.failed and not edge.evidence.failed.weight:
        return UNDETERMINED, "none failed, so nobody knows yet"
    words = [_failures(edge)]
    if edge.injected:
        words.append(f"{count(edge.injected)} of them injected")
    if edge.confounded:
        words.append(f"{count(edge.confounded)} of them beside another failed call")
    if verdict.verdict == MIXED and verdict.survival is not None:
        words.append(f"{percent(verdict.survival)} of them survived")
    words += [f"{_name(node)} called in its place {count(times)} times" for node, times in edge.fallbacks]
    if verdict.needed:
        words.append(f"about {count(float(significant(verdict.needed)))} more would tell")
    elif edge.basis:
        words.append(f"judged by {edge.basis}")
    return verdict.verdict, "; ".join(words)


def _failures(edge: Edge) -> str:
    if not edge.failed:
        return "none failed in this time"
    survived = "all" if edge.survived == edge.failed else count(edge.survived) if edge.survived else "none"
    return f"{count(edge.failed)} failed, caller survived {survived}"


def _name(node: Node) -> str:
    return shown(" ".join(part for part in (node.service, node.operation) if part) or node.kind)
