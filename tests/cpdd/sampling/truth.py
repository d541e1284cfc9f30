"""Simulations of sampling whose truth is known; tests judge them, `benchmarks/sampling_truth.py` prints them."""

import random
import threading
from collections.abc import Iterator, Sequence

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


def kept_of(probability: float, number: int, seed: int = 1) -> int:
    """Return how many of so many root spans are kept at a rate."""
    sampler = DynamicSampler("s")
    sampler.apply(document(policy("a", 100 * probability)))
    return sum(is_kept(sampler.should_sample(None, trace_id, "o")) for trace_id in trace_ids(number, seed))


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


def whole_of(shares: Sequence[float], number: int, seed: int = 7) -> int:
    """Return how many traces are kept by every one of services that call each other and decide for themselves."""
    services = [DynamicSampler("abcdefgh"[place], baseline=share, mode="consistent")
                for place, share in enumerate(shares)]  # fmt: skip
    whole = 0
    for trace_id in trace_ids(number, seed):
        context = Context()
        kept = []
        for service in services:
            result = service.should_sample(context, trace_id, "o")
            kept.append(is_kept(result))
            parent = SpanContext(trace_id, 5, True, TraceFlags(int(kept[-1])), result.trace_state)
            context = set_span_in_context(NonRecordingSpan(parent), Context())
        whole += all(kept)
    return whole
