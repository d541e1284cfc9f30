import gc
import threading
import weakref
from typing import Any

import pytest
from opentelemetry import baggage
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import Decision, SamplingResult
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags, set_span_in_context

from cpdd.propagation import Level2TraceState
from cpdd.sampling import Ceilings, DynamicSampler
from cpdd.sampling.document import EMPTY
from cpdd.testing import FakeClock
from tests.cpdd.sampling.policies import document, policy

HIGH, LOW = 0xFF << 48, 1
"""Trace ids with high and low randomness: kept by nearly any threshold, and by none."""
NOW_MS = 1_800_000_000_000


def boost(policy_id: str, percentage: float = 100, lasts_s: float = 60, **ours: Any) -> dict[str, Any]:
    return policy(policy_id, percentage, kind="boost", expires_unix_ms=NOW_MS + round(lasts_s * 1000), **ours)


def sampler_with(*policies: dict[str, Any], **options: Any) -> DynamicSampler:
    sampler = DynamicSampler("shop", **options)
    sampler.apply(document(*policies, sent_unix_ms=NOW_MS))
    return sampler


def below(trace_state: str = "", *, sampled: bool = True, remote: bool = True, trace_id: int = HIGH) -> Context:
    state = Level2TraceState.from_header([trace_state])
    parent = SpanContext(trace_id, 5, remote, TraceFlags(int(sampled)), state)
    return set_span_in_context(NonRecordingSpan(parent), Context())


def decide(
    sampler: DynamicSampler,
    trace_id: int = HIGH,
    *,
    op: str = "GET /",
    context: Context | None = None,
    kind: SpanKind = SpanKind.SERVER,
    attributes: dict[str, Any] | None = None,
) -> SamplingResult:
    return sampler.should_sample(context, trace_id, op, kind, attributes, ())


def state_of(result: SamplingResult) -> str:
    return result.trace_state.to_header() if result.trace_state is not None else ""


def kept(result: SamplingResult) -> bool:
    return result.decision is Decision.RECORD_AND_SAMPLE


def test_a_root_is_kept_by_its_randomness_and_says_its_threshold():
    sampler = sampler_with(policy("half", 50))

    assert kept(decide(sampler, HIGH))
    assert state_of(decide(sampler, HIGH)) == "ot=th:8"
    assert not kept(decide(sampler, LOW))
    assert state_of(decide(sampler, LOW)) == ""


def test_a_change_of_policy_reaches_tracers_that_exist():
    sampler = DynamicSampler("shop", baseline=0.0)
    tracer = TracerProvider(sampler=sampler).get_tracer("test")
    before = tracer.start_span("GET /")

    sampler.apply(document(policy("all", 100)))

    assert not before.is_recording()
    assert tracer.start_span("GET /").is_recording()


def test_attributes_kind_and_journey_are_looked_at_where_policies_ask_for_them():
    sampler = sampler_with(
        policy("acme", 100, op="POST /pay", attributes={"tenant": "acme"}),
        {"id": "consumers", "trace": {"match": [{"span_kind": "CONSUMER"}], "keep": {"percentage": 100}}},
        policy("journey", 100, journey="check out"),
        baseline=0.0,
    )
    in_journey = baggage.set_baggage("cpdd.journey", "check out", Context())

    assert kept(decide(sampler, op="POST /pay", attributes={"tenant": "acme"}))
    assert not kept(decide(sampler, op="POST /pay", attributes={"tenant": "other"}))
    assert not kept(decide(sampler, op="POST /pay"))
    assert kept(decide(sampler, kind=SpanKind.CONSUMER))
    assert kept(decide(sampler, context=in_journey))
    assert not kept(decide(sampler))


def test_policies_of_other_services_do_not_concern_this_one():
    sampler = sampler_with(policy("other", 100, service="payment"), baseline=0.0)

    assert not kept(decide(sampler))


def test_names_without_end_are_sampled_though_not_remembered():
    sampler = sampler_with(policy("base", 50), policy("late", 0, op="GET /late"))

    for number in range(5_000):
        assert kept(decide(sampler, op=f"GET /{number}"))

    assert not kept(decide(sampler, op="GET /late"))
    counts = sampler.harvest(1.0)
    assert sum(count.seen for count in counts) == 5_001
    assert len(counts) < 4_100


@pytest.mark.parametrize("mode", ["follow", "consistent"])
def test_a_span_inside_the_service_follows_its_parent(mode: Any):
    sampler = sampler_with(policy("none", 0), mode=mode)

    assert kept(decide(sampler, context=below("ot=th:8", remote=False)))
    assert not kept(decide(sampler, context=below(sampled=False, remote=False)))


def test_follow_takes_the_callers_decision_and_tracestate_as_they_are():
    sampler = sampler_with(policy("none", 0))
    said = "vendor=a;B;c,ot=th:8;rv:ffffffffffffff;p:1,other=1"

    taken = decide(sampler, context=below(said))

    assert kept(taken)
    assert state_of(taken) == said
    assert not kept(decide(sampler_with(policy("all", 100)), context=below(sampled=False)))


