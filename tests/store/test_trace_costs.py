"""What traces cost, as the store knows it."""

import time

from collector.core.sampling.roots import Root
from collector.store.derived import Derived
from collector.store.engine import Store
from collector.store.trace_costs import TraceCosts
from collector.store.writer import Committer
from tests.store.learned import LearnedTrace, learned
from tests.store.spans import Span, encode


def test_costs_are_those_of_the_last_minutes_by_root_operation(store: Store) -> None:
    now = time.time_ns()
    long_ago = now - 3600 * 10**9
    step = ("shop", "GET")
    traces = [
        LearnedTrace(1, now, path={(step,): 1, (step, ("cart", "get")): 1}),
        LearnedTrace(2, now, path={(step,): 1}),
        LearnedTrace(3, now, path={(step,): 1}, weight=0.0),
        LearnedTrace(4, long_ago, path={(step,): 1}),
    ]
    Derived(store).write(learned(traces, version=now))
    committer = Committer(store, lanes=1, linger_ms=0)
    committer.submit(encode([Span(trace_id=1, span_id=1, name="x" * 1_000, start=now, end=now)])).result(30)
    committer.close()

    costs = TraceCosts(store).read()

    (cost,) = costs.values()
    assert list(costs) == [Root("shop", "POST /checkout")]
    assert (cost.traces, cost.spans) == (2, 3)
    assert cost.bytes_a_trace > 1.5 * 1_000


def test_an_empty_store_knows_no_costs(store: Store) -> None:
    assert TraceCosts(store).read() == {}
