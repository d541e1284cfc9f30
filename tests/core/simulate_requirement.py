"""Is the verdict on an edge right? Worlds whose truth is known; `python -m tests.core.simulate_requirement`.

Two parts: counts as they would be drawn, over every combination of survival, failure rate, own failures and sampling;
and whole traces, with what makes innocent calls look guilty, through `find_dependencies` to the verdict.
The record is docs/records/requirement-simulation.md; a quick version runs with the tests.
"""

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from collector.core.assemble import assemble
from collector.core.critical_path import critical_paths
from collector.core.dependencies import find_dependencies
from collector.core.graph_build import evidence_of
from collector.core.requirement import (
    MANDATORY,
    MIXED,
    OPTIONAL,
    UNDETERMINED,
    Evidence,
    Share,
    decide,
)
from tests.core.worlds import TESTED, World, make_traces

TRUTH = {0.0: MANDATORY, 0.05: MANDATORY, 0.5: MIXED, 0.95: OPTIONAL, 1.0: OPTIONAL}
"""Survival to the verdict that is right."""
FAILURE_RATES = (0.001, 0.01, 0.1)
OWN_RATES = (0.0, 0.001, 0.01, 0.1, 0.3)
SAMPLED = (0.1, 0.01)
REQUESTS = 20_000
KEPT_ALL, KEPT_DEAD, KEPT_FAILED = "all alike", "the dead always", "all with a failure always"
"""Which traces the sampling keeps."""
TRACES = 6_000

WORLDS = {
    "calls fail apart": World(0.0),
    "an incident elsewhere fails two calls at once": World(0.0, failure_rate=0.01, common_rate=0.05),
    "the caller fails by itself, and then its calls do, too": World(0.0, own_rate=0.002, own_rate_when_bad=0.4),
    "three calls at a time that fail together": World(0.0, loop=3),
    "somebody above asks again": World(0.0, retried=True),
    "everything fails often": World(0.0, failure_rate=0.1, other_rate=0.1),
}


@dataclass(slots=True)
class Tally:
    """Verdicts against the truth."""

    right: int = 0
    wrong: int = 0
    open: int = 0

    def add(self, verdict: str, truth: str) -> None:
        self.right += verdict == truth
        self.open += verdict == UNDETERMINED
        self.wrong += verdict not in (truth, UNDETERMINED)

    def add_all(self, other: "Tally") -> None:
        self.right += other.right
        self.wrong += other.wrong
        self.open += other.open

    @property
    def decided(self) -> int:
        return self.right + self.wrong

    @property
    def share_wrong(self) -> float:
        return self.wrong / self.decided if self.decided else 0.0

    @property
    def misleads(self) -> bool:
        """More than 5 % of what was decided is wrong; one verdict in a thousand, where nearly nothing is, is chance."""
        return self.share_wrong > 0.05 and self.wrong > (self.decided + self.open) / 1_000

    @property
    def share_right(self) -> float:
        return self.right / max(self.right + self.wrong + self.open, 1)


# Counts


def drawn_evidence(
    dice: np.random.Generator, survival: float, failures: int, quiet: int, own_rate: float, sampled: float, kept: str
) -> Evidence:
    """Return what would be counted of so many failures alone and so many quiet callers."""
    survived = int(dice.binomial(failures, survival * (1 - own_rate)))
    well = int(dice.binomial(quiet, 1 - own_rate))
    dead_sampled = sampled if kept == KEPT_ALL else 1.0
    survivors_sampled = 1.0 if kept == KEPT_FAILED else sampled
    return Evidence(
        failed=_thinned(dice, (survived, survivors_sampled), (failures - survived, dead_sampled)),
        quiet=_thinned(dice, (well, sampled), (quiet - well, dead_sampled)),
        survivor_ratio=dead_sampled / survivors_sampled,
    )


def _thinned(dice: np.random.Generator, well: tuple[int, float], ill: tuple[int, float]) -> Share:
    """Keep each with its probability; what is kept weighs as many as it stands for."""
    (a, a_kept), (b, b_kept) = ((int(dice.binomial(count, kept)), kept) for count, kept in (well, ill))
    return Share(a / a_kept + b / b_kept, a / a_kept, a / a_kept**2 + b / b_kept**2, a / a_kept**2)


def judge_counts(seeds: range) -> dict[tuple[float, float, float, str], Tally]:
    """Return verdicts by survival, failure rate, sampling and what it keeps, over all shares of own failures."""
    tallies: dict[tuple[float, float, float, str], Tally] = {}
    keeps = [(1.0, KEPT_ALL), *product(SAMPLED, (KEPT_ALL, KEPT_DEAD, KEPT_FAILED))]
    for seed, survival, rate, (sampled, kept) in product(seeds, TRUTH, FAILURE_RATES, keeps):
        dice = np.random.default_rng([seed, int(100 * survival), int(1e4 * rate), int(100 * sampled), len(kept)])
        own_rate = OWN_RATES[seed % len(OWN_RATES)]
        failures = int(dice.binomial(REQUESTS, rate))
        evidence = drawn_evidence(dice, survival, failures, REQUESTS - failures, own_rate, sampled, kept)
        tallies.setdefault((survival, rate, sampled, kept), Tally()).add(decide(evidence), TRUTH[survival])
    return tallies