@pytest.mark.parametrize(
    ("said", "sampled", "stays"),
    [
        ("th:8", True, "th:8"),
        ("th:8;rv:00000000000000", True, "rv:00000000000000"),
        ("th:8", False, ""),
        ("th:8;rv:00000000000000", False, "th:8;rv:00000000000000"),
        ("th:+1", True, ""),
        ("th:AB;p:1", True, "p:1"),
        ("th:1_0", True, ""),
        ("p:1", True, "p:1"),
    ],
)
def test_a_threshold_that_contradicts_the_callers_decision_is_erased(said: str, sampled: bool, stays: str):
    taken = decide(sampler_with(), context=below(f"vendor=1,ot={said}", sampled=sampled))

    assert dict(taken.trace_state or {}).get("ot", "") == stays
    assert dict(taken.trace_state or {})["vendor"] == "1"


def test_consistent_decides_by_its_own_threshold_and_the_traces_randomness():
    sampler = sampler_with(policy("half", 50), mode="consistent")

    kept_against = decide(sampler, context=below("vendor=1,ot=th:f;rv:80000000000000", sampled=False))
    dropped_against = decide(sampler, context=below("vendor=1,ot=th:4;rv:70000000000000"))

    assert kept(kept_against)
    assert state_of(kept_against) == "ot=th:8;rv:80000000000000,vendor=1"
    assert not kept(dropped_against)
    assert state_of(dropped_against) == "ot=rv:70000000000000,vendor=1"


def test_members_whose_keys_only_level_2_allows_stay_when_the_decision_is_written():
    sampler = sampler_with(policy("half", 50), mode="consistent")

    taken = decide(sampler, context=below("1a=x,b@c@d=y,ot=th:0;rv:80000000000000"))

    assert state_of(taken) == "ot=th:8;rv:80000000000000,1a=x,b@c@d=y"


def test_a_boost_from_here_down_keeps_what_the_caller_dropped_and_marks_it_partial():
    sampler = sampler_with(boost("here", 50, here=True), baseline=0.0)

    taken = decide(sampler, context=below(sampled=False), attributes={"a": 1})

    assert kept(taken)
    assert dict(taken.attributes) == {"a": 1, "cpdd.sampling.partial": True}
    assert state_of(taken) == "ot=th:8"
    assert not kept(decide(sampler)), "roots are not its business"
    assert not kept(decide(sampler, LOW, context=below(sampled=False, trace_id=LOW)))


def test_a_boost_ends_by_the_monotonic_clock_though_the_wall_clock_was_set_back():
    clock, wall = FakeClock(), FakeClock()
    sampler = DynamicSampler("shop", baseline=0.0, clock=clock.now_s, wall_clock=wall.now_s)
    sampler.apply(document(boost("b", lasts_s=10), sent_unix_ms=NOW_MS))
    assert kept(decide(sampler))

    clock.advance(s=9)
    sampler.apply(document(boost("b", lasts_s=10), sent_unix_ms=NOW_MS - 3_600_000))
    assert kept(decide(sampler))
    clock.advance(s=1)

    assert not kept(decide(sampler))


@pytest.mark.parametrize(
    ("said", "context"),
    [({}, None), ({"here": True}, below(sampled=False)), ({"max_traces": 9}, None)],
    ids=["at the root", "from here down", "counted"],
)
def test_a_boost_is_over_at_its_end_whether_or_not_a_thread_gets_to_say_so(said: dict[str, Any], context: Any):
    clock = FakeClock()
    sampler = DynamicSampler("shop", baseline=0.5 if context is None else 0.0, clock=clock.now_s)
    sampler.apply(document(boost("b", lasts_s=10, **said), sent_unix_ms=NOW_MS))
    sampler.grant({"b": 9})
    clock.advance(s=9.999)
    before = decide(sampler, LOW if context is None else HIGH, context=context)

    clock.advance(s=0.001)
    after = decide(sampler, LOW if context is None else HIGH, context=context)
    by_base = decide(sampler, HIGH)

    assert kept(before)
    assert not kept(after)
    assert kept(by_base) is (context is None)
    assert state_of(by_base) == ("ot=th:8" if context is None else "")


def test_a_service_that_decides_for_itself_stops_at_the_end_of_a_boost():
    clock = FakeClock()
    sampler = DynamicSampler("shop", baseline=0.0, mode="consistent", clock=clock.now_s)
    sampler.apply(document(boost("b", lasts_s=10), sent_unix_ms=NOW_MS))
    clock.advance(s=10)

    assert not kept(decide(sampler, context=below(sampled=True)))


def test_a_boost_ends_by_itself_on_a_real_clock():
    ended = threading.Event()

    class Watched(DynamicSampler):
        def _end_boosts(self) -> None:
            super()._end_boosts()
            ended.set()

    sampler = Watched("shop", baseline=0.0)
    sampler.apply(document(boost("b", lasts_s=0.05), sent_unix_ms=NOW_MS))
    assert kept(decide(sampler)) or ended.wait(60)  # a busy machine may be too late to see it

    assert ended.wait(60)
    assert not kept(decide(sampler))


