"""Rules about which calls are mandatory for a journey.

Mandatory for the journey is what can be reached from its roots over mandatory edges: beyond an optional call nothing
matters to the user, however much it matters to its own caller.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from collector.core.contracts.baseline import Baseline
from collector.core.contracts.names import CallName
from collector.core.contracts.population import JourneyTraces
from collector.core.contracts.results import Example, Outcome, RuleResult
from collector.core.contracts.rules import By, Mandatory, NoNewMandatory
from collector.core.graph import GraphEdge
from collector.core.mandatory import reached
from collector.core.requirement import MANDATORY, UNDETERMINED

LISTED = 5
"""Calls that a sentence names; the rest are counted."""

EdgeTest = Callable[[GraphEdge], bool]


@dataclass(frozen=True, slots=True)
class Split:
    """The edges of a journey by whether it needs them."""

    needed: list[GraphEdge]
    perhaps: list[GraphEdge]
    """Too few failures were seen to say."""
    rest: list[GraphEdge]


def split_edges(edges: Sequence[GraphEdge], roots: frozenset[str], by: By) -> Split:
    """Say of each edge of a journey whether the journey needs it.

    `by` declared: an edge is needed when it is declared mandatory and lies behind no edge declared optional.
    """
    if by == "declared":
        return _split(edges, roots, _declared_mandatory, _not_declared_optional, lambda edge: False)
    return _split(edges, roots, _is_mandatory, _is_mandatory, lambda edge: edge.verdict.verdict == UNDETERMINED)


def _split(
    edges: Sequence[GraphEdge], roots: frozenset[str], is_needed: EdgeTest, leads_on: EdgeTest, is_open: EdgeTest
) -> Split:
    surely = _reached(edges, roots, leads_on)
    possibly = _reached(edges, roots, lambda edge: leads_on(edge) or is_open(edge))
    split = Split([], [], [])
    for edge in edges:
        if is_needed(edge) and edge.caller.id in surely:
            split.needed.append(edge)
        elif (is_needed(edge) or is_open(edge)) and edge.caller.id in possibly:
            split.perhaps.append(edge)
        else:
            split.rest.append(edge)
    return split


def _reached(edges: Sequence[GraphEdge], roots: frozenset[str], leads_on: EdgeTest) -> set[str]:
    """Operations reached over edges that lead on. What nobody calls is a beginning too: its caller was lost."""
    callees = {edge.callee.id for edge in edges}
    begin = roots | {edge.caller.id for edge in edges if edge.caller.id not in callees}
    return reached(begin, [(edge.caller.id, edge.callee.id) for edge in edges if leads_on(edge)])


def _is_mandatory(edge: GraphEdge) -> bool:
    return edge.verdict.verdict == MANDATORY


def _is_dependency(edge: GraphEdge) -> bool:
    """Whether a call leaves its service: what `cpdd.mandatory` marks inside one need not be listed."""
    return edge.kind != "internal"


def _declared_mandatory(edge: GraphEdge) -> bool:
    return edge.as_declared == MANDATORY


def _not_declared_optional(edge: GraphEdge) -> bool:
    return edge.as_declared != "optional"


def check_mandatory(rule: Mandatory, journey: JourneyTraces) -> RuleResult:
    """Hold the calls that a contract lists against those that the journey needs."""
    split = split_edges(journey.edges, journey.roots, rule.by)
    extra = [edge for edge in split.needed if _is_dependency(edge) and not _fits_any(edge, rule.calls)]
    lost = [call for call in rule.calls if not _any_fits(split.needed, call)]
    refuted = [call for call in lost if _any_fits(split.rest, call) and not _any_fits(split.perhaps, call)]
    unknown = [
        edge
        for edge in split.perhaps
        if _fits_any(edge, lost) or (_is_dependency(edge) and not _fits_any(edge, rule.calls))
    ]
    unseen = [call for call in lost if not _any_fits(journey.edges, call)]
    result = RuleResult(
        journey=journey.name,
        rule="mandatory",
        title="mandatory, as {by}, are {listed} and no others",
        outcome=Outcome.KEPT,
        why="so they are",
        facts={"by": rule.by, "listed": _names(call.text for call in rule.calls) or "none"},
    )
    if extra or refuted:
        problems = [f"{_names(map(_name, extra))} {_is(extra)} mandatory and not listed"] if extra else []
        problems += [_verdict_of(call, split.rest, rule.by) for call in refuted]
        example = _example(journey, extra, lambda survived: not survived) if extra else None
        if example is None and refuted:
            edges = [edge for edge in split.rest if _fits_any(edge, refuted)]
            example = _example(journey, edges, lambda survived: survived)
        return _with(result, Outcome.BROKEN, "; ".join(problems), example)
    if unseen or unknown:
        problems = [f"{_names(call.text for call in unseen)} never called"] if unseen else []
        problems += [_too_few(unknown)] if unknown else []
        return _with(result, Outcome.UNDECIDED, "; ".join(problems))
    return result


def check_no_new_mandatory(rule: NoNewMandatory, journey: JourneyTraces, baseline: Baseline | None) -> RuleResult:
    """Look for mandatory calls that were not so before."""
    split = split_edges(journey.edges, journey.roots, rule.by)
    result = RuleResult(
        journey=journey.name,
        rule="no_new_mandatory",
        title="no mandatory call, as {by}, beyond {known}",
        outcome=Outcome.KEPT,
        why="{calls}, all known" if any(map(_is_dependency, split.needed)) else "there is none",
        facts={
            "by": rule.by,
            "known": rule.baseline or _names(call.text for call in rule.known) or "none",
            "calls": sum(map(_is_dependency, split.needed)),
        },
    )
    if baseline is not None and journey.name not in baseline.journeys:
        return _with(result, Outcome.UNDECIDED, f"{rule.baseline} does not know this journey")
    known = _known(rule, journey.name, baseline)
    new = [edge for edge in split.needed if _is_dependency(edge) and not known(edge)]
    if new:
        words = f"{_names(map(_name, new))} {_is(new)} mandatory, and {_was(new)} not before"
        return _with(result, Outcome.BROKEN, words, _example(journey, new, lambda survived: not survived))
    unknown = [edge for edge in split.perhaps if _is_dependency(edge) and not known(edge)]
    if unknown:
        return _with(result, Outcome.UNDECIDED, _too_few(unknown))
    return result


def _known(rule: NoNewMandatory, journey: str, baseline: Baseline | None) -> EdgeTest:
    if baseline is None:
        return lambda edge: _fits_any(edge, rule.known)
    # What nobody could judge before is no new dependency when it is judged now.
    good = (MANDATORY,) if rule.by == "declared" else (MANDATORY, UNDETERMINED)
    before = {
        (edge.caller, edge.callee)
        for edge in baseline.journeys[journey]
        if (edge.declared if rule.by == "declared" else edge.verdict) in good
    }
    return lambda edge: (edge.caller.id, edge.callee.id) in before


def _fits_any(edge: GraphEdge, calls: Iterable[CallName]) -> bool:
    return any(call.matches(edge.caller, edge.callee) for call in calls)


def _any_fits(edges: Iterable[GraphEdge], call: CallName) -> bool:
    return any(call.matches(edge.caller, edge.callee) for edge in edges)


# Words


def _with(result: RuleResult, outcome: Outcome, words: str, example: Example | None = None) -> RuleResult:
    return replace(result, outcome=outcome, why="{what}", facts={**result.facts, "what": words}, example=example)


def _name(edge: GraphEdge) -> str:
    return f"{edge.caller.id} -> {edge.callee.id}"


def _names(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - LISTED} more" if len(listed) > LISTED else ""
    return ", ".join(listed[:LISTED]) + more


def _is(things: Sequence[object]) -> str:
    return "is" if len(things) == 1 else "are"


def _was(things: Sequence[object]) -> str:
    return "was" if len(things) == 1 else "were"


def _verdict_of(call: CallName, edges: Iterable[GraphEdge], by: By) -> str:
    """What a listed call is instead of mandatory."""
    edge = next(edge for edge in edges if call.matches(edge.caller, edge.callee))
    if by == "declared":
        said = f"declared {edge.as_declared}" if edge.as_declared not in (None, MANDATORY) else "not declared mandatory"
        said = "behind a call that is declared optional" if edge.as_declared == MANDATORY else said
        return f"{call.text} is listed, and {said}"
    if edge.verdict.verdict == MANDATORY:
        return f"{call.text} is listed, and lies behind a call that the journey survives"
    return f"{call.text} is listed, and {edge.verdict.verdict}: its caller survived {edge.survived} of {edge.failed}"


def _too_few(edges: Sequence[GraphEdge]) -> str:
    """Which edges nobody can judge yet, and what it would take."""
    edge = edges[0]
    needed = f" ({edge.verdict.needed} more failures would tell)" if edge.verdict.needed else ""
    why = f": {edge.verdict.why}" if edge.verdict.why and not needed else ""
    rest = f", nor of {len(edges) - 1} other calls" if len(edges) > 2 else ", nor of 1 other call"
    return f"nobody knows yet of {_name(edge)}{needed}{why}{rest if len(edges) > 1 else ''}"


def _example(journey: JourneyTraces, edges: Iterable[GraphEdge], wanted: Callable[[bool], bool]) -> Example | None:
    """A trace with one of the calls: one that failed and ended as the verdict says, else any."""
    for edge in edges:
        calls = journey.calls_of(edge)
        if not len(calls):
            continue
        telling = [row for row in np.flatnonzero(calls.failed == 1).tolist() if wanted(bool(calls.caller_well[row]))]
        row = telling[0] if telling else 0
        return journey.example(journey.position_of(int(calls.trace[row])), calls.node[row : row + 1])
    return None
