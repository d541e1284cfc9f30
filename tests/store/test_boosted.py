"""Which traces a boost brought."""

from typing import Any

import pytest

from collector.core.sampling.lives import Life
from collector.store import boosted
from collector.store.boosted import BOOSTED, Boosted
from collector.store.derived import Derived
from collector.store.engine import Store
from collector.store.keeping import Keeping
from collector.store.reader import Reader
from cpdd.sampling.document import parse_policy
from tests.cpdd.sampling.policies import policy
from tests.store.learned import LearnedTrace, learned
from tests.store.spans import NOON, Span
from tests.store.test_derived import NOW, commit

embedded = pytest.mark.parametrize("engine", ["embedded"], indirect=True)
ROOT = 0xAA
SECOND = 10**9
UNTIL_S = NOW // 10**9 + 86_400


def life(name: str = "inc", percentage: float = 100, max_traces: int | None = None, **more: Any) -> Life:
    """A boost of `shop` that was live for the ten seconds after noon."""
    ours = {"kind": "boost", "expires_unix_ms": 1, **({"max_traces": max_traces} if max_traces else {})}
    said = {"service": "shop", **more}
    return Life(parse_policy(policy(name, percentage, **ours, **said)), NOON // 10**6, NOON // 10**6 + 10_000)


def chosen(store: Store, *lives: Life, after: int = NOW - 1, until: int = NOW) -> list[int]:
    return sorted(int(choice.trace_id, 16) for choice in Boosted(store).choose(lives, after, until))


def test_traces_of_what_was_boosted_that_began_meanwhile_are_chosen(store: Store):
    starts = {1: -1, 2: 0, 3: 9, 4: 10}
    traces = [LearnedTrace(id, start=NOON + after_s * SECOND) for id, after_s in starts.items()]
    Derived(store).write(learned(traces, NOW))

    assert chosen(store, life()) == [2, 3]
    assert chosen(store, life(op="POST /checkout")) == [2, 3]
    assert chosen(store, life(journey="check out")) == [2, 3]
    assert chosen(store, life(op="GET /"), life("other", service="stock"), life("j", journey="browse")) == []
    assert chosen(store, life(), after=NOW, until=NOW + 9) == []


@embedded
def test_of_a_boost_as_many_are_kept_as_it_may_add_however_often_one_looks(store: Store):
    traces = [LearnedTrace(number, weight=4.0 if number > 8 else 1.0) for number in range(1, 21)]
    commit(store, [Span(trace.trace_id, ROOT) for trace in traces])
    Derived(store).write(learned(traces, NOW))
    boost = life(max_traces=5)

    first = Boosted(store).choose([boost], NOW - 1, NOW)
    Keeping(store).keep(first, UNTIL_S)
    again = chosen(store, boost)
    more = chosen(store, life(max_traces=7))
    found = Reader(store).stored(first[0].trace_id)

    assert (len(first), again, len(more)) == (5, [], 2)
    assert not {int(choice.trace_id, 16) for choice in first} & set(more)
    assert {choice.reason for choice in first} == {BOOSTED + "inc"}
    assert len(chosen(store, life("used up", max_traces=20))) == 8, "others were kept at the rate of before"
    assert len(chosen(store, life("a quarter", 25, max_traces=20))) == 20
    assert found is not None
    assert found.kept_longer is not None
    assert found.kept_longer.reasons == (BOOSTED + "inc",)
    other = Reader(store).stored(f"{19:032x}")
    assert other is not None
    assert other.kept_longer is None


@embedded
def test_of_a_boost_that_counts_nothing_some_are_kept_in_each_look(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(boosted, "EACH_LOOK", 4)
    Derived(store).write(learned([LearnedTrace(number) for number in range(1, 21)], NOW))

    assert len(chosen(store, life())) == 4
    assert len(chosen(store, life(), life("inc.2", group="inc"))) == 4, "parts are one boost"
    assert len(chosen(store, life(), life("other"))) == 8


def test_a_boost_of_a_tenant_keeps_traces_of_that_tenant(store: Store):
    tenants = {1: "acme", 2: "other", 3: "acme"}
    spans = [
        Span(id, ROOT, attributes={"tenant": of}, resource={"zone": f"z{id}"}, kind=2) for id, of in tenants.items()
    ]
    commit(store, [*spans, Span(2, ROOT + 1, ROOT, attributes={"tenant": "acme"})])
    Derived(store).write(learned([LearnedTrace(id) for id in tenants], NOW))
    zone = policy("zone", 100, kind="boost", expires_unix_ms=1)
    zone["trace"]["match"] = [
        {"resource_attribute": ["zone"], "exact": "z3"},
        {"span_kind": "SERVER"},
        {"baggage": ["anything"], "exact": "goes"},
    ]

    assert chosen(store, life(attributes={"tenant": "acme"})) == [1, 3]
    assert chosen(store, Life(parse_policy(zone), 0, NOON // 10**6 + 1_000)) == [3]