def test_no_boost_is_longer_or_stronger_than_this_program_allows():
    clock = FakeClock()
    sampler = DynamicSampler("shop", baseline=0.0, clock=clock.now_s, ceilings=Ceilings(0.5, boost_s=5))
    sampler.apply(document(boost("b", lasts_s=3_600), sent_unix_ms=NOW_MS))

    assert state_of(decide(sampler)) == "ot=th:8"
    clock.advance(s=5)
    assert not kept(decide(sampler))


def test_a_counted_boost_adds_what_was_granted_and_no_more():
    sampler = sampler_with(policy("base", 50), boost("b", max_traces=100))
    nothing_granted = kept(decide(sampler, LOW))

    sampler.grant({"b": 3, "unknown": 5})
    added = [kept(decide(sampler, LOW)) for _ in range(5)]
    by_base = kept(decide(sampler, HIGH))

    assert not nothing_granted
    assert added == [True, True, True, False, False]
    assert by_base
    assert sampler.leases() == {"b": 3}
    sampler.grant({"b": 4})
    assert [kept(decide(sampler, LOW)) for _ in range(2)] == [True, False]


def test_a_lease_lives_through_a_change_of_policies_and_threads_do_not_overdraw_it():
    sampler = sampler_with(policy("base", 0), boost("b", max_traces=100))
    sampler.grant({"b": 1_000})
    sampler.apply(document(policy("base", 0), policy("more", 0, op="x"), boost("b", max_traces=100)))
    taken: list[int] = []

    def draw() -> None:
        taken.append(sum(kept(decide(sampler, LOW)) for _ in range(400)))

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(taken) == 1_000


def test_a_boost_that_ended_and_comes_back_goes_on_counting():
    sampler = sampler_with(policy("base", 0), boost("b", max_traces=100))
    sampler.grant({"b": 2})
    used = [kept(decide(sampler, LOW)) for _ in range(2)]

    sampler.apply(document(policy("base", 0)))
    sampler.apply(document(policy("base", 0), boost("b", max_traces=100), sent_unix_ms=NOW_MS))
    sampler.grant({"b": 2})

    assert used == [True, True]
    assert not kept(decide(sampler, LOW))


def test_the_cap_drops_what_is_above_it_and_claims_no_count_while_it_does():
    clock = FakeClock()
    sampler = DynamicSampler("shop", clock=clock.now_s, ceilings=Ceilings(traces_per_second=2))

    first = [decide(sampler) for _ in range(3)]
    clock.advance(s=1)
    second = decide(sampler)
    clock.advance(s=1)
    third = decide(sampler)

    assert [kept(result) for result in first] == [True, True, False]
    assert state_of(first[2]) == ""
    assert (kept(second), state_of(second)) == (True, "")
    assert (kept(third), state_of(third)) == (True, "ot=th:0")


def test_a_budget_slows_down_by_itself_within_a_second_that_brings_more_than_expected():
    budget = policy("b", 100, kind="budget", traces_per_second=10, local_traces_per_second=10)
    sampler = sampler_with(budget)

    results = [decide(sampler, trace_id=number << 40) for number in range(0, 1 << 16, 16)]
    thresholds = [state_of(result) for result in results if kept(result)]

    assert thresholds[:20] == ["ot=th:0"] * 20
    assert thresholds[20] == "ot=th:8"
    assert len(thresholds) < 20 + 10 * 12
    sampler.harvest(1.0)
    assert state_of(decide(sampler)) == "ot=th:0"


def test_counts_are_told_once_with_the_rule_that_decided():
    sampler = sampler_with(policy("half", 50), policy("none", 0, op="GET /health"))
    for trace_id in (HIGH, LOW, LOW):
        decide(sampler, trace_id)
    decide(sampler, op="GET /health")

    sampler.apply(EMPTY)
    decide(sampler)

    counts = {(count.operation, count.rule): (count.seen, count.kept) for count in sampler.harvest(1.0)}
    assert counts == {("GET /", "half"): (3, 1), ("GET /health", "none"): (1, 0), ("GET /", ""): (1, 1)}
    assert sampler.harvest(1.0) == []


def test_a_failure_of_ours_costs_the_span_and_not_the_request(caplog: pytest.LogCaptureFixture):
    sampler = sampler_with(policy("a", 1, attributes={"k": "v"}))

    class Hostile(dict[str, Any]):
        def get(self, key: str, default: Any = None) -> Any:
            raise RuntimeError("hostile attributes")

    assert not kept(decide(sampler, attributes=Hostile(k=1)))
    assert "deciding on a span failed" in caplog.text


def test_a_sampler_that_nobody_uses_any_more_goes():
    sampler = DynamicSampler("shop")
    gone = weakref.ref(sampler)

    del sampler
    gc.collect()

    assert gone() is None
