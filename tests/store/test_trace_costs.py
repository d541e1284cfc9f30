"""What traces cost, as the store knows it."""

import time

from collector.core.sampling.roots import Root
from collector.store.derived import Derived
from collector.store.engine import Store
from collector.store.offered_traffic import UNTIL_S, WINDOW_S, OfferedTraffic
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


def test_what_begins_a_second_is_counted_by_weights_of_minutes_that_are_analyzed(store: Store) -> None:
    now = time.time_ns()
    step = ("shop", "GET")
    settled, too_late, too_early = (now - ago * 10**9 for ago in (UNTIL_S + WINDOW_S // 2, 0, 3_600))
    traces = [
        LearnedTrace(1, settled, path={(step,): 1}, weight=100.0),
        LearnedTrace(2, settled, path={(step,): 1}, weight=20.0),
        LearnedTrace(3, settled, path={(step,): 1}, weight=0.0),
        LearnedTrace(4, too_late, path={(step,): 1}, weight=7.0),
        LearnedTrace(5, too_early, path={(step,): 1}, weight=7.0),
    ]
    Derived(store).write(learned(traces, version=now))

    assert OfferedTraffic(store).read() == {Root("shop", "POST /checkout"): 120.0 / WINDOW_S}


def test_an_empty_store_knows_no_costs(store: Store) -> None:
    assert TraceCosts(store).read() == {}
    assert OfferedTraffic(store).read() == {}
