"""Sampling against known truth: rates, counts, completeness, and no torn decision."""

import math
import random
import threading
from collections.abc import Iterator

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Decision, SamplingResult
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState, set_span_in_context

from cpdd.sampling import DynamicSampler
from cpdd.sampling.thresholds import RANDOMNESS_MASK, probability_of, read_member
from tests.cpdd.sampling.policies import document, policy


def is_kept(result: SamplingResult) -> bool:
    return result.decision is Decision.RECORD_AND_SAMPLE


def ot(result: SamplingResult) -> str:
    return (result.trace_state or TraceState()).get("ot", "")


def trace_ids(number: int, seed: int) -> Iterator[int]:
    draw = random.Random(seed).getrandbits
    return (draw(128) for _ in range(number))


def swaps_without_a_torn_decision(decisions: int, swaps: int, threads: int = 2) -> int:
    """Decide while policies are swapped; returns the decisions that agree with none of the two, or with both halves."""
    documents = [
        document(policy("a", 50, op="o"), policy("x", 25, op="p", attributes={"k": "v"}), version=1),
        document(policy("b", 25, op="o"), policy("y", 50, op="p", attributes={"k": "v"}), version=2),
    ]
    sampler = DynamicSampler("s")
    sampler.apply(documents[0])
    torn: list[int] = []
    done = threading.Event()

    def run(seed: int) -> None:
        bad = 0
        for number, trace_id in enumerate(trace_ids(decisions // threads, seed)):
            name, attributes = ("o", None) if number % 2 else ("p", {"k": "v"})
            result = sampler.should_sample(None, trace_id, name, None, attributes, ())
            randomness = trace_id & RANDOMNESS_MASK
            if is_kept(result):
                threshold = read_member(ot(result)).threshold
                bad += threshold not in (1 << 55, 3 << 54) or randomness < threshold
            else:
                bad += randomness >= 3 << 54
        torn.append(bad)
        done.set()

    workers = [threading.Thread(target=run, args=(seed,)) for seed in range(threads)]
    for worker in workers:
        worker.start()
    swapped = 0
    while swapped < swaps or not done.is_set():
        sampler.apply(documents[swapped % 2])
        sampler.harvest(1.0)
        swapped += 1
    for worker in workers:
        worker.join()
    assert len(torn) == threads
    return sum(torn)


def test_no_decision_is_torn_by_a_change_of_policies():
    assert swaps_without_a_torn_decision(100_000, 200) == 0


@pytest.mark.slow
def test_no_decision_of_ten_million_is_torn_by_a_thousand_changes():
    assert swaps_without_a_torn_decision(10_000_000, 1_000) == 0


def rate_is_kept(probability: float, number: int) -> None:
    sampler = DynamicSampler("s")
    sampler.apply(document(policy("a", 100 * probability)))

    kept = sum(is_kept(sampler.should_sample(None, trace_id, "o")) for trace_id in trace_ids(number, 1))

    sigma = math.sqrt(number * probability * (1 - probability))
    assert abs(kept - number * probability) <= 3 * sigma + number * probability * 2**-13


@pytest.mark.parametrize("probability", [1.0, 0.1, 0.01, 0.001])
def test_the_rate_that_was_asked_for_is_kept(probability: float):
    rate_is_kept(probability, 100_000)


@pytest.mark.slow
@pytest.mark.parametrize("probability", [1.0, 0.1, 0.01, 0.001])
def test_the_rate_that_was_asked_for_is_kept_over_a_million(probability: float):
    rate_is_kept(probability, 1_000_000)


def relative_error_of_counts(seed: int, number: int) -> float:
    """Estimate a known number of traces by the counts of those kept, while rates change, boosts run out of traces and
    budgets slow down."""
    every = number // 20
    boosted = {"kind": "boost", "expires_unix_ms": 1 << 52, "max_traces": 10**6}
    pace = every / 80  # of which a twentieth of the traffic is four times as much
    documents = [
        document(policy("a", 10)),
        document(policy("a", 1), policy("b", 50, **boosted), sent_unix_ms=0),
        document(policy("c", 5, kind="budget", traces_per_second=pace, local_traces_per_second=pace)),
    ]
    sampler = DynamicSampler("s")
    estimate = 0.0
    for index, trace_id in enumerate(trace_ids(number, seed)):
        if index % every == 0:
            sampler.apply(documents[index // every % 3])
            sampler.grant({"b": every // 4 * (1 + index // every // 3)})
            sampler.harvest(1.0)
        result = sampler.should_sample(None, trace_id, "o")
        if is_kept(result):
            estimate += 1 / probability_of(read_member(ot(result)).threshold)
    return estimate / number - 1


def counts_are_unbiased(seeds: int, number: int, most: float) -> None:
    errors = [relative_error_of_counts(seed, number) for seed in range(seeds)]

    mean = sum(errors) / seeds
    standard_error = math.sqrt(sum((error - mean) ** 2 for error in errors) / (seeds - 1) / seeds)
    assert abs(mean) <= 3 * standard_error
    assert abs(mean) < most


def test_adjusted_counts_are_unbiased_while_rates_change():
    counts_are_unbiased(seeds=20, number=30_000, most=0.03)


@pytest.mark.slow
def test_adjusted_counts_are_unbiased_over_a_hundred_seeds_of_two_million():
    counts_are_unbiased(seeds=100, number=2_000_000, most=0.002)


def test_three_services_at_25_50_and_10_percent_keep_a_tenth_of_traces_whole():
    services = [DynamicSampler(name, baseline=share, mode="consistent") for name, share in
                (("a", 0.25), ("b", 0.5), ("c", 0.1))]  # fmt: skip
    number, whole = 50_000, 0

    for trace_id in trace_ids(number, 7):
        context = Context()
        kept = []
        for service in services:
            result = service.should_sample(context, trace_id, "o")
            kept.append(is_kept(result))
            parent = SpanContext(trace_id, 5, True, TraceFlags(int(kept[-1])), result.trace_state)
            context = set_span_in_context(NonRecordingSpan(parent), Context())
        whole += all(kept)

    assert abs(whole - 0.1 * number) <= 3 * math.sqrt(number * 0.1 * 0.9)
