"""How rare journeys are among the traces of their root operation, as the store knows it."""

import time

import pytest

from collector.core.sampling.roots import Root
from collector.store.derived import Derived
from collector.store.engine import Store
from collector.store.journey_shares import JourneyShares
from tests.store.learned import LearnedTrace, learned


def test_the_rarest_journey_of_an_operation_is_told_by_what_its_traces_stand_for(store: Store) -> None:
    now = time.time_ns()
    traces = [
        LearnedTrace(1, now, journey="check out", weight=30.0),
        LearnedTrace(2, now, journey="gift", weight=10.0),
        LearnedTrace(3, now, journey="partly sampled", weight=0.0),
        LearnedTrace(4, now - 3600 * 10**9, journey="long ago", weight=1.0),
    ]
    Derived(store).write(learned(traces, version=now))

    shares = JourneyShares(store).read()

    assert shares == {Root("shop", "POST /checkout"): pytest.approx(0.25)}
