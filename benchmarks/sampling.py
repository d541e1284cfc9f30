"""What does a decision cost, beside OpenTelemetry's own sampler?

    python benchmarks/sampling.py [--repeats 7]

Workload: root spans of 1,000 operations, each with a rule of its own; the same with predicates on attributes; spans
with a remote parent; unsampled spans from start to end. Each figure beside ParentBased(TraceIdRatioBased) in the same
round of the same run, in CPU time, so that a busy machine hurts both. One core, no server.
"""

import argparse
import platform
import random
import statistics
import time
from collections.abc import Callable

from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBased, Sampler, TraceIdRatioBased
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags, TraceState, set_span_in_context

from cpdd.ids import PrivateIds
from cpdd.sampling import DynamicSampler, parse_document

OPERATIONS = 1_000
DECISIONS = 100_000
NAMES = [f"GET /{number % OPERATIONS}" for number in range(DECISIONS)]
IDS = [random.Random(number).getrandbits(128) for number in range(DECISIONS)]
THEIRS = ParentBased(TraceIdRatioBased(0.01))
ATTRIBUTES = {"http.request.method": "GET", "tenant": "acme", "region": "eu"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    print(f"{platform.machine()}, Python {platform.python_version()}; ns, median of {repeats} (min..max)")
    ours = sampler_with(0)
    compare("root decision", repeats, roots(ours), roots(THEIRS))
    for predicates in (1, 4, 16):
        compare(f"root decision, {predicates} predicates", repeats, roots(sampler_with(predicates)), roots(THEIRS))
    for what, said, sampled in (
        ("sampled, no th", "", True),
        ("sampled, th", "ot=th:0", True),
        ("sampled, th and others", "vendor=1,ot=th:8;rv:ffffffffffffff", True),
        ("unsampled", "", False),
    ):
        context = below(said, sampled)
        compare(f"remote parent, {what}", repeats, children(ours, context), children(THEIRS, context))
    compare("unsampled span, start to end", repeats, spans(sampler_with(0, 0.0)), spans(TraceIdRatioBased(0.0)))


def sampler_with(predicates: int, percentage: float = 1.0) -> DynamicSampler:
    """A sampler with a rule an operation, and so many rules that look at an attribute of every span."""
    service = {"resource_attribute": ["service.name"], "exists": True}
    policies = [
        {"id": name, "trace": {"match": [{"trace_field": "NAME", "exact": name}], "keep": {"percentage": percentage}}}
        for name in dict.fromkeys(NAMES)
    ]
    policies += [
        {
            "id": f"tenant {number}",
            "trace": {
                "match": [service, {"span_attribute": ["tenant"], "exact": f"other {number}"}],
                "keep": {"percentage": 50},
            },
        }
        for number in range(predicates)
    ]
    sampler = DynamicSampler("shop")
    sampler.apply(parse_document({"version": 1, "policies": policies}))
    return sampler


def below(said: str, sampled: bool) -> Context:
    state = TraceState.from_header([said])
    parent = SpanContext(IDS[0] | 1, 5, True, TraceFlags(int(sampled)), state)
    return set_span_in_context(NonRecordingSpan(parent), Context())


def roots(sampler: Sampler) -> Callable[[], int]:
    decide, context = sampler.should_sample, Context()

    def run() -> int:
        for name, trace_id in zip(NAMES, IDS, strict=True):
            decide(context, trace_id, name, SpanKind.SERVER, ATTRIBUTES, ())
        return DECISIONS

    return run


def children(sampler: Sampler, context: Context) -> Callable[[], int]:
    decide, trace_id = sampler.should_sample, IDS[0] | 1

    def run() -> int:
        for name in NAMES:
            decide(context, trace_id, name, SpanKind.SERVER, ATTRIBUTES, ())
        return DECISIONS

    return run


def spans(sampler: Sampler) -> Callable[[], int]:
    tracer = TracerProvider(sampler, id_generator=PrivateIds()).get_tracer("benchmark")

    def run() -> int:
        for name in NAMES[: DECISIONS // 4]:
            tracer.start_span(name).end()
        return DECISIONS // 4

    return run


def compare(what: str, repeats: int, ours: Callable[[], int], theirs: Callable[[], int]) -> None:
    """Print one line: ours, theirs, their ratio; rounds alternate."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for run, found in zip((ours, theirs), times, strict=True):
            begun = time.thread_time_ns()
            number = run()
            found.append((time.thread_time_ns() - begun) / number)
    ratio = statistics.median(mine / other for mine, other in zip(*times, strict=True))
    said = "  ".join(f"{statistics.median(t):6.0f} ({min(t):.0f}..{max(t):.0f})" for t in times)
    print(f"{what:36} cpdd, SDK: {said}   x{ratio:.2f}", flush=True)


if __name__ == "__main__":
    main()
