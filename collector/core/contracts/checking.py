"""Rules held against traces: a result for each rule and journey. What is mandatory is in `mandatory`."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import ceil

import numpy as np

from collector.core.contracts.baseline import Baseline
from collector.core.contracts.document import Contract, JourneyContract
from collector.core.contracts.mandatory import check_mandatory, check_no_new_mandatory
from collector.core.contracts.names import CallName, names_of
from collector.core.contracts.population import P95, JourneyTraces, Population
from collector.core.contracts.results import Outcome, RuleResult
from collector.core.contracts.rules import (
    QUANTILES,
    AtMost,
    Latency,
    Mandatory,
    NeverOnPath,
    NoErrors,
    NoNewMandatory,
    Rule,
)
from collector.core.patterns import is_like
from collector.core.toml_table import closest


def check(contract: Contract, population: Population, baselines: Mapping[str, Baseline]) -> list[RuleResult]:
    """Return what became of each rule: journeys in order of their first rule, rules in that of the contract.

    Args:
        baselines: what `contract.baselines()` asks for, by its name.
    """
    results: dict[str, list[RuleResult]] = {}
    for promised in contract.journeys:
        for journey in _journeys(promised, population):
            results.setdefault(journey.name, []).extend(_check_journey(promised, journey, population, baselines))
    return [result for of_journey in results.values() for result in of_journey]


def _journeys(promised: JourneyContract, population: Population) -> list[JourneyTraces]:
    """Every journey whose name fits; one without traces where none does."""
    names = [name for name in population.journeys if is_like(promised.journey, name)]
    return [population.journey(name) for name in names or [promised.journey]]


def _check_journey(
    promised: JourneyContract, journey: JourneyTraces, population: Population, baselines: Mapping[str, Baseline]
) -> Iterator[RuleResult]:
    for rule in promised.rules:
        result = _check_rule(rule, journey, baselines)
        needed = promised.min_traces or _needed(rule)
        if not len(journey):
            close = closest(journey.name, population.journeys)
            why = "no trace of this journey" + (", did you mean {close}?" if close else "")
            result = _undecided(result, why, close=close)
        elif len(journey) < needed:
            why = "{seen} of the {needed} traces that it takes (min_traces in the contract can ask for fewer)"
            result = _undecided(result, why, seen=len(journey), needed=needed)
        yield result


def _undecided(result: RuleResult, why: str, **facts: int | float | str) -> RuleResult:
    return replace(result, outcome=Outcome.UNDECIDED, why=why, facts={**result.facts, **facts}, example=None)


def _needed(rule: Rule) -> int:
    """As many traces as it takes until one of them lies beyond the quantile."""
    match rule:
        case AtMost():
            return _beyond(P95)
        case Latency(quantile):
            return _beyond(QUANTILES[quantile])
        case _:
            return 1


def _beyond(quantile: float) -> int:
    return ceil(round(1 / (1 - quantile), 9)) if quantile < 1 else 1


def _check_rule(rule: Rule, journey: JourneyTraces, baselines: Mapping[str, Baseline]) -> RuleResult:
    match rule:
        case NeverOnPath():
            return _check_never_on_path(rule, journey)
        case AtMost():
            return _check_at_most(rule, journey)
        case Latency():
            return _check_latency(rule, journey)
        case NoErrors():
            return _check_no_errors(journey)
        case Mandatory():
            return check_mandatory(rule, journey)
        case NoNewMandatory():
            return check_no_new_mandatory(rule, journey, baselines.get(rule.baseline))


def _check_never_on_path(rule: NeverOnPath, journey: JourneyTraces) -> RuleResult:
    calls = journey.calls_named(rule.call)
    result = RuleResult(
        journey=journey.name,
        rule="never_on_path",
        title="{call} is never on the critical path",
        outcome=Outcome.KEPT,
        why="{calls} in {traces}, none on it",
        facts={"call": rule.call.text, "calls": len(calls), "traces": len(journey)},
    )
    if not len(calls):
        return _never_called(result, rule.call, journey)
    inside = journey.inside_ns(calls)
    broken = np.flatnonzero(inside > 0)
    if not len(broken):
        return result
    worst = int(np.argmax(inside))
    return replace(
        result,
        outcome=Outcome.BROKEN,
        why="on it in {broken} of {traces}, for up to {found_ns}",
        facts={**result.facts, "broken": len(broken), "found_ns": int(inside[worst])},
        example=journey.example(worst, calls.node[calls.path_ns > 0]),
    )


def _check_at_most(rule: AtMost, journey: JourneyTraces) -> RuleResult:
    result = RuleResult(
        journey=journey.name,
        rule="at_most",
        title="{of} takes at most {most_ns} of the p95 path",
        outcome=Outcome.KEPT,
        why="{found_ns} of {path_ns}",
        facts={"of": rule.of.text, "most_ns": rule.most_ns},
    )
    if not len(journey):
        return result
    if isinstance(rule.of, CallName):
        calls = journey.calls_named(rule.of)
        nodes, times = calls.node, journey.inside_ns(calls)
        if not len(calls):
            return _never_called(result, rule.of, journey)
    else:
        nodes = journey.nodes_named(rule.of)
        times = journey.own_time_ns(nodes)
        if not len(nodes) and any(rule.of.matches(callee) for _, callee in journey.call_ends()):
            return _undecided(result, "{of} sends no spans; '* -> {of}' is the time of the calls to it")
        if not len(nodes):
            known = {name for node in journey.operations() for name in names_of(node)}
            return _never_seen(result, rule.of.text, known, "no span of {of} in this journey")
    found, path = journey.mean_ns(times, journey.band), journey.mean_ns(journey.durations_ns, journey.band)
    result = replace(result, facts={**result.facts, "found_ns": found, "path_ns": path, "traces": len(journey.band)})
    if found <= rule.most_ns:
        return result
    worst = int(journey.band[np.argmax(times[journey.band])])
    return replace(result, outcome=Outcome.BROKEN, example=journey.example(worst, nodes))


def _check_latency(rule: Latency, journey: JourneyTraces) -> RuleResult:
    result = RuleResult(
        journey=journey.name,
        rule="latency",
        title="{quantile} is at most {most_ns}",
        outcome=Outcome.KEPT,
        why="{found_ns} over {traces}",
        facts={"quantile": rule.quantile, "most_ns": rule.most_ns, "traces": len(journey)},
    )
    if not len(journey):
        return result
    at = journey.at_quantile(QUANTILES[rule.quantile])
    found = int(journey.durations_ns[at])
    result = replace(result, facts={**result.facts, "found_ns": found})
    if found <= rule.most_ns:
        return result
    return replace(result, outcome=Outcome.BROKEN, example=journey.example(at, journey.target(at)))


def _check_no_errors(journey: JourneyTraces) -> RuleResult:
    result = RuleResult(
        journey=journey.name,
        rule="no_errors",
        title="no trace fails",
        outcome=Outcome.KEPT,
        why="{traces}, none failed",
        facts={"traces": len(journey)},
    )
    failed = np.flatnonzero(journey.failed())
    if len(failed):
        at = int(failed[0])
        return replace(
            result,
            outcome=Outcome.BROKEN,
            why="{failed} of {traces} failed",
            facts={**result.facts, "failed": len(failed)},
            example=journey.example(at, journey.target(at)),
        )
    if len(journey) and not journey.status_known().any():
        return _undecided(result, "no span says how it ended")
    return result


def _never_called(result: RuleResult, call: CallName, journey: JourneyTraces) -> RuleResult:
    ends = journey.call_ends()
    known = {name for _, callee in ends for name in names_of(callee)}
    if "->" in call.text:
        known = {f"{a} -> {b}" for caller, callee in ends for a in names_of(caller) for b in names_of(callee)}
    return _never_seen(result, call.text, known, "never called in this journey")


def _never_seen(result: RuleResult, name: str, known: set[str], why: str) -> RuleResult:
    close = closest(name, known)
    return _undecided(result, why + (", did you mean {close}?" if close else ""), close=close)
