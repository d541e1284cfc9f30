"""Contracts weigh each trace by what its sampling says, and name journeys as cpdd.toml does."""

from math import ceil

import numpy as np
import pytest

from collector.core.contracts import Outcome, Population, check, read_contract
from collector.core.contracts.population import JourneyTraces
from collector.core.journeys import Journey, JourneyBook, Match
from tests.core.drawing import read_trace

JOURNEY = "shop: buy"


def traces(durations: list[int], weights: list[float] | None = None) -> JourneyTraces:
    """Traces of these durations; each has one span, so that rows are traces."""
    lines = [f"shop/buy#{n} 0-{duration} server trace {n + 1}" for n, duration in enumerate(durations)]
    weight = None if weights is None else np.array(weights)
    return Population(read_trace("\n".join(lines)), weight=weight).journey(JOURNEY)


@pytest.mark.parametrize("count", [1, 2, 19, 20, 21, 39, 40, 41, 100, 137])
def test_the_band_of_traces_that_weigh_the_same_is_that_of_their_ranks(count: int):
    journey = traces(list(range(1, count + 1)))

    rank, beside = max(ceil(0.95 * count) - 1, 0), int(0.025 * count)
    assert journey.band.tolist() == list(range(max(rank - beside, 0), min(rank + beside + 1, count)))
    assert journey.at_quantile(0.5) == ceil(0.5 * count) - 1


def test_a_trace_that_stands_for_ten_counts_as_ten_of_its_kind():
    sampled = traces([10, 20, 30], [97.0, 1.0, 2.0])
    whole = traces([10] * 97 + [20] + [30] * 2)

    for quantile in (0.5, 0.95, 0.97, 0.98, 0.99, 1.0):
        assert sampled.durations_ns[sampled.at_quantile(quantile)] == whole.durations_ns[whole.at_quantile(quantile)]


def test_means_are_weighted():
    journey = traces([10, 20], [3.0, 1.0])

    assert journey.mean_ns(journey.durations_ns, np.array([0, 1])) == round(12.5)


def test_a_latency_is_kept_by_what_was_sampled_away():
    contract = read_contract(f'[journey."{JOURNEY}"]\nlatency = {{ p50 = "15ns" }}\n', "contract.toml")
    batch = read_trace("shop/buy#0 0-10 server trace 1; shop/buy#1 0-20 server trace 2; shop/buy#2 0-30 server trace 3")

    (alike,) = check(contract, Population(batch), {})
    (weighted,) = check(contract, Population(batch, weight=np.array([10.0, 1.0, 1.0])), {})

    assert (alike.outcome, weighted.outcome) == (Outcome.BROKEN, Outcome.KEPT)


def test_a_dead_trace_that_is_always_kept_is_no_proof_where_survivors_are_not():
    dead = "shop/buy@ 0-100 server error; shop/GET@ 10-20 client error in shop/buy@ peer_service=tips"
    well = "shop/buy@ 0-100 server ok; shop/GET@ 10-20 client error in shop/buy@ peer_service=tips"
    calm = "shop/buy@ 0-100 server ok; shop/GET@ 10-20 client in shop/buy@ peer_service=tips"
    kinds = [dead] * 40 + [well] + [calm] * 40
    statements = [
        f"{part.strip().replace('@', f'#{n}')} trace {n + 1}"
        for n, kind in enumerate(kinds)
        for part in kind.split(";")
    ]
    weight = np.array([1.0] * 80 + [100.0] * 82)  # of the dead all were kept, of the others one in a hundred
    batch = read_trace("\n".join(statements))

    (alike,) = Population(batch).graph.edges
    (weighted,) = Population(batch, weight=weight).graph.edges

    assert (alike.verdict.verdict, weighted.verdict.verdict) == ("mandatory", "undetermined")
    assert weighted.failed == 41


def test_journeys_are_named_by_the_book():
    book = JourneyBook((Journey("check out", (Match(operation="buy*"),)),))

    assert Population(read_trace("shop/buy 0-10 server"), book=book).journeys == ("check out",)