def judge_clean_failures(seeds: range, own_rates: tuple[float, ...]) -> dict[tuple[float, int, float], Tally]:
    """Return verdicts by survival, number of failures alone, and how often callers fail by themselves."""
    tallies: dict[tuple[float, int, float], Tally] = {}
    enough = {0.0: 30, 1.0: 30, 0.05: 500, 0.95: 500}
    for seed, (survival, failures), own_rate in product(seeds, enough.items(), own_rates):
        dice = np.random.default_rng([seed, int(100 * survival), int(1e4 * own_rate)])
        evidence = drawn_evidence(dice, survival, failures, 10 * failures, own_rate, 1.0, KEPT_ALL)
        tallies.setdefault((survival, failures, own_rate), Tally()).add(decide(evidence), TRUTH[survival])
    return tallies


# Traces


def judge_traces(world: World, traces: int, seed: int) -> dict[str, str]:
    """Return the verdict on each of the shop's calls."""
    forest = assemble(make_traces(world, traces, seed))
    found = find_dependencies(forest, critical_paths(forest))
    verdicts = {}
    for callee in ("tips", TESTED, "stock", "mail"):
        calls = found.calls._take(np.flatnonzero(found.calls.callee_service == forest.batch.strings.index(callee)))
        verdicts[callee] = decide(evidence_of(forest, found, calls, calls.caller_well))
    return verdicts


def judge_worlds(seeds: range, traces: int = TRACES) -> Iterator[tuple[str, float, Tally, Tally]]:
    """Yield world, survival, verdicts on the tested call, and those on the calls around it."""
    for (name, world), (survival, truth) in product(WORLDS.items(), TRUTH.items()):
        tested, around = Tally(), Tally()
        for seed in seeds:
            verdicts = judge_traces(replace(world, survival=survival), traces, 1_000 * seed + int(100 * survival))
            tested.add(verdicts.pop(TESTED), truth)
            for callee, verdict in verdicts.items():
                around.add(verdict, MANDATORY if callee == "stock" else OPTIONAL)
        yield name, survival, tested, around


# The record


def main(arguments: list[str]) -> int:
    """Print the record; arguments: how many seeds of counts and of traces."""
    seeds, of_traces = (int(text) for text in arguments) if arguments else (1_000, 200)
    began = time.perf_counter()
    bad = _print_worlds(of_traces) + _print_clean(seeds) + _print_counts(seeds)
    print(f"\n{bad} lines miss what is promised; {time.perf_counter() - began:.0f} s")
    return 1 if bad else 0


def _print_counts(seeds: int) -> int:
    print(f"\n{REQUESTS:,} requests, {seeds:,} seeds; failures {_percents(FAILURE_RATES)}, own {_percents(OWN_RATES)}")
    print("kept         of which                    survival  decided   wrong")
    bad = 0
    by_line: dict[tuple[float, str, float], Tally] = {}
    for (survival, _, sampled, kept), tally in judge_counts(range(seeds)).items():
        total = by_line.setdefault((sampled, kept, survival), Tally())
        total.add_all(tally)
    for (sampled, kept, survival), tally in sorted(by_line.items(), key=lambda line: (-line[0][0], line[0][1:])):
        print(f"{100 * sampled:3.0f} %        {kept:<28}{survival:8.2f}  {_shares(tally)}")
        bad += tally.misleads
    every = Tally()
    for tally in by_line.values():
        every.add_all(tally)
    print(f"{'all of them':49}  {_shares(every)}")
    return bad


def _print_clean(seeds: int) -> int:
    print("\nsurvival  failures  own failures  decided rightly   wrong")
    bad = 0
    for (survival, failures, own_rate), tally in judge_clean_failures(range(seeds), (0.0, 0.001, 0.01, 0.1)).items():
        print(
            f"{survival:8.2f}{failures:10}{100 * own_rate:12.1f} %"
            f"{100 * tally.share_right:15.1f} %{100 * tally.share_wrong:6.1f} %"
        )
        bad += own_rate <= 0.001 and tally.share_right < 0.9
        bad += tally.misleads
    return bad


def _print_worlds(seeds: int) -> int:
    print(f"{TRACES:,} traces, {seeds:,} seeds a line")
    print(f"{'':58}survival  decided   wrong   around it: decided  wrong")
    bad = 0
    for name, survival, tested, around in judge_worlds(range(seeds)):
        print(f"{name:58}{survival:8.2f}  {_shares(tested)}            {_shares(around)}")
        bad += tested.misleads or around.misleads
    return bad


def _shares(tally: Tally) -> str:
    total = max(tally.decided + tally.open, 1)
    return f"{100 * tally.decided / total:5.1f} % {100 * tally.share_wrong:5.2f} %"


def _percents(rates: tuple[float, ...]) -> str:
    return ", ".join(f"{100 * rate:g}" for rate in rates) + " %"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
